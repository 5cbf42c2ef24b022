"""What every component keeps to, whatever it is made of."""

import inspect
from collections.abc import Callable
from dataclasses import replace

import pulumi
import pulumiverse_scaleway
import pytest

from stackproof_infra.components.container import Container
from stackproof_infra.components.database import Database
from stackproof_infra.components.deployers import Deployers, DeployersArgs
from stackproof_infra.components.encryption import Encryption, EncryptionArgs
from stackproof_infra.components.identity import Identity, IdentityArgs
from stackproof_infra.components.lock_database import LockDatabase, LockDatabaseArgs
from stackproof_infra.components.network import Network, NetworkArgs
from stackproof_infra.components.observability import Observability, ObservabilityArgs
from stackproof_infra.components.operators import Operators, OperatorsArgs
from stackproof_infra.components.registry import Registry, RegistryArgs
from stackproof_infra.components.secrets import StoredSecret, StoredSecretArgs
from stackproof_infra.components.serverless_sql import ServerlessSql, ServerlessSqlArgs
from stackproof_infra.components.storage import PrivateBucket, PrivateBucketArgs
from stackproof_infra.place import Place
from tests import test_container, test_database
from tests.cloud import DEPLOYER, PROJECT, PROJECT_ID, Graph, Recorder, run

PLACE = Place(prefix="acme-shop", stack="test", project_id=PROJECT_ID, region="nl-ams")

# A component's type is part of the URN of everything in it: another word here would replace all of that.
TYPES: dict[str, type[pulumi.ComponentResource]] = {
    "stackproof:network:Network": Network,
    "stackproof:identity:Identity": Identity,
    "stackproof:operators:Operators": Operators,
    "stackproof:database:Database": Database,
    "stackproof:serverless_sql:ServerlessSql": ServerlessSql,
    "stackproof:storage:PrivateBucket": PrivateBucket,
    "stackproof:encryption:Encryption": Encryption,
    "stackproof:observability:Observability": Observability,
    "stackproof:secrets:StoredSecret": StoredSecret,
    "stackproof:container:Container": Container,
    "stackproof:registry:Registry": Registry,
    "stackproof:deployers:Deployers": Deployers,
    "stackproof:lock_database:LockDatabase": LockDatabase,
}

MADE: dict[str, Callable[[pulumi.ResourceOptions], object]] = {
    "Network": lambda opts: Network("it", NetworkArgs(place=PLACE, cidr="10.0.0.0/22"), opts),
    "Identity": lambda opts: Identity(
        "it",
        IdentityArgs(
            place=PLACE,
            permission_sets=["VPCReadOnly"],
            description="d",
            policy_description="d",
            key_description="d",
            key_expires_at=None,
        ),
        opts,
    ),
    "Operators": lambda opts: Operators("it", OperatorsArgs(place=PLACE, user_ids=[]), opts),
    "Database": lambda opts: Database("it", replace(test_database.ARGS, place=PLACE), opts),
    "ServerlessSql": lambda opts: ServerlessSql("it", ServerlessSqlArgs(place=PLACE, min_cpu=0, max_cpu=1), opts),
    "PrivateBucket": lambda opts: PrivateBucket(
        "it",
        PrivateBucketArgs(
            place=PLACE,
            deployers=[DEPLOYER],
            writers=[],
            readers=[],
            noncurrent_expiration_days=1,
            force_destroy=False,
        ),
        opts,
    ),
    "Encryption": lambda opts: Encryption(
        "it", EncryptionArgs(place=PLACE, description="d", rotation_days=1, protected=True), opts
    ),
    "Observability": lambda opts: Observability(
        "it", ObservabilityArgs(place=PLACE, retention_days=30, contacts=[], alerts=["Cockpit"]), opts
    ),
    "StoredSecret": lambda opts: StoredSecret("it", StoredSecretArgs(place=PLACE, description="d", value="v"), opts),
    "Container": lambda opts: Container(
        "it",
        replace(
            test_container.ARGS,
            place=PLACE,
            domain="shop.example.com",
            schedule=test_container.SCHEDULE,
        ),
        opts,
    ),
    "Registry": lambda opts: Registry("it", RegistryArgs(place=PLACE, description="d"), opts),
    "Deployers": lambda opts: Deployers("it", DeployersArgs(place=PLACE, user_ids=[], serverless_lock=True), opts),
    "LockDatabase": lambda opts: LockDatabase(
        "it",
        LockDatabaseArgs(
            place=PLACE,
            engine="PostgreSQL-15",
            node_type="db-dev-s",
            allowed_addresses=["203.0.113.7/32"],
            user_password="p",
            administrator_password="p",
        ),
        opts,
    ),
}


def test_components_keep_their_types(whole: Graph, foundation: Graph, managed: Graph) -> None:
    types = {made.type for made in [*whole.made, *foundation.made, *managed.made] if made.component}
    assert types == set(TYPES)


def test_every_resource_belongs_to_a_component_and_every_component_to_none(
    whole: Graph, foundation: Graph, managed: Graph
) -> None:
    for graph in (whole, foundation, managed):
        components = {made.name for made in graph.made if made.component}
        assert {made.parent for made in graph.resources()} == components
        # The engine's root is a parent, too, but no component.
        assert {made.parent for made in graph.made if made.component}.isdisjoint(components)
        for made in graph.resources():
            assert made.name.startswith(f"{made.parent}-")


def test_what_a_component_says_it_has_the_engine_knows(whole: Graph, foundation: Graph, managed: Graph) -> None:
    for graph in (whole, foundation, managed):
        for made in graph.made:
            if made.component:
                assert graph.told[made.name] == frozenset(inspect.get_annotations(TYPES[made.type])), made.name


@pytest.mark.parametrize("make", MADE.values(), ids=MADE.keys())
def test_a_component_takes_options(make: Callable[[pulumi.ResourceOptions], object]) -> None:
    """Protection is one that can be seen from outside; what is in a protected component is so, too."""
    cloud = Recorder()
    run(lambda: make(pulumi.ResourceOptions(protect=True)), PROJECT, "test", {}, (), cloud)
    assert len(cloud.made) >= 2
    assert [made.name for made in cloud.made if not made.protected] == []
    assert [made.parent for made in cloud.made if not made.component] == ["it"] * (len(cloud.made) - 1)


@pytest.mark.parametrize("make", MADE.values(), ids=MADE.keys())
def test_a_component_uses_the_provider_it_is_given(make: Callable[[pulumi.ResourceOptions], object]) -> None:
    """Resources and calls alike: a call with another one's credentials would be denied."""
    cloud = Recorder()

    def program() -> None:
        make(pulumi.ResourceOptions(providers=[pulumiverse_scaleway.Provider("elsewhere")]))

    run(program, PROJECT, "test", {}, (), cloud)
    resources = [made.name for made in cloud.made if not made.component and not made.provides]
    assert resources != []
    assert [name for name in resources if "::elsewhere::" not in cloud.options[name].provider] == []
    assert [provider for provider in cloud.called_by if "::elsewhere::" not in provider] == []

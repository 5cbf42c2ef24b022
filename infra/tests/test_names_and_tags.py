"""Names and tags: the same for every run, different for every stack, on everything that takes them."""

from importlib import import_module
from typing import cast

import pulumi
import pytest
from pulumiverse_scaleway import network
from pulumiverse_scaleway import object as storage

from stackproof_infra.tags import tag_everything
from tests.cloud import PROJECT, WHOLE, Graph, Made, Recorder, deploy, run

# What the provider's schema gives no tags, and how it is found again without them.
UNTAGGABLE = {
    "scaleway:containers/domain:Domain": "by its host name",
    "scaleway:databases/database:Database": "by its name, within a tagged instance",
    "scaleway:databases/privilege:Privilege": "by user and database, within a tagged instance",
    "scaleway:databases/serverlessDatabase:ServerlessDatabase": "by its name, which is the stack's",
    "scaleway:databases/user:User": "by its name, within a tagged instance",
    "scaleway:iam/apiKey:ApiKey": "by its application, which is tagged",
    "scaleway:object/bucketPolicy:BucketPolicy": "by its bucket, which is tagged",
    "scaleway:object/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": "by its bucket",
    "scaleway:observability/alertManager:AlertManager": "by its project and region, which have one",
    "scaleway:observability/source:Source": "by its name, which is the stack's",
    "scaleway:observability/token:Token": "by its name, which is the stack's",
    "scaleway:registry/namespace:Namespace": "by its name, which is the stack's",
    "scaleway:secrets/version:Version": "by its secret, which is tagged",
}


def sdk_class(made: Made) -> type[pulumi.CustomResource]:
    """Returns the SDK's class of a type such as `scaleway:network/vpc:Vpc`; a type it does not have fails the test."""
    _, module, name = made.type.split(":")
    class_: type[pulumi.CustomResource] = getattr(import_module(f"pulumiverse_scaleway.{module.split('/')[0]}"), name)
    return class_


def takes_tags(made: Made) -> bool:
    return hasattr(sdk_class(made), "tags")


def test_everything_that_can_be_tagged_is_and_the_rest_is_known(whole: Graph, foundation: Graph) -> None:
    every = [*whole.resources(), *foundation.resources()]
    assert {made.type for made in every if not takes_tags(made)} == set(UNTAGGABLE)
    assert {made.type for made in every if "tags" not in made.asked} == set(UNTAGGABLE)


def test_tags_are_the_stack_and_the_urn(whole: Graph) -> None:
    components = {made.name: made.type for made in whole.made if made.component}
    tagged = [made for made in whole.resources() if takes_tags(made)]
    assert len(tagged) == 19
    for made in tagged:
        urn = f"urn:pulumi:test::{PROJECT}::{components[made.parent]}+{made.type}::{made.name}"
        assert list(made.tags())[:2] == ["stack:test", urn]


def test_a_resource_without_a_component_is_tagged_with_a_urn_without_one() -> None:
    def program() -> None:
        tag_everything()
        network.Vpc("lonely", tags=["team:shop"])

    (vpc,) = run(program, PROJECT, "test", {}, (), Recorder()).resources()
    urn = f"urn:pulumi:test::{PROJECT}::scaleway:network/vpc:Vpc::lonely"
    assert list(vpc.tags()) == ["stack:test", urn, "team:shop"]


def test_a_bucket_keeps_its_own_tags() -> None:
    def program() -> None:
        tag_everything()
        storage.Bucket("lonely", name="lonely", region="nl-ams", tags={"team": "shop"})

    (bucket,) = run(program, PROJECT, "test", {}, (), Recorder()).resources()
    urn = f"pulumi:test::{PROJECT}::scaleway:object/bucket:Bucket::lonely"
    assert bucket["tags"] == {"stack": "test", "urn": urn, "team": "shop"}


def test_tags_keep_to_what_object_storage_allows(whole: Graph) -> None:
    for made in filter(takes_tags, whole.resources()):
        for tag in made.tags():
            assert len(tag) <= 256
            assert all(character.isalnum() or character in " +-=._:/@" for character in tag), tag


def test_a_teams_own_tags_stand_beside_the_stacks() -> None:
    changed = deploy({"network": {"vpcTags": ["team:shop"], "privateNetworkTags": ["cost:42", "team:shop"]}})
    assert list(changed.the("network/vpc:Vpc").tags())[2:] == ["team:shop"]
    assert list(changed.the("network/privateNetwork:PrivateNetwork").tags())[2:] == ["cost:42", "team:shop"]


def test_names_are_the_same_every_time() -> None:
    assert names(deploy(WHOLE)) == names(deploy(WHOLE))


def test_names_come_from_prefix_and_stack_alone(whole: Graph, foundation: Graph) -> None:
    assert {**names(whole), **names(foundation)} == {
        "network-vpc": "acme-shop-test-network",
        "network-private": "acme-shop-test-network-private",
        "application-application": "acme-shop-test-application",
        "application-policy": "acme-shop-test-application",
        "operators-group": "acme-shop-test-operators",
        "operators-policy": "acme-shop-test-operators",
        "caller-application": "acme-shop-test-caller",
        "caller-policy": "acme-shop-test-caller",
        "database-instance": "acme-shop-test-database",
        "database-database": "app",
        "database-user": "app",
        "serverless-database": "acme-shop-test-serverless",
        "assets-bucket": "acme-shop-test-assets",
        "encryption-key": "acme-shop-test-encryption",
        "observability-metrics": "acme-shop-test-observability-metrics",
        "observability-logs": "acme-shop-test-observability-logs",
        "observability-traces": "acme-shop-test-observability-traces",
        "observability-token": "acme-shop-test-observability",
        "database-password-secret": "acme-shop-test-database-password",
        "database-admin-password-secret": "acme-shop-test-database-admin-password",
        "application-key-secret": "acme-shop-test-application-key",
        "telemetry-token-secret": "acme-shop-test-telemetry-token",
        "caller-key-secret": "acme-shop-test-caller-key",
        "web-namespace": "acme-shop-test-web",
        "web-container": "web",
        "web-trigger": "web-schedule",
        "registry-namespace": "acme-shop-test-registry",
        "deployers-application": "acme-shop-test-deployers",
        "deployers-policy": "acme-shop-test-deployers",
        "deployers-group": "acme-shop-test-deployers",
        "deployers-group-policy": "acme-shop-test-deployers-group",
        "deployers-key-secret": "acme-shop-test-deployers-key",
        "lock-login-secret": "acme-shop-test-lock-login",
        "state-bucket": "acme-shop-test-state",
        "state-backup-bucket": "acme-shop-test-state-backup",
        "lock-database": "acme-shop-test-lock",
    }


def test_two_stacks_of_one_prefix_share_no_name() -> None:
    inside_another = {"database-database", "database-user", "web-container", "web-trigger"}
    one, other = (set(names(deploy(WHOLE, stack=stack)).items()) for stack in ("dev", "staging"))
    assert {logical for logical, _ in one & other} == inside_another


@pytest.mark.parametrize(("prefix", "stack"), [("a" * 20, "b" * 30)])
def test_the_longest_names_still_fit(prefix: str, stack: str) -> None:
    graph = deploy({"prefix": prefix}, stack=stack)
    # A bucket's name is a DNS label, a serverless database's at most as long.
    for type_ in ("object/bucket:Bucket", "databases/serverlessDatabase:ServerlessDatabase"):
        assert len(cast("str", graph.the(type_)["name"])) <= 63
    # Beside 20 characters of the namespace's name, 8 of its id and a hyphen in one DNS label.
    assert len(cast("str", graph.the("containers/container:Container")["name"])) <= 34


def test_every_type_of_the_stack_is_one_of_the_sdks(whole: Graph) -> None:
    assert [made.name for made in whole.resources() if not issubclass(sdk_class(made), pulumi.CustomResource)] == []


def names(graph: Graph) -> dict[str, object]:
    """Returns the real name of everything that has one."""
    return {made.name: made["name"] for made in graph.resources() if "name" in made.asked}

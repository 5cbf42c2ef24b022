"""The database: kept, encrypted, and used by somebody who cannot administer it."""

from dataclasses import replace
from typing import cast

import pulumi
import pytest

from stackproof_infra.components.database import ADMINISTRATOR, DatabaseArgs
from stackproof_infra.place import Place
from tests.cloud import ADMIN_PASSWORD, PASSWORD, Graph, Recorder, deploy

ARGS = DatabaseArgs(
    place=Place(prefix="acme-shop", stack="test", project_id="p", region="fr-par"),
    private_network_id="n",
    engine="PostgreSQL-15",
    node_type="db-dev-s",
    volume_type="sbs_5k",
    volume_gb=10,
    high_availability=True,
    backup_frequency_hours=24,
    backup_retention_days=7,
    settings={},
    database="app",
    user="app",
    permission="readwrite",
    user_password="a",
    administrator_password="b",
)


def test_it_is_encrypted_at_rest(graph: Graph) -> None:
    assert graph.the("databases/instance:Instance")["encryptionAtRest"] is True


def test_it_is_backed_up_daily_to_another_region_and_the_backups_are_kept(graph: Graph) -> None:
    instance = graph.the("databases/instance:Instance")
    assert instance["disableBackup"] is False
    assert instance["backupScheduleFrequency"] == 24
    assert instance["backupScheduleRetention"] == 7
    assert instance["backupSameRegion"] is False


@pytest.mark.parametrize("days", [0, 366])
def test_a_component_refuses_backups_that_would_not_be_kept(days: int) -> None:
    with pytest.raises(ValueError, match=f"backup_retention_days must be 1 to 365, not {days}"):
        replace(ARGS, backup_retention_days=days)


@pytest.mark.parametrize("days", [1, 365])
def test_a_component_takes_the_shortest_and_the_longest_retention(days: int) -> None:
    assert replace(ARGS, backup_retention_days=days).backup_retention_days == days


@pytest.mark.parametrize("wanted", [True, False])
def test_high_availability_is_as_configured(wanted: bool) -> None:
    changed = deploy({"database": {"highAvailability": wanted}})
    assert changed.the("databases/instance:Instance")["isHaCluster"] is wanted


def test_its_disk_is_block_storage_of_the_configured_size() -> None:
    instance = deploy({"database": {"volumeGb": 25}}).the("databases/instance:Instance")
    assert (instance["volumeType"], instance["volumeSizeInGb"]) == ("sbs_5k", 25)


def test_its_engine_and_node_are_as_configured() -> None:
    changed = deploy({"database": {"engine": "PostgreSQL-16", "nodeType": "db-pro2-xxs"}})
    instance = changed.the("databases/instance:Instance")
    assert (instance["engine"], instance["nodeType"]) == ("PostgreSQL-16", "db-pro2-xxs")


def test_the_application_signs_in_as_a_user_who_administers_nothing(graph: Graph) -> None:
    user = graph.the("databases/user:User")
    instance = graph.the("databases/instance:Instance")
    assert user["isAdmin"] is False
    assert instance["userName"] == ADMINISTRATOR
    assert user["name"] != ADMINISTRATOR
    assert (user["password"], instance["password"]) == (PASSWORD, ADMIN_PASSWORD)


def test_the_user_has_the_configured_permission_on_the_one_database() -> None:
    changed = deploy({"database": {"name": "shop", "user": "clerk", "permission": "readonly"}})
    privilege = changed.the("databases/privilege:Privilege")
    assert (privilege["databaseName"], privilege["userName"], privilege["permission"]) == ("shop", "clerk", "readonly")
    assert changed.the("databases/database:Database")["name"] == "shop"
    assert changed.the("databases/user:User")["name"] == "clerk"


def test_database_user_and_permission_are_the_instances(graph: Graph) -> None:
    instance = graph.the("databases/instance:Instance")
    for part in ("databases/database:Database", "databases/user:User", "databases/privilege:Privilege"):
        assert graph.the(part)["instanceId"] == instance.id


def test_the_endpoint_is_empty_while_the_instance_has_none() -> None:
    class Previewing(Recorder):
        """Knows of a resource what the program asked for and nothing else, as a preview does."""

        def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, object]]:
            return f"id-of-{args.name}", cast("dict[str, object]", args.inputs)

    assert deploy(recorder=Previewing()).exports["database_endpoint"] == ""

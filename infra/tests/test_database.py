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


@pytest.mark.parametrize("hours", [0, 25])
def test_a_component_refuses_backups_that_would_be_too_old(hours: int) -> None:
    with pytest.raises(ValueError, match=f"backup_frequency_hours must be 1 to 24, not {hours}"):
        replace(ARGS, backup_frequency_hours=hours)


@pytest.mark.parametrize("hours", [1, 24])
def test_a_component_takes_the_shortest_and_the_longest_time_between_backups(hours: int) -> None:
    assert replace(ARGS, backup_frequency_hours=hours).backup_frequency_hours == hours


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


def test_its_disk_is_as_fast_as_configured() -> None:
    changed = deploy({"database": {"volumeType": "sbs_15k"}})
    assert changed.the("databases/instance:Instance")["volumeType"] == "sbs_15k"


def test_backups_are_as_frequent_as_configured() -> None:
    changed = deploy({"database": {"backupFrequencyHours": 6}})
    assert changed.the("databases/instance:Instance")["backupScheduleFrequency"] == 6


def test_it_keeps_its_node_types_settings_unless_configured(graph: Graph) -> None:
    assert "settings" not in graph.the("databases/instance:Instance").asked


def test_its_settings_are_as_configured() -> None:
    settings = {
        "effective_cache_size": 1300,
        "maintenance_work_mem": 150,
        "max_connections": 200,
        "max_parallel_workers": 0,
        "max_parallel_workers_per_gather": 0,
        "work_mem": 4,
    }
    changed = deploy({"database": {"settings": settings}})
    assert changed.the("databases/instance:Instance")["settings"] == {name: str(settings[name]) for name in settings}


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


def test_who_knows_the_user_knows_it_has_its_permission() -> None:
    """The name that is handed on comes from the permission: nobody signs in before there is one."""

    class Renaming(Recorder):
        """Answers for the permission with another user than was asked for, so that its answer can be told apart."""

        def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, object]]:
            id_, made = super().new_resource(args)
            return id_, {**made, "userName": "permitted"} if args.name == "database-privilege" else made

    graph = deploy(recorder=Renaming())
    assert graph.exports["database_user"] == "permitted"
    variables = cast("dict[str, str]", graph.the("containers/container:Container")["environmentVariables"])
    assert variables["DATABASE_USER"] == "permitted"


@pytest.mark.parametrize("private", [None, {"pnId": "id-of-network-private"}])
def test_the_endpoint_is_empty_while_the_instance_has_none(private: dict[str, str] | None) -> None:
    class Waiting(Recorder):
        """Knows of the instance no endpoint yet, as a preview does not, or none at all."""

        def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, object]]:
            id_, made = super().new_resource(args)
            return id_, {**made, "privateNetwork": private} if args.name == "database-instance" else made

    graph = deploy(recorder=Waiting())
    assert graph.exports["database_endpoint"] == ""
    variables = cast("dict[str, str]", graph.the("containers/container:Container")["environmentVariables"])
    assert (variables["DATABASE_HOST"], variables["DATABASE_PORT"]) == ("", "")

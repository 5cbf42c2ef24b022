"""One setting, one resource: what a team changes by configuration changes that and nothing beside it."""

from collections.abc import Mapping
from typing import cast

import pytest

from tests.cloud import WHOLE, Graph, deploy, lay_foundation

# Types of which nothing changes in place by a setting, and why.
UNCHANGING = {
    "scaleway:containers/domain:Domain": "the provider replaces it for another host name",
    "scaleway:databases/database:Database": "the provider replaces it whatever changes",
    "scaleway:observability/token:Token": "the provider replaces it whatever changes",
    "scaleway:object/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "its one property in place is the algorithm, which is policy"
    ),
}

# Configuration, and which inputs of which resources it changes. The first resource's first input changes in place.
SETTINGS: list[tuple[str, Mapping[str, object], dict[str, list[str]]]] = [
    ("network", {"vpcTags": ["team:shop"]}, {"network-vpc": ["tags"]}),
    ("network", {"privateNetworkTags": ["team:shop"]}, {"network-private": ["tags"]}),
    ("identity", {"description": "Mind the gap."}, {"application-application": ["description"]}),
    ("identity", {"policyDescription": "Mind the gap."}, {"application-policy": ["description"]}),
    ("identity", {"keyDescription": "Mind the gap."}, {"application-api-key": ["description"]}),
    ("database", {"backupRetentionDays": 30}, {"database-instance": ["backupScheduleRetention"]}),
    ("database", {"backupFrequencyHours": 12}, {"database-instance": ["backupScheduleFrequency"]}),
    ("database", {"highAvailability": False}, {"database-instance": ["isHaCluster"]}),
    ("database", {"volumeGb": 20}, {"database-instance": ["volumeSizeInGb"]}),
    ("database", {"volumeType": "sbs_15k"}, {"database-instance": ["volumeType"]}),
    ("database", {"permission": "readonly"}, {"database-privilege": ["permission"]}),
    ("serverlessDatabase", {"maxCpu": 8}, {"serverless-database": ["maxCpu"]}),
    ("storage", {"noncurrentExpirationDays": 90}, {"assets-bucket": ["lifecycleRules"]}),
    ("storage", {"readers": ["user_id:77777777-7777-4777-8777-777777777777"]}, {"assets-policy": ["policy"]}),
    ("encryption", {"description": "Mind the gap."}, {"encryption-key": ["description"]}),
    ("encryption", {"rotationDays": 30}, {"encryption-key": ["rotationPolicy"]}),
    ("container", {"description": "Mind the gap."}, {"web-container": ["description"]}),
    ("container", {"image": f"rg.fr-par.scw.cloud/a/b@sha256:{'b' * 64}"}, {"web-container": ["image"]}),
    ("container", {"maxScale": 9}, {"web-container": ["maxScale"]}),
    ("container", {"healthPath": "/alive"}, {"web-container": ["livenessProbe"]}),
    ("container", {"environment": {"LOG_LEVEL": "debug"}}, {"web-container": ["environmentVariables"]}),
    ("container", {"namespaceDescription": "Mind the gap."}, {"web-namespace": ["description"]}),
    (
        "container",
        {"cron": {"schedule": "0 3 * * *", "description": "Mind the gap."}},
        {"web-trigger": ["description"]},
    ),
    ("container", {"cron": {"schedule": "0 4 * * *"}}, {"web-trigger": ["cron"]}),
    (
        "observability",
        {"retentionDays": 60},
        {f"observability-{kind}": ["retentionDays"] for kind in ("metrics", "logs", "traces")},
    ),
    ("observability", {"contacts": ["on-call@example.com"]}, {"observability-alerts": ["contactPoints"]}),
    ("observability", {"alerts": ["Cockpit"]}, {"observability-alerts": ["preconfiguredAlertIds"]}),
    ("credentials", {"databaseDescription": "Mind the gap."}, {"database-password-secret": ["description"]}),
    ("credentials", {"databaseNote": "After the leak."}, {"database-password-version": ["description"]}),
    ("credentials", {"applicationDescription": "Mind the gap."}, {"application-key-secret": ["description"]}),
    ("credentials", {"telemetryDescription": "Mind the gap."}, {"telemetry-token-secret": ["description"]}),
]


def changed(before: Graph, after: Graph) -> dict[str, list[str]]:
    """Returns which inputs of which resources differ between two runs that made the same resources."""
    assert {made.name for made in before.resources()} == {made.name for made in after.resources()}
    differing = {
        made.name: [key for key in {**made.plain, **then.plain} if made.plain.get(key) != then.plain.get(key)]
        for made in before.resources()
        for then in [after.named(made.name)]
    }
    return {name: keys for name, keys in differing.items() if keys}


@pytest.mark.parametrize(
    ("section", "setting", "expected"),
    SETTINGS,
    ids=[f"{section}.{' and '.join(setting)}" for section, setting, _ in SETTINGS],
)
def test_a_setting_changes_one_thing(
    whole: Graph, section: str, setting: Mapping[str, object], expected: dict[str, list[str]]
) -> None:
    before = cast("Mapping[str, object]", WHOLE.get(section, {}))
    assert changed(whole, deploy({**WHOLE, section: {**before, **setting}})) == expected


def test_the_operators_change_their_group() -> None:
    operators = ["77777777-7777-4777-8777-777777777777"]
    assert changed(deploy(), deploy({"operators": operators})) == {"operators-group": ["userIds"]}


def test_a_rotated_password_reaches_the_user_the_secret_and_the_application(whole: Graph) -> None:
    """The version is replaced, for a version's data are fixed; everything else changes in place."""
    assert changed(whole, deploy({**WHOLE, "databasePassword": "Capital-City-9"})) == {
        "database-user": ["password"],
        "database-password-version": ["data"],
        "web-container": ["secretEnvironmentVariables"],
    }


def test_the_administrators_password_reaches_the_instance_and_its_secret_only(whole: Graph) -> None:
    assert changed(whole, deploy({**WHOLE, "databaseAdminPassword": "Capital-City-9"})) == {
        "database-instance": ["password"],
        "database-admin-password-version": ["data"],
    }


def test_the_foundations_setting_changes_its_registry(foundation: Graph) -> None:
    after = lay_foundation({"registry": {"description": "Mind the gap."}})
    assert changed(foundation, after) == {"registry-namespace": ["description"]}


def test_every_type_that_can_change_in_place_does_so_by_a_setting(whole: Graph, foundation: Graph) -> None:
    elsewhere = {"operators-group", "database-user", "registry-namespace"}
    settled = {name for _, _, expected in SETTINGS for name in expected} | elsewhere
    every = [*whole.resources(), *foundation.resources()]
    assert {made.type for made in every} - {made.type for made in every if made.name in settled} == set(UNCHANGING)

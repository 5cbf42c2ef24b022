"""One setting, one resource: what a team changes by configuration changes that and nothing beside it."""

import pytest

from tests.cloud import Graph, deploy


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
    ("key", "value", "name", "input_"),
    [
        ("network", {"vpcTags": ["team:shop"]}, "network-vpc", "tags"),
        ("network", {"privateNetworkTags": ["team:shop"]}, "network-private", "tags"),
        ("database", {"backupRetentionDays": 30}, "database-instance", "backupScheduleRetention"),
        ("database", {"highAvailability": False}, "database-instance", "isHaCluster"),
        ("database", {"volumeGb": 20}, "database-instance", "volumeSizeInGb"),
        ("database", {"permission": "readonly"}, "database-privilege", "permission"),
        ("storage", {"noncurrentExpirationDays": 90}, "assets-bucket", "lifecycleRules"),
        (
            "storage",
            {"readers": ["user_id:77777777-7777-4777-8777-777777777777"]},
            "assets-policy",
            "policy",
        ),
        ("credentials", {"databaseDescription": "Mind the gap."}, "database-password-secret", "description"),
        ("credentials", {"applicationDescription": "Mind the gap."}, "application-key-secret", "description"),
        ("identity", {"description": "Mind the gap."}, "application-application", "description"),
        ("identity", {"keyDescription": "Mind the gap."}, "application-api-key", "description"),
    ],
)
def test_a_setting_changes_one_resource(graph: Graph, key: str, value: object, name: str, input_: str) -> None:
    assert changed(graph, deploy({key: value})) == {name: [input_]}

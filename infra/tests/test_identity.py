"""Least privilege: what each principal may do, and where."""

from typing import cast

import pytest

from stackproof_infra.config import InvalidConfiguration
from tests.cloud import OPERATORS_ID, PROJECT_ID, Graph, deploy

APPLICATION = ["ObjectStorageObjectsRead", "ServerlessSQLDatabaseReadWrite"]
OPERATORS = [
    "ContainerRegistryReadOnly",
    "ContainersReadOnly",
    "IPAMReadOnly",
    "KeyManagerReadOnly",
    "ObjectStorageBucketsRead",
    "ObservabilityReadOnly",
    "PrivateNetworksReadOnly",
    "RelationalDatabasesReadOnly",
    "SecretManagerReadOnly",
    "VPCReadOnly",
]
# Sets that read what people and programs keep, not how it is kept.
CONTENTS = {
    "AllProductsReadOnly",
    "ObjectStorageReadOnly",
    "ObjectStorageObjectsRead",
    "SecretManagerSecretAccess",
    "ServerlessSQLDatabaseReadOnly",
}


def rules(graph: Graph, policy: str) -> list[dict[str, object]]:
    return cast("list[dict[str, object]]", graph.named(policy)["rules"])


def test_every_policy_is_limited_to_the_stacks_project(whole: Graph) -> None:
    policies = [made.name for made in whole.all("iam/policy:Policy")]
    assert sorted(policies) == ["application-policy", "caller-policy", "operators-policy"]
    for policy in policies:
        (rule,) = rules(whole, policy)
        assert rule.keys() == {"permissionSetNames", "projectIds"}
        assert rule["projectIds"] == [PROJECT_ID]


@pytest.mark.parametrize(
    ("policy", "sets"),
    [
        ("application-policy", APPLICATION),
        ("operators-policy", OPERATORS),
        ("caller-policy", ["ContainersPrivateAccess"]),
    ],
)
def test_each_principal_has_exactly_these_permission_sets(whole: Graph, policy: str, sets: list[str]) -> None:
    assert [rule["permissionSetNames"] for rule in rules(whole, policy)] == [sets]


def test_an_application_that_does_more_is_granted_more() -> None:
    sets = ["ObjectStorageObjectsWrite", "KeyManagerKeyEncrypt"]
    changed = deploy({"identity": {"permissionSets": sets}})
    assert sets_of(changed, "application-policy") == sets


def test_an_application_that_manages_something_is_refused() -> None:
    with pytest.raises(InvalidConfiguration):
        deploy({"identity": {"permissionSets": ["ObjectStorageFullAccess"]}})


def test_no_permission_set_manages_anything(whole: Graph) -> None:
    names = [name for made in whole.all("iam/policy:Policy") for name in sets_of(whole, made.name)]
    assert [name for name in names if "FullAccess" in name or "AllProducts" in name or "Manager" in name[-7:]] == []


def test_operators_change_nothing_and_read_no_contents(whole: Graph) -> None:
    sets = sets_of(whole, "operators-policy")
    assert [name for name in sets if not name.endswith(("ReadOnly", "BucketsRead"))] == []
    assert CONTENTS.isdisjoint(sets)


def sets_of(graph: Graph, policy: str) -> list[str]:
    return [name for rule in rules(graph, policy) for name in cast("list[str]", rule["permissionSetNames"])]


@pytest.mark.parametrize("name", ["application", "caller"])
def test_policy_and_key_are_the_applications(whole: Graph, name: str) -> None:
    application = whole.named(f"{name}-application")
    assert whole.named(f"{name}-policy")["applicationId"] == application.id
    assert whole.named(f"{name}-api-key")["applicationId"] == application.id


def test_the_operators_policy_is_their_groups(graph: Graph) -> None:
    policy = graph.named("operators-policy")
    assert policy["groupId"] == graph.the("iam/group:Group").id
    assert "applicationId" not in policy.asked
    assert policy["description"] == "What acme-shop-test-operators may look at."


def test_the_operators_are_those_configured() -> None:
    assert deploy({"operators": [OPERATORS_ID]}).the("iam/group:Group")["userIds"] == [OPERATORS_ID]


def test_a_team_may_have_no_operators_yet(graph: Graph) -> None:
    group = graph.the("iam/group:Group")
    assert group["userIds"] == []
    assert group["description"] == "Watch over acme-shop-test."


def test_nobody_has_a_key_to_call_a_public_container(graph: Graph) -> None:
    assert [made.name for made in graph.all("iam/application:Application")] == ["application-application"]


def test_the_key_is_for_the_stacks_project(graph: Graph) -> None:
    assert graph.the("iam/apiKey:ApiKey")["defaultProjectId"] == PROJECT_ID


def test_keys_end_when_configured(graph: Graph) -> None:
    assert "expiresAt" not in graph.the("iam/apiKey:ApiKey").asked
    changed = deploy({"identity": {"keyExpiresAt": "2030-01-31T00:00:00Z"}, "container": {"private": True}})
    assert [made["expiresAt"] for made in changed.all("iam/apiKey:ApiKey")] == ["2030-01-31T00:00:00Z"] * 2


def test_a_key_is_made_once_its_rights_are_there(graph: Graph) -> None:
    assert "application-policy" in graph.the("iam/apiKey:ApiKey").after

"""Least privilege: what the application may do, and where."""

from typing import cast

from tests.cloud import PROJECT_ID, Graph, deploy


def rules(graph: Graph) -> list[dict[str, object]]:
    return [
        rule for policy in graph.all("iam/policy:Policy") for rule in cast("list[dict[str, object]]", policy["rules"])
    ]


def test_every_rule_is_limited_to_the_stacks_project(graph: Graph) -> None:
    assert [rule["projectIds"] for rule in rules(graph)] == [[PROJECT_ID]]
    assert [rule for rule in rules(graph) if "organizationId" in rule] == []


def test_the_application_may_use_assets_and_read_secrets_and_no_more(graph: Graph) -> None:
    assert [rule["permissionSetNames"] for rule in rules(graph)] == [
        ["ObjectStorageObjectsRead", "ObjectStorageObjectsWrite", "SecretManagerSecretAccess"]
    ]


def test_no_permission_set_manages_anything(graph: Graph) -> None:
    names = [name for rule in rules(graph) for name in cast("list[str]", rule["permissionSetNames"])]
    assert [name for name in names if "FullAccess" in name or "AllProducts" in name or "Manager" in name[-7:]] == []


def test_policy_and_key_are_the_applications(graph: Graph) -> None:
    application = graph.the("iam/application:Application")
    assert graph.the("iam/policy:Policy")["applicationId"] == application.id
    assert graph.the("iam/apiKey:ApiKey")["applicationId"] == application.id


def test_the_key_is_for_the_stacks_project(graph: Graph) -> None:
    assert graph.the("iam/apiKey:ApiKey")["defaultProjectId"] == PROJECT_ID


def test_the_key_ends_when_configured(graph: Graph) -> None:
    assert "expiresAt" not in graph.the("iam/apiKey:ApiKey").asked
    changed = deploy({"identity": {"keyExpiresAt": "2030-01-31T00:00:00Z"}})
    assert changed.the("iam/apiKey:ApiKey")["expiresAt"] == "2030-01-31T00:00:00Z"

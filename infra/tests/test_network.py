"""Isolation: what the stack puts where, and that nothing of it is published."""

import json

from tests.cloud import CERTIFICATE, OPERATORS_ID, PROJECT_ID, SECRET_KEY, TOKEN, Graph, deploy
from tests.test_names_and_tags import sdk_class

# Modules of managed services (NFR-014). Not among them, and so refused: instances, bare metal, Kubernetes, load
# balancers and gateways, which somebody would have to patch or open.
MANAGED = {
    "containers",
    "databases",
    "iam",
    "keymanager",
    "network",
    "object",
    "observability",
    "registry",
    "secrets",
}

# Within those modules, types that give something a public address or are one.
PUBLISHING = ("containers/container", "containers/domain", "network/publicGateway", "network/gateway", "databases/acl")


def test_everything_is_a_managed_service_of_scaleways(whole: Graph, foundation: Graph) -> None:
    every = [*whole.resources(), *foundation.resources()]
    assert {made.type.split(":")[0] for made in every} == {"scaleway"}
    assert {made.type.split(":")[1].split("/")[0] for made in every} == MANAGED


def test_nothing_but_the_container_has_a_public_address(whole: Graph) -> None:
    published = [made.name for made in whole.resources() if made.type.removeprefix("scaleway:").startswith(PUBLISHING)]
    assert sorted(published) == ["web-container", "web-domain"]


def test_the_database_has_a_private_endpoint_and_no_other(graph: Graph) -> None:
    instance = graph.the("databases/instance:Instance")
    assert instance["privateNetwork"] == {
        "pnId": graph.the("network/privateNetwork:PrivateNetwork").id,
        "enableIpam": True,
    }
    assert "loadBalancer" not in instance.asked
    assert graph.all("databases/readReplica:ReadReplica") == []


def test_the_private_network_lies_in_the_stacks_own_vpc(graph: Graph) -> None:
    assert graph.the("network/privateNetwork:PrivateNetwork")["vpcId"] == graph.the("network/vpc:Vpc").id


def test_the_private_network_has_the_configured_addresses() -> None:
    changed = deploy({"network": {"cidr": "192.168.4.0/24"}})
    assert changed.the("network/privateNetwork:PrivateNetwork")["ipv4Subnet"] == {"subnet": "192.168.4.0/24"}


def test_everything_is_created_in_the_configured_project(whole: Graph, foundation: Graph) -> None:
    """Whatever can be told its project is told: the provider's own default may be another one's."""
    for made in [*whole.resources(), *foundation.resources()]:
        # API keys name theirs otherwise; what lies inside another resource follows it.
        if hasattr(sdk_class(made), "project_id"):
            apart = made.name.startswith("database-admin-password")
            assert made["projectId"] == (OPERATORS_ID if apart else PROJECT_ID), made.name


def test_everything_is_created_in_the_configured_region(whole: Graph, foundation: Graph) -> None:
    for made in [*whole.resources(), *foundation.resources()]:
        # IAM belongs to the organisation, and backups of the state survive the loss of its region.
        region = "fr-par" if made.name.startswith("state-backup") else "nl-ams"
        assert made.type.startswith("scaleway:iam/") or made["region"] == region, made.name


def test_the_exports_name_what_the_stack_made(graph: Graph) -> None:
    assert json.loads(json.dumps(graph.exports)) == {
        "url": "https://acme-web.functions.fnc.nl-ams.scw.cloud",
        "container_id": "id-of-web-container",
        "container_namespace_id": "id-of-web-namespace",
        "vpc_id": "id-of-network-vpc",
        "private_network_id": "id-of-network-private",
        "bucket": "acme-shop-test-assets",
        "bucket_endpoint": "https://acme-shop-test-assets.s3.nl-ams.scw.cloud",
        "database_instance_id": "id-of-database-instance",
        "database_endpoint": "10.0.0.2:5432",
        "database_name": "app",
        "database_user": "app",
        "database_certificate": CERTIFICATE,
        "database_password_secret_id": "id-of-database-password-secret",
        "serverless_database_id": "id-of-serverless-database",
        "serverless_database_endpoint": "postgres://sql.nl-ams.scw.cloud:5432/acme?sslmode=require",
        "encryption_key_id": "id-of-encryption-key",
        "metrics_push_url": "https://metrics.cockpit.nl-ams.scw.cloud/push",
        "logs_push_url": "https://logs.cockpit.nl-ams.scw.cloud/push",
        "traces_push_url": "https://traces.cockpit.nl-ams.scw.cloud/push",
        "alert_manager_url": "https://alertmanager.cockpit.nl-ams.scw.cloud",
        "telemetry_token_secret_id": "id-of-telemetry-token-secret",
        "telemetry_token": TOKEN,
        "operators_group_id": "id-of-operators-group",
        "application_key_secret_id": "id-of-application-key-secret",
        "application_id": "id-of-application-application",
        "access_key": "SCWAAAAAAAAAAAAAAAAA",
        "secret_key": SECRET_KEY,
    }

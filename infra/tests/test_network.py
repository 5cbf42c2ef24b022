"""Isolation: what the stack puts where, and that nothing of it is published."""

import json

from tests.cloud import Graph, deploy

# Types that give a public address to something, or publish it in another way.
PUBLISHING = ("loadbalancers/", "network/publicGateway", "instance/ip", "elasticmetal/ip", "domain/")


def test_nothing_publishes_an_address(graph: Graph) -> None:
    published = [made.name for made in graph.resources() if made.type.removeprefix("scaleway:").startswith(PUBLISHING)]
    assert published == []


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


def test_everything_is_created_in_the_configured_project_and_region(graph: Graph) -> None:
    for made in graph.resources():
        # IAM belongs to the organisation, and what lies inside another resource follows it.
        assert made.plain.get("projectId", "11111111-1111-4111-8111-111111111111") == (
            "11111111-1111-4111-8111-111111111111"
        ), made.name
        assert made.type.startswith("scaleway:iam/") or made["region"] == "nl-ams", made.name


def test_every_resource_is_scaleways(graph: Graph) -> None:
    assert [made.type for made in graph.resources() if not made.type.startswith("scaleway:")] == []


def test_the_exports_name_what_the_stack_made(graph: Graph) -> None:
    assert json.loads(json.dumps(graph.exports)) == {
        "vpc_id": "id-of-network-vpc",
        "private_network_id": "id-of-network-private",
        "bucket": "acme-shop-test-assets",
        "bucket_endpoint": "https://acme-shop-test-assets.s3.nl-ams.scw.cloud",
        "database_instance_id": "id-of-database-instance",
        "database_endpoint": "10.0.0.2:5432",
        "database_name": "app",
        "database_user": "app",
        "database_password_secret_id": "id-of-database-password-secret",
        "application_key_secret_id": "id-of-application-key-secret",
        "application_id": "id-of-application-application",
        "access_key": "SCWAAAAAAAAAAAAAAAAA",
        "secret_key": "44444444-4444-4444-8444-444444444444",
    }

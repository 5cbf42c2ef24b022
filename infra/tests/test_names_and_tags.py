"""Names and tags: the same every time, different for every stack, on everything that takes them."""

from importlib import import_module
from typing import cast

import pulumi
import pytest

from tests.cloud import Graph, Made, deploy


def sdk_class(made: Made) -> type[pulumi.CustomResource]:
    """Returns the SDK's class of a type such as `scaleway:network/vpc:Vpc`; a type it does not have fails the test."""
    _, module, name = made.type.split(":")
    class_: type[pulumi.CustomResource] = getattr(import_module(f"pulumiverse_scaleway.{module.split('/')[0]}"), name)
    return class_


def takes_tags(made: Made) -> bool:
    return hasattr(sdk_class(made), "tags")


def test_everything_taggable_carries_its_stack_and_its_urn(graph: Graph) -> None:
    components = {made.name: made.type for made in graph.made if made.component}
    taggable = [made for made in graph.resources() if takes_tags(made)]
    assert len(taggable) == 8
    for made in taggable:
        component = max((name for name in components if made.name.startswith(name)), key=len)
        urn = f"urn:pulumi:test::stackproof-infra::{components[component]}+{made.type}::{made.name}"
        assert list(made.tags())[:2] == ["stack:test", urn]


def test_tags_keep_to_what_object_storage_allows(graph: Graph) -> None:
    for made in filter(takes_tags, graph.resources()):
        for tag in made.tags():
            assert len(tag) <= 256
            assert all(character.isalnum() or character in " +-=._:/@" for character in tag), tag


def test_a_teams_own_tags_stand_beside_the_stacks() -> None:
    changed = deploy({"network": {"vpcTags": ["team:shop"], "privateNetworkTags": ["cost:42", "team:shop"]}})
    assert list(changed.the("network/vpc:Vpc").tags())[2:] == ["team:shop"]
    assert list(changed.the("network/privateNetwork:PrivateNetwork").tags())[2:] == ["cost:42", "team:shop"]


def test_names_are_the_same_every_time() -> None:
    assert names(deploy()) == names(deploy())


def test_names_come_from_prefix_and_stack_alone(graph: Graph) -> None:
    assert names(graph) == {
        "network-vpc": "acme-shop-test-network",
        "network-private": "acme-shop-test-network-private",
        "application-application": "acme-shop-test-application",
        "application-policy": "acme-shop-test-application",
        "database-instance": "acme-shop-test-database",
        "database-database": "app",
        "database-user": "app",
        "database-password-secret": "acme-shop-test-database-password",
        "application-key-secret": "acme-shop-test-application-key",
        "assets-bucket": "acme-shop-test-assets",
    }


def test_two_stacks_of_one_prefix_share_no_name() -> None:
    inside_the_instance = {"database-database", "database-user"}
    one, other = (set(names(deploy(stack=stack)).items()) for stack in ("dev", "staging"))
    assert {logical for logical, _ in one & other} == inside_the_instance


@pytest.mark.parametrize(("prefix", "stack"), [("a" * 20, "b" * 30)])
def test_the_longest_names_still_fit_a_bucket(prefix: str, stack: str) -> None:
    bucket = deploy({"prefix": prefix}, stack=stack).the("object/bucket:Bucket")
    assert len(cast("str", bucket["name"])) <= 63


def test_every_type_of_the_stack_is_one_of_the_sdks(graph: Graph) -> None:
    assert [made.name for made in graph.resources() if not issubclass(sdk_class(made), pulumi.CustomResource)] == []


def names(graph: Graph) -> dict[str, object]:
    """Returns the real name of everything that has one."""
    return {made.name: made["name"] for made in graph.resources() if "name" in made.asked}

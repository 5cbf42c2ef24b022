"""The foundation: what is there before any stack, read and tagged as a stack is."""

import pytest

from stackproof_infra.config import InvalidConfiguration
from tests.cloud import FOUNDATION, PROJECT_ID, Graph, lay_foundation


def test_the_registry_is_private_and_named_like_everything_else(foundation: Graph) -> None:
    (namespace,) = foundation.resources()
    assert namespace.plain == {
        "name": "acme-shop-test-registry",
        "projectId": PROJECT_ID,
        "region": "nl-ams",
        "description": "Images of the application.",
        "isPublic": False,
    }


def test_its_exports_say_where_images_go(foundation: Graph) -> None:
    assert foundation.exports == {
        "registry_namespace_id": "id-of-registry-namespace",
        "registry_endpoint": "rg.nl-ams.scw.cloud/acme-shop-test-registry",
    }


def test_its_description_is_as_configured() -> None:
    changed = lay_foundation({"registry": {"description": "Mind the gap."}})
    assert changed.the("registry/namespace:Namespace")["description"] == "Mind the gap."


def test_a_bad_configuration_is_refused_as_a_whole() -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        lay_foundation({"registry": {"description": ""}, "region": "fr-par"})
    assert [fault.key for fault in refused.value.faults] == ["registry.description", "region"]


def test_the_package_is_found_from_wherever_the_program_lies(foundation: Graph) -> None:
    assert [made.type for made in foundation.made if made.component] == ["stackproof:registry:Registry"]
    assert FOUNDATION == "stackproof-foundation"

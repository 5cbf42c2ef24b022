"""What a team decides about its foundation, `infra/state`: what must be there before any stack.

| key | default | what it decides |
| --- | --- | --- |
| `prefix` | required | the start of every name; registry namespaces are unique in their region |
| `scaleway:projectId`, `scaleway:region` | as for a stack | where everything is created |
| `registry.description` | a sentence | for people who read the list of registries |
"""

from dataclasses import dataclass

from stackproof_infra.config.given import Given, Reading, found
from stackproof_infra.place import Place
from stackproof_infra.reader import Section
from stackproof_infra.rules import DESCRIPTION

PROJECT = "stackproof-foundation"


@dataclass(frozen=True, kw_only=True)
class RegistrySettings:
    """The keys of `registry`."""

    description: str


@dataclass(frozen=True, kw_only=True)
class FoundationSettings:
    """A whole configuration without a fault."""

    place: Place
    registry: RegistrySettings


def load() -> FoundationSettings:
    """Reads the running program's configuration.

    Raises `InvalidConfiguration` with all its faults.
    """
    return read(found())


def read(given: Given) -> FoundationSettings:
    """Turns a configuration into settings.

    Raises `InvalidConfiguration` with all its faults.
    """
    with Reading(given) as reading:
        return FoundationSettings(place=reading.place, registry=_registry(reading.top.section("registry")))


def _registry(registry: Section) -> RegistrySettings:
    settings = RegistrySettings(
        description=registry.text("description", DESCRIPTION, "Images of the application."),
    )
    registry.refuse_unknown()
    return settings

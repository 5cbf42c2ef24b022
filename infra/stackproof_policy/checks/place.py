"""Where resources are, and whose they are."""

from collections.abc import Iterator, Mapping
from typing import cast

from stackproof_policy.catalog import Parameters
from stackproof_policy.resource import UNKNOWN, Resource

# Of these the engine makes its own bookkeeping.
_ENGINE = "pulumi"


def scaleway_only(resource: Resource, parameters: Parameters) -> Iterator[str]:
    """Finds resources and providers of other packages; components are the program's own and in no cloud."""
    if not resource.custom and not resource.provides:
        return
    if resource.package not in (*parameters.packages, _ENGINE):
        yield f"it is of package {resource.package}, not of {' or '.join(parameters.packages)}"


def region_allowed(resource: Resource, parameters: Parameters) -> Iterator[str]:
    """Finds resources whose region, or the region of whose zone, is not in the list."""
    zone = resource.get("zone")
    for region in (resource.get("region"), zone.rpartition("-")[0] if isinstance(zone, str) else None):
        if isinstance(region, str) and region and region not in parameters.regions:
            yield f"it lies in {region}, not in {', '.join(parameters.regions)}"


def tagged(resource: Resource, _: Parameters) -> Iterator[str]:
    """Finds resources without the tags that name their stack and their URN."""
    tags = resource.get("tags")
    if tags is UNKNOWN:
        return
    if isinstance(tags, Mapping):
        known = cast("Mapping[str, object]", tags)
        texts = [f"{key}:{value}" for key, value in known.items()]
    else:
        texts = resource.texts("tags")
    if f"stack:{resource.stack}" not in texts:
        yield f"it has no tag stack:{resource.stack}"
    if not any(text.startswith("urn:") for text in texts):
        yield "it has no tag with its URN"

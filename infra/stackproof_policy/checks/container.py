"""Containers, and where their images come from."""

import re
from collections.abc import Iterator

from stackproof_policy.catalog import Parameters
from stackproof_policy.resource import UNKNOWN, Resource

# Names that say what the value is. A key's public half is no credential: ACCESS_KEY; nor is a key's id.
_CREDENTIAL = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|CREDENTIAL|PASSPHRASE", re.IGNORECASE)


def https_only(container: Resource, _: Parameters) -> Iterator[str]:
    """Finds containers that answer in the clear."""
    # An older name of the same switch.
    if not container.is_on("httpsConnectionsOnly") and container.get("httpOption") != "redirected":
        yield "httpsConnectionsOnly is not on"


def in_network(container: Resource, _: Parameters) -> Iterator[str]:
    """Finds containers without a private network."""
    if not container.has("privateNetworkId"):
        yield "privateNetworkId is not set"


def own_image(container: Resource, parameters: Parameters) -> Iterator[str]:
    """Finds containers that run an image of another registry, or one that may change unseen."""
    image = container.get("image") or container.get("registryImage")
    if image is UNKNOWN:
        return
    if not isinstance(image, str):
        yield "it names no image"
        return
    host = image.partition("/")[0]
    if host not in [f"rg.{region}.scw.cloud" for region in parameters.regions]:
        yield f"its image comes from {host}"
    if "@sha256:" not in image:
        yield "its image is named by a tag, not by its digest"


def no_plain_credentials(resource: Resource, _: Parameters) -> Iterator[str]:
    """Finds plain variables that are called as credentials are; their values are not looked at, nor shown."""
    for name in resource.keys("environmentVariables"):
        if _CREDENTIAL.search(name):
            yield f"environmentVariables has {name} in the clear"


def registry_private(namespace: Resource, _: Parameters) -> Iterator[str]:
    """Finds registries that anybody may pull from."""
    if namespace.may_be_on("isPublic"):
        yield "isPublic is on"

"""Where the lives are led: a project of their own, so that nothing else is touched."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from scaleway import Client

DEFAULTS = {"SCW_DEFAULT_REGION": "fr-par", "SCW_DEFAULT_ZONE": "fr-par-1"}


class UnsetError(Exception):
    """A variable that says whose cloud it is, and is not set."""


@dataclass(frozen=True)
class Place:
    """A client, whose default project is the one that everything is made in."""

    client: Client
    project_id: str
    region: str


def organization() -> Client:
    """Returns a client for what the environment names, as every Scaleway tool reads it."""
    client = Client.from_env()
    missing = [
        name for name in ("SCW_ACCESS_KEY", "SCW_SECRET_KEY", "SCW_DEFAULT_ORGANIZATION_ID") if not os.environ.get(name)
    ]
    if missing:
        message = (
            f"{', '.join(missing)} is not set: nothing says whose cloud is meant; "
            "next: export them from an API key, or run this in `stackproof cloud exec -- bash`"
        )
        raise UnsetError(message)
    client.default_region = client.default_region or DEFAULTS["SCW_DEFAULT_REGION"]
    client.default_zone = client.default_zone or DEFAULTS["SCW_DEFAULT_ZONE"]
    return client


def project(client: Client, project_id: str) -> Place:
    """Returns the place that this project is."""
    return Place(replace(client, default_project_id=project_id), project_id, str(client.default_region))

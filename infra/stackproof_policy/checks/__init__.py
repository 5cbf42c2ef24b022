"""What each rule looks for: a function of one resource, of everything else the program makes, and of the parameters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stackproof_policy.catalog import Parameters
from stackproof_policy.checks import container, database, identity, key, place, storage, telemetry
from stackproof_policy.resource import Resource

Alone = Callable[[Resource, Parameters], Iterator[str]]
"""Says what is wrong with a resource, whatever else there is."""

Among = Callable[[Resource, Sequence[Resource], Parameters], Iterator[str]]
"""Says what is wrong with a resource among all others of the program."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a rule looks for. What it finds alone stops a resource before it is made, whatever comes after it."""

    alone: Alone | None = None
    among: Among | None = None


CHECKS: Mapping[str, Check] = {
    "scaleway-only": Check(alone=place.scaleway_only),
    "region-allowed": Check(alone=place.region_allowed),
    "tagged": Check(alone=place.tagged),
    "database-encrypted": Check(alone=database.encrypted),
    "database-private": Check(alone=database.private),
    "database-allow-list": Check(alone=database.narrow_list, among=database.has_list),
    "database-backups": Check(alone=database.backed_up),
    "database-user": Check(alone=database.lesser_user),
    "bucket-encrypted": Check(among=storage.encrypted),
    "bucket-versioned": Check(alone=storage.versioned),
    "bucket-closed": Check(alone=storage.opens_to_no_stranger, among=storage.has_policy),
    "container-https-only": Check(alone=container.https_only),
    "container-in-network": Check(alone=container.in_network),
    "container-image": Check(alone=container.own_image),
    "no-plain-credentials": Check(alone=container.no_plain_credentials),
    "registry-private": Check(alone=container.registry_private),
    "least-privilege": Check(alone=identity.least_privilege),
    "telemetry-token": Check(alone=telemetry.token_writes),
    "telemetry-retention": Check(alone=telemetry.retention),
    "key-rotation": Check(alone=key.rotates),
    "api-key-age": Check(alone=identity.key_ends_in_time),
}
"""By the ids of `policy/rules.toml`, whose rules about the program have one each."""

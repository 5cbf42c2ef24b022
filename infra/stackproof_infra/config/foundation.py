"""What a team decides about its foundation, `infra/state`: what must be there before any stack.

| key | default | what it decides |
| --- | --- | --- |
| `prefix` | required | the start of every name; registry namespaces and buckets are unique in their region and beyond |
| `scaleway:projectId`, `scaleway:region` | as for a stack | where everything is created |
| `registry.description` | a sentence | for people who read the list of registries |
| `deployers` | none | ids of the users, at most five, who may read the state's key and passphrase |
| `state.noncurrentExpirationDays` | 90 | how long an earlier version of the state can be had back |
| `state.backupRegion` | another than the stack's | where backups of the state are kept |
| `state.backupExpirationDays` | 90 | how long each is kept there |
| `state.forceDestroy` | false | whether a destroy deletes every version of the state too |
| `lock.kind` | serverless | the lock's database: serverless, which costs nothing unused, or managed |
| `lock.minCpu`, `lock.maxCpu` | 0, 1 | of a serverless one: processors kept for it, and the most it grows to |
| `lock.engine`, `lock.nodeType` | PostgreSQL-15, db-dev-s | of a managed one |
| `lock.allowedAddresses` | required for a managed one | networks of laptops and CI, in CIDR notation |
| `lockPasswordAlternate` | none, secret | the other's of two users in turn, from the first rotation on |
| `rotation.deployers` | v1 | where the deployers' key and login stand; `stackproof rotate` writes it |
| `lockPassword`, `lockAdminPassword` | required for a managed one, secret | the lock's user and administrator |
"""

import ipaddress
from dataclasses import dataclass

from stackproof_infra.components.deployers import MOST_PEOPLE
from stackproof_infra.config.database import ENGINE, NODE_TYPE, PASSWORD
from stackproof_infra.config.given import Given, Reading, SecretText, found
from stackproof_infra.config.rotation import read_alternate, read_generations
from stackproof_infra.place import Place
from stackproof_infra.reader import Section
from stackproof_infra.rotation import Generations
from stackproof_infra.rules import DAYS, DESCRIPTION, REGION, REGIONS, UUID, Between, Rule, one_of

PROJECT = "stackproof-foundation"

SERVERLESS, MANAGED = "serverless", "managed"

_KIND = one_of((SERVERLESS, MANAGED), SERVERLESS)
_MIN_CPU = Between(0, 15)
_MAX_CPU = Between(1, 15)


def _is_network(text: str) -> bool:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return False
    # An allow-list that allows everybody is none.
    return network.prefixlen > 0


_NETWORK = Rule(
    says="must be a network in CIDR notation without host bits, and not the whole internet",
    example="203.0.113.7/32",
    holds=_is_network,
)


@dataclass(frozen=True, kw_only=True)
class RegistrySettings:
    """The keys of `registry`."""

    description: str


@dataclass(frozen=True, kw_only=True)
class StateSettings:
    """The keys of `state`."""

    noncurrent_expiration_days: int
    backup_region: str
    backup_expiration_days: int
    force_destroy: bool


@dataclass(frozen=True, kw_only=True)
class ServerlessLockSettings:
    """The keys of `lock`, for a serverless one."""

    min_cpu: int
    max_cpu: int


@dataclass(frozen=True, kw_only=True)
class ManagedLockSettings:
    """The keys of `lock`, for a managed one, and its passwords."""

    engine: str
    node_type: str
    allowed_addresses: tuple[str, ...]
    password: SecretText
    alternate_password: SecretText | None
    admin_password: SecretText


@dataclass(frozen=True, kw_only=True)
class FoundationSettings:
    """A whole configuration without a fault."""

    place: Place
    registry: RegistrySettings
    deployers: tuple[str, ...]
    state: StateSettings
    lock: ServerlessLockSettings | ManagedLockSettings
    rotation: Generations
    """Of the deployers' API key and, where the lock is a managed database, of their login there."""


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
        top, place = reading.top, reading.place
        rotation = _rotation(top.section("rotation"))
        return FoundationSettings(
            place=place,
            registry=_registry(top.section("registry")),
            deployers=_deployers(top),
            state=_state(top.section("state"), place),
            lock=_lock(top, top.section("lock"), rotation),
            rotation=rotation,
        )


def _registry(registry: Section) -> RegistrySettings:
    settings = RegistrySettings(
        description=registry.text("description", DESCRIPTION, "Images of the application."),
    )
    registry.refuse_unknown()
    return settings


def _deployers(top: Section) -> tuple[str, ...]:
    people = top.texts("deployers", UUID)
    top.agree(
        ("deployers",),
        f"must name at most {MOST_PEOPLE} people",
        "one of them less",
        holds=len(people) <= MOST_PEOPLE,
    )
    return people


def _state(state: Section, place: Place) -> StateSettings:
    elsewhere = next(region for region in ("nl-ams", *REGIONS) if region != place.region)
    settings = StateSettings(
        noncurrent_expiration_days=state.whole("noncurrentExpirationDays", DAYS, 90),
        backup_region=state.text("backupRegion", REGION, elsewhere),
        backup_expiration_days=state.whole("backupExpirationDays", DAYS, 90),
        force_destroy=state.flag("forceDestroy", default=False),
    )
    state.agree(
        ("backupRegion",),
        "must be another region than the stack's, so that a backup survives the loss of that one",
        elsewhere,
        holds=settings.backup_region != place.region,
    )
    state.refuse_unknown()
    return settings


def _rotation(rotation: Section) -> Generations:
    valid = read_generations(rotation, "deployers")
    rotation.refuse_unknown()
    return valid


def _lock(top: Section, lock: Section, valid: Generations) -> ServerlessLockSettings | ManagedLockSettings:
    managed = lock.text("kind", _KIND, SERVERLESS) == MANAGED
    settings = _managed(top, lock, valid) if managed else _serverless(lock)
    lock.refuse_unknown()
    return settings


def _serverless(lock: Section) -> ServerlessLockSettings:
    settings = ServerlessLockSettings(
        min_cpu=lock.whole("minCpu", _MIN_CPU, 0),
        max_cpu=lock.whole("maxCpu", _MAX_CPU, 1),
    )
    lock.agree(
        ("minCpu", "maxCpu"),
        f"must not be above lock.maxCpu, which is {settings.max_cpu}",
        "0",
        holds=settings.min_cpu <= settings.max_cpu,
    )
    return settings


def _managed(top: Section, lock: Section, valid: Generations) -> ManagedLockSettings:
    return ManagedLockSettings(
        engine=lock.text("engine", ENGINE, "PostgreSQL-15"),
        node_type=lock.text("nodeType", NODE_TYPE, "db-dev-s"),
        allowed_addresses=lock.texts("allowedAddresses", _NETWORK, required=True),
        password=SecretText(top.encrypted("lockPassword", PASSWORD)),
        alternate_password=read_alternate(top, "lockPasswordAlternate", PASSWORD, valid),
        admin_password=SecretText(top.encrypted("lockAdminPassword", PASSWORD)),
    )

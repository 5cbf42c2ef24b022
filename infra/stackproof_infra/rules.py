"""What each value of the configuration must be: as people read it, as a check, and by an example.

Facts about Scaleway's products (node types, regions, engines) stand here with where
they were read, so that a newcomer to the list is one line.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from stackproof_infra.components.database import ADMINISTRATOR


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a text must be."""

    says: str
    example: str
    holds: Callable[[str], bool]


@dataclass(frozen=True)
class Between:
    """What a whole number must be."""

    low: int
    high: int
    step: int = 1

    @property
    def says(self) -> str:
        """Returns the rule in words."""
        multiple = f" in steps of {self.step}" if self.step > 1 else ""
        return f"must be a whole number from {self.low} to {self.high}{multiple}"

    def holds(self, value: int) -> bool:
        """Returns whether the number keeps the rule."""
        return self.low <= value <= self.high and value % self.step == 0


def _shaped(pattern: str, says: str, example: str) -> Rule:
    shape = re.compile(pattern)
    return Rule(says=says, example=example, holds=lambda text: shape.fullmatch(text) is not None)


def _one_of(values: Sequence[str], example: str) -> Rule:
    return Rule(says=f"must be one of {', '.join(values)}", example=example, holds=lambda text: text in values)


_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_AN_ID = "7f1ac1a5-5b2d-4c0c-9b0e-1d2f3a4b5c6d"

# Together with the longest `-…` that a component adds, both stay below the 63 characters of a bucket name.
PREFIX = _shaped(
    r"[a-z][a-z0-9-]{1,18}[a-z0-9]",
    "must be 3 to 20 lower-case letters, digits and inner hyphens, starting with a letter",
    "acme-shop",
)
STACK = _shaped(
    r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?",
    "must be at most 30 lower-case letters, digits and inner hyphens, as it is part of every name",
    "dev",
)
UUID = _shaped(_UUID, "must be an id of Scaleway's", _AN_ID)
REGION = _one_of(("fr-par", "nl-ams", "pl-waw", "it-mil"), "fr-par")
PRINCIPAL = _shaped(f"(user_id|application_id):{_UUID}", "must name a user or an application", f"user_id:{_AN_ID}")
TAG = _shaped(
    r"(?!stack:|urn:)[A-Za-z0-9_.:/=+@-]{1,128}",
    "must be 1 to 128 letters, digits and `_ . : / = + @ -`, and not start as the stack's own tags do (stack:, urn:)",
    "team:shop",
)
DESCRIPTION = Rule(
    says="must be 1 to 200 printable characters",
    example="Assets of the shop.",
    holds=lambda text: 1 <= len(text) <= 200 and text.isprintable(),
)

# Scaleway's VPC documentation: private addresses, a mask from /20 to /29.
_PRIVATE = tuple(ipaddress.IPv4Network(range_) for range_ in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def _is_private_network(text: str) -> bool:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return False
    return 20 <= network.prefixlen <= 29 and any(network.subnet_of(range_) for range_ in _PRIVATE)


CIDR = Rule(
    says="must be a private IPv4 network from /20 to /29, written as its first address",
    example="10.0.0.0/22",
    holds=_is_private_network,
)

# Recorded traffic of the provider's tests and the public price list.
ENGINE = _one_of(("PostgreSQL-14", "PostgreSQL-15", "PostgreSQL-16", "PostgreSQL-17"), "PostgreSQL-15")
NODE_TYPE = _one_of(
    (
        "db-dev-s",
        "db-dev-m",
        "db-dev-l",
        "db-dev-xl",
        "db-play2-pico",
        "db-play2-nano",
        "db-pro2-xxs",
        "db-pro2-xs",
        "db-pro2-s",
        "db-pro2-m",
        "db-gp-xs",
        "db-gp-s",
        "db-gp-m",
        "db-gp-l",
        "db-gp-xl",
    ),
    "db-dev-s",
)
VOLUME_GB = Between(5, 10_000, step=5)
DAYS = Between(1, 365)
PERMISSION = _one_of(("readonly", "readwrite", "all"), "readwrite")


def _sql_name(taken: Sequence[str], example: str) -> Rule:
    name = re.compile("[a-z][a-z0-9_]{0,62}")
    return Rule(
        says=f"must be 1 to 63 lower-case letters, digits and underscores, and none of {', '.join(taken)}",
        example=example,
        holds=lambda text: name.fullmatch(text) is not None and text not in taken,
    )


# What an instance has before anybody creates anything.
DATABASE_NAME = _sql_name(("postgres", "rdb", "template0", "template1"), "shop")
DATABASE_USER = _sql_name(("postgres", ADMINISTRATOR), "shop")

# Scaleway's rule for database passwords.
_KINDS = ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]")
PASSWORD = Rule(
    says="must be 8 to 128 characters: lower case, upper case, digit and another kind, at least one of each",
    example='"$(openssl rand -base64 24)-aA1"',
    holds=lambda text: 8 <= len(text) <= 128 and all(re.search(kind, text) for kind in _KINDS),
)


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


MOMENT = Rule(
    says="must be a moment in RFC 3339 with its offset",
    example="2030-01-31T00:00:00Z",
    holds=_is_moment,
)


def another_project(project_id: str) -> Rule:
    """Returns the rule for a project that is not the stack's own."""
    return Rule(
        says="must be the id of another project than the stack's, where the application may read nothing",
        example=_AN_ID,
        holds=lambda text: UUID.holds(text) and text != project_id,
    )

"""What each value of a configuration must be: as people read it, as a check, and by an example.

Here are the words rules are made of, and the rules that more than one section uses.
A section's own rules, with the facts about Scaleway's products they rest on, stand
with the section in `config/`, so that a newcomer to a list is one line there.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass


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
    without: Sequence[int] = ()

    @property
    def says(self) -> str:
        """Returns the rule in words."""
        multiple = f" in steps of {self.step}" if self.step > 1 else ""
        without = f", and none of {', '.join(map(str, self.without))}" if self.without else ""
        return f"must be a whole number from {self.low} to {self.high}{multiple}{without}"

    def holds(self, value: int) -> bool:
        """Returns whether the number keeps the rule."""
        return self.low <= value <= self.high and value % self.step == 0 and value not in self.without


def shaped(pattern: str, says: str, example: str) -> Rule:
    """Returns the rule that a text as a whole matches a regular expression."""
    shape = re.compile(pattern)
    return Rule(says=says, example=example, holds=lambda text: shape.fullmatch(text) is not None)


def one_of(values: Sequence[str], example: str) -> Rule:
    """Returns the rule that a text is in a list."""
    return Rule(says=f"must be one of {', '.join(values)}", example=example, holds=lambda text: text in values)


UUID_SHAPE = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
AN_ID = "7f1ac1a5-5b2d-4c0c-9b0e-1d2f3a4b5c6d"
REGIONS = ("fr-par", "nl-ams", "pl-waw", "it-mil")

# Together with the longest `-…` that a component adds, both stay below the 63 characters of a bucket name.
PREFIX = shaped(
    r"[a-z][a-z0-9-]{1,18}[a-z0-9]",
    "must be 3 to 20 lower-case letters, digits and inner hyphens, starting with a letter",
    "acme-shop",
)
STACK = shaped(
    r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?",
    "must be at most 30 lower-case letters, digits and inner hyphens, as it is part of every name",
    "dev",
)
UUID = shaped(UUID_SHAPE, "must be an id of Scaleway's", AN_ID)
REGION = one_of(REGIONS, "fr-par")
PRINCIPAL = shaped(f"(user_id|application_id):{UUID_SHAPE}", "must name a user or an application", f"user_id:{AN_ID}")
TAG = shaped(
    r"(?!stack:|urn:)[A-Za-z0-9_.:/=+@-]{1,128}",
    "must be 1 to 128 letters, digits and `_ . : / = + @ -`, and not start as the stack's own tags do (stack:, urn:)",
    "team:shop",
)
DESCRIPTION = Rule(
    says="must be 1 to 200 printable characters",
    example="Assets of the shop.",
    holds=lambda text: 1 <= len(text) <= 200 and text.isprintable(),
)
DAYS = Between(1, 365)

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST = rf"(?=.{{1,253}}$)({_LABEL}\.)+[a-z]{{2,63}}"
"""The shape of a host name with at least one dot, in lower case as DNS compares them."""

"""Generations of a credential: which of them are valid, and which is in use.

Seed: EC4 credentials are rotated while the application serves.
A credential that is rotated has a next generation beside the present one for a while: first it is there, then it is
in use, then the former goes. `stackproof rotate` moves from one to the next; here is what each of them means.
"""

import re
from dataclasses import dataclass

from stackproof_infra.rules import Rule

_SHAPE = re.compile(r"v([1-9][0-9]{0,5})(?:\+v([1-9][0-9]{0,5}))?")


@dataclass(frozen=True, kw_only=True)
class Generations:
    """The generations of a credential that are valid: one, or two that follow each other."""

    in_use: int = 1
    beside: int | None = None
    """Valid, and not in use: the next one before it is, or the former one after."""

    @property
    def valid(self) -> tuple[int, ...]:
        """Returns all of them, the one in use first."""
        return (self.in_use,) if self.beside is None else (self.in_use, self.beside)


FIRST = Generations()


def _parsed(text: str) -> Generations | None:
    match = _SHAPE.fullmatch(text)
    if match is None:
        return None
    in_use, beside = int(match[1]), int(match[2]) if match[2] else None
    if beside is not None and abs(in_use - beside) != 1:
        return None
    return Generations(in_use=in_use, beside=beside)


GENERATIONS = Rule(
    says="must be a generation such as v1, or two that follow each other and the one in use first, "
    "as stackproof rotate writes it",
    example="v1+v2",
    holds=lambda text: _parsed(text) is not None,
)


def generations(text: str) -> Generations:
    """Returns what a text that keeps the rule says; the first generation for one that was refused."""
    return _parsed(text) or FIRST


def of_generation(name: str, generation: int) -> str:
    """Returns the logical name of what is made anew for each generation."""
    return name if generation == 1 else f"{name}-v{generation}"


def is_alternate(generation: int) -> bool:
    """Returns whether a generation is the alternate user's.

    A database has two users in turn, since what a user made is his own: neither is ever deleted.
    """
    return generation % 2 == 0


def alternate_user(user: str) -> str:
    """Returns the name of the other of the two, within PostgreSQL's 63 characters."""
    return f"{user[:53]}_alternate"

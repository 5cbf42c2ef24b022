"""Exceptions from the rules, as `policy/waivers.toml` has them: each answered for by someone, and for a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from stackproof_policy.catalog import FOLDER, Catalog
from stackproof_policy.table import Table, each, read_file

WAIVERS = FOLDER / "waivers.toml"

VALID = "waiver-valid"
"""The rule that waivers themselves keep."""


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """One rule that need not hold for one resource until a day."""

    rule: str
    resource: str
    owner: str
    reason: str
    expires: date

    def holds_on(self, day: date) -> bool:
        """Returns whether it has not run out yet."""
        return day <= self.expires


@dataclass(frozen=True)
class Waivers:
    """All of them."""

    all: Sequence[Waiver]

    def excuse(self, rule: str, resource: str, day: date) -> Waiver | None:
        """Returns what excuses a resource from a rule on this day."""
        mine = (one for one in self.all if one.rule == rule and one.resource == resource and one.holds_on(day))
        return next(mine, None)

    def faults(self, catalog: Catalog, day: date) -> list[tuple[Waiver, str]]:
        """Returns those that are findings themselves, each with why."""
        return [(waiver, why) for waiver in self.all for why in _wrong(waiver, catalog, day)]


def load_waivers(path: Path = WAIVERS) -> Waivers:
    """Reads the waivers.

    Raises `InvalidFileError` for one that lacks something, or says more than a waiver does.
    """
    return Waivers([_waiver(table) for table in each(path, read_file(path, ("waiver",)), "waiver")])


def _waiver(table: Table) -> Waiver:
    expires = table.any("expires")
    if not isinstance(expires, date) or isinstance(expires, datetime):
        raise table.wrong("expires", "must be a day, such as 2027-12-31")
    waiver = Waiver(
        rule=table.text("rule"),
        resource=table.text("resource"),
        owner=table.text("owner"),
        reason=table.text("reason"),
        expires=expires,
    )
    table.refuse_others()
    return waiver


def _wrong(waiver: Waiver, catalog: Catalog, day: date) -> list[str]:
    if waiver.rule not in catalog.rules:
        return [f"there is no rule {waiver.rule}"]
    if waiver.rule == VALID:
        return [f"{VALID} cannot be waived"]
    if not waiver.holds_on(day):
        return [f"it ran out on {waiver.expires}; {waiver.owner} answers for it"]
    return []

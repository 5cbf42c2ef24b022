"""Reads one section of a configuration, collecting faults instead of stopping at the first.

A value that is refused reads as an empty one, so that reading can go on; whoever
reads must look at the faults before using any of it.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard, cast

from stackproof_infra.rules import Between, Rule

# How the rule begins that a key without a value breaks.
_REQUIRED = "is required"

# Longer values are cut where a fault shows them.
_SHOWN = 60

UNREAD = "\0"
"""Stands for an encrypted value whose content is not known, and keeps every rule. YAML cannot hold it."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong: which key, its value, the rule it breaks, and a value that would do."""

    key: str
    value: str | None
    """As it was given; none where there is none, or where it must not be shown."""
    rule: str
    example: str

    @property
    def missing(self) -> bool:
        """Whether the key has no value at all, rather than a wrong one."""
        return self.value is None and self.rule.startswith(_REQUIRED)

    def __str__(self) -> str:
        """Returns the fault as one line."""
        shown = "" if self.value is None else f" = {self.value}"
        return f"{self.key}{shown}: {self.rule}, for example {self.example}"


class Section:
    """Some keys of a configuration, each read at most once and according to its rule."""

    def __init__(
        self,
        name: str,
        values: Mapping[str, object],
        faults: list[Fault],
        secret_keys: frozenset[str] = frozenset(),
        *,
        secret: bool = False,
        unread: bool = False,
    ) -> None:
        """Reads from `values`; `name` is what the section's keys are shown under, and `faults` is added to.

        No value of `secret_keys` is ever shown, none at all of a `secret` section; an `unread` one has every key,
        with a content that is not known.
        """
        self._name = name
        self._values = values
        self._faults = faults
        self._secret_keys = secret_keys
        self._unread = unread
        self._known: set[str] = set()
        self._refused: set[str] = set()
        self.secret = secret
        """Whether any of it was encrypted: the engine marks a whole section when one value in it is."""

    def text(self, key: str, rule: Rule, default: str | None = None) -> str:
        """Returns a text that keeps the rule; without a default the key is required."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        if value is None:
            return self._refuse(key, None, f"{_REQUIRED} and {rule.says}", rule.example)
        if not _keeps(value, rule):
            return self._refuse(key, value, rule.says, rule.example)
        return value

    def optional(self, key: str, rule: Rule) -> str | None:
        """Returns a text that keeps the rule, or none when the key is absent."""
        return self.text(key, rule) if self.has(key) else None

    def has(self, key: str) -> bool:
        """Returns whether the key was given."""
        return self._take(key) is not None

    def encrypted(self, key: str, rule: Rule) -> str:
        """Returns a required text that was set as a secret; no fault ever shows it."""
        value = self._take(key)
        if value is None:
            return self._refuse(key, None, f"{_REQUIRED} and {rule.says}", rule.example)
        if key not in self._secret_keys:
            return self._refuse(key, None, "must be encrypted", f"pulumi config set --secret {key}")
        if not _keeps(value, rule):
            return self._refuse(key, None, rule.says, rule.example)
        return value

    def whole(self, key: str, between: Between, default: int) -> int:
        """Returns a whole number within its bounds."""
        value = _from_text(self._take(key))
        if value is None or value == UNREAD:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not between.holds(value):
            self._refuse(key, value, between.says, str(default))
            return default
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Returns true or false."""
        value = _from_text(self._take(key))
        if value is None or value == UNREAD:
            return default
        if not isinstance(value, bool):
            self._refuse(key, value, "must be true or false", json.dumps(default))
            return default
        return value

    def texts(self, key: str, rule: Rule, default: tuple[str, ...] = (), *, required: bool = False) -> tuple[str, ...]:
        """Returns a list of different texts that each keep the rule; a required one has at least one."""
        given = self._take(key)
        if given == UNREAD:
            return default
        value: object = list(default) if given is None else _from_text(given)
        example = json.dumps([rule.example])
        if not isinstance(value, list):
            self._refuse(key, given, f"must be a list, and each of it {rule.says}", example)
            return ()
        items = cast("list[object]", value)
        if required and not items:
            self._refuse(key, None, f"{_REQUIRED}: a list of at least one, which {rule.says}", example)
        good: list[str] = []
        for position, item in enumerate(items):
            if not _keeps(item, rule):
                self._refuse(key, item, rule.says, rule.example, below=f"[{position}]")
            elif item in good and item != UNREAD:
                self._refuse(key, item, "must not be there twice", example, below=f"[{position}]")
            else:
                good.append(item)
        return tuple(good)

    def mapping(self, key: str, name: Rule, value: Rule) -> dict[str, str]:
        """Returns names with texts, each of which keeps its rule; a number or a switch reads as it is written."""
        given = self._take(key)
        content: object = {} if given is None or given == UNREAD else _from_text(given)
        if not isinstance(content, dict):
            self._refuse(key, given, "must hold names, each with a value", f"{self._path(key)}.{name.example}")
            return {}
        good: dict[str, str] = {}
        for word, item in cast("dict[str, object]", content).items():
            text = json.dumps(item) if isinstance(item, bool | int | float) else item
            if not name.holds(word):
                self._refuse(key, None, f"is a name that {name.says}", name.example, below=f".{word}")
            elif not _keeps(text, value):
                self._refuse(key, item, value.says, value.example, below=f".{word}")
            else:
                good[word] = text
        return good

    def section(self, key: str) -> "Section":
        """Returns the keys below this one; none when it is absent."""
        given = self._take(key)
        unread = given == UNREAD
        value: object = {} if given is None or unread else _from_text(given)
        if not isinstance(value, dict):
            example = f"pulumi config set --path {self._path(key)}.KEY VALUE"
            self._refuse(key, given, "must hold keys of its own", example)
            # What it should have held is not known, rather than missing.
            value, unread = {}, True
        return Section(
            self._path(key),
            cast("dict[str, object]", value),
            self._faults,
            secret=self._is_secret(key),
            unread=unread,
        )

    def agree(self, keys: tuple[str, ...], rule: str, example: str, *, holds: bool) -> None:
        """Refuses the first of some keys that are good one by one but not together.

        Says nothing when one of them is refused already: what is wrong with the others cannot be known then.
        """
        if not holds and self._refused.isdisjoint(keys):
            self._refuse(keys[0], self._take(keys[0]), rule, example)

    def refuse_unknown(self) -> None:
        """Refuses every key that nothing has read, naming the nearest that exists."""
        for key in sorted(self._values.keys() - self._known):
            near = difflib.get_close_matches(key, sorted(self._known), n=1)
            # What is not known may be a misspelt secret: its value is not shown.
            known = self._path(near[0]) if near else " or ".join(self._path(name) for name in sorted(self._known))
            self._refuse(key, None, "is not a key of this stack", known)

    def _take(self, key: str) -> object:
        self._known.add(key)
        return UNREAD if self._unread else self._values.get(key)

    def _path(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key

    def _is_secret(self, key: str) -> bool:
        return self.secret or key in self._secret_keys

    def _refuse(self, key: str, value: object, rule: str, example: str, *, below: str = "") -> str:
        shown = None if value is None or self._is_secret(key) else _show(value)
        self._faults.append(Fault(key=self._path(key) + below, value=shown, rule=rule, example=example))
        self._refused.add(key)
        return ""


def _keeps(value: object, rule: Rule) -> TypeGuard[str]:
    return isinstance(value, str) and (value == UNREAD or rule.holds(value))


def _from_text(value: object) -> object:
    """Returns what a text says in JSON: top-level values come as texts, whatever they are; others come as they are."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _show(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"

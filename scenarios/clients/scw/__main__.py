"""Leads resources of every product through their lives with the scw command: create, get, list, update, delete.

It knows the cloud by the environment alone and makes everything in a project of its own, which it deletes at the
end: Scaleway refuses to while anything is left in it. SCW names the program; the one on the path without.
"""

from __future__ import annotations

import secrets
import sys
import time
import traceback
from typing import TYPE_CHECKING

from command import RefusedError, Scw
from table import products

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from command import Seen
    from kind import Kind

PATIENCE = 15 * 60.0
"""How many seconds a resource may take to become ready, or to go."""


class DisagreementError(Exception):
    """The cloud does something else than it says."""


def demand(what: str, seen: object, expected: object) -> None:
    """Fails where something else is seen than was expected."""
    if seen != expected:
        message = f"{what}: expected {expected!r}, seen {seen!r}"
        raise DisagreementError(message)


class Play:
    """All lives, and how each ended."""

    def __init__(self, scw: Scw, name: str) -> None:
        self.scw = scw
        self.name = name
        self.passed = 0
        self.failed = 0

    def told(self, what: str, act: Callable[[], object]) -> None:
        """Does it, and tells how it ended."""
        begun = time.monotonic()
        try:
            act()
        except Exception:
            self.failed += 1
            print(f"FAIL {what}\n{traceback.format_exc()}")
        else:
            self.passed += 1
            print(f"ok   {what} ({time.monotonic() - begun:.2f} s)")

    def live(self, kind: Kind) -> None:
        """Leads one resource through its life."""
        name = f"{self.name}-{self.passed + self.failed}"
        made = self._ask(kind, "create", *[word.replace("NAME", name) for word in kind.create])
        deleted = False
        try:
            self._looked_at(kind, made, kind.given)
            if kind.update:
                self._ask(kind, "update", *_which(kind, made), *kind.update)
                self._looked_at(kind, made, kind.changed)
            for inner in kind.within(made):
                self.told(inner.noun, lambda inner=inner: self.live(inner))
            self._ask(kind, "delete", *_which(kind, made))
            deleted = True
            self._gone(kind, made)
        finally:
            if not deleted:
                self._tidy(kind, made)

    def _tidy(self, kind: Kind, made: Seen) -> None:
        """Leaves nothing behind that costs money; the failure that led here is what counts."""
        try:
            self._ask(kind, "delete", *_which(kind, made))
        except RefusedError:
            print(f"left behind: {kind.noun} {made[kind.key]}")

    def _ask(self, kind: Kind, verb: str, *words: str) -> Seen:
        return self.scw.ask(*kind.noun.split(), verb, *_parent(kind), *words)

    def _read(self, kind: Kind, made: Seen) -> Seen:
        if kind.readable:
            read = self._ask(kind, "get", *_which(kind, made))
            return read[kind.part] if kind.part else read
        found = self._same(kind, made)
        if not found:
            message = f"{kind.noun}: {kind.ends}"
            raise RefusedError(message)
        return found[0]

    def _same(self, kind: Kind, made: Seen) -> Sequence[Seen]:
        told: Sequence[Seen] = self.scw.ask(*kind.noun.split(), "list", *_parent(kind), *kind.listed) or []
        return [one for one in told if one[kind.key] == made[kind.key]]

    def _settled(self, kind: Kind, made: Seen) -> Seen:
        read = self._read(kind, made)
        for _ in _patiently("it does not become ready"):
            if not str(read.get("status", "")).endswith("ing"):
                break
            read = self._read(kind, made)
        return read

    def _looked_at(self, kind: Kind, made: Seen, expected: object) -> None:
        """Looks at it as soon as no state of it ends in -ing any more, alone and in the list."""
        demand("what is read", kind.shows(self._settled(kind, made)), expected)
        same = self._same(kind, made)
        demand("how often it is in the list", len(same), 1)
        demand("what the list shows", kind.shows(same[0]), expected)

    def _gone(self, kind: Kind, made: Seen) -> None:
        if kind.kept:
            scheduled = self._read(kind, made)["deletion_requested_at"]
            demand("whether its deletion is scheduled", bool(scheduled), expected=True)
            return
        for _ in _patiently("it can still be read after deletion"):
            try:
                state = self._read(kind, made).get("status")
            except RefusedError as refused:
                demand(f"whether scw says {kind.ends!r}: {refused}", kind.ends in str(refused), expected=True)
                break
            demand("its state after deletion", state, "deleting")
        demand("what the list shows after deletion", self._same(kind, made), [])


def _parent(kind: Kind) -> list[str]:
    return [kind.parent] if kind.parent else []


def _which(kind: Kind, made: Seen) -> list[str]:
    value = str(made[kind.key])
    return [f"{kind.named}={value}" if kind.named else value]


def _patiently(why: str) -> Iterator[None]:
    """Yields, ever more seldom, until it took too long."""
    end, pause = time.monotonic() + PATIENCE, 0.05
    while time.monotonic() < end:
        yield
        time.sleep(pause)
        pause = min(2 * pause, 5.0)
    raise DisagreementError(why)


def main(only: list[str]) -> int:
    """Plays the products that are named, or all; returns the exit code."""
    organization = Scw()
    name = f"clients-scw-{secrets.token_hex(4)}"
    project = organization.ask("account", "project", "create", f"name={name}")
    known = products(organization, project["id"])
    unknown = [word for word in only if word not in known]
    if unknown:
        print(f"no product is called {', '.join(unknown)}; next: name some of {', '.join(known)}")
        return 2
    play = Play(organization.of(project["id"]), name)
    for product, kinds in known.items():
        for kind in kinds if not only or product in only else ():
            play.told(kind.noun, lambda kind=kind: play.live(kind))
    gone = ("account", "project", "delete", f"project-id={project['id']}")
    play.told("nothing is left in the project", lambda: organization.ask(*gone))
    print(f"{play.passed} passed, {play.failed} failed")
    return 1 if play.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

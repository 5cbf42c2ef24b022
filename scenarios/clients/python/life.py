"""The life of one kind of resource: made, read, listed, changed, deleted, and gone."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from scaleway_core.api import ScalewayException

from decoded import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")

PATIENCE = 15 * 60.0
"""How many seconds a resource may take to become ready, or to go."""


class DisagreementError(Exception):
    """The cloud does something else than it says."""


class MissingError(Exception):
    """What is looked for is in no list."""


@dataclass(frozen=True)
class Life(Generic[T]):
    """What is done with one kind of resource, and what has to be seen of it."""

    kind: str
    create: Callable[[str], T]
    """Makes one of this name."""
    read: Callable[[T], T]
    listed: Callable[[], Sequence[T]]
    delete: Callable[[T], object]
    shows: Callable[[T], object]
    """What is looked at: it has to be what was given."""
    given: object
    change: Callable[[T], object] | None = None
    """None where the product cannot change one."""
    changed: object = None
    """What is seen afterwards."""
    key: Callable[[T], object] = field(default=attrgetter("id"))
    within: Callable[[T], Sequence[Life[Any]]] = field(default=lambda _: ())
    """The lives that are only possible while this one lasts."""
    also: Callable[[T], None] = field(default=lambda _: None)
    """What else this kind can do."""
    kept: Callable[[T], bool] | None = None
    """Where a deletion is only scheduled: whether what can still be read says so."""
    refusal: tuple[int, str] = (404, "not_found")
    """The status and the type of the error that reading what is gone ends in."""


def only(found: Iterable[T], wanted: Callable[[T], bool]) -> T:
    """Returns the one of the list that is wanted: what there is instead of reading one by its identifier."""
    for one in found:
        if wanted(one):
            return one
    raise MissingError


def demand(what: str, seen: object, expected: object) -> None:
    """Fails where something else is seen than was expected."""
    if seen != expected:
        message = f"{what}: expected {expected!r}, seen {seen!r}"
        raise DisagreementError(message)


def live(life: Life[T], name: str, play: Callable[[Life[Any]], None]) -> None:
    """Leads one resource through its life; `play` plays the lives within it."""
    made = life.create(name)
    deleted = False
    try:
        check(made)
        demand("what was created", life.shows(made), life.given)
        if getattr(made, "name", name) != name:
            demand("the name it was given", getattr(made, "name", None), name)
        read = _settled(life, made)
        demand("what is read after creation", life.shows(read), life.given)
        _in_the_list(life, read, life.given)
        if life.change is not None:
            check(life.change(read))
            read = _settled(life, read)
            demand("what is read after the change", life.shows(read), life.changed)
            _in_the_list(life, read, life.changed)
        life.also(read)
        for inner in life.within(read):
            play(inner)
        check(life.delete(_settled(life, read)))
        deleted = True
        _gone(life, read)
    finally:
        if not deleted:
            _tidy(life, made)


def _settled(life: Life[T], one: T) -> T:
    """Returns the resource as it is once no state of it ends in -ing any more."""
    end, pause = time.monotonic() + PATIENCE, 0.05
    while True:
        read = check(life.read(one))
        demand("the identity of what is read", life.key(read), life.key(one))
        state = str(getattr(read, "status", "ready"))
        if state == "error":
            message = f"it is in state error: {read!r}"
            raise DisagreementError(message)
        if not state.endswith("ing"):
            return read
        pause = _wait(pause, end, f"it is still {state}")


def _in_the_list(life: Life[T], one: T, expected: object) -> None:
    same = [listed for listed in map(check, life.listed()) if life.key(listed) == life.key(one)]
    demand("how often it is in the list", len(same), 1)
    demand("what the list shows", life.shows(same[0]), expected)


def _gone(life: Life[T], one: T) -> None:
    if life.kept is not None:
        demand("whether its deletion is scheduled", life.kept(check(life.read(one))), expected=True)
    else:
        _unreadable(life, one)
    left = [listed for listed in life.listed() if life.key(listed) == life.key(one)]
    demand("what the list shows after deletion", left, [])


def _unreadable(life: Life[T], one: T) -> None:
    end, pause = time.monotonic() + PATIENCE, 0.05
    while True:
        try:
            read = check(life.read(one))
        except MissingError:
            return
        except ScalewayException as refusal:
            seen = (refusal.status_code, refusal.response.json().get("type"))
            demand("the refusal to read what is gone", seen, life.refusal)
            return
        state = str(getattr(read, "status", "there"))
        demand("its state after deletion", state, "deleting")
        pause = _wait(pause, end, "it can still be read after deletion")


def _wait(pause: float, end: float, why: str) -> float:
    if time.monotonic() > end:
        message = f"{why} after {PATIENCE:.0f} s"
        raise DisagreementError(message)
    time.sleep(pause)
    return min(2 * pause, 5.0)


def _tidy(life: Life[T], one: T) -> None:
    """Leaves nothing behind that costs money; the failure that led here is what counts."""
    try:
        life.delete(one)
    except Exception as error:
        print(f"left behind: {life.kind} {life.key(one)} ({type(error).__name__})")

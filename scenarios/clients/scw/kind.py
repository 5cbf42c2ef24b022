"""What is asked for one kind of resource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from command import Seen


@dataclass(frozen=True)
class Kind:
    """One kind of resource: `scw NOUN create …`, `get`, `list`, `update`, `delete`."""

    noun: str
    """The words that stand for it, such as `vpc vpc`."""
    create: Sequence[str]
    """Its arguments; `NAME` is replaced by a name."""
    update: Sequence[str]
    """Its arguments; none where the product cannot change one."""
    shows: Callable[[Seen], object]
    given: object
    changed: object = None
    listed: Sequence[str] = ()
    key: str = "id"
    named: str = ""
    """The argument that names it where it is not the first word: `name` for `name=ledger`."""
    parent: str = ""
    """What has to be said each time: `instance-id=…`."""
    readable: bool = True
    """Whether there is a `get`; else the list is looked through."""
    part: str = ""
    """What the resource is called in what `get` shows, where that is more."""
    ends: str = "cannot find resource"
    """What scw says of one that is deleted."""
    kept: bool = False
    """Whether a deletion is only scheduled."""
    within: Callable[[Seen], Sequence[Kind]] = lambda _: ()

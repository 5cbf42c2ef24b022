"""One resource as the rules see it: what the program asks for, whoever tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast


class Unknown:
    """What only the cloud can tell, and so a preview cannot."""

    def __repr__(self) -> str:
        """Returns a word for it."""
        return "unknown"


UNKNOWN: Final = Unknown()
"""Takes the place of a value that is not known yet. It breaks no rule: the value is judged again before it is used."""

_PROVIDER = "pulumi:providers:"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource's type, name and inputs, by the names that Pulumi's schema gives them."""

    type: str
    urn: str
    inputs: Mapping[str, object]
    parent: str = ""
    """The URN of what it belongs to; empty where that is the stack, or is not known."""
    custom: bool = True
    """Whether it is in a cloud, rather than a component that only groups others."""

    @property
    def name(self) -> str:
        """Returns its logical name."""
        return self.urn.rpartition("::")[2]

    @property
    def stack(self) -> str:
        """Returns the stack that it belongs to."""
        return self.urn.removeprefix("urn:pulumi:").partition("::")[0]

    @property
    def package(self) -> str:
        """Returns the package of its type; of a provider, the package that it provides."""
        return self.type.removeprefix(_PROVIDER).partition(":")[0]

    @property
    def provides(self) -> bool:
        """Returns whether it is a provider, which exists for the engine alone."""
        return self.type.startswith(_PROVIDER)

    def get(self, path: str) -> object:
        """Returns what is at a path such as `privateNetwork.pnId`: `None` where nothing is, `UNKNOWN` below that."""
        value: object = self.inputs
        for key in path.split("."):
            if value is UNKNOWN:
                return UNKNOWN
            value = member(value, key)
        return value

    def is_on(self, path: str) -> bool:
        """Returns whether a switch is on, or may be."""
        value = self.get(path)
        return value is True or value is UNKNOWN

    def may_be_on(self, path: str) -> bool:
        """Returns whether a switch is known to be on."""
        return self.get(path) is True

    def has(self, path: str) -> bool:
        """Returns whether there is anything at the path; an empty text is nothing."""
        return self.get(path) not in (None, "")

    def number(self, path: str) -> float | None:
        """Returns a number; `None` where there is none, or it is not known yet."""
        value = self.get(path)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def texts(self, path: str) -> list[str]:
        """Returns the known texts of a list."""
        return [text for text in self.items(path) if isinstance(text, str)]

    def items(self, path: str) -> Sequence[object]:
        """Returns a list's items; nothing where there is none."""
        value = self.get(path)
        return cast("Sequence[object]", value) if isinstance(value, Sequence) and not isinstance(value, str) else ()

    def keys(self, path: str) -> list[str]:
        """Returns the names that a mapping has."""
        value = self.get(path)
        return sorted(cast("Mapping[str, object]", value)) if isinstance(value, Mapping) else []


def member(item: object, key: str) -> object:
    """Returns what an item of a list has under a key; `None` where it has none."""
    return cast("Mapping[str, object]", item).get(key) if isinstance(item, Mapping) else None

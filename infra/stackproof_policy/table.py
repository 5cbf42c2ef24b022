"""Reads tables of TOML files that people write: what is wrong with one is said with its place and what to do."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import cast


class InvalidFileError(Exception):
    """A file of rules or waivers that cannot be used: which, what about it, and what to do next."""

    def __init__(self, path: Path, what: str, next_step: str) -> None:
        """Says all of it as one text."""
        super().__init__(f"{path.name} {what}. Next: {next_step}.")


class Table:
    """One table of a file, each of its keys read once and by its type."""

    def __init__(self, path: Path, place: str, content: object) -> None:
        """Reads from `content`; `place` is how people find it in the file."""
        if not isinstance(content, dict):
            raise InvalidFileError(path, f"has no keys at {place}", "write `key = value`, one a line")
        self._path = path
        self._place = place
        self._content = cast("dict[str, object]", content)
        self._read: set[str] = set()

    def text(self, key: str) -> str:
        """Returns a text that is not empty."""
        value = self.any(key)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, "must be a text that is not empty")
        return value

    def whole(self, key: str) -> int:
        """Returns a whole number of at least 1."""
        value = self.any(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.wrong(key, "must be a whole number, at least 1")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Returns a list of different texts."""
        value = self.any(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in cast("list[object]", value)):
            raise self.wrong(key, "must be a list of texts")
        texts = cast("list[str]", value)
        if len(set(texts)) != len(texts):
            raise self.wrong(key, "has one text twice")
        return tuple(texts)

    def any(self, key: str) -> object:
        """Returns whatever the key has; a missing one is refused."""
        self._read.add(key)
        if key not in self._content:
            raise InvalidFileError(self._path, f"has no {key} in {self._place}", f"add {key} = … there")
        return self._content[key]

    def wrong(self, key: str, rule: str) -> InvalidFileError:
        """Returns what is raised for a value that breaks this rule."""
        return InvalidFileError(self._path, f"has a {key} in {self._place} that {rule}", "mend it")

    def refuse_others(self) -> None:
        """Refuses keys that nothing has read."""
        if others := sorted(self._content.keys() - self._read):
            known = ", ".join(sorted(self._read))
            raise InvalidFileError(self._path, f"has {others[0]} in {self._place}", f"use one of {known}")


def read_file(path: Path, tables: Sequence[str]) -> dict[str, object]:
    """Returns a file's content, of which only these are known at its top."""
    try:
        content: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidFileError(path, f"cannot be read: {error.strerror}", "git checkout -- infra/policy") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidFileError(path, f"is not TOML: {error}", "mend the line") from error
    if others := sorted(content.keys() - set(tables)):
        raise InvalidFileError(path, f"has {others[0]} at its top", f"use {' or '.join(tables)}")
    return content


def each(path: Path, content: dict[str, object], name: str) -> list[Table]:
    """Returns the tables that a file has under this name, one `[[name]]` each."""
    entries = content.get(name, [])
    if not isinstance(entries, list):
        raise InvalidFileError(path, f"has a {name} that is no list", f"begin each with [[{name}]]")
    return [
        Table(path, f"[[{name}]] number {position}", entry)
        for position, entry in enumerate(cast("list[object]", entries), start=1)
    ]

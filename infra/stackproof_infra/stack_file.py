"""Reads a stack's file, `Pulumi.<stack>.yaml`, as the engine would, without the engine.

What is encrypted stays so: it counts as given and as a secret, its content as unknown.
Deliberately not here: `environment`, which only Pulumi's own service could resolve.
"""

import json
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TypeGuard, cast

import yaml

from stackproof_infra.config import Given
from stackproof_infra.reader import UNREAD

PROJECT = "stackproof-infra"
"""Whose file it is taken for when no Pulumi.yaml lies beside it."""

# The whole of a stack's file, as Pulumi documents it.
_KEYS = frozenset({"config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider"})


class UnreadableError(Exception):
    """A file that cannot be checked: what about it, and what to do next."""

    def __init__(self, path: Path, what: str, next_step: str) -> None:
        """Says both as one text."""
        super().__init__(f"{path} {what}. Next: {next_step}.")


def read_stack_file(path: Path, stack: str | None, environment: Mapping[str, str]) -> Given:
    """Returns the configuration in a file, as the program would find it.

    Without `stack` its name is the file's. Raises `UnreadableError`.
    """
    content = _mapping(path, _load(path), "a stack's file")
    project = _project(path.parent / "Pulumi.yaml")
    name = stack or _stack(path)
    if unknown := sorted(content.keys() - _KEYS):
        raise UnreadableError(path, f"has {unknown[0]!r} at its top", f"use one of {', '.join(sorted(_KEYS))}")
    if content.get("environment"):
        raise UnreadableError(
            path,
            "imports environments, which only Pulumi's own service can read",
            "write their values into its config",
        )
    config = _mapping(path, content.get("config"), "its config")
    values: dict[str, str] = {}
    secret: set[str] = set()
    for key, value in config.items():
        full = _full(key, project)
        if full in values:
            raise UnreadableError(path, f"has {full} twice, once without its project's name", "remove one of the two")
        values[full], encrypted = _text(path, full, value)
        if encrypted:
            secret.add(full)
    return Given(project=project, stack=name, values=values, secret_keys=frozenset(secret), environment=environment)


def _project(path: Path) -> str:
    if not path.is_file():
        return PROJECT
    name = _mapping(path, _load(path), "a project's file").get("name")
    if not isinstance(name, str):
        raise UnreadableError(path, "names no project", f"give it a name, such as {PROJECT}")
    return name


def _stack(path: Path) -> str:
    name = re.fullmatch(r"Pulumi\.(.+)\.ya?ml", path.name)
    if name is None:
        raise UnreadableError(path, "is not named Pulumi.<stack>.yaml", "say which stack's it is: --stack NAME")
    return name[1]


def _full(key: str, project: str) -> str:
    """Returns the key as programs know it: `project:name`, from `name` or the older `project:config:name` too."""
    namespace, colon, name = key.partition(":")
    return f"{namespace}:{name.removeprefix('config:')}" if colon else f"{project}:{key}"


def _text(path: Path, key: str, value: object) -> tuple[str, bool]:
    """Returns a value as the engine hands it over, and whether any of it is encrypted."""
    if _is_secure(value):
        return UNREAD, True
    if isinstance(value, str):
        return value, False
    if value is None:
        return "", False
    try:
        readable = _without_secrets(value)
        return json.dumps(readable), readable != value
    except (ValueError, RecursionError) as error:
        raise UnreadableError(path, f"has a value that contains itself: {key}", "write it out") from error


def _without_secrets(value: object) -> object:
    """Returns the value with `UNREAD` for each encrypted part."""
    if _is_secure(value):
        return UNREAD
    if isinstance(value, dict):
        return {key: _without_secrets(item) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_without_secrets(item) for item in cast("list[object]", value)]
    return value


def _is_secure(value: object) -> bool:
    return isinstance(value, dict) and cast("dict[object, object]", value).keys() == {"secure"}


def _load(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(path, "is not a text in UTF-8", "save it as one") from error
    except OSError as error:
        raise UnreadableError(
            path, f"cannot be read: {error.strerror}", "check its name and its permissions"
        ) from error
    try:
        content: object = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader with fewer types
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}" if mark else ""
        raise UnreadableError(path, f"is not YAML: {error.problem}{place}", "mend the line") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UnreadableError(path, f"is not YAML: {error}", "write it anew") from error
    return content


def _mapping(path: Path, value: object, what: str) -> dict[str, object]:
    """Returns what must hold keys; nothing at all holds none."""
    if value is None:
        return {}
    if not _has_named_keys(value):
        raise UnreadableError(path, f"does not hold keys where {what} should", "write `key: value`, one a line")
    return value


def _has_named_keys(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict) and all(isinstance(key, str) for key in cast("dict[object, object]", value))


# What is no text though it stands without quotes, by the first character it can begin with.
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", tuple("-+0123456789")),
    ("float", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?", tuple("-+.0123456789")),
    ("merge", r"<<", ("<",)),
)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    known: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, begins in _SCALARS:
        for first in begins:
            known.setdefault(first, []).append((f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})$")))
    return known


class _Loader(yaml.SafeLoader):
    """YAML as the engine reads it: moments are texts, `yes` and `no` too, and no key may come twice."""

    yaml_implicit_resolvers = _resolvers()

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        """Returns the mapping; a key that comes twice is an error, as it is to the engine."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                key = str(key_node.value)
                if key in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key!r} comes twice", key_node.start_mark)
                seen.add(key)
        return super().construct_mapping(node, deep)

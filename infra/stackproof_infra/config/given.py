"""A configuration as it was found, and how any program of this project starts and ends reading it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

import pulumi
from pulumi.runtime import config as given_by_engine

from stackproof_infra import rules
from stackproof_infra.place import Place
from stackproof_infra.reader import Fault, Section


class InvalidConfiguration(pulumi.RunError):
    """Every fault of a configuration, in one answer that the engine prints without a traceback."""

    def __init__(self, stack: str, faults: tuple[Fault, ...]) -> None:
        """Keeps the faults, and says them as one text."""
        self.faults = faults
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        lines = "".join(f"\n  {fault}" for fault in faults)
        super().__init__(f"The configuration of stack {stack} has {count}:{lines}")


@dataclass(frozen=True)
class SecretText:
    """A text that never shows itself: neither when printed, nor in the engine's state."""

    _text: str = field(repr=False)

    def output(self) -> pulumi.Output[str]:
        """Returns the text for a resource's input, marked secret."""
        return pulumi.Output.secret(self._text)


@dataclass(frozen=True, kw_only=True)
class Given:
    """A configuration as it was found: full keys and texts, as Pulumi hands them to a program."""

    project: str
    stack: str
    values: Mapping[str, str]
    secret_keys: frozenset[str]
    environment: Mapping[str, str]


def found() -> Given:
    """Returns the running program's configuration."""
    # `pulumi.Config` can be asked for keys one knows, but not which keys there are: misspelt ones need this.
    values: dict[str, str] = {**given_by_engine.get_config_env(), **given_by_engine.CONFIG.get()}
    return Given(
        project=pulumi.get_project(),
        stack=pulumi.get_stack(),
        values=values,
        secret_keys=frozenset(key for key in values if given_by_engine.is_config_secret(key)),
        environment=os.environ,
    )


class Reading:
    """What every program reads: its own keys, and where it lives. Leaving it raises what was found wrong."""

    def __init__(self, given: Given) -> None:
        """Opens the program's own keys, and reads the place."""
        self._given = given
        self._faults: list[Fault] = []
        own = f"{given.project}:"
        self.top = Section(
            "",
            {key.removeprefix(own): value for key, value in given.values.items() if key.startswith(own)},
            self._faults,
            frozenset(key.removeprefix(own) for key in given.secret_keys if key.startswith(own)),
        )
        self.place = self._place()

    def __enter__(self) -> "Reading":
        """Returns the reading itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Refuses keys that nobody has read, and raises `InvalidConfiguration` if anything was wrong."""
        if error is not None:
            return
        self.top.refuse_unknown()
        if self._faults:
            raise InvalidConfiguration(self._given.stack, tuple(self._faults))

    def _place(self) -> Place:
        """Returns where the stack lives: Scaleway's own keys, which the provider reads too, or its environment."""
        given, environment = self._given.values, self._given.environment
        known = {
            "stack": self._given.stack,
            "scaleway:projectId": given.get("scaleway:projectId") or environment.get("SCW_DEFAULT_PROJECT_ID"),
            "scaleway:region": given.get("scaleway:region") or environment.get("SCW_DEFAULT_REGION"),
        }
        place = Section(
            "", {key: value for key, value in known.items() if value}, self._faults, self._given.secret_keys
        )
        return Place(
            prefix=self.top.text("prefix", rules.PREFIX),
            stack=place.text("stack", rules.STACK),
            project_id=place.text("scaleway:projectId", rules.UUID),
            region=place.text("scaleway:region", rules.REGION, "fr-par"),
        )

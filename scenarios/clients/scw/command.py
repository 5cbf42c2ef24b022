"""The scw command, asked for JSON."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field, replace
from typing import Any

Seen = dict[str, Any]
"""What scw tells of one resource."""


class RefusedError(Exception):
    """What scw says it cannot do: the words it was asked with, without their values, and its complaint."""


@dataclass(frozen=True)
class Scw:
    """The command, for one project."""

    program: str = field(default_factory=lambda: os.environ.get("SCW", "scw"))
    project_id: str = ""

    def of(self, project_id: str) -> Scw:
        """Returns the command for this project."""
        return replace(self, project_id=project_id)

    def ask(self, *words: str) -> Any:  # noqa: ANN401 (whatever JSON it answers)
        """Returns what scw answers to these words; nothing, where it only says that it is done."""
        own = {"SCW_DEFAULT_PROJECT_ID": self.project_id} if self.project_id else {}
        ran = subprocess.run(  # noqa: S603 (the words are those of the table)
            [self.program, *words, "-o", "json"],
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            # Arguments may hold passwords; what stands before the first of them does not.
            plain = [word for word in words if "=" not in word]
            message = f"{' '.join(plain)}: {ran.stdout.strip()} {ran.stderr.strip()}"
            raise RefusedError(message)
        try:
            return json.loads(ran.stdout)
        except json.JSONDecodeError:
            return None

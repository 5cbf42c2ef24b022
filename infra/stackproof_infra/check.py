"""Says what is wrong with a stack's configuration, without a cloud and without Pulumi.

    python -m stackproof_infra.check FILE… [--stack NAME] [--given KEY]… [--json]

A FILE is a `Pulumi.<stack>.yaml`. Ends with 0 when nothing is wrong, with 1 when
something is, all of which is said at once, and with 2 when a file cannot be read.
As JSON there is one document: `{schema, stack, ok, faults: [{key, value, rule, example}]}`,
and for several files `{schema, ok, stacks: […]}` with one of those each.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from stackproof_infra import config, stack_file
from stackproof_infra.config import Given, InvalidConfiguration, foundation
from stackproof_infra.reader import Fault
from stackproof_infra.stack_file import UnreadableError, read_stack_file

SCHEMA = 1

_READERS: Mapping[str, Callable[[Given], object]] = {
    stack_file.PROJECT: config.read,
    foundation.PROJECT: foundation.read,
}


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Checks the files that are named, prints what it found, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stackproof_infra.check", description="Check stacks' files.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a Pulumi.<stack>.yaml")
    parser.add_argument("--stack", metavar="NAME", help="the stack's name, where the file's does not say it")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--given", action="append", default=[], metavar="KEY", help="a key that whoever deploys adds if it is missing"
    )
    given = parser.parse_args(arguments)
    files: list[Path] = given.files
    stack: str | None = given.stack
    added: list[str] = given.given
    if stack and len(files) > 1:
        parser.error("--stack names one stack, and so goes with one file")
    try:
        found = [_check(file, stack, environment, frozenset(added)) for file in files]
    except UnreadableError as error:
        print(error, file=sys.stderr)
        return 2
    if given.json:
        documents = [_document(stack, faults) for stack, faults in found]
        ok = all(not faults for _, faults in found)
        print(json.dumps(documents[0] if len(files) == 1 else {"schema": SCHEMA, "ok": ok, "stacks": documents}))
    else:
        for name, faults in found:
            print(InvalidConfiguration(name, faults) if faults else f"The configuration of stack {name} has no fault.")
    return 1 if any(faults for _, faults in found) else 0


def _check(
    file: Path, stack: str | None, environment: Mapping[str, str], added: frozenset[str]
) -> tuple[str, tuple[Fault, ...]]:
    """Returns the stack's name and what is wrong with it, but for keys that are missing and will be added."""
    given = read_stack_file(file, stack, environment)
    reader = _READERS.get(given.project)
    if reader is None:
        known = " or ".join(_READERS)
        raise UnreadableError(file, f"belongs to project {given.project}", f"name a file of {known}")
    try:
        reader(given)
    except InvalidConfiguration as invalid:
        return given.stack, tuple(fault for fault in invalid.faults if not (fault.missing and fault.key in added))
    return given.stack, ()


def _document(stack: str, faults: tuple[Fault, ...]) -> dict[str, object]:
    return {"schema": SCHEMA, "stack": stack, "ok": not faults, "faults": [asdict(fault) for fault in faults]}


if __name__ == "__main__":
    sys.exit(main())

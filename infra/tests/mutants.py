"""Runs the tests on mutants that mutmut has made, each in a process of its own. See docs/mutation.md.

    python tests/mutants.py FOLDER [PATTERN…]

FOLDER is mutmut's `mutants/`. mutmut's own runner asks, of each mutant, the tests that
it saw call the function: not those that ask a graph somebody else deployed, and never
anew what ran while modules were imported. Here every test may object, and everything
is imported with the mutant in place. Prints a line for each that nobody objects to.
"""

import json
import os
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import pytest

# Which tests come first, so that most mutants are found out soon: for components those that ask one deployed graph.
_FIRST_FOR_COMPONENTS = ("test_components", "test_container", "test_network", "test_names_and_tags", "test_database")
_FIRST = ("test_config", "test_check")


def mutants(folder: Path, patterns: list[str]) -> Iterator[str]:
    """Yields the names of the mutants that match any of the patterns; of all without one."""
    for meta in sorted(folder.glob("stackproof_infra/**/*.meta")):
        for name in json.loads(meta.read_text())["exit_code_by_key"]:
            if not patterns or any(fnmatch(name, pattern) for pattern in patterns):
                yield name


def survives(folder: Path, name: str) -> bool:
    """Returns whether all tests pass on a mutant."""
    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.environ["MUTANT_UNDER_TEST"] = name
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        first = _FIRST_FOR_COMPONENTS if ".components." in name else _FIRST
        rest = sorted(path.stem for path in Path("tests").glob("test_*.py") if path.stem not in first)
        files = [f"tests/{stem}.py" for stem in (*first, *rest)]
        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), *files]))
    _, status = os.waitpid(child, 0)
    return status == 0


def main() -> None:
    """Runs them all."""
    # Imported once, for all mutants: the SDK can be forked as long as it has run no program.
    import_module("pulumiverse_scaleway")
    folder = Path(sys.argv[1]).resolve()
    counted = survived = 0
    for name in mutants(folder, sys.argv[2:]):
        counted += 1
        if survives(folder, name):
            survived += 1
            print(name, flush=True)
    print(f"{survived} of {counted} survived", flush=True)


if __name__ == "__main__":
    main()

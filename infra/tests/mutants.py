"""Runs the tests on mutants that mutmut has made, each in a process of its own. See docs/mutation.md.

    python tests/mutants.py FOLDER [PATTERN…]

FOLDER is mutmut's `mutants/`. mutmut's own runner asks, of each mutant, the tests that
it saw call the function: not those that ask a graph which another test deployed, and
nothing anew that ran while modules were imported. Here every test may object, and
everything is imported with the mutant in place. Prints a line for each that survives.
"""

import compileall
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import pytest

# Those come first that object soonest: for components, those that ask one deployed graph.
_FIRST = ("test_config", "test_check")
_FIRST_FOR_COMPONENTS = ("test_components", "test_container", "test_network", "test_names_and_tags", "test_database")

# Longer than all tests take on a slow day; whoever does not end by then has gone astray.
_SECONDS = 600


def mutants(folder: Path, patterns: Sequence[str]) -> Iterator[str]:
    """Yields the names of the mutants that match any of the patterns; of all without one."""
    for meta in sorted(folder.glob("stackproof_infra/**/*.meta")):
        for name in json.loads(meta.read_text())["exit_code_by_key"]:
            if not patterns or any(fnmatch(name, pattern) for pattern in patterns):
                yield name


def survives(name: str) -> bool:
    """Returns whether all tests pass on a mutant, or on the program as it is for an empty name."""
    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.environ["MUTANT_UNDER_TEST"] = name
        signal.alarm(_SECONDS)
        first = _FIRST_FOR_COMPONENTS if ".components." in name else _FIRST
        rest = [path.stem for path in Path("tests").glob("test_*.py") if path.stem not in first]
        # In two runs, since most mutants spare the second the collection of its tests.
        os._exit(int(_fails(first) or _fails(rest)))
    return os.waitpid(child, 0)[1] == 0


def _fails(stems: Iterable[str]) -> bool:
    files = [f"tests/{stem}.py" for stem in stems]
    return (
        pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:cov", "--rootdir", str(Path.cwd()), *files]) != 0
    )


def main() -> None:
    """Tries them all."""
    # Imported once, for all mutants: the SDK can be forked as long as it has run no program.
    for module in ("containers", "databases", "iam", "keymanager", "network", "object", "observability", "secrets"):
        import_module(f"pulumiverse_scaleway.{module}")
    os.chdir(sys.argv[1])
    sys.path.insert(0, str(Path.cwd()))
    # Mutants share their files, which are long: whoever compiled them anew for each would do little else.
    compileall.compile_dir(".", quiet=1)
    if not survives(""):
        sys.exit("the tests fail without any mutant")
    tried = survived = 0
    for name in mutants(Path.cwd(), sys.argv[2:]):
        tried += 1
        if survives(name):
            survived += 1
            print(name, flush=True)
    print(f"{survived} of {tried} survived", flush=True)


if __name__ == "__main__":
    main()

"""A pytest plugin: says what pytest collects and how each case ends, one JSON document a line.

`tests/pytest.rs` reads it and shows every case as a test of its own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def _say(**facts: object) -> None:
    with Path(os.environ["STACKPROOF_PYTEST_CASES"]).open("a", encoding="utf-8") as cases:
        cases.write(json.dumps(facts) + "\n")


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Says which file cannot even be collected."""
    if report.failed:
        _say(case=report.nodeid, outcome="failed", text=report.longreprtext)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Says which cases there are."""
    for item in session.items:
        _say(case=item.nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Says how a case ends: its own outcome, or that of a fixture that broke."""
    if report.when == "call" or report.outcome != "passed":
        sections = [f"--- {title}\n{text}" for title, text in report.sections] if report.failed else []
        _say(case=report.nodeid, outcome=report.outcome, text="\n".join([report.longreprtext, *sections]))

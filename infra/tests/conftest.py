"""Runs of the programs that are shared by every test that only asks about their graphs."""

import pytest

from tests.cloud import MANAGED_LOCK, WHOLE, Graph, deploy, lay_foundation


@pytest.fixture(scope="session")
def graph() -> Graph:
    """The stack with the least configuration."""
    return deploy()


@pytest.fixture(scope="session")
def whole() -> Graph:
    """The stack with everything that can be configured into it."""
    return deploy(WHOLE)


@pytest.fixture(scope="session")
def foundation() -> Graph:
    """The foundation with the least configuration: its lock is serverless."""
    return lay_foundation()


@pytest.fixture(scope="session")
def managed() -> Graph:
    """The foundation whose lock is a managed database."""
    return lay_foundation(MANAGED_LOCK)

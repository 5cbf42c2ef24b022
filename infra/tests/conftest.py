"""One run of the program with the least configuration, shared by every test that only asks about its graph."""

import pytest

from tests.cloud import Graph, deploy


@pytest.fixture(scope="session")
def graph() -> Graph:
    return deploy()

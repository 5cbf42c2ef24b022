"""The serverless database: small, asleep when unused, and one that knows no users of its own."""

import pytest

from stackproof_infra.components.serverless_sql import ServerlessSqlArgs
from stackproof_infra.place import Place
from tests.cloud import Graph, deploy

PLACE = Place(prefix="acme-shop", stack="test", project_id="p", region="fr-par")


def test_it_scales_to_zero_and_stays_small(graph: Graph) -> None:
    database = graph.the("databases/serverlessDatabase:ServerlessDatabase")
    assert (database["minCpu"], database["maxCpu"]) == (0, 2)


def test_its_size_is_as_configured() -> None:
    changed = deploy({"serverlessDatabase": {"minCpu": 1, "maxCpu": 15}})
    database = changed.the("databases/serverlessDatabase:ServerlessDatabase")
    assert (database["minCpu"], database["maxCpu"]) == (1, 15)


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (2, 1)])
def test_a_component_refuses_a_smallest_size_above_the_largest(low: int, high: int) -> None:
    with pytest.raises(ValueError, match=f"min_cpu must be 0 to max_cpu, {high}, not {low}"):
        ServerlessSqlArgs(place=PLACE, min_cpu=low, max_cpu=high)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 1)])
def test_a_component_takes_any_other(low: int, high: int) -> None:
    assert ServerlessSqlArgs(place=PLACE, min_cpu=low, max_cpu=high).max_cpu == high

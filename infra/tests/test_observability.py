"""Telemetry: where it goes, how long it stays, who may write it, and who is told of trouble."""

from typing import cast

import pulumi
import pytest

from stackproof_infra.components.observability import ObservabilityArgs
from stackproof_infra.place import Place
from tests.cloud import Graph, Recorder, deploy


def test_metrics_logs_and_traces_are_kept_for_30_days(graph: Graph) -> None:
    kept = {made["type"]: made["retentionDays"] for made in graph.all("observability/source:Source")}
    assert kept == {"metrics": 30, "logs": 30, "traces": 30}


def test_the_applications_token_writes_and_does_nothing_else(graph: Graph) -> None:
    scopes = cast("dict[str, bool]", graph.the("observability/token:Token")["scopes"])
    assert {scope for scope, granted in scopes.items() if granted} == {"writeMetrics", "writeLogs", "writeTraces"}
    # Some default to granted: what is not said is not denied.
    assert {scope for scope, granted in scopes.items() if not granted} == {
        "queryMetrics",
        "queryLogs",
        "queryTraces",
        "setupAlerts",
        "setupMetricsRules",
        "setupLogsRules",
    }


def test_alerts_are_those_of_the_stacks_products_on_or_off_before(graph: Graph) -> None:
    assert graph.the("observability/alertManager:AlertManager")["preconfiguredAlertIds"] == [
        "rule-cockpit-decrease",
        "rule-postgresql-cpu",
        "rule-postgresql-storage",
        "rule-sql-cpu",
    ]


def test_a_team_may_want_fewer_alerts() -> None:
    wanted = deploy({"observability": {"alerts": ["Cockpit"]}}).the("observability/alertManager:AlertManager")
    assert wanted["preconfiguredAlertIds"] == ["rule-cockpit-decrease"]
    none = deploy({"observability": {"alerts": []}}).the("observability/alertManager:AlertManager")
    assert none["preconfiguredAlertIds"] == []


@pytest.mark.parametrize(
    ("offered", "there"),
    [
        ((("PostgreSQL", "a"), ("Valkey", "b"), ("Cockpit", "c")), "Cockpit, PostgreSQL, Valkey"),
        ((("PostgreSQL", "a"), ("LB", "b"), ("LB", "c")), "LB, PostgreSQL"),
    ],
)
def test_a_product_whose_alerts_are_gone_stops_the_deployment(offered: tuple[tuple[str, str], ...], there: str) -> None:
    said = f"Cockpit has no preconfigured alert for SQL Databases; it has some for: {there}"
    with pytest.raises(pulumi.RunError, match=rf"^{said}\.$"):
        deploy(recorder=Recorder(alerts=offered))


def test_a_cockpit_without_any_alerts_stops_the_deployment() -> None:
    with pytest.raises(
        pulumi.RunError, match=r"no preconfigured alert for PostgreSQL; it has some for: none at all\.$"
    ):
        deploy(recorder=Recorder(alerts=()))


def test_alerts_go_to_the_configured_addresses_in_their_order() -> None:
    changed = deploy({"observability": {"contacts": ["smithers@example.com", "burns@example.com"]}})
    assert changed.the("observability/alertManager:AlertManager")["contactPoints"] == [
        {"email": "smithers@example.com"},
        {"email": "burns@example.com"},
    ]


def test_a_component_refuses_to_forget_too_soon() -> None:
    place = Place(prefix="acme-shop", stack="test", project_id="p", region="fr-par")
    with pytest.raises(ValueError, match="retention_days must be at least 30, not 29"):
        ObservabilityArgs(place=place, retention_days=29, contacts=[], alerts=[])
    assert ObservabilityArgs(place=place, retention_days=30, contacts=[], alerts=[]).retention_days == 30

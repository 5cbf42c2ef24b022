"""Where the stack's telemetry goes, how long it stays, and who is told when something is wrong.

Seed: FR-008 Cockpit, NFR-007 retention of 30 days with automatic clean-up, SC-007 detection within 5 minutes.
Deliberately not here: what Scaleway's products measure of themselves, which Cockpit collects unasked; tokens for
people, who sign in to dashboards through IAM (`operators.py`).

A project has one alert manager a region: two stacks in one project would share it, and take turns changing it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumiverse_scaleway import observability

from stackproof_infra.place import Place


@dataclass(frozen=True, kw_only=True)
class ObservabilityArgs:
    """What a caller decides; everything else is policy and lives in `Observability`."""

    place: Place
    retention_days: int
    contacts: Sequence[str]
    """E-mail addresses that alerts go to."""
    alerts: Sequence[str]
    """Products whose preconfigured alerts are on, by the names Cockpit gives them."""

    def __post_init__(self) -> None:
        """Refuses telemetry that would be gone before NFR-007 lets it."""
        if self.retention_days < 30:
            raise ValueError(f"retention_days must be at least 30, not {self.retention_days}")


class Observability(pulumi.ComponentResource):
    """A place for metrics, logs and traces each, a token that writes to them, and alerts."""

    metrics_push_url: pulumi.Output[str]
    logs_push_url: pulumi.Output[str]
    traces_push_url: pulumi.Output[str]
    push_token: pulumi.Output[str]
    alert_manager_url: pulumi.Output[str]

    def __init__(self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the sources and the token, and switches the alerts on."""
        super().__init__("stackproof:observability:Observability", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        metrics, logs, traces = (
            observability.Source(
                f"{name}-{kind}",
                name=args.place.name(f"{name}-{kind}"),
                project_id=args.place.project_id,
                region=args.place.region,
                type=kind,
                retention_days=args.retention_days,
                opts=own,
            )
            for kind in ("metrics", "logs", "traces")
        )
        token = observability.Token(
            f"{name}-token",
            name=args.place.name(name),
            project_id=args.place.project_id,
            region=args.place.region,
            # All of them, for by default a token may write metrics and logs.
            scopes=observability.TokenScopesArgs(
                write_metrics=True,
                write_logs=True,
                write_traces=True,
                query_metrics=False,
                query_logs=False,
                query_traces=False,
                setup_alerts=False,
                setup_metrics_rules=False,
                setup_logs_rules=False,
            ),
            opts=own,
        )
        # Whatever their status: those that are on already must stay in the list, or the next update takes them out.
        offered = observability.get_preconfigured_alert_output(
            project_id=args.place.project_id,
            region=args.place.region,
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        alert_manager = observability.AlertManager(
            f"{name}-alerts",
            project_id=args.place.project_id,
            region=args.place.region,
            contact_points=[observability.AlertManagerContactPointArgs(email=email) for email in args.contacts],
            preconfigured_alert_ids=offered.apply(lambda result: _rules(result.alerts, args.alerts)),
            opts=own,
        )
        self.metrics_push_url = metrics.push_url
        self.logs_push_url = logs.push_url
        self.traces_push_url = traces.push_url
        self.push_token = pulumi.Output.secret(token.secret_key)
        self.alert_manager_url = alert_manager.alert_manager_url
        self.register_outputs(
            {
                "metrics_push_url": self.metrics_push_url,
                "logs_push_url": self.logs_push_url,
                "traces_push_url": self.traces_push_url,
                "push_token": self.push_token,
                "alert_manager_url": self.alert_manager_url,
            }
        )


def _rules(
    offered: Sequence[observability.outputs.GetPreconfiguredAlertAlertResult], products: Sequence[str]
) -> list[str]:
    """Returns the ids of these products' alerts.

    Raises `pulumi.RunError` for a product without any: a name that Scaleway has changed would silence its alerts.
    """
    for product in products:
        if all(alert.product_name != product for alert in offered):
            there = ", ".join(sorted({alert.product_name for alert in offered})) or "none at all"
            raise pulumi.RunError(f"Cockpit has no preconfigured alert for {product}; it has some for: {there}.")
    return sorted(alert.preconfigured_rule_id for alert in offered if alert.product_name in products)

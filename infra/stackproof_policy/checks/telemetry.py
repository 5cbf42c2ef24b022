"""Metrics, logs and traces, and who writes them."""

from collections.abc import Iterator

from stackproof_policy.catalog import Parameters
from stackproof_policy.resource import Resource

_TOO_MUCH = ("queryMetrics", "queryLogs", "queryTraces", "setupAlerts", "setupMetricsRules", "setupLogsRules")


def token_writes(token: Resource, _: Parameters) -> Iterator[str]:
    """Finds tokens that may read telemetry or change what watches over it."""
    for scope in _TOO_MUCH:
        if token.may_be_on(f"scopes.{scope}"):
            yield f"its scope {scope} is on"


def retention(source: Resource, parameters: Parameters) -> Iterator[str]:
    """Finds sources that forget too soon."""
    days = source.number("retentionDays")
    # Without a number Cockpit's own holds, which is 31 days for metrics and 7 for logs and traces.
    if days is None and not source.has("retentionDays"):
        yield "retentionDays is not set"
    if days is not None and days < parameters.telemetry_retention_days:
        yield f"retentionDays is {days:.0f}, less than {parameters.telemetry_retention_days}"

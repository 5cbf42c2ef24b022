"""The keys of `observability`: how long telemetry is kept, and who hears of trouble."""

from dataclasses import dataclass

from stackproof_infra.reader import Section
from stackproof_infra.rules import HOST, Between, one_of, shaped

# Not below 30 days (NFR-007); up to a year is what the provider takes.
RETENTION_DAYS = Between(30, 365)
E_MAIL = shaped(
    rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{HOST}", "must be an e-mail address", "on-call@example.com"
)

# The products of this stack that Cockpit has preconfigured alerts for, as it names them. Recorded, among others of
# products that the stack does not use; there are none for Serverless Containers.
PRODUCTS = ("PostgreSQL", "SQL Databases", "Cockpit")
PRODUCT = one_of(PRODUCTS, "PostgreSQL")


@dataclass(frozen=True, kw_only=True)
class ObservabilitySettings:
    """The keys of `observability`."""

    retention_days: int
    contacts: tuple[str, ...]
    alerts: tuple[str, ...]


def read_observability(observability: Section) -> ObservabilitySettings:
    """Reads the section."""
    settings = ObservabilitySettings(
        retention_days=observability.whole("retentionDays", RETENTION_DAYS, 30),
        contacts=observability.texts("contacts", E_MAIL),
        alerts=observability.texts("alerts", PRODUCT, PRODUCTS),
    )
    observability.refuse_unknown()
    return settings

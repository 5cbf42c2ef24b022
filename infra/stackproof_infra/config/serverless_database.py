"""The keys of `serverlessDatabase`: how small and how large it may be."""

from dataclasses import dataclass

from stackproof_infra.reader import Section
from stackproof_infra.rules import Between

# Scaleway's documentation of Serverless SQL Databases: up to 15 processors, down to none.
_MIN_CPU = Between(0, 15)
_MAX_CPU = Between(1, 15)


@dataclass(frozen=True, kw_only=True)
class ServerlessDatabaseSettings:
    """The keys of `serverlessDatabase`."""

    min_cpu: int
    max_cpu: int


def read_serverless_database(section: Section) -> ServerlessDatabaseSettings:
    """Reads the section."""
    settings = ServerlessDatabaseSettings(
        min_cpu=section.whole("minCpu", _MIN_CPU, 0),
        max_cpu=section.whole("maxCpu", _MAX_CPU, 2),
    )
    section.agree(
        ("minCpu", "maxCpu"),
        f"must not be above serverlessDatabase.maxCpu, which is {settings.max_cpu}",
        "0",
        holds=settings.min_cpu <= settings.max_cpu,
    )
    section.refuse_unknown()
    return settings

"""The keys of `container`: what runs, how large, and how it is reached.

Bounds are those of Scaleway's page on the limitations of Serverless Containers (2025-09).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from stackproof_infra.environment import NAMES
from stackproof_infra.reader import Section
from stackproof_infra.rules import DESCRIPTION, HOST, REGIONS, Between, Rule, shaped

# By digest, never by tag: what was tried is what runs, and a changed image is a changed setting.
IMAGE = shaped(
    rf"rg\.({'|'.join(REGIONS)})\.scw\.cloud(/[a-z0-9][a-z0-9._-]*){{2,}}@sha256:[0-9a-f]{{64}}",
    "must be an image of Scaleway's registry by its digest, as `stackproof image push` writes it",
    f"rg.fr-par.scw.cloud/acme-shop-dev-registry/shop@sha256:{'0123456789abcdef' * 4}",
)
# Those left out are used by the product itself, inside the container.
PORT = Between(1, 65_535, without=(8008, 8012, 8013, 8022, 9090, 9091))
MIN_SCALE = Between(0, 50)
MAX_SCALE = Between(1, 50)
MEMORY_MB = Between(128, 12_228)
CPU_MILLIS = Between(70, 6000)
CONCURRENCY = Between(1, 80)
TIMEOUT_SECONDS = Between(10, 3600)
PATH = shaped(
    r"/[A-Za-z0-9._~/-]{0,199}", "must be a path of at most 200 letters, digits and `/ . _ ~ -`, from its /", "/health"
)
DOMAIN = shaped(
    rf"(?!.*\.scw\.cloud$){HOST}", "must be a host name of the team's, in lower case, with a dot", "shop.example.com"
)

_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def _is_schedule(text: str) -> bool:
    fields = text.split(" ")
    return len(fields) == len(_FIELDS) and all(
        _is_part(part, low, high)
        for field, (low, high) in zip(fields, _FIELDS, strict=True)
        for part in field.split(",")
    )


def _is_part(part: str, low: int, high: int) -> bool:
    """Returns whether this is a number, a range or all of them, each perhaps in steps."""
    span, slash, step = part.partition("/")
    first, dash, last = span.partition("-")
    if slash and not (_is_number(step) and 1 <= int(step) <= high):
        return False
    if span == "*":
        return True
    if not _is_number(first) or (dash and not _is_number(last)):
        return False
    return low <= int(first) <= int(last or first) <= high


def _is_number(text: str) -> bool:
    # No `str.isdigit`: it takes digits of other scripts, and `²`.
    return 1 <= len(text) <= 2 and all(character in "0123456789" for character in text)


SCHEDULE = Rule(
    says="must be five fields of numbers, ranges, lists and steps, as cron has them: "
    "minute, hour, day, month and day of the week from Sunday, 0",
    example="0 3 * * *",
    holds=_is_schedule,
)

VARIABLE = Rule(
    says="must be up to 100 capitals, digits and underscores, and none that Scaleway (PORT, SCW_…) or the stack sets",
    example="LOG_LEVEL",
    holds=lambda text: _NAME.holds(text) and not text.startswith("SCW_") and text != "PORT" and text not in NAMES,
)
_NAME = shaped("[A-Z_][A-Z0-9_]{0,99}", "", "")
# Scaleway counts characters of variables, and does not count those of secret ones below 64 KiB.
VALUE = Rule(says="must be at most 1000 characters", example="info", holds=lambda text: len(text) <= 1000)


@dataclass(frozen=True, kw_only=True)
class CronSettings:
    """The keys of `container.cron`."""

    schedule: str
    path: str
    description: str


@dataclass(frozen=True, kw_only=True)
class ContainerSettings:
    """The keys of `container`."""

    image: str
    port: int
    min_scale: int
    max_scale: int
    memory_mb: int
    cpu_millis: int
    concurrency: int
    timeout_seconds: int
    health_path: str
    description: str
    namespace_description: str
    domain: str | None
    cron: CronSettings | None
    private: bool
    environment: Mapping[str, str]
    secret_environment: Mapping[str, str]


def read_container(container: Section) -> ContainerSettings:
    """Reads the section."""
    environment = container.mapping("environment", VARIABLE, VALUE)
    settings = ContainerSettings(
        image=container.text("image", IMAGE),
        port=container.whole("port", PORT, 8080),
        min_scale=container.whole("minScale", MIN_SCALE, 0),
        max_scale=container.whole("maxScale", MAX_SCALE, 5),
        memory_mb=container.whole("memoryMb", MEMORY_MB, 512),
        cpu_millis=container.whole("cpuMillis", CPU_MILLIS, 250),
        concurrency=container.whole("concurrency", CONCURRENCY, 50),
        timeout_seconds=container.whole("timeoutSeconds", TIMEOUT_SECONDS, 300),
        health_path=container.text("healthPath", PATH, "/health"),
        description=container.text("description", DESCRIPTION, "The application."),
        namespace_description=container.text("namespaceDescription", DESCRIPTION, "The application's containers."),
        domain=container.optional("domain", DOMAIN),
        cron=_cron(container.section("cron")) if container.has("cron") else None,
        private=container.flag("private", default=False),
        # The engine does not say which value in the section was encrypted: then each may be a secret.
        environment={} if container.secret else environment,
        secret_environment=environment if container.secret else {},
    )
    container.agree(
        ("minScale", "maxScale"),
        f"must not be above container.maxScale, which is {settings.max_scale}",
        "0",
        holds=settings.min_scale <= settings.max_scale,
    )
    # Scaleway's answer to others: "2000 mvCPU require a minimum of 2000 MB and a maximum of 8000 MB of memory".
    low, high = max(128, settings.cpu_millis), min(12_228, settings.cpu_millis * 4)
    container.agree(
        ("memoryMb", "cpuMillis"),
        f"must be from {low} to {high}, one to four times container.cpuMillis, which is {settings.cpu_millis}",
        str(min(high, 2 * low)),
        holds=low <= settings.memory_mb <= high,
    )
    container.refuse_unknown()
    return settings


def _cron(cron: Section) -> CronSettings:
    settings = CronSettings(
        schedule=cron.text("schedule", SCHEDULE),
        path=cron.text("path", PATH, "/"),
        description=cron.text("description", DESCRIPTION, "Calls the application at set times."),
    )
    cron.refuse_unknown()
    return settings

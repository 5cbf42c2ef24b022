"""The keys of `database`, and the two passwords.

Facts of this file are recorded traffic of the provider's tests (engines, node types,
the settings each engine lists) and the public price list (the larger node types).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stackproof_infra.components.database import ADMINISTRATOR
from stackproof_infra.config.given import SecretText
from stackproof_infra.config.rotation import read_alternate
from stackproof_infra.reader import Section
from stackproof_infra.rotation import Generations
from stackproof_infra.rules import DAYS, Between, Rule, one_of, shaped

ENGINE = one_of(("PostgreSQL-14", "PostgreSQL-15", "PostgreSQL-16", "PostgreSQL-17"), "PostgreSQL-15")
NODE_TYPE = one_of(
    (
        "db-dev-s",
        "db-dev-m",
        "db-dev-l",
        "db-dev-xl",
        "db-play2-pico",
        "db-play2-nano",
        "db-pro2-xxs",
        "db-pro2-xs",
        "db-pro2-s",
        "db-pro2-m",
        "db-gp-xs",
        "db-gp-s",
        "db-gp-m",
        "db-gp-l",
        "db-gp-xl",
    ),
    "db-dev-s",
)
# Not lssd: its size is the node's, so that a full disk means another node.
VOLUME_TYPE = one_of(("sbs_5k", "sbs_15k"), "sbs_5k")
VOLUME_GB = Between(5, 10_000, step=5)
# At least a backup a day is policy; how much oftener is a team's choice.
BACKUP_HOURS = Between(1, 24)
PERMISSION = one_of(("readonly", "readwrite", "all"), "readwrite")

SETTING = shaped("[a-z_]+([.][a-z_]+)?", "must be one of PostgreSQL's", "work_mem")
SETTING_VALUE = shaped(r"[^\x00-\x1f]{1,200}", "must be 1 to 200 printable characters", "4")

# An instance has these whatever is asked for, with values that follow the node type, and reports them: what the
# stack leaves out would look like a change at every preview. So whoever sets any sets these too.
ALWAYS_THERE = (
    "effective_cache_size",
    "maintenance_work_mem",
    "max_connections",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "work_mem",
)
# In the lists of 16 and 17, but not of 14 and 15: the log of slow statements among them.
SINCE_16 = frozenset(
    {
        "autovacuum_vacuum_insert_scale_factor",
        "autovacuum_vacuum_insert_threshold",
        "autovacuum_vacuum_scale_factor",
        "autovacuum_vacuum_threshold",
        "cron.timezone",
        "log_checkpoints",
        "log_lock_waits",
        "log_min_duration_statement",
        "log_replication_commands",
        "log_temp_files",
        "pg_stat_statements.max",
        "pg_stat_statements.track",
        "pg_stat_statements.track_utility",
    }
)


def _sql_name(taken: Sequence[str], example: str) -> Rule:
    name = re.compile("[a-z][a-z0-9_]{0,62}")
    return Rule(
        says=f"must be 1 to 63 lower-case letters, digits and underscores, and none of {', '.join(taken)}",
        example=example,
        holds=lambda text: name.fullmatch(text) is not None and text not in taken,
    )


# What an instance has before anybody creates anything.
DATABASE_NAME = _sql_name(("postgres", "rdb", "template0", "template1"), "shop")
DATABASE_USER = _sql_name(("postgres", ADMINISTRATOR), "shop")

# Scaleway's rule for database passwords.
_KINDS = ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]")
PASSWORD = Rule(
    says="must be 8 to 128 characters: lower case, upper case, digit and another kind, at least one of each",
    example='"$(openssl rand -base64 24)-aA1"',
    holds=lambda text: 8 <= len(text) <= 128 and all(re.search(kind, text) for kind in _KINDS),
)


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """The keys of `database`, and the two passwords."""

    engine: str
    node_type: str
    volume_type: str
    volume_gb: int
    high_availability: bool
    backup_frequency_hours: int
    backup_retention_days: int
    settings: Mapping[str, str]
    name: str
    user: str
    permission: str
    password: SecretText
    alternate_password: SecretText | None
    admin_password: SecretText


def read_database(top: Section, database: Section, valid: Generations) -> DatabaseSettings:
    """Reads the section, and the passwords above it."""
    settings = DatabaseSettings(
        # 15 is the newest version that the local tier runs for real on Debian 12: what is proven is what is deployed.
        engine=database.text("engine", ENGINE, "PostgreSQL-15"),
        node_type=database.text("nodeType", NODE_TYPE, "db-dev-s"),
        volume_type=database.text("volumeType", VOLUME_TYPE, "sbs_5k"),
        volume_gb=database.whole("volumeGb", VOLUME_GB, 10),
        high_availability=database.flag("highAvailability", default=True),
        backup_frequency_hours=database.whole("backupFrequencyHours", BACKUP_HOURS, 24),
        backup_retention_days=database.whole("backupRetentionDays", DAYS, 7),
        settings=database.mapping("settings", SETTING, SETTING_VALUE),
        name=database.text("name", DATABASE_NAME, "app"),
        user=database.text("user", DATABASE_USER, "app"),
        permission=database.text("permission", PERMISSION, "all"),
        password=SecretText(top.encrypted("databasePassword", PASSWORD)),
        alternate_password=read_alternate(top, "databasePasswordAlternate", PASSWORD, valid),
        admin_password=SecretText(top.encrypted("databaseAdminPassword", PASSWORD)),
    )
    _settings_agree(database, settings)
    database.refuse_unknown()
    return settings


def _settings_agree(database: Section, settings: DatabaseSettings) -> None:
    left_out = [name for name in ALWAYS_THERE if name not in settings.settings]
    database.agree(
        ("settings",),
        f"must set {', '.join(left_out)} too, as Scaleway does by node type and would set back at every preview",
        "effective_cache_size: 1300, maintenance_work_mem: 150, max_connections: 100, max_parallel_workers: 0, "
        "max_parallel_workers_per_gather: 0, work_mem: 4, which a db-dev-s has",
        holds=not settings.settings or not left_out,
    )
    unknown = sorted(SINCE_16.intersection(settings.settings)) if settings.engine[-2:] in ("14", "15") else []
    database.agree(
        ("settings", "engine"),
        f"must not set {', '.join(unknown)}, which {settings.engine} does not let customers set",
        "database.engine PostgreSQL-16",
        holds=not unknown,
    )

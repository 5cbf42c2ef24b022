"""Configuration: each bad value refused before anything exists, all faults in one answer, no secret shown."""

from collections.abc import Mapping

import pytest

from stackproof_infra.config import Given, InvalidConfiguration, Settings, read
from stackproof_infra.config.given import Reading
from tests.cloud import PASSWORD, PROJECT, PROJECT_ID, SECRET_KEYS, STACK, Recorder, deploy, texts


def settings(
    changes: Mapping[str, object],
    *,
    stack: str = STACK,
    secret_keys: tuple[str, ...] = SECRET_KEYS,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Reads the least configuration with these changes."""
    return read(
        Given(
            project=PROJECT,
            stack=stack,
            values=texts(changes),
            secret_keys=frozenset(secret_keys),
            environment=environment or {},
        )
    )


def faults(changes: Mapping[str, object], *, stack: str = STACK) -> list[str]:
    """Returns what is said of these changes, one text a fault."""
    with pytest.raises(InvalidConfiguration) as refused:
        settings(changes, stack=stack)
    return [str(fault) for fault in refused.value.faults]


NETWORK = "must be a private IPv4 network from /20 to /29, written as its first address, for example 10.0.0.0/22"
ID = "7f1ac1a5-5b2d-4c0c-9b0e-1d2f3a4b5c6d"
PASSWORDS = (
    "must be 8 to 128 characters: lower case, upper case, digit and another kind, at least one of each, "
    'for example "$(openssl rand -base64 24)-aA1"'
)
PREFIXES = "must be 3 to 20 lower-case letters, digits and inner hyphens, starting with a letter, for example acme-shop"

IMAGES = (
    "must be an image of Scaleway's registry by its digest, as `stackproof image push` writes it, for example "
    f"rg.fr-par.scw.cloud/acme-shop-dev-registry/shop@sha256:{'0123456789abcdef' * 4}"
)
DOMAINS = "must be a host name of the team's, in lower case, with a dot, for example shop.example.com"
SCHEDULES = (
    "must be five fields of numbers, ranges, lists and steps, as cron has them: minute, hour, day, month and day of "
    "the week from Sunday, 0, for example 0 3 * * *"
)
ALL_SIX = {
    "effective_cache_size": 1300,
    "maintenance_work_mem": 150,
    "max_connections": 100,
    "max_parallel_workers": 0,
    "max_parallel_workers_per_gather": 0,
    "work_mem": 4,
}


def variable(name: str) -> str:
    return (
        f"container.environment.{name}: is a name that must be up to 100 capitals, digits and underscores, and none "
        "that Scaleway (PORT, SCW_…) or the stack sets, for example LOG_LEVEL"
    )


BAD: dict[str, tuple[Mapping[str, object], str]] = {
    "no prefix": ({"prefix": None}, f"prefix: is required and {PREFIXES}"),
    "prefix in capitals": ({"prefix": "Acme"}, f'prefix = "Acme": {PREFIXES}'),
    "prefix too short": ({"prefix": "ab"}, f'prefix = "ab": {PREFIXES}'),
    "prefix too long": ({"prefix": "a" * 21}, f'prefix = "{"a" * 21}": {PREFIXES}'),
    "prefix ends in a hyphen": ({"prefix": "acme-"}, f'prefix = "acme-": {PREFIXES}'),
    "project is a name": (
        {"scaleway:projectId": "shop"},
        f'scaleway:projectId = "shop": must be an id of Scaleway\'s, for example {ID}',
    ),
    "no project": (
        {"scaleway:projectId": None},
        f"scaleway:projectId: is required and must be an id of Scaleway's, for example {ID}",
    ),
    "unknown region": (
        {"scaleway:region": "fr-mrs"},
        'scaleway:region = "fr-mrs": must be one of fr-par, nl-ams, pl-waw, it-mil, for example fr-par',
    ),
    "no deployers": (
        {"deployers": None},
        "deployers: is required: a list of at least one, which must name a user or an application, "
        f'for example ["user_id:{ID}"]',
    ),
    "deployers is a text": (
        {"deployers": "seymour"},
        'deployers = "seymour": must be a list, and each of it must name a user or an application, '
        f'for example ["user_id:{ID}"]',
    ),
    "deployer is everybody": (
        {"deployers": ["*"]},
        f'deployers[0] = "*": must name a user or an application, for example user_id:{ID}',
    ),
    "deployer twice": (
        {"deployers": [f"user_id:{ID}", f"user_id:{ID}"]},
        f'deployers[1] = "user_id:{ID}": must not be there twice, for example ["user_id:{ID}"]',
    ),
    "no password": ({"databasePassword": None}, f"databasePassword: is required and {PASSWORDS}"),
    "password too plain": ({"databasePassword": "springfield"}, f"databasePassword: {PASSWORDS}"),
    "password too short": ({"databasePassword": "Ab1-xyz"}, f"databasePassword: {PASSWORDS}"),
    "password too long": ({"databaseAdminPassword": "Ab1-" * 33}, f"databaseAdminPassword: {PASSWORDS}"),
    "operators in the stack's own project": (
        {"operatorsProjectId": PROJECT_ID},
        f'operatorsProjectId = "{PROJECT_ID}": must be the id of another project than the stack\'s, where the '
        f"application may read nothing, for example {ID}",
    ),
    "network with host bits": ({"network": {"cidr": "10.0.0.1/22"}}, f'network.cidr = "10.0.0.1/22": {NETWORK}'),
    "public network": ({"network": {"cidr": "8.8.8.0/24"}}, f'network.cidr = "8.8.8.0/24": {NETWORK}'),
    "network too wide": ({"network": {"cidr": "10.0.0.0/19"}}, f'network.cidr = "10.0.0.0/19": {NETWORK}'),
    "network too narrow": ({"network": {"cidr": "10.0.0.0/30"}}, f'network.cidr = "10.0.0.0/30": {NETWORK}'),
    "tag like the stack's own": (
        {"network": {"vpcTags": ["stack:prod"]}},
        'network.vpcTags[0] = "stack:prod": must be 1 to 128 letters, digits and `_ . : / = + @ -`, and not start as '
        "the stack's own tags do (stack:, urn:), for example team:shop",
    ),
    "unknown engine": (
        {"database": {"engine": "MySQL-8"}},
        'database.engine = "MySQL-8": must be one of PostgreSQL-14, PostgreSQL-15, PostgreSQL-16, PostgreSQL-17, '
        "for example PostgreSQL-15",
    ),
    "unknown node type": (
        {"database": {"nodeType": "db-mega"}},
        'database.nodeType = "db-mega": must be one of db-dev-s, db-dev-m, db-dev-l, db-dev-xl, db-play2-pico, '
        "db-play2-nano, db-pro2-xxs, db-pro2-xs, db-pro2-s, db-pro2-m, db-gp-xs, db-gp-s, db-gp-m, db-gp-l, db-gp-xl, "
        "for example db-dev-s",
    ),
    "disk not in steps": (
        {"database": {"volumeGb": 12}},
        "database.volumeGb = 12: must be a whole number from 5 to 10000 in steps of 5, for example 10",
    ),
    "backups not kept": (
        {"database": {"backupRetentionDays": 0}},
        "database.backupRetentionDays = 0: must be a whole number from 1 to 365, for example 7",
    ),
    "backups kept too long": (
        {"database": {"backupRetentionDays": 366}},
        "database.backupRetentionDays = 366: must be a whole number from 1 to 365, for example 7",
    ),
    "days in words": (
        {"storage": {"noncurrentExpirationDays": "a month"}},
        'storage.noncurrentExpirationDays = "a month": must be a whole number from 1 to 365, for example 30',
    ),
    "days as a switch": (
        {"storage": {"noncurrentExpirationDays": True}},
        "storage.noncurrentExpirationDays = true: must be a whole number from 1 to 365, for example 30",
    ),
    "switch in words": (
        {"database": {"highAvailability": "perhaps"}},
        'database.highAvailability = "perhaps": must be true or false, for example true',
    ),
    "database that is there already": (
        {"database": {"name": "postgres"}},
        'database.name = "postgres": must be 1 to 63 lower-case letters, digits and underscores, and none of postgres, '
        "rdb, template0, template1, for example shop",
    ),
    "application as administrator": (
        {"database": {"user": "administrator"}},
        'database.user = "administrator": must be 1 to 63 lower-case letters, digits and underscores, and none of '
        "postgres, administrator, for example shop",
    ),
    "permission too wide": (
        {"database": {"permission": "superuser"}},
        'database.permission = "superuser": must be one of readonly, readwrite, all, for example readwrite',
    ),
    "empty description": (
        {"identity": {"description": ""}},
        'identity.description = "": must be 1 to 200 printable characters, for example Assets of the shop.',
    ),
    "description too long": (
        {"identity": {"description": "a" * 201}},
        f'identity.description = "{"a" * 58}…: must be 1 to 200 printable characters, for example Assets of the shop.',
    ),
    "a value as long as is shown": (
        {"identity": {"keyExpiresAt": "t" * 58}},
        f'identity.keyExpiresAt = "{"t" * 58}": must be a moment in RFC 3339 with its offset, '
        "for example 2030-01-31T00:00:00Z",
    ),
    "a value longer than is shown": (
        {"identity": {"keyExpiresAt": "t" * 59}},
        f'identity.keyExpiresAt = "{"t" * 58}…: must be a moment in RFC 3339 with its offset, '
        "for example 2030-01-31T00:00:00Z",
    ),
    "moment without offset": (
        {"identity": {"keyExpiresAt": "2030-01-31T00:00:00"}},
        'identity.keyExpiresAt = "2030-01-31T00:00:00": must be a moment in RFC 3339 with its offset, '
        "for example 2030-01-31T00:00:00Z",
    ),
    "moment in words": (
        {"identity": {"keyExpiresAt": "next year"}},
        'identity.keyExpiresAt = "next year": must be a moment in RFC 3339 with its offset, '
        "for example 2030-01-31T00:00:00Z",
    ),
    "operator by e-mail": (
        {"operators": ["smithers@example.com"]},
        f'operators[0] = "smithers@example.com": must be an id of Scaleway\'s, for example {ID}',
    ),
    "unknown volume": (
        {"database": {"volumeType": "lssd"}},
        'database.volumeType = "lssd": must be one of sbs_5k, sbs_15k, for example sbs_5k',
    ),
    "backups too seldom": (
        {"database": {"backupFrequencyHours": 48}},
        "database.backupFrequencyHours = 48: must be a whole number from 1 to 24, for example 24",
    ),
    "settings in a list": (
        {"database": {"settings": ["work_mem"]}},
        'database.settings = ["work_mem"]: must hold names, each with a value, for example database.settings.work_mem',
    ),
    "setting that is none": (
        {"database": {"settings": {**ALL_SIX, "Work Mem": 8}}},
        "database.settings.Work Mem: is a name that must be one of PostgreSQL's, for example work_mem",
    ),
    "setting that holds settings": (
        {"database": {"settings": {**ALL_SIX, "work_mem": {"value": 4}}}},
        'database.settings.work_mem = {"value": 4}: must be 1 to 200 printable characters, for example 4',
    ),
    "setting without a value": (
        {"database": {"settings": {**ALL_SIX, "timezone": ""}}},
        'database.settings.timezone = "": must be 1 to 200 printable characters, for example 4',
    ),
    "settings that Scaleway would set back": (
        {"database": {"settings": {"work_mem": 8, "max_connections": 200}}},
        'database.settings = {"work_mem": 8, "max_connections": 200}: must set effective_cache_size, '
        "maintenance_work_mem, max_parallel_workers, max_parallel_workers_per_gather too, as Scaleway does by node "
        "type and would set back at every preview, for example effective_cache_size: 1300, maintenance_work_mem: 150, "
        "max_connections: 100, max_parallel_workers: 0, max_parallel_workers_per_gather: 0, work_mem: 4, which a "
        "db-dev-s has",
    ),
    "setting of a newer engine": (
        {"database": {"settings": {**ALL_SIX, "log_min_duration_statement": 500, "log_lock_waits": True}}},
        'database.settings = {"effective_cache_size": 1300, "maintenance_work_mem": 150,…: must not set '
        "log_lock_waits, log_min_duration_statement, which PostgreSQL-15 does not let customers set, "
        "for example database.engine PostgreSQL-16",
    ),
    "serverless database without processors": (
        {"serverlessDatabase": {"maxCpu": 0}},
        "serverlessDatabase.maxCpu = 0: must be a whole number from 1 to 15, for example 2",
    ),
    "serverless database always too large": (
        {"serverlessDatabase": {"minCpu": 16}},
        "serverlessDatabase.minCpu = 16: must be a whole number from 0 to 15, for example 0",
    ),
    "serverless database larger than its largest": (
        {"serverlessDatabase": {"minCpu": 3}},
        "serverlessDatabase.minCpu = 3: must not be above serverlessDatabase.maxCpu, which is 2, for example 0",
    ),
    "key renewed too seldom": (
        {"encryption": {"rotationDays": 366}},
        "encryption.rotationDays = 366: must be a whole number from 1 to 365, for example 90",
    ),
    "key protected in words": (
        {"encryption": {"protected": "certainly"}},
        'encryption.protected = "certainly": must be true or false, for example true',
    ),
    "no image": ({"container": {"image": None}}, f"container.image: is required and {IMAGES}"),
    "no container": ({"stackproof-infra:container": None}, f"container.image: is required and {IMAGES}"),
    "image by tag": (
        {"container": {"image": "rg.fr-par.scw.cloud/acme/shop:latest"}},
        f'container.image = "rg.fr-par.scw.cloud/acme/shop:latest": {IMAGES}',
    ),
    "image of another registry": (
        {"container": {"image": f"ghcr.io/acme/shop@sha256:{'a' * 64}"}},
        f'container.image = "ghcr.io/acme/shop@sha256:{"a" * 33}…: {IMAGES}',
    ),
    "image by half a digest": (
        {"container": {"image": f"rg.fr-par.scw.cloud/acme/shop@sha256:{'a' * 63}"}},
        f'container.image = "rg.fr-par.scw.cloud/acme/shop@sha256:{"a" * 21}…: {IMAGES}',
    ),
    "image without a namespace": (
        {"container": {"image": f"rg.fr-par.scw.cloud/shop@sha256:{'a' * 64}"}},
        f'container.image = "rg.fr-par.scw.cloud/shop@sha256:{"a" * 26}…: {IMAGES}',
    ),
    "port of the product's own": (
        {"container": {"port": 9090}},
        "container.port = 9090: must be a whole number from 1 to 65535, and none of 8008, 8012, 8013, 8022, 9090, "
        "9091, for example 8080",
    ),
    "scale above its largest": (
        {"container": {"minScale": 6}},
        "container.minScale = 6: must not be above container.maxScale, which is 5, for example 0",
    ),
    "scale of none": (
        {"container": {"maxScale": 0}},
        "container.maxScale = 0: must be a whole number from 1 to 50, for example 5",
    ),
    "memory below the least": (
        {"container": {"memoryMb": 127}},
        "container.memoryMb = 127: must be a whole number from 128 to 12228, for example 512",
    ),
    "processor above the most": (
        {"container": {"cpuMillis": 6001}},
        "container.cpuMillis = 6001: must be a whole number from 70 to 6000, for example 250",
    ),
    "too little memory for the processor": (
        {"container": {"memoryMb": 1999, "cpuMillis": 2000}},
        "container.memoryMb = 1999: must be from 2000 to 8000, one to four times container.cpuMillis, which is 2000, "
        "for example 4000",
    ),
    "too much memory for the processor": (
        {"container": {"memoryMb": 281, "cpuMillis": 70}},
        "container.memoryMb = 281: must be from 128 to 280, one to four times container.cpuMillis, which is 70, "
        "for example 256",
    ),
    "too much processor for the memory there is": (
        {"container": {"cpuMillis": 6000}},
        "container.memoryMb: must be from 6000 to 12228, one to four times container.cpuMillis, which is 6000, "
        "for example 12000",
    ),
    "concurrency above the most": (
        {"container": {"concurrency": 81}},
        "container.concurrency = 81: must be a whole number from 1 to 80, for example 50",
    ),
    "timeout too short": (
        {"container": {"timeoutSeconds": 9}},
        "container.timeoutSeconds = 9: must be a whole number from 10 to 3600, for example 300",
    ),
    "health without a slash": (
        {"container": {"healthPath": "health"}},
        'container.healthPath = "health": must be a path of at most 200 letters, digits and `/ . _ ~ -`, from its /, '
        "for example /health",
    ),
    "domain as an address": (
        {"container": {"domain": "https://shop.example.com"}},
        f'container.domain = "https://shop.example.com": {DOMAINS}',
    ),
    "domain of Scaleway's": (
        {"container": {"domain": "shop.functions.fnc.fr-par.scw.cloud"}},
        f'container.domain = "shop.functions.fnc.fr-par.scw.cloud": {DOMAINS}',
    ),
    "domain of one word": ({"container": {"domain": "shop"}}, f'container.domain = "shop": {DOMAINS}'),
    "domain too long": (
        {"container": {"domain": f"{'a' * 63}." * 4 + "com"}},
        f'container.domain = "{"a" * 58}…: {DOMAINS}',
    ),
    "cron without a schedule": (
        {"container": {"cron": {"path": "/tidy"}}},
        f"container.cron.schedule: is required and {SCHEDULES}",
    ),
    "cron is a text": (
        {"container": {"cron": "daily"}},
        'container.cron = "daily": must hold keys of its own, '
        "for example pulumi config set --path container.cron.KEY VALUE",
    ),
    "cron path without a slash": (
        {"container": {"cron": {"schedule": "0 3 * * *", "path": "tidy"}}},
        'container.cron.path = "tidy": must be a path of at most 200 letters, digits and `/ . _ ~ -`, from its /, '
        "for example /health",
    ),
    "variable of the stack's": ({"container": {"environment": {"DATABASE_HOST": "x"}}}, variable("DATABASE_HOST")),
    "variable of the stack's secrets": ({"container": {"environment": {"SECRET_KEY": "x"}}}, variable("SECRET_KEY")),
    "variable of Scaleway's": ({"container": {"environment": {"SCW_PUBLIC_KEY": "x"}}}, variable("SCW_PUBLIC_KEY")),
    "variable that says the port": ({"container": {"environment": {"PORT": "80"}}}, variable("PORT")),
    "variable in lower case": ({"container": {"environment": {"level": "x"}}}, variable("level")),
    "variable too long": (
        {"container": {"environment": {"TEXT": "x" * 1001}}},
        f'container.environment.TEXT = "{"x" * 58}…: must be at most 1000 characters, for example info',
    ),
    "private in words": (
        {"container": {"private": "no"}},
        'container.private = "no": must be true or false, for example false',
    ),
    "telemetry forgotten too soon": (
        {"observability": {"retentionDays": 29}},
        "observability.retentionDays = 29: must be a whole number from 30 to 365, for example 30",
    ),
    "contact without a domain": (
        {"observability": {"contacts": ["on-call@example.com", "smithers"]}},
        'observability.contacts[1] = "smithers": must be an e-mail address, for example on-call@example.com',
    ),
    "alerts of a product the stack does not have": (
        {"observability": {"alerts": ["MySQL"]}},
        'observability.alerts[0] = "MySQL": must be one of PostgreSQL, SQL Databases, Cockpit, for example PostgreSQL',
    ),
    "misspelt key of cron": (
        {"container": {"cron": {"schedule": "0 3 * * *", "pathe": "/"}}},
        "container.cron.pathe: is not a key of this stack, for example container.cron.path",
    ),
    "section is a text": (
        {"database": "big"},
        'database = "big": must hold keys of its own, for example pulumi config set --path database.KEY VALUE',
    ),
    "container is a text": (
        {"stackproof-infra:container": "big"},
        'container = "big": must hold keys of its own, for example pulumi config set --path container.KEY VALUE',
    ),
    "misspelt section": ({"databse": {}}, "databse: is not a key of this stack, for example database"),
    "misspelt key": (
        {"database": {"backupRetentionDay": 3}},
        "database.backupRetentionDay: is not a key of this stack, for example database.backupRetentionDays",
    ),
    "key like no other": (
        {"credentials": {"x": 1}},
        "credentials.x: is not a key of this stack, for example "
        "credentials.applicationDescription or credentials.databaseDescription or credentials.databaseNote or "
        "credentials.telemetryDescription",
    ),
}


@pytest.mark.parametrize(("changes", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_value_is_refused_with_its_rule_and_an_example(changes: Mapping[str, object], said: str) -> None:
    assert faults(changes) == [said]


@pytest.mark.parametrize("stack", ["Dev", "dev_1", "-dev", "d" * 31])
def test_a_stack_whose_name_cannot_be_part_of_a_bucket_name_is_refused(stack: str) -> None:
    (fault,) = faults({}, stack=stack)
    assert fault.startswith(f'stack = "{stack}": must be at most 30 lower-case letters')


def test_all_faults_of_a_configuration_come_in_one_answer() -> None:
    wrong = {"prefix": "A", "network": {"cidr": "nowhere"}, "storage": {"readers": ["x", "y"]}, "colour": "red"}
    assert [fault.split(":")[0].split(" ")[0] for fault in faults(wrong)] == [
        "prefix",
        "network.cidr",
        "storage.readers[0]",
        "storage.readers[1]",
        "colour",
    ]


def test_a_mistake_in_the_reader_is_not_taken_for_one_in_the_configuration() -> None:
    given = Given(project=PROJECT, stack="Bad", values={}, secret_keys=frozenset(), environment={})
    with pytest.raises(ZeroDivisionError), Reading(given):
        raise ZeroDivisionError


def test_the_answer_counts_its_faults() -> None:
    with pytest.raises(InvalidConfiguration, match=r"^The configuration of stack test has 1 fault:\n  prefix = "):
        settings({"prefix": "A"})
    with pytest.raises(InvalidConfiguration) as refused:
        settings({"prefix": "A", "network": {"cidr": "nowhere"}})
    assert str(refused.value) == (
        "The configuration of stack test has 2 faults:\n"
        f'  prefix = "A": {PREFIXES}\n'
        f'  network.cidr = "nowhere": {NETWORK}'
    )


def test_a_bad_configuration_is_refused_before_anything_is_made() -> None:
    cloud = Recorder()
    with pytest.raises(InvalidConfiguration):
        deploy({"database": {"nodeType": "db-mega"}}, recorder=cloud)
    assert cloud.made == []


def test_a_password_that_is_not_encrypted_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        settings({}, secret_keys=SECRET_KEYS[1:])
    (fault,) = refused.value.faults
    assert str(fault) == (
        "databasePassword: must be encrypted, for example pulumi config set --secret databasePassword"
    )
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("changes", [{"databasePassword": "hunter2"}, {"databasePasword": "hunter2"}])
def test_no_fault_shows_a_password(changes: Mapping[str, object]) -> None:
    assert [fault for fault in faults(changes) if "hunter2" in fault] == []


def test_settings_show_no_password() -> None:
    assert PASSWORD not in repr(settings({}))


def test_numbers_and_switches_may_come_as_texts() -> None:
    database = settings({"database": {"backupRetentionDays": "14", "highAvailability": "false"}}).database
    assert (database.backup_retention_days, database.high_availability) == (14, False)


def test_project_and_region_come_from_the_environment_when_the_configuration_names_none() -> None:
    environment = {"SCW_DEFAULT_PROJECT_ID": ID, "SCW_DEFAULT_REGION": "pl-waw"}
    absent = {"scaleway:projectId": None, "scaleway:region": None}
    place = settings(absent, environment=environment).place
    assert (place.project_id, place.region) == (ID, "pl-waw")


def test_a_program_takes_the_project_from_the_environment_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCW_DEFAULT_PROJECT_ID", PROJECT_ID)
    graph = deploy({"scaleway:projectId": None})
    assert graph.the("network/vpc:Vpc")["projectId"] == PROJECT_ID


def test_the_configuration_beats_the_environment() -> None:
    environment = {"SCW_DEFAULT_PROJECT_ID": ID, "SCW_DEFAULT_REGION": "pl-waw"}
    place = settings({}, environment=environment).place
    assert (place.project_id, place.region) == (PROJECT_ID, "nl-ams")


def test_the_region_is_paris_when_nothing_names_one() -> None:
    assert settings({"scaleway:region": None}).place.region == "fr-par"


def test_settings_of_other_programs_are_left_alone() -> None:
    assert settings({"other:colour": "red"}).place.prefix == "acme-shop"


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "0 3 * *",
        "0 3 * * * *",
        "@daily",
        "0  3 * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 7",
        "*/0 * * * *",
        "*/60 * * * *",
        "*/ * * * *",
        "5- * * * *",
        "-5 * * * *",
        "5-3 * * * *",
        "5-3-7 * * * *",
        "5,,7 * * * *",
        "٣ * * * *",
        "123 * * * *",
        "005 * * * *",
        "X * * * *",
        "* * * jan *",
    ],
)
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    (fault,) = faults({"container": {"cron": {"schedule": schedule}}})
    assert fault.endswith(SCHEDULES)


@pytest.mark.parametrize(
    "schedule",
    [
        "* * * * *",
        "0 3 * * *",
        "*/1 * * * *",
        "59 23 31 12 6",
        "0 0 1 1 0",
        "*/5 0-6,12 */2 1-12/3 1-5",
        "5-5 * * * *",
        "*/59 * * * *",
    ],
)
def test_a_schedule_is_taken(schedule: str) -> None:
    cron = settings({"container": {"cron": {"schedule": schedule}}}).container.cron
    assert cron is not None
    assert cron.schedule == schedule


def test_values_that_must_agree_are_not_compared_while_one_is_refused() -> None:
    assert len(faults({"container": {"minScale": 51}})) == 1
    assert len(faults({"container": {"maxScale": 51, "minScale": 9}})) == 1
    assert len(faults({"container": {"memoryMb": 1, "cpuMillis": 6000}})) == 1
    assert len(faults({"container": {"memoryMb": 128, "cpuMillis": 6001}})) == 1
    assert len(faults({"serverlessDatabase": {"minCpu": 3, "maxCpu": 16}})) == 1
    assert len(faults({"database": {"settings": {**ALL_SIX, "log_lock_waits": True}, "engine": "MySQL-15"}})) == 1


def test_settings_of_a_newer_engine_are_taken_there() -> None:
    slow = {**ALL_SIX, "log_min_duration_statement": 500, "log_lock_waits": True, "random_page_cost": 1.1}
    (refused,) = faults({"database": {"engine": "PostgreSQL-14", "settings": slow}})
    assert "which PostgreSQL-14 does not let customers set" in refused
    for engine in ("PostgreSQL-16", "PostgreSQL-17"):
        taken = settings({"database": {"engine": engine, "settings": slow}}).database.settings
        assert taken["log_min_duration_statement"] == "500"
        assert (taken["log_lock_waits"], taken["random_page_cost"], taken["work_mem"]) == ("true", "1.1", "4")


def test_no_fault_shows_a_value_beside_an_encrypted_one() -> None:
    encrypted = (*SECRET_KEYS, f"{PROJECT}:container", f"{PROJECT}:deployers", f"{PROJECT}:operatorsProjectId")
    given = Given(
        project=PROJECT,
        stack=STACK,
        values=texts(
            {
                "container": {
                    "image": "hunter2",
                    "port": "hunter2",
                    "private": "hunter2",
                    "environment": {"A": ["hunter2"]},
                    "cron": {"schedule": "hunter2"},
                },
                "deployers": ["hunter2"],
                "operatorsProjectId": "hunter2",
            }
        ),
        secret_keys=frozenset(encrypted),
        environment={},
    )
    with pytest.raises(InvalidConfiguration) as refused:
        read(given)
    assert len(refused.value.faults) == 7
    assert "hunter2" not in str(refused.value)


def test_no_fault_shows_an_encrypted_project() -> None:
    key = "scaleway:projectId"
    given = Given(
        project=PROJECT,
        stack=STACK,
        values={**texts({}), key: "hunter2"},
        secret_keys=frozenset((*SECRET_KEYS, key)),
        environment={},
    )
    with pytest.raises(InvalidConfiguration) as refused:
        read(given)
    assert "scaleway:projectId" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_value_without_end_is_no_number() -> None:
    (fault,) = faults({"container": {"port": "[" * 100_000}})
    assert fault.startswith('container.port = "[[[')


def test_a_share_of_the_largest_and_smallest_good_values_is_taken() -> None:
    taken = settings(
        {
            "prefix": "a-1",
            "operators": [ID],
            "network": {"cidr": "172.31.255.248/29"},
            "database": {
                "volumeGb": 10_000,
                "backupRetentionDays": 365,
                "backupFrequencyHours": 1,
                "nodeType": "db-gp-xl",
                "volumeType": "sbs_15k",
            },
            "serverlessDatabase": {"minCpu": 15, "maxCpu": 15},
            "storage": {"noncurrentExpirationDays": 1, "readers": []},
            "encryption": {"rotationDays": 1},
            "container": {
                "port": 65_535,
                "minScale": 50,
                "maxScale": 50,
                "memoryMb": 12_228,
                "cpuMillis": 6000,
                "concurrency": 1,
                "timeoutSeconds": 3600,
                "healthPath": "/" + "a" * 199,
                "domain": f"{'a' * 63}.example.com",
                "environment": {"A" * 100: "x" * 1000, "EMPTY": ""},
            },
            "observability": {"retentionDays": 365, "contacts": ["o'neil+shop@example.com"], "alerts": []},
            "identity": {"description": "a" * 200, "keyExpiresAt": "2030-01-31T00:00:00+01:00"},
        }
    )
    assert taken.operators == (ID,)
    assert taken.network.cidr == "172.31.255.248/29"
    assert settings({"network": {"cidr": "192.168.240.0/20"}}).network.cidr == "192.168.240.0/20"
    least_memory = {"memoryMb": 1000, "cpuMillis": 1000}
    assert settings({"container": least_memory}).container.memory_mb == 1000
    assert taken.database.volume_gb == 10_000
    assert taken.storage.readers == ()
    assert taken.container.environment == {"A" * 100: "x" * 1000, "EMPTY": ""}
    assert taken.observability.contacts == ("o'neil+shop@example.com",)


def test_what_a_configuration_does_not_say_has_its_default() -> None:
    least = settings({})
    assert (least.operators, least.operators_place) == ((), None)
    assert (least.network.cidr, least.network.vpc_tags, least.network.private_network_tags) == ("10.0.0.0/22", (), ())
    database = least.database
    assert (database.engine, database.node_type, database.volume_type) == ("PostgreSQL-15", "db-dev-s", "sbs_5k")
    assert (database.volume_gb, database.high_availability, database.settings) == (10, True, {})
    assert (database.backup_frequency_hours, database.backup_retention_days) == (24, 7)
    assert (database.name, database.user, database.permission) == ("app", "app", "all")
    assert (least.serverless_database.min_cpu, least.serverless_database.max_cpu) == (0, 2)
    assert (least.storage.noncurrent_expiration_days, least.storage.force_destroy) == (30, False)
    assert (least.encryption.rotation_days, least.encryption.protected) == (90, True)
    assert least.encryption.description == "Encrypts what the application keeps secret."
    container = least.container
    assert (container.port, container.min_scale, container.max_scale) == (8080, 0, 5)
    assert (container.memory_mb, container.cpu_millis, container.concurrency) == (512, 250, 50)
    assert (container.timeout_seconds, container.health_path) == (300, "/health")
    assert container.description == "The application."
    assert container.namespace_description == "The application's containers."
    assert (container.domain, container.cron, container.private) == (None, None, False)
    assert (container.environment, container.secret_environment) == ({}, {})
    assert (least.observability.retention_days, least.observability.contacts) == (30, ())
    assert least.observability.alerts == ("PostgreSQL", "SQL Databases", "Cockpit")
    assert (least.identity.key_expires_at, least.credentials.database_note) == (None, None)
    assert least.identity.description == "The application, as it meets Scaleway."
    assert least.identity.policy_description == "What the application may do."
    assert least.identity.key_description == "The application's API key."

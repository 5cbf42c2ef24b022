"""Configuration: each bad value refused before anything exists, all faults in one answer, no secret shown."""

from collections.abc import Mapping

import pytest

from stackproof_infra.config import Given, InvalidConfiguration, Settings, read
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
    "section is a text": (
        {"database": "big"},
        'database = "big": must hold keys of its own, for example pulumi config set --path database.KEY VALUE',
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


def test_the_answer_counts_its_faults() -> None:
    with pytest.raises(InvalidConfiguration, match=r"^The configuration of stack test has 1 fault:\n  prefix = "):
        settings({"prefix": "A"})
    with pytest.raises(InvalidConfiguration, match=r"^The configuration of stack test has 2 faults:\n  prefix = "):
        settings({"prefix": "A", "network": {"cidr": "nowhere"}})


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


def test_the_configuration_beats_the_environment() -> None:
    environment = {"SCW_DEFAULT_PROJECT_ID": ID, "SCW_DEFAULT_REGION": "pl-waw"}
    place = settings({}, environment=environment).place
    assert (place.project_id, place.region) == (PROJECT_ID, "nl-ams")


def test_the_region_is_paris_when_nothing_names_one() -> None:
    assert settings({"scaleway:region": None}).place.region == "fr-par"


def test_settings_of_other_programs_are_left_alone() -> None:
    assert settings({"other:colour": "red"}).place.prefix == "acme-shop"


def test_a_share_of_the_largest_and_smallest_good_values_is_taken() -> None:
    taken = settings(
        {
            "prefix": "a-1",
            "network": {"cidr": "172.31.255.248/29"},
            "database": {"volumeGb": 10_000, "backupRetentionDays": 365, "nodeType": "db-gp-xl"},
            "storage": {"noncurrentExpirationDays": 1, "readers": []},
            "identity": {"description": "a" * 200, "keyExpiresAt": "2030-01-31T00:00:00+01:00"},
        }
    )
    assert taken.network.cidr == "172.31.255.248/29"
    assert taken.database.volume_gb == 10_000
    assert taken.storage.readers == ()

"""What a team decides about its stack, read once and refused as a whole when any of it is wrong.

`load` is called before any resource exists. It answers with `Settings`, or with one
`InvalidConfiguration` that lists every fault. Nothing is contacted: `read` is a
function of what it is given, so a configuration can be checked without a cloud.

| key | default | what it decides |
| --- | --- | --- |
| `prefix` | required | the start of every name; bucket names are unique among all of Scaleway's customers |
| `deployers` | required | principals who manage the bucket, at least one |
| `databasePassword` | required, secret | the application's password |
| `databaseAdminPassword` | required, secret | the administrator's password |
| `operatorsProjectId` | none | another project, to keep the administrator's password in (see `__main__.py`) |
| `scaleway:projectId` | SCW_DEFAULT_PROJECT_ID | the project that everything is created in |
| `scaleway:region` | SCW_DEFAULT_REGION, else fr-par | its region |
| `network.cidr` | 10.0.0.0/22 | addresses of the private network |
| `network.vpcTags`, `network.privateNetworkTags` | none | tags beside the stack's own |
| `database.engine` | PostgreSQL-15 | engine and version |
| `database.nodeType` | db-dev-s | size of the node; the smallest, and so the cheapest |
| `database.volumeGb` | 10 | size of the disk |
| `database.highAvailability` | true | a standby node beside the first |
| `database.backupRetentionDays` | 7 | how long the daily backups are kept |
| `database.name`, `database.user` | app | the application's database and user |
| `database.permission` | readwrite | what that user may do there: readonly, readwrite or all |
| `storage.noncurrentExpirationDays` | 30 | how long an overwritten or deleted object can be had back |
| `storage.readers` | none | principals who may read assets, beside the application |
| `storage.forceDestroy` | false | whether a destroy deletes the assets too |
| `credentials.databaseDescription` | a sentence | for people who read the list of secrets |
| `credentials.applicationDescription` | a sentence | likewise |
| `identity.description`, `identity.keyDescription` | a sentence | likewise |
| `identity.keyExpiresAt` | never | when the application's key stops working |
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi.runtime import config as given_by_engine

from stackproof_infra import rules
from stackproof_infra.place import Place
from stackproof_infra.reader import Fault, Section


class InvalidConfiguration(pulumi.RunError):
    """Every fault of a configuration, in one answer that the engine prints without a traceback."""

    def __init__(self, stack: str, faults: tuple[Fault, ...]) -> None:
        """Keeps the faults, and says them as one text."""
        self.faults = faults
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        lines = "".join(f"\n  {fault}" for fault in faults)
        super().__init__(f"The configuration of stack {stack} has {count}:{lines}")


@dataclass(frozen=True)
class SecretText:
    """A text that never shows itself: neither when printed, nor in the engine's state."""

    _text: str = field(repr=False)

    def output(self) -> pulumi.Output[str]:
        """Returns the text for a resource's input, marked secret."""
        return pulumi.Output.secret(self._text)


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The keys of `network`."""

    cidr: str
    vpc_tags: tuple[str, ...]
    private_network_tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """The keys of `database`, and the two passwords."""

    engine: str
    node_type: str
    volume_gb: int
    high_availability: bool
    backup_retention_days: int
    name: str
    user: str
    permission: str
    password: SecretText
    admin_password: SecretText


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """The keys of `storage`, and the deployers."""

    deployers: tuple[str, ...]
    readers: tuple[str, ...]
    noncurrent_expiration_days: int
    force_destroy: bool


@dataclass(frozen=True, kw_only=True)
class CredentialsSettings:
    """The keys of `credentials`; the command line refuses plain texts under names that sound like a secret's."""

    database_description: str
    application_description: str


@dataclass(frozen=True, kw_only=True)
class IdentitySettings:
    """The keys of `identity`."""

    description: str
    key_description: str
    key_expires_at: str | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A whole configuration without a fault."""

    place: Place
    operators: Place | None
    """Where only operators may read; none when no project was named for them."""
    network: NetworkSettings
    database: DatabaseSettings
    storage: StorageSettings
    credentials: CredentialsSettings
    identity: IdentitySettings


@dataclass(frozen=True, kw_only=True)
class Given:
    """A configuration as it was found: full keys and texts, as Pulumi hands them to a program."""

    project: str
    stack: str
    values: Mapping[str, str]
    secret_keys: frozenset[str]
    environment: Mapping[str, str]


def load() -> Settings:
    """Reads the running program's configuration.

    Raises `InvalidConfiguration` with all its faults.
    """
    # `pulumi.Config` can be asked for keys one knows, but not which keys there are: misspelt ones need this.
    values: dict[str, str] = {**given_by_engine.get_config_env(), **given_by_engine.CONFIG.get()}
    return read(
        Given(
            project=pulumi.get_project(),
            stack=pulumi.get_stack(),
            values=values,
            secret_keys=frozenset(key for key in values if given_by_engine.is_config_secret(key)),
            environment=os.environ,
        )
    )


def read(given: Given) -> Settings:
    """Turns a configuration into settings.

    Raises `InvalidConfiguration` with all its faults.
    """
    faults: list[Fault] = []
    own = f"{given.project}:"
    top = Section(
        "",
        {key.removeprefix(own): value for key, value in given.values.items() if key.startswith(own)},
        faults,
        frozenset(key.removeprefix(own) for key in given.secret_keys),
    )
    place = _place(given, top, faults)
    settings = Settings(
        place=place,
        operators=_operators(top, place),
        network=_network(top.section("network")),
        database=_database(top, top.section("database")),
        storage=_storage(top, top.section("storage")),
        credentials=_credentials(top.section("credentials")),
        identity=_identity(top.section("identity")),
    )
    top.refuse_unknown()
    if faults:
        raise InvalidConfiguration(given.stack, tuple(faults))
    return settings


def _place(given: Given, top: Section, faults: list[Fault]) -> Place:
    """Returns where the stack lives: Scaleway's own keys, which the provider reads too, or its environment."""
    known = {
        "stack": given.stack,
        "scaleway:projectId": given.values.get("scaleway:projectId") or given.environment.get("SCW_DEFAULT_PROJECT_ID"),
        "scaleway:region": given.values.get("scaleway:region") or given.environment.get("SCW_DEFAULT_REGION"),
    }
    found = Section("", {key: value for key, value in known.items() if value}, faults, frozenset())
    return Place(
        prefix=top.text("prefix", rules.PREFIX),
        stack=found.text("stack", rules.STACK),
        project_id=found.text("scaleway:projectId", rules.UUID),
        region=found.text("scaleway:region", rules.REGION, "fr-par"),
    )


def _operators(top: Section, place: Place) -> Place | None:
    project_id = top.optional("operatorsProjectId", rules.another_project(place.project_id))
    if project_id is None:
        return None
    return Place(prefix=place.prefix, stack=place.stack, project_id=project_id, region=place.region)


def _network(network: Section) -> NetworkSettings:
    settings = NetworkSettings(
        cidr=network.text("cidr", rules.CIDR, "10.0.0.0/22"),
        vpc_tags=network.texts("vpcTags", rules.TAG),
        private_network_tags=network.texts("privateNetworkTags", rules.TAG),
    )
    network.refuse_unknown()
    return settings


def _database(top: Section, database: Section) -> DatabaseSettings:
    settings = DatabaseSettings(
        # 15 is the newest version that the local tier runs for real on Debian 12: what is proven is what is deployed.
        engine=database.text("engine", rules.ENGINE, "PostgreSQL-15"),
        node_type=database.text("nodeType", rules.NODE_TYPE, "db-dev-s"),
        volume_gb=database.whole("volumeGb", rules.VOLUME_GB, 10),
        high_availability=database.flag("highAvailability", default=True),
        backup_retention_days=database.whole("backupRetentionDays", rules.DAYS, 7),
        name=database.text("name", rules.DATABASE_NAME, "app"),
        user=database.text("user", rules.DATABASE_USER, "app"),
        permission=database.text("permission", rules.PERMISSION, "readwrite"),
        password=SecretText(top.secret("databasePassword", rules.PASSWORD)),
        admin_password=SecretText(top.secret("databaseAdminPassword", rules.PASSWORD)),
    )
    database.refuse_unknown()
    return settings


def _storage(top: Section, storage: Section) -> StorageSettings:
    settings = StorageSettings(
        deployers=top.texts("deployers", rules.PRINCIPAL, required=True),
        readers=storage.texts("readers", rules.PRINCIPAL),
        noncurrent_expiration_days=storage.whole("noncurrentExpirationDays", rules.DAYS, 30),
        force_destroy=storage.flag("forceDestroy", default=False),
    )
    storage.refuse_unknown()
    return settings


def _credentials(credentials: Section) -> CredentialsSettings:
    settings = CredentialsSettings(
        database_description=credentials.text(
            "databaseDescription", rules.DESCRIPTION, "Password of the application's database user."
        ),
        application_description=credentials.text(
            "applicationDescription", rules.DESCRIPTION, "Secret key of the application's API key."
        ),
    )
    credentials.refuse_unknown()
    return settings


def _identity(identity: Section) -> IdentitySettings:
    settings = IdentitySettings(
        description=identity.text("description", rules.DESCRIPTION, "The application, as it meets Scaleway."),
        key_description=identity.text("keyDescription", rules.DESCRIPTION, "The application's API key."),
        key_expires_at=identity.optional("keyExpiresAt", rules.MOMENT),
    )
    identity.refuse_unknown()
    return settings

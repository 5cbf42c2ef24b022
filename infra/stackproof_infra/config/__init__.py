"""What a team decides about its stack, read once and refused as a whole when any of it is wrong.

`load` is called before any resource exists. It answers with `Settings`, or with one
`InvalidConfiguration` that lists every fault. Nothing is contacted: `read` is a
function of what it is given, so a configuration can be checked without a cloud
(`python -m stackproof_infra.check`).

One file a section, with its keys, their defaults, their rules and the facts behind those.

| key | default | what it decides |
| --- | --- | --- |
| `prefix` | required | the start of every name; bucket names are unique among all of Scaleway's customers |
| `deployers` | required | principals who manage the bucket, at least one |
| `databasePassword` | required, secret | the application's password |
| `databaseAdminPassword` | required, secret | the administrator's password |
| `databasePasswordAlternate` | none, secret | the other's of two users in turn, from the first rotation on |
| `operators` | none | ids of the users who may look at everything and change nothing |
| `operatorsProjectId` | none | another project, to keep the administrator's password in (see `__main__.py`) |
| `scaleway:projectId` | SCW_DEFAULT_PROJECT_ID | the project that everything is created in |
| `scaleway:region` | SCW_DEFAULT_REGION, else fr-par | its region |
| `network.cidr` | 10.0.0.0/22 | addresses of the private network |
| `network.vpcTags`, `network.privateNetworkTags` | none | tags beside the stack's own |
| `database.engine` | PostgreSQL-15 | engine and version |
| `database.nodeType` | db-dev-s | size of the node; the smallest, and so the cheapest |
| `database.volumeType` | sbs_5k | how fast the disk is: 5000 or 15000 operations a second |
| `database.volumeGb` | 10 | size of the disk |
| `database.highAvailability` | true | a standby node beside the first |
| `database.backupFrequencyHours` | 24 | how often a backup is made |
| `database.backupRetentionDays` | 7 | how long each is kept |
| `database.settings.<NAME>` | the node type's | PostgreSQL's own settings (see `config/database.py`) |
| `database.name`, `database.user` | app | the application's database and user |
| `database.permission` | all | what that user may do there: readonly, readwrite or all |
| `serverlessDatabase.minCpu` | 0 | processors kept for it; with none it sleeps when unused |
| `serverlessDatabase.maxCpu` | 2 | the most processors it grows to, and so the most it costs |
| `storage.noncurrentExpirationDays` | 30 | how long an overwritten or deleted object can be had back |
| `storage.readers` | none | principals who may read assets, beside the application |
| `storage.forceDestroy` | false | whether a destroy deletes the assets too |
| `encryption.rotationDays` | 90 | how often the key gets new material; the old still decrypts |
| `encryption.description` | a sentence | for people who read the list of keys |
| `encryption.protected` | true | whether the key can be deleted at all (see `components/encryption.py`) |
| `container.image` | required | the application, by its digest; `stackproof image push` writes it |
| `container.port` | 8080 | where the application listens |
| `container.minScale` | 0 | instances always running; with none the first request waits for a start |
| `container.maxScale` | 5 | the most instances |
| `container.memoryMb`, `container.cpuMillis` | 512, 250 | what an instance has |
| `container.concurrency` | 50 | requests at once that an instance gets before another starts |
| `container.timeoutSeconds` | 300 | how long a request may take |
| `container.healthPath` | /health | what is asked to know whether an instance lives |
| `container.description`, `container.namespaceDescription` | a sentence | for people who read the lists |
| `container.domain` | none | a host name of the team's, with a CNAME to the container's |
| `container.cron.schedule`, `.path`, `.description` | none, /, a sentence | a POST at set times, in UTC |
| `container.private` | false | whether callers need an API key |
| `container.environment.<NAME>` | none | variables beside those of `environment.py`; all secret when one is encrypted |
| `observability.retentionDays` | 30 | how long metrics, logs and traces are kept |
| `observability.contacts` | none | e-mail addresses that alerts go to |
| `observability.alerts` | all three | products whose preconfigured alerts are on |
| `credentials.databaseDescription` | a sentence | for people who read the list of secrets |
| `credentials.databaseNote` | none | on the present version of that secret, such as why it was rotated |
| `credentials.applicationDescription`, `credentials.telemetryDescription` | a sentence | likewise |
| `identity.permissionSets` | as the sample needs | what the application may do (see `security.py`) |
| `identity.description`, `identity.policyDescription`, `identity.keyDescription` | a sentence | likewise |
| `identity.keyExpiresAt` | never | when the application's key stops working |
| `rotation.database`, `rotation.apiKeys` | v1 | where each credential stands; `stackproof rotate` writes it |
"""

from dataclasses import dataclass

from stackproof_infra import rules
from stackproof_infra.config.container import ContainerSettings, read_container
from stackproof_infra.config.database import DatabaseSettings, read_database
from stackproof_infra.config.given import Given, InvalidConfiguration, Reading, SecretText, found
from stackproof_infra.config.network import NetworkSettings, read_network
from stackproof_infra.config.observability import ObservabilitySettings, read_observability
from stackproof_infra.config.rotation import RotationSettings, read_rotation
from stackproof_infra.config.security import (
    CredentialsSettings,
    EncryptionSettings,
    IdentitySettings,
    operators_project,
    read_credentials,
    read_encryption,
    read_identity,
)
from stackproof_infra.config.serverless_database import ServerlessDatabaseSettings, read_serverless_database
from stackproof_infra.config.storage import StorageSettings, read_storage
from stackproof_infra.place import Place

__all__ = ["Given", "InvalidConfiguration", "SecretText", "Settings", "load", "read"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A whole configuration without a fault."""

    place: Place
    operators: tuple[str, ...]
    """Ids of users; empty in a team that has named none yet."""
    operators_place: Place | None
    """Where only operators may read; none when no project was named for them."""
    network: NetworkSettings
    database: DatabaseSettings
    serverless_database: ServerlessDatabaseSettings
    storage: StorageSettings
    encryption: EncryptionSettings
    container: ContainerSettings
    observability: ObservabilitySettings
    credentials: CredentialsSettings
    identity: IdentitySettings
    rotation: RotationSettings


def load() -> Settings:
    """Reads the running program's configuration.

    Raises `InvalidConfiguration` with all its faults.
    """
    return read(found())


def read(given: Given) -> Settings:
    """Turns a configuration into settings.

    Raises `InvalidConfiguration` with all its faults.
    """
    with Reading(given) as reading:
        top, place = reading.top, reading.place
        rotation = read_rotation(top.section("rotation"))
        return Settings(
            place=place,
            operators=top.texts("operators", rules.UUID),
            operators_place=operators_project(top, place),
            network=read_network(top.section("network")),
            database=read_database(top, top.section("database"), rotation.database),
            serverless_database=read_serverless_database(top.section("serverlessDatabase")),
            storage=read_storage(top, top.section("storage")),
            encryption=read_encryption(top.section("encryption")),
            container=read_container(top.section("container")),
            observability=read_observability(top.section("observability")),
            credentials=read_credentials(top.section("credentials")),
            identity=read_identity(top.section("identity")),
            rotation=rotation,
        )

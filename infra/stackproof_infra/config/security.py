"""The keys of `identity`, `credentials` and `encryption`, and the operators' own project."""

from dataclasses import dataclass
from datetime import datetime

from stackproof_infra.place import Place
from stackproof_infra.reader import Section
from stackproof_infra.rules import AN_ID, DAYS, DESCRIPTION, UUID, Rule, one_of


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


MOMENT = Rule(
    says="must be a moment in RFC 3339 with its offset",
    example="2030-01-31T00:00:00Z",
    holds=_is_moment,
)


# What an application can do with what the stack has, each as narrow as Scaleway's list of permission sets (2026-03)
# makes it. None manages anything. Deleting assets is left to the bucket's lifecycle.
PERMISSION_SETS = (
    "ObjectStorageObjectsRead",
    "ObjectStorageObjectsWrite",
    # Tables and rows, rows only, looking only; without creating, deleting and settings of databases.
    "ServerlessSQLDatabaseReadWrite",
    "ServerlessSQLDatabaseDataReadWrite",
    "ServerlessSQLDatabaseReadOnly",
    "SecretManagerSecretAccess",
    # With a key that it cannot see, change or delete.
    "KeyManagerKeyEncrypt",
    "KeyManagerKeyDecrypt",
)
# What the sample application is seen to need: `stackproof check --iam` tells of any other.
NEEDED = ("ObjectStorageObjectsRead", "ServerlessSQLDatabaseReadWrite")


@dataclass(frozen=True, kw_only=True)
class CredentialsSettings:
    """The keys of `credentials`; the command line refuses plain texts under names that sound like a secret's."""

    database_description: str
    database_note: str | None
    application_description: str
    telemetry_description: str


@dataclass(frozen=True, kw_only=True)
class IdentitySettings:
    """The keys of `identity`."""

    permission_sets: tuple[str, ...]
    description: str
    policy_description: str
    key_description: str
    key_expires_at: str | None


@dataclass(frozen=True, kw_only=True)
class EncryptionSettings:
    """The keys of `encryption`."""

    rotation_days: int
    description: str
    protected: bool


def operators_project(top: Section, place: Place) -> Place | None:
    """Reads `operatorsProjectId`: where only operators may read secrets."""
    another = Rule(
        says="must be the id of another project than the stack's, where the application may read nothing",
        example=AN_ID,
        holds=lambda text: UUID.holds(text) and text != place.project_id,
    )
    project_id = top.optional("operatorsProjectId", another)
    if project_id is None:
        return None
    return Place(prefix=place.prefix, stack=place.stack, project_id=project_id, region=place.region)


def read_credentials(credentials: Section) -> CredentialsSettings:
    """Reads `credentials`."""
    settings = CredentialsSettings(
        database_description=credentials.text(
            "databaseDescription", DESCRIPTION, "Password of the application's database user."
        ),
        database_note=credentials.optional("databaseNote", DESCRIPTION),
        application_description=credentials.text(
            "applicationDescription", DESCRIPTION, "Secret key of the application's API key."
        ),
        telemetry_description=credentials.text(
            "telemetryDescription", DESCRIPTION, "Token that the application sends its telemetry with."
        ),
    )
    credentials.refuse_unknown()
    return settings


def read_identity(identity: Section) -> IdentitySettings:
    """Reads `identity`."""
    settings = IdentitySettings(
        permission_sets=identity.texts("permissionSets", one_of(PERMISSION_SETS, NEEDED[0]), NEEDED),
        description=identity.text("description", DESCRIPTION, "The application, as it meets Scaleway."),
        policy_description=identity.text("policyDescription", DESCRIPTION, "What the application may do."),
        key_description=identity.text("keyDescription", DESCRIPTION, "The application's API key."),
        key_expires_at=identity.optional("keyExpiresAt", MOMENT),
    )
    identity.refuse_unknown()
    return settings


def read_encryption(encryption: Section) -> EncryptionSettings:
    """Reads `encryption`."""
    settings = EncryptionSettings(
        # Key Manager's own bounds: a day to a year.
        rotation_days=encryption.whole("rotationDays", DAYS, 90),
        description=encryption.text("description", DESCRIPTION, "Encrypts what the application keeps secret."),
        protected=encryption.flag("protected", default=True),
    )
    encryption.refuse_unknown()
    return settings

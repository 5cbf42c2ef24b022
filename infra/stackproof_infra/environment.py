"""What the application finds in its environment: the stack's contract with what it runs.

A new variable is one line here and one where it is filled, which the type checker asks for.
"""

from dataclasses import dataclass, fields

import pulumi


@dataclass(frozen=True, kw_only=True)
class Plain:
    """What is no secret; Scaleway keeps and shows it as it is."""

    DATABASE_HOST: pulumi.Input[str]
    """The database's address in the private network; so are all of DATABASE_."""
    DATABASE_PORT: pulumi.Input[str]
    DATABASE_NAME: pulumi.Input[str]
    DATABASE_USER: pulumi.Input[str]
    SERVERLESS_DATABASE_ENDPOINT: pulumi.Input[str]
    """A `postgres://` address with TLS required, without a login."""
    SERVERLESS_DATABASE_USER: pulumi.Input[str]
    """The IAM application's id: Serverless SQL knows IAM's principals, no users of its own."""
    ASSETS_BUCKET: pulumi.Input[str]
    ASSETS_ENDPOINT: pulumi.Input[str]
    """Where the S3 API of the bucket's region answers."""
    ASSETS_REGION: pulumi.Input[str]
    ACCESS_KEY: pulumi.Input[str]
    """The API key's public half, for Object Storage."""
    ENCRYPTION_KEY_ID: pulumi.Input[str]
    """Region and id, as in `fr-par/7f1ac1a5-…`."""
    METRICS_PUSH_URL: pulumi.Input[str]
    LOGS_PUSH_URL: pulumi.Input[str]
    TRACES_PUSH_URL: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Secret:
    """What Scaleway keeps encrypted and never shows again."""

    DATABASE_PASSWORD: pulumi.Input[str]
    DATABASE_CA_CERTIFICATE: pulumi.Input[str]
    """No secret, but longer than the 1000 characters that a plain variable may have."""
    SERVERLESS_DATABASE_PASSWORD: pulumi.Input[str]
    """The same as SECRET_KEY, beside the user it belongs to."""
    SECRET_KEY: pulumi.Input[str]
    """The API key's secret half: for Object Storage, Secret Manager and Key Manager."""
    TELEMETRY_TOKEN: pulumi.Input[str]
    """Writes metrics, logs and traces; reads nothing."""


NAMES = frozenset(field.name for kind in (Plain, Secret) for field in fields(kind))

"""The stack, as a table of contents.

A network, the application's identity, its databases, key and assets, what watches over
it, the secrets of all of them, and then the application itself, in the order they
depend on each other. What a team decides is in `stackproof_infra/config/`, what each
part is made of in `stackproof_infra/components/`.
"""

import pulumi

from stackproof_infra.components.container import Container, ContainerArgs, Schedule
from stackproof_infra.components.database import Database, DatabaseArgs
from stackproof_infra.components.encryption import Encryption, EncryptionArgs
from stackproof_infra.components.identity import Identity, IdentityArgs
from stackproof_infra.components.network import Network, NetworkArgs
from stackproof_infra.components.observability import Observability, ObservabilityArgs
from stackproof_infra.components.operators import Operators, OperatorsArgs
from stackproof_infra.components.secrets import StoredSecret, StoredSecretArgs
from stackproof_infra.components.serverless_sql import ServerlessSql, ServerlessSqlArgs
from stackproof_infra.components.storage import PrivateBucket, PrivateBucketArgs
from stackproof_infra.config import load
from stackproof_infra.environment import Plain, Secret
from stackproof_infra.rotation import is_alternate
from stackproof_infra.tags import tag_everything

settings = load()
place = settings.place
tag_everything()

network = Network(
    "network",
    NetworkArgs(
        place=place,
        cidr=settings.network.cidr,
        vpc_tags=settings.network.vpc_tags,
        private_network_tags=settings.network.private_network_tags,
    ),
)

application = Identity(
    "application",
    IdentityArgs(
        place=place,
        permission_sets=settings.identity.permission_sets,
        description=settings.identity.description,
        policy_description=settings.identity.policy_description,
        key_description=settings.identity.key_description,
        key_expires_at=settings.identity.key_expires_at,
        keys=settings.rotation.api_keys,
    ),
)

operators = Operators("operators", OperatorsArgs(place=place, user_ids=settings.operators))

alternate = settings.database.alternate_password
database = Database(
    "database",
    DatabaseArgs(
        place=place,
        private_network_id=network.private_network_id,
        engine=settings.database.engine,
        node_type=settings.database.node_type,
        volume_type=settings.database.volume_type,
        volume_gb=settings.database.volume_gb,
        high_availability=settings.database.high_availability,
        backup_frequency_hours=settings.database.backup_frequency_hours,
        backup_retention_days=settings.database.backup_retention_days,
        settings=settings.database.settings,
        database=settings.database.name,
        user=settings.database.user,
        permission=settings.database.permission,
        user_password=settings.database.password.output(),
        alternate_password=alternate and alternate.output(),
        alternate_in_use=is_alternate(settings.rotation.database.in_use),
        administrator_password=settings.database.admin_password.output(),
    ),
)

serverless = ServerlessSql(
    "serverless",
    ServerlessSqlArgs(
        place=place,
        min_cpu=settings.serverless_database.min_cpu,
        max_cpu=settings.serverless_database.max_cpu,
    ),
)

writes_assets = "ObjectStorageObjectsWrite" in settings.identity.permission_sets
assets = PrivateBucket(
    "assets",
    PrivateBucketArgs(
        place=place,
        deployers=settings.storage.deployers,
        writers=[application.principal] if writes_assets else [],
        readers=[*settings.storage.readers, *([] if writes_assets else [application.principal])],
        noncurrent_expiration_days=settings.storage.noncurrent_expiration_days,
        force_destroy=settings.storage.force_destroy,
    ),
)

encryption = Encryption(
    "encryption",
    EncryptionArgs(
        place=place,
        description=settings.encryption.description,
        rotation_days=settings.encryption.rotation_days,
        protected=settings.encryption.protected,
    ),
)

observability = Observability(
    "observability",
    ObservabilityArgs(
        place=place,
        retention_days=settings.observability.retention_days,
        contacts=settings.observability.contacts,
        alerts=settings.observability.alerts,
    ),
)

passwords = {
    generation: database.alternate_password if is_alternate(generation) else database.password
    for generation in settings.rotation.database.valid
}
database_password = StoredSecret(
    "database-password",
    StoredSecretArgs(
        place=place,
        description=settings.credentials.database_description,
        note=settings.credentials.database_note,
        generation=settings.rotation.database.in_use,
        value=passwords[settings.rotation.database.in_use],
        beside=passwords,
    ),
)

application_key = StoredSecret(
    "application-key",
    StoredSecretArgs(
        place=place,
        description=settings.credentials.application_description,
        generation=settings.rotation.api_keys.in_use,
        value=application.secret_key,
        beside=application.secret_keys,
    ),
)

telemetry_token = StoredSecret(
    "telemetry-token",
    StoredSecretArgs(
        place=place,
        description=settings.credentials.telemetry_description,
        value=observability.push_token,
    ),
)

# Permission to read secrets is granted by project, so in the application's project the application could read this
# one too. Without a project for operators the password stays where the deployer keeps it: encrypted, in this
# stack's configuration.
if settings.operators_place:
    StoredSecret(
        "database-admin-password",
        StoredSecretArgs(
            place=settings.operators_place,
            description="Password of the database's administrator.",
            value=settings.database.admin_password.output(),
        ),
    )

plain = Plain(
    DATABASE_HOST=database.host,
    DATABASE_PORT=database.port,
    DATABASE_NAME=database.database,
    DATABASE_USER=database.user,
    SERVERLESS_DATABASE_ENDPOINT=serverless.endpoint,
    SERVERLESS_DATABASE_USER=application.application_id,
    ASSETS_BUCKET=assets.bucket,
    ASSETS_ENDPOINT=assets.api_endpoint,
    ASSETS_REGION=place.region,
    ACCESS_KEY=application.access_key,
    ENCRYPTION_KEY_ID=encryption.key_id,
    METRICS_PUSH_URL=observability.metrics_push_url,
    LOGS_PUSH_URL=observability.logs_push_url,
    TRACES_PUSH_URL=observability.traces_push_url,
)
secret = Secret(
    DATABASE_PASSWORD=passwords[settings.rotation.database.in_use],
    DATABASE_CA_CERTIFICATE=database.certificate,
    SERVERLESS_DATABASE_PASSWORD=application.secret_key,
    SECRET_KEY=application.secret_key,
    TELEMETRY_TOKEN=observability.push_token,
)
web = Container(
    "web",
    ContainerArgs(
        place=place,
        private_network_id=network.private_network_id,
        image=settings.container.image,
        port=settings.container.port,
        min_scale=settings.container.min_scale,
        max_scale=settings.container.max_scale,
        memory_mb=settings.container.memory_mb,
        cpu_millis=settings.container.cpu_millis,
        concurrency=settings.container.concurrency,
        timeout_seconds=settings.container.timeout_seconds,
        health_path=settings.container.health_path,
        description=settings.container.description,
        namespace_description=settings.container.namespace_description,
        private=settings.container.private,
        environment={**vars(plain), **settings.container.environment},
        secret_environment={**vars(secret), **settings.container.secret_environment},
        domain=settings.container.domain,
        schedule=settings.container.cron
        and Schedule(
            cron=settings.container.cron.schedule,
            path=settings.container.cron.path,
            description=settings.container.cron.description,
        ),
    ),
)

# Whoever calls a private container does so with a key of its own, which can call and nothing else.
if settings.container.private:
    caller = Identity(
        "caller",
        IdentityArgs(
            place=place,
            permission_sets=("ContainersPrivateAccess",),
            description="Whoever calls the application.",
            policy_description="Call private containers.",
            key_description="Key to call the application with.",
            key_expires_at=settings.identity.key_expires_at,
        ),
    )
    StoredSecret(
        "caller-key",
        StoredSecretArgs(place=place, description="Key to call the application with.", value=caller.secret_key),
    )

pulumi.export("url", web.url)
pulumi.export("container_id", web.container_id)
pulumi.export("container_namespace_id", web.namespace_id)
pulumi.export("vpc_id", network.vpc_id)
pulumi.export("private_network_id", network.private_network_id)
pulumi.export("bucket", assets.bucket)
pulumi.export("bucket_endpoint", assets.endpoint)
pulumi.export("database_instance_id", database.instance_id)
pulumi.export("database_endpoint", database.endpoint)
pulumi.export("database_name", database.database)
pulumi.export("database_user", database.user)
pulumi.export("database_certificate", database.certificate)
pulumi.export("database_password_secret_id", database_password.secret_id)
pulumi.export("serverless_database_id", serverless.database_id)
pulumi.export("serverless_database_endpoint", serverless.endpoint)
pulumi.export("encryption_key_id", encryption.key_id)
pulumi.export("metrics_push_url", observability.metrics_push_url)
pulumi.export("logs_push_url", observability.logs_push_url)
pulumi.export("traces_push_url", observability.traces_push_url)
pulumi.export("alert_manager_url", observability.alert_manager_url)
pulumi.export("telemetry_token_secret_id", telemetry_token.secret_id)
pulumi.export("telemetry_token", observability.push_token)
pulumi.export("operators_group_id", operators.group_id)
pulumi.export("application_key_secret_id", application_key.secret_id)
pulumi.export("application_id", application.application_id)
pulumi.export("access_key", application.access_key)
pulumi.export("secret_key", application.secret_key)

"""The stack, as a table of contents.

A network, the application's identity, its database, its secrets and its assets, in
the order they depend on each other. What a team decides is in `stackproof_infra/config.py`,
what each part is made of in `stackproof_infra/components/`.
"""

import pulumi

from stackproof_infra.components.database import Database, DatabaseArgs
from stackproof_infra.components.identity import Identity, IdentityArgs
from stackproof_infra.components.network import Network, NetworkArgs
from stackproof_infra.components.secrets import StoredSecret, StoredSecretArgs
from stackproof_infra.components.storage import AssetBucket, AssetBucketArgs
from stackproof_infra.config import load
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
        # Read and write assets, read secrets. Deleting assets is left to the bucket's lifecycle.
        permission_sets=("ObjectStorageObjectsRead", "ObjectStorageObjectsWrite", "SecretManagerSecretAccess"),
        description=settings.identity.description,
        key_description=settings.identity.key_description,
        key_expires_at=settings.identity.key_expires_at,
    ),
)

database = Database(
    "database",
    DatabaseArgs(
        place=place,
        private_network_id=network.private_network_id,
        engine=settings.database.engine,
        node_type=settings.database.node_type,
        volume_gb=settings.database.volume_gb,
        high_availability=settings.database.high_availability,
        backup_retention_days=settings.database.backup_retention_days,
        database=settings.database.name,
        user=settings.database.user,
        permission=settings.database.permission,
        user_password=settings.database.password.output(),
        administrator_password=settings.database.admin_password.output(),
    ),
)

database_password = StoredSecret(
    "database-password",
    StoredSecretArgs(
        place=place,
        description=settings.credentials.database_description,
        value=settings.database.password.output(),
    ),
)

application_key = StoredSecret(
    "application-key",
    StoredSecretArgs(
        place=place,
        description=settings.credentials.application_description,
        value=application.secret_key,
    ),
)

# Permission to read secrets is granted by project, so in the application's project the application could read this
# one too. Without a project for operators the password stays where the deployer keeps it: encrypted, in this
# stack's configuration.
if settings.operators:
    StoredSecret(
        "database-admin-password",
        StoredSecretArgs(
            place=settings.operators,
            description="Password of the database's administrator.",
            value=settings.database.admin_password.output(),
        ),
    )

assets = AssetBucket(
    "assets",
    AssetBucketArgs(
        place=place,
        deployers=settings.storage.deployers,
        writers=[application.principal],
        readers=settings.storage.readers,
        noncurrent_expiration_days=settings.storage.noncurrent_expiration_days,
        force_destroy=settings.storage.force_destroy,
    ),
)

pulumi.export("vpc_id", network.vpc_id)
pulumi.export("private_network_id", network.private_network_id)
pulumi.export("bucket", assets.bucket)
pulumi.export("bucket_endpoint", assets.endpoint)
pulumi.export("database_instance_id", database.instance_id)
pulumi.export("database_endpoint", database.endpoint)
pulumi.export("database_name", database.database)
pulumi.export("database_user", database.user)
pulumi.export("database_password_secret_id", database_password.secret_id)
pulumi.export("application_key_secret_id", application_key.secret_id)
pulumi.export("application_id", application.application_id)
pulumi.export("access_key", application.access_key)
pulumi.export("secret_key", application.secret_key)

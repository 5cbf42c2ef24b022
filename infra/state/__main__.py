"""The foundation, as a table of contents: what must be there before any stack.

What a team decides is in `stackproof_infra/config/foundation.py`.
"""

import sys
from dataclasses import replace
from pathlib import Path

# The package lies beside this program, not in it, and is not installed: both programs run where they lie.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pulumi

from stackproof_infra.components.deployers import Deployers, DeployersArgs
from stackproof_infra.components.lock_database import LockDatabase, LockDatabaseArgs, serverless_login
from stackproof_infra.components.registry import Registry, RegistryArgs
from stackproof_infra.components.secrets import StoredSecret, StoredSecretArgs
from stackproof_infra.components.serverless_sql import ServerlessSql, ServerlessSqlArgs
from stackproof_infra.components.storage import PrivateBucket, PrivateBucketArgs
from stackproof_infra.config.foundation import ServerlessLockSettings, load
from stackproof_infra.rotation import is_alternate
from stackproof_infra.tags import tag_everything

settings = load()
place = settings.place
tag_everything()

registry = Registry("registry", RegistryArgs(place=place, description=settings.registry.description))

deployers = Deployers(
    "deployers",
    DeployersArgs(
        place=place,
        user_ids=settings.deployers,
        serverless_lock=isinstance(settings.lock, ServerlessLockSettings),
        keys=settings.rotation,
    ),
)

# Both belong to the deployers' application alone, which therefore is who makes them.
as_deployers = pulumi.ResourceOptions(providers=[deployers.provider])
state = PrivateBucket(
    "state",
    PrivateBucketArgs(
        place=place,
        deployers=[deployers.principal],
        writers=[],
        readers=[],
        noncurrent_expiration_days=settings.state.noncurrent_expiration_days,
        force_destroy=settings.state.force_destroy,
    ),
    opts=as_deployers,
)
backup = PrivateBucket(
    "state-backup",
    PrivateBucketArgs(
        place=replace(place, region=settings.state.backup_region),
        deployers=[deployers.principal],
        writers=[],
        readers=[],
        noncurrent_expiration_days=settings.state.backup_expiration_days,
        expiration_days=settings.state.backup_expiration_days,
        force_destroy=settings.state.force_destroy,
    ),
    opts=as_deployers,
)

keys = {
    generation: pulumi.Output.json_dumps(
        {"access_key": access_key, "secret_key": secret_key, "backup_region": settings.state.backup_region}
    )
    for generation, (access_key, secret_key) in deployers.keys.items()
}
StoredSecret(
    "deployers-key",
    StoredSecretArgs(
        place=place,
        description="API key that the state is written with, and where its backups are.",
        generation=settings.rotation.in_use,
        value=keys[settings.rotation.in_use],
        beside=keys,
    ),
)

if isinstance(settings.lock, ServerlessLockSettings):
    # Its users are IAM's principals: the deployers' key is the login.
    serverless = ServerlessSql(
        "lock", ServerlessSqlArgs(place=place, min_cpu=settings.lock.min_cpu, max_cpu=settings.lock.max_cpu)
    )
    logins = {
        generation: serverless_login(serverless.endpoint, deployers.application_id, secret_key)
        for generation, (_, secret_key) in deployers.keys.items()
    }
else:
    password, alternate = settings.lock.password, settings.lock.alternate_password
    managed = LockDatabase(
        "lock",
        LockDatabaseArgs(
            place=place,
            engine=settings.lock.engine,
            node_type=settings.lock.node_type,
            allowed_addresses=settings.lock.allowed_addresses,
            user_password=password.output(),
            alternate_password=alternate and alternate.output(),
            administrator_password=settings.lock.admin_password.output(),
        ),
    )
    logins = {
        generation: managed.login(
            generation, (alternate if alternate and is_alternate(generation) else password).output()
        )
        for generation in settings.rotation.valid
    }

StoredSecret(
    "lock-login",
    StoredSecretArgs(
        place=place,
        description="Login of those who deploy, at the database of the lock.",
        generation=settings.rotation.in_use,
        value=logins[settings.rotation.in_use],
        beside=logins,
    ),
)

pulumi.export("registry_namespace_id", registry.namespace_id)
pulumi.export("registry_endpoint", registry.endpoint)
pulumi.export("state_bucket", state.bucket)
pulumi.export("backup_bucket", backup.bucket)
pulumi.export("deployers_application_id", deployers.application_id)
pulumi.export("deployers_group_id", deployers.group_id)

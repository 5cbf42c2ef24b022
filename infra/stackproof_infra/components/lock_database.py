"""The database that says who may change a stack now, and remembers who did.

Seed: FR-006 state locking using Scaleway's database services, SC-004 audit trail, NFR-015 cost.

It is reached from laptops and CI, and so has a public endpoint: the one exemption from the rule that no database has
(`docs/exemptions.md`). What keeps it closed all the same: TLS that clients verify, a list of addresses, and a user of
its own that may call functions and read, and change or delete nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
from pulumiverse_scaleway import databases

from stackproof_infra.components.database import ADMINISTRATOR, permitted
from stackproof_infra.place import Place
from stackproof_infra.rotation import alternate_user, is_alternate

DATABASE = "stackproof"
USER = "deployers"
# Of tables to come. What it may do with stackproof's own is said by their migrations.
PERMISSION = "readonly"


@dataclass(frozen=True, kw_only=True)
class LockDatabaseArgs:
    """What a caller decides; everything else is policy and lives in `LockDatabase`."""

    place: Place
    engine: str
    node_type: str
    allowed_addresses: Sequence[str]
    """Networks in CIDR notation that may connect; at least one."""
    user_password: pulumi.Input[str]
    alternate_password: pulumi.Input[str] | None = None
    """Of a second user, for whoever rotates: two in turn."""
    administrator_password: pulumi.Input[str]

    def __post_init__(self) -> None:
        """Refuses a database that nobody could reach, and so nobody could lock."""
        if not self.allowed_addresses:
            raise ValueError("allowed_addresses must name at least one network, or nobody could take the lock")


class LockDatabase(pulumi.ComponentResource):
    """The smallest managed PostgreSQL, with a public endpoint that an allow-list guards."""

    instance_id: pulumi.Output[str]
    host: pulumi.Output[str]
    port: pulumi.Output[str]
    user: pulumi.Output[str]
    """Known once it has its permission."""
    certificate: pulumi.Output[str]
    """What the instance's own certificate is checked with, in PEM."""

    def __init__(self, name: str, args: LockDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the instance and its allow-list, then its database, user and the user's permission."""
        super().__init__("stackproof:lock_database:LockDatabase", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        instance = databases.Instance(
            f"{name}-instance",
            name=args.place.name(name),
            project_id=args.place.project_id,
            region=args.place.region,
            engine=args.engine,
            node_type=args.node_type,
            volume_type="sbs_5k",
            volume_size_in_gb=5,
            # One node: while it is away nobody deploys, and nothing that runs is hurt (see docs/runbooks).
            is_ha_cluster=False,
            user_name=ADMINISTRATOR,
            password=pulumi.Output.secret(args.administrator_password),
            encryption_at_rest=True,
            disable_backup=False,
            backup_schedule_frequency=24,
            # SC-004: the audit trail is in these backups.
            backup_schedule_retention=30,
            backup_same_region=False,
            load_balancer=databases.InstanceLoadBalancerArgs(),
            opts=own,
        )
        databases.Acl(
            f"{name}-acl",
            instance_id=instance.id,
            region=args.place.region,
            acl_rules=[
                databases.AclAclRuleArgs(ip=network, description="May ask who deploys.")
                for network in args.allowed_addresses
            ],
            opts=own,
        )
        database = databases.Database(
            f"{name}-database",
            name=DATABASE,
            instance_id=instance.id,
            region=args.place.region,
            opts=own,
        )
        # An administrator of the instance owns nothing in its databases.
        owner = databases.Privilege(
            f"{name}-owner",
            instance_id=instance.id,
            region=args.place.region,
            database_name=database.name,
            user_name=ADMINISTRATOR,
            permission="all",
            opts=own,
        )
        names = (f"{name}-user", f"{name}-privilege")
        privilege = permitted(self, names, args.place, database, USER, args.user_password, PERMISSION, owner)
        self.alternate: pulumi.Output[str] | None = None
        """The other user likewise, where there is one."""
        if args.alternate_password is not None:
            user, password = alternate_user(USER), args.alternate_password
            names = (f"{name}-user-alternate", f"{name}-privilege-alternate")
            alternate = permitted(self, names, args.place, database, user, password, PERMISSION, privilege)
            self.alternate = alternate.user_name
        self.instance_id = instance.id
        self.host = instance.load_balancer.apply(lambda public: _endpoint(public)[0])
        self.port = instance.load_balancer.apply(lambda public: _endpoint(public)[1])
        self.user = privilege.user_name
        self.certificate = instance.certificate
        self.register_outputs(
            {
                "instance_id": self.instance_id,
                "host": self.host,
                "port": self.port,
                "user": self.user,
                "certificate": self.certificate,
            }
        )

    def login(self, generation: int, password: pulumi.Input[str]) -> pulumi.Output[str]:
        """Returns how those who deploy sign in, as JSON."""
        return _json(
            host=self.host,
            port=self.port,
            database=pulumi.Output.from_input(DATABASE),
            user=(is_alternate(generation) and self.alternate) or self.user,
            password=pulumi.Output.secret(password),
            certificate=self.certificate,
        )


def serverless_login(
    endpoint: pulumi.Input[str], application_id: pulumi.Input[str], secret_key: pulumi.Input[str]
) -> pulumi.Output[str]:
    """Returns the same for a serverless database: IAM's principal is the user, its key the password.

    Its certificate is one that everybody trusts, so that none is named.
    """
    at = pulumi.Output.from_input(endpoint).apply(urlsplit)
    return _json(
        host=at.apply(lambda at: at.hostname or ""),
        port=at.apply(lambda at: str(at.port or 5432)),
        database=at.apply(lambda at: at.path.strip("/")),
        user=pulumi.Output.from_input(application_id),
        password=pulumi.Output.secret(secret_key),
        certificate=pulumi.Output.from_input(""),
    )


def _json(**login: pulumi.Output[str]) -> pulumi.Output[str]:
    return pulumi.Output.json_dumps(login)


def _endpoint(public: databases.outputs.InstanceLoadBalancer | None) -> tuple[str, str]:
    return (public.ip or public.hostname or "", str(public.port)) if public and public.port else ("", "")

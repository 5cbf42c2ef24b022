"""Managed PostgreSQL that only its private network can reach.

Seed: FR-002 managed database with backups, FR-007 private networks, FR-011 encryption at rest.
Deliberately not here: where passwords are kept (`secrets.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumiverse_scaleway import databases

from stackproof_infra.place import Place
from stackproof_infra.rotation import alternate_user

# The user an instance is born with. It administers; the application signs in as its own, lesser user.
ADMINISTRATOR = "administrator"


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """What a caller decides; everything else is policy and lives in `Database`."""

    place: Place
    private_network_id: pulumi.Input[str]
    engine: str
    node_type: str
    volume_type: str
    volume_gb: int
    high_availability: bool
    backup_frequency_hours: int
    backup_retention_days: int
    settings: Mapping[str, str]
    """PostgreSQL's own settings; with none the instance keeps those of its node type."""
    database: str
    user: str
    permission: str
    user_password: pulumi.Input[str]
    alternate_password: pulumi.Input[str] | None = None
    """Of a second user with the same permission, for whoever rotates: two in turn."""
    alternate_in_use: bool = False
    administrator_password: pulumi.Input[str]

    def __post_init__(self) -> None:
        """Refuses a database whose backups would be too old or not be kept."""
        if not 1 <= self.backup_frequency_hours <= 24:
            raise ValueError(f"backup_frequency_hours must be 1 to 24, not {self.backup_frequency_hours}")
        if not 1 <= self.backup_retention_days <= 365:
            raise ValueError(f"backup_retention_days must be 1 to 365, not {self.backup_retention_days}")


class Database(pulumi.ComponentResource):
    """A PostgreSQL instance with automated backups and no public endpoint, one database in it, one user of that."""

    instance_id: pulumi.Output[str]
    database: pulumi.Output[str]
    user: pulumi.Output[str]
    """Known once it has its permission: whoever waits for the name can sign in and work."""
    host: pulumi.Output[str]
    """Address within the private network, such as `10.0.0.2`; empty until the instance has one."""
    port: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    """Both, such as `10.0.0.2:5432`; empty likewise."""
    certificate: pulumi.Output[str]
    """What the instance's own certificate is checked with, in PEM."""

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the instance in the private network, then its database, user and the user's permission."""
        super().__init__("stackproof:database:Database", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        instance = databases.Instance(
            f"{name}-instance",
            name=args.place.name(name),
            project_id=args.place.project_id,
            region=args.place.region,
            engine=args.engine,
            node_type=args.node_type,
            # Block storage outlives the node, grows online, and is the one kind that every node type takes.
            volume_type=args.volume_type,
            volume_size_in_gb=args.volume_gb,
            is_ha_cluster=args.high_availability,
            user_name=ADMINISTRATOR,
            password=pulumi.Output.secret(args.administrator_password),
            encryption_at_rest=True,
            disable_backup=False,
            backup_schedule_frequency=args.backup_frequency_hours,
            backup_schedule_retention=args.backup_retention_days,
            # Backups rest in another region, so that they survive the loss of this one.
            backup_same_region=False,
            settings=dict(args.settings) or None,
            # A private endpoint, and by naming it no public one: an instance without any gets a public load balancer.
            private_network=databases.InstancePrivateNetworkArgs(pn_id=args.private_network_id, enable_ipam=True),
            opts=own,
        )
        database = databases.Database(
            f"{name}-database",
            name=args.database,
            instance_id=instance.id,
            region=args.place.region,
            opts=own,
        )
        names = (f"{name}-user", f"{name}-privilege")
        privilege = in_use = permitted(
            self, names, args.place, database, args.user, args.user_password, args.permission
        )
        self.password = _once(privilege, args.user_password)
        """Known once somebody can sign in with it."""
        self.alternate_password = self.password
        """Likewise, of the other user where there is one."""
        if args.alternate_password is not None:
            user, password = alternate_user(args.user), args.alternate_password
            names = (f"{name}-user-alternate", f"{name}-privilege-alternate")
            alternate = permitted(self, names, args.place, database, user, password, args.permission, privilege)
            self.alternate_password = _once(alternate, args.alternate_password)
            in_use = alternate if args.alternate_in_use else privilege
        self.instance_id = instance.id
        self.database = database.name
        self.user = in_use.user_name
        self.host = instance.private_network.apply(lambda private: _endpoint(private)[0])
        self.port = instance.private_network.apply(lambda private: _endpoint(private)[1])
        self.endpoint = instance.private_network.apply(lambda private: ":".join(filter(None, _endpoint(private))))
        self.certificate = instance.certificate
        self.register_outputs(
            {
                "instance_id": self.instance_id,
                "database": self.database,
                "user": self.user,
                "host": self.host,
                "port": self.port,
                "endpoint": self.endpoint,
                "certificate": self.certificate,
            }
        )


def permitted(
    parent: pulumi.ComponentResource,
    names: tuple[str, str],
    place: Place,
    database: databases.Database,
    user: str,
    password: pulumi.Input[str],
    permission: pulumi.Input[str],
    after: pulumi.Resource | None = None,
) -> databases.Privilege:
    """Creates a user of a database, then its permission there, after another resource where one is given.

    `names` are the names in the program of the two.
    """
    made = databases.User(
        names[0],
        name=user,
        instance_id=database.instance_id,
        region=place.region,
        password=pulumi.Output.secret(password),
        is_admin=False,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return databases.Privilege(
        names[1],
        instance_id=database.instance_id,
        region=place.region,
        database_name=database.name,
        user_name=made.name,
        permission=permission,
        # The instance changes one privilege at a time.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[after] if after else None),
    )


def _once(privilege: databases.Privilege, password: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.all(privilege.user_name, pulumi.Output.secret(password)).apply(lambda known: str(known[1]))


def _endpoint(private: databases.outputs.InstancePrivateNetwork | None) -> tuple[str, str]:
    return (private.ip, str(private.port)) if private and private.ip else ("", "")

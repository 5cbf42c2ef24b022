"""A small PostgreSQL that sleeps when nobody asks it anything, and costs what it is used.

Seed: core principles (Serverless Databases), FR-011 encryption at rest and in transit (the product encrypts both,
and offers no way not to), NFR-015 cost.
Deliberately not here: users. IAM's principals sign in, with an API key for a password (`identity.py`).
"""

from dataclasses import dataclass

import pulumi
from pulumiverse_scaleway import databases

from stackproof_infra.place import Place


@dataclass(frozen=True, kw_only=True)
class ServerlessSqlArgs:
    """What a caller decides; everything else is policy and lives in `ServerlessSql`."""

    place: Place
    min_cpu: int
    """With none it scales to zero; the first question after that waits for it to wake."""
    max_cpu: int

    def __post_init__(self) -> None:
        """Refuses a database that could not be as small as it has to be."""
        if not 0 <= self.min_cpu <= self.max_cpu:
            raise ValueError(f"min_cpu must be 0 to max_cpu, {self.max_cpu}, not {self.min_cpu}")


class ServerlessSql(pulumi.ComponentResource):
    """A Serverless SQL Database."""

    database_id: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    """A `postgres://` address with TLS required, without a login."""

    def __init__(self, name: str, args: ServerlessSqlArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the database."""
        super().__init__("stackproof:serverless_sql:ServerlessSql", name, {}, opts)
        database = databases.ServerlessDatabase(
            f"{name}-database",
            name=args.place.name(name),
            project_id=args.place.project_id,
            region=args.place.region,
            min_cpu=args.min_cpu,
            max_cpu=args.max_cpu,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.database_id = database.id
        self.endpoint = database.endpoint
        self.register_outputs({"database_id": self.database_id, "endpoint": self.endpoint})

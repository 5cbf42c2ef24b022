"""The people who watch over the stack: they see how everything is, and neither change it nor read its data.

Seed: FR-004 least privilege, FR-008 observability.
Deliberately not here: deployers, who must exist before any stack does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumiverse_scaleway import iam

from stackproof_infra.place import Place

# One per product of the stack. Not here, because they read contents: ObjectStorageReadOnly and
# ObjectStorageObjectsRead (objects), SecretManagerSecretAccess (secrets' values), ServerlessSQLDatabaseReadOnly
# (SELECT; nothing smaller shows how the database is). Scaleway's list of permission sets, 2026-03.
PERMISSION_SETS = (
    "ContainerRegistryReadOnly",
    "ContainersReadOnly",
    "IPAMReadOnly",
    "KeyManagerReadOnly",
    "ObjectStorageBucketsRead",
    "ObservabilityReadOnly",
    "PrivateNetworksReadOnly",
    "RelationalDatabasesReadOnly",
    "SecretManagerReadOnly",
    "VPCReadOnly",
)


@dataclass(frozen=True, kw_only=True)
class OperatorsArgs:
    """What a caller decides; everything else is policy and lives in `Operators`."""

    place: Place
    user_ids: Sequence[str]
    """May be empty: the group is there for the first to come."""


class Operators(pulumi.ComponentResource):
    """A group of people, and the policy that lets them look at one project."""

    group_id: pulumi.Output[str]

    def __init__(self, name: str, args: OperatorsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the group with its members, then its policy."""
        super().__init__("stackproof:operators:Operators", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        group = iam.Group(
            f"{name}-group",
            name=args.place.name(name),
            description=f"Watch over {args.place.prefix}-{args.place.stack}.",
            user_ids=list(args.user_ids),
            opts=own,
        )
        iam.Policy(
            f"{name}-policy",
            name=args.place.name(name),
            description=f"What {args.place.name(name)} may look at.",
            group_id=group.id,
            rules=[
                iam.PolicyRuleArgs(
                    permission_set_names=list(PERMISSION_SETS),
                    project_ids=[args.place.project_id],
                )
            ],
            opts=own,
        )
        self.group_id = group.id
        self.register_outputs({"group_id": self.group_id})

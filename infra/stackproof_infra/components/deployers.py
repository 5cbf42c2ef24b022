"""Who changes stacks: the people, and the one identity that writes their state.

Seed: FR-004 least privilege, NFR-008 up to five people.
Deliberately not here: what they deploy with. This identity may work on the state and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumiverse_scaleway
from pulumiverse_scaleway import iam

from stackproof_infra.place import Place
from stackproof_infra.rotation import FIRST, Generations, of_generation

# NFR-008: the management interface serves up to five people.
MOST_PEOPLE = 5

# The identity makes, keeps and takes away the state's buckets and what is in them, and signs in to the lock's database,
# where that is a serverless one.
_APPLICATION = (
    "ObjectStorageBucketsRead",
    "ObjectStorageBucketsWrite",
    "ObjectStorageBucketsDelete",
    "ObjectStorageBucketPolicyFullAccess",
    "ObjectStorageObjectsRead",
    "ObjectStorageObjectsWrite",
    "ObjectStorageObjectsDelete",
)
_SERVERLESS_LOCK = "ServerlessSQLDatabaseReadWrite"

# People get its key and the passphrase from Secret Manager: being of this group is the right to deploy.
_PEOPLE = ("SecretManagerReadOnly", "SecretManagerSecretAccess")


@dataclass(frozen=True, kw_only=True)
class DeployersArgs:
    """What a caller decides; everything else is policy and lives in `Deployers`."""

    place: Place
    user_ids: Sequence[str]
    """May be empty: who has more rights than this group needs no place in it."""
    serverless_lock: bool
    """Whether the identity signs in to a serverless database."""
    keys: Generations = FIRST
    """Of its API key: each is a key of its own."""

    def __post_init__(self) -> None:
        """Refuses a group of more people than the state is made for."""
        if len(self.user_ids) > MOST_PEOPLE:
            raise ValueError(f"user_ids must name at most {MOST_PEOPLE} people, not {len(self.user_ids)}")


class Deployers(pulumi.ComponentResource):
    """A group of people, and an IAM application with an API key, which alone writes the state."""

    application_id: pulumi.Output[str]
    principal: pulumi.Output[str]
    """The application as bucket policies name it."""
    group_id: pulumi.Output[str]
    access_key: pulumi.Output[str]
    secret_key: pulumi.Output[str]

    def __init__(self, name: str, args: DeployersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the application, the group, what each may do, and then the application's key."""
        super().__init__("stackproof:deployers:Deployers", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        application = iam.Application(
            f"{name}-application",
            name=args.place.name(name),
            description=f"Writes the state of {args.place.prefix}-{args.place.stack}.",
            opts=own,
        )
        group = iam.Group(
            f"{name}-group",
            name=args.place.name(name),
            description=f"Deploy {args.place.prefix}-{args.place.stack}.",
            user_ids=list(args.user_ids),
            opts=own,
        )
        serverless = (_SERVERLESS_LOCK,) if args.serverless_lock else ()
        policy = iam.Policy(
            f"{name}-policy",
            name=args.place.name(name),
            description=f"What {args.place.name(name)} may do with the state.",
            application_id=application.id,
            rules=[_rule(args, (*_APPLICATION, *serverless))],
            opts=own,
        )
        iam.Policy(
            f"{name}-group-policy",
            name=args.place.name(f"{name}-group"),
            description=f"What people of {args.place.name(name)} may read.",
            group_id=group.id,
            rules=[_rule(args, _PEOPLE)],
            opts=own,
        )
        keys = {
            generation: iam.ApiKey(
                of_generation(f"{name}-api-key", generation),
                application_id=application.id,
                # Object Storage takes the project of a request from its key.
                default_project_id=args.place.project_id,
                description=f"Writes the state of {args.place.prefix}-{args.place.stack}.",
                opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
            )
            for generation in args.keys.valid
        }
        self.application_id = application.id
        self.principal = pulumi.Output.concat("application_id:", application.id)
        self.group_id = group.id
        self.keys = {
            generation: (key.access_key, pulumi.Output.secret(key.secret_key)) for generation, key in keys.items()
        }
        """Access key and secret key of all valid generations."""
        self.access_key, self.secret_key = self.keys[args.keys.in_use]
        self.provider = pulumiverse_scaleway.Provider(
            f"{name}-provider",
            access_key=self.access_key,
            secret_key=self.secret_key,
            project_id=args.place.project_id,
            region=args.place.region,
            opts=own,
        )
        """Acts as the application: a bucket whose policy names only it can be managed by nobody else."""
        self.register_outputs(
            {
                "application_id": self.application_id,
                "principal": self.principal,
                "group_id": self.group_id,
                "access_key": self.access_key,
                "secret_key": self.secret_key,
            }
        )


def _rule(args: DeployersArgs, permission_sets: Sequence[str]) -> iam.PolicyRuleArgs:
    return iam.PolicyRuleArgs(permission_set_names=list(permission_sets), project_ids=[args.place.project_id])

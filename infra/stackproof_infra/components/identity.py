"""Who the application is to Scaleway, and the little it may do.

Seed: FR-004 IAM policies with least privilege.
Deliberately not here: people and deployers, who must exist before any stack does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumiverse_scaleway import iam

from stackproof_infra.place import Place
from stackproof_infra.rotation import FIRST, Generations, of_generation


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """What a caller decides; everything else is policy and lives in `Identity`."""

    place: Place
    permission_sets: Sequence[str]
    """What the application may do, within the stack's project and nowhere else."""
    description: str
    policy_description: str
    key_description: str
    key_expires_at: str | None
    keys: Generations = FIRST
    """Of the API key: each is a key of its own."""


class Identity(pulumi.ComponentResource):
    """An IAM application, the policy that limits it to one project, and its API key."""

    application_id: pulumi.Output[str]
    principal: pulumi.Output[str]
    """The application as bucket policies name it."""
    access_key: pulumi.Output[str]
    secret_key: pulumi.Output[str]

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the application and its policy, then the key, which so never exists without its limits."""
        super().__init__("stackproof:identity:Identity", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        application = iam.Application(
            f"{name}-application",
            name=args.place.name(name),
            description=args.description,
            opts=own,
        )
        policy = iam.Policy(
            f"{name}-policy",
            name=args.place.name(name),
            description=args.policy_description,
            application_id=application.id,
            rules=[
                iam.PolicyRuleArgs(
                    permission_set_names=list(args.permission_sets),
                    project_ids=[args.place.project_id],
                )
            ],
            opts=own,
        )
        keys = {
            generation: iam.ApiKey(
                of_generation(f"{name}-api-key", generation),
                application_id=application.id,
                # Object Storage takes the project of a request from its key.
                default_project_id=args.place.project_id,
                description=args.key_description,
                expires_at=args.key_expires_at,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
            )
            for generation in args.keys.valid
        }
        key = keys[args.keys.in_use]
        self.application_id = application.id
        self.principal = pulumi.Output.concat("application_id:", application.id)
        self.access_key = key.access_key
        self.secret_keys = {generation: pulumi.Output.secret(key.secret_key) for generation, key in keys.items()}
        """Those of all valid generations."""
        self.secret_key = self.secret_keys[args.keys.in_use]
        self.register_outputs(
            {
                "application_id": self.application_id,
                "principal": self.principal,
                "access_key": self.access_key,
                "secret_key": self.secret_key,
            }
        )

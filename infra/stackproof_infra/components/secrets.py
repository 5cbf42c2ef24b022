"""One secret in Secret Manager, with its value.

Seed: FR-005 all credentials in Secret Manager, FR-011 encryption at rest (Secret Manager encrypts what it keeps).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumiverse_scaleway import secrets

from stackproof_infra.place import Place
from stackproof_infra.rotation import of_generation


@dataclass(frozen=True, kw_only=True)
class StoredSecretArgs:
    """What a caller decides; everything else is policy and lives in `StoredSecret`."""

    place: Place
    """Permissions on secrets are granted by project: whoever may read one here may read all of them."""
    description: str
    value: pulumi.Input[str]
    note: str | None = None
    """On the present version, such as why it replaced the last."""
    generation: int = 1
    """Which generation of the credential the value is."""
    beside: Mapping[int, pulumi.Input[str]] = field(default_factory=dict[int, "pulumi.Input[str]"])
    """Values of other generations that are valid too, each in a version of its own."""


class StoredSecret(pulumi.ComponentResource):
    """A secret and the version that holds its present value."""

    secret_id: pulumi.Output[str]
    revision: pulumi.Output[str]

    def __init__(self, name: str, args: StoredSecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the secret, then a version with the value; a changed value becomes a new version."""
        super().__init__("stackproof:secrets:StoredSecret", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        secret = secrets.Secret(
            f"{name}-secret",
            name=args.place.name(name),
            project_id=args.place.project_id,
            region=args.place.region,
            description=args.description,
            type="opaque",
            # One folder a stack, which keeps two environments in one project apart.
            path=f"/{args.place.prefix}/{args.place.stack}",
            opts=own,
        )
        # The one of the latest generation was made last, and so is Secret Manager's latest.
        values = {args.generation: args.value, **args.beside}
        versions = {
            generation: secrets.Version(
                of_generation(f"{name}-version", generation),
                secret_id=secret.id,
                region=args.place.region,
                description=args.note if generation == args.generation else None,
                data=pulumi.Output.secret(value),
                opts=own,
            )
            for generation, value in values.items()
        }
        self.secret_id = secret.id
        self.revision = versions[args.generation].revision
        self.register_outputs({"secret_id": self.secret_id, "revision": self.revision})

"""Where the application's images are kept, before and beyond any one of its containers.

Seed: FR-001 Serverless Containers run from images; FR-004: nobody pulls them without permission.
"""

from dataclasses import dataclass

import pulumi
from pulumiverse_scaleway import registry

from stackproof_infra.place import Place


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """What a caller decides; everything else is policy and lives in `Registry`."""

    place: Place
    description: str


class Registry(pulumi.ComponentResource):
    """A private namespace of the Container Registry."""

    namespace_id: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    """What images are pushed to and pulled from, such as `rg.fr-par.scw.cloud/acme-shop-dev-registry`."""

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the namespace."""
        super().__init__("stackproof:registry:Registry", name, {}, opts)
        namespace = registry.Namespace(
            f"{name}-namespace",
            name=args.place.name(name),
            project_id=args.place.project_id,
            region=args.place.region,
            description=args.description,
            is_public=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.namespace_id = namespace.id
        self.endpoint = namespace.endpoint
        self.register_outputs({"namespace_id": self.namespace_id, "endpoint": self.endpoint})

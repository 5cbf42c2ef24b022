"""The application: a Serverless Container in the stack's network, the one thing the public can reach.

Seed: FR-001 Serverless Containers, FR-007 private networks, FR-011 encryption in transit (HTTPS only).
Deliberately not here: the image's registry, which must exist before any container (`infra/state`), and who may call
a private container (`identity.py`: an application with an API key; containers' own tokens are deprecated).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumiverse_scaleway import containers

from stackproof_infra.place import Place

_MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Set times at which the container gets a POST request."""

    cron: str
    """Five fields, in UTC."""
    path: str
    description: str


@dataclass(frozen=True, kw_only=True)
class ContainerArgs:
    """What a caller decides; everything else is policy and lives in `Container`."""

    place: Place
    private_network_id: pulumi.Input[str]
    image: str
    """By digest: a tag may mean something else tomorrow."""
    port: int
    min_scale: int
    max_scale: int
    memory_mb: int
    cpu_millis: int
    concurrency: int
    timeout_seconds: int
    health_path: str
    description: str
    namespace_description: str
    private: bool
    """Whether callers need an API key that may call private containers."""
    environment: Mapping[str, pulumi.Input[str]]
    secret_environment: Mapping[str, pulumi.Input[str]]
    domain: str | None = None
    """A host name whose CNAME is the container's; its certificate is Scaleway's affair."""
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        """Refuses an image that could change unseen, and a scale that has no room."""
        if "@sha256:" not in self.image:
            raise ValueError(f"image must be named by its digest, not {self.image}")
        if not 0 <= self.min_scale <= self.max_scale:
            raise ValueError(f"min_scale must be 0 to max_scale, {self.max_scale}, not {self.min_scale}")


class Container(pulumi.ComponentResource):
    """A namespace with one container in it, perhaps with a domain of its own and a schedule."""

    container_id: pulumi.Output[str]
    namespace_id: pulumi.Output[str]
    url: pulumi.Output[str]
    """Where it answers: under the team's domain if it has one, else under Scaleway's."""

    def __init__(self, name: str, args: ContainerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the namespace and the container, then what leads to it."""
        super().__init__("stackproof:container:Container", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        namespace = containers.Namespace(
            f"{name}-namespace",
            name=args.place.name(name),
            project_id=args.place.project_id,
            region=args.place.region,
            description=args.namespace_description,
            opts=own,
        )
        container = containers.Container(
            f"{name}-container",
            # Its own name only, like a database's: the namespace has the stack's, and both are in one DNS label.
            name=name,
            namespace_id=namespace.id,
            region=args.place.region,
            description=args.description,
            image=args.image,
            port=args.port,
            protocol="http1",
            min_scale=args.min_scale,
            max_scale=args.max_scale,
            memory_limit_bytes=args.memory_mb * _MEGABYTE,
            cpu_limit=args.cpu_millis,
            scaling_options=[containers.ContainerScalingOptionArgs(concurrent_requests_threshold=args.concurrency)],
            timeout=args.timeout_seconds,
            privacy="private" if args.private else "public",
            https_connections_only=True,
            private_network_id=args.private_network_id,
            # A minute without an answer is no hiccup.
            liveness_probe=containers.ContainerLivenessProbeArgs(
                http=containers.ContainerLivenessProbeHttpArgs(path=args.health_path),
                interval="10s",
                timeout="5s",
                failure_threshold=6,
            ),
            environment_variables=dict(args.environment),
            secret_environment_variables=pulumi.Output.secret(dict(args.secret_environment)),
            opts=own,
        )
        if args.schedule:
            containers.Trigger(
                f"{name}-trigger",
                name=f"{name}-schedule",
                container_id=container.id,
                region=args.place.region,
                description=args.schedule.description,
                # UTC has no hour that comes twice, or not at all.
                cron=containers.TriggerCronArgs(schedule=args.schedule.cron, timezone="Etc/UTC"),
                destination_config=containers.TriggerDestinationConfigArgs(
                    http_path=args.schedule.path, http_method="post"
                ),
                opts=own,
            )
        self.container_id = container.id
        self.namespace_id = namespace.id
        self.url = container.public_endpoint
        if args.domain:
            domain = containers.Domain(
                f"{name}-domain",
                container_id=container.id,
                hostname=args.domain,
                region=args.place.region,
                opts=own,
            )
            self.url = pulumi.Output.concat("https://", domain.hostname)
        self.register_outputs({"container_id": self.container_id, "namespace_id": self.namespace_id, "url": self.url})

"""A network of the stack's own, which nothing outside can reach.

Seed: FR-007 private networks for service isolation.
Deliberately not here: public gateways and load balancers. Nothing in this network
is published; what the public may reach is published by its own product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumiverse_scaleway import network

from stackproof_infra.place import Place


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What a caller decides; everything else is policy and lives in `Network`."""

    place: Place
    cidr: str
    vpc_tags: Sequence[str] = ()
    private_network_tags: Sequence[str] = ()


class Network(pulumi.ComponentResource):
    """A VPC with one private network in it."""

    vpc_id: pulumi.Output[str]
    private_network_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the VPC, then the private network with the addresses of `args.cidr`."""
        super().__init__("stackproof:network:Network", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        vpc = network.Vpc(
            f"{name}-vpc",
            name=args.place.name(name),
            project_id=args.place.project_id,
            region=args.place.region,
            tags=list(args.vpc_tags),
            opts=own,
        )
        private = network.PrivateNetwork(
            f"{name}-private",
            name=args.place.name(f"{name}-private"),
            project_id=args.place.project_id,
            region=args.place.region,
            vpc_id=vpc.id,
            ipv4_subnet=network.PrivateNetworkIpv4SubnetArgs(subnet=args.cidr),
            tags=list(args.private_network_tags),
            opts=own,
        )
        self.vpc_id = vpc.id
        self.private_network_id = private.id
        self.register_outputs({"vpc_id": self.vpc_id, "private_network_id": self.private_network_id})

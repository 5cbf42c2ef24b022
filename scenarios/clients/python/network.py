"""VPC and IPAM: VPCs, private networks, reserved addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaleway.ipam.v1 import IpamV1API
from scaleway.ipam.v1.types import Source
from scaleway.vpc.v2 import VpcV2API

from life import Life

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaleway.ipam.v1.types import IP
    from scaleway.vpc.v2.types import VPC, PrivateNetwork

    from place import Place


def vpc(place: Place) -> Sequence[Life[Any]]:
    """Returns the lives of VPC's resources and, within a private network, of IPAM's."""
    api = VpcV2API(place.client)
    return [
        Life(
            "vpc.vpc",
            create=lambda name: api.create_vpc(
                name=name, tags=["created"], enable_routing=True, enable_transitivity=False
            ),
            read=lambda it: api.get_vpc(vpc_id=it.id),
            listed=lambda: api.list_vp_cs_all(project_id=place.project_id),
            change=lambda it: api.update_vpc(vpc_id=it.id, tags=["changed", "twice"]),
            delete=lambda it: api.delete_vpc(vpc_id=it.id),
            shows=lambda it: (it.tags, it.routing_enabled, it.is_default, it.project_id),
            given=(["created"], True, False, place.project_id),
            changed=(["changed", "twice"], True, False, place.project_id),
            within=lambda it: [_private_network(api, it, place)],
        )
    ]


def _private_network(api: VpcV2API, inside: VPC, place: Place) -> Life[PrivateNetwork]:
    def shows(network: PrivateNetwork) -> object:
        return network.tags, network.vpc_id, [subnet.subnet for subnet in network.subnets][:1]

    return Life(
        "vpc.private_network",
        create=lambda name: api.create_private_network(
            name=name,
            tags=["created"],
            vpc_id=inside.id,
            subnets=["172.16.100.0/22"],
            default_route_propagation_enabled=False,
        ),
        read=lambda it: api.get_private_network(private_network_id=it.id),
        listed=lambda: api.list_private_networks_all(vpc_id=inside.id),
        change=lambda it: api.update_private_network(private_network_id=it.id, tags=["changed"]),
        delete=lambda it: api.delete_private_network(private_network_id=it.id),
        shows=shows,
        given=(["created"], inside.id, ["172.16.100.0/22"]),
        changed=(["changed"], inside.id, ["172.16.100.0/22"]),
        within=lambda it: [_address(it, place)],
    )


def _address(network: PrivateNetwork, place: Place) -> Life[IP]:
    api = IpamV1API(place.client)
    return Life(
        "ipam.ip",
        create=lambda _: api.book_ip(
            source=Source(private_network_id=network.id), is_ipv6=False, address="172.16.100.77", tags=["created"]
        ),
        read=lambda it: api.get_ip(ip_id=it.id),
        listed=lambda: api.list_i_ps_all(private_network_id=network.id),
        change=lambda it: api.update_ip(ip_id=it.id, tags=["changed"]),
        delete=lambda it: api.release_ip(ip_id=it.id),
        shows=lambda it: (it.tags, it.address, it.is_ipv6),
        given=(["created"], "172.16.100.77/22", False),
        changed=(["changed"], "172.16.100.77/22", False),
    )

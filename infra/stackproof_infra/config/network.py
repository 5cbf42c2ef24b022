"""The keys of `network`: addresses, and tags of a team's own."""

import ipaddress
from dataclasses import dataclass

from stackproof_infra.reader import Section
from stackproof_infra.rules import TAG, Rule

# Scaleway's VPC documentation: private addresses, a mask from /20 to /29.
_PRIVATE = tuple(ipaddress.IPv4Network(range_) for range_ in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def _is_private_network(text: str) -> bool:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return False
    return 20 <= network.prefixlen <= 29 and any(network.subnet_of(range_) for range_ in _PRIVATE)


CIDR = Rule(
    says="must be a private IPv4 network from /20 to /29, written as its first address",
    example="10.0.0.0/22",
    holds=_is_private_network,
)


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The keys of `network`."""

    cidr: str
    vpc_tags: tuple[str, ...]
    private_network_tags: tuple[str, ...]


def read_network(network: Section) -> NetworkSettings:
    """Reads the section."""
    settings = NetworkSettings(
        cidr=network.text("cidr", CIDR, "10.0.0.0/22"),
        vpc_tags=network.texts("vpcTags", TAG),
        private_network_tags=network.texts("privateNetworkTags", TAG),
    )
    network.refuse_unknown()
    return settings

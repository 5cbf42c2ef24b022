"""Managed databases."""

import ipaddress
from collections.abc import Iterator, Sequence

from stackproof_policy.catalog import Parameters
from stackproof_policy.resource import UNKNOWN, Resource, member

INSTANCE = "scaleway:databases/instance:Instance"
ACL = "scaleway:databases/acl:Acl"


def encrypted(instance: Resource, _: Parameters) -> Iterator[str]:
    """Finds instances whose disk is in the clear, as it is unless it is asked for otherwise."""
    if not instance.is_on("encryptionAtRest"):
        yield "encryptionAtRest is not on"


def private(instance: Resource, _: Parameters) -> Iterator[str]:
    """Finds instances with a public endpoint: asked for, or given to one that has no other."""
    if instance.has("loadBalancer"):
        yield "it has a loadBalancer, which is a public endpoint"
    if not instance.has("privateNetwork"):
        yield "it has no privateNetwork"


def narrow_list(acl: Resource, _: Parameters) -> Iterator[str]:
    """Finds lists that let in everybody."""
    if acl.type != ACL:
        return
    for rule in acl.items("aclRules"):
        network = member(rule, "ip")
        if isinstance(network, str) and is_everybody(network):
            yield f"it lets in {network}, which is the whole internet"


def has_list(instance: Resource, others: Sequence[Resource], _: Parameters) -> Iterator[str]:
    """Finds instances with a public endpoint and without a list."""
    if instance.type != INSTANCE or not (instance.has("loadBalancer") or not instance.has("privateNetwork")):
        return
    # An instance's id is known once it is there; before that, the component that both belong to tells.
    lists = [other for other in others if other.type == ACL and other.parent == instance.parent]
    if not any(acl.get("aclRules") is UNKNOWN or acl.items("aclRules") for acl in lists):
        yield "it is public, and no Acl says who may connect"


def backed_up(instance: Resource, parameters: Parameters) -> Iterator[str]:
    """Finds instances whose backups are off, too rare, gone too soon, or lost with their region."""
    if instance.may_be_on("disableBackup"):
        yield "disableBackup is on"
    hours, days = instance.number("backupScheduleFrequency"), instance.number("backupScheduleRetention")
    # Scaleway's own are a backup a day, kept for a week.
    if hours is not None and hours > parameters.backup_frequency_hours:
        yield f"backupScheduleFrequency is {hours:.0f} hours, more than {parameters.backup_frequency_hours}"
    if days is not None and days < parameters.backup_retention_days:
        yield f"backupScheduleRetention is {days:.0f} days, less than {parameters.backup_retention_days}"
    if instance.may_be_on("backupSameRegion"):
        yield "backupSameRegion is on"


def lesser_user(user: Resource, _: Parameters) -> Iterator[str]:
    """Finds users that administer the instance."""
    if user.may_be_on("isAdmin"):
        yield "isAdmin is on"


def is_everybody(network: str) -> bool:
    """Returns whether a network in CIDR notation is the whole internet."""
    try:
        return ipaddress.ip_network(network, strict=False).prefixlen == 0
    except ValueError:
        return False

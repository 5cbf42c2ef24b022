"""Keys of Key Manager."""

import re
from collections.abc import Iterator

from stackproof_policy.catalog import Parameters
from stackproof_policy.resource import UNKNOWN, Resource

# As Go writes durations, in which the provider takes them: 2160h, 2160h0m0s.
_HOURS = re.compile(r"(\d+)h")


def rotates(key: Resource, parameters: Parameters) -> Iterator[str]:
    """Finds symmetric keys that keep their material for ever, or too long. Others cannot rotate by themselves."""
    usage = key.get("usage")
    if isinstance(usage, str) and usage != "symmetric_encryption":
        return
    period = key.get("rotationPolicy.rotationPeriod")
    if period is UNKNOWN:
        return
    hours = _HOURS.search(period) if isinstance(period, str) else None
    if hours is None:
        yield "it has no rotationPolicy"
    elif int(hours[1]) > parameters.key_rotation_days * 24:
        yield f"its rotationPeriod is {period}, more than {parameters.key_rotation_days} days"

"""Who may do what: policies and API keys."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from stackproof_policy.catalog import Parameters
from stackproof_policy.resource import UNKNOWN, Resource, member


def least_privilege(policy: Resource, parameters: Parameters) -> Iterator[str]:
    """Finds rules that grant what rules over others, or that hold beyond named projects."""
    for rule in policy.items("rules"):
        names = member(rule, "permissionSetNames")
        for name in parameters.forbidden_permission_sets:
            if isinstance(names, list) and name in names:
                yield f"it grants {name}"
        projects = member(rule, "projectIds")
        if projects is not UNKNOWN and not projects:
            yield "a rule of it names no projectIds, and so holds in all"


def key_ends_in_time(key: Resource, parameters: Parameters) -> Iterator[str]:
    """Finds keys that have ended, or end later than a key may live. One without an end is judged by its age, live."""
    expires = key.get("expiresAt")
    if not isinstance(expires, str) or not expires:
        return
    now = datetime.now(UTC)
    try:
        end = datetime.fromisoformat(expires)
    except ValueError:
        yield f"expiresAt is no moment: {expires}"
        return
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    if end <= now:
        yield f"it has ended: expiresAt is {expires}"
    elif end > now + timedelta(days=parameters.api_key_age_days):
        yield f"it ends on {expires}, in more than {parameters.api_key_age_days} days"

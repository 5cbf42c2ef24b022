"""The rules as a policy pack, which the engine asks about each resource before it is made, and about all at the end."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from stackproof_policy.catalog import Catalog, Rule, load_catalog
from stackproof_policy.checks import Alone, Among
from stackproof_policy.judge import Finding, broken_waivers, checks_of, finding
from stackproof_policy.resource import UNKNOWN, Resource
from stackproof_policy.waivers import VALID, Waivers, load_waivers

NAME = "stackproof"

_Report = Callable[..., None]


def serve() -> None:
    """Serves the rules to the engine until it is done.

    Raises `InvalidFileError` when rules or waivers cannot be used; the engine then stops before anything is made.
    """
    catalog, waivers = load_catalog(), load_waivers()
    PolicyPack(name=NAME, enforcement_level=EnforcementLevel.MANDATORY, policies=policies(catalog, waivers))


def policies(catalog: Catalog, waivers: Waivers) -> list[Policy]:
    """Returns the rules about the program as policies, one each for what is judged alone and what among others."""
    made: list[Policy] = []
    for rule, check in checks_of(catalog).values():
        if check.alone:
            made.append(
                ResourceValidationPolicy(
                    name=rule.id, description=rule.title, validate=_alone(rule, check.alone, catalog, waivers)
                )
            )
        if check.among:
            # Two policies of one name are one too many for the engine.
            name = f"{rule.id}-among" if check.alone else rule.id
            made.append(
                StackValidationPolicy(
                    name=name, description=rule.title, validate=_among(rule, check.among, catalog, waivers)
                )
            )
    made.append(
        StackValidationPolicy(name=VALID, description=catalog.rules[VALID].title, validate=_waivers(catalog, waivers))
    )
    return made


def _alone(
    rule: Rule, check: Alone, catalog: Catalog, waivers: Waivers
) -> Callable[[ResourceValidationArgs, _Report], None]:
    def validate(args: ResourceValidationArgs, report: _Report) -> None:
        if not rule.looks_at(args.resource_type):
            return
        resource = Resource(
            type=args.resource_type,
            urn=args.urn,
            inputs=plain(args.props),
            custom=args.provider is not None,
        )
        for text in check(resource, catalog.parameters):
            _tell(report, rule, finding(rule.id, resource, text, waivers, datetime.now(UTC).date()))

    return validate


def _among(
    rule: Rule, check: Among, catalog: Catalog, waivers: Waivers
) -> Callable[[StackValidationArgs, _Report], None]:
    def validate(args: StackValidationArgs, report: _Report) -> None:
        resources = [
            Resource(
                type=one.resource_type,
                urn=one.urn,
                inputs=plain(one.props),
                parent=one.parent.urn if one.parent else "",
                custom=one.provider is not None,
            )
            for one in args.resources
        ]
        for resource in resources:
            if rule.looks_at(resource.type):
                for text in check(resource, resources, catalog.parameters):
                    _tell(report, rule, finding(rule.id, resource, text, waivers, datetime.now(UTC).date()))

    return validate


def _waivers(catalog: Catalog, waivers: Waivers) -> Callable[[StackValidationArgs, _Report], None]:
    def validate(_: StackValidationArgs, report: _Report) -> None:
        for one in broken_waivers(catalog, waivers, datetime.now(UTC).date()):
            report(f"{one.resource}: {one.found}")

    return validate


def _tell(report: _Report, rule: Rule, one: Finding) -> None:
    if one.waiver is None:
        report(f"{one.resource}: {one.found}. Why: {rule.why} Fix: {rule.fix}", one.urn)


def plain(properties: Mapping[str, object]) -> dict[str, object]:
    """Returns what the engine tells of a resource with `UNKNOWN` for what it does not know yet."""
    return {key: _plain(properties, key) for key in properties}


def _plain(holder: Mapping[str, object] | Sequence[object], key: str | int) -> object:
    try:
        value = cast("Mapping[str | int, object]", holder)[key]
    except UnknownValueError:
        return UNKNOWN
    if isinstance(value, str | bytes):
        return value
    if isinstance(value, Mapping):
        return plain(cast("Mapping[str, object]", value))
    if isinstance(value, Sequence):
        items = cast("Sequence[object]", value)
        return [_plain(items, position) for position in range(len(items))]
    return value

"""Judges what a program asks for: every rule over every resource it looks at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from stackproof_policy.catalog import RULES, Catalog, Rule
from stackproof_policy.checks import CHECKS, Check
from stackproof_policy.resource import Resource
from stackproof_policy.table import InvalidFileError
from stackproof_policy.waivers import VALID, Waiver, Waivers


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One resource that breaks one rule."""

    rule: str
    resource: str
    """Its logical name; of a waiver, which rule it is for and which resource."""
    urn: str
    found: str
    waiver: Waiver | None = None
    """What excuses it, if anything does."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What all rules say of some resources."""

    findings: Sequence[Finding]
    """What breaks a rule, without an excuse."""
    waived: Sequence[Finding]
    looked_at: Mapping[str, int]
    """How many resources each rule about the program has looked at."""


def checks_of(catalog: Catalog) -> Mapping[str, tuple[Rule, Check]]:
    """Returns each rule about the program with its check.

    Raises `InvalidFileError` when one lacks the other: a rule that nothing checks would hold silently.
    """
    about_programs = {rule.id: rule for rule in catalog.rules.values() if rule.types and rule.id != VALID}
    if unlike := sorted(about_programs.keys() ^ CHECKS.keys()):
        lacks = "no check" if unlike[0] in about_programs else "no rule with types"
        raise InvalidFileError(
            RULES, f"has {lacks} for {unlike[0]}", "write it in stackproof_policy/checks, or mend the file"
        )
    return {id_: (rule, CHECKS[id_]) for id_, rule in about_programs.items()}


def judge(resources: Sequence[Resource], catalog: Catalog, waivers: Waivers, today: date) -> Judgement:
    """Judges everything that a program makes.

    Raises `InvalidFileError` when rules and checks do not fit.
    """
    found: list[Finding] = []
    looked_at: dict[str, int] = {}
    for rule, check in checks_of(catalog).values():
        mine = [resource for resource in resources if rule.looks_at(resource.type)]
        looked_at[rule.id] = len(mine)
        for resource in mine:
            for text in _said(check, resource, resources, catalog):
                found.append(finding(rule.id, resource, text, waivers, today))
    looked_at[VALID] = len(waivers.all)
    found += broken_waivers(catalog, waivers, today)
    return Judgement(
        findings=[one for one in found if one.waiver is None],
        waived=[one for one in found if one.waiver is not None],
        looked_at=looked_at,
    )


def finding(rule: str, resource: Resource, text: str, waivers: Waivers, today: date) -> Finding:
    """Returns what was found, with what excuses it."""
    return Finding(
        rule=rule,
        resource=resource.name,
        urn=resource.urn,
        found=text,
        waiver=waivers.excuse(rule, resource.name, today),
    )


def broken_waivers(catalog: Catalog, waivers: Waivers, today: date) -> list[Finding]:
    """Returns the waivers that are findings themselves."""
    return [
        Finding(rule=VALID, resource=f"{waiver.rule} for {waiver.resource}", urn="", found=why)
        for waiver, why in waivers.faults(catalog, today)
    ]


def _said(check: Check, resource: Resource, others: Sequence[Resource], catalog: Catalog) -> Iterator[str]:
    if check.alone:
        yield from check.alone(resource, catalog.parameters)
    if check.among:
        yield from check.among(resource, others, catalog.parameters)

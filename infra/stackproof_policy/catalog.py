"""The rules as `policy/rules.toml` has them: one place for this pack and for the check of what is live."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stackproof_policy.table import InvalidFileError, Table, each, read_file

FOLDER = Path(__file__).resolve().parent.parent / "policy"
RULES = FOLDER / "rules.toml"

ANY = "*"
"""Stands for every type of resource."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What the rules measure by."""

    regions: tuple[str, ...]
    packages: tuple[str, ...]
    backup_retention_days: int
    backup_frequency_hours: int
    telemetry_retention_days: int
    key_rotation_days: int
    secret_age_days: int
    api_key_age_days: int
    forbidden_permission_sets: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What holds, what it is good for, and what to do where it does not."""

    id: str
    requirements: tuple[str, ...]
    title: str
    why: str
    fix: str
    types: tuple[str, ...]
    """Types of resources of the program that it looks at; none for a rule about what is live only."""
    live: tuple[str, ...]

    def looks_at(self, type_: str) -> bool:
        """Returns whether it has something to say of resources of this type."""
        return type_ in self.types or ANY in self.types


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Every rule, by its id, and what they measure by."""

    rules: Mapping[str, Rule]
    parameters: Parameters


def load_catalog(path: Path = RULES) -> Catalog:
    """Reads the rules.

    Raises `InvalidFileError` for a file that says less, more or other than a catalog does.
    """
    content = read_file(path, ("parameters", "rule"))
    rules: dict[str, Rule] = {}
    for table in each(path, content, "rule"):
        rule = _rule(table)
        if rule.id in rules:
            raise InvalidFileError(path, f"has two rules {rule.id}", "give one of them another id")
        rules[rule.id] = rule
    if not rules:
        raise InvalidFileError(path, "has no rule", "git checkout -- infra/policy")
    return Catalog(rules=rules, parameters=_parameters(Table(path, "[parameters]", content.get("parameters"))))


def _rule(table: Table) -> Rule:
    rule = Rule(
        id=table.text("id"),
        requirements=table.texts("requirements"),
        title=table.text("title"),
        why=table.text("why"),
        fix=table.text("fix"),
        types=table.texts("types"),
        live=table.texts("live"),
    )
    table.refuse_others()
    if not rule.requirements:
        raise table.wrong("requirements", "must name at least one")
    if not rule.types and not rule.live:
        raise table.wrong("types", "is empty, as live is, so that the rule looks at nothing")
    return rule


def _parameters(table: Table) -> Parameters:
    parameters = Parameters(
        regions=table.texts("regions"),
        packages=table.texts("packages"),
        backup_retention_days=table.whole("backup_retention_days"),
        backup_frequency_hours=table.whole("backup_frequency_hours"),
        telemetry_retention_days=table.whole("telemetry_retention_days"),
        key_rotation_days=table.whole("key_rotation_days"),
        secret_age_days=table.whole("secret_age_days"),
        api_key_age_days=table.whole("api_key_age_days"),
        forbidden_permission_sets=table.texts("forbidden_permission_sets"),
    )
    table.refuse_others()
    return parameters

"""Judges stacks' programs by the rules, without a cloud and without Pulumi's engine.

    python -m stackproof_policy FILE… [--stack NAME] [--given KEY]… [--json]

A FILE is a `Pulumi.<stack>.yaml`; which program it configures, the `Pulumi.yaml` beside it says. Ends with 0 when every
rule holds, with 1 when one does not, all of which is said at once, and with 2 when rules, waivers or a file cannot be
used, or a program does not run without a cloud. As JSON there is one document:
`{schema, ok, programs: [{project, stack, findings, waived}], rules: [{rule, looked_at}]}`.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from stackproof_infra.stack_file import UnreadableError, read_stack_file
from stackproof_policy import offline
from stackproof_policy.catalog import Catalog, load_catalog
from stackproof_policy.judge import Finding, Judgement, judge
from stackproof_policy.table import InvalidFileError
from stackproof_policy.waivers import Waivers, load_waivers

SCHEMA = 1


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Judges the programs of the files that are named, prints what it found, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stackproof_policy", description="Judge stacks by the rules.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a Pulumi.<stack>.yaml")
    parser.add_argument("--stack", metavar="NAME", help="the stacks' name, where the files' do not say it")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--given", action="append", default=[], metavar="KEY", help="a key that whoever deploys adds if it is missing"
    )
    asked = parser.parse_args(arguments)
    files: list[Path] = asked.files
    stack: str | None = asked.stack
    added: list[str] = asked.given
    try:
        catalog, waivers = load_catalog(), load_waivers()
        judged = [_judged(file, stack, environment, added, catalog, waivers) for file in files]
    except (UnreadableError, InvalidFileError, offline.CannotRunError) as error:
        print(error, file=sys.stderr)
        return 2
    ok = not any(judgement.findings for _, _, judgement in judged)
    if asked.json:
        print(json.dumps(_document(ok, judged)))
    else:
        for project, name, judgement in judged:
            print(f"{project}, stack {name}: {len(judgement.findings)} findings, {len(judgement.waived)} waived")
            for finding in judgement.findings:
                rule = catalog.rules[finding.rule]
                print(f"  {rule.id}  {finding.resource}: {finding.found}\n    why: {rule.why}\n    fix: {rule.fix}")
    return 0 if ok else 1


def _judged(
    file: Path,
    stack: str | None,
    environment: Mapping[str, str],
    added: Sequence[str],
    catalog: Catalog,
    waivers: Waivers,
) -> tuple[str, str, Judgement]:
    given = read_stack_file(file, stack, environment)
    if given.project not in offline.PROGRAMS:
        known = " or ".join(offline.PROGRAMS)
        raise UnreadableError(file, f"belongs to project {given.project}", f"name a file of {known}")
    resources = offline.run(given, added)
    return given.project, given.stack, judge(resources, catalog, waivers, datetime.now(UTC).date())


def _document(ok: bool, judged: Sequence[tuple[str, str, Judgement]]) -> dict[str, object]:
    rules: dict[str, int] = {}
    for _, _, judgement in judged:
        for rule, count in judgement.looked_at.items():
            rules[rule] = rules.get(rule, 0) + count
    return {
        "schema": SCHEMA,
        "ok": ok,
        "programs": [
            {
                "project": project,
                "stack": stack,
                "findings": [_entry(finding) for finding in judgement.findings],
                "waived": [_entry(finding) for finding in judgement.waived],
            }
            for project, stack, judgement in judged
        ],
        "rules": [{"rule": rule, "looked_at": count} for rule, count in rules.items()],
    }


def _entry(finding: Finding) -> dict[str, object]:
    waiver = finding.waiver
    return {
        "rule": finding.rule,
        "resource": finding.resource,
        "found": finding.found,
        "waiver": {"owner": waiver.owner, "reason": waiver.reason, "expires": str(waiver.expires)} if waiver else None,
    }


if __name__ == "__main__":
    sys.exit(main())

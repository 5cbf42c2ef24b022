"""The rules as policies of Pulumi's, and the check of stacks without engine and cloud."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from pulumi_policy import (
    Policy,
    PolicyCustomTimeouts,
    PolicyProviderResource,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from stackproof_infra.reader import UNREAD
from stackproof_policy import offline
from stackproof_policy.__main__ import main
from stackproof_policy.catalog import load_catalog
from stackproof_policy.pack import plain, policies
from stackproof_policy.resource import UNKNOWN
from stackproof_policy.waivers import Waivers, load_waivers
from tests.cloud import INFRA

if TYPE_CHECKING:
    from collections.abc import Callable

CATALOG = load_catalog()
WAIVERS = load_waivers()
BUCKET = "scaleway:object/bucket:Bucket"
INSTANCE = "scaleway:databases/instance:Instance"
NO_LIMITS = PolicyCustomTimeouts(create_seconds=0, update_seconds=0, delete_seconds=0)
OPTIONS = PolicyResourceOptions(
    protect=False,
    ignore_changes=[],
    delete_before_replace=None,
    aliases=[],
    custom_timeouts=NO_LIMITS,
    additional_secret_outputs=[],
)
PROVIDER = PolicyProviderResource(
    resource_type="pulumi:providers:scaleway", props={}, urn="urn:pulumi:dev::p::t::scaleway", name="scaleway"
)
GIVEN = ("scaleway:projectId", "databasePassword", "databaseAdminPassword", "deployers", "container.image")


def policy(name: str) -> Policy:
    (found,) = (one for one in policies(CATALOG, WAIVERS) if one.name == name)
    return found


def urn(type_: str, name: str) -> str:
    return f"urn:pulumi:dev::stackproof-infra::{type_}::{name}"


def asked(type_: str, name: str, properties: dict[str, object]) -> ResourceValidationArgs:
    """Returns what the engine asks of a resource before it is made."""
    return ResourceValidationArgs(type_, unknown_checking_proxy(properties), urn(type_, name), name, OPTIONS, PROVIDER)


def said(policy: Policy, args: object) -> list[tuple[str, str | None]]:
    """Returns what a policy reports."""
    reported: list[tuple[str, str | None]] = []

    def report(message: str, urn: str | None = None) -> None:
        reported.append((message, urn))

    validate = cast("Callable[[object, object], None]", policy.validate)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - both kinds of policies have it
    validate(args, report)
    return reported


def test_every_rule_about_programs_is_a_policy_by_its_name() -> None:
    names = [one.name for one in policies(CATALOG, WAIVERS)]
    assert len(set(names)) == len(names)
    about_programs = {rule.id for rule in CATALOG.rules.values() if rule.types}
    assert {name.removesuffix("-among") for name in names} == about_programs


def test_a_violation_says_what_why_and_how_to_fix() -> None:
    ((message, where),) = said(policy("bucket-versioned"), asked(BUCKET, "assets-bucket", {"name": "assets"}))
    rule = CATALOG.rules["bucket-versioned"]
    assert message == f"assets-bucket: versioning is not on. Why: {rule.why} Fix: {rule.fix}"
    assert where == urn(BUCKET, "assets-bucket")


def test_a_good_resource_and_one_of_another_type_are_passed() -> None:
    versioned = policy("bucket-versioned")
    assert said(versioned, asked(BUCKET, "assets-bucket", {"versioning": {"enabled": True}})) == []
    assert said(versioned, asked(INSTANCE, "database-instance", {})) == []


def test_a_waiver_silences_its_rule_for_its_resource_alone() -> None:
    private = policy("database-private")
    properties: dict[str, object] = {"loadBalancer": {}}
    assert said(private, asked(INSTANCE, "lock-instance", properties)) == []
    assert len(said(private, asked(INSTANCE, "database-instance", properties))) == 2


def test_what_the_engine_does_not_know_yet_breaks_nothing() -> None:
    known = plain(
        unknown_checking_proxy(
            {"privateNetwork": {"pnId": UNKNOWN_STRING_VALUE}, "tags": ["a", UNKNOWN_STRING_VALUE], "engine": "x"}
        )
    )
    assert known == {"privateNetwork": {"pnId": UNKNOWN}, "tags": ["a", UNKNOWN], "engine": "x"}


def at_the_end(*resources: tuple[str, str, dict[str, object]]) -> StackValidationArgs:
    """Returns what the engine asks of all resources."""
    return StackValidationArgs(
        [
            PolicyResource(
                type_, unknown_checking_proxy(properties), urn(type_, name), name, OPTIONS, PROVIDER, None, [], {}
            )
            for type_, name, properties in resources
        ]
    )


def test_a_bucket_is_encrypted_by_another_resource() -> None:
    bucket: tuple[str, str, dict[str, object]] = (BUCKET, "assets-bucket", {"name": "assets"})
    rules = [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]
    kind = "scaleway:object/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    encrypted = policy("bucket-encrypted")
    ((message, where),) = said(encrypted, at_the_end(bucket))
    assert where == urn(BUCKET, "assets-bucket")
    assert "encrypts what is put into it" in message
    assert said(encrypted, at_the_end(bucket, (kind, "assets-encryption", {"bucket": "assets", "rules": rules}))) == []
    assert len(said(encrypted, at_the_end(bucket, (kind, "other", {"bucket": "other", "rules": rules})))) == 1


def test_a_waiver_that_ran_out_stops_a_deployment() -> None:
    old = Waivers([replace(waiver, expires=waiver.expires.replace(year=2020)) for waiver in WAIVERS.all])
    (valid,) = (one for one in policies(CATALOG, old) if one.name == "waiver-valid")
    ((message, _),) = said(valid, at_the_end())
    assert message.startswith("database-private for lock-instance: it ran out on 2020-")


def test_policies_are_of_both_kinds() -> None:
    kinds = {type(one) for one in policies(CATALOG, WAIVERS)}
    assert kinds == {ResourceValidationPolicy, StackValidationPolicy}


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_every_environment_keeps_every_rule(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(INFRA / f"Pulumi.{stack}.yaml"), str(INFRA / "state" / f"Pulumi.{stack}.yaml")]
    given = [word for key in GIVEN for word in ("--given", key)]
    assert main([*files, *given, "--json"], {}) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    assert [program["findings"] for program in document["programs"]] == [[], []]
    assert all(rule["looked_at"] for rule in document["rules"])


def written(tmp_path: Path, config: str) -> str:
    """Returns the path of a stack's file with this beside the least configuration."""
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(f"config:\n  prefix: acme-shop\n{config}", encoding="utf-8")
    return str(file)


def test_a_fault_of_the_configuration_is_said_with_why_and_how_to_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(
        tmp_path, "  database:\n    backupRetentionDays: 1\n  identity:\n    keyExpiresAt: 2020-01-01T00:00:00Z\n"
    )
    assert main([file, *(word for key in GIVEN for word in ("--given", key))], {}) == 1
    out = capsys.readouterr().out
    assert "stackproof-infra, stack dev: 2 findings, 0 waived" in out
    assert "database-backups  database-instance: backupScheduleRetention is 1 days, less than 3" in out
    assert f"fix: {CATALOG.rules['api-key-age'].fix}" in out


def test_a_configuration_that_is_refused_is_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([written(tmp_path, "")], {}) == 2
    assert "The configuration of stack dev has" in capsys.readouterr().err


def test_a_file_of_another_project_is_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: other\n", encoding="utf-8")
    assert main([written(tmp_path, "")], {}) == 2
    assert "belongs to project other" in capsys.readouterr().err


def test_no_secret_is_told_of_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(
        tmp_path, "  databasePassword:\n    secure: v1:abc\n  container:\n    environment:\n      A_TOKEN: sesame\n"
    )
    main([file, "--json", *(word for key in GIVEN for word in ("--given", key))], {})
    captured = capsys.readouterr()
    assert "A_TOKEN in the clear" in captured.out
    assert "sesame" not in captured.out + captured.err
    assert UNREAD not in captured.out + captured.err


def test_both_programs_can_be_run() -> None:
    assert all(program.is_file() for program in offline.PROGRAMS.values())

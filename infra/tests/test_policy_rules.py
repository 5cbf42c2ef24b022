"""Each rule: kept by the programs as they are, and broken by one planted fault in what they ask for."""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import cast

import pytest

from stackproof_infra.config import Given
from stackproof_policy import offline
from stackproof_policy.catalog import load_catalog
from stackproof_policy.checks import CHECKS
from stackproof_policy.judge import Judgement, judge
from stackproof_policy.resource import UNKNOWN, Resource
from stackproof_policy.waivers import VALID, Waivers, load_waivers
from tests.cloud import FOUNDATION, MANAGED_LOCK, PROJECT, PROJECT_ID, SECRET_KEYS, WHOLE, texts
from tests.test_names_and_tags import UNTAGGABLE

CATALOG = load_catalog()
TODAY = datetime.now(UTC).date()


def stack() -> list[Resource]:
    """Runs the stack's program with everything that can be configured into it."""
    return offline.run(
        Given(project=PROJECT, stack="test", values=texts(WHOLE), secret_keys=frozenset(SECRET_KEYS), environment={})
    )


def foundation() -> list[Resource]:
    """Runs the foundation's program, whose lock is a managed database."""
    least: dict[str, object] = {"scaleway:projectId": PROJECT_ID, f"{FOUNDATION}:prefix": "acme-shop"}
    values = {**least, **{f"{FOUNDATION}:{key}": value for key, value in MANAGED_LOCK.items()}}
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    secret = frozenset(key for key in given if key.endswith("Password"))
    return offline.run(Given(project=FOUNDATION, stack="test", values=given, secret_keys=secret, environment={}))


@pytest.fixture(scope="module")
def resources() -> Sequence[Resource]:
    """Everything that both programs can ask for."""
    return [*stack(), *foundation()]


def judged(resources: Sequence[Resource], waivers: Waivers | None = None, today: date = TODAY) -> Judgement:
    return judge(resources, CATALOG, load_waivers() if waivers is None else waivers, today)


@dataclass(frozen=True)
class Plant:
    """A fault in one resource: another value at a path, or none at all."""

    rule: str
    resource: str
    path: str
    value: object
    says: str
    also: frozenset[tuple[str, str]] = frozenset()
    """Other rules that the same fault breaks, each with the resource."""
    on: str = ""
    """The resource that the rule is about, where that is another."""

    def into(self, resources: Sequence[Resource]) -> list[Resource]:
        """Returns everything with the fault in it."""
        (target,) = (one for one in resources if one.name == self.resource)
        inputs = deepcopy(dict(target.inputs))
        *above, last = self.path.split(".")
        holder: dict[str, object] = inputs
        for key in above:
            inner = holder[key]
            first = cast("list[object]", inner)[0] if isinstance(inner, list) else inner
            holder = cast("dict[str, object]", first)
        if self.value is None:
            del holder[last]
        else:
            holder[last] = self.value
        return [replace(one, inputs=inputs) if one is target else one for one in resources]


def a_policy(principal: object) -> str:
    statement = {"Sid": "Readers", "Effect": "Allow", "Principal": principal, "Action": ["s3:GetObject"]}
    return json.dumps({"Version": "2023-04-17", "Statement": [statement]})


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


# A database that becomes public needs a list as well.
UNLISTED = frozenset({("database-allow-list", "database-instance")})

PLANTS = [
    Plant("region-allowed", "encryption-key", "region", "us-east-1", "it lies in us-east-1"),
    Plant("tagged", "network-vpc", "tags", ["urn:a"], "it has no tag stack:test"),
    Plant("tagged", "assets-bucket", "tags.urn", None, "it has no tag with its URN"),
    Plant("database-encrypted", "database-instance", "encryptionAtRest", None, "encryptionAtRest is not on"),
    Plant("database-encrypted", "lock-instance", "encryptionAtRest", False, "encryptionAtRest is not on"),
    Plant("database-private", "database-instance", "loadBalancer", {}, "which is a public endpoint", UNLISTED),
    Plant("database-private", "database-instance", "privateNetwork", None, "it has no privateNetwork", UNLISTED),
    Plant("database-allow-list", "lock-acl", "aclRules", [{"ip": "0.0.0.0/0"}], "0.0.0.0/0, which is the whole"),
    Plant("database-allow-list", "lock-acl", "aclRules", [{"ip": "::/0"}], "::/0, which is the whole internet"),
    Plant("database-backups", "database-instance", "disableBackup", True, "disableBackup is on"),
    Plant("database-backups", "database-instance", "backupScheduleRetention", 2, "is 2 days, less than 3"),
    Plant("database-backups", "database-instance", "backupScheduleFrequency", 48, "is 48 hours, more than 24"),
    Plant("database-backups", "lock-instance", "backupSameRegion", True, "backupSameRegion is on"),
    Plant("database-user", "database-user", "isAdmin", True, "isAdmin is on"),
    Plant("bucket-encrypted", "assets-encryption", "rules", [], "encrypts what is put into it", on="assets-bucket"),
    Plant("bucket-versioned", "assets-bucket", "versioning.enabled", False, "versioning is not on"),
    Plant("bucket-versioned", "state-bucket", "versioning", None, "versioning is not on"),
    Plant("bucket-closed", "assets-bucket", "acl", "public-read", "its ACL is public-read, not private"),
    Plant(
        "bucket-closed", "assets-policy", "policy", a_policy("*"), "statement Readers of its policy allows everybody"
    ),
    Plant("bucket-closed", "assets-policy", "policy", a_policy({"SCW": ["*"]}), "allows everybody"),
    Plant("bucket-closed", "assets-policy", "policy", "{", "its policy is no JSON"),
    Plant("container-https-only", "web-container", "httpsConnectionsOnly", None, "httpsConnectionsOnly is not on"),
    Plant("container-in-network", "web-container", "privateNetworkId", None, "privateNetworkId is not set"),
    Plant("container-image", "web-container", "image", f"docker.io/shop@sha256:{64 * '0'}", "comes from docker.io"),
    Plant("container-image", "web-container", "image", "rg.nl-ams.scw.cloud/acme/shop:latest", "named by a tag"),
    Plant("container-image", "web-container", "image", None, "it names no image"),
    Plant("no-plain-credentials", "web-container", "environmentVariables.DB_PASSWORD", "x", "DB_PASSWORD in the clear"),
    Plant("no-plain-credentials", "web-namespace", "environmentVariables", {"API_TOKEN": "x"}, "API_TOKEN in the"),
    Plant("registry-private", "registry-namespace", "isPublic", True, "isPublic is on"),
    Plant(
        "least-privilege", "application-policy", "rules.permissionSetNames", ["AllProductsFullAccess"], "it grants All"
    ),
    Plant("least-privilege", "operators-policy", "rules.permissionSetNames", ["OrganizationManager"], "it grants Org"),
    Plant("least-privilege", "application-policy", "rules.projectIds", None, "names no projectIds"),
    Plant("telemetry-token", "observability-token", "scopes.queryLogs", True, "its scope queryLogs is on"),
    Plant("telemetry-retention", "observability-logs", "retentionDays", 7, "retentionDays is 7, less than 30"),
    Plant("telemetry-retention", "observability-logs", "retentionDays", None, "retentionDays is not set"),
    Plant("key-rotation", "encryption-key", "rotationPolicy", None, "it has no rotationPolicy"),
    Plant("key-rotation", "encryption-key", "rotationPolicy.rotationPeriod", "9600h0m0s", "more than 365 days"),
    Plant("api-key-age", "application-api-key", "expiresAt", in_days(-1), "it has ended"),
    Plant("api-key-age", "application-api-key", "expiresAt", in_days(400), "in more than 180 days"),
    Plant("api-key-age", "application-api-key", "expiresAt", "soon", "expiresAt is no moment"),
]


def test_both_programs_keep_every_rule(resources: Sequence[Resource]) -> None:
    assert judged(resources).findings == []


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: f"{plant.rule}-{plant.resource}-{plant.path}")
def test_a_planted_fault_is_found_and_nothing_else_is(plant: Plant, resources: Sequence[Resource]) -> None:
    findings = judged(plant.into(resources)).findings
    meant = (plant.rule, plant.on or plant.resource)
    assert {(one.rule, one.resource) for one in findings} == {meant, *plant.also}
    (found,) = (one.found for one in findings if (one.rule, one.resource) == meant)
    assert plant.says in found


def test_a_resource_of_another_cloud_is_found(resources: Sequence[Resource]) -> None:
    bucket = Resource(type="aws:s3/bucket:Bucket", urn="urn:pulumi:test::p::aws:s3/bucket:Bucket::elsewhere", inputs={})
    (finding,) = judged([*resources, bucket]).findings
    assert (finding.rule, finding.resource) == ("scaleway-only", "elsewhere")
    assert finding.found == "it is of package aws, not of scaleway"


def test_a_component_may_be_of_any_package(resources: Sequence[Resource]) -> None:
    shop = Resource(type="acme:shop:Shop", urn="urn:pulumi:test::p::acme:shop:Shop::shop", inputs={}, custom=False)
    assert judged([*resources, shop]).findings == []


def test_a_bucket_that_lost_its_policy_is_found(resources: Sequence[Resource]) -> None:
    (finding,) = judged([one for one in resources if one.name != "state-policy"]).findings
    assert (finding.rule, finding.resource) == ("bucket-closed", "state-bucket")


def test_a_public_database_that_lost_its_list_is_found(resources: Sequence[Resource]) -> None:
    (finding,) = judged([one for one in resources if one.name != "lock-acl"]).findings
    assert (finding.rule, finding.resource) == ("database-allow-list", "lock-instance")


def test_a_key_that_signs_need_not_rotate(resources: Sequence[Resource]) -> None:
    (key,) = (one for one in resources if one.name == "encryption-key")
    inputs = {**key.inputs, "usage": "asymmetric_signing", "rotationPolicy": None}
    signs = replace(key, inputs=inputs)
    assert judged([signs if one is key else one for one in resources]).findings == []


def test_a_list_of_no_networks_lets_nobody_in(resources: Sequence[Resource]) -> None:
    plant = Plant("database-allow-list", "lock-acl", "aclRules", [{"ip": "example.com"}, {"ip": "10.0.0.0/8"}], "")
    assert judged(plant.into(resources)).findings == []


def test_every_rule_has_a_planted_fault() -> None:
    beside = {"scaleway-only"}
    assert {plant.rule for plant in PLANTS} | beside == set(CHECKS)


def test_every_rule_looks_at_something(resources: Sequence[Resource]) -> None:
    looked_at = judged(resources).looked_at
    assert {rule for rule, count in looked_at.items() if count == 0} == set()
    assert looked_at.keys() == CHECKS.keys() | {VALID}


def test_a_type_that_a_rule_names_is_one_that_the_programs_make(resources: Sequence[Resource]) -> None:
    made = {one.type for one in resources}
    named = {type_ for rule in CATALOG.rules.values() for type_ in rule.types if type_ != "*"}
    # An ACL is what a bucket can have instead of a policy; the programs know better.
    assert named - made == {"scaleway:object/bucketAcl:BucketAcl"}


def test_the_rule_of_tags_names_every_type_that_takes_them(resources: Sequence[Resource]) -> None:
    made = {one.type for one in resources if one.custom and not one.provides}
    lists = {"scaleway:databases/acl:Acl"}
    assert set(CATALOG.rules["tagged"].types) == made - set(UNTAGGABLE) - lists


def test_the_locks_database_is_public_by_a_waiver(resources: Sequence[Resource]) -> None:
    waived = judged(resources).waived
    assert {(one.rule, one.resource) for one in waived} == {("database-private", "lock-instance")}
    assert {one.waiver.owner for one in waived if one.waiver} == {"platform lead"}


def test_without_its_waiver_it_is_a_finding(resources: Sequence[Resource]) -> None:
    findings = judged(resources, Waivers([])).findings
    assert {(one.rule, one.resource) for one in findings} == {("database-private", "lock-instance")}


def test_every_waiver_excuses_something(resources: Sequence[Resource]) -> None:
    used = {one.waiver for one in judged(resources).waived}
    assert used == set(load_waivers().all)


def test_a_waiver_that_ran_out_excuses_nothing_and_is_a_finding(resources: Sequence[Resource]) -> None:
    after = max(waiver.expires for waiver in load_waivers().all) + timedelta(days=1)
    found = {one.rule for one in judged(resources, today=after).findings}
    assert found == {"database-private", VALID}


@pytest.mark.parametrize("rule", sorted(CHECKS))
def test_what_is_not_known_yet_breaks_no_rule(rule: str, resources: Sequence[Resource]) -> None:
    hidden = [
        replace(one, inputs={key: UNKNOWN for key in one.inputs if key != "name"}, parent=one.parent)
        for one in resources
    ]
    kept = [finding for finding in judged(hidden).findings if finding.rule == rule]
    assert kept == []

"""The foundation: what is there before any stack, read and tagged as a stack is."""

import json
from collections.abc import Mapping
from typing import cast

import pytest

from stackproof_infra.components.deployers import MOST_PEOPLE, DeployersArgs
from stackproof_infra.components.lock_database import LockDatabaseArgs
from stackproof_infra.config import InvalidConfiguration
from stackproof_infra.place import Place
from tests.cloud import (
    ADMIN_PASSWORD,
    CERTIFICATE,
    FOUNDATION,
    MANAGED_LOCK,
    PASSWORD,
    PROJECT_ID,
    SECRET_KEY,
    Graph,
    Made,
    lay_foundation,
)

PLACE = Place(prefix="acme-shop", stack="test", project_id=PROJECT_ID, region="nl-ams")
# What keeping the state's buckets takes, each right by itself: `stackproof check --iam` knows no smaller ones.
STATE = [
    "ObjectStorageBucketsRead",
    "ObjectStorageBucketsWrite",
    "ObjectStorageBucketsDelete",
    "ObjectStorageBucketPolicyFullAccess",
    "ObjectStorageObjectsRead",
    "ObjectStorageObjectsWrite",
    "ObjectStorageObjectsDelete",
]
PEOPLE = [f"{number:08}-3333-4333-8333-333333333333" for number in range(MOST_PEOPLE + 1)]


def faults(changes: Mapping[str, object]) -> list[str]:
    with pytest.raises(InvalidConfiguration) as refused:
        lay_foundation(changes)
    return [fault.key for fault in refused.value.faults]


def buckets(graph: Graph) -> dict[str, Made]:
    return {made.name: made for made in graph.all("object/bucket:Bucket")}


def stored(graph: Graph, name: str) -> object:
    secret = graph.named(f"{name}-secret")
    (version,) = (made for made in graph.all("secrets/version:Version") if made["secretId"] == secret.id)
    assert version.is_secret("data")
    return json.loads(cast("str", version["data"]))


def test_the_registry_is_private_and_named_like_everything_else(foundation: Graph) -> None:
    (namespace,) = foundation.all("registry/namespace:Namespace")
    assert namespace.plain == {
        "name": "acme-shop-test-registry",
        "projectId": PROJECT_ID,
        "region": "nl-ams",
        "description": "Images of the application.",
        "isPublic": False,
    }


def test_its_exports_say_where_everything_is(foundation: Graph) -> None:
    assert foundation.exports == {
        "registry_namespace_id": "id-of-registry-namespace",
        "registry_endpoint": "rg.nl-ams.scw.cloud/acme-shop-test-registry",
        "state_bucket": "acme-shop-test-state",
        "backup_bucket": "acme-shop-test-state-backup",
        "deployers_application_id": "id-of-deployers-application",
        "deployers_group_id": "id-of-deployers-group",
    }


def test_the_state_and_its_backup_are_versioned_in_two_regions(foundation: Graph) -> None:
    made = buckets(foundation)
    assert {name: (it["name"], it["region"], it["versioning"]) for name, it in made.items()} == {
        "state-bucket": ("acme-shop-test-state", "nl-ams", {"enabled": True}),
        "state-backup-bucket": ("acme-shop-test-state-backup", "fr-par", {"enabled": True}),
    }
    assert [made["forceDestroy"] for made in buckets(foundation).values()] == [False, False]


def test_only_backups_expire_and_nothing_old_is_kept_for_ever(foundation: Graph) -> None:
    rules = {name: cast("list[dict[str, object]]", it["lifecycleRules"]) for name, it in buckets(foundation).items()}
    assert {name: [rule["id"] for rule in of_it] for name, of_it in rules.items()} == {
        "state-bucket": ["expire-what-is-not-current"],
        "state-backup-bucket": ["expire-what-is-not-current", "expire-what-is-old"],
    }
    assert rules["state-bucket"][0]["noncurrentVersionExpiration"] == {"noncurrentDays": 90}
    assert rules["state-backup-bucket"][1]["expiration"] == {"days": 90}


def test_only_the_deployers_application_may_touch_the_state(foundation: Graph) -> None:
    policies = foundation.all("object/bucketPolicy:BucketPolicy")
    documents = [json.loads(cast("str", policy["policy"])) for policy in policies]
    principals = [statement["Principal"] for document in documents for statement in document["Statement"]]
    assert principals == [{"SCW": ["application_id:id-of-deployers-application"]}] * 2


def test_what_only_the_application_may_touch_the_application_makes(foundation: Graph) -> None:
    (provider,) = foundation.providers()
    assert provider["accessKey"] == "SCWAAAAAAAAAAAAAAAAA"
    assert provider.is_secret("secretKey")
    assert provider["secretKey"] == SECRET_KEY


def test_people_read_the_key_and_the_application_writes_the_state(foundation: Graph) -> None:
    rules = {made.name: cast("list[dict[str, object]]", made["rules"]) for made in foundation.all("iam/policy:Policy")}
    assert {name: rule["permissionSetNames"] for name, (rule,) in rules.items()} == {
        "deployers-policy": [*STATE, "ServerlessSQLDatabaseReadWrite"],
        "deployers-group-policy": ["SecretManagerReadOnly", "SecretManagerSecretAccess"],
    }
    assert [rule["projectIds"] for (rule,) in rules.values()] == [[PROJECT_ID]] * 2


def test_the_key_is_kept_for_them(foundation: Graph) -> None:
    assert stored(foundation, "deployers-key") == {
        "access_key": "SCWAAAAAAAAAAAAAAAAA",
        "secret_key": SECRET_KEY,
        "backup_region": "fr-par",
    }


def test_people_are_who_is_configured() -> None:
    changed = lay_foundation({"deployers": PEOPLE[:MOST_PEOPLE]})
    assert changed.the("iam/group:Group")["userIds"] == PEOPLE[:MOST_PEOPLE]


def test_more_people_than_it_is_made_for_are_refused() -> None:
    assert faults({"deployers": PEOPLE}) == ["deployers"]
    with pytest.raises(ValueError, match="at most 5 people"):
        DeployersArgs(place=PLACE, user_ids=PEOPLE, serverless_lock=True)


def test_the_lock_costs_nothing_unused_unless_configured(foundation: Graph) -> None:
    database = foundation.the("databases/serverlessDatabase:ServerlessDatabase")
    assert (database["name"], database["minCpu"], database["maxCpu"]) == ("acme-shop-test-lock", 0, 1)
    assert foundation.all("databases/instance:Instance") == []


def test_a_serverless_lock_is_as_large_as_configured() -> None:
    changed = lay_foundation({"lock": {"minCpu": 1, "maxCpu": 2}})
    database = changed.the("databases/serverlessDatabase:ServerlessDatabase")
    assert (database["minCpu"], database["maxCpu"]) == (1, 2)
    assert faults({"lock": {"minCpu": 3}}) == ["lock.minCpu"]


def test_a_managed_lock_is_small_encrypted_backed_up_and_public(managed: Graph) -> None:
    instance = managed.the("databases/instance:Instance")
    assert {key: value for key, value in instance.plain.items() if key != "tags"} == {
        "name": "acme-shop-test-lock",
        "projectId": PROJECT_ID,
        "region": "nl-ams",
        "engine": "PostgreSQL-15",
        "nodeType": "db-dev-s",
        "volumeType": "sbs_5k",
        "volumeSizeInGb": 5,
        "isHaCluster": False,
        "userName": "administrator",
        "password": ADMIN_PASSWORD,
        "encryptionAtRest": True,
        "disableBackup": False,
        "backupScheduleFrequency": 24,
        "backupScheduleRetention": 30,
        "backupSameRegion": False,
        "loadBalancer": {},
    }
    assert managed.all("databases/serverlessDatabase:ServerlessDatabase") == []


def test_a_managed_lock_lets_in_whom_its_list_names(managed: Graph) -> None:
    rules = cast("list[dict[str, object]]", managed.the("databases/acl:Acl")["aclRules"])
    assert [rule["ip"] for rule in rules] == ["203.0.113.7/32"]
    for useless in ([], ["0.0.0.0/0"], ["203.0.113.7/24"], ["nowhere"]):
        assert set(faults({**MANAGED_LOCK, "lock": {"kind": "managed", "allowedAddresses": useless}})) <= {
            "lock.allowedAddresses",
            "lock.allowedAddresses[0]",
        }
    with pytest.raises(ValueError, match="nobody could take the lock"):
        LockDatabaseArgs(
            place=PLACE,
            engine="PostgreSQL-15",
            node_type="db-dev-s",
            allowed_addresses=[],
            user_password="",
            administrator_password="",
        )


def test_its_user_administers_nothing(managed: Graph) -> None:
    user = managed.the("databases/user:User")
    assert (user["name"], user["isAdmin"], user["password"]) == ("deployers", False, PASSWORD)
    privileges = {made["userName"]: made["permission"] for made in managed.all("databases/privilege:Privilege")}
    assert privileges == {"administrator": "all", "deployers": "readonly"}


def test_its_login_is_kept_for_those_who_deploy(managed: Graph) -> None:
    assert stored(managed, "lock-login") == {
        "host": "198.51.100.7",
        "port": "5433",
        "user": "deployers",
        "password": PASSWORD,
        "certificate": CERTIFICATE,
        "database": "stackproof",
    }


def test_the_deployers_application_signs_in_at_a_serverless_lock(foundation: Graph) -> None:
    assert stored(foundation, "lock-login") == {
        "host": "sql.nl-ams.scw.cloud",
        "port": "5432",
        "user": "id-of-deployers-application",
        "password": SECRET_KEY,
        "certificate": "",
        "database": "acme",
    }


def test_a_managed_locks_identity_signs_in_nowhere_else(managed: Graph) -> None:
    (rule,) = cast("list[dict[str, object]]", managed.named("deployers-policy")["rules"])
    assert rule["permissionSetNames"] == STATE


def test_a_managed_lock_needs_passwords_and_addresses() -> None:
    assert faults({"lock": {"kind": "managed"}}) == ["lock.allowedAddresses", "lockPassword", "lockAdminPassword"]
    assert faults({"lock": {"kind": "sqlite"}}) == ["lock.kind"]


def test_the_state_is_kept_as_configured() -> None:
    changed = lay_foundation(
        {
            "state": {
                "noncurrentExpirationDays": 30,
                "backupRegion": "pl-waw",
                "backupExpirationDays": 10,
                "forceDestroy": True,
            }
        }
    )
    made = buckets(changed)
    state, backup = made["state-bucket"], made["state-backup-bucket"]
    rules = cast("list[list[dict[str, object]]]", [state["lifecycleRules"], backup["lifecycleRules"]])
    assert [rule["noncurrentVersionExpiration"] for rule, *_ in rules] == [
        {"noncurrentDays": 30},
        {"noncurrentDays": 10},
    ]
    assert rules[1][1]["expiration"] == {"days": 10}
    assert backup["region"] == "pl-waw"
    assert (state["forceDestroy"], backup["forceDestroy"]) == (True, True)


def test_a_backup_is_never_in_the_states_own_region() -> None:
    assert faults({"state": {"backupRegion": "nl-ams"}}) == ["state.backupRegion"]


def test_its_description_is_as_configured() -> None:
    changed = lay_foundation({"registry": {"description": "Mind the gap."}})
    assert changed.the("registry/namespace:Namespace")["description"] == "Mind the gap."


def test_a_bad_configuration_is_refused_as_a_whole() -> None:
    assert faults({"registry": {"description": ""}, "region": "fr-par"}) == ["registry.description", "region"]


def test_the_package_is_found_from_wherever_the_program_lies(foundation: Graph) -> None:
    assert "stackproof:registry:Registry" in [made.type for made in foundation.made if made.component]
    assert FOUNDATION == "stackproof-foundation"

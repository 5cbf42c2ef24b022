//! Traps that recorded traffic and the provider's source have shown: each one a test through the
//! public door. Where the trap is the provider's behaviour, the test pins the answer that provokes
//! it, since answering differently would hide what happens at Scaleway.
//!
//! The numbers are those of the notes on Scaleway's API. Traps of products that are not here have
//! their tests with their product; those of Object Storage (8, 9, 12) are in `object/`.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};
use support::{Fixture, faulty};

const IAM: &str = "/iam/v1alpha1";
const RDB: &str = "/rdb/v1/regions/fr-par";
const SECRETS: &str = "/secret-manager/v1beta1/regions/fr-par/secrets";
const VPC: &str = "/vpc/v2/regions/fr-par";

async fn instance(fixture: &Fixture) -> String {
    let body = json!({
        "name": "main", "engine": "PostgreSQL-16", "node_type": "db-dev-s", "user_name": "app",
        "password": "Str0ng-enough!",
    });
    format!("{RDB}/instances/{}", fixture.make(&format!("{RDB}/instances"), body).await)
}

/// The provider polls every 30 s, but looks at once: what is ready then costs nothing.
#[tokio::test]
async fn trap_02_in_profile_instant_no_poll_of_a_database_is_in_vain() {
    let fixture = Fixture::new();
    let path = instance(&fixture).await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let status = async |path: &str| fixture.get(path).await.body["status"].clone();
    assert_eq!(status(&path).await, "ready");
    let requests = [
        ("PATCH", path.clone(), json!({"tags": ["a"]})),
        ("POST", format!("{path}/upgrade"), json!({"node_type": "db-dev-m"})),
        ("PUT", format!("{path}/settings"), json!({"settings": [{"name": "work_mem", "value": "8"}]})),
        ("PUT", format!("{path}/acls"), json!({"rules": [{"ip": "192.0.2.1/32"}]})),
        ("POST", format!("{path}/restart"), json!({})),
    ];
    for (method, path_of, body) in requests {
        assert_eq!(fixture.send(method, &path_of, body).await.status, 200, "{path_of}");
        assert_eq!(status(&path).await, "ready", "after {method} {path_of}");
    }
    let backup = json!({"instance_id": id, "database_name": "rdb", "name": "b"});
    for (collection, item, body) in [
        (format!("{RDB}/backups"), "backups", backup),
        (format!("{path}/snapshots"), "snapshots", json!({"name": "s"})),
        (format!("{RDB}/read-replicas"), "read-replicas", json!({"instance_id": id})),
    ] {
        let made = fixture.make(&collection, body).await;
        assert_eq!(status(&format!("{RDB}/{item}/{made}")).await, "ready", "{item}");
    }
}

/// A deleted secret answers 200; only 404 and absence from lists would look like a removal.
#[tokio::test]
async fn trap_04_a_deleted_secret_is_still_answered_and_hidden_in_lists() {
    let fixture = Fixture::new();
    let path = format!("{SECRETS}/{}", fixture.make(SECRETS, json!({"name": "s"})).await);
    fixture.post(&format!("{path}/versions"), json!({"data": "b25l"})).await;
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 204);
    let shown = fixture.get(&path).await;
    assert_eq!((shown.status, &shown.body["status"]), (200, &json!("ready")));
    assert!(shown.body["deletion_requested_at"].is_string());
    assert_eq!(fixture.get(&format!("{path}/versions/1")).await.body["status"], "scheduled_for_deletion");
    let total = async |query: &str| fixture.get(&format!("{SECRETS}?{query}")).await.body["total_count"].clone();
    assert_eq!(total("scheduled_for_deletion=false").await, 0);
    assert_eq!(total("").await, 0);
    assert_eq!(total("scheduled_for_deletion=true").await, 1);
}

/// The provider dereferences these without looking: without them it crashes.
#[tokio::test]
async fn trap_05_what_the_provider_dereferences_is_there() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let path = instance(&fixture).await;
    let schedule = fixture.get(&path).await.body["backup_schedule"].clone();
    assert!(schedule.is_object(), "of an instance that is being made, too");
    fixture.cloud.store().clock().advance(std::time::Duration::from_secs(3600));
    fixture.cloud.settle().unwrap();
    let snapshot = fixture.post(&format!("{path}/snapshots"), json!({"name": "s"})).await.body;
    for field in ["expires_at", "created_at"] {
        assert!(snapshot[field].is_string(), "{field}");
    }
    assert!(snapshot["volume_type"].is_object());
    let (_, network) = fixture.network().await;
    let source = json!({"private_network_id": network});
    let ip = fixture.post("/ipam/v1/regions/fr-par/ips", json!({"source": source})).await.body;
    assert!(ip["source"]["subnet_id"].is_string());
}

/// Rules and projects are ordered lists in the provider's state; of two keys exactly one is there.
#[tokio::test]
async fn trap_06_policies_keep_their_orders_and_name_one_scope_and_one_bearer() {
    let fixture = Fixture::new();
    let first = &fixture.organization.id;
    let second = fixture.make("/account/v3/projects", json!({"name": "a"})).await;
    for projects in [[first, &second], [&second, first]] {
        let rules = json!([
            {"permission_set_names": ["VPCReadOnly"], "project_ids": projects},
            {"permission_set_names": ["IPAMReadOnly", "AllProductsReadOnly"], "organization_id": first},
            {"permission_set_names": ["IAMReadOnly"], "organization_id": first},
        ]);
        let body = json!({"name": "p", "no_principal": true, "rules": rules});
        let made = fixture.post(&format!("{IAM}/policies"), body).await.body;
        for bearer in ["user_id", "group_id", "application_id"] {
            assert_eq!(made.get(bearer), None);
        }
        let listed = fixture.get(&format!("{IAM}/rules?policy_id={}", made["id"].as_str().unwrap())).await.body;
        let listed = &listed["rules"];
        assert_eq!(listed[0]["project_ids"], json!(projects));
        assert_eq!((listed[0].get("organization_id"), listed[1].get("project_ids")), (None, None));
        assert_eq!(listed[1]["permission_set_names"], json!(["IPAMReadOnly", "AllProductsReadOnly"]));
        assert_eq!(listed[2]["permission_sets_scope_type"], "organization");
    }
}

/// The provider tries again for half an hour on any 409 of these.
#[rstest]
#[case::database("databases", json!({"name": "orders"}), "name")]
#[case::user("users", json!({"name": "reader", "password": "Str0ng-enough!"}), "name")]
#[tokio::test]
async fn trap_07_what_exists_already_is_never_a_conflict(
    #[case] collection: &str,
    #[case] body: Value,
    #[case] argument: &str,
) {
    let fixture = Fixture::new();
    let path = format!("{}/{collection}", instance(&fixture).await);
    assert_eq!(fixture.post(&path, body.clone()).await.status, 200);
    let again = fixture.post(&path, body).await;
    assert_eq!((again.status, faulty(&again)), (400, vec![argument.to_owned()]));
}

/// A missing permission is 403 `permissions_denied`, a missing secret 404: the provider waits on both.
#[tokio::test]
async fn trap_11_the_refusals_that_the_provider_waits_on() {
    let fixture = Fixture::new();
    let application = fixture.make(&format!("{IAM}/applications"), json!({"name": "app"})).await;
    let key = fixture.post(&format!("{IAM}/api-keys"), json!({"application_id": application})).await.body;
    let secret_key = key["secret_key"].as_str().unwrap();
    let denied = fixture.send_raw("GET", &instance(&fixture).await, secret_key, vec![]).await;
    assert_eq!((denied.status, &denied.body["type"]), (403, &json!("permissions_denied")));
    assert_eq!(denied.body["details"][0]["action"], "read");
    let missing = fixture.get(&format!("{SECRETS}/00000000-0000-4000-8000-000000000000")).await;
    assert_eq!((missing.status, &missing.body["resource"]), (404, &json!("secret")));
}

/// What is gone from these lists gives an empty list, of which the provider makes an error for
/// databases and privileges, and a removal for users.
#[rstest]
#[case::database("databases?name=orders&order_by=name_asc")]
#[case::privilege("privileges?database_name=rdb&user_name=ghost&order_by=user_name_asc")]
#[case::user("users?name=ghost&order_by=name_asc")]
#[tokio::test]
async fn trap_13_what_is_gone_leaves_an_empty_list(#[case] list: &str) {
    let fixture = Fixture::new();
    let answer = fixture.get(&format!("{}/{list}", instance(&fixture).await)).await;
    assert_eq!((answer.status, &answer.body["total_count"]), (200, &json!(0)));
}

/// Taking a privilege away leaves it listed as `none`, for the same reason.
#[tokio::test]
async fn trap_13_a_privilege_that_was_taken_away_is_still_listed() {
    let fixture = Fixture::new();
    let path = format!("{}/privileges", instance(&fixture).await);
    for permission in ["all", "none"] {
        let body = json!({"database_name": "rdb", "user_name": "app", "permission": permission});
        assert_eq!(fixture.send("PUT", &path, body).await.status, 200);
    }
    let listed = fixture.get(&format!("{path}?database_name=rdb&user_name=app")).await.body;
    let shown = &listed["privileges"][0];
    assert_eq!(
        (&listed["total_count"], &shown["permission"], &shown["effective_permission"]),
        (&json!(1), &json!("none"), &json!("none"))
    );
}

#[tokio::test]
async fn trap_14_routing_is_on_although_it_was_not_asked_for() {
    let fixture = Fixture::new();
    let made = fixture.post(&format!("{VPC}/vpcs"), json!({"name": "v", "enable_routing": false})).await.body;
    assert_eq!(made["routing_enabled"], true);
    assert_eq!(made["custom_routes_propagation_enabled"], true);
    assert_eq!(made.get("enable_routing"), None);
}

/// What the cloud rewrites comes back rewritten, at once and ever after.
#[rstest]
#[case::acl_description("PUT", "acls", json!({"rules": [{"ip": "192.0.2.1/32", "description": ""}]}), "/rules/0/description", "IP allowed")]
#[tokio::test]
async fn trap_15_rewritten_under_an_instance(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: Value,
    #[case] pointer: &str,
    #[case] told: &str,
) {
    let fixture = Fixture::new();
    let path = format!("{}/{path}", instance(&fixture).await);
    let answer = fixture.send(method, &path, body).await.body;
    assert_eq!(answer.pointer(pointer), Some(&json!(told)));
    assert_eq!(fixture.get(&path).await.body.pointer(pointer), Some(&json!(told)));
}

#[tokio::test]
async fn trap_15_rewritten_elsewhere() {
    let fixture = Fixture::new();
    let (_, network) = fixture.network().await;
    let source = json!({"private_network_id": network});
    let resource = json!({"mac_address": "bc:24:11:74:d0:5a", "name": null});
    let ip = fixture.post("/ipam/v1/regions/fr-par/ips", json!({"source": source, "resource": resource})).await.body;
    assert_eq!(ip["resource"]["mac_address"], "BC:24:11:74:D0:5A");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICJEoOOgQBLJPs4g/XcPTKT82NywNPpxeuA20FlOPlpO";
    let body = json!({"name": "k", "public_key": format!("{key} me@laptop")});
    let ssh = fixture.post(&format!("{IAM}/ssh-keys"), body).await.body;
    assert_eq!(ssh["public_key"], key);
    let member = json!({"email": "a@example.com", "username": "a", "locale": ""});
    let user = fixture.post(&format!("{IAM}/users"), json!({"member": member})).await.body;
    assert_eq!(user["locale"], "en_US");
    let body = json!({"user_id": user["id"], "expires_at": "2035-07-06T11:00:00+02:00"});
    let key = fixture.post(&format!("{IAM}/api-keys"), body).await.body;
    assert_eq!(key["default_project_id"], json!(fixture.organization.id));
    assert_eq!(key["expires_at"], "2035-07-06T09:00:00Z");
    let policy = json!({"time_to_live": "1800.000000000s", "action": "disable"});
    let secret = fixture.post(SECRETS, json!({"name": "s", "path": "/app/", "ephemeral_policy": policy})).await.body;
    assert_eq!((&secret["path"], &secret["ephemeral_policy"]["time_to_live"]), (&json!("/app"), &json!("1800s")));
}

#[tokio::test]
async fn trap_16_the_default_project_is_called_like_its_organisation() {
    let fixture = Fixture::new();
    let id = &fixture.organization.id;
    let project = fixture.get(&format!("/account/v3/projects/{id}")).await.body;
    assert_eq!((&project["organization_id"], &project["name"]), (&json!(id), &json!("default")));
    for region in ["fr-par", "nl-ams", "pl-waw", "it-mil"] {
        let regional = format!("/vpc/v2/regions/{region}");
        let network = fixture.post(&format!("{regional}/private-networks"), json!({"project_id": id})).await.body;
        let default = fixture.get(&format!("{regional}/vpcs?is_default=true&project_id={id}")).await.body;
        assert_eq!((&default["total_count"], &default["vpcs"][0]["id"]), (&json!(1), &network["vpc_id"]));
    }
}

/// A `srn` in an answer would win over the one that the SDK makes itself.
#[tokio::test]
async fn trap_17_no_answer_has_a_srn() {
    let fixture = Fixture::new();
    let (vpc, network) = fixture.network().await;
    let source = json!({"private_network_id": network});
    for (path, body) in [
        (format!("{VPC}/vpcs"), json!({})),
        (format!("{VPC}/private-networks"), json!({"vpc_id": vpc})),
        ("/ipam/v1/regions/fr-par/ips".to_owned(), json!({"source": source})),
        (SECRETS.to_owned(), json!({"name": "s"})),
        (format!("{IAM}/applications"), json!({"name": "a"})),
        (format!("{IAM}/groups"), json!({"name": "g"})),
    ] {
        let made = fixture.post(&path, body).await;
        assert_eq!(made.status, 200, "{path}: {}", made.body);
        assert!(!made.body.to_string().contains("\"srn\""), "{path}");
    }
}

/// What is said once is never told again, so that importing cannot recover it.
#[tokio::test]
async fn trap_18_secrets_are_told_once_or_never() {
    let fixture = Fixture::new();
    let application = fixture.make(&format!("{IAM}/applications"), json!({"name": "app"})).await;
    let key = fixture.post(&format!("{IAM}/api-keys"), json!({"application_id": application})).await.body;
    assert!(key["secret_key"].is_string());
    let path = format!("{IAM}/api-keys/{}", key["access_key"].as_str().unwrap());
    assert_eq!(fixture.get(&path).await.body["secret_key"], Value::Null);
    assert_eq!(fixture.send("PATCH", &path, json!({"description": "d"})).await.body["secret_key"], Value::Null);
    let secret = format!("{SECRETS}/{}", fixture.make(SECRETS, json!({"name": "s"})).await);
    let version = fixture.post(&format!("{secret}/versions"), json!({"data": "b25l"})).await.body;
    assert_eq!(version.get("data"), None);
    assert_eq!(fixture.get(&format!("{secret}/versions/1")).await.body.get("data"), None);
    let database = instance(&fixture).await;
    assert!(!fixture.get(&database).await.body.to_string().contains("Str0ng-enough!"));
    let user = json!({"name": "u", "password": "Str0ng-enough!"});
    let user = fixture.post(&format!("{database}/users"), user).await.body;
    assert_eq!(user, json!({"name": "u", "is_admin": false}));
}

/// The provider asks for tags to be changed only when there are some; the cloud clears them when asked.
#[tokio::test]
async fn trap_20_tags_are_cleared_by_an_empty_list_and_kept_without_one() {
    let fixture = Fixture::new();
    let path = format!("{VPC}/vpcs/{}", fixture.make(&format!("{VPC}/vpcs"), json!({"tags": ["a"]})).await);
    for unchanged in [json!({"name": "n"}), json!({"tags": null})] {
        assert_eq!(fixture.send("PATCH", &path, unchanged).await.body["tags"], json!(["a"]));
    }
    assert_eq!(fixture.send("PATCH", &path, json!({"tags": []})).await.body["tags"], json!([]));
}

/// The provider updates snapshots in its default region, wherever they are: there it is 404.
#[tokio::test]
async fn trap_21_a_snapshot_is_not_there_in_another_region() {
    let fixture = Fixture::new();
    let path = instance(&fixture).await;
    let snapshot = fixture.make(&format!("{path}/snapshots"), json!({"name": "s"})).await;
    let there =
        fixture.send("PATCH", &format!("/rdb/v1/regions/nl-ams/snapshots/{snapshot}"), json!({"name": "t"})).await;
    assert_eq!((there.status, &there.body["resource"]), (404, &json!("instance_snapshot")));
    let here = fixture.send("PATCH", &format!("{RDB}/snapshots/{snapshot}"), json!({"name": "t"})).await;
    assert_eq!((here.status, &here.body["name"]), (200, &json!("t")));
}

/// Requests and answers have other names for the same things: none of the request's shows up.
#[tokio::test]
async fn trap_22_requests_and_answers_differ() {
    let fixture = Fixture::new();
    let asked = json!({
        "name": "d", "engine": "PostgreSQL-16", "node_type": "db-dev-s", "user_name": "app",
        "password": "Str0ng-enough!", "disable_backup": true, "volume_type": "sbs_5k",
        "volume_size": 10_000_000_000_u64, "init_endpoints": [{"load_balancer": {}}],
    });
    let made = fixture.post(&format!("{RDB}/instances"), asked).await.body;
    for name in ["disable_backup", "volume_type", "volume_size", "init_endpoints", "user_name", "password"] {
        assert_eq!(made.get(name), None, "{name}");
    }
    assert_eq!(made["backup_schedule"]["disabled"], true);
    assert_eq!(made["volume"], json!({"type": "sbs_5k", "class": "sbs", "size": 10_000_000_000_u64}));
    let path = format!("{RDB}/instances/{}", made["id"].as_str().unwrap());
    let change = json!({
        "is_backup_schedule_disabled": false, "backup_schedule_frequency": 48, "backup_schedule_retention": 3,
    });
    let changed = fixture.send("PATCH", &path, change).await.body;
    let schedule = &changed["backup_schedule"];
    assert_eq!(
        (&schedule["disabled"], &schedule["frequency"], &schedule["retention"]),
        (&json!(false), &json!(48), &json!(3))
    );
    assert_eq!(changed.get("backup_schedule_frequency"), None);
    let vpc = fixture.post(&format!("{VPC}/vpcs"), json!({"enable_transitivity": true})).await.body;
    assert_eq!((&vpc["transitivity_enabled"], vpc.get("enable_transitivity")), (&json!(true), None));
    let policy =
        fixture.post(&format!("{IAM}/policies"), json!({"name": "p", "no_principal": true, "rules": []})).await.body;
    assert_eq!((policy.get("rules"), &policy["nb_rules"]), (None, &json!(0)));
    let secret = format!("{SECRETS}/{}", fixture.make(SECRETS, json!({"name": "s"})).await);
    let version = json!({"data": "b25l", "disable_previous": true, "data_crc32": crc32fast::hash(b"one")});
    let version = fixture.post(&format!("{secret}/versions"), version).await;
    assert_eq!(version.status, 200, "{}", version.body);
    for name in ["data", "disable_previous", "data_crc32"] {
        assert_eq!(version.body.get(name), None, "{name}");
    }
    // A replica's endpoints are asked for as a list, an instance's as an object.
    let id = made["id"].as_str().unwrap();
    let replica = json!({"instance_id": id, "endpoint_spec": [{"direct_access": {}}]});
    assert_eq!(fixture.post(&format!("{RDB}/read-replicas"), replica).await.status, 200);
    let (_, network) = fixture.network().await;
    let endpoint = json!({"endpoint_spec": {"private_network": {"private_network_id": network, "ipam_config": {}}}});
    assert_eq!(fixture.post(&format!("{path}/endpoints"), endpoint).await.status, 200);
}

/// Identifiers are UUIDs in their canonical form, regions are those there are.
#[tokio::test]
async fn trap_23_identifiers_are_canonical_and_regions_known() {
    let fixture = Fixture::new();
    let id = fixture.make(&format!("{VPC}/vpcs"), json!({})).await;
    assert!(stackproof_cloud::kernel::is_uuid(&id));
    assert_eq!(id, id.to_lowercase());
    let elsewhere = fixture.get("/vpc/v2/regions/us-east/vpcs").await;
    assert_eq!((elsewhere.status, faulty(&elsewhere)), (400, vec!["region".to_owned()]));
}

/// The size of a database is part of the provider's state: every change of it would be drift.
#[tokio::test]
async fn the_size_of_a_database_is_the_same_at_every_refresh() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let path = instance(&fixture).await;
    fixture.cloud.store().clock().advance(std::time::Duration::from_secs(3600));
    fixture.cloud.settle().unwrap();
    fixture.post(&format!("{path}/databases"), json!({"name": "orders"})).await;
    let before = fixture.get(&format!("{path}/databases")).await.body;
    fixture.cloud.store().clock().advance(std::time::Duration::from_secs(40 * 24 * 3600));
    fixture.cloud.settle().unwrap();
    assert_eq!(fixture.get(&format!("{path}/databases")).await.body, before);
}

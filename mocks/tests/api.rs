//! The JSON API as clients meet it: what it answers to right and to wrong requests.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod made_up;
mod support;

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};
use support::{Answer, Fixture, faulty};

const VPCS: &str = "/vpc/v2/regions/fr-par/vpcs";
const NETWORKS: &str = "/vpc/v2/regions/fr-par/private-networks";
const INSTANCES: &str = "/rdb/v1/regions/fr-par/instances";

fn database() -> Value {
    json!({
        "name": "main", "engine": "PostgreSQL-16", "node_type": "db-dev-s", "user_name": "app",
        "password": "Str0ng-enough!", "is_ha_cluster": true,
    })
}

#[rstest]
#[case::no_credentials("", "invalid_argument")]
#[case::unknown_credentials("11111111-1111-1111-1111-111111111111", "not_found")]
#[case::no_uuid("hello", "not_found")]
#[tokio::test]
async fn nobody_gets_in_without_a_valid_key(#[case] token: &str, #[case] reason: &str) {
    let answer = Fixture::new().send_raw("GET", VPCS, token, vec![]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.body["type"], "denied_authentication");
    assert_eq!(answer.body["reason"], reason);
}

#[rstest]
#[case::unknown_region("POST", "/vpc/v2/regions/mars-1/vpcs", json!({}), &["region"])]
#[case::bad_cidr("POST", NETWORKS, json!({"subnets": ["10.0.0.0/99"]}), &["subnets"])]
#[case::unknown_node_type("POST", INSTANCES, json!({"name": "x", "engine": "PostgreSQL-16", "node_type": "db-huge"}), &["node_type"])]
#[case::name_too_long("POST", "/iam/v1alpha1/applications", json!({"name": "n".repeat(65)}), &["name"])]
#[case::all_faults_at_once("POST", INSTANCES, json!({"engine": "Oracle", "password": "weak"}), &["name", "engine", "node_type", "password"])]
#[case::wrong_types("POST", VPCS, json!({"name": 7, "tags": "x"}), &["name", "tags"])]
#[case::no_such_order("GET", "/vpc/v2/regions/fr-par/vpcs?order_by=colour_asc", Value::Null, &["order_by"])]
#[case::page_zero("GET", "/vpc/v2/regions/fr-par/vpcs?page=0", Value::Null, &["page"])]
#[case::page_too_large("GET", "/vpc/v2/regions/fr-par/vpcs?page_size=101", Value::Null, &["page_size"])]
#[case::two_bearers_missing("POST", "/iam/v1alpha1/api-keys", json!({}), &["bearer"])]
#[case::not_base64("POST", "/secret-manager/v1beta1/regions/fr-par/secrets", json!({"name": "a/../b"}), &["name"])]
#[tokio::test]
async fn bad_input_is_named_argument_by_argument(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: Value,
    #[case] arguments: &[&str],
) {
    let answer = Fixture::new().send(method, path, body).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.body["type"], "invalid_arguments");
    assert_eq!(faulty(&answer), arguments);
}

#[rstest]
#[case::malformed(b"{\"name\":".to_vec(), 400)]
#[case::not_an_object(b"[1]".to_vec(), 400)]
#[case::not_utf8(vec![0xff, 0xfe], 400)]
#[case::oversized(vec![b' '; 3 << 20], 413)]
#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused(#[case] body: Vec<u8>, #[case] status: u16) {
    let fixture = Fixture::new();
    let answer = fixture.send_raw("POST", VPCS, &fixture.organization.secret_key, body).await;
    assert_eq!(answer.status, status, "{}", answer.body);
}

#[tokio::test]
async fn an_unknown_route_says_so() {
    let answer = Fixture::new().get("/quantum/v1/regions/fr-par/qubits").await;
    assert_eq!(answer.status, 501);
    assert_eq!(answer.body["type"], "not_implemented");
    assert_eq!(answer.body["route"], "GET /quantum/v1/regions/fr-par/qubits");
}

#[tokio::test]
async fn a_private_network_in_use_cannot_be_deleted() {
    let fixture = Fixture::new();
    let network = fixture.make(NETWORKS, json!({"name": "backend"})).await;
    let mut body = database();
    body["init_endpoints"] = json!([{"private_network": {"private_network_id": network, "ipam_config": {}}}]);
    let instance = fixture.make(INSTANCES, body).await;
    let refused = fixture.send("DELETE", &format!("{NETWORKS}/{network}"), Value::Null).await;
    assert_eq!((refused.status, &refused.body["precondition"]), (412, &json!("resource_still_in_use")));
    assert_eq!(fixture.send("DELETE", &format!("{INSTANCES}/{instance}"), Value::Null).await.status, 200);
    assert_eq!(fixture.send("DELETE", &format!("{NETWORKS}/{network}"), Value::Null).await.status, 204);
}

#[tokio::test]
async fn a_vpc_with_networks_cannot_be_deleted_and_counts_them() {
    let fixture = Fixture::new();
    let vpc = fixture.make(VPCS, json!({"name": "v"})).await;
    let network = fixture.make(NETWORKS, json!({"vpc_id": vpc})).await;
    assert_eq!(fixture.get(&format!("{VPCS}/{vpc}")).await.body["private_network_count"], 1);
    assert_eq!(fixture.send("DELETE", &format!("{VPCS}/{vpc}"), Value::Null).await.status, 412);
    fixture.send("DELETE", &format!("{NETWORKS}/{network}"), Value::Null).await;
    assert_eq!(fixture.send("DELETE", &format!("{VPCS}/{vpc}"), Value::Null).await.status, 204);
}

#[tokio::test]
async fn networks_of_a_vpc_never_overlap() {
    let fixture = Fixture::new();
    let vpc = fixture.make(VPCS, json!({})).await;
    fixture.make(NETWORKS, json!({"vpc_id": vpc, "subnets": ["10.1.0.0/16"]})).await;
    let clash = fixture.post(NETWORKS, json!({"vpc_id": vpc, "subnets": ["10.1.2.0/24"]})).await;
    assert_eq!((clash.status, faulty(&clash)), (400, vec!["subnets".to_owned()]));
}

#[tokio::test]
async fn a_database_passes_through_its_states_and_ends_with_a_private_address() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let network = fixture.make(NETWORKS, json!({"subnets": ["10.1.0.0/24"]})).await;
    let mut body = database();
    body["init_endpoints"] = json!([{"private_network": {"private_network_id": network, "ipam_config": {}}}]);
    let made = fixture.post(INSTANCES, body).await;
    assert_eq!(made.body["status"], "provisioning");
    assert_eq!(made.body["endpoints"][0]["private_network"]["service_ip"], "10.1.0.2/24");
    assert_eq!(made.body.get("password"), None);
    let path = format!("{INSTANCES}/{}", made.body["id"].as_str().unwrap());
    let early = fixture.send("PATCH", &path, json!({"name": "other"})).await;
    assert_eq!((early.status, &early.body["current_state"]), (409, &json!("provisioning")));
    fixture.cloud.store().clock().advance(std::time::Duration::from_secs(600));
    fixture.cloud.settle().unwrap();
    let ready = fixture.get(&path).await;
    assert_eq!(ready.body["status"], "ready");
    assert_eq!(ready.body["settings"].as_array().map(Vec::len), Some(6));
    assert_eq!(ready.body["endpoint"], Value::Null);
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.body["status"], "deleting");
    assert_eq!(fixture.get(&path).await.body["status"], "deleting");
    fixture.cloud.store().clock().advance(std::time::Duration::from_secs(600));
    fixture.cloud.settle().unwrap();
    let gone = fixture.get(&path).await;
    assert_eq!((gone.status, &gone.body["resource"]), (404, &json!("instance")));
}

#[tokio::test]
async fn a_list_replaced_whole_holds_exactly_what_was_put() {
    let fixture = Fixture::new();
    let instance = fixture.make(INSTANCES, database()).await;
    let acls = format!("{INSTANCES}/{instance}/acls");
    fixture
        .send(
            "PUT",
            &acls,
            json!({"rules": [{"ip": "1.2.3.4/32", "description": ""}, {"ip": "10.0.0.0/8", "description": "office"}]}),
        )
        .await;
    let listed = fixture.get(&acls).await;
    assert_eq!(listed.body["total_count"], 2);
    assert_eq!(listed.body["rules"][0]["description"], "IP allowed");
    assert!(listed.body["rules"][0]["port"].as_u64().unwrap() >= 10_000);
    fixture.send("DELETE", &acls, json!({"acl_rule_ips": ["1.2.3.4/32"]})).await;
    assert_eq!(fixture.get(&acls).await.body["total_count"], 1);
}

#[tokio::test]
async fn policies_keep_the_order_of_their_rules_and_answer_exactly_one_scope() {
    let fixture = Fixture::new();
    let application = fixture.make("/iam/v1alpha1/applications", json!({"name": "app"})).await;
    let project = &fixture.organization.id;
    let rules = json!([
        {"permission_set_names": ["VPCReadOnly"], "condition": "", "project_ids": [project]},
        {"permission_set_names": ["IAMReadOnly"], "condition": "", "organization_id": project},
    ]);
    let body = json!({"name": "p", "application_id": application, "rules": rules});
    let policy = fixture.make("/iam/v1alpha1/policies", body).await;
    let shown = fixture.get(&format!("/iam/v1alpha1/policies/{policy}")).await.body;
    assert_eq!((&shown["nb_rules"], &shown["nb_scopes"], shown.get("user_id")), (&json!(2), &json!(2), None));
    let listed = fixture.get(&format!("/iam/v1alpha1/rules?policy_id={policy}")).await.body;
    assert_eq!(listed["rules"][0]["permission_set_names"][0], "VPCReadOnly");
    assert_eq!(listed["rules"][0].get("organization_id"), None);
    assert_eq!(listed["rules"][1]["permission_sets_scope_type"], "organization");
    assert_eq!(listed["rules"][1].get("project_ids"), None);
}

async fn application_key(fixture: &Fixture, sets: &[&str]) -> String {
    let application = fixture.make("/iam/v1alpha1/applications", json!({"name": "app"})).await;
    let rule = json!({"permission_set_names": sets, "project_ids": [fixture.organization.id]});
    fixture.make("/iam/v1alpha1/policies", json!({"name": "p", "application_id": application, "rules": [rule]})).await;
    let key = fixture.post("/iam/v1alpha1/api-keys", json!({"application_id": application})).await;
    key.body["secret_key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_application_may_do_what_its_policy_says_and_no_more() {
    let fixture = Fixture::new();
    let key = application_key(&fixture, &["VPCReadOnly"]).await;
    let call = async |method: &str, path: &str| fixture.send_raw(method, path, &key, b"{}".to_vec()).await;
    assert_eq!(call("GET", VPCS).await.body["total_count"], 1);
    let refused = call("POST", VPCS).await;
    assert_eq!((refused.status, &refused.body["type"]), (403, &json!("permissions_denied")));
    assert_eq!(refused.body["details"][0], json!({"resource": "vpc", "action": "write"}));
    assert_eq!(call("GET", "/iam/v1alpha1/applications").await.status, 403);
}

#[tokio::test]
async fn the_secret_of_a_deleted_key_opens_nothing() {
    let fixture = Fixture::new();
    let application = fixture.make("/iam/v1alpha1/applications", json!({"name": "app"})).await;
    let key = fixture.post("/iam/v1alpha1/api-keys", json!({"application_id": application})).await.body;
    let (access, secret) = (key["access_key"].as_str().unwrap(), key["secret_key"].as_str().unwrap());
    assert_eq!(fixture.get(&format!("/iam/v1alpha1/api-keys/{access}")).await.body["secret_key"], Value::Null);
    assert_ne!(fixture.send_raw("GET", VPCS, secret, vec![]).await.status, 401);
    fixture.send("DELETE", &format!("/iam/v1alpha1/applications/{application}"), Value::Null).await;
    assert_eq!(fixture.send_raw("GET", VPCS, secret, vec![]).await.status, 401);
    assert_eq!(fixture.get(&format!("/iam/v1alpha1/api-keys/{access}")).await.status, 404);
}

#[tokio::test]
async fn a_deleted_secret_is_still_answered_but_no_longer_listed() {
    let fixture = Fixture::new();
    let secrets = "/secret-manager/v1beta1/regions/fr-par/secrets";
    let secret = fixture.make(secrets, json!({"name": "db"})).await;
    let versions = format!("{secrets}/{secret}/versions");
    for (data, revision) in [("b25l", 1), ("dHdv", 2)] {
        assert_eq!(fixture.post(&versions, json!({"data": data})).await.body["revision"], revision);
    }
    assert_eq!(fixture.get(&format!("{versions}/latest/access")).await.body["data"], "dHdv");
    assert_eq!(fixture.get(&format!("{versions}/1")).await.body["latest"], false);
    assert_eq!(fixture.get(&format!("{secrets}/{secret}")).await.body["version_count"], 2);
    assert_eq!(fixture.send("DELETE", &format!("{secrets}/{secret}"), Value::Null).await.status, 204);
    assert!(fixture.get(&format!("{secrets}/{secret}")).await.body["deletion_requested_at"].is_string());
    assert_eq!(fixture.get(secrets).await.body["total_count"], 0);
    fixture.make(secrets, json!({"name": "db"})).await;
}

#[tokio::test]
async fn another_organisation_sees_nothing_of_ours() {
    let fixture = Fixture::new();
    let vpc = fixture.make(VPCS, json!({})).await;
    let stranger = services::Organization::from_seed(99);
    services::seed(fixture.cloud.store(), &stranger).unwrap();
    let theirs = fixture.send_raw("GET", &format!("{VPCS}/{vpc}"), &stranger.secret_key, vec![]).await;
    assert!(theirs.status == 403 || theirs.status == 404, "{}", theirs.status);
    let body = json!({"project_id": fixture.organization.id}).to_string().into_bytes();
    assert_eq!(fixture.send_raw("POST", VPCS, &stranger.secret_key, body).await.status, 403);
}

#[tokio::test]
async fn pages_cover_a_list_without_gaps_or_repeats() {
    let fixture = Fixture::new();
    for number in 0..23 {
        fixture.make("/iam/v1alpha1/applications", json!({"name": format!("app-{number:02}")})).await;
    }
    let mut names = Vec::new();
    for page in 1..=4 {
        let path = format!("/iam/v1alpha1/applications?page={page}&page_size=7&order_by=name_asc");
        let Answer { body, .. } = fixture.get(&path).await;
        assert_eq!(body["total_count"], 23);
        names.extend(
            body["applications"].as_array().unwrap().iter().map(|app| app["name"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(names, (0..23).map(|number| format!("app-{number:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_product_made_up_in_a_test_behaves_like_any_other() {
    let mut products = services::products();
    products.push(made_up::product());
    let fixture = Fixture::with(products, Profile::Instant);
    let kettle = fixture.make(made_up::KETTLES, json!({"name": "office", "litres": 2})).await;
    let path = format!("{}/{kettle}", made_up::KETTLES);
    assert_eq!(fixture.get(&path).await.body["status"], "cold");
    assert_eq!(fixture.post(&format!("{path}/boil"), json!({})).await.body["status"], "boiling");
    assert_eq!(fixture.get(&path).await.body["status"], "cold");
    assert_eq!(fixture.post(&format!("{path}/cups"), json!({"name": "blue"})).await.status, 200);
    assert_eq!(fixture.post(made_up::KETTLES, json!({"name": "x", "litres": 99})).await.status, 400);
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(fixture.get(&format!("{path}/cups")).await.status, 404);
    assert!(include_str!("made_up/mod.rs").lines().count() < 80);
}

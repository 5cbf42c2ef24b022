//! Managed databases beyond their generic lives: backups, snapshots, replicas, settings, endpoints.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};
use support::{Fixture, faulty};

const RDB: &str = "/rdb/v1/regions/fr-par";
const NETWORKS: &str = "/vpc/v2/regions/fr-par/private-networks";
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn body(name: &str) -> Value {
    json!({
        "name": name, "engine": "PostgreSQL-15", "node_type": "db-dev-s", "user_name": "app",
        "password": "Str0ng-enough!", "tags": ["t"], "volume_type": "sbs_5k", "volume_size": 10_000_000_000_u64,
        "disable_backup": true,
    })
}

async fn instance(fixture: &Fixture) -> String {
    fixture.make(&format!("{RDB}/instances"), body("main")).await
}

async fn network(fixture: &Fixture) -> String {
    fixture.make(NETWORKS, json!({"subnets": ["10.1.0.0/24"]})).await
}

fn pass(fixture: &Fixture, seconds: u64) {
    fixture.cloud.store().clock().advance(Duration::from_secs(seconds));
    fixture.cloud.settle().unwrap();
}

async fn backups(fixture: &Fixture, instance: &str) -> Vec<Value> {
    let list =
        fixture.get(&format!("{RDB}/backups?instance_id={instance}&order_by=created_at_asc&page_size=100")).await;
    list.body["database_backups"].as_array().unwrap().clone()
}

#[tokio::test]
async fn backups_are_made_every_day_and_gone_when_their_time_is_over() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let mut body = body("main");
    body["disable_backup"] = json!(false);
    let made = fixture.post(&format!("{RDB}/instances"), body).await.body;
    let id = made["id"].as_str().unwrap();
    let first = made["backup_schedule"]["next_run_at"].as_str().unwrap().to_owned();
    pass(&fixture, HOUR);
    assert_eq!(backups(&fixture, id).await.len(), 0);
    pass(&fixture, 23 * HOUR);
    let after_a_day = backups(&fixture, id).await;
    assert_eq!(after_a_day.len(), 1, "one database, one backup");
    assert_eq!((&after_a_day[0]["database_name"], &after_a_day[0]["created_at"]), (&json!("rdb"), &json!(first)));
    assert_eq!(after_a_day[0]["status"], "creating");
    pass(&fixture, 60);
    assert_eq!(backups(&fixture, id).await[0]["status"], "ready");
    assert_eq!(backups(&fixture, id).await[0]["size"], 1255);
    pass(&fixture, 20 * DAY);
    // Seven days of retention: those of the last seven days are there, and no older ones.
    assert_eq!(backups(&fixture, id).await.len(), 7);
    let path = format!("{RDB}/instances/{id}");
    let off = fixture.send("PATCH", &path, json!({"is_backup_schedule_disabled": true})).await.body;
    assert_eq!((&off["status"], &off["backup_schedule"]["next_run_at"]), (&json!("ready"), &Value::Null));
    pass(&fixture, 30 * DAY);
    assert_eq!(backups(&fixture, id).await.len(), 0);
}

#[tokio::test]
async fn the_schedule_follows_its_settings() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let id = instance(&fixture).await;
    pass(&fixture, HOUR);
    let path = format!("{RDB}/instances/{id}");
    let change = json!({
        "is_backup_schedule_disabled": false, "backup_schedule_frequency": 12, "backup_schedule_retention": 1,
    });
    let schedule = fixture.send("PATCH", &path, change).await.body["backup_schedule"].clone();
    assert_eq!((&schedule["frequency"], &schedule["retention"]), (&json!(12), &json!(1)));
    fixture.post(&format!("{path}/databases"), json!({"name": "orders"})).await;
    pass(&fixture, 10 * DAY);
    // Two databases, every twelve hours, kept for a day.
    assert_eq!(backups(&fixture, &id).await.len(), 4);
    // An update that says nothing of the schedule leaves the next run where it was.
    let before = fixture.get(&path).await.body["backup_schedule"]["next_run_at"].clone();
    fixture.send("PATCH", &path, json!({"tags": ["other"]})).await;
    assert_eq!(fixture.get(&path).await.body["backup_schedule"]["next_run_at"], before);
    let hour =
        fixture.send("PATCH", &path, json!({"backup_schedule_frequency": 24, "backup_schedule_start_hour": 3})).await;
    assert!(hour.body["backup_schedule"]["next_run_at"].as_str().unwrap().contains("T03:00:00"));
}

#[tokio::test]
async fn a_run_that_comes_while_the_instance_is_busy_is_made_up_for() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let mut body = body("main");
    body["disable_backup"] = json!(false);
    let id = fixture.make(&format!("{RDB}/instances"), body).await;
    pass(&fixture, DAY - 10);
    let upgraded = fixture.post(&format!("{RDB}/instances/{id}/upgrade"), json!({"enable_ha": true})).await;
    assert_eq!((upgraded.status, &upgraded.body["status"]), (200, &json!("initializing")));
    pass(&fixture, 20);
    assert_eq!(backups(&fixture, &id).await.len(), 0);
    pass(&fixture, HOUR);
    assert_eq!(backups(&fixture, &id).await.len(), 1);
}

#[tokio::test]
async fn a_backup_on_demand_passes_through_its_states_and_expires() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let id = instance(&fixture).await;
    pass(&fixture, HOUR);
    let made =
        fixture.post(&format!("{RDB}/backups"), json!({"instance_id": id, "database_name": "rdb", "name": "b"})).await;
    assert_eq!((made.status, &made.body["status"], &made.body["size"]), (200, &json!("creating"), &Value::Null));
    assert_eq!((&made.body["instance_name"], &made.body["same_region"]), (&json!("main"), &json!(false)));
    let path = format!("{RDB}/backups/{}", made.body["id"].as_str().unwrap());
    pass(&fixture, 40);
    let in_an_hour = fixture.cloud.store().clock().now() + time_hour();
    let expires = stackproof_cloud::kernel::rfc3339(in_an_hour);
    let changed = fixture.send("PATCH", &path, json!({"name": "kept", "expires_at": expires})).await;
    assert_eq!((changed.status, &changed.body["name"]), (200, &json!("kept")));
    for verb in ["export", "restore"] {
        assert_eq!(fixture.post(&format!("{path}/{verb}"), json!({"instance_id": id})).await.status, 501);
    }
    pass(&fixture, 30 * 60);
    assert_eq!(fixture.get(&path).await.status, 200);
    pass(&fixture, 31 * 60);
    let gone = fixture.get(&path).await;
    assert_eq!((gone.status, &gone.body["resource"]), (404, &json!("database_backup")));
    let unknown =
        fixture.post(&format!("{RDB}/backups"), json!({"instance_id": id, "database_name": "x", "name": "b"})).await;
    assert_eq!((unknown.status, &unknown.body["resource"]), (404, &json!("database")));
}

fn time_hour() -> Duration {
    Duration::from_secs(HOUR)
}

#[tokio::test]
async fn an_instance_made_of_a_snapshot_has_what_was_in_it() {
    let fixture = Fixture::new();
    let id = instance(&fixture).await;
    let path = format!("{RDB}/instances/{id}");
    fixture.post(&format!("{path}/databases"), json!({"name": "orders"})).await;
    let snapshot = fixture.post(&format!("{path}/snapshots"), json!({"name": "s"})).await.body;
    assert_eq!((&snapshot["status"], &snapshot["size"]), (&json!("creating"), &Value::Null));
    fixture.post(&format!("{path}/databases"), json!({"name": "later"})).await;
    let snapshots = format!("{RDB}/snapshots/{}", snapshot["id"].as_str().unwrap());
    let ready = fixture.get(&snapshots).await.body;
    assert_eq!((&ready["status"], &ready["size"]), (&json!("ready"), &json!(10_000_000_000_u64)));
    assert_eq!(ready["volume_type"], json!({"class": "sbs", "type": "sbs_5k"}));
    assert!(ready["expires_at"].is_string() && ready["created_at"].is_string());
    let wanted = json!({"instance_name": "copy", "is_ha_cluster": true, "node_type": "db-dev-m"});
    let copy = fixture.post(&format!("{snapshots}/create-instance"), wanted).await.body;
    assert_eq!((&copy["status"], &copy["endpoints"]), (&json!("provisioning"), &json!([])));
    let copy = fixture.get(&format!("{RDB}/instances/{}", copy["id"].as_str().unwrap())).await.body;
    assert_eq!((&copy["name"], &copy["node_type"], &copy["tags"]), (&json!("copy"), &json!("db-dev-m"), &json!(["t"])));
    assert_eq!((&copy["is_ha_cluster"], &copy["volume"]["type"]), (&json!(true), &json!("sbs_5k")));
    assert!(copy["endpoint"]["load_balancer"].is_object());
    let databases = fixture.get(&format!("{RDB}/instances/{}/databases", copy["id"].as_str().unwrap())).await.body;
    let names: Vec<&str> =
        databases["databases"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["orders", "rdb"]);
}

#[tokio::test]
async fn a_major_upgrade_makes_another_instance_that_takes_over_the_endpoints() {
    let fixture = Fixture::new();
    let network = network(&fixture).await;
    let mut body = body("main");
    body["is_ha_cluster"] = json!(true);
    body["init_endpoints"] =
        json!([{"private_network": {"private_network_id": network, "ipam_config": {}}}, {"load_balancer": {}}]);
    let old = fixture.post(&format!("{RDB}/instances"), body).await.body["id"].as_str().unwrap().to_owned();
    let before = fixture.get(&format!("{RDB}/instances/{old}")).await.body;
    let versions = before["upgradable_version"].as_array().unwrap();
    assert_eq!(
        versions.iter().map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["PostgreSQL-16", "PostgreSQL-17"]
    );
    let workflow = json!({"upgradable_version_id": versions[1]["id"], "with_endpoints": true});
    let upgrade = format!("{RDB}/instances/{old}/upgrade");
    let new = fixture.post(&upgrade, json!({"major_upgrade_workflow": workflow})).await.body;
    assert_eq!((&new["status"], &new["engine"]), (&json!("provisioning"), &json!("PostgreSQL-17")));
    assert_eq!((&new["name"], &new["is_ha_cluster"]), (&json!("main"), &json!(false)));
    let id = new["id"].as_str().unwrap();
    assert_ne!(id, old);
    let after = fixture.get(&format!("{RDB}/instances/{id}")).await.body;
    assert_eq!(after["endpoints"], before["endpoints"]);
    assert_eq!((&after["endpoint"], &after["upgradable_version"]), (&before["endpoint"], &json!([])));
    assert_eq!(fixture.get(&format!("{RDB}/instances/{old}")).await.body["endpoints"], json!([]));
    let ips =
        fixture.get(&format!("/ipam/v1/regions/fr-par/ips?resource_id={id}&resource_type=rdb_instance")).await.body;
    assert_eq!((&ips["total_count"], &ips["ips"][0]["resource"]["id"]), (&json!(1), &json!(id)));
    let wrong = json!({"upgradable_version_id": old, "with_endpoints": true});
    let refused = fixture.post(&upgrade, json!({"major_upgrade_workflow": wrong})).await;
    assert_eq!((refused.status, faulty(&refused).len()), (400, 1));
    // The old one goes without taking the addresses along.
    fixture.send("DELETE", &format!("{RDB}/instances/{old}"), Value::Null).await;
    let ips = fixture.get(&format!("/ipam/v1/regions/fr-par/ips?resource_id={id}")).await.body;
    assert_eq!(ips["total_count"], 1);
}

#[tokio::test]
async fn a_read_replica_has_endpoints_of_its_own() {
    let fixture = Fixture::new();
    let (id, network) = (instance(&fixture).await, network(&fixture).await);
    let spec = json!([{"direct_access": {}}, {"private_network": {"private_network_id": network, "service_ip": "10.1.0.9/24"}}]);
    let made = fixture.post(&format!("{RDB}/read-replicas"), json!({"instance_id": id, "endpoint_spec": spec})).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let path = format!("{RDB}/read-replicas/{}", made.body["id"].as_str().unwrap());
    let ready = fixture.get(&path).await.body;
    assert_eq!((&ready["status"], &ready["same_zone"]), (&json!("ready"), &json!(true)));
    assert_eq!((ready.get("created_at"), ready.get("project_id")), (None, None));
    assert_eq!(ready["endpoints"][0]["private_network"]["provisioning_mode"], "static");
    assert!(ready["endpoints"][1]["direct_access"].is_object());
    let shown = fixture.get(&format!("{RDB}/instances/{id}")).await.body["read_replicas"].clone();
    assert_eq!(shown[0]["endpoints"], ready["endpoints"]);
    let endpoint = ready["endpoints"][0]["id"].as_str().unwrap();
    assert_eq!(fixture.get(&format!("{RDB}/endpoints/{endpoint}")).await.body, ready["endpoints"][0]);
    assert_eq!(fixture.send("DELETE", &format!("{RDB}/endpoints/{endpoint}"), Value::Null).await.status, 204);
    let more = json!({"endpoint_spec": [{"private_network": {"private_network_id": network, "ipam_config": {}}}]});
    let added = fixture.post(&format!("{path}/endpoints"), more).await.body;
    assert_eq!(added["endpoints"].as_array().unwrap().len(), 2);
    assert_eq!(fixture.post(&format!("{path}/reset"), json!({})).await.body["status"], "initializing");
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.body["status"], "deleting");
    assert_eq!(fixture.get(&path).await.status, 404);
    assert_eq!(fixture.get(&format!("{RDB}/instances/{id}")).await.body["read_replicas"], json!([]));
    assert_eq!(fixture.send("DELETE", &format!("{NETWORKS}/{network}"), Value::Null).await.status, 204);
}

#[tokio::test]
async fn a_promoted_replica_is_an_instance() {
    let fixture = Fixture::new();
    let id = instance(&fixture).await;
    let replica = fixture.make(&format!("{RDB}/read-replicas"), json!({"instance_id": id})).await;
    let promoted = fixture.post(&format!("{RDB}/read-replicas/{replica}/promote"), json!({})).await;
    assert_eq!((promoted.status, &promoted.body["name"]), (200, &json!("promoted - main")));
    assert_eq!(fixture.get(&format!("{RDB}/read-replicas/{replica}")).await.status, 404);
    assert_eq!(fixture.get(&format!("{RDB}/instances")).await.body["total_count"], 2);
}

#[tokio::test]
async fn what_belongs_to_an_instance_goes_with_it() {
    let fixture = Fixture::new();
    let (id, network) = (instance(&fixture).await, network(&fixture).await);
    let backup =
        fixture.make(&format!("{RDB}/backups"), json!({"instance_id": id, "database_name": "rdb", "name": "b"})).await;
    let snapshot = fixture.make(&format!("{RDB}/instances/{id}/snapshots"), json!({})).await;
    let spec = json!([{"private_network": {"private_network_id": network, "ipam_config": {}}}]);
    let replica =
        fixture.make(&format!("{RDB}/read-replicas"), json!({"instance_id": id, "endpoint_spec": spec})).await;
    fixture.post(&format!("{RDB}/instances/{id}/prepare-logs"), json!({})).await;
    fixture.send("DELETE", &format!("{RDB}/instances/{id}"), Value::Null).await;
    for path in [format!("backups/{backup}"), format!("snapshots/{snapshot}"), format!("read-replicas/{replica}")] {
        assert_eq!(fixture.get(&format!("{RDB}/{path}")).await.status, 404, "{path}");
    }
    assert_eq!(fixture.send("DELETE", &format!("{NETWORKS}/{network}"), Value::Null).await.status, 204);
}

#[tokio::test]
async fn an_endpoint_moves_to_another_instance() {
    let fixture = Fixture::new();
    let (from, to) = (instance(&fixture).await, fixture.make(&format!("{RDB}/instances"), body("other")).await);
    let endpoint = fixture.get(&format!("{RDB}/instances/{from}")).await.body["endpoint"].clone();
    let path = format!("{RDB}/endpoints/{}/migrate", endpoint["id"].as_str().unwrap());
    let moved = fixture.post(&path, json!({"instance_id": to})).await;
    assert_eq!((moved.status, &moved.body), (200, &endpoint));
    assert_eq!(fixture.get(&format!("{RDB}/instances/{from}")).await.body["endpoint"], Value::Null);
    assert_eq!(fixture.get(&format!("{RDB}/instances/{to}")).await.body["endpoint"], endpoint);
    assert_eq!(fixture.post(&path, json!({"instance_id": to})).await.status, 400);
}

#[rstest]
#[case::unknown("colour", "red", false)]
#[case::too_large("max_connections", "1000000", false)]
#[case::no_number("work_mem", "much", false)]
#[case::no_switch("rdb.enable_pgaudit", "maybe", false)]
#[case::of_a_later_version("sync_replication_slots", "on", false)]
#[case::whole("max_connections", "200", true)]
#[case::fraction("random_page_cost", "1.5", true)]
#[case::switch("rdb.enable_pgaudit", "on", true)]
#[tokio::test]
async fn an_engine_takes_the_settings_it_has(#[case] name: &str, #[case] value: &str, #[case] taken: bool) {
    let fixture = Fixture::new();
    let path = format!("{RDB}/instances/{}/settings", instance(&fixture).await);
    let answer = fixture.send("PUT", &path, json!({"settings": [{"name": name, "value": value}]})).await;
    if taken {
        assert_eq!(answer.status, 200, "{}", answer.body);
    } else {
        assert_eq!((answer.status, faulty(&answer)), (400, vec!["settings".to_owned()]));
    }
}

#[rstest]
#[case::as_small_as_can_be("sbs_5k", 5_000_000_000, true)]
#[case::between_two("sbs_5k", 12_000_000_000, false)]
#[case::too_large("sbs_15k", 10_005_000_000_000, false)]
#[case::of_the_node("lssd", 1, true)]
#[tokio::test]
async fn a_block_volume_has_a_size_that_can_be_had(#[case] kind: &str, #[case] size: u64, #[case] taken: bool) {
    let fixture = Fixture::new();
    let mut asked = body("main");
    (asked["volume_type"], asked["volume_size"]) = (json!(kind), json!(size));
    let made = fixture.post(&format!("{RDB}/instances"), asked).await;
    if taken {
        assert_eq!(made.status, 200, "{}", made.body);
        return;
    }
    assert_eq!((made.status, faulty(&made)), (400, vec!["volume_size".to_owned()]));
    let path = format!("{RDB}/instances/{}", instance(&fixture).await);
    let larger = fixture.post(&format!("{path}/upgrade"), json!({"volume_size": size})).await;
    assert_eq!((larger.status, faulty(&larger)), (400, vec!["volume_size".to_owned()]));
}

#[tokio::test]
async fn metrics_are_of_a_server_that_runs() {
    let fixture = Fixture::new();
    let path = format!("{RDB}/instances/{}/metrics", instance(&fixture).await);
    assert_eq!(fixture.get(&path).await.status, 501, "none runs here");
    assert_eq!(fixture.get(&path.replace("instances/", "instances/0")).await.status, 404);
}

#[tokio::test]
async fn settings_are_set_added_and_taken_back() {
    let fixture = Fixture::new();
    let id = instance(&fixture).await;
    let path = format!("{RDB}/instances/{id}/settings");
    let value = async |name: &str| {
        let settings = fixture.get(&format!("{RDB}/instances/{id}")).await.body["settings"].clone();
        settings.as_array().unwrap().iter().find(|one| one["name"] == name).map(|one| one["value"].clone())
    };
    fixture.send("PUT", &path, json!({"settings": [{"name": "work_mem", "value": "16"}]})).await;
    fixture.post(&path, json!({"settings": [{"name": "lock_timeout", "value": "5"}]})).await;
    assert_eq!((value("work_mem").await, value("lock_timeout").await), (Some(json!("16")), Some(json!("5"))));
    fixture.send("DELETE", &path, json!({"setting_names": ["work_mem", "lock_timeout"]})).await;
    assert_eq!((value("work_mem").await, value("lock_timeout").await), (Some(json!("4")), None));
}

#[tokio::test]
async fn acl_rules_are_added_and_removed() {
    let fixture = Fixture::new();
    let path = format!("{RDB}/instances/{}/acls", instance(&fixture).await);
    fixture.send("PUT", &path, json!({"rules": [{"ip": "192.0.2.1/32", "description": "a"}]})).await;
    let added = fixture
        .post(&path, json!({"rules": [{"ip": "192.0.2.2/32"}, {"ip": "192.0.2.1/32", "description": "b"}]}))
        .await;
    assert_eq!((added.status, &added.body["rules"][0]["description"]), (200, &json!("IP allowed")));
    let listed = fixture.get(&path).await.body;
    assert_eq!((&listed["total_count"], &listed["rules"][1]["description"]), (&json!(2), &json!("b")));
    let wrong = fixture.post(&path, json!({"rules": [{"ip": "office"}]})).await;
    assert_eq!((wrong.status, faulty(&wrong)), (400, vec!["rules.0.ip".to_owned()]));
    let removed = fixture.send("DELETE", &path, json!({"acl_rule_ips": ["192.0.2.2/32"]})).await.body;
    assert_eq!(removed["rules"].as_array().unwrap().len(), 1);
    assert_eq!(fixture.get(&path).await.body["total_count"], 1);
}

#[tokio::test]
async fn an_instance_restarts_and_its_certificate_is_renewed() {
    let fixture = Fixture::new();
    let path = format!("{RDB}/instances/{}", instance(&fixture).await);
    let certificate = async || fixture.get(&format!("{path}/certificate")).await.body["content"].clone();
    let before = certificate().await;
    assert_eq!(certificate().await, before, "a certificate stays what it is between reads");
    assert_eq!(fixture.post(&format!("{path}/restart"), json!({})).await.body["status"], "restarting");
    assert_eq!(fixture.get(&path).await.body["status"], "ready");
    assert_eq!(certificate().await, before);
    assert_eq!(fixture.post(&format!("{path}/renew-certificate"), json!({})).await.status, 204);
    assert_ne!(certificate().await, before);
}

#[tokio::test]
async fn logs_are_prepared_listed_and_purged() {
    let fixture = Fixture::new();
    let path = format!("{RDB}/instances/{}", instance(&fixture).await);
    let prepared = fixture.post(&format!("{path}/prepare-logs"), json!({})).await.body;
    assert_eq!(prepared["instance_logs"][0]["status"], "creating");
    let log = fixture.get(&format!("{RDB}/logs/{}", prepared["instance_logs"][0]["id"].as_str().unwrap())).await.body;
    assert_eq!((&log["status"], &log["download_url"]), (&json!("ready"), &Value::Null));
    assert_eq!(fixture.get(&format!("{path}/logs?order_by=created_at_desc")).await.body["instance_logs"][0], log);
    assert_eq!(fixture.get(&format!("{path}/logs-details")).await.body["details"], json!([]));
    assert_eq!(fixture.post(&format!("{path}/purge-logs"), json!({})).await.status, 204);
    assert_eq!(fixture.get(&format!("{path}/logs")).await.body["instance_logs"], json!([]));
}

#[tokio::test]
async fn engines_are_listed_newest_first_with_their_settings() {
    let fixture = Fixture::new();
    let engines = fixture.get(&format!("{RDB}/database-engines")).await.body["engines"].clone();
    let postgres = engines.as_array().unwrap().iter().find(|engine| engine["name"] == "PostgreSQL").unwrap();
    let names: Vec<&str> =
        postgres["versions"].as_array().unwrap().iter().map(|version| version["name"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["PostgreSQL-17", "PostgreSQL-16"]);
    let count = |version: usize| postgres["versions"][version]["available_settings"].as_array().unwrap().len();
    assert_eq!((count(0), count(1), count(2)), (57, 55, 42), "as recorded");
    let one = fixture.get(&format!("{RDB}/database-engines?name=MySQL")).await.body;
    assert_eq!((&one["total_count"], &one["engines"][0]["versions"][0]["name"]), (&json!(1), &json!("MySQL-8")));
    let nodes = fixture.get(&format!("{RDB}/node-types")).await.body;
    assert_eq!(nodes["node_types"][0]["memory"], 2_000_000_000_u64);
}

#[tokio::test]
async fn an_application_with_rights_in_the_project_may_make_backups() {
    let fixture = Fixture::new();
    let id = instance(&fixture).await;
    let application = fixture.make("/iam/v1alpha1/applications", json!({"name": "app"})).await;
    let rule =
        json!({"permission_set_names": ["RelationalDatabasesFullAccess"], "project_ids": [fixture.organization.id]});
    fixture.make("/iam/v1alpha1/policies", json!({"name": "p", "application_id": application, "rules": [rule]})).await;
    let key = fixture.post("/iam/v1alpha1/api-keys", json!({"application_id": application})).await.body;
    let body = json!({"instance_id": id, "database_name": "rdb", "name": "b"}).to_string().into_bytes();
    let made = fixture.send_raw("POST", &format!("{RDB}/backups"), key["secret_key"].as_str().unwrap(), body).await;
    assert_eq!(made.status, 200, "{}", made.body);
}

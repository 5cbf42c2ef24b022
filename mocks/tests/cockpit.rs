//! Cockpit beyond its generic lives: Scaleway's own data sources, secrets told once, the alert manager with its
//! contact points, prepared alerts, exporters, Grafana, the deprecated plans.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};
use support::{Answer, Fixture, faulty};

const COCKPIT: &str = "/cockpit/v1";
const REGION: &str = "/cockpit/v1/regions/fr-par";
const SOURCES: &str = "/cockpit/v1/regions/fr-par/data-sources";
const TOKENS: &str = "/cockpit/v1/regions/fr-par/tokens";
const EXPORTERS: &str = "/cockpit/v1/regions/fr-par/exporters";
const MANAGER: &str = "/cockpit/v1/regions/fr-par/alert-manager";
const CONTACTS: &str = "/cockpit/v1/regions/fr-par/alert-manager/contact-points";

/// The two rules that the provider's acceptance tests name.
const NAMED_RULES: [&str; 2] = ["6c6843af-1815-46df-9e52-6feafcf31fd7", "eb8a941e-698d-47d6-b62d-4b6c13f7b4b7"];

async fn manager(fixture: &Fixture) -> Value {
    let enabled = fixture.post(&format!("{MANAGER}/enable"), json!({})).await;
    assert_eq!(enabled.status, 200, "{}", enabled.body);
    enabled.body
}

async fn contact(fixture: &Fixture, to: &str) -> Answer {
    fixture.post(CONTACTS, json!({"email": {"to": to}})).await
}

async fn addresses(fixture: &Fixture) -> Vec<String> {
    let list = fixture.get(CONTACTS).await.body;
    let contacts = list["contact_points"].as_array().unwrap();
    assert_eq!(list["total_count"], contacts.len());
    contacts.iter().map(|contact| contact["email"]["to"].as_str().unwrap().to_owned()).collect()
}

/// The prepared alerts in a state, by identifier.
async fn alerts(fixture: &Fixture, status: &str) -> Vec<String> {
    let path = format!("{REGION}/alerts?is_preconfigured=true&rule_status={status}&page_size=100");
    let list = fixture.get(&path).await.body;
    let alerts = list["alerts"].as_array().unwrap();
    alerts.iter().map(|alert| alert["preconfigured_data"]["preconfigured_rule_id"].as_str().unwrap().into()).collect()
}

async fn switch(fixture: &Fixture, how: &str, ids: &[&str]) -> Answer {
    fixture.post(&format!("{MANAGER}/{how}-alert-rules"), json!({"rule_ids": ids})).await
}

async fn source(fixture: &Fixture, kind: &str) -> String {
    fixture.make(SOURCES, json!({"name": kind, "type": kind})).await
}

#[rstest]
#[case::paris("fr-par")]
#[case::amsterdam("nl-ams")]
#[case::warsaw("pl-waw")]
#[tokio::test]
async fn every_project_has_the_data_sources_of_scaleways_products(#[case] region: &str) {
    let fixture = Fixture::new();
    let project = fixture.make("/account/v3/projects", json!({"name": "staging"})).await;
    for project in [&fixture.organization.id, &project] {
        let path =
            format!("{COCKPIT}/regions/{region}/data-sources?project_id={project}&origin=scaleway&order_by=name_asc");
        let list = fixture.get(&path).await.body;
        let told = |field: &str| -> Vec<String> {
            let sources = list["data_sources"].as_array().unwrap();
            sources.iter().map(|source| source[field].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(told("name"), ["Scaleway Logs", "Scaleway Metrics"]);
        assert_eq!(told("type"), ["logs", "metrics"]);
        assert!(told("project_id").iter().all(|owner| owner == project));
        for (url, kind) in told("url").iter().zip(told("type")) {
            assert!(url.ends_with(&format!(".{kind}.cockpit.{region}.scw.cloud")), "{url}");
        }
    }
}

/// Scaleway's own are shown to those who ask for them, as is recorded.
#[rstest]
#[case::any("", &["l", "m"])]
#[case::unnamed("&origin=unknown_origin", &["l", "m"])]
#[case::unnamed_of_a_type("&origin=unknown_origin&types=metrics", &["m"])]
#[case::custom("&origin=custom", &["l", "m"])]
#[case::two_types("&types=metrics&types=traces", &["m"])]
#[case::scaleways_of_a_type("&origin=scaleway&types=logs", &["Scaleway Logs"])]
#[tokio::test]
async fn data_sources_are_filtered(#[case] query: &str, #[case] names: &[&str]) {
    let fixture = Fixture::new();
    for (name, kind) in [("l", "logs"), ("m", "metrics")] {
        fixture.make(SOURCES, json!({"name": name, "type": kind})).await;
    }
    let list = fixture.get(&format!("{SOURCES}?order_by=name_asc{query}")).await.body;
    let told: Vec<&str> =
        list["data_sources"].as_array().unwrap().iter().map(|source| source["name"].as_str().unwrap()).collect();
    assert_eq!(told, names);
}

/// Whose organisation it is is not told, and is known all the same.
#[tokio::test]
async fn anothers_data_sources_and_tokens_are_not_seen() {
    let fixture = Fixture::new();
    source(&fixture, "logs").await;
    let token = fixture.post(TOKENS, json!({"name": "t", "token_scopes": ["read_only_logs"]})).await.body;
    assert_eq!(token.get("organization_id"), None);
    let stranger = services::Organization::from_seed(77);
    services::seed(fixture.cloud.store(), &stranger).unwrap();
    for path in [format!("{SOURCES}?origin=custom"), TOKENS.to_owned()] {
        let theirs = fixture.send_raw("GET", &path, &stranger.secret_key, vec![]).await;
        assert_eq!((theirs.status, &theirs.body["total_count"]), (200, &json!(0)), "{path}");
        assert_eq!(fixture.get(&path).await.body["total_count"], 1, "{path}");
    }
}

#[tokio::test]
async fn a_data_source_of_scaleways_own_stays() {
    let fixture = Fixture::new();
    let list = fixture.get(&format!("{SOURCES}?origin=scaleway&types=metrics")).await.body;
    assert_eq!(list["total_count"], 1);
    let path = format!("{SOURCES}/{}", list["data_sources"][0]["id"].as_str().unwrap());
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 412);
    assert_eq!(fixture.get(&path).await.status, 200);
}

#[rstest]
#[case::metrics("metrics", 31)]
#[case::logs("logs", 7)]
#[case::traces("traces", 7)]
#[tokio::test]
async fn a_data_source_keeps_for_as_long_as_its_type_does(#[case] kind: &str, #[case] days: u64) {
    let fixture = Fixture::new();
    let made = fixture.post(SOURCES, json!({"name": "n", "type": kind})).await.body;
    let id = made["id"].as_str().unwrap();
    assert_eq!((&made["retention_days"], &made["origin"]), (&json!(days), &json!("custom")));
    assert_eq!(made["url"], format!("https://{id}.{kind}.cockpit.fr-par.scw.cloud"));
    let path = format!("{SOURCES}/{id}");
    let longer = fixture.send("PATCH", &path, json!({"retention_days": 90, "name": "m"})).await.body;
    assert_eq!((&longer["retention_days"], &longer["name"], &longer["url"]), (&json!(90), &json!("m"), &made["url"]));
    let renamed = fixture.send("PATCH", &path, json!({"name": "o"})).await.body;
    assert_eq!(renamed["retention_days"], 90, "what is not named stays");
}

#[rstest]
#[case::too_short(json!({"name": "n", "retention_days": 0}), "retention_days")]
#[case::too_long(json!({"name": "n", "retention_days": 1826}), "retention_days")]
#[case::another_type(json!({"name": "n", "type": "pictures"}), "type")]
#[tokio::test]
async fn a_data_source_is_refused_by_its_argument(#[case] body: Value, #[case] argument: &str) {
    let fixture = Fixture::new();
    let refused = fixture.post(SOURCES, body).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec![argument.to_owned()]));
}

#[tokio::test]
async fn trap_18_a_tokens_secret_is_told_once() {
    let fixture = Fixture::new();
    let made = fixture.post(TOKENS, json!({"name": "t", "token_scopes": ["write_only_logs"]})).await.body;
    let secret = made["secret_key"].as_str().unwrap().to_owned();
    assert!(!secret.is_empty());
    let path = format!("{TOKENS}/{}", made["id"].as_str().unwrap());
    let (one, all) = (fixture.get(&path).await.body, fixture.get(TOKENS).await.body);
    assert_eq!(one["secret_key"], Value::Null);
    assert_eq!(all["total_count"], 1);
    assert!(!one.to_string().contains(&secret) && !all.to_string().contains(&secret));
}

#[tokio::test]
async fn trap_22_a_token_is_asked_for_token_scopes_and_tells_scopes() {
    let fixture = Fixture::new();
    let scopes = json!(["read_only_traces", "full_access_alert_manager"]);
    let made = fixture.post(TOKENS, json!({"name": "t", "token_scopes": scopes})).await.body;
    assert_eq!((made.get("token_scopes"), &made["scopes"]), (None, &scopes));
    for (asked, count) in [("read_only_traces", 1), ("write_only_traces", 0)] {
        assert_eq!(fixture.get(&format!("{TOKENS}?token_scopes={asked}")).await.body["total_count"], count, "{asked}");
    }
}

#[rstest]
#[case::none(json!([]))]
#[case::unknown(json!(["read_only_pictures"]))]
#[case::one_of_them_unknown(json!(["read_only_logs", "everything"]))]
#[case::no_texts(json!([1]))]
#[case::no_list(json!("read_only_logs"))]
#[tokio::test]
async fn a_token_is_for_scopes_that_there_are(#[case] scopes: Value) {
    let fixture = Fixture::new();
    let refused = fixture.post(TOKENS, json!({"name": "t", "token_scopes": scopes})).await;
    assert_eq!(refused.status, 400);
    assert!(faulty(&refused)[0].starts_with("token_scopes"), "{}", refused.body);
    assert_eq!(fixture.get(TOKENS).await.body["total_count"], 0);
}

#[tokio::test]
async fn an_alert_manager_that_was_never_on_is_answered() {
    let fixture = Fixture::new();
    let off = json!({
        "alert_manager_enabled": false, "alert_manager_url": null, "managed_alerts_enabled": false, "region": "fr-par",
    });
    let shown = fixture.get(MANAGER).await;
    assert_eq!((shown.status, &shown.body), (200, &off));
    // The provider switches off what is off already when it deletes one.
    for _ in 0..2 {
        let disabled = fixture.post(&format!("{MANAGER}/disable"), json!({})).await;
        assert_eq!((disabled.status, &disabled.body), (200, &off));
    }
}

#[tokio::test]
async fn an_alert_manager_has_the_same_address_when_it_is_switched_on_again() {
    let fixture = Fixture::new();
    let on = manager(&fixture).await;
    let url = on["alert_manager_url"].as_str().unwrap();
    assert!(url.starts_with("https://") && url.ends_with(".alertmanager.cockpit.fr-par.scw.cloud"), "{url}");
    assert_eq!(fixture.get(MANAGER).await.body, on);
    let off = fixture.post(&format!("{MANAGER}/disable"), json!({})).await.body;
    assert_eq!((&off["alert_manager_enabled"], &off["alert_manager_url"]), (&json!(false), &Value::Null));
    assert_eq!(manager(&fixture).await["alert_manager_url"], url);
}

#[tokio::test]
async fn managed_alerts_are_switched_on_their_own() {
    let fixture = Fixture::new();
    manager(&fixture).await;
    for (how, wanted) in [("enable", true), ("disable", false)] {
        let path = format!("{MANAGER}/managed-alerts/{how}");
        assert_eq!(fixture.post(&path, json!({})).await.body["managed_alerts_enabled"], wanted);
        let shown = fixture.get(MANAGER).await.body;
        assert_eq!((&shown["managed_alerts_enabled"], &shown["alert_manager_enabled"]), (&json!(wanted), &json!(true)));
    }
}

#[rstest]
#[case::managed_alerts("managed-alerts/enable", json!({}))]
#[case::test_alert("trigger-test-alert", json!({}))]
#[case::rules("enable-alert-rules", json!({"rule_ids": NAMED_RULES}))]
#[case::contact("contact-points", json!({"email": {"to": "ops@example.com"}}))]
#[tokio::test]
async fn nothing_is_done_by_an_alert_manager_that_is_off(#[case] what: &str, #[case] body: Value) {
    let fixture = Fixture::new();
    let path = format!("{MANAGER}/{what}");
    let refused = fixture.post(&path, body.clone()).await;
    assert_eq!((refused.status, &refused.body["type"]), (412, &json!("precondition_failed")));
    manager(&fixture).await;
    let done = fixture.post(&path, body).await;
    assert!(matches!(done.status, 200 | 204), "{} {}", done.status, done.body);
}

#[tokio::test]
async fn a_test_alert_has_no_answer() {
    let fixture = Fixture::new();
    manager(&fixture).await;
    let answer = fixture.post(&format!("{MANAGER}/trigger-test-alert"), json!({})).await;
    assert_eq!(answer, Answer { status: 204, body: Value::Null });
}

/// The provider keeps them as an ordered list: another order would be drift.
#[tokio::test]
async fn contact_points_keep_the_order_they_were_named_in() {
    let fixture = Fixture::new();
    manager(&fixture).await;
    for to in ["zoe@example.com", "adam@example.com", "mia@example.com"] {
        let made = contact(&fixture, to).await;
        let wanted = json!({"email": {"to": to}, "region": "fr-par", "send_resolved_notifications": true});
        assert_eq!((made.status, &made.body), (200, &wanted));
    }
    assert_eq!(addresses(&fixture).await, ["zoe@example.com", "adam@example.com", "mia@example.com"]);
    let change = json!({"email": {"to": "zoe@example.com"}, "send_resolved_notifications": false});
    let changed = fixture.send("PATCH", CONTACTS, change).await;
    assert_eq!((changed.status, &changed.body["send_resolved_notifications"]), (200, &json!(false)));
    let path = format!("{CONTACTS}/delete");
    let gone = json!({"email": {"to": "adam@example.com"}});
    assert_eq!(fixture.post(&path, gone.clone()).await.status, 204);
    assert_eq!(addresses(&fixture).await, ["zoe@example.com", "mia@example.com"]);
    assert_eq!(fixture.post(&path, gone).await.status, 404);
    contact(&fixture, "adam@example.com").await;
    assert_eq!(addresses(&fixture).await, ["zoe@example.com", "mia@example.com", "adam@example.com"]);
}

#[rstest]
#[case::nothing(json!({}))]
#[case::no_address(json!({"email": {}}))]
#[case::no_host(json!({"email": {"to": "ops"}}))]
#[case::no_name(json!({"email": {"to": "@example.com"}}))]
#[case::two_hosts(json!({"email": {"to": "ops@a.example@b.example"}}))]
#[case::no_text(json!({"email": {"to": 1}}))]
#[case::no_object(json!({"email": "ops@example.com"}))]
#[tokio::test]
async fn a_contact_point_is_an_address(#[case] body: Value) {
    let fixture = Fixture::new();
    manager(&fixture).await;
    let refused = fixture.post(CONTACTS, body).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec!["email.to".to_owned()]));
    assert!(addresses(&fixture).await.is_empty());
}

#[tokio::test]
async fn a_contact_point_is_named_once() {
    let fixture = Fixture::new();
    manager(&fixture).await;
    assert_eq!(contact(&fixture, "ops@example.com").await.status, 200);
    assert_eq!(contact(&fixture, "ops@example.com").await.status, 400);
    assert_eq!(addresses(&fixture).await, ["ops@example.com"]);
}

/// What the deprecated resource reads has no region of its own: it is the caller's default one.
#[tokio::test]
async fn trap_21_an_alert_manager_is_a_regions_own() {
    let fixture = Fixture::new();
    manager(&fixture).await;
    contact(&fixture, "ops@example.com").await;
    let elsewhere = format!("{COCKPIT}/regions/nl-ams/alert-manager");
    let there = fixture.get(&elsewhere).await.body;
    assert_eq!((&there["alert_manager_enabled"], &there["region"]), (&json!(false), &json!("nl-ams")));
    assert_eq!(fixture.get(&format!("{elsewhere}/contact-points")).await.body["total_count"], 0);
}

/// Imported as `fr-par/<project>/1`, an alert manager is nothing but its project and region: what is read
/// with those two alone is everything that there is.
#[tokio::test]
async fn trap_19_an_alert_manager_is_found_by_region_and_project() {
    let fixture = Fixture::new();
    let project = fixture.make("/account/v3/projects", json!({"name": "staging"})).await;
    let enabled = fixture.post(&format!("{MANAGER}/enable"), json!({"project_id": project})).await.body;
    assert_eq!(fixture.get(&format!("{MANAGER}?project_id={project}")).await.body, enabled);
    assert_eq!(enabled["alert_manager_enabled"], true);
    assert_eq!(fixture.get(MANAGER).await.body["alert_manager_enabled"], false, "the default project's own");
}

#[tokio::test]
async fn twenty_two_alerts_are_prepared() {
    let fixture = Fixture::new();
    let list = fixture.get(&format!("{REGION}/alerts?is_preconfigured=true&page_size=100")).await.body;
    let alerts = list["alerts"].as_array().unwrap();
    assert_eq!((alerts.len(), &list["total_count"]), (22, &json!(22)));
    let mut ids = Vec::new();
    for alert in alerts {
        let data = &alert["preconfigured_data"];
        for field in ["preconfigured_rule_id", "display_name", "display_description", "product_name", "product_family"]
        {
            assert!(data[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {alert}");
        }
        assert_eq!((&alert["rule_status"], &alert["preconfigured"]), (&json!("disabled"), &json!(true)));
        assert_eq!((&alert["state"], &alert["data_source_id"]), (&json!("unknown_state"), &json!("")));
        ids.push(data["preconfigured_rule_id"].as_str().unwrap());
    }
    assert!(NAMED_RULES.iter().all(|id| ids.contains(id)));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 22);
}

#[rstest]
#[case::of_the_team("is_preconfigured=false", 0)]
#[case::enabled("rule_status=enabled", 0)]
#[case::disabled("rule_status=disabled", 22)]
#[case::any_status("rule_status=unknown_rule_status", 22)]
#[case::any_state("state=unknown_state", 22)]
#[case::in_no_state("state=inactive", 0)]
#[case::another_source("data_source_id=00000000-0000-4000-8000-000000000000", 0)]
#[tokio::test]
async fn alerts_are_filtered(#[case] query: &str, #[case] count: u64) {
    let fixture = Fixture::new();
    assert_eq!(fixture.get(&format!("{REGION}/alerts?{query}")).await.body["total_count"], count);
}

#[tokio::test]
async fn alerts_come_in_pages() {
    let fixture = Fixture::new();
    for (page, count) in [(1, 20), (2, 2), (3, 0)] {
        let list = fixture.get(&format!("{REGION}/alerts?page={page}&page_size=20")).await.body;
        assert_eq!((list["alerts"].as_array().unwrap().len(), &list["total_count"]), (count, &json!(22)));
    }
}

#[tokio::test]
async fn in_profile_instant_an_alert_is_on_and_off_at_once() {
    let fixture = Fixture::new();
    manager(&fixture).await;
    let [one, other] = NAMED_RULES;
    let answer = switch(&fixture, "enable", &[other, one, other]).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({"enabled_rule_ids": NAMED_RULES})));
    let mut on = alerts(&fixture, "enabled").await;
    on.sort_unstable();
    assert_eq!(on, NAMED_RULES);
    let answer = switch(&fixture, "disable", &[one]).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({"disabled_rule_ids": [one]})));
    assert_eq!(alerts(&fixture, "enabled").await, [other]);
    assert_eq!(alerts(&fixture, "disabled").await.len(), 21);
}

/// Recorded: a rule that is on looks at Scaleway's own metrics and is inactive as long as nothing is wrong.
#[tokio::test]
async fn an_alert_that_is_on_looks_at_scaleways_metrics() {
    let fixture = Fixture::new();
    manager(&fixture).await;
    switch(&fixture, "enable", &NAMED_RULES).await;
    let metrics = fixture.get(&format!("{SOURCES}?origin=scaleway&types=metrics")).await.body;
    let id = metrics["data_sources"][0]["id"].as_str().unwrap();
    let list = fixture.get(&format!("{REGION}/alerts?state=inactive&data_source_id={id}")).await.body;
    assert_eq!(list["total_count"], NAMED_RULES.len());
    assert!(list["alerts"].as_array().unwrap().iter().all(|alert| alert["rule_status"] == "enabled"));
}

#[tokio::test]
async fn an_alert_passes_through_states_that_take_time() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let pass = |seconds: u64| {
        fixture.cloud.store().clock().advance(Duration::from_secs(seconds));
        fixture.cloud.settle().unwrap();
    };
    manager(&fixture).await;
    for (how, through, to) in [("enable", "enabling", "enabled"), ("disable", "disabling", "disabled")] {
        switch(&fixture, how, &NAMED_RULES[..1]).await;
        assert_eq!(alerts(&fixture, through).await, NAMED_RULES[..1]);
        pass(5);
        assert_eq!(alerts(&fixture, through).await, NAMED_RULES[..1]);
        pass(2);
        assert!(alerts(&fixture, to).await.contains(&NAMED_RULES[0].to_owned()));
        assert!(alerts(&fixture, through).await.is_empty());
    }
}

/// A change of mind while an alert is on its way: what was asked for last is what it comes to.
#[rstest]
#[case::on_and_off("enable", "disable", "disabled")]
#[case::off_and_on("disable", "enable", "enabled")]
#[tokio::test]
async fn an_alert_comes_to_what_was_asked_for_last(#[case] first: &str, #[case] then: &str, #[case] status: &str) {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let pass = |seconds: u64| {
        fixture.cloud.store().clock().advance(Duration::from_secs(seconds));
        fixture.cloud.settle().unwrap();
    };
    manager(&fixture).await;
    let rule = &NAMED_RULES[..1];
    if first == "disable" {
        switch(&fixture, "enable", rule).await;
        pass(60);
    }
    switch(&fixture, first, rule).await;
    pass(1);
    assert_eq!(switch(&fixture, then, rule).await.status, 200);
    pass(60);
    assert!(alerts(&fixture, status).await.contains(&rule[0].to_owned()));
}

#[rstest]
#[case::none(json!([]), 400)]
#[case::no_texts(json!([1]), 400)]
#[case::no_list(json!("6c6843af-1815-46df-9e52-6feafcf31fd7"), 400)]
#[case::unknown(json!(["00000000-0000-4000-8000-000000000000"]), 404)]
#[case::one_of_them_unknown(json!([NAMED_RULES[0], "00000000-0000-4000-8000-000000000000"]), 404)]
#[tokio::test]
async fn rules_that_there_are_are_switched(#[case] ids: Value, #[case] status: u16) {
    let fixture = Fixture::new();
    manager(&fixture).await;
    let refused = fixture.post(&format!("{MANAGER}/enable-alert-rules"), json!({"rule_ids": ids})).await;
    assert_eq!(refused.status, status, "{}", refused.body);
    assert!(alerts(&fixture, "enabled").await.is_empty(), "all or none");
}

#[tokio::test]
async fn what_is_anothers_is_denied() {
    let fixture = Fixture::new();
    for path in [MANAGER.to_owned(), CONTACTS.to_owned(), format!("{REGION}/alerts"), format!("{COCKPIT}/grafana")] {
        let refused = fixture.get(&format!("{path}?project_id=00000000-0000-4000-8000-000000000000")).await;
        let wanted = json!([{"resource": "cockpit", "action": "read"}]);
        assert_eq!((refused.status, &refused.body["details"]), (403, &wanted), "{path}");
    }
}

#[tokio::test]
async fn a_project_goes_with_its_cockpit() {
    let fixture = Fixture::new();
    let project = fixture.make("/account/v3/projects", json!({"name": "staging"})).await;
    let of_project = json!({"project_id": project});
    assert_eq!(fixture.post(&format!("{MANAGER}/enable"), of_project).await.status, 200);
    let rules = json!({"project_id": project, "rule_ids": NAMED_RULES});
    assert_eq!(fixture.post(&format!("{MANAGER}/enable-alert-rules"), rules).await.status, 200);
    let user = json!({"project_id": project, "login": "ops"});
    assert_eq!(fixture.post(&format!("{COCKPIT}/grafana/users"), user).await.status, 200);
    let gone = fixture.send("DELETE", &format!("/account/v3/projects/{project}"), Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    assert_eq!(fixture.get(&format!("{MANAGER}?project_id={project}")).await.status, 403);
    let left: Vec<&str> = ["cockpit.data_source", "cockpit.alert_manager", "cockpit.alert", "cockpit.grafana_user"]
        .into_iter()
        .filter(|kind| {
            fixture.cloud.store().read(|tables| {
                tables.all(kind).any(|(_, record)| record.text_or_hidden("project_id") == project)
            })
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn an_exporter_goes_to_one_destination_and_tells_no_key() {
    let fixture = Fixture::new();
    let source = source(&fixture, "metrics").await;
    let body = json!({
        "name": "n", "datasource_id": source, "exported_products": ["lb", "rdb"],
        "datadog_destination": {"api_key": "do-not-tell", "endpoint": "https://api.datadoghq.eu"},
    });
    let made = fixture.post(EXPORTERS, body).await;
    assert_eq!((made.status, &made.body["status"]), (200, &json!("ready")));
    assert_eq!(made.body.get("otlp_destination"), None);
    let path = format!("{EXPORTERS}/{}", made.body["id"].as_str().unwrap());
    let shown = fixture.get(&path).await.body;
    assert_eq!(shown["datadog_destination"]["endpoint"], "https://api.datadoghq.eu");
    assert_eq!(shown["exported_products"], json!(["lb", "rdb"]));
    assert!(!made.body.to_string().contains("do-not-tell") && !shown.to_string().contains("do-not-tell"));
    let otlp = json!({"otlp_destination": {"endpoint": "https://example.com/otlp", "headers": {"a": "b"}}});
    let moved = fixture.send("PATCH", &path, otlp.clone()).await.body;
    assert_eq!((moved.get("datadog_destination"), &moved["otlp_destination"]), (None, &otlp["otlp_destination"]));
}

#[rstest]
#[case::nowhere("metrics", json!({"exported_products": ["all"]}), 400)]
#[case::nothing("metrics", json!({"otlp_destination": {"endpoint": "https://example.com"}}), 400)]
#[case::traces("traces", json!({"exported_products": ["all"], "otlp_destination": {"endpoint": "https://example.com"}}), 400)]
#[case::both_ways("logs", json!({
    "exported_products": ["all"], "otlp_destination": {"endpoint": "https://example.com"},
    "datadog_destination": {"endpoint": "https://example.com"},
}), 400)]
#[tokio::test]
async fn an_exporter_makes_sense(#[case] kind: &str, #[case] mut body: Value, #[case] status: u16) {
    let fixture = Fixture::new();
    body["name"] = json!("n");
    body["datasource_id"] = source(&fixture, kind).await.into();
    let refused = fixture.post(EXPORTERS, body).await;
    assert_eq!((refused.status, &refused.body["type"]), (status, &json!("invalid_arguments")));
    assert_eq!(fixture.get(EXPORTERS).await.body["total_count"], 0);
}

#[tokio::test]
async fn an_exporter_takes_a_while() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let body = json!({
        "name": "n", "datasource_id": source(&fixture, "logs").await, "exported_products": ["all"],
        "otlp_destination": {"endpoint": "https://example.com"},
    });
    let made = fixture.post(EXPORTERS, body).await.body;
    assert_eq!(made["status"], "creating");
    fixture.cloud.store().clock().advance(Duration::from_secs(16));
    fixture.cloud.settle().unwrap();
    let path = format!("{EXPORTERS}/{}", made["id"].as_str().unwrap());
    assert_eq!(fixture.get(&path).await.body["status"], "ready");
    let changed = fixture.send("PATCH", &path, json!({"description": "d"})).await.body;
    assert_eq!((&changed["status"], &changed["description"]), (&json!("creating"), &json!("d")));
    fixture.cloud.store().clock().advance(Duration::from_secs(16));
    fixture.cloud.settle().unwrap();
    assert_eq!(fixture.get(&path).await.body["status"], "ready");
}

#[tokio::test]
async fn grafana_is_the_projects_and_its_users_have_numbers() {
    let fixture = Fixture::new();
    let project = &fixture.organization.id;
    let told = fixture.get(&format!("{COCKPIT}/grafana?project_id={project}")).await.body;
    assert_eq!(told["grafana_url"], format!("https://{project}.dashboard.cockpit.scaleway.com"));
    let users = format!("{COCKPIT}/grafana/users");
    let made = fixture.post(&users, json!({"login": "ops", "role": "editor"})).await.body;
    let password = made["password"].as_str().unwrap();
    assert!(made["id"].is_u64() && !password.is_empty());
    let list = fixture.get(&users).await.body;
    assert_eq!((&list["total_count"], &list["grafana_users"][0]["role"]), (&json!(1), &json!("editor")));
    assert!(!list.to_string().contains(password), "a password is told once");
    let path = format!("{users}/{}", made["id"]);
    let again = fixture.post(&format!("{path}/reset-password"), json!({})).await.body;
    assert_eq!(again["id"], made["id"]);
    assert_ne!(again["password"], made["password"]);
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 404);
    assert_eq!(fixture.get(&users).await.body["total_count"], 0);
}

#[rstest]
#[case::nobody(json!({"role": "viewer"}), "login")]
#[case::too_short(json!({"login": "o"}), "login")]
#[case::too_long(json!({"login": "abcdefghijklmnopqrstuvwxy"}), "login")]
#[case::admin(json!({"login": "admin"}), "login")]
#[case::taken(json!({"login": "taken"}), "login")]
#[case::owner(json!({"login": "ops", "role": "owner"}), "role")]
#[tokio::test]
async fn a_grafana_user_is_refused_by_its_argument(#[case] body: Value, #[case] argument: &str) {
    let fixture = Fixture::new();
    let users = format!("{COCKPIT}/grafana/users");
    fixture.post(&users, json!({"login": "taken"})).await;
    let refused = fixture.post(&users, body).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec![argument.to_owned()]));
}

#[tokio::test]
async fn plans_are_deprecated_and_still_answered() {
    let fixture = Fixture::new();
    let plans = fixture.get(&format!("{COCKPIT}/plans")).await.body;
    assert_eq!(plans["total_count"], 3);
    let current = format!("{COCKPIT}/current-plan");
    assert_eq!(fixture.get(&current).await.body["name"], "free");
    let chosen = fixture.send("PATCH", &format!("{COCKPIT}/plans"), json!({"plan_name": "premium"})).await;
    assert_eq!((chosen.status, &chosen.body["monthly_price"]), (200, &json!(29)));
    assert_eq!(fixture.get(&current).await.body, chosen.body);
    let refused = fixture.send("PATCH", &format!("{COCKPIT}/plans"), json!({"plan_name": "gold"})).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec!["plan_name".to_owned()]));
}

#[tokio::test]
async fn what_is_offered_is_told() {
    let fixture = Fixture::new();
    let config = fixture.get(&format!("{REGION}/config")).await.body;
    assert_eq!(config["custom_metrics_retention"], json!({"min_days": 1, "max_days": 1825, "default_days": 31}));
    assert_eq!(config["custom_logs_retention"]["default_days"], 7);
    let products = fixture.get(&format!("{REGION}/products")).await.body;
    let listed = products["products_list"].as_array().unwrap();
    assert_eq!(products["total_count"], listed.len());
    assert!(listed.iter().any(|product| product["name"] == "rdb"));
}

//! API v1beta1: crons and triggers, which are all triggers to v1.

use serde_json::{Value, json};

use crate::{
    fixture::{CONTAINERS, NAMESPACES, TRIGGERS, container, item, patch, with},
    support::{Fixture, faulty},
    v1beta1::{keys, old},
};

#[tokio::test]
async fn a_cron_is_a_trigger_with_a_schedule() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    let body = json!({"container_id": made["id"], "schedule": "5 4 * * *", "args": {"a": [1]}, "name": "nightly"});
    let cron = fixture.post(&old("crons"), body).await.body;
    assert_eq!(
        cron,
        json!({
            "id": cron["id"], "container_id": made["id"], "schedule": "5 4 * * *", "args": {"a": [1]},
            "status": "ready", "name": "nightly",
        })
    );
    let seen = fixture.get(&item(TRIGGERS, &cron)).await.body;
    let config = json!({"schedule": "5 4 * * *", "timezone": "UTC", "body": "{\"a\":[1]}", "headers": {}});
    assert_eq!((&seen["source_type"], &seen["cron_config"]), (&json!("cron"), &config));
    let path = item(&old("crons"), &cron);
    let changed = patch(&fixture, &path, json!({"schedule": "0 1 * * *", "args": null, "name": ""})).await;
    assert_eq!((&changed["schedule"], &changed["args"]), (&json!("0 1 * * *"), &json!({"a": [1]})));
    assert_eq!(changed["name"], "nightly");
    patch(&fixture, &item(TRIGGERS, &cron), json!({"cron_config": {"body": "no JSON"}, "name": "renamed"})).await;
    let seen = fixture.get(&path).await.body;
    assert_eq!((&seen["args"], &seen["name"], &seen["schedule"]), (&json!({}), &json!("renamed"), &json!("0 1 * * *")));
    let nameless = fixture.post(&old("crons"), json!({"container_id": made["id"], "schedule": "@daily"})).await.body;
    assert_eq!((&nameless["name"], &nameless["args"]), (&json!("cron"), &json!({})));
    for (wrong, field) in [(json!({"schedule": "daily"}), "schedule"), (json!({"args": "text"}), "args")] {
        assert_eq!(faulty(&fixture.send("PATCH", &path, wrong).await), [field]);
    }
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.body["status"], "deleting");
    assert_eq!(fixture.get(&item(TRIGGERS, &cron)).await.status, 404);
}

#[tokio::test]
async fn a_cron_may_be_moved_to_another_container() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    let other = fixture.make(NAMESPACES, json!({"name": "elsewhere"})).await;
    let other = fixture.post(CONTAINERS, with(json!({"namespace_id": other}), json!({}))).await.body;
    let cron = fixture.post(&old("crons"), json!({"container_id": made["id"], "schedule": "@daily"})).await.body;
    let path = item(&old("crons"), &cron);
    assert_eq!(patch(&fixture, &path, json!({"container_id": other["id"]})).await["container_id"], other["id"]);
    let seen = fixture.get(&item(TRIGGERS, &cron)).await.body;
    assert_eq!((&seen["container_id"], &seen["cron_config"]["schedule"]), (&other["id"], &json!("@daily")));
    let of_namespace = format!("{TRIGGERS}?namespace_id={}", other["namespace_id"].as_str().unwrap());
    assert_eq!(fixture.get(&of_namespace).await.body["total_count"], 1);
    let nowhere = json!({"container_id": "00000000-0000-4000-8000-000000000000"});
    assert_eq!(fixture.send("PATCH", &path, nowhere).await.status, 404);
    fixture.send("DELETE", &item(CONTAINERS, &other), Value::Null).await;
    assert_eq!(fixture.get(&path).await.status, 404);
}

#[tokio::test]
async fn crons_and_triggers_are_told_apart() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    let id = &made["id"];
    let schedule = json!({"schedule": "5 4 * * *", "timezone": "Europe/Paris", "body": "{\"b\":2}"});
    let cron = fixture.post(TRIGGERS, json!({"container_id": id, "name": "c", "cron_config": schedule})).await.body;
    let subject = json!({
        "server_urls": ["nats://example.com:4222"], "subject": "s", "credentials_file_content": "secret-plain",
    });
    let nats = fixture.post(TRIGGERS, json!({"container_id": id, "name": "n", "nats_config": subject})).await.body;
    let (crons, triggers) = (fixture.get(&old("crons")).await.body, fixture.get(&old("triggers")).await.body);
    assert_eq!((&crons["total_count"], &crons["crons"][0]["id"]), (&json!(1), &cron["id"]));
    assert_eq!((&crons["crons"][0]["args"], &crons["crons"][0]["schedule"]), (&json!({"b": 2}), &json!("5 4 * * *")));
    assert_eq!((&triggers["total_count"], &triggers["triggers"][0]["id"]), (&json!(1), &nats["id"]));
    let seen = &triggers["triggers"][0];
    assert_eq!(
        (&seen["input_type"], seen.get("sqs_config"), seen.get("scw_nats_config")),
        (&json!("nats"), None, None)
    );
    for (path, called) in [(item(&old("crons"), &nats), "cron"), (item(&old("triggers"), &cron), "trigger")] {
        for method in ["GET", "PATCH", "DELETE"] {
            let absent = fixture.send(method, &path, json!({})).await;
            assert_eq!((absent.status, &absent.body["resource"]), (404, &json!(called)), "{method} {path}");
        }
    }
    assert_eq!(fixture.get(TRIGGERS).await.body["total_count"], 2);
    let namespace = made["namespace_id"].as_str().unwrap();
    let of =
        async |query: String| fixture.get(&format!("{}?{query}", old("triggers"))).await.body["total_count"].clone();
    assert_eq!(of(format!("namespace_id={namespace}")).await, 1);
    assert_eq!(of(format!("project_id={}", fixture.organization.id)).await, 1);
    assert_eq!(of(format!("container_id={namespace}")).await, 0);
}

#[tokio::test]
async fn a_queue_of_messaging_and_queuing_has_an_address_to_v1() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    let project = &fixture.organization.id;
    let queue = json!({"queue": "orders", "mnq_project_id": project, "mnq_region": "fr-par"});
    let body = json!({"container_id": made["id"], "name": "t", "scw_sqs_config": queue});
    let trigger = fixture.post(&old("triggers"), body).await.body;
    let expected =
        ["container_id", "description", "error_message", "id", "input_type", "name", "scw_sqs_config", "status"];
    assert_eq!((keys(&trigger), &trigger["input_type"]), (expected.to_vec(), &json!("scw_sqs")));
    assert!(trigger["scw_sqs_config"]["mnq_credential_id"].is_string(), "{trigger}");
    assert_eq!(trigger["scw_sqs_config"]["queue"], "orders");
    let seen = fixture.get(&item(TRIGGERS, &trigger)).await.body;
    let url = format!("https://sqs.mnq.fr-par.scaleway.com/project-{project}/orders");
    assert_eq!((&seen["source_type"], &seen["sqs_config"]["queue_url"]), (&json!("sqs"), &json!(url)));
    let path = item(&old("triggers"), &trigger);
    let changed = patch(&fixture, &path, json!({"name": "other", "description": "changed"})).await;
    assert_eq!((&changed["name"], &changed["description"]), (&json!("other"), &json!("changed")));
    let refused = fixture.send("PATCH", &path, json!({"sqs_config": {"access_key": "a"}})).await;
    assert_eq!(faulty(&refused), ["sqs_config"]);
    // v1 points it to a queue elsewhere.
    patch(&fixture, &item(TRIGGERS, &trigger), json!({"sqs_config": {"queue_url": "https://example.com/q"}})).await;
    let seen = fixture.get(&path).await.body;
    assert_eq!(
        (&seen["input_type"], &seen["sqs_config"]["queue_url"]),
        (&json!("sqs"), &json!("https://example.com/q"))
    );
    assert_eq!(seen.get("scw_sqs_config"), None);
}

#[tokio::test]
async fn a_subject_has_a_server_and_a_foreign_queue_credentials() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    let (project, account) = (&fixture.organization.id, "0b9f9c1e-0d0d-4bcf-8b8f-8c1e4f3b1b11");
    let subject =
        json!({"subject": "s", "mnq_nats_account_id": account, "mnq_project_id": project, "mnq_region": "nl-ams"});
    let body = |source: &str, config: &Value| json!({"container_id": made["id"], "name": "t", source: config});
    let trigger = fixture.post(&old("triggers"), body("scw_nats_config", &subject)).await.body;
    let mut told = trigger["scw_nats_config"].clone();
    assert!(told.as_object_mut().unwrap().remove("mnq_credential_id").unwrap().is_string());
    assert_eq!((&trigger["input_type"], told), (&json!("scw_nats"), subject));
    let seen = fixture.get(&item(TRIGGERS, &trigger)).await.body;
    assert_eq!(seen["nats_config"]["server_urls"], json!(["nats://nats.mnq.nl-ams.scaleway.com:4222"]));

    let mut queue = json!({"endpoint": "https://sqs.example.com", "queue_url": "https://sqs.example.com/q"});
    assert_eq!(faulty(&fixture.post(&old("triggers"), body("sqs_config", &queue)).await), ["sqs_config.access_key"]);
    queue["access_key"] = json!("mine");
    let mut whole = queue.clone();
    whole["secret_key"] = json!("sqs-plain");
    let trigger = fixture.post(&old("triggers"), body("sqs_config", &whole)).await.body;
    assert_eq!((&trigger["input_type"], &trigger["sqs_config"]), (&json!("sqs"), &queue));
    let path = item(&old("triggers"), &trigger);
    let changed = patch(&fixture, &path, json!({"sqs_config": {"access_key": "other", "secret_key": "x-plain"}})).await;
    assert_eq!(changed["sqs_config"]["access_key"], "other");
    assert_eq!(fixture.get(&item(TRIGGERS, &trigger)).await.body["sqs_config"]["access_key_id"], "other");
    assert!(!fixture.get(&old("triggers")).await.body.to_string().contains("plain"));
    let refused = fixture.send("PATCH", &path, json!({"scw_sqs_config": {"queue": "q"}})).await;
    assert_eq!(faulty(&refused), ["scw_sqs_config"]);
    let none = fixture.post(&old("triggers"), json!({"container_id": made["id"], "name": "t"})).await;
    assert_eq!(faulty(&none), ["scw_sqs_config"]);
}

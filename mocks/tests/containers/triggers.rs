//! Triggers.

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};

use crate::{
    fixture::{CONTAINERS, TRIGGERS, advance, container, item, namespace, patch, with},
    support::{Answer, Fixture, faulty},
};

fn cron() -> Value {
    json!({"cron_config": {"schedule": "5 4 * * *", "timezone": "Europe/Paris", "body": "{}", "headers": {"X-A": "1"}}})
}

fn sqs() -> Value {
    json!({"sqs_config": {
        "region": "fr-par", "endpoint": "https://sqs.mnq.fr-par.scaleway.com", "queue_url": "https://sqs.mnq.fr-par.scaleway.com/p/Queue",
        "access_key_id": "access", "secret_access_key": "sqs-plain",
    }})
}

fn nats() -> Value {
    json!({"nats_config": {
        "server_urls": ["nats://nats.mnq.fr-par.scaleway.com:4222"], "subject": "Subject",
        "credentials_file_content": "nats-plain",
    }})
}

/// A trigger with these settings, of a container of its own.
async fn trigger(fixture: &Fixture, settings: Value) -> Answer {
    let made = container(fixture, json!({})).await;
    let mut body = json!({"container_id": made["id"], "name": "t", "tags": null});
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    fixture.post(TRIGGERS, body).await
}

#[rstest]
#[case::cron(cron(), "cron", cron())]
#[case::sqs(sqs(), "sqs", sqs())]
#[case::nats(nats(), "nats", nats())]
#[tokio::test]
async fn a_trigger_shows_its_source_without_credentials(
    #[case] settings: Value,
    #[case] source: &str,
    #[case] mut expected: Value,
) {
    let fixture = Fixture::new();
    let made = trigger(&fixture, settings).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let (field, expected) = expected.as_object_mut().unwrap().iter_mut().next().unwrap();
    for secret in ["secret_access_key", "credentials_file_content"] {
        expected.as_object_mut().unwrap().remove(secret);
    }
    let shown = fixture.get(&item(TRIGGERS, &made.body)).await.body;
    assert_eq!((&shown["source_type"], &shown[field]), (&json!(source), &*expected));
    assert_eq!(shown["destination_config"], json!({"http_path": "/", "http_method": "post"}));
    let others = ["cron_config", "sqs_config", "nats_config"].into_iter().filter(|other| other != field);
    assert_eq!(others.filter_map(|other| shown.get(other)).count(), 0);
    for answer in [shown, made.body, fixture.get(TRIGGERS).await.body] {
        assert!(!answer.to_string().contains("-plain"), "{answer}");
    }
}

/// Trap: `container_cron` reads `cron_config` and `destination_config` without asking whether they are there.
#[tokio::test]
async fn a_change_leaves_what_it_does_not_say() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let namespace = namespace(&fixture).await;
    advance(&fixture, 5);
    let made = fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), json!({}))).await.body;
    let mut body = cron();
    body.as_object_mut().unwrap().extend(json!({"container_id": made["id"], "name": "t"}).as_object().unwrap().clone());
    let made = fixture.post(TRIGGERS, body).await.body;
    let path = item(TRIGGERS, &made);
    assert_eq!((&made["status"], made.get("error_message")), (&json!("creating"), None));
    advance(&fixture, 2);
    // Recorded: only the name is said, everything else is null.
    let nulls = json!({"schedule": null, "timezone": null, "body": null, "headers": null});
    let renamed = patch(&fixture, &path, json!({"name": "renamed", "cron_config": nulls})).await;
    assert_eq!((&renamed["name"], &renamed["status"]), (&json!("renamed"), &json!("ready")));
    assert_eq!(renamed["cron_config"], made["cron_config"]);
    let changed =
        json!({"cron_config": {"schedule": "*/5 * * * SUN"}, "destination_config": {"http_method": "delete"}});
    let changed = patch(&fixture, &path, changed).await;
    assert_eq!((&changed["status"], changed.get("error_message")), (&json!("updating"), None));
    let expected =
        json!({"schedule": "*/5 * * * SUN", "timezone": "Europe/Paris", "body": "{}", "headers": {"X-A": "1"}});
    assert_eq!(changed["cron_config"], expected);
    assert_eq!(changed["destination_config"], json!({"http_path": "/", "http_method": "delete"}));
    advance(&fixture, 2);
    let emptied = patch(&fixture, &path, json!({"cron_config": {"body": "", "headers": {}}})).await;
    assert_eq!((&emptied["cron_config"]["body"], &emptied["cron_config"]["headers"]), (&json!(""), &json!({})));
}

#[tokio::test]
async fn new_credentials_replace_the_kept_ones() {
    let fixture = Fixture::new();
    let made = trigger(&fixture, sqs()).await.body;
    let kept = || {
        fixture.cloud.store().read(|tables| {
            tables.get("containers.trigger", made["id"].as_str().unwrap()).unwrap().hidden["sqs_config"].clone()
        })
    };
    assert_eq!(kept()["secret_access_key"], "sqs-plain");
    let change = json!({"sqs_config": {"region": null, "access_key_id": "other", "secret_access_key": "other-plain"}});
    let changed = patch(&fixture, &item(TRIGGERS, &made), change).await;
    assert_eq!(
        (&changed["sqs_config"]["access_key_id"], &changed["sqs_config"]["region"]),
        (&json!("other"), &json!("fr-par"))
    );
    assert!(!changed.to_string().contains("plain"));
    assert_eq!(
        (&kept()["secret_access_key"], &kept()["queue_url"]),
        (&json!("other-plain"), &made["sqs_config"]["queue_url"])
    );
}

#[tokio::test]
async fn a_trigger_keeps_its_source() {
    let fixture = Fixture::new();
    let made = trigger(&fixture, cron()).await.body;
    let refused = fixture.send("PATCH", &item(TRIGGERS, &made), sqs()).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec!["sqs_config".to_owned()]));
}

#[rstest]
#[case::no_source(json!({}), &["cron_config"])]
#[case::two_sources(json!({"cron_config": cron()["cron_config"], "nats_config": nats()["nats_config"]}), &["cron_config"])]
#[case::incomplete_schedule(json!({"cron_config": {}}), &["cron_config.schedule", "cron_config.timezone"])]
#[case::six_fields(json!({"cron_config": {"schedule": "0 5 4 * * *", "timezone": "UTC"}}), &["cron_config.schedule"])]
#[case::no_such_minute(json!({"cron_config": {"schedule": "61 4 * * *", "timezone": "UTC"}}), &["cron_config.schedule"])]
#[case::no_such_zone(json!({"cron_config": {"schedule": "@daily", "timezone": "Mars/Olympus"}}), &["cron_config.timezone"])]
#[case::incomplete_queue(json!({"sqs_config": {"endpoint": "https://sqs.example.com"}}), &["sqs_config.queue_url", "sqs_config.access_key_id", "sqs_config.secret_access_key"])]
#[case::no_server(json!({"nats_config": {"server_urls": [], "subject": "s", "credentials_file_content": "c"}}), &["nats_config.server_urls"])]
#[case::no_such_method(json!({"cron_config": cron()["cron_config"], "destination_config": {"http_method": "head"}}), &["destination_config.http_method"])]
#[case::no_path(json!({"cron_config": cron()["cron_config"], "destination_config": {"http_path": "here"}}), &["destination_config.http_path"])]
#[tokio::test]
async fn a_trigger_out_of_bounds_is_refused(#[case] settings: Value, #[case] arguments: &[&str]) {
    let refused = trigger(&Fixture::new(), settings).await;
    assert_eq!(
        (refused.status, faulty(&refused)),
        (400, arguments.iter().map(|name| (*name).to_owned()).collect()),
        "{}",
        refused.body
    );
}

proptest::proptest! {
    /// The schedule's parser is somebody else's: whatever it is given, it must not panic.
    #[test]
    fn no_schedule_makes_the_cloud_fail(schedule in "([0-9*/,LW#?@A-Z +-]{0,6} ){0,5}[^ ]{0,8}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(trigger(&Fixture::new(), json!({"cron_config": {"schedule": schedule, "timezone": "UTC"}})));
        proptest::prop_assert!(answer.status == 200 || answer.status == 400, "{} {}", answer.status, answer.body);
    }
}

//! Serverless Jobs as clients meet them.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};
use support::{Fixture, faulty};

const DEFINITIONS: &str = "/serverless-jobs/v1alpha2/regions/fr-par/job-definitions";
const RUNS: &str = "/serverless-jobs/v1alpha2/regions/fr-par/job-runs";
const SECRETS: &str = "/serverless-jobs/v1alpha2/regions/fr-par/secrets";
const TRIGGERS: &str = "/serverless-jobs/v1alpha2/regions/fr-par/triggers";

fn with(settings: Value) -> Value {
    let mut body = json!({"name": "nightly", "image_uri": "docker.io/alpine:latest"});
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    body
}

async fn definition(fixture: &Fixture, settings: Value) -> String {
    fixture.make(DEFINITIONS, with(settings)).await
}

async fn patch(fixture: &Fixture, path: &str, body: Value) -> Value {
    let answer = fixture.send("PATCH", path, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

async fn start(fixture: &Fixture, definition: &str, body: Value) -> Vec<Value> {
    let answer = fixture.post(&format!("{DEFINITIONS}/{definition}/start"), body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["job_runs"].as_array().unwrap().clone()
}

fn advance(fixture: &Fixture, seconds: u64) {
    fixture.cloud.store().clock().advance(Duration::from_secs(seconds));
    fixture.cloud.settle().unwrap();
}

#[tokio::test]
async fn a_definition_gets_the_documented_defaults() {
    let fixture = Fixture::new();
    let zeros =
        json!({"cpu_limit": 0, "memory_limit": 0, "local_storage_capacity": 0, "retry_policy": {"max_retries": 0}});
    for said in [json!({}), zeros] {
        let mut shown = fixture.post(DEFINITIONS, with(said)).await.body;
        for field in ["id", "created_at", "updated_at"] {
            assert!(shown.as_object_mut().unwrap().remove(field).is_some(), "{field}");
        }
        let expected = json!({
            "name": "nightly", "project_id": fixture.organization.id, "region": "fr-par", "description": "",
            "image_uri": "docker.io/alpine:latest", "command": "", "startup_command": [], "args": [],
            "environment_variables": {}, "cpu_limit": 1120, "memory_limit": 2048, "local_storage_capacity": 1000,
            "job_timeout": "86400s", "cron_schedule": null,
        });
        assert_eq!(shown, expected);
    }
}

#[rstest]
#[case(json!({"job_timeout": "86401s"}), "job_timeout")]
#[case(json!({"job_timeout": "0s"}), "job_timeout")]
#[case(json!({"cpu_limit": 6001}), "cpu_limit")]
#[case(json!({"retry_policy": {"max_retries": 6}}), "retry_policy.max_retries")]
#[case(json!({"cron_schedule": {"schedule": "5 4 * * *"}}), "cron_schedule.timezone")]
#[case(json!({"cron_schedule": {"timezone": "Europe/Paris"}}), "cron_schedule.schedule")]
#[case(json!({"cron_schedule": {"schedule": "5 4 * *", "timezone": "Europe/Paris"}}), "cron_schedule.schedule")]
#[case(json!({"cron_schedule": {"schedule": "5 4 * * *", "timezone": "Mars"}}), "cron_schedule.timezone")]
#[tokio::test]
async fn what_is_wrong_with_a_definition_is_named(#[case] said: Value, #[case] fault: &str) {
    let answer = Fixture::new().post(DEFINITIONS, with(said)).await;
    assert_eq!((answer.status, faulty(&answer)), (400, vec![fault.to_owned()]));
}

#[tokio::test]
async fn a_schedule_is_changed_in_part_and_cleared_by_nulls() {
    let fixture = Fixture::new();
    let schedule = json!({"schedule": "5 4 1 * *", "timezone": "Europe/Paris"});
    let id = definition(&fixture, json!({"cron_schedule": schedule, "job_timeout": "5400.000000000s"})).await;
    let item = format!("{DEFINITIONS}/{id}");
    let shown = patch(&fixture, &item, json!({"cron_schedule": {"schedule": "5 5 * * *"}})).await;
    assert_eq!(shown["cron_schedule"], json!({"schedule": "5 5 * * *", "timezone": "Europe/Paris"}));
    assert_eq!(shown["job_timeout"], "5400s");
    assert_eq!(patch(&fixture, &item, json!({"description": "d"})).await["cron_schedule"], shown["cron_schedule"]);
    let cleared = patch(&fixture, &item, json!({"cron_schedule": {"schedule": null, "timezone": null}})).await;
    assert_eq!(cleared["cron_schedule"], Value::Null);
}

#[tokio::test]
async fn a_retry_policy_is_told_only_where_there_is_one() {
    let fixture = Fixture::new();
    let id = definition(&fixture, json!({"retry_policy": {"max_retries": 5}})).await;
    let item = format!("{DEFINITIONS}/{id}");
    assert_eq!(fixture.get(&item).await.body["retry_policy"], json!({"max_retries": 5}));
    let none = patch(&fixture, &item, json!({"retry_policy": {"max_retries": 0}})).await;
    assert_eq!(none["retry_policy"], json!({"max_retries": 0}));
    let cleared = patch(&fixture, &item, json!({"retry_policy": {"max_retries": null}})).await;
    assert_eq!(cleared.get("retry_policy"), None);
}

#[tokio::test]
async fn a_run_is_of_its_definition_and_of_what_is_said_for_it_and_fails_honestly() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let settings = json!({
        "cpu_limit": 120, "memory_limit": 256, "startup_command": ["echo"], "args": ["a"],
        "environment_variables": {"A": "1", "B": "1"},
    });
    let id = definition(&fixture, settings).await;
    let said = json!({"args": ["b"], "environment_variables": {"B": "2"}, "replicas": 2});
    let runs = start(&fixture, &id, said).await;
    assert_eq!(runs.len(), 2);
    let run = &runs[0];
    assert_eq!((&run["state"], &run["job_definition_id"]), (&json!("queued"), &json!(id)));
    assert_eq!((&run["startup_command"], &run["args"]), (&json!(["echo"]), &json!(["b"])));
    assert_eq!(run["environment_variables"], json!({"A": "1", "B": "2"}));
    assert_eq!((&run["cpu_limit"], run.get("reason")), (&json!(120), None));
    let count = async |query: &str| fixture.get(&format!("{RUNS}?{query}")).await.body["total_count"].clone();
    assert_eq!(count(&format!("job_definition_id={id}&order_by=created_at_asc&state=unknown_state")).await, 2);
    advance(&fixture, 60);
    let item = format!("{RUNS}/{}", run["id"].as_str().unwrap());
    let failed = fixture.get(&item).await.body;
    assert_eq!((&failed["state"], &failed["reason"]), (&json!("failed"), &json!("technical_error")));
    assert!(failed["error_message"].as_str().unwrap().contains("local cloud"));
    let filters = ["state=failed", "states=failed&states=queued", "reasons=technical_error"];
    for filter in filters {
        assert_eq!(count(filter).await, 2, "{filter}");
    }
    for filter in ["state=queued", "states=queued", "reasons=timeout", "job_definition_id=none"] {
        assert_eq!(count(filter).await, 0, "{filter}");
    }
    let stopped = fixture.post(&format!("{item}/stop"), json!({})).await;
    assert_eq!((stopped.status, &stopped.body["state"]), (200, &json!("failed")));
}

#[tokio::test]
async fn a_definition_stays_while_a_run_goes_on() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let id = definition(&fixture, json!({})).await;
    let item = format!("{DEFINITIONS}/{id}");
    let run = start(&fixture, &id, json!({})).await[0]["id"].as_str().unwrap().to_owned();
    let refused = fixture.send("DELETE", &item, Value::Null).await;
    assert_eq!((refused.status, refused.body), (403, json!({"message": "one or more job runs are still running"})));
    let stop = format!("{RUNS}/{run}/stop");
    let stopped = fixture.post(&stop, json!({})).await.body;
    assert_eq!((&stopped["state"], &stopped["reason"]), (&json!("interrupting"), &json!("cancellation")));
    assert_eq!(fixture.post(&stop, json!({})).await.body["state"], "interrupting");
    advance(&fixture, 2);
    assert_eq!(fixture.get(&format!("{RUNS}/{run}")).await.body["state"], "interrupted");
    assert_eq!(fixture.send("DELETE", &item, Value::Null).await.status, 204);
    assert_eq!(fixture.get(&format!("{RUNS}/{run}")).await.status, 404);
}

#[tokio::test]
async fn there_are_only_so_many_runs_at_a_time() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let id = definition(&fixture, json!({})).await;
    assert_eq!(start(&fixture, &id, json!({"replicas": 399})).await.len(), 399);
    let path = format!("{DEFINITIONS}/{id}/start");
    let refused = fixture.post(&path, json!({"replicas": 2})).await;
    assert_eq!((refused.status, &refused.body["type"]), (403, &json!("quotas_exceeded")));
    start(&fixture, &id, json!({})).await;
    for wrong in [json!(0), json!(401), json!("1")] {
        assert_eq!(faulty(&fixture.post(&path, json!({"replicas": wrong})).await), ["replicas"]);
    }
}

async fn secret(fixture: &Fixture) -> String {
    fixture.make("/secret-manager/v1beta1/regions/fr-par/secrets", json!({"name": "s"})).await
}

#[tokio::test]
async fn secrets_are_referred_to_several_at_once() {
    let fixture = Fixture::new();
    let (job, secret) = (definition(&fixture, json!({})).await, secret(&fixture).await);
    let asked = json!({"job_definition_id": job, "secrets": [
        {"secret_manager_id": secret, "secret_manager_version": "latest", "env_var_name": "SOME_ENV"},
        {"secret_manager_id": secret, "secret_manager_version": "1", "path": "/home/dev/env"},
    ]});
    let made = fixture.post(SECRETS, asked).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let (variable, file) = (&made.body["secrets"][0], &made.body["secrets"][1]);
    let expected = json!({
        "secret_id": variable["secret_id"], "secret_manager_id": secret, "secret_manager_version": "latest",
        "job_definition_id": job, "env_var": {"name": "SOME_ENV"},
    });
    assert_eq!(variable, &expected);
    assert_eq!((&file["file"], file.get("env_var")), (&json!({"path": "/home/dev/env"}), None));
    let listed = fixture.get(&format!("{SECRETS}?job_definition_id={job}")).await.body;
    assert_eq!((&listed["total_count"], &listed["secrets"]), (&json!(2), &json!([file, variable])));
    let other = definition(&fixture, json!({})).await;
    assert_eq!(fixture.get(&format!("{SECRETS}?job_definition_id={other}")).await.body["total_count"], 0);
    let item = format!("{SECRETS}/{}", file["secret_id"].as_str().unwrap());
    let moved = patch(&fixture, &item, json!({"path": "/etc/env", "secret_manager_version": "2"})).await;
    assert_eq!((&moved["file"], &moved["secret_manager_version"]), (&json!({"path": "/etc/env"}), &json!("2")));
    assert_eq!(patch(&fixture, &item, json!({})).await, moved);
    let refused = fixture.send("PATCH", &item, json!({"env_var_name": "A"})).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec!["env_var_name".to_owned()]));
    assert_eq!(fixture.send("DELETE", &item, Value::Null).await.status, 204);
    assert_eq!(fixture.get(&item).await.status, 404);
    fixture.send("DELETE", &format!("{DEFINITIONS}/{job}"), Value::Null).await;
    let gone = format!("{SECRETS}/{}", variable["secret_id"].as_str().unwrap());
    assert_eq!(fixture.get(&gone).await.status, 404);
}

#[rstest]
#[case(json!({"path": "/a", "env_var_name": "A"}), "secrets.1.path")]
#[case(json!({}), "secrets.1.path")]
#[case(json!({"path": "a"}), "secrets.1.path")]
#[case(json!({"path": "/a//b"}), "secrets.1.path")]
#[case(json!({"env_var_name": "1A"}), "secrets.1.env_var_name")]
#[case(json!({"path": "/a", "secret_manager_version": "newest"}), "secrets.1.secret_manager_version")]
#[tokio::test]
async fn one_wrong_reference_makes_none(#[case] wrong: Value, #[case] fault: &str) {
    let fixture = Fixture::new();
    let (job, secret) = (definition(&fixture, json!({})).await, secret(&fixture).await);
    let mut second = json!({"secret_manager_id": secret});
    second.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
    let asked = json!({"job_definition_id": job, "secrets": [{"secret_manager_id": secret, "path": "/a"}, second]});
    let refused = fixture.post(SECRETS, asked).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec![fault.to_owned()]));
    assert_eq!(fixture.get(SECRETS).await.body["total_count"], 0);
}

#[tokio::test]
async fn a_reference_names_what_is_there() {
    let fixture = Fixture::new();
    let (job, secret) = (definition(&fixture, json!({})).await, secret(&fixture).await);
    let nowhere = "00000000-0000-4000-8000-000000000000";
    let ask = async |job: &str, secret: &str| {
        let secrets = json!([{"secret_manager_id": secret, "path": "/a"}]);
        fixture.post(SECRETS, json!({"job_definition_id": job, "secrets": secrets})).await.status
    };
    assert_eq!(ask(&job, &secret).await, 200);
    assert_eq!((ask(nowhere, &secret).await, ask(&job, nowhere).await), (404, 404));
    for secrets in [json!([]), Value::Null, json!(["a"])] {
        let refused = fixture.post(SECRETS, json!({"job_definition_id": job, "secrets": secrets})).await;
        assert_eq!(faulty(&refused), ["secrets"]);
    }
}

#[tokio::test]
async fn a_trigger_is_changed_in_part() {
    let fixture = Fixture::new();
    let job = definition(&fixture, json!({})).await;
    let cron = json!({"schedule": "5 4 * * *", "timezone": "Europe/Paris", "args": ["a"]});
    let id = fixture.make(TRIGGERS, json!({"job_definition_id": job, "name": "t", "cron_config": cron})).await;
    let item = format!("{TRIGGERS}/{id}");
    let changed = patch(&fixture, &item, json!({"cron_config": {"startup_command": ["sh"]}})).await;
    let expected =
        json!({"schedule": "5 4 * * *", "timezone": "Europe/Paris", "startup_command": ["sh"], "args": ["a"]});
    assert_eq!(changed["cron_config"], expected);
    assert_eq!(patch(&fixture, &item, json!({"name": "u"})).await["cron_config"], expected);
    let refused = fixture
        .post(TRIGGERS, json!({"job_definition_id": job, "name": "t", "cron_config": {"schedule": "5 4 * * *"}}))
        .await;
    assert_eq!(faulty(&refused), ["cron_config.timezone"]);
}

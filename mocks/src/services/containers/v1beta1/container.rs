//! Container. Recorded: it is `created` until it is deployed or changed; the image that is not named is the
//! one of its name in its namespace's registry; the health check is v1's liveness probe without a timeout.

use serde_json::{Map, Value, json};

use super::{STATES, environment, error_message, namespace::registry_endpoint, part, said};
use crate::{
    kernel::{Act, Answer, Field, Making, Reason, Record, Refusal, Resource, optional, required, told},
    services::containers::{
        CONTAINER, NAMESPACE, READ, WRITE,
        container::{READY_AT, deploy_anew, free_port, label, renew},
        environment::plain,
        settings,
    },
};

const DEPLOY: &str = "/containers/v1beta1/regions/{region}/containers/{container_id}/deploy";

/// A megabyte, as this API counts.
const MB: u64 = 1_000_000;

/// How many requests an instance may have at a time (documented).
const MOST_CONCURRENT: i64 = 80;

pub(super) fn container() -> Resource {
    Resource::new("containers.container_v1beta1")
        .view_of(CONTAINER)
        .called("container")
        .at("/containers/v1beta1/regions/{region}/containers/{container_id}")
        .fields(fields())
        .calling(STATES)
        .filters(&["name"])
        .permissions(READ, WRITE)
        .saying(say)
        .made(make)
        .updated(update)
        .act("POST", DEPLOY, deploy)
}

fn fields() -> Vec<Field> {
    vec![
        required("namespace_id").uuid(),
        required("name").text(1..=34).check(label),
        optional("registry_image").text(0..=1024).kept_as("image"),
        optional("description").text(0..=65_536),
        optional("tags").strings(),
        optional("min_scale").integer(0..=50),
        optional("max_scale").integer(1..=50),
        optional("memory_limit").integer(128..=12_228).kept_in("memory_limit_bytes", MB),
        optional("cpu_limit").integer(70..=6000).kept_as("mvcpu_limit"),
        optional("local_storage_limit").integer(1..=24_000).kept_in("local_storage_limit_bytes", MB),
        optional("timeout").text(0..=32).check(settings::request_time),
        optional("privacy").one_of(|| vec!["public", "private"]),
        optional("protocol").one_of(|| vec!["http1", "h2c"]),
        optional("port").integer(1..=65_535).check(free_port),
        optional("http_option").one_of(|| vec!["enabled", "redirected"]).told(http_option),
        optional("sandbox").one_of(|| vec!["v1", "v2"]),
        settings::scaling(),
        optional("max_concurrency").integer(1..=MOST_CONCURRENT).told(max_concurrency),
        optional("health_check")
            .object([
                optional("failure_threshold").integer(0..=i64::from(u32::MAX)),
                optional("interval").text(0..=32).check(settings::some_time).default(Value::Null),
                optional("tcp").object([]),
                optional("http").object([required("path").text(1..=2048).check(settings::absolute)]),
            ])
            .kept_as("liveness_probe")
            .told(health_check),
        optional("private_network_id").uuid(),
        optional("command").strings(),
        optional("args").strings(),
        plain(),
        environment::secret(),
        // Only updates say it.
        optional("redeploy").flag().input_only(),
        told("domain_name", |record| Some(record.text("public_endpoint").trim_start_matches("https://").into())),
        told("ready_at", |record| Some(record.hidden.get(READY_AT).cloned().unwrap_or_default())),
        error_message(),
    ]
}

fn http_option(record: &Record) -> Option<Value> {
    let only_https = record.body.get("https_connections_only") == Some(&json!(true));
    Some(if only_https { "redirected" } else { "enabled" }.into())
}

fn max_concurrency(record: &Record) -> Option<Value> {
    let threshold = part(record, "scaling_option", "concurrent_requests_threshold");
    Some(threshold.cloned().unwrap_or_else(|| MOST_CONCURRENT.into()))
}

fn health_check(record: &Record) -> Option<Value> {
    let mut probe = record.body.get("liveness_probe").cloned().unwrap_or_default();
    if let Some(parts) = probe.as_object_mut() {
        parts.remove("timeout");
    }
    Some(probe)
}

/// What is said of a container, in v1's words.
fn say(act: &mut Act<'_, '_>, said: &Map<String, Value>, body: &mut Map<String, Value>) -> Result<(), Refusal> {
    environment::say(act, CONTAINER, said, body)?;
    if let Some(option) = said.get("http_option") {
        let only_https = option == "redirected";
        // v1 says it in one way when a container is made, in another when it is changed.
        for field in ["https_connections_only", "https_connection_only"] {
            body.insert(field.into(), only_https.into());
        }
    }
    if let (Some(most), None) = (said.get("max_concurrency"), said.get("scaling_option")) {
        body.insert("scaling_option".into(), json!({"concurrent_requests_threshold": most}));
    }
    // The Go SDK cannot leave it out.
    if let Some(threshold) = body.get_mut("liveness_probe").and_then(|probe| probe.get_mut("failure_threshold"))
        && *threshold == json!(0)
    {
        *threshold = Value::Null;
    }
    if body.get("image").is_none_or(|image| image == "") {
        body.remove("image");
        if act.call.param("container_id").is_none() {
            let image = default_image(act, said)?;
            body.insert("image".into(), image.into());
        }
    }
    Ok(())
}

/// The image of the container's name in the registry of its namespace.
fn default_image(act: &Act<'_, '_>, said: &Map<String, Value>) -> Result<String, Refusal> {
    let text = |field: &str| said.get(field).and_then(Value::as_str).unwrap_or_default();
    match registry_endpoint(&*act.find(NAMESPACE, text("namespace_id"))?) {
        registry if registry.is_empty() => Err(Refusal::argument(
            "registry_image",
            Reason::Required,
            "registry_image is required in a namespace without a registry",
        )),
        registry => Ok(format!("{registry}/{}:latest", text("name"))),
    }
}

/// Nothing is deployed before somebody asks for it.
fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    making.set("status", "created");
    making.record.next = None;
    Ok(())
}

fn update(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    environment::empty(making)?;
    let asked = said(making.call).and_then(|said| said.get("redeploy"));
    if asked == Some(&json!(true)) && making.record.next.is_none() {
        renew(making)?;
    }
    Ok(())
}

/// POST deploy: the first time, or anew.
fn deploy(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let record = deploy_anew(act, "deployed")?;
    Ok(act.told(CONTAINER, &record))
}

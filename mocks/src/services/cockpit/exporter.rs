//! Exporter: sends what Scaleway's products write on to somewhere else.

use std::time::Duration;

use serde_json::{Value, json};

use super::{READ, WRITE, data_source::DATA_SOURCE, data_source::wrong_type};
use crate::kernel::{Making, Passage, Reason, Refusal, Resource, optional, required, states};

const EXPORTER: &str = "cockpit.exporter";

/// How long one takes to be ready (recorded: within the first poll, 15 s).
const CREATION: Duration = Duration::from_secs(15);

pub(super) fn exporter() -> Resource {
    Resource::new(EXPORTER)
        .at("/cockpit/v1/regions/{region}/exporters/{exporter_id}")
        .fields([
            required("name").text(1..=255),
            optional("description").text(0..=255),
            required("datasource_id").refers_to(DATA_SOURCE).fixed(),
            optional("exported_products").strings(),
            optional("datadog_destination")
                .object([optional("api_key").text(0..=255).default(Value::Null), optional("endpoint").text(0..=2048)]),
            optional("otlp_destination").object([required("endpoint").text(1..=2048), optional("headers").text_map()]),
        ])
        .states(states("creating", CREATION, "ready"))
        .filters(&["datasource_id"])
        .order(&["created_at", "name", "type"])
        .permissions(READ, WRITE)
        .made(|making| {
            let source = making.text("datasource_id").to_owned();
            let source = making.act(DATA_SOURCE, |act| act.find(DATA_SOURCE, &source))?;
            if source.text("type") == "traces" {
                return Err(wrong_type("datasource_id", "metrics or logs"));
            }
            if making.input.get("exported_products").and_then(Value::as_array).is_none_or(Vec::is_empty) {
                return Err(Refusal::argument("exported_products", Reason::Required, "name products, or \"all\""));
            }
            // Whose it is follows from its data source and is not told (recorded).
            for owner in ["project_id", "organization_id"] {
                let whose = making.record.body.remove(owner).unwrap_or_default();
                making.record.hidden.insert(owner.into(), whose);
            }
            making.record.hidden.insert("project_id".into(), source.text("project_id").into());
            one_destination(making)
        })
        .updated(|making| {
            one_destination(making)?;
            // Made anew after every change (recorded).
            making.set("status", "creating");
            let due = making.tx.now() + making.tx.lasts(CREATION);
            making.record.next = Some(Passage { to: Some("ready".into()), due });
            Ok(())
        })
}

/// Exactly one destination; the other is absent in answers, and the key to Datadog is never told (recorded).
fn one_destination(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let both = ["datadog_destination", "otlp_destination"];
    let named: Vec<&str> =
        both.into_iter().filter(|field| making.input.get(*field).is_some_and(Value::is_object)).collect();
    let there = |field: &&str| making.record.body.get(*field).is_some_and(Value::is_object);
    let keep = match (&named[..], both.into_iter().filter(|field| there(field)).count()) {
        ([one], _) => *one,
        ([], 1) => both.into_iter().find(|field| there(field)).unwrap_or(both[0]),
        _ => {
            let help = "name exactly one of datadog_destination and otlp_destination";
            return Err(Refusal::argument("destination", Reason::Required, help));
        }
    };
    making.record.body.retain(|field, _| !both.contains(&field.as_str()) || field == keep);
    if let Some(datadog) = making.record.body.get_mut("datadog_destination").and_then(Value::as_object_mut)
        && let Some(key) = datadog.remove("api_key").filter(|key| !key.is_null())
    {
        making.record.hidden.insert("api_key".into(), json!(key));
    }
    Ok(())
}

//! Namespace: what functions share, such as environment variables.
//!
//! Recorded: it is `pending` first, and its registry, to which Scaleway pushes the
//! functions' images, is there once it is `ready`; a change of variables makes it
//! `pending` again. It takes its functions with it. No image is built here, so the
//! registry has a name and an identifier, and nothing is there.

use std::time::Duration;

use serde_json::Value;

use super::{FUNCTION, NAMESPACE, READ, WRITE, environment, function, nothing, runtime};
use crate::{
    kernel::{Act, Making, Refusal, Resource, computed, optional, required, rfc3339, states},
    services::containers::{
        environment::{FIELDS, plain},
        namespace::{LABEL, label},
    },
};

/// How long it takes to make one (recorded: 1 to 18 s) and to change one (recorded: 1 s).
const CREATION: Duration = Duration::from_secs(3);
const CHANGE: Duration = Duration::from_secs(1);

pub(super) fn namespace() -> Resource {
    Resource::new(NAMESPACE)
        .at("/functions/v1beta1/regions/{region}/namespaces/{namespace_id}")
        .fields([
            required("name").text(1..=255).fixed(),
            optional("description").text(0..=65_536),
            optional("tags").strings(),
            plain(),
            environment::secret(),
            computed("error_message", nothing),
            computed("registry_endpoint", |_| Ok("".into())),
            computed("registry_namespace_id", |_| Ok("".into())),
            computed("vpc_integration_activated", |_| Ok(Value::Bool(false))),
        ])
        .states(
            states("pending", CREATION, "ready").deleting("deleting", Duration::from_secs(3)).passing(&["creating"]),
        )
        .filters(&["name"])
        .order(&["created_at", "name"])
        // As with containers: "Namespace name must be unique inside a project" (SDK).
        .unique("name")
        .quota(100)
        .permissions(READ, WRITE)
        .made(make)
        .updated(update)
        .settled(settle)
        .deleted(delete)
        .look("/functions/v1beta1/regions/{region}/runtimes", runtime::list)
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let label = label(making);
    making.record.hidden.insert(LABEL.into(), label.into());
    environment::keep_secrets(making, NAMESPACE)
}

fn update(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    environment::keep_secrets(making, NAMESPACE)?;
    if FIELDS.iter().any(|field| making.input.contains_key(*field)) {
        let mut record = std::mem::take(making.record);
        let passed = making.act(NAMESPACE, |act| {
            act.pass_through(NAMESPACE, &mut record, "pending", CHANGE);
            Ok(())
        });
        *making.record = record;
        passed?;
    }
    Ok(())
}

fn settle(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    if making.text("registry_namespace_id").is_empty() {
        let (label, region) = (making.text(LABEL).to_owned(), making.text("region").to_owned());
        making.set("registry_endpoint", format!("rg.{region}.scw.cloud/funcscw{label}"));
        let id = making.tx.ids().uuid();
        making.set("registry_namespace_id", id);
    }
    let now = rfc3339(making.tx.now());
    making.set("updated_at", now);
    Ok(())
}

/// Its functions withdraw now, their records go with its own.
fn delete(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let mine = act.tx.tables().all(FUNCTION).filter(|(_, function)| function.text("namespace_id") == key);
    let mine: Vec<String> = mine.map(|(id, _)| id.to_owned()).collect();
    for id in mine {
        function::withdraw(act, &id)?;
        function::part(act, &id)?;
    }
    Ok(())
}

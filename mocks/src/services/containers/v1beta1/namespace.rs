//! Namespace. Recorded: its registry, to which its containers' images may be pushed, is there once it is
//! `ready`. One that v1 made has none. Here the registry has a name and an identifier, and nothing is there.

use serde_json::Value;

use super::{STATES, environment, error_message};
use crate::{
    kernel::{Making, Record, Refusal, Resource, optional, required, told},
    services::containers::{
        NAMESPACE, READ, WRITE,
        environment::plain,
        namespace::{LABEL, label},
    },
};

/// Where a record keeps the identifier of its registry, hidden.
const REGISTRY: &str = "registry_namespace_id";

pub(super) fn namespace() -> Resource {
    Resource::new("containers.namespace_v1beta1")
        .view_of(NAMESPACE)
        .called("namespace")
        .at("/containers/v1beta1/regions/{region}/namespaces/{namespace_id}")
        .fields([
            required("name").text(1..=255),
            optional("description").text(0..=65_536),
            optional("tags").strings(),
            plain(),
            environment::secret(),
            // It means nothing any more (SDK).
            optional("activate_vpc_integration").flag().input_only(),
            error_message(),
            told("registry_endpoint", |record| Some(registry_endpoint(record).into())),
            told(REGISTRY, |record| Some(registry(record, REGISTRY).into())),
            told("vpc_integration_activated", |_| Some(Value::Bool(false))),
        ])
        .calling(STATES)
        .filters(&["name"])
        .permissions(READ, WRITE)
        .saying(|act, said, body| environment::say(act, NAMESPACE, said, body))
        .made(make)
        .updated(environment::empty)
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let (label, registry) = (label(making), making.tx.ids().uuid());
    making.record.hidden.insert(LABEL.into(), label.into());
    making.record.hidden.insert(REGISTRY.into(), registry.into());
    Ok(())
}

/// What is hidden of a registry, once the namespace is there.
fn registry<'r>(record: &'r Record, field: &str) -> &'r str {
    let there = record.text("status") != "creating";
    record.hidden.get(field).filter(|_| there).and_then(Value::as_str).unwrap_or_default()
}

/// Where a namespace's images are; empty where it has no registry.
pub(super) fn registry_endpoint(record: &Record) -> String {
    match registry(record, LABEL) {
        "" => String::new(),
        label => format!("rg.{}.scw.cloud/funcscw{label}", record.text("region")),
    }
}

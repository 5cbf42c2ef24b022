//! Serverless Containers. API reference: Serverless Containers API v1; tokens: v1beta1, whose other
//! resources are views of v1's ([`v1beta1`]).
//!
//! Behind a container run processes of its image ([`plane`]). Domains are not looked
//! up; of triggers, only crons fire. Secret values are in the records' hidden part, as are the
//! credentials of triggers and the key that signs a namespace's tokens. The moments of
//! a container's life are those of [`container`]: `make`, `apply` (a change),
//! `deployed` (settled, after both) and `withdraw` (deleted, by itself or with its
//! namespace).

pub(super) mod container;
pub(super) mod domain;
pub(super) mod environment;
pub(super) mod namespace;
pub(crate) mod plane;
pub(super) mod settings;
pub(super) mod token;
pub(super) mod trigger;
pub(super) mod v1beta1;

use std::time::Duration;

use serde_json::Value;

use crate::kernel::{Making, Product, Record, Refusal};

/// Documented in IAM's list of permission sets. (`ContainersPrivateAccess` is for calling private
/// containers: it concerns their data plane.)
const READ: &[&str] = &["ContainersReadOnly"];
const WRITE: &[&str] = &["ContainersFullAccess"];

const NAMESPACE: &str = "containers.namespace";
const CONTAINER: &str = "containers.container";
const DOMAIN: &str = "containers.domain";
const TRIGGER: &str = "containers.trigger";
const TOKEN: &str = "containers.token";

/// States that a resource of this product only passes through, besides creating and deleting.
const PASSING: &[&str] = &["updating", "upgrading", "locking"];

pub(super) fn product() -> Product {
    Product {
        name: "containers",
        title: "Serverless Containers",
        resources: [
            namespace::namespace(),
            container::container(),
            domain::domain(),
            trigger::trigger(),
            token::token(),
        ]
        .into_iter()
        .chain(v1beta1::views())
        .collect(),
    }
}

/// Sends what is being made or changed through a state, back to its settled one. An error message
/// is about the past and goes (recorded: absent in all transient states).
fn pass(making: &mut Making<'_, '_>, kind: &str, through: &str, lasts: Duration) -> Result<(), Refusal> {
    let mut record = std::mem::take(making.record);
    let passed = making.act(kind, |act| {
        act.pass_through(kind, &mut record, through, lasts);
        Ok(())
    });
    record.body.remove("error_message");
    *making.record = record;
    passed
}

/// A resource that has settled has nothing to complain of (recorded: `""`, absent before).
fn no_error(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    making.set("error_message", "");
    Ok(())
}

/// The record as it was before this change; empty when it is being made.
pub(super) fn before(making: &Making<'_, '_>, kind: &str) -> Record {
    making.tx.get(kind, making.key).map(|record| Record::clone(record)).unwrap_or_default()
}

/// The region of the request's path.
pub(super) fn region(making: &mut Making<'_, '_>) -> Result<Value, Refusal> {
    Ok(making.call.param("region").unwrap_or_default().into())
}

/// The namespace of the container that a domain or trigger names, which must not be on its way out.
fn namespace_of_container(making: &mut Making<'_, '_>) -> Result<String, Refusal> {
    let id = making.text("container_id").to_owned();
    making.act(CONTAINER, |act| {
        let container = act.find(CONTAINER, &id)?;
        if container.text("status") == "deleting" {
            act.catalogue.refuse_in_passage(CONTAINER, &id, &container)?;
        }
        Ok(container.text("namespace_id").to_owned())
    })
}

/// Remembers the namespace, which lists can be asked for by and answers do not tell.
fn remember_namespace(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let namespace = namespace_of_container(making)?;
    making.record.hidden.insert("namespace_id".into(), namespace.into());
    Ok(())
}

/// Whether a record is one of the namespace that a list is asked for by.
fn in_asked_namespace(record: &Record, call: &crate::kernel::Call) -> bool {
    call.query("namespace_id").is_none_or(|asked| record.text_or_hidden("namespace_id") == asked)
}

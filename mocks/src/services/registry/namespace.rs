//! Registry namespace: where images are pushed to, `rg.<region>.scw.cloud/<name>`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DELETING, READ, WRITE};
use crate::{
    kernel::{Act, Making, Reason, Refusal, Resource, computed, optional, required, states},
    registry::{NAMESPACE, forget_contents},
};

const ITEM: &str = "/registry/v1/regions/{region}/namespaces/{namespace_id}";

pub(super) fn namespace() -> Resource {
    Resource::new(NAMESPACE)
        .at(ITEM)
        .fields([
            required("name").text(1..=63).check(plain_name).fixed(),
            optional("description").text(0..=255),
            optional("is_public").flag(),
            computed("endpoint", |making| {
                Ok(format!("rg.{}.scw.cloud/{}", making.text("region"), making.text("name")).into())
            }),
            computed("status_message", |_| Ok(json!(""))),
            computed("image_count", |_| Ok(json!(0))),
            computed("size", |_| Ok(json!(0))),
        ])
        .states(states("ready", Duration::ZERO, "ready").deleting("deleting", DELETING))
        // A name is asked for exactly (SDK).
        .listed_if(|record, call| call.query("name").is_none_or(|name| record.text("name") == name))
        .order(&["created_at", "name", "description", "region", "status"])
        .permissions(READ, WRITE)
        .made(take_name)
        .deleted(empty)
}

/// Only letters, digits and dashes are allowed (provider's issue 860), and the name is part of
/// image references, which are lower-case (OCI distribution specification).
fn plain_name(value: &Value) -> Result<(), String> {
    let name = value.as_str().unwrap_or_default();
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if plain && !name.starts_with('-') && !name.ends_with('-') {
        Ok(())
    } else {
        Err("must consist of lower-case letters, digits and dashes, and begin and end with a letter or digit".into())
    }
}

/// A name is unique in a region across all organisations (SDK).
fn take_name(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let (name, region) = (making.text("name"), making.text("region"));
    let taken = making
        .tx
        .tables()
        .all(NAMESPACE)
        .any(|(_, other)| (other.text("name"), other.text("region")) == (name, region));
    if taken {
        return Err(Refusal::argument("name", Reason::Constraint, format!("namespace {name} already exists")));
    }
    Ok(())
}

/// What was pushed goes with the namespace.
fn empty(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    forget_contents(act.tx, key, None);
    Ok(())
}

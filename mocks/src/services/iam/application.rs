//! Application: a principal that is a program.

use serde_json::json;

use super::{editable, resource};
use crate::kernel::{Act, Refusal, Resource, computed, optional, required};

pub(super) fn application() -> Resource {
    let fields = [
        required("name").text(1..=64),
        optional("description").text(0..=200),
        optional("tags").strings(),
        computed("nb_api_keys", |_| Ok(json!(0))),
    ];
    resource("iam.application", "/iam/v1alpha1/applications/{application_id}")
        .fields(fields.into_iter().chain(editable()))
        .filters(&["name", "tags", "editable"])
        .order(&["created_at", "updated_at", "name"])
        .deleted(take_keys_along)
}

/// An application's API keys go with it.
fn take_keys_along(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let keys = act.tx.tables().all("iam.api_key").filter(|(_, record)| record.text("application_id") == key);
    let keys: Vec<String> = keys.map(|(key, _)| key.to_owned()).collect();
    for access_key in keys {
        super::api_key::forget_secret(act, &access_key)?;
        act.erase("iam.api_key", &access_key);
    }
    Ok(())
}

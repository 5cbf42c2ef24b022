//! Application: a principal that is a program.

use serde_json::json;

use super::{editable, has_tag, resource, take_leave};
use crate::kernel::{Resource, computed, optional, required};

pub(super) fn application() -> Resource {
    let fields = [
        required("name").text(1..=64),
        optional("description").text(0..=200),
        optional("tags").strings(),
        computed("nb_api_keys", |_| Ok(json!(0))),
    ];
    resource("iam.application", "/iam/v1alpha1/applications/{application_id}")
        .permissions(
            &["IAMReadOnly", "IAMApplicationReadOnly"],
            &["IAMManager", "OrganizationManager", "IAMApplicationManager"],
        )
        .fields(fields.into_iter().chain(editable()))
        .filters(&["name", "editable"])
        .order(&["created_at", "updated_at", "name"])
        .listed_if(|record, call| has_tag(record, call) && call.asks_for("application_ids", record.text("id")))
        .deleted(|act, key| take_leave(act, "application", key))
}

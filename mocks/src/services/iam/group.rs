//! Group: principals that share policies.

use serde_json::json;

use super::{editable, resource};
use crate::kernel::{Act, Answer, Record, Refusal, Resource, optional, required};

const MEMBERS: &str = "/iam/v1alpha1/groups/{group_id}/members";

pub(super) fn group() -> Resource {
    let fields = [required("name").text(1..=64), optional("description").text(0..=200), optional("tags").strings()];
    resource("iam.group", "/iam/v1alpha1/groups/{group_id}")
        .fields(fields.into_iter().chain(editable()))
        .filters(&["name", "tags"])
        .order(&["created_at", "updated_at", "name"])
        .made(|making| {
            making.set("user_ids", json!([]));
            making.set("application_ids", json!([]));
            Ok(())
        })
        .act("PUT", MEMBERS, set_members)
}

fn set_members(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("group_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find("iam.group", &key)?);
    for (field, kind) in [("user_ids", "iam.user"), ("application_ids", "iam.application")] {
        let ids = act.call.body.get(field).and_then(|ids| ids.as_array()).cloned().unwrap_or_default();
        for id in &ids {
            act.find(kind, id.as_str().unwrap_or_default())?;
        }
        record.body.insert(field.into(), ids.into());
    }
    Ok(Answer::record(&act.change("iam.group", &key, record, "updated")))
}

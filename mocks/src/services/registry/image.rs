//! Registry image: a repository of a namespace, `rg.<region>.scw.cloud/<namespace>/<name>`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DELETING, READ, WRITE};
use crate::{
    kernel::{Act, Refusal, Resource, computed, optional, states},
    registry::{IMAGE, NAMESPACE, forget_contents, recount_namespace},
};

const ITEM: &str = "/registry/v1/regions/{region}/images/{image_id}";

pub(super) fn image() -> Resource {
    Resource::new(IMAGE)
        .at(ITEM)
        .under(NAMESPACE)
        .of_parent()
        .fields([
            optional("visibility").one_of(|| vec!["inherit", "public", "private"]).default("inherit"),
            computed("name", |_| Ok(Value::Null)),
            computed("namespace_id", |_| Ok(Value::Null)),
            computed("status_message", |_| Ok(json!(""))),
            computed("size", |_| Ok(json!(0))),
            computed("tags", |_| Ok(json!([]))),
        ])
        .states(states("ready", Duration::ZERO, "ready").deleting("deleting", DELETING))
        .filters(&["namespace_id"])
        .listed_if(|record, call| {
            // A name is asked for exactly (SDK). Whose the image is stands in its namespace.
            let project = record.hidden.get("project_id").and_then(Value::as_str);
            call.query("name").is_none_or(|name| record.text("name") == name)
                && call.query("project_id").is_none_or(|asked| project == Some(asked))
                && call.query("organization_id").is_none_or(|asked| asked == call.caller.organization_id)
        })
        .order(&["created_at", "name", "region", "status"])
        .permissions(READ, WRITE)
        .without(&["POST"])
        .deleted(forget)
}

/// Nothing of it can be pulled any more, and its namespace no longer counts it.
fn forget(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let image = act.find(IMAGE, key)?;
    let namespace = image.text("namespace_id");
    forget_contents(act.tx, namespace, Some(image.text("name")));
    recount_namespace(act.tx, namespace, Some(key));
    Ok(())
}

//! Registry tag: a name of one of an image's manifests.

use serde_json::{Value, json};

use super::{READ, WRITE};
use crate::{
    kernel::{Act, Answer, Record, Refusal, Resource, computed},
    registry::{IMAGE, TAG, recount_image},
};

const OF_IMAGE: &str = "/registry/v1/regions/{region}/images/{image_id}/tags/{tag_id}";
const ITEM: &str = "/registry/v1/regions/{region}/tags/{tag_id}";

pub(super) fn tag() -> Resource {
    Resource::new(TAG)
        .at(OF_IMAGE)
        .under(IMAGE)
        .of_parent()
        .fields([
            computed("name", |_| Ok(Value::Null)),
            computed("image_id", |_| Ok(Value::Null)),
            computed("status", |_| Ok(json!("ready"))),
            computed("digest", |_| Ok(Value::Null)),
        ])
        // A name is asked for exactly (SDK).
        .listed_if(|record, call| call.query("name").is_none_or(|name| record.text("name") == name))
        .order(&["created_at", "name"])
        .permissions(READ, WRITE)
        .without(&["POST", "GET", "PATCH", "DELETE"])
        .look(ITEM, |look| {
            let id = look.call.param("tag_id").unwrap_or_default();
            Ok(Value::Object(look.find(TAG, id)?.body.clone()))
        })
        .act("DELETE", ITEM, delete)
}

/// The name goes; the manifest can still be pulled by its digest.
fn delete(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let id = act.call.param("tag_id").unwrap_or_default().to_owned();
    let mut tag = Record::clone(&*act.find(TAG, &id)?);
    act.erase(TAG, &id);
    recount_image(act.tx, tag.text("image_id"));
    tag.body.insert("status".into(), json!("deleting"));
    Ok(Answer::record(&tag))
}

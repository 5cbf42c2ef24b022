//! Token: what opens a private function, or all of a namespace. Deprecated in favour of IAM.
//!
//! Recorded: as a container's, but that it answers a description and when it expires.

use std::time::Duration;

use super::{FUNCTION, NAMESPACE, READ, TOKEN, WRITE, hide_times};
use crate::{
    kernel::{Act, Answer, Making, Reason, Refusal, Resource, computed, optional, states},
    services::containers::token::{check_expiry, shown_once},
};

const COLLECTION: &str = "/functions/v1beta1/regions/{region}/tokens";

pub(super) fn token() -> Resource {
    Resource::new(TOKEN)
        .at("/functions/v1beta1/regions/{region}/tokens/{token_id}")
        .under(NAMESPACE)
        .of_parent()
        .fields([
            optional("function_id").refers_to(FUNCTION),
            optional("namespace_id").refers_to(NAMESPACE),
            optional("description").text(0..=65_536),
            optional("expires_at").time(),
            computed("token", |_| Ok("<hidden>".into())),
            computed("public_key", |_| Ok("".into())),
        ])
        .states(states("creating", Duration::from_secs(5), "ready").deleting("deleting", Duration::from_secs(1)))
        .filters(&["function_id", "namespace_id"])
        .without(&["PATCH"])
        .permissions(READ, WRITE)
        .made(make)
        .act("POST", COLLECTION, create)
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let (function, namespace) = (making.text("function_id").to_owned(), making.text("namespace_id").to_owned());
    hide_times(making);
    match (function.is_empty(), namespace.is_empty()) {
        (false, true) => {
            let function = making.act(FUNCTION, |act| act.find(FUNCTION, &function))?;
            making.record.body.remove("namespace_id");
            making.record.hidden.insert("namespace_id".into(), function.text("namespace_id").into());
        }
        (true, false) => {
            making.record.body.remove("function_id");
        }
        _ => {
            let help = "name exactly one of function_id and namespace_id";
            return Err(Refusal::argument("function_id", Reason::Required, help));
        }
    }
    check_expiry(making)
}

/// POST: the only answer that shows the token and the key to verify it with.
fn create(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let call = act.call;
    let key = act.create(TOKEN, call)?;
    let record = act.find(TOKEN, &key)?;
    Ok(Answer::Ok(shown_once(act, NAMESPACE, &record, record.text("function_id"))?))
}

//! Budget alert notification: who is told, and by what. Read with its budget.

use serde_json::{Value, json};

use super::{ALERT, NOTIFICATION, READ, WRITE, budget::show};
use crate::kernel::{Making, Reason, Refusal, Resource, computed, optional, required};

/// What recipients are named by, and the type that is answered (recorded).
const WAYS: [(&str, &str); 3] =
    [("sms_phone_numbers", "sms"), ("email_addresses", "email"), ("webhook_urls", "webhook")];

pub(super) fn budget_alert_notification() -> Resource {
    Resource::new(NOTIFICATION)
        .at("/billing/v2/budget-alert-notifications/{budget_alert_notification_id}")
        .under(ALERT)
        .of_parent()
        .without(&["GET", "LIST"])
        .fields([
            required("budget_alert_id").refers_to(ALERT).input_only().fixed(),
            optional("sms_phone_numbers").strings().default(Value::Null).input_only(),
            optional("email_addresses").strings().default(Value::Null).input_only(),
            optional("webhook_urls").strings().default(Value::Null).input_only(),
            computed("type", |_| Ok(Value::Null)),
            computed("recipients", |_| Ok(json!([]))),
        ])
        .permissions(READ, WRITE)
        .made(|making| address(making, true))
        .updated(|making| address(making, false))
        .deleted(|act, key| {
            show(act.tx, (NOTIFICATION, key, None));
            Ok(())
        })
}

/// Precisely one way of telling (SDK); an update may leave it as it is.
fn address(making: &mut Making<'_, '_>, new: bool) -> Result<(), Refusal> {
    let named: Vec<(&str, Value)> = WAYS
        .iter()
        .filter_map(|(field, kind)| Some((*kind, making.input.get(*field)?.clone())))
        .filter(|(_, recipients)| recipients.as_array().is_some_and(|recipients| !recipients.is_empty()))
        .collect();
    match named.as_slice() {
        [] if !new => {}
        [(kind, recipients)] => {
            making.set("type", *kind);
            making.set("recipients", recipients.clone());
        }
        _ => {
            let help = "name precisely one of sms_phone_numbers, email_addresses and webhook_urls";
            let reason = if named.is_empty() { Reason::Required } else { Reason::Constraint };
            return Err(Refusal::argument("email_addresses", reason, help));
        }
    }
    for (field, _) in WAYS {
        making.record.hidden.remove(field);
    }
    show(making.tx, (NOTIFICATION, making.key, Some(making.record)));
    Ok(())
}

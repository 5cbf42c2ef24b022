//! Budget: how much an organisation means to spend in a month. Its alerts are answered with it.

use serde_json::{Value, json};

use super::{ALERT, BUDGET, NOTIFICATION, READ, WRITE};
use crate::kernel::{Making, Record, Refusal, Resource, Transaction, computed, older, optional, required};

pub(super) fn budget() -> Resource {
    Resource::new(BUDGET)
        .at("/billing/v2/budgets/{budget_id}")
        .called("Budget")
        .listed_as("budgets")
        .of_organization()
        .fields([
            required("consumption_limit").integer(0..=i64::from(u32::MAX)),
            optional("enabled").flag(),
            computed("alerts", |_| Ok(json!([]))),
        ])
        .permissions(READ, WRITE)
        .made(as_money)
        .updated(as_money)
}

/// The limit is asked for as a number and answered as money, without a currency (recorded).
fn as_money(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    if let Some(limit) = making.input.get("consumption_limit").cloned() {
        making.set("consumption_limit", json!({"currency_code": "", "units": limit, "nanos": 0}));
    }
    Ok(())
}

/// Shows an alert's notifications in the alert, and an alert in its budget. `changed` is what is about to be
/// written: its kind, its key, and the record, or none where it goes.
pub(super) fn show(tx: &mut Transaction<'_>, changed: (&str, &str, Option<&Record>)) {
    let (kind, key, record) = changed;
    let (parent, field, list) = match kind {
        NOTIFICATION => (ALERT, "budget_alert_id", "notifications"),
        ALERT => (BUDGET, "budget_id", "alerts"),
        _ => return,
    };
    let before = tx.get(kind, key).cloned();
    let Some(named) = record.or(before.as_deref()).map(|record| record.text_or_hidden(field).to_owned()) else {
        return;
    };
    let mut shown: Vec<Value> = tx
        .tables()
        .all(kind)
        .filter(|(other, record)| *other != key && record.text_or_hidden(field) == named)
        .map(|(_, record)| Value::Object(record.body.clone()))
        .chain(record.map(|record| Value::Object(record.body.clone())))
        .collect();
    shown.sort_by(older);
    let Some(mut above) = tx.get(parent, &named).map(|record| Record::clone(record)) else { return };
    above.body.insert(list.into(), shown.into());
    // What holds them is not updated by that (recorded: its `updated_at` stays).
    tx.put(parent, &named, above.clone());
    show(tx, (parent, &named, Some(&above)));
}

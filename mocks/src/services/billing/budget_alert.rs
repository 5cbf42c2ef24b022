//! Budget alert: at which part of a budget somebody is to be told. Read with its budget.

use serde_json::json;

use super::{ALERT, BUDGET, READ, WRITE, budget::show};
use crate::kernel::{Resource, computed, required};

pub(super) fn budget_alert() -> Resource {
    Resource::new(ALERT)
        .at("/billing/v2/budget-alerts/{budget_alert_id}")
        .under(BUDGET)
        .of_parent()
        .without(&["GET", "LIST"])
        .fields([
            required("budget_id").refers_to(BUDGET).input_only().fixed(),
            required("threshold").integer(0..=i64::from(u32::MAX)),
            computed("notifications", |_| Ok(json!([]))),
        ])
        .permissions(READ, WRITE)
        .made(|making| {
            show(making.tx, (ALERT, making.key, Some(making.record)));
            Ok(())
        })
        .updated(|making| {
            show(making.tx, (ALERT, making.key, Some(making.record)));
            Ok(())
        })
        .deleted(|act, key| {
            show(act.tx, (ALERT, key, None));
            Ok(())
        })
}

//! Plan: how much Cockpit used to cost. Deprecated; what is left of it is read by older stacks.

use serde_json::{Value, json};

use super::{READ, WRITE, all, of_project, project};
use crate::kernel::{Answer, Reason, Refusal, Resource};

const PLAN: &str = "cockpit.plan";
const PATH: &str = "/cockpit/v1/current-plan";
const PLANS: &str = "/cockpit/v1/plans";

/// Name, price of a month in euros, and how long logs and traces, and metrics are kept, in days (recorded).
const OFFERED: [(&str, u64, u64, u64); 3] = [("custom", 29, 31, 365), ("free", 0, 7, 31), ("premium", 29, 31, 365)];

pub(super) fn plan() -> Resource {
    Resource::new(PLAN)
        .at(PATH)
        .singleton()
        .of_parent()
        .permissions(READ, WRITE)
        .without(&["PATCH", "PUT"])
        .look(PATH, |look| {
            let project = project(look.tables, look.catalogue, look.call)?;
            let chosen = look.tables.get(PLAN, &project).map_or("free", |record| record.text("name"));
            Ok(named(chosen).unwrap_or_default())
        })
        .look(PLANS, |_| {
            let plans: Vec<Value> = OFFERED.iter().filter_map(|(name, ..)| named(name)).collect();
            Ok(all("plans", &plans))
        })
        .act("PATCH", PLANS, |act| {
            let project = project(act.tx.tables(), act.catalogue, act.call)?;
            let asked = act.call.text("plan_name").unwrap_or_default();
            let plan = named(asked)
                .ok_or_else(|| Refusal::argument("plan_name", Reason::Constraint, "must be free, premium or custom"))?;
            let record = of_project(&json!({"name": asked}), &project);
            act.change(PLAN, &project, record, "updated");
            Ok(Answer::Ok(plan))
        })
}

fn named(asked: &str) -> Option<Value> {
    let (name, price, kept, metrics) = OFFERED.into_iter().find(|(name, ..)| *name == asked)?;
    let days = |days: u64| format!("{}s", days * 86_400);
    Some(json!({
        "name": name, "monthly_price": price, "logs_ingestion_price": 35, "sample_ingestion_price": 15,
        "traces_ingestion_price": 35, "retention_logs_interval": days(kept),
        "retention_traces_interval": days(kept), "retention_metrics_interval": days(metrics),
    }))
}

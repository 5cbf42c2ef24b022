//! Whether what a principal holds allows something.
//!
//! The owner of an organisation may do everything in it. Everybody else may do
//! what the rules of their policies, and of their groups' policies, say, where a
//! rule's condition holds.

use serde_json::Value;

use super::{OWNER, condition};
use crate::kernel::{Asking, Record, Tables, Within};

/// Whether the caller holds one of the permission sets that allow it there.
pub fn authorize(tables: &Tables, asking: &Asking<'_>) -> bool {
    let caller = asking.caller;
    let (kind, id) = (caller.principal.0.as_str(), caller.principal.1.as_str());
    if kind == "user" && tables.get("iam.user", id).is_some_and(|user| user.text("type") == OWNER) {
        return match asking.within {
            Within::Organization => true,
            Within::Project(project) => tables
                .get("account.project", project)
                .is_some_and(|project| project.text("organization_id") == caller.organization_id),
        };
    }
    let (field, list) = match kind {
        "user" => ("user_id", "user_ids"),
        _ => ("application_id", "application_ids"),
    };
    let groups: Vec<&str> = tables
        .all("iam.group")
        .filter(|(_, group)| texts(group.body.get(list)).any(|member| member == id))
        .map(|(key, _)| key)
        .collect();
    let is_his = |policy: &Record| policy.text(field) == id || groups.contains(&policy.text("group_id"));
    tables
        .all("iam.policy")
        .filter(|(_, policy)| is_his(policy))
        .filter_map(|(key, _)| tables.get("iam.rule", key))
        .flat_map(|rules| rules.body.get("rules").and_then(Value::as_array).into_iter().flatten())
        .any(|rule| grants(tables, rule, asking))
}

fn grants(tables: &Tables, rule: &Value, asking: &Asking<'_>) -> bool {
    // Of its own organisation: a rule can name no other.
    let everywhere = rule.get("organization_id").and_then(Value::as_str);
    let there = match (asking.within, everywhere) {
        (Within::Organization, everywhere) => everywhere.is_some(),
        (Within::Project(project), None) => texts(rule.get("project_ids")).any(|id| id == project),
        (Within::Project(project), Some(organization)) => tables
            .get("account.project", project)
            .is_some_and(|project| project.text("organization_id") == organization),
    };
    there && texts(rule.get("permission_set_names")).any(|name| asking.allowing.has(name)) && holds(rule, asking)
}

/// Whether the condition of a rule is met. One that cannot be evaluated is not.
fn holds(rule: &Value, asking: &Asking<'_>) -> bool {
    let condition = rule.get("condition").and_then(Value::as_str).unwrap_or_default();
    condition.is_empty() || condition::holds(condition, asking)
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

//! Whether a principal holds a permission set somewhere.
//!
//! The owner of an organisation may do everything in it. Everybody else may do
//! what the rules of their policies, and of their groups' policies, say.
//! Conditions of rules are not evaluated yet: a rule that has one grants nothing.

use serde_json::Value;

use super::OWNER;
use crate::kernel::{Caller, Record, Tables, Within};

/// Whether this caller holds one of these permission sets within this.
pub fn authorize(
    tables: &Tables,
    caller: &Caller,
    sets: &mut dyn Iterator<Item = &'static str>,
    within: Within<'_>,
) -> bool {
    let (kind, id) = (caller.principal.0.as_str(), caller.principal.1.as_str());
    if kind == "user" && tables.get("iam.user", id).is_some_and(|user| user.text("type") == OWNER) {
        return match within {
            Within::Organization => true,
            Within::Project(project) => tables
                .get("account.project", project)
                .is_some_and(|project| project.text("organization_id") == caller.organization_id),
        };
    }
    let sets: Vec<&str> = sets.collect();
    let field = format!("{kind}_id");
    let groups: Vec<&str> = tables
        .all("iam.group")
        .filter(|(_, group)| texts(group.body.get(&format!("{kind}_ids"))).any(|member| member == id))
        .map(|(key, _)| key)
        .collect();
    let is_his = |policy: &Record| policy.text(&field) == id || groups.contains(&policy.text("group_id"));
    tables
        .all("iam.policy")
        .filter(|(_, policy)| is_his(policy))
        .filter_map(|(key, _)| tables.get("iam.rule", key))
        .flat_map(|rules| rules.body.get("rules").and_then(Value::as_array).into_iter().flatten())
        .any(|rule| grants(rule, &sets, within))
}

fn grants(rule: &Value, sets: &[&str], within: Within<'_>) -> bool {
    let everywhere = rule.get("organization_id").is_some();
    let there = match within {
        Within::Organization => everywhere,
        Within::Project(project) => everywhere || texts(rule.get("project_ids")).any(|id| id == project),
    };
    let unconditional = rule.get("condition").and_then(Value::as_str).unwrap_or_default().is_empty();
    there && unconditional && texts(rule.get("permission_set_names")).any(|name| sets.contains(&name))
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

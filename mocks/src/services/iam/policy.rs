//! Policy: which permission sets a principal holds, and where.
//!
//! Rules keep their order, and each has exactly one of `organization_id` and
//! `project_ids`; the other key is absent (recorded).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    condition, editable, has_tag,
    permission_set::{self, Reach},
    resource,
};
use crate::kernel::{
    ArgumentFault, Call, Field, Making, Reason, Record, Refusal, Resource, computed, optional, required,
};

const READ: &[&str] = &["IAMReadOnly", "IAMPolicyReadOnly"];
const WRITE: &[&str] = &["IAMManager", "OrganizationManager", "IAMPolicyManager"];
/// Which permission sets there are may know who reads anything of IAM.
const SETS: &[&str] = &[
    "IAMReadOnly",
    "IAMManager",
    "OrganizationManager",
    "IAMApplicationManager",
    "IAMApplicationReadOnly",
    "IAMUserManager",
    "IAMUserReadOnly",
    "IAMGroupManager",
    "IAMGroupReadOnly",
    "IAMPolicyManager",
    "IAMPolicyReadOnly",
];

const BEARERS: [&str; 3] = ["user_id", "group_id", "application_id"];

fn rule_fields() -> [Field; 4] {
    [
        required("permission_set_names").strings(),
        optional("condition").text(0..=4096),
        optional("organization_id").uuid(),
        optional("project_ids").strings().default(Value::Null),
    ]
}

pub(super) fn policy() -> Resource {
    let fields = [
        required("name").text(1..=64),
        optional("description").text(0..=200),
        optional("tags").strings(),
        optional("user_id").refers_to("iam.user"),
        optional("group_id").refers_to("iam.group"),
        optional("application_id").refers_to("iam.application"),
        optional("no_principal").flag(),
        optional("rules").objects(rule_fields()).input_only(),
        computed("nb_rules", |_| Ok(json!(0))),
        computed("nb_scopes", |_| Ok(json!(0))),
        computed("nb_permission_sets", |_| Ok(json!(0))),
    ];
    resource("iam.policy", "/iam/v1alpha1/policies/{policy_id}")
        .permissions(READ, WRITE)
        .allowing(&["permission-sets"], SETS)
        .fields(fields.into_iter().chain(editable()))
        .filters(&["editable"])
        .order(&["policy_name", "created_at"])
        .listed_if(is_asked_for)
        .look("/iam/v1alpha1/permission-sets", permission_set::list)
        .made(|making| {
            one_bearer(making)?;
            let rules = making.record.hidden.remove("rules").unwrap_or_default();
            let rules = decorate(making, rules.as_array().map_or(&[], Vec::as_slice))?;
            let policy = making.key.to_owned();
            count(making.record, &rules);
            making.tx.put("iam.rule", &policy, Record::of(&json!({"rules": rules})));
            Ok(())
        })
        .updated(|making| {
            // Naming another bearer takes the place of the one before.
            let is_named = |field: &str| making.input.get(field).is_some_and(|value| *value != json!(""));
            let named: Vec<&str> = BEARERS.into_iter().filter(|field| is_named(field)).collect();
            let nobody = making.input.get("no_principal") == Some(&json!(true));
            if nobody || !named.is_empty() {
                for field in BEARERS.into_iter().filter(|field| !named.contains(field)) {
                    making.record.body.remove(field);
                }
                making.set("no_principal", nobody);
            }
            one_bearer(making)
        })
}

pub(super) fn rules() -> Resource {
    resource("iam.rule", "/iam/v1alpha1/rules")
        .permissions(READ, WRITE)
        .under("iam.policy")
        .whole_list("rules")
        .fields(rule_fields())
        .made(|making| {
            let rules = making.record.body.remove("rules").unwrap_or_default();
            let rules = decorate(making, rules.as_array().map_or(&[], Vec::as_slice))?;
            let policy = making.key.to_owned();
            making.act("iam.policy", |act| {
                let mut record = Record::clone(&*act.find("iam.policy", &policy)?);
                count(&mut record, &rules);
                act.change("iam.policy", &policy, record, "updated");
                Ok(())
            })?;
            making.set("rules", rules);
            Ok(())
        })
}

/// The query parameters of its list that are not fields of its answers.
fn is_asked_for(record: &Record, call: &Call) -> bool {
    let nobody = record.body.get("no_principal") == Some(&json!(true));
    has_tag(record, call)
        && call.query("policy_name").is_none_or(|name| record.text("name").contains(name))
        && call.query("no_principal").is_none_or(|asked| (asked == "true") == nobody)
        && call.asks_for("policy_ids", record.text("id"))
        && BEARERS.iter().all(|bearer| call.asks_for(&format!("{bearer}s"), record.text(bearer)))
}

/// A policy is for one principal, or expressly for none. The others' keys are absent.
fn one_bearer(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let bearers = BEARERS.into_iter().filter(|field| !making.text(field).is_empty()).count();
    let nobody = making.record.body.get("no_principal") == Some(&json!(true));
    for field in BEARERS {
        if making.text(field).is_empty() {
            making.record.body.remove(field);
        }
    }
    if !nobody {
        making.record.body.remove("no_principal");
    }
    if bearers + usize::from(nobody) == 1 {
        return Ok(());
    }
    let help = "name exactly one of user_id, group_id, application_id and no_principal";
    Err(Refusal::argument("principal", Reason::Required, help))
}

/// Gives rules their identifiers and scope types, keeping their order.
fn decorate(making: &mut Making<'_, '_>, rules: &[Value]) -> Result<Vec<Value>, Refusal> {
    let mut decorated = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let mut body: Map<String, Value> = rule.as_object().cloned().unwrap_or_default();
        let organization = body.remove("organization_id").filter(|id| id.as_str().is_some_and(|id| !id.is_empty()));
        let projects = body.remove("project_ids").filter(|ids| ids.as_array().is_some_and(|ids| !ids.is_empty()));
        let fault = |name: &str, help: &str| {
            let argument = format!("rules.{index}.{name}");
            Err(Refusal::InvalidArguments(vec![ArgumentFault::new(argument, Reason::Constraint, help)]))
        };
        let scope = match (organization, projects) {
            (Some(id), None) if id.as_str() == Some(&making.call.caller.organization_id) => {
                body.insert("organization_id".into(), id);
                "organization"
            }
            (Some(_), None) => return fault("organization_id", "must be your organisation"),
            (None, Some(ids)) => {
                for id in ids.as_array().into_iter().flatten() {
                    let id = id.as_str().unwrap_or_default().to_owned();
                    making.act("account.project", |act| act.find("account.project", &id).map(drop))?;
                }
                body.insert("project_ids".into(), ids);
                "projects"
            }
            _ => return fault("scope", "name exactly one of organization_id and project_ids"),
        };
        let condition = body.get("condition").and_then(Value::as_str).unwrap_or_default();
        if let Err(why) = condition::check(condition) {
            return fault("condition", &why);
        }
        let names = body.get("permission_set_names").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut reach = None;
        for name in names.iter().filter_map(Value::as_str) {
            let Some(set) = permission_set::named(name) else {
                return fault("permission_set_names", &format!("{name} is no permission set"));
            };
            if *reach.get_or_insert(set.reach) != set.reach {
                return fault("permission_set_names", "must all be of one scope: projects, or organization");
            }
        }
        match (reach, scope) {
            (None, _) => return fault("permission_set_names", "name at least one permission set"),
            (Some(Reach::Organization), "projects") => {
                return fault("project_ids", "permission sets of the organisation cannot be scoped by project");
            }
            (Some(reach), _) => {
                body.insert("permission_sets_scope_type".into(), reach.as_str().into());
            }
        }
        body.insert("id".into(), making.tx.ids().uuid().into());
        decorated.push(Value::Object(body));
    }
    Ok(decorated)
}

fn count(policy: &mut Record, rules: &[Value]) {
    let names = |rule: &Value| rule.get("permission_set_names").and_then(Value::as_array).cloned().unwrap_or_default();
    let scopes = |rule: &Value| rule.get("project_ids").and_then(Value::as_array).map_or(1, Vec::len);
    let sets: BTreeSet<String> =
        rules.iter().flat_map(names).filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    policy.body.insert("nb_rules".into(), json!(rules.len()));
    policy.body.insert("nb_scopes".into(), json!(rules.iter().map(scopes).sum::<usize>()));
    policy.body.insert("nb_permission_sets".into(), json!(sets.len()));
}

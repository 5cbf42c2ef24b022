//! Group: principals that share policies.

use serde_json::{Value, json};

use super::{editable, has_one_of, has_tag, resource, texts};
use crate::kernel::{Act, Answer, Reason, Record, Refusal, Resource, optional, required};

/// The two kinds of members: the list of a group, the field that names one, the kind.
const MEMBERS: [(&str, &str, &str); 2] =
    [("user_ids", "user_id", "iam.user"), ("application_ids", "application_id", "iam.application")];

pub(super) fn group() -> Resource {
    let fields = [required("name").text(1..=64), optional("description").text(0..=200), optional("tags").strings()];
    resource("iam.group", "/iam/v1alpha1/groups/{group_id}")
        .permissions(&["IAMReadOnly", "IAMGroupReadOnly"], &["IAMManager", "OrganizationManager", "IAMGroupManager"])
        .fields(fields.into_iter().chain(editable()))
        .filters(&["name"])
        .order(&["created_at", "updated_at", "name"])
        .listed_if(|record, call| {
            has_tag(record, call)
                && call.asks_for("group_ids", record.text("id"))
                && MEMBERS.iter().all(|(list, ..)| has_one_of(record, call, list))
        })
        .made(|making| {
            making.set("user_ids", json!([]));
            making.set("application_ids", json!([]));
            Ok(())
        })
        .deleted(|act, key| {
            // A policy of a group that goes stays, for nobody.
            let his: Vec<(String, Record)> = act
                .tx
                .tables()
                .all("iam.policy")
                .filter(|(_, policy)| policy.text("group_id") == key)
                .map(|(key, policy)| (key.to_owned(), Record::clone(policy)))
                .collect();
            for (policy, mut record) in his {
                record.body.remove("group_id");
                record.body.insert("no_principal".into(), json!(true));
                act.change("iam.policy", &policy, record, "updated");
            }
            Ok(())
        })
        .act("PUT", "/iam/v1alpha1/groups/{group_id}/members", set_members)
        .act("POST", "/iam/v1alpha1/groups/{group_id}/add-member", add_one)
        .act("POST", "/iam/v1alpha1/groups/{group_id}/add-members", add_several)
        .act("POST", "/iam/v1alpha1/groups/{group_id}/remove-member", remove)
}

fn the_group(act: &Act<'_, '_>) -> Result<(String, Record), Refusal> {
    let key = act.call.param("group_id").unwrap_or_default().to_owned();
    let record = Record::clone(&*act.find("iam.group", &key)?);
    Ok((key, record))
}

/// The members that a request lists, all of them known.
fn listed(act: &Act<'_, '_>, list: &'static str, kind: &str) -> Result<Vec<String>, Refusal> {
    let must = || Refusal::argument(list, Reason::Format, "must be a list of identifiers");
    let mut members = Vec::new();
    match act.call.body.get(list) {
        None | Some(Value::Null) => {}
        Some(Value::Array(ids)) => {
            for id in ids {
                let id = id.as_str().ok_or_else(must)?;
                act.find(kind, id)?;
                members.push(id.to_owned());
            }
        }
        Some(_) => return Err(must()),
    }
    Ok(members)
}

fn set_members(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (key, mut record) = the_group(act)?;
    for (list, _, kind) in MEMBERS {
        record.body.insert(list.into(), json!(listed(act, list, kind)?));
    }
    Ok(Answer::record(&act.change("iam.group", &key, record, "updated")))
}

fn add_several(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (key, mut record) = the_group(act)?;
    for (list, _, kind) in MEMBERS {
        for member in listed(act, list, kind)? {
            add(&mut record, list, &member);
        }
    }
    Ok(Answer::record(&act.change("iam.group", &key, record, "updated")))
}

fn add_one(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (key, mut record) = the_group(act)?;
    let (list, member, kind) = named(act)?;
    act.find(kind, &member)?;
    add(&mut record, list, &member);
    Ok(Answer::record(&act.change("iam.group", &key, record, "updated")))
}

/// Recorded: removing somebody who is no member is 404, without a resource's name.
fn remove(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (key, mut record) = the_group(act)?;
    let (list, member, _) = named(act)?;
    if !texts(&record, list).any(|id| id == member) {
        return Err(Refusal::not_found("", member));
    }
    let kept: Vec<Value> = texts(&record, list).filter(|id| *id != member).map(Value::from).collect();
    record.body.insert(list.into(), kept.into());
    Ok(Answer::record(&act.change("iam.group", &key, record, "updated")))
}

/// The one member that a request names: which list, who, of which kind.
fn named(act: &Act<'_, '_>) -> Result<(&'static str, String, &'static str), Refusal> {
    let named: Vec<_> = MEMBERS
        .into_iter()
        .filter_map(|(list, field, kind)| Some((list, act.call.text(field)?.to_owned(), kind)))
        .collect();
    let [one] = &named[..] else {
        let help = "name exactly one of user_id and application_id";
        return Err(Refusal::argument("member", Reason::Required, help));
    };
    Ok(one.clone())
}

fn add(group: &mut Record, list: &str, member: &str) {
    let mut members: Vec<&str> = texts(group, list).collect();
    if !members.contains(&member) {
        members.push(member);
    }
    let members = json!(members);
    group.body.insert(list.to_owned(), members);
}

//! IAM: who there is, what they may do. API reference: IAM API v1alpha1.
//!
//! Nobody signs in with a browser here, so there are no JWTs, no second factors
//! and no logs of sign-ins. Not emulated: passwords, locking, cloning a policy,
//! quotas, security settings of the organisation.

mod api_key;
mod application;
mod authorize;
mod condition;
mod federation;
mod group;
mod permission_set;
mod policy;
mod ssh_key;
mod user;

pub use authorize::authorize;
pub(crate) use user::OWNER;

use crate::kernel::{Act, Call, Product, Record, Resource, computed};
use serde_json::{Value, json};

/// Documented: who manages the organisation manages IAM, too; who reads the organisation's general information does not
/// read IAM.
const READ: &[&str] = &["IAMReadOnly"];
const WRITE: &[&str] = &["IAMManager", "OrganizationManager"];

pub(super) fn product() -> Product {
    Product {
        name: "iam",
        title: "IAM",
        resources: [
            user::user(),
            application::application(),
            group::group(),
            api_key::api_key(),
            ssh_key::ssh_key(),
            policy::policy(),
            policy::rules(),
        ]
        .into_iter()
        .chain(federation::resources())
        .collect(),
    }
}

/// An IAM resource: the organisation's, with the permission sets all of them share.
fn resource(kind: &'static str, path: &'static str) -> Resource {
    Resource::new(kind).at(path).of_organization().permissions(READ, WRITE)
}

/// What every principal and policy says of itself (recorded).
fn editable() -> [crate::kernel::Field; 3] {
    [
        computed("editable", |_| Ok(json!(true))),
        computed("deletable", |_| Ok(json!(true))),
        computed("managed", |_| Ok(json!(false))),
    ]
}

/// Whether one of a record's tags contains what the query's `tag` says.
fn has_tag(record: &Record, call: &Call) -> bool {
    let Some(asked) = call.query("tag") else { return true };
    texts(record, "tags").any(|tag| tag.contains(asked))
}

/// Whether a record's list has one of the identifiers that the query names in a parameter of the same name.
fn has_one_of(record: &Record, call: &Call, list: &str) -> bool {
    call.query(list).is_none() || texts(record, list).any(|id| call.asks_for(list, id))
}

/// The texts of a record's list.
fn texts<'r>(record: &'r Record, list: &str) -> impl Iterator<Item = &'r str> {
    record.body.get(list).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A principal that goes leaves its groups, and its API keys go with it. Policies that were for it
/// stay, for nobody.
fn take_leave(act: &mut Act<'_, '_>, principal: &'static str, id: &str) -> Result<(), crate::kernel::Refusal> {
    let field = format!("{principal}_id");
    let of = |act: &Act<'_, '_>, kind: &str, is_his: &dyn Fn(&Record) -> bool| -> Vec<(String, Record)> {
        let records = act.tx.tables().all(kind).filter(|(_, record)| is_his(record));
        records.map(|(key, record)| (key.to_owned(), Record::clone(record))).collect()
    };
    for (access_key, _) in of(act, "iam.api_key", &|key| key.text(&field) == id) {
        api_key::forget_secret(act, &access_key)?;
        act.erase("iam.api_key", &access_key);
    }
    let list = format!("{principal}_ids");
    for (key, mut group) in of(act, "iam.group", &|group| texts(group, &list).any(|member| member == id)) {
        let kept: Vec<Value> = texts(&group, &list).filter(|member| *member != id).map(Value::from).collect();
        group.body.insert(list.clone(), kept.into());
        act.change("iam.group", &key, group, "updated");
    }
    for (key, mut policy) in of(act, "iam.policy", &|policy| policy.text(&field) == id) {
        policy.body.remove(&field);
        policy.body.insert("no_principal".into(), json!(true));
        act.change("iam.policy", &key, policy, "updated");
    }
    Ok(())
}

//! User: a person of the organisation, either a member who was made here or a
//! guest who was invited by mail address.

use serde_json::{Value, json};

use super::{has_tag, resource, take_leave};
use crate::kernel::{
    Act, Answer, Field, Look, Making, Reason, Record, Refusal, Resource, computed, optional, required,
};

/// The type of the user who owns the organisation and may do everything.
pub(crate) const OWNER: &str = "owner";

const ITEM: &str = "/iam/v1alpha1/users/{user_id}";

/// What a person may be told of, whether made here or changed later.
fn person() -> [Field; 5] {
    [
        optional("email").text(3..=255).default("").check(mail_address),
        optional("first_name").text(0..=255),
        optional("last_name").text(0..=255),
        optional("phone_number").text(0..=32),
        optional("locale").text(0..=16),
    ]
}

pub(super) fn user() -> Resource {
    let member = [
        required("email").text(3..=255).check(mail_address),
        required("username").text(1..=255),
        optional("first_name").text(0..=255),
        optional("last_name").text(0..=255),
        optional("phone_number").text(0..=32),
        optional("locale").text(0..=16),
    ];
    let fields = [
        optional("tags").strings(),
        optional("member").object(member).input_only().fixed(),
        computed("type", |_| Ok(json!("member"))),
        computed("status", |_| Ok(json!("activated"))),
        computed("mfa", |_| Ok(json!(false))),
        computed("two_factor_enabled", |_| Ok(json!(false))),
        computed("account_root_user_id", |_| Ok(json!(""))),
        computed("locked", |_| Ok(json!(false))),
        computed("last_login_at", |_| Ok(Value::Null)),
        computed("deletable", |_| Ok(json!(true))),
    ];
    resource("iam.user", ITEM)
        .permissions(&["IAMReadOnly", "IAMUserReadOnly"], &["IAMManager", "OrganizationManager", "IAMUserManager"])
        .fields(person().into_iter().chain(fields))
        .filters(&["mfa", "type"])
        .order(&["created_at", "updated_at", "email", "username", "last_login"])
        .listed_if(|record, call| has_tag(record, call) && call.asks_for("user_ids", record.text("id")))
        .made(flatten_member)
        .deleted(leave)
        .act("POST", "/iam/v1alpha1/users/{user_id}/update-username", rename)
        .look("/iam/v1alpha1/jwts", no_tokens)
}

fn mail_address(value: &Value) -> Result<(), String> {
    let address = value.as_str().unwrap_or_default();
    match address.split_once('@') {
        Some((name, host)) if !name.is_empty() && host.contains('.') && !host.contains('@') => Ok(()),
        _ => Err("must be a mail address".into()),
    }
}

/// The answer has the member's fields beside the others (recorded), the locale `en_US` by default.
/// A guest is invited by mail address only.
fn flatten_member(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let member = making.record.hidden.remove("member").filter(|member| !member.is_null());
    match (member, making.text("email").is_empty()) {
        (Some(member), true) => {
            for field in ["email", "username", "first_name", "last_name", "phone_number", "locale"] {
                making.set(field, member.get(field).cloned().unwrap_or_default());
            }
        }
        (None, false) => {
            let email = making.text("email").to_owned();
            making.set("username", email);
            making.set("status", "invitation_pending");
        }
        _ => return Err(Refusal::argument("member", Reason::Required, "name exactly one of email and member")),
    }
    if making.text("locale").is_empty() {
        making.set("locale", "en_US");
    }
    let (username, organization) = (making.text("username").to_owned(), making.text("organization_id").to_owned());
    making.act("iam.user", |act| refuse_taken(act, &username, &organization))
}

/// User names are unique in an organisation (SDK, `User.username`).
fn refuse_taken(act: &mut Act<'_, '_>, username: &str, organization: &str) -> Result<(), Refusal> {
    let is_it = |user: &Record| user.text("username") == username && user.text("organization_id") == organization;
    if act.tx.tables().all("iam.user").any(|(_, user)| is_it(user)) {
        return Err(Refusal::argument("username", Reason::Constraint, format!("{username} already exists")));
    }
    Ok(())
}

fn rename(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("user_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find("iam.user", &key)?);
    let username = act.call.text("username");
    let username =
        username.ok_or_else(|| Refusal::argument("username", Reason::Required, "username is required"))?.to_owned();
    if record.text("username") != username {
        let organization = record.text("organization_id").to_owned();
        refuse_taken(act, &username, &organization)?;
    }
    record.body.insert("username".into(), username.into());
    Ok(Answer::record(&act.change("iam.user", &key, record, "updated")))
}

fn leave(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    if act.find("iam.user", key)?.text("type") == OWNER {
        return Err(Refusal::Precondition {
            precondition: "resource_not_usable",
            help: "the owner of an organisation cannot be deleted".into(),
        });
    }
    take_leave(act, "user", key)
}

/// JWTs are made by signing in with a browser, which nobody does here: every user has none.
fn no_tokens(look: &Look<'_>) -> Result<Value, Refusal> {
    if let Some(user) = look.call.query("audience_id") {
        look.find("iam.user", user)?;
    }
    look.page("jwts", Vec::new())
}

//! User: a person of the organisation.

use serde_json::{Value, json};

use super::resource;
use crate::kernel::{Making, Refusal, Resource, computed, optional, required};

/// The type of the user who owns the organisation and may do everything.
pub(crate) const OWNER: &str = "owner";

pub(super) fn user() -> Resource {
    resource("iam.user", "/iam/v1alpha1/users/{user_id}")
        .fields([
            optional("tags").strings(),
            required("member")
                .object([
                    required("email").text(3..=255),
                    optional("username").text(0..=255),
                    optional("locale").text(0..=16),
                ])
                .input_only()
                .fixed(),
            computed("type", |_| Ok(json!("member"))),
            computed("status", |_| Ok(json!("activated"))),
            computed("mfa", |_| Ok(json!(false))),
            computed("locked", |_| Ok(json!(false))),
            computed("last_login_at", |_| Ok(Value::Null)),
            computed("deletable", |_| Ok(json!(true))),
        ])
        .filters(&["tags", "type"])
        .order(&["created_at", "email", "username"])
        .made(flatten_member)
}

/// The answer has the member's fields beside the others (recorded), the locale `en_US` by default.
fn flatten_member(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let member = making.record.hidden.remove("member").unwrap_or_default();
    let text = |field: &str| member.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (email, username, locale) = (text("email"), text("username"), text("locale"));
    making.set("username", if username.is_empty() { email.clone() } else { username });
    making.set("locale", if locale.is_empty() { "en_US".to_owned() } else { locale });
    making.set("email", email);
    Ok(())
}

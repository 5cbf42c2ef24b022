//! Privilege: what a user may do in a database.
//!
//! Set by PUT for one user and one database; `none` takes it away but leaves it
//! listed (the provider reads an empty list as an error).

use serde_json::{Value, json};

use super::{READ, WRITE};
use crate::kernel::{Act, Answer, Reason, Record, Refusal, Resource};

const COLLECTION: &str = "/rdb/v1/regions/{region}/instances/{instance_id}/privileges";
const PERMISSIONS: [&str; 5] = ["readonly", "readwrite", "all", "custom", "none"];

pub(super) fn privilege() -> Resource {
    Resource::new("rdb.privilege")
        .at("/rdb/v1/regions/{region}/instances/{instance_id}/privileges/{database_name}")
        .under("rdb.instance")
        .named_by("database_name")
        .filters(&["database_name", "user_name"])
        .order(&["user_name", "database_name"])
        .without(&["POST", "GET", "PATCH", "DELETE"])
        .permissions(READ, WRITE)
        .act("PUT", COLLECTION, set)
}

fn set(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let instance = act.call.param("instance_id").unwrap_or_default().to_owned();
    act.find_settled("rdb.instance", &instance)?;
    let text = |field: &'static str| {
        act.call.text(field).ok_or_else(|| Refusal::argument(field, Reason::Required, format!("{field} is required")))
    };
    let (database, user, permission) = (text("database_name")?, text("user_name")?, text("permission")?);
    if !PERMISSIONS.contains(&permission) {
        return Err(Refusal::argument(
            "permission",
            Reason::Constraint,
            format!("must be one of {}", PERMISSIONS.join(", ")),
        ));
    }
    act.find("rdb.database", &format!("{instance}/{database}"))?;
    act.find("rdb.user", &format!("{instance}/{user}"))?;
    let body: Value = json!({
        "database_name": database, "user_name": user, "permission": permission, "effective_permission": permission,
    });
    let key = format!("{instance}/{database}/{user}");
    Ok(Answer::record(&act.change("rdb.privilege", &key, Record::of(&body), "updated")))
}

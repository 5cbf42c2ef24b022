//! Who may log in to a database, and as which of its roles.
//!
//! Documented ("How to manage user permissions", "How to use Row-Level Security"): the user is an IAM user's or
//! application's identifier, the password the secret key of an API key of it. Its permission sets decide about the role.
//! The name of the role that only reads is documented nowhere.

use stackproof_planes::serverless::Verdict;

use super::plane::{self, ADMIN, READER, WRITER};
use crate::{
    api,
    kernel::{Store, Within},
    services::iam,
};

/// The roles, from the one that may most down, with the permission sets that give them.
const ROLES: [(&str, &[&str]); 3] = [
    (ADMIN, &["ServerlessSQLDatabaseFullAccess", "ServerlessSQLDatabaseReadWrite", "AllProductsFullAccess"]),
    (WRITER, &["ServerlessSQLDatabaseDataReadWrite"]),
    (READER, &["ServerlessSQLDatabaseReadOnly", "AllProductsReadOnly"]),
];

/// Decides about a login to the database of this key, by what IAM knows now.
pub(crate) fn login(store: &Store, key: &str, user: &str, password: &str, name: &str) -> Verdict {
    let caller = match api::caller_of(store, password) {
        Ok(caller) if caller.principal.1 == user => caller,
        _ => return Verdict::WrongPassword,
    };
    store.read(|tables| {
        let Some(record) = tables.get(plane::KIND, key) else { return Verdict::NoDatabase };
        let project = Within::Project(record.text("project_id"));
        let role = ROLES.iter().find(|(_, sets)| iam::authorize(tables, &caller, &mut sets.iter().copied(), project));
        let Some((role, _)) = role else {
            let told = format!("principal {user} does not have permission to access database {key}");
            return Verdict::Denied { told };
        };
        if name != record.text("name") {
            return Verdict::NoDatabase;
        }
        match record.text("status") {
            // What went wrong may be over: whoever comes finds out.
            "ready" | "error" => Verdict::Admitted { role: (*role).to_owned() },
            status => Verdict::Unavailable { reason: format!("the database is not ready: its status is {status}") },
        }
    })
}

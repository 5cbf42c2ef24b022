//! Who may log in to a database, and as which of its roles.
//!
//! Documented ("How to manage user permissions", "How to use Row-Level Security"): the user is an IAM user's or
//! application's identifier, the password the secret key of an API key of it. Its permission sets decide about the role.
//! The name of the role that only reads is documented nowhere.

use stackproof_planes::serverless::Verdict;

use super::plane::{self, ADMIN, READER, WRITER};
use crate::{
    api,
    kernel::{Action, Allowing, Asking, Cloud, Within},
};

/// The roles, from the one that may most down, with the permission sets that give them.
const ROLES: [(&str, Action, &[&str]); 3] = [
    (
        ADMIN,
        Action("postgres", "log in as role_admin"),
        &["ServerlessSQLDatabaseReadWrite", "ServerlessSQLDatabaseFullAccess", "AllProductsFullAccess"],
    ),
    (WRITER, Action("postgres", "log in as role_readwrite"), &["ServerlessSQLDatabaseDataReadWrite"]),
    (READER, Action("postgres", "log in as role_readonly"), &["ServerlessSQLDatabaseReadOnly", "AllProductsReadOnly"]),
];

/// What allows a login as the role of this place, or as one that may more. What is done with the role is not known
/// here: it counts as having been needed.
fn allowing(place: usize) -> Allowing {
    ROLES.iter().take(place + 1).rev().fold(Allowing::default(), |all, (_, _, sets)| all.and(sets))
}

/// What allows each kind of login.
pub(crate) fn all_allowing() -> impl Iterator<Item = Allowing> {
    (0..ROLES.len()).map(allowing)
}

/// Decides about a login to the database of this key, by what IAM knows now.
pub(crate) fn login(cloud: &Cloud, key: &str, user: &str, password: &str, name: &str) -> Verdict {
    let (store, guard) = (cloud.store(), cloud.guard());
    let caller = match api::caller_of(store, password) {
        Ok(caller) if caller.principal.1 == user => caller,
        _ => return Verdict::WrongPassword,
    };
    store.read(|tables| {
        let Some(record) = tables.get(plane::KIND, key) else { return Verdict::NoDatabase };
        let within = Within::Project(record.text("project_id"));
        let about = Some((plane::KIND, key, record.as_ref()));
        let asking =
            |action, allowing| Asking { caller: &caller, action, allowing, within, about, now: store.clock().now() };
        let holds = |sets| guard.allows(tables, &asking(Action("postgres", "log in"), Allowing::new(sets)));
        let place = ROLES.iter().position(|(_, _, sets)| holds(*sets));
        let role = match place.and_then(|place| Some((place, ROLES.get(place)?))) {
            Some((place, (role, action, _))) => {
                guard.lets(tables, &asking(*action, allowing(place)), true).then_some(*role)
            }
            None => {
                let any = asking(Action("postgres", "log in"), allowing(ROLES.len() - 1));
                guard.lets(tables, &any, false).then_some(ADMIN)
            }
        };
        let Some(role) = role else {
            let told = format!("principal {user} does not have permission to access database {key}");
            return Verdict::Denied { told };
        };
        if name != record.text("name") {
            return Verdict::NoDatabase;
        }
        match record.text("status") {
            // What went wrong may be over: whoever comes finds out.
            "ready" | "error" => Verdict::Admitted { role: role.to_owned() },
            status => Verdict::Unavailable { reason: format!("the database is not ready: its status is {status}") },
        }
    })
}

//! A machine whose configuration is from before a rotation catches up: what it would undo is in use elsewhere.

use serde_json::Value;

use super::{What, journal::Journal};
use crate::{Failure, pulumi::Stack, sovereign::Home, stack::password};

/// The logical names of the users that a password is of, by the password's key.
const USERS: [(&str, &str); 4] = [
    ("databasePassword", "database-user"),
    ("databasePasswordAlternate", "database-user-alternate"),
    ("lockPassword", "lock-user"),
    ("lockPasswordAlternate", "lock-user-alternate"),
];

/// Brings a stack's configuration on this machine to where the audit trail says its credentials stand. Passwords are
/// those of its state. Nothing is done where nothing was rotated, or it was here.
///
/// # Errors
/// When the audit trail cannot be read, or Pulumi refuses.
pub async fn align(home: &Home, stack: &Stack, project: &str) -> Result<(), Failure> {
    let known = Journal::new(home, project).standings().await?;
    let mut behind = Vec::new();
    for standing in known.values() {
        let Some(setting) = standing.what.setting() else { continue };
        let is = stack.get(setting).await?.unwrap_or_else(|| "v1".to_owned());
        if !standing.settings().contains(&is) {
            behind.push((setting, *standing));
        }
    }
    if behind.is_empty() {
        return Ok(());
    }
    let state = stack.export_in_clear().await?;
    for what in [What::Database, What::Deployer] {
        if behind.iter().any(|(_, standing)| standing.what == what) {
            for generation in [1, 2] {
                take_over(stack, &state, what.password(generation)).await?;
            }
        }
    }
    let settings: Vec<(&str, String)> = behind.iter().map(|(key, standing)| (*key, standing.setting())).collect();
    stack.set_all(&settings).await
}

/// Sets a password to the one that was deployed last, if it was.
async fn take_over(stack: &Stack, state: &Value, key: Option<&'static str>) -> Result<(), Failure> {
    let Some((key, user)) = USERS.into_iter().find(|(known, _)| Some(*known) == key) else { return Ok(()) };
    match deployed(state, user) {
        Some(password) => stack.set_secret(key, &password).await,
        // Nothing is deployed: whoever signs in later does so with a new one.
        None if !stack.keys().await?.contains(key) => stack.set_secret(key, &password()).await,
        None => Ok(()),
    }
}

/// The password of a user in a state whose secrets are in clear: there, a secret's value is JSON in JSON.
fn deployed(state: &Value, user: &str) -> Option<String> {
    let resources = state.pointer("/deployment/resources")?.as_array()?;
    let found = resources.iter().find(|resource| {
        resource["type"] == "scaleway:databases/user:User"
            && resource["urn"].as_str().is_some_and(|urn| urn.rsplit("::").next() == Some(user))
    })?;
    let password = &found["inputs"]["password"];
    match password["plaintext"].as_str() {
        Some(text) => serde_json::from_str(text).ok(),
        None => password.as_str().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_password_that_was_deployed_is_found() {
        let user = |name: &str, password: Value| {
            json!({"type": "scaleway:databases/user:User", "urn": format!("urn:pulumi:dev::p::a$b::{name}"),
                "inputs": {"password": password}})
        };
        let state = json!({"deployment": {"resources": [
            user("database-user-alternate", json!({"plaintext": "\"Capital-City-9\""})),
            user("database-user", json!("Springfield-7")),
        ]}});
        assert_eq!(deployed(&state, "database-user").as_deref(), Some("Springfield-7"));
        assert_eq!(deployed(&state, "database-user-alternate").as_deref(), Some("Capital-City-9"));
        assert_eq!(deployed(&state, "lock-user"), None);
    }
}

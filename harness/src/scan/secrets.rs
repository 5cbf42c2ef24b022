//! Which credentials a stack has: what Secret Manager keeps.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::Credential;
use crate::{Failure, target::Api};

/// The secrets of a project, as the API describes them.
///
/// # Errors
/// When they cannot be listed.
pub async fn described(api: &Api, project: &str) -> Result<Vec<Value>, Failure> {
    let path = api.regional("secret-manager/v1beta1", &format!("secrets?project_id={project}"));
    let secrets = api.all(&path, "secrets").await?;
    secrets.map_err(|answer| Failure::failed("secrets could not be listed").because(&answer.body["message"]))
}

/// The values that Secret Manager keeps for a project, under their secrets' names.
///
/// # Errors
/// When they cannot be listed or read.
pub async fn stored(api: &Api, project: &str) -> Result<Vec<Credential>, Failure> {
    let mut found = Vec::new();
    for secret in described(api, project).await? {
        let (id, name) = (secret["id"].as_str().unwrap_or_default(), secret["name"].as_str().unwrap_or_default());
        let path = format!("secrets/{id}/versions/latest_enabled/access");
        let answer = api.get(&api.regional("secret-manager/v1beta1", &path)).await?;
        // A secret without any version has no value to be found.
        if answer.status == 404 {
            continue;
        }
        let value = answer.body["data"].as_str().and_then(|data| STANDARD.decode(data).ok());
        let value = value.and_then(|value| String::from_utf8(value).ok()).ok_or_else(|| {
            Failure::failed(format!("the secret {name} could not be read: {}", answer.status))
                .because(&answer.body["message"])
        })?;
        found.push(Credential::new(name, value));
    }
    Ok(found)
}

//! The state's secrets in Secret Manager: the passphrase, the deployers' key, the login of the lock's database.
//!
//! They are read when a command begins and live in its memory: none is written to this machine's disk, none is ever an
//! argument of a process.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use super::Names;
use crate::{
    Failure,
    target::{Api, ApiAnswer},
};

/// Secrets of one stack's foundation.
pub(crate) struct Vault<'a> {
    api: &'a Api,
    names: &'a Names,
}

impl<'a> Vault<'a> {
    pub(crate) fn new(api: &'a Api, names: &'a Names) -> Self {
        Self { api, names }
    }

    /// The present value of a secret; none where there is no such secret.
    pub(crate) async fn read(&self, what: &str) -> Result<Option<String>, Failure> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("secret_path", &self.names.secrets())
            .append_pair("secret_name", &self.names.named(what))
            .append_pair("project_id", &self.names.project)
            .finish();
        let path = self.path(&format!("secrets-by-path/versions/latest_enabled/access?{query}"));
        let answer = self.api.get(&path).await?;
        match answer.status {
            200 => {
                let data = answer.body["data"].as_str().and_then(|data| STANDARD.decode(data).ok());
                let text = data.and_then(|data| String::from_utf8(data).ok());
                text.map(Some).ok_or_else(|| Failure::failed(format!("secret {} is no text", self.names.named(what))))
            }
            404 => Ok(None),
            _ => Err(self.refused(what, "read", &answer)),
        }
    }

    /// Keeps a value under a name that is not taken yet.
    pub(crate) async fn keep(&self, what: &str, description: &str, value: &str) -> Result<(), Failure> {
        let secret = json!({
            "name": self.names.named(what),
            "path": self.names.secrets(),
            "project_id": self.names.project,
            "description": description,
            "tags": [format!("stack:{}", self.names.stack)],
            "type": "opaque",
        });
        let made = self.api.send(Method::POST, &self.path("secrets"), Some(secret)).await?;
        let id = match (made.status, made.body["id"].as_str()) {
            (200 | 201, Some(id)) => id.to_owned(),
            _ => return Err(self.refused(what, "made", &made)),
        };
        let version = json!({"data": STANDARD.encode(value)});
        let kept = self.api.send(Method::POST, &self.path(&format!("secrets/{id}/versions")), Some(version)).await?;
        if matches!(kept.status, 200 | 201) { Ok(()) } else { Err(self.refused(what, "filled", &kept)) }
    }

    fn path(&self, rest: &str) -> String {
        format!("/secret-manager/v1beta1/regions/{}/{rest}", self.names.region)
    }

    fn refused(&self, what: &str, done: &str, answer: &ApiAnswer) -> Failure {
        let said = answer.body.get("message").and_then(Value::as_str).unwrap_or("no message");
        let name = self.names.named(what);
        let failure = Failure::failed(format!("secret {}/{name} cannot be {done}", self.names.secrets()))
            .because(format!("Secret Manager answered {}: {said}", answer.status));
        match answer.status {
            401 | 403 => failure.next(format!(
                "have yourself put into the group {}: scw iam group add-member",
                self.names.named("deployers")
            )),
            _ => failure.next("stackproof doctor"),
        }
    }
}

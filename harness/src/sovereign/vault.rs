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
                text.map(Some).ok_or_else(|| self.no_text(what))
            }
            404 => Ok(None),
            _ => Err(self.refused(what, "read", &answer)),
        }
    }

    /// The identifier of a secret, whether it has a value or not; none where there is no such secret.
    pub(crate) async fn id(&self, what: &str) -> Result<Option<String>, Failure> {
        let (name, folder) = (self.names.named(what), self.names.secrets());
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("name", &name)
            .append_pair("path", &folder)
            .append_pair("project_id", &self.names.project)
            .finish();
        let listed = self.api.all(&self.path(&format!("secrets?{query}")), "secrets").await?;
        let listed = listed.map_err(|answer| self.refused(what, "looked for", &answer))?;
        let is_it = |secret: &&Value| {
            secret["name"] == name.as_str()
                && secret["path"] == folder.as_str()
                && secret["deletion_requested_at"].is_null()
        };
        Ok(listed.iter().find(is_it).and_then(|secret| secret["id"].as_str()).map(str::to_owned))
    }

    /// Keeps a value under a name that has none yet.
    pub(crate) async fn keep(&self, what: &str, description: &str, value: &str) -> Result<(), Failure> {
        let id = match self.id(what).await? {
            None => self.make(what, description).await?,
            // A run that was killed made it and gave it no value; unless somebody else has just done so.
            Some(id) => {
                if self.read(what).await?.is_some() {
                    return Err(self.taken(what));
                }
                id
            }
        };
        self.fill(what, &id, value).await
    }

    /// Adds a version to a secret that is there.
    pub(crate) async fn fill(&self, what: &str, id: &str, value: &str) -> Result<(), Failure> {
        let version = json!({"data": STANDARD.encode(value)});
        let filled = self.api.send(Method::POST, &self.path(&format!("secrets/{id}/versions")), Some(version)).await?;
        if matches!(filled.status, 200 | 201) { Ok(()) } else { Err(self.refused(what, "filled", &filled)) }
    }

    /// Makes a secret, without a value. Gives its identifier.
    async fn make(&self, what: &str, description: &str) -> Result<String, Failure> {
        let secret = json!({
            "name": self.names.named(what),
            "path": self.names.secrets(),
            "project_id": self.names.project,
            "description": description,
            "tags": [format!("stack:{}", self.names.stack)],
            "type": "opaque",
        });
        let made = self.api.send(Method::POST, &self.path("secrets"), Some(secret)).await?;
        match (made.status, made.body["id"].as_str()) {
            (200 | 201, Some(id)) => Ok(id.to_owned()),
            _ => Err(self.refused(what, "made", &made)),
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/secret-manager/v1beta1/regions/{}/{rest}", self.names.region)
    }

    fn taken(&self, what: &str) -> Failure {
        let name = self.names.named(what);
        Failure::failed(format!("secret {}/{name} has a value already", self.names.secrets()))
            .because("somebody else has just given it one")
            .next("the same command again: it goes on with that value")
    }

    fn no_text(&self, what: &str) -> Failure {
        let (name, folder) = (self.names.named(what), self.names.secrets());
        Failure::failed(format!("secret {folder}/{name} is no text"))
            .because("its latest version was written by somebody else")
            .next(format!(
                "scw secret secret list name={name} path={folder} region={}, then scw secret version disable <its id> \
                 revision=latest_enabled",
                self.names.region
            ))
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

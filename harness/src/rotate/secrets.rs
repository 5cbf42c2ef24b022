//! Versions of the stack's secrets in Secret Manager, by the secrets' names.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Failure,
    sovereign::Names,
    target::{Api, ApiAnswer},
};

/// The secrets of one stack.
pub(super) struct Secrets<'a> {
    api: Api,
    names: &'a Names,
}

impl<'a> Secrets<'a> {
    pub(super) fn new(api: Api, names: &'a Names) -> Self {
        Self { api, names }
    }

    /// Disables every version but the latest enabled one.
    pub(super) async fn disable_former(&self, what: &str) -> Result<(), Failure> {
        let Some(secret) = self.id(what).await? else { return Ok(()) };
        let enabled = self.revisions(&secret, "enabled").await?;
        let Some((_, former)) = enabled.split_last() else { return Ok(()) };
        for revision in former {
            let path = self.path(&format!("secrets/{secret}/versions/{revision}/disable"));
            let answer = self.api.send(Method::POST, &path, Some(json!({}))).await?;
            self.expect(what, "disabled", &answer, &[200])?;
        }
        Ok(())
    }

    /// Enables every version that is disabled.
    pub(super) async fn enable_former(&self, what: &str) -> Result<(), Failure> {
        let Some(secret) = self.id(what).await? else { return Ok(()) };
        for revision in self.revisions(&secret, "disabled").await? {
            let path = self.path(&format!("secrets/{secret}/versions/{revision}/enable"));
            let answer = self.api.send(Method::POST, &path, Some(json!({}))).await?;
            self.expect(what, "enabled", &answer, &[200])?;
        }
        Ok(())
    }

    /// Deletes versions that were disabled.
    pub(super) async fn delete_disabled(&self, what: &str) -> Result<(), Failure> {
        let Some(secret) = self.id(what).await? else { return Ok(()) };
        for revision in self.revisions(&secret, "disabled").await? {
            let path = self.path(&format!("secrets/{secret}/versions/{revision}"));
            let answer = self.api.send(Method::DELETE, &path, None).await?;
            self.expect(what, "deleted", &answer, &[200, 204])?;
        }
        Ok(())
    }

    /// Adds a version.
    pub(super) async fn add(&self, what: &str, value: &str) -> Result<(), Failure> {
        let secret = self.id(what).await?.ok_or_else(|| self.missing(what))?;
        let version = json!({"data": STANDARD.encode(value)});
        let path = self.path(&format!("secrets/{secret}/versions"));
        let answer = self.api.send(Method::POST, &path, Some(version)).await?;
        self.expect(what, "filled", &answer, &[200, 201])
    }

    /// Deletes a secret, if it is there.
    pub(super) async fn delete(&self, what: &str) -> Result<(), Failure> {
        let Some(secret) = self.id(what).await? else { return Ok(()) };
        let answer = self.api.send(Method::DELETE, &self.path(&format!("secrets/{secret}")), None).await?;
        self.expect(what, "deleted", &answer, &[200, 204])
    }

    /// The revisions in this state, in rising order.
    async fn revisions(&self, secret: &str, status: &str) -> Result<Vec<u64>, Failure> {
        let path = self.path(&format!("secrets/{secret}/versions?page_size=100&status={status}"));
        let answer = self.api.get(&path).await?;
        let versions = answer.body["versions"].as_array();
        let versions = versions.ok_or_else(|| refused("its versions cannot be listed", secret, &answer))?;
        let is_so = |version: &&Value| version["status"] == status;
        let mut revisions: Vec<u64> =
            versions.iter().filter(is_so).filter_map(|version| version["revision"].as_u64()).collect();
        revisions.sort_unstable();
        Ok(revisions)
    }

    async fn id(&self, what: &str) -> Result<Option<String>, Failure> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("name", &self.names.named(what))
            .append_pair("path", &self.names.secrets())
            .append_pair("project_id", &self.names.project)
            .finish();
        let answer = self.api.get(&self.path(&format!("secrets?page_size=100&{query}"))).await?;
        let listed = answer.body["secrets"].as_array();
        let listed = listed.ok_or_else(|| refused("the secrets cannot be listed", what, &answer))?;
        let named = |secret: &&Value| {
            secret["name"] == self.names.named(what).as_str()
                && secret["path"] == self.names.secrets().as_str()
                && secret["deletion_requested_at"].is_null()
        };
        Ok(listed.iter().find(named).and_then(|secret| secret["id"].as_str()).map(str::to_owned))
    }

    fn path(&self, rest: &str) -> String {
        format!("/secret-manager/v1beta1/regions/{}/{rest}", self.names.region)
    }

    fn missing(&self, what: &str) -> Failure {
        Failure::failed(format!("secret {}/{} is not there", self.names.secrets(), self.names.named(what)))
            .next(format!("stackproof state init --stack {}", self.names.stack))
    }

    fn expect(&self, what: &str, done: &str, answer: &ApiAnswer, good: &[u16]) -> Result<(), Failure> {
        if good.contains(&answer.status) {
            return Ok(());
        }
        let name = format!("{}/{}", self.names.secrets(), self.names.named(what));
        Err(refused(&format!("its version cannot be {done}"), &name, answer))
    }
}

fn refused(what: &str, secret: &str, answer: &ApiAnswer) -> Failure {
    let said = answer.body.get("message").and_then(Value::as_str).unwrap_or("no message");
    Failure::failed(format!("secret {secret}: {what}"))
        .because(format!("Secret Manager answered {}: {said}", answer.status))
        .next("stackproof rotate, with credentials that may manage secrets: it goes on where it stopped")
}

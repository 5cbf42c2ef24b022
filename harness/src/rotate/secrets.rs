//! Versions of the stack's secrets in Secret Manager, by the secrets' names.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Failure,
    sovereign::{Names, vault::Vault},
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
        Vault::new(&self.api, self.names).fill(what, &secret, value).await
    }

    /// Deletes a secret, if it is there.
    pub(super) async fn delete(&self, what: &str) -> Result<(), Failure> {
        let Some(secret) = self.id(what).await? else { return Ok(()) };
        let answer = self.api.send(Method::DELETE, &self.path(&format!("secrets/{secret}")), None).await?;
        self.expect(what, "deleted", &answer, &[200, 204])
    }

    /// The revisions in this state, in rising order.
    async fn revisions(&self, secret: &str, status: &str) -> Result<Vec<u64>, Failure> {
        let path = self.path(&format!("secrets/{secret}/versions?status={status}"));
        let versions = self.api.all(&path, "versions").await?;
        let versions = versions.map_err(|answer| self.refused("its versions cannot be listed", secret, &answer))?;
        let is_so = |version: &&Value| version["status"] == status;
        let mut revisions: Vec<u64> =
            versions.iter().filter(is_so).filter_map(|version| version["revision"].as_u64()).collect();
        revisions.sort_unstable();
        Ok(revisions)
    }

    async fn id(&self, what: &str) -> Result<Option<String>, Failure> {
        Vault::new(&self.api, self.names).id(what).await
    }

    fn path(&self, rest: &str) -> String {
        format!("/secret-manager/v1beta1/regions/{}/{rest}", self.names.region)
    }

    fn missing(&self, what: &str) -> Failure {
        Failure::failed(format!("secret {}/{} is not there", self.names.secrets(), self.names.named(what)))
            .next(format!("stackproof state init {}", self.names.words()))
    }

    fn expect(&self, what: &str, done: &str, answer: &ApiAnswer, good: &[u16]) -> Result<(), Failure> {
        if good.contains(&answer.status) {
            return Ok(());
        }
        let name = format!("{}/{}", self.names.secrets(), self.names.named(what));
        Err(self.refused(&format!("its version cannot be {done}"), &name, answer))
    }

    fn refused(&self, what: &str, secret: &str, answer: &ApiAnswer) -> Failure {
        let said = answer.body.get("message").and_then(Value::as_str).unwrap_or("no message");
        Failure::failed(format!("secret {secret}: {what}"))
            .because(format!("Secret Manager answered {}: {said}", answer.status))
            .next(format!(
                "stackproof rotate {}, with credentials that may manage secrets: it goes on where it stopped",
                self.names.words()
            ))
    }
}

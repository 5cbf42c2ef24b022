//! The lock's steps, asked of the database. What they do is told in [`super::protocol`].

use std::time::Duration;

use super::{
    key::StackKey,
    record::{Answer, Break, Cleaned, Held, Released, Request, Status},
};
use crate::database::{Error, Link, Result};

/// The lock of one stack, on one connection.
pub(super) struct Stack {
    link: Link,
    key: StackKey,
}

impl Stack {
    pub(super) fn new(link: Link, key: StackKey) -> Self {
        Self { link, key }
    }

    /// The stack, and what else a function is told.
    fn with<'a, const N: usize>(key: &'a StackKey, more: [&'a str; N]) -> Vec<Option<&'a str>> {
        [key.backend(), key.project(), key.stack()].into_iter().chain(more).map(Some).collect()
    }

    /// Whether the database was ever reached.
    pub(super) fn reached(&self) -> bool {
        self.link.reached()
    }

    /// Once: who waits asks again anyway.
    pub(super) async fn acquire(&mut self, request: &Request, within: Duration) -> Result<Answer> {
        let request = serde_json::to_string(request)
            .map_err(|error| Error::Address(format!("what is asked for cannot be written as JSON: {error}")))?;
        let parameters = Self::with(&self.key, [&request]);
        self.link.ask("stackproof.lock_acquire($1, $2, $3, $4::jsonb)", &parameters, within).await
    }

    /// Once, and in time: the holder decides what a failure means.
    pub(super) async fn renew(&mut self, holder: &str, fence: &str, within: Duration) -> Result<Held> {
        let parameters = Self::with(&self.key, [holder, fence]);
        self.link.ask("stackproof.lock_renew($1, $2, $3, $4::uuid, $5::bigint)", &parameters, within).await
    }

    pub(super) async fn note(&mut self, holder: &str, fence: &str, file: &str, within: Duration) -> Result<Held> {
        let parameters = Self::with(&self.key, [holder, fence, file]);
        self.link.insist("stackproof.lock_note($1, $2, $3, $4::uuid, $5::bigint, $6::uuid)", &parameters, within).await
    }

    pub(super) async fn clean(&mut self, holder: &str, fence: &str, left: &str, within: Duration) -> Result<Cleaned> {
        let parameters = Self::with(&self.key, [holder, fence, left]);
        self.link
            .insist("stackproof.lock_clean($1, $2, $3, $4::uuid, $5::bigint, $6::bigint)", &parameters, within)
            .await
    }

    pub(super) async fn release(&mut self, holder: &str, fence: &str, within: Duration) -> Result<Released> {
        let parameters = Self::with(&self.key, [holder, fence]);
        self.link.insist("stackproof.lock_release($1, $2, $3, $4::uuid, $5::bigint)", &parameters, within).await
    }

    pub(super) async fn give_up(&mut self, holder: &str, within: Duration) -> Result<()> {
        let parameters = Self::with(&self.key, [holder]);
        self.link.insist("stackproof.lock_give_up($1, $2, $3, $4::uuid)", &parameters, within).await
    }

    pub(super) async fn break_lease(
        &mut self,
        holder: &str,
        by: &str,
        reason: &str,
        within: Duration,
    ) -> Result<Break> {
        let parameters = Self::with(&self.key, [holder, by, reason]);
        self.link.ask("stackproof.lock_break($1, $2, $3, $4::uuid, $5, $6)", &parameters, within).await
    }

    pub(super) async fn status(&mut self, within: Duration) -> Result<Status> {
        self.link.ask("stackproof.lock_status($1, $2, $3)", &Self::with(&self.key, []), within).await
    }

    /// Waits until the database says that this holder should ask.
    pub(super) async fn told(&mut self, holder: &str) {
        self.link.told(holder).await;
    }
}

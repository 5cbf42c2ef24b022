//! The lock apart from a command: maintenance, taking it away, giving it up; and the trail that all of it is noted in.

use std::time::Duration;

use stackproof_state::{
    audit::{Entry, Filter, Outcome as Ending, Trail},
    checkpoint::{self, PulumiLock, Stack},
    lock::{
        Grant, Lease, Place, Wait,
        record::{Abandoned, Break},
    },
};
use uuid::Uuid;

use super::{
    Home,
    owner::owner,
    session::{hold, refused, standing, unavailable},
};
use crate::{Failure, Progress};

/// How many of a stack's last rows are looked through for one that is there already.
const ROWS: u32 = 200;

/// From whom a lock was taken away.
#[derive(Debug)]
pub enum Broken {
    /// From the holder of a lease.
    Lease(Box<Grant>),
    /// From a run of plain Pulumi's.
    Pulumi(PulumiLock),
    /// From nobody: there is no such holder.
    Nothing,
}

impl Home {
    /// The audit trail of this backend.
    ///
    /// # Errors
    /// When the backend's address makes no sense.
    pub fn trail(&self) -> Result<Trail, Failure> {
        let backend = stackproof_state::lock::canonical_backend(&self.backend());
        Ok(Trail::new(self.database(), &backend.map_err(|error| Failure::usage(error.to_string()))?))
    }

    /// Gives a lease up: it counts as abandoned from now on.
    pub(super) async fn give_up(&self, project: &str, lease: Lease, by: &str, why: &str) {
        let holder = lease.grant().holder;
        drop(lease);
        let broken = match self.lock(project) {
            Ok(lock) => lock.break_lease(holder, by, why).await.map(drop).map_err(|error| error.to_string()),
            Err(failure) => Err(failure.what),
        };
        if let Err(error) = broken {
            tracing::warn!(error, "the lock is not given up; it runs out by itself");
        }
    }
}

impl Home {
    /// Reserves a project's stack for maintenance, and notes that in the audit trail.
    ///
    /// # Errors
    /// When somebody else has the lock, or its database does not answer.
    pub async fn hold(
        &self,
        project: &str,
        reason: &str,
        ttl: Duration,
        wait: Wait,
        progress: &Progress,
    ) -> Result<Grant, Failure> {
        let owner = owner("stackproof lock hold");
        let told = |place: &Place| progress.say(format!("waiting for the lock: {}", standing(place)));
        let lock = self.lock(project)?;
        let within = hold()?;
        let held = lock.hold(owner, reason, ttl, wait, within, told).await;
        let grant = held.map_err(|error| refused(error, &self.again("stackproof lock status")))?.grant;
        if let Err(failure) = self.note(project, "stackproof lock hold", reason).await {
            // Nobody is told its token. One that was held before has an owner who knows it.
            if within != Some(grant.holder)
                && let Err(error) = lock.end_hold(grant.holder).await
            {
                tracing::warn!(%error, "the maintenance is not ended; it runs out by itself");
            }
            return Err(failure);
        }
        Ok(grant)
    }

    /// Takes the lock away from a holder, and notes that in the audit trail. A holder may be a run of plain Pulumi's, by
    /// the name of its lock file: then that file is removed, and no other.
    ///
    /// # Errors
    /// When the lock's database or the bucket does not answer.
    pub async fn break_lease(&self, project: &str, holder: Uuid, reason: &str) -> Result<Broken, Failure> {
        let by = owner("stackproof lock break");
        let again = format!("stackproof lock status {}", self.names().words());
        let broken = self.lock(project)?.break_lease(holder, &by.who, reason).await;
        let broken = match broken.map_err(|error| unavailable("the lock cannot be broken", &error, &again))? {
            Break::Broken { grant } => Broken::Lease(grant),
            Break::NotFound { .. } => {
                let away = |error: &dyn std::fmt::Display| unavailable("Pulumi's locks cannot be seen", error, &again);
                let stack = self.stack(project)?;
                let locks = checkpoint::locks(self.bucket(), &stack).await.map_err(|error| away(&error))?;
                let Some(lock) = locks.into_iter().find(|lock| lock.file() == Some(holder)) else {
                    return Ok(Broken::Nothing);
                };
                self.bucket().delete(&lock.key, None).await.map_err(|error| away(&error))?;
                Broken::Pulumi(lock)
            }
        };
        self.note(project, &format!("stackproof lock break --holder {holder}"), reason).await?;
        Ok(broken)
    }

    /// Adds the row of a run that ended before it could add its own.
    pub(super) async fn account_for(
        &self,
        left: &Abandoned,
        stack: &Stack,
        now: Option<&str>,
        command: &str,
    ) -> Result<(), Failure> {
        let away = |error: &dyn std::fmt::Display| unavailable("the audit trail does not answer", error, command);
        let filter = Filter {
            project: Some(stack.project().to_owned()),
            stack: Some(stack.name().to_owned()),
            last: Some(ROWS),
            ..Filter::default()
        };
        let rows = self.trail()?.list(&filter).await.map_err(|error| away(&error))?;
        let fence = left.grant.fence;
        if rows.iter().any(|row| row.fence.and_then(|fence| u64::try_from(fence).ok()) == Some(fence)) {
            return Ok(());
        }
        let owner = &left.grant.owner;
        let entry = Entry {
            who: owner.who.clone(),
            host: owner.host.clone(),
            command: owner.command.clone(),
            commit: None,
            dirty: None,
            project: Some(stack.project().to_owned()),
            stack: Some(stack.name().to_owned()),
            fence: Some(fence),
            before: None,
            after: now.map(str::to_owned),
            changes: Vec::new(),
            result: Ending::LeaseLost,
            took: Duration::try_from(left.ended - left.grant.since).unwrap_or_default(),
            note: Some("it ended without a word; noted by whoever came next".to_owned()),
        };
        self.trail()?.append(&entry).await.map(drop).map_err(|error| away(&error))
    }

    /// A row about something that changed no state.
    pub(crate) async fn note(&self, project: &str, command: &str, note: &str) -> Result<(), Failure> {
        let owner = owner(command);
        let entry = Entry {
            who: owner.who,
            host: owner.host,
            command: owner.command,
            commit: None,
            dirty: None,
            project: Some(project.to_owned()),
            stack: Some(self.names().stack.clone()),
            fence: None,
            before: None,
            after: None,
            changes: Vec::new(),
            result: Ending::Succeeded,
            took: Duration::ZERO,
            note: Some(note.to_owned()),
        };
        let added = self.trail()?.append(&entry).await.map(drop);
        let again = self.again("stackproof audit list");
        added.map_err(|error| unavailable("the audit trail has no row of this command", &error, &again))
    }
}

//! One command under the lock: its lease, its gateway, its row in the audit trail.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use stackproof_state::{
    audit::{Change, Entry, Outcome as Ending, Trail},
    bucket::{Bucket, Writer},
    checkpoint::{self, Stack},
    gateway::{self, Gateway, Leased, Log},
    lock::{Grant, Guard, Lease, Place, Refused, Wait, record::Break},
};
use uuid::Uuid;

use super::{Home, owner::owner};
use crate::{
    Exit, Failure, Progress, Workspace,
    pulumi::{Backend, Outcome},
    report::Git,
};

/// The environment variable that carries a hold's token to the commands within it.
pub const HOLD_VARIABLE: &str = "STACKPROOF_HOLD";

/// A command that has the lock of its stack.
pub struct Session<'a> {
    home: &'a Home,
    stack: Stack,
    command: String,
    lease: Lease,
    gateway: Gateway,
    before: Option<String>,
    begun: Instant,
}

/// How a session ended.
#[derive(Debug)]
pub struct Finished {
    /// The version of the state before it.
    pub before: Option<String>,
    /// The version of the state after it.
    pub after: Option<String>,
    /// What went through its gateway.
    pub log: Log,
}

impl Home {
    /// Takes the lock of a project's stack for one command, tidies up after whoever left it without a word, and opens
    /// the gateway that the command's Pulumi writes through.
    ///
    /// # Errors
    /// When somebody else has the lock (exit 3), or the lock's database or the bucket does not answer.
    pub async fn begin(
        &self,
        project: &str,
        command: &str,
        wait: Wait,
        progress: &Progress,
    ) -> Result<Session<'_>, Failure> {
        let stack = self.stack(project)?;
        let begun = Instant::now();
        let told = |place: &Place| {
            progress.say(format!("waiting for the lock: {} in the queue; {}", place.position, standing(place)));
        };
        let lease = self.lock(project)?.acquire(owner(command), wait, hold()?, told).await.map_err(refused)?;
        self.tidy(&lease, &stack, progress).await?;
        let gateway = Gateway::open(self.bucket().clone(), std::slice::from_ref(&stack), Guarded(lease.guard()));
        let gateway = gateway.await;
        let gateway = gateway.map_err(|error| unavailable("the state gateway cannot be opened", &error))?;
        let before = version(self.bucket(), &stack).await?;
        Ok(Session { home: self, stack, command: command.to_owned(), lease, gateway, before, begun })
    }

    /// Removes what abandoned runs left behind: their Pulumi lock files, and no others; and fences off what they may
    /// still send.
    async fn tidy(&self, lease: &Lease, stack: &Stack, progress: &Progress) -> Result<(), Failure> {
        for left in lease.abandoned() {
            let who = &left.grant.owner;
            progress.say(format!(
                "`{}` of {} on {} ended without a word; tidying up after it",
                who.command, who.who, who.host
            ));
            let writer = Leased::new(self.bucket().clone(), Guarded(lease.guard()));
            if let Some(file) = left.grant.lock_file {
                self.remove_lock(&writer, stack, file).await?;
            }
            let stamped = gateway::stamp(self.bucket(), &writer, stack).await;
            stamped.map_err(|error| unavailable("the state cannot be fenced", &error))?;
            lease.clean(left.grant.fence).await.map_err(lost)?;
        }
        Ok(())
    }
}

impl Home {
    /// Removes one of Pulumi's lock files of a stack, and no other.
    async fn remove_lock(&self, writer: &dyn Writer, stack: &Stack, file: Uuid) -> Result<(), Failure> {
        let cannot = |error: &dyn std::fmt::Display| unavailable("a dead run's lock file cannot be removed", error);
        let locks = checkpoint::locks(self.bucket(), stack).await.map_err(|error| cannot(&error))?;
        let ours = format!("/{file}.json");
        for lock in locks.iter().filter(|lock| lock.key.ends_with(&ours)) {
            writer.delete(&lock.key).await.map_err(|error| cannot(&error))?;
        }
        Ok(())
    }
}

impl Session<'_> {
    /// Where the command's Pulumi finds its state: through the gateway.
    pub fn backend(&self) -> Backend {
        Backend::through(self.gateway.environment(), Gateway::unwanted(), self.home.passphrase())
    }

    /// The stack it is about.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Its fencing number.
    pub fn fence(&self) -> u64 {
        self.lease.fence()
    }

    /// What its writes beside the gateway ask.
    pub(super) fn guard(&self) -> Guard {
        self.lease.guard()
    }

    /// Whether it took over from a run that ended without a word.
    pub(super) fn took_over(&self) -> bool {
        !self.lease.abandoned().is_empty()
    }

    /// Ends, with the reason, when the command must not go on: the lease was lost, or somebody else wrote the state.
    /// Until then it tells the lock which file Pulumi locked the stack with.
    pub fn lost(&self) -> impl Future<Output = String> + Send + 'static + use<> {
        let (mut guard, mut superseded) = (self.lease.guard(), self.gateway.superseded());
        async move {
            tokio::select! {
                why = guard.lost() => format!("the lease was lost: {}", why.unwrap_or_else(|| "it was given back".into())),
                seen = superseded.wait_for(Option::is_some) => match seen.ok().and_then(|seen| seen.clone()) {
                    Some(seen) => format!("somebody else wrote {}", seen.key),
                    None => "the state gateway was closed".into(),
                },
            }
        }
    }

    /// Keeps the lock's record of Pulumi's lock file up to date, until the future that does the work ends.
    pub async fn watching<T>(&self, work: impl Future<Output = T>) -> T {
        let mut files = self.gateway.lock_file();
        let mut noted: Option<Uuid> = None;
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                changed = files.changed() => {
                    let now = *files.borrow_and_update();
                    if changed.is_ok() && now.is_some() && now != noted {
                        noted = now;
                        if let Some(file) = now && let Err(error) = self.lease.note_lock_file(file).await {
                            tracing::warn!(%error, "the lock does not know Pulumi's lock file");
                        }
                    } else if changed.is_err() {
                        return work.await;
                    }
                }
            }
        }
    }

    /// Ends it: closes the gateway, removes a lock file that Pulumi left, adds the row to the audit trail, and gives the
    /// lock back, in this order.
    ///
    /// # Errors
    /// When the row cannot be added, or the lease was lost before.
    pub async fn finish(self, ended: &Ended) -> Result<Finished, Failure> {
        let left = *self.gateway.lock_file().borrow();
        let log = self.gateway.close().await;
        let guard = self.lease.guard();
        if let Some(file) = left
            && guard.is_valid()
        {
            let writer = Leased::new(self.home.bucket().clone(), Guarded(guard.clone()));
            if let Err(error) = self.home.remove_lock(&writer, &self.stack, file).await {
                tracing::warn!(%error, "Pulumi's lock file stays; the next run removes it");
            }
        }
        let after = version(self.home.bucket(), &self.stack).await.ok().flatten();
        let git = Workspace::find().ok().and_then(|workspace| Git::of(&workspace.root));
        let owner = owner(&self.command);
        let entry = Entry {
            who: owner.who,
            host: owner.host,
            command: owner.command,
            commit: git.as_ref().map(|git| git.commit.clone()),
            dirty: git.as_ref().map(|git| git.dirty),
            project: Some(self.stack.project().to_owned()),
            stack: Some(self.stack.name().to_owned()),
            fence: Some(self.lease.fence()),
            before: self.before.clone(),
            after: after.clone(),
            changes: ended.changes.clone(),
            result: if guard.is_valid() { ended.result } else { Ending::LeaseLost },
            took: self.begun.elapsed(),
            note: ended.note.clone(),
        };
        let row = self.home.trail()?.append(&entry).await;
        let released = self.lease.release().await;
        row.map_err(|error| unavailable("the audit trail has no row of this command", &error))?;
        released.map_err(lost)?;
        Ok(Finished { before: self.before, after, log })
    }
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
}

/// What the audit trail is told of a command.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What became of which resource.
    pub changes: Vec<Change>,
    /// How it ended.
    pub result: Ending,
    /// Why it was done, where somebody said so.
    pub note: Option<String>,
}

impl Ended {
    /// A command without resource changes of its own.
    pub fn plainly(succeeded: bool, note: Option<String>) -> Self {
        let result = if succeeded { Ending::Succeeded } else { Ending::Failed };
        Self { changes: Vec::new(), result, note }
    }

    /// A run of Pulumi's.
    pub fn of(outcome: &Outcome) -> Self {
        let result = match (outcome.succeeded(), &outcome.stopped) {
            (true, _) => Ending::Succeeded,
            (false, Some(_)) => Ending::LeaseLost,
            (false, None) if outcome.interrupted || outcome.timed_out => Ending::Cancelled,
            (false, None) => Ending::Failed,
        };
        let change = |change: &crate::pulumi::Change| Change { urn: change.urn.clone(), operation: change.op.clone() };
        Self { changes: outcome.events.effective().map(change).collect(), result, note: None }
    }
}

/// The lease as the gateway asks for it.
pub(super) struct Guarded(pub(super) Guard);

impl gateway::Permission for Guarded {
    fn valid_until(&self) -> Option<Instant> {
        // A machine that slept may know better than the clock that stood still.
        if self.0.is_valid() { self.0.valid_until() } else { None }
    }
}

/// How long `--wait` without a time waits.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// The token of the hold that this command runs in.
fn hold() -> Result<Option<Uuid>, Failure> {
    match std::env::var(HOLD_VARIABLE) {
        Err(_) => Ok(None),
        Ok(token) => token.parse().map(Some).map_err(|_| {
            Failure::usage(format!("{HOLD_VARIABLE} holds no token"))
                .next("unset it, or use what stackproof lock hold printed")
        }),
    }
}

/// The version of a stack's present checkpoint; none where there is no checkpoint.
pub(super) async fn version(bucket: &Bucket, stack: &Stack) -> Result<Option<String>, Failure> {
    for form in checkpoint::Compression::ALL {
        let head = bucket.head(&stack.checkpoint(form)).await;
        if let Some(head) = head.map_err(|error| unavailable("the state cannot be looked at", &error))? {
            return Ok(head.version);
        }
    }
    Ok(None)
}

fn standing(place: &Place) -> String {
    let held = place.standing.run.as_ref().or(place.standing.hold.as_ref());
    held.map_or_else(
        || "nobody holds it".to_owned(),
        |grant| format!("held by {}", stackproof_state::lock::Held(grant)),
    )
}

pub(super) fn refused(refused: Refused) -> Failure {
    let exit = match &refused {
        Refused::Locked { .. } | Refused::HoldOver => Exit::Locked,
        Refused::Database(_) => Exit::Environment,
    };
    let text = refused.to_string();
    let (what, meaning) = text.split_once('\n').unwrap_or((&text, ""));
    Failure::new(exit, what).because(meaning)
}

pub(super) fn lost(error: stackproof_state::lock::LeaseError) -> Failure {
    Failure::new(Exit::Locked, error.to_string()).next("stackproof lock status")
}

pub(super) fn unavailable(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::environment(what.to_owned()).because(error).next("stackproof state verify")
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
        let held = lock.hold(owner, reason, ttl, wait, hold()?, told).await.map_err(refused)?;
        self.note(project, "stackproof lock hold", reason).await?;
        Ok(held.grant)
    }

    /// Takes the lock away from a holder, and notes that in the audit trail.
    ///
    /// # Errors
    /// When the lock's database does not answer.
    pub async fn break_lease(&self, project: &str, holder: Uuid, reason: &str) -> Result<Break, Failure> {
        let by = owner("stackproof lock break");
        let broken = self.lock(project)?.break_lease(holder, &by.who, reason).await;
        let broken = broken.map_err(|error| unavailable("the lock cannot be broken", &error))?;
        if let Break::Broken { .. } = &broken {
            self.note(project, &format!("stackproof lock break --holder {holder}"), reason).await?;
        }
        Ok(broken)
    }

    /// A row about something that changed no state.
    async fn note(&self, project: &str, command: &str, note: &str) -> Result<(), Failure> {
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
        let added = self.trail()?.append(&entry).await;
        added.map(drop).map_err(|error| unavailable("the audit trail has no row of this command", &error))
    }
}

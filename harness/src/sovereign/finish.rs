//! The end of a command under the lock: what it left, its row in the audit trail, the lock for whoever is next.

use stackproof_state::{
    audit::{Change, Entry, Outcome as Ending},
    checkpoint::{self, Stack, Stored},
    gateway::{Leased, Log},
};

use super::{
    Home, Session,
    owner::owner,
    session::{Guarded, lost, unavailable},
};
use crate::{Failure, Progress, Workspace, pulumi::Outcome, report::Git};

/// How a session ended.
#[derive(Debug)]
pub struct Finished {
    /// The version of the state before it.
    pub before: Option<String>,
    /// The version of the state after it.
    pub after: Option<String>,
    /// What went through its gateway.
    pub log: Log,
    /// What it left half done; the next command sees to it.
    pub left: Vec<String>,
    /// Why the state was not copied into the backup bucket, if it was not.
    pub not_copied: Option<String>,
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
        let result = if outcome.succeeded() {
            Ending::Succeeded
        } else if outcome.lease_lost {
            Ending::LeaseLost
        } else if outcome.interrupted || outcome.timed_out || outcome.stopped.is_some() {
            Ending::Cancelled
        } else {
            Ending::Failed
        };
        let change = |change: &crate::pulumi::Change| Change { urn: change.urn.clone(), operation: change.op.clone() };
        Self { changes: outcome.events.effective().map(change).collect(), result, note: None }
    }
}

impl Session<'_> {
    /// Ends it: closes the gateway, removes a lock file that Pulumi left, looks at the state and copies it, adds the row
    /// to the audit trail, and gives the lock back, in this order. Where something is left half done, the lock is given
    /// up rather than given back: whoever comes next gets it at once, and takes over as from a run that was killed.
    ///
    /// # Errors
    /// When the row cannot be added, or the lease was lost before.
    pub async fn finish(self, ended: &Ended) -> Result<Finished, Failure> {
        let Session { home, stack, command, lease, gateway, before, begun } = self;
        let file = *gateway.lock_file().borrow();
        let log = gateway.close().await;
        let guard = lease.guard();
        let mut left: Vec<String> = Vec::new();
        if let Some(file) = file
            && guard.is_valid()
        {
            let writer = Leased::new(home.bucket().clone(), Guarded(guard.clone()));
            if home.remove_lock(&writer, &stack, file, &command).await.is_err() {
                left.push("Pulumi's lock file is still there".to_owned());
            }
        }
        let stored = checkpoint::current(home.bucket(), &stack).await;
        left.extend(half_done(&stored, &log));
        let stored = stored.ok().flatten();
        let not_copied = match &stored {
            Some(stored) if guard.is_valid() => copy(home, stored, &stack).await,
            _ => None,
        };
        let after = stored.and_then(|stored| stored.head.version);
        let git = Workspace::find().ok().and_then(|workspace| Git::of(&workspace.root));
        let owner = owner(&command);
        let note: Vec<String> = ended.note.iter().chain(&left).chain(&not_copied).cloned().collect();
        let entry = Entry {
            who: owner.who.clone(),
            host: owner.host,
            command: owner.command,
            commit: git.as_ref().map(|git| git.commit.clone()),
            dirty: git.as_ref().map(|git| git.dirty),
            project: Some(stack.project().to_owned()),
            stack: Some(stack.name().to_owned()),
            fence: Some(lease.fence()),
            before: before.clone(),
            after: after.clone(),
            changes: ended.changes.clone(),
            result: if guard.is_valid() { ended.result } else { Ending::LeaseLost },
            took: begun.elapsed(),
            note: (!note.is_empty()).then(|| note.join("; ")),
        };
        let row = home.trail()?.append(&entry).await;
        let released = if left.is_empty() || !guard.is_valid() {
            lease.release().await.map_err(lost)
        } else {
            home.give_up(stack.project(), lease, &owner.who, &left.join("; ")).await;
            Ok(())
        };
        row.map_err(|error| unavailable("the audit trail has no row of this command", &error, &command))?;
        released?;
        Ok(Finished { before, after, log, left, not_copied })
    }
}

impl Session<'_> {
    /// Ends it as [`Self::finish`] does, says what it left, and gives how the work went. What went wrong first is why the
    /// rest did; what went wrong at the end is told with it.
    ///
    /// # Errors
    /// The work's, or that of the end.
    pub(crate) async fn end<T>(
        self,
        done: Result<T, Failure>,
        ended: &Ended,
        progress: &Progress,
    ) -> Result<T, Failure> {
        match (done, self.finish(ended).await) {
            (done, Ok(finished)) => {
                for line in finished.left.iter().chain(&finished.not_copied) {
                    progress.say(line);
                }
                done
            }
            (Ok(_), Err(failure)) => Err(failure),
            (Err(first), Err(then)) => {
                let meaning = [first.meaning.as_str(), &then.to_string()].join("\n").trim().to_owned();
                Err(Failure { meaning, ..first })
            }
        }
    }
}

/// Copies the state into the backup bucket; why it could not, if so.
async fn copy(home: &Home, stored: &Stored, stack: &Stack) -> Option<String> {
    let copied = checkpoint::keep(stored, home.backups(), stack).await;
    copied.err().map(|error| format!("the state was not copied to {}: {error}", home.backups().shown()))
}

/// What the next command has to see to.
fn half_done(stored: &Result<Option<Stored>, checkpoint::Error>, log: &Log) -> Vec<String> {
    let mut left = Vec::new();
    match stored {
        Ok(stored) => {
            let pending = stored.as_ref().map_or(0, |stored| stored.checkpoint.pending().len());
            left.extend((pending > 0).then(|| format!("{} pending", super::operate::operations(pending))));
        }
        Err(error) => left.push(format!("the state cannot be looked at: {error}")),
    }
    left.extend((!log.unanswered.is_empty()).then(|| "a write of the state was never answered".to_owned()));
    left
}

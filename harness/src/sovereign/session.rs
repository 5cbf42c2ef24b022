//! One command under the lock: its lease, its gateway, its row in the audit trail.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use stackproof_state::{
    bucket::{Bucket, Writer},
    checkpoint::{self, Stack},
    gateway::{self, Failing, Gateway, Leased},
    lock::{Guard, Lease, Place, Refused, Wait},
};
use tokio::sync::watch;
use uuid::Uuid;

use super::{Home, owner::owner};
use crate::{
    Exit, Failure, Progress,
    pulumi::{Backend, Stop},
};

/// The environment variable that carries a hold's token to the commands within it.
pub const HOLD_VARIABLE: &str = "STACKPROOF_HOLD";

/// A command that has the lock of its stack.
pub struct Session<'a> {
    pub(super) home: &'a Home,
    pub(super) stack: Stack,
    pub(super) command: String,
    pub(super) lease: Lease,
    pub(super) gateway: Gateway,
    pub(super) before: Option<String>,
    pub(super) begun: Instant,
}

impl Home {
    /// Takes the lock of a project's stack for one command, tidies up after whoever left it without a word, and opens
    /// the gateway that the command's Pulumi writes through. `command` is what a person types to try again.
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
        // Before anybody stands in line for it.
        self.reach(command).await?;
        let told = |place: &Place| {
            progress.say(format!("waiting for the lock: {} in the queue; {}", place.position, standing(place)));
        };
        let lease = self.lock(project)?.acquire(owner(command), wait, hold()?, told).await;
        let lease = lease.map_err(|error| refused(error, command))?;
        let opened = async {
            self.tidy(&lease, &stack, command, progress).await?;
            let gateway = Gateway::open(self.bucket().clone(), std::slice::from_ref(&stack), Guarded(lease.guard()));
            let gateway = gateway.await;
            let gateway =
                gateway.map_err(|error| unavailable("the state gateway cannot be opened", &error, command))?;
            Ok((gateway, version(self.bucket(), &stack, command).await?))
        };
        match opened.await {
            Ok((gateway, before)) => {
                Ok(Session { home: self, stack, command: command.to_owned(), lease, gateway, before, begun })
            }
            Err(failure) => {
                // Nothing was begun, so nobody need wait until the lease runs out.
                if let Err(error) = lease.release().await {
                    tracing::warn!(%error, "the lock is not given back; it runs out by itself");
                }
                Err(failure)
            }
        }
    }

    /// Whether the bucket answers.
    async fn reach(&self, command: &str) -> Result<(), Failure> {
        match self.bucket().exists().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.gone(&super::lost::Lost::Bucket)),
            Err(error) => Err(unavailable("the bucket of the state cannot be used", &told(&error), command)),
        }
    }

    /// Removes what abandoned runs left behind: their Pulumi lock files, and no others; and fences off what they may
    /// still send.
    async fn tidy(&self, lease: &Lease, stack: &Stack, command: &str, progress: &Progress) -> Result<(), Failure> {
        if lease.abandoned().is_empty() {
            return Ok(());
        }
        let writer = Leased::new(self.bucket().clone(), Guarded(lease.guard()));
        for left in lease.abandoned() {
            let who = &left.grant.owner;
            let how = match &left.broken {
                Some(broken) => format!("was given up: {}", broken.reason),
                None => "ended without a word".to_owned(),
            };
            progress.say(format!("`{}` of {} on {} {how}; tidying up after it", who.command, who.who, who.host));
            if let Some(file) = left.grant.lock_file {
                self.remove_lock(&writer, stack, file, command).await?;
            }
        }
        // Once: none of them can know the name that it has from here on.
        let stamped = gateway::stamp(self.bucket(), &writer, stack).await;
        stamped.map_err(|error| unavailable("the state cannot be fenced", &error, command))?;
        let now = version(self.bucket(), stack, command).await?;
        for left in lease.abandoned() {
            self.account_for(left, stack, now.as_deref(), command).await?;
            lease.clean(left.grant.fence).await.map_err(lost)?;
        }
        Ok(())
    }
}

impl Home {
    /// Removes one of Pulumi's lock files of a stack, and no other.
    pub(super) async fn remove_lock(
        &self,
        writer: &dyn Writer,
        stack: &Stack,
        file: Uuid,
        command: &str,
    ) -> Result<(), Failure> {
        let cannot =
            |error: &dyn std::fmt::Display| unavailable("a dead run's lock file cannot be removed", error, command);
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
        let backend = Backend::through(self.gateway.environment(), Gateway::unwanted(), self.home.passphrase());
        backend.existing(self.before.is_some())
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

    /// What a person types to try the same again.
    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// Whether there was a state when it began.
    pub(super) fn had_a_state(&self) -> bool {
        self.before.is_some()
    }

    /// Ends, with the reason, when the command must not go on: the lease was lost, somebody else wrote the state, or the
    /// bucket takes no more of it.
    pub fn lost(&self) -> impl Future<Output = Stop> + Send + 'static + use<> {
        let (mut guard, mut superseded) = (self.lease.guard(), self.gateway.superseded());
        let failing = away(self.gateway.failing());
        async move {
            let lost = |why| Stop { why, lease_lost: true };
            tokio::select! {
                why = guard.lost() => lost(format!("the lease was lost: {}", why.unwrap_or_else(|| "it was given back".into()))),
                seen = superseded.wait_for(Option::is_some) => lost(match seen.ok().and_then(|seen| seen.clone()) {
                    Some(seen) => format!("somebody else wrote {}", seen.key),
                    None => "the state gateway was closed".into(),
                }),
                why = failing => Stop { why, lease_lost: false },
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
}

/// Ends when the bucket has taken no checkpoint for longer than Pulumi tries to save one, or refuses the key.
async fn away(mut failing: watch::Receiver<Option<Failing>>) -> String {
    loop {
        let Some(seen) = failing.wait_for(Option::is_some).await.ok().and_then(|seen| seen.clone()) else {
            return std::future::pending().await;
        };
        if seen.for_good {
            return format!("the bucket of the state refuses its key: {}", seen.why);
        }
        tokio::select! {
            () = tokio::time::sleep_until((seen.since + AWAY).into()) => {
                return format!("the bucket of the state has taken nothing for {} s: {}", AWAY.as_secs(), seen.why);
            }
            // It took one, or says something else.
            changed = failing.changed() => if changed.is_err() {
                return std::future::pending().await;
            }
        }
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

/// How long the bucket may take no checkpoint. Pulumi tries a single save for about 32 s.
const AWAY: Duration = Duration::from_secs(30);

/// How long `--wait` without a time waits.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// The token of the hold that this command runs in.
pub(super) fn hold() -> Result<Option<Uuid>, Failure> {
    match std::env::var(HOLD_VARIABLE) {
        Err(_) => Ok(None),
        Ok(token) => token.parse().map(Some).map_err(|_| {
            Failure::usage(format!("{HOLD_VARIABLE} holds no token"))
                .next("unset it, or use what stackproof lock hold printed")
        }),
    }
}

/// The version of a stack's present checkpoint; none where there is no checkpoint.
pub(super) async fn version(bucket: &Bucket, stack: &Stack, command: &str) -> Result<Option<String>, Failure> {
    for form in checkpoint::Compression::ALL {
        let head = bucket.head(&stack.checkpoint(form)).await;
        if let Some(head) = head.map_err(|error| unavailable("the state cannot be looked at", &error, command))? {
            return Ok(head.version);
        }
    }
    Ok(None)
}

pub(super) fn standing(place: &Place) -> String {
    let held = place.standing.run.as_ref().or(place.standing.hold.as_ref());
    held.map_or_else(
        || "nobody holds it".to_owned(),
        |grant| format!("held by {}", stackproof_state::lock::Held(grant)),
    )
}

/// Why the lock was not given; `command` is what a person types to ask again.
pub(super) fn refused(refused: Refused, command: &str) -> Failure {
    let exit = match &refused {
        Refused::Locked { .. } | Refused::HoldOver => Exit::Locked,
        Refused::Database(_) => Exit::Environment,
    };
    let text = refused.to_string();
    let (what, meaning) = text.split_once('\n').unwrap_or((&text, ""));
    let failure = Failure::new(exit, what).because(meaning);
    // Whom to wait for, and how, the others tell themselves.
    if exit == Exit::Environment { failure.next(command) } else { failure }
}

pub(super) fn lost(error: stackproof_state::lock::LeaseError) -> Failure {
    Failure::new(Exit::Locked, error.to_string()).next("stackproof lock status")
}

/// Something that is needed is away; `command` is what a person types when it is back.
pub(super) fn unavailable(what: &str, error: &dyn std::fmt::Display, command: &str) -> Failure {
    Failure::environment(what.to_owned()).because(error).next(command)
}

/// An error of the bucket with what it means.
pub(super) fn told(error: &stackproof_state::bucket::Error) -> String {
    format!("{error}\n{}", error.next())
}

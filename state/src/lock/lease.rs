//! A lease, for as long as it is held.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep_until,
};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    postgres::Stack,
    record::{Abandoned, Cleaned, Grant, Held, Released},
};
use crate::database::{self, Backoff};

/// For how long it is tried to give a lease back. After that it runs out by itself.
const GOODBYE: Duration = Duration::from_secs(10);
/// How long a question about a lease may take.
const ANSWER: Duration = Duration::from_secs(5);

/// What the database tells of a lease that it has no more.
const GONE: &str = "it ran out, or was taken away";

/// How a lease is, as far as its holder knows.
#[derive(Clone, Debug)]
enum State {
    /// It is good until then, unless it is renewed.
    Good(Clocks),
    /// It is not, any more: nothing may be written.
    Lost(String),
    /// It was given back.
    Released,
}

/// A time on the clocks of this machine that nobody sets. The second goes on while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clocks {
    running: Instant,
    sleeping: Option<Duration>,
}

impl Clocks {
    pub(super) fn now() -> Self {
        let sleeping = clock_gettime(ClockId::CLOCK_BOOTTIME).ok().map(Duration::from);
        Self { running: Instant::now(), sleeping }
    }

    fn after(self, time: Duration) -> Self {
        Self { running: self.running + time, sleeping: self.sleeping.map(|sleeping| sleeping + time) }
    }

    fn passed(self) -> bool {
        let now = Self::now();
        now.running >= self.running || now.sleeping.zip(self.sleeping).is_some_and(|(now, then)| now >= then)
    }
}

/// What the gateway looks at before each write.
#[derive(Clone, Debug)]
pub struct Guard {
    state: watch::Receiver<State>,
    fence: u64,
}

impl Guard {
    /// Whether something may be written now.
    pub fn is_valid(&self) -> bool {
        // Nobody renews it any more, once the other end is gone.
        let kept = self.state.has_changed().is_ok();
        kept && matches!(&*self.state.borrow(), State::Good(until) if !until.passed())
    }

    /// Until when something may be written: the time at which the last renewal that was answered had been *sent*, and the
    /// lease's duration less a margin. None: it is lost or given back. A machine that slept may know better:
    /// [`Guard::is_valid`] asks it.
    pub fn valid_until(&self) -> Option<Instant> {
        match &*self.state.borrow() {
            State::Good(until) => Some(until.running),
            _ => None,
        }
    }

    /// The lease's fencing number.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Waits until it is lost, and says why; returns `None` when it was given back.
    pub async fn lost(&mut self) -> Option<String> {
        let ended = self.state.wait_for(|state| !matches!(state, State::Good(_))).await;
        match ended.as_deref() {
            Ok(State::Lost(why)) => Some(why.clone()),
            Ok(_) => None,
            Err(_) => Some("whoever renewed it has ended".to_owned()),
        }
    }
}

/// Why something about a lease could not be done.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// It is not this holder's any more.
    #[error("the lease of the stack was lost: {0}\nSee who has it with `stackproof lock status`.")]
    Lost(String),
    /// The database could not be asked.
    #[error(transparent)]
    Database(#[from] database::Error),
}

/// The right to change a stack. It renews itself. Dropped without a word, it runs out and counts as abandoned.
#[derive(Debug)]
pub struct Lease {
    grant: Grant,
    abandoned: Vec<Abandoned>,
    state: watch::Receiver<State>,
    commands: mpsc::Sender<Command>,
    _task: AbortOnDropHandle<()>,
}

enum Command {
    Note(Uuid, oneshot::Sender<database::Result<Held>>),
    Clean(u64, oneshot::Sender<database::Result<Cleaned>>),
    Release(oneshot::Sender<database::Result<Released>>),
}

impl Lease {
    pub(super) fn begin(stack: Stack, grant: Grant, abandoned: Vec<Abandoned>, sent: Clocks) -> Self {
        let ttl = Duration::from_millis(grant.ttl_ms);
        let good = ttl - (ttl / 10).min(Duration::from_secs(5));
        let until = sent.after(good);
        let (told, state) = watch::channel(State::Good(until));
        let (commands, asked) = mpsc::channel(4);
        let keeper = Keeper {
            stack,
            holder: grant.holder.to_string(),
            fence: grant.fence.to_string(),
            ttl,
            good,
            until,
            told,
            failed: None,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(keeper.keep(asked)));
        Self { grant, abandoned, state, commands, _task: task }
    }

    /// The lease as it was given.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The lease's fencing number.
    pub fn fence(&self) -> u64 {
        self.grant.fence
    }

    /// Whose work was never cleaned up when this lease was given, oldest first.
    pub fn abandoned(&self) -> &[Abandoned] {
        &self.abandoned
    }

    /// For whoever writes on its behalf. Any number of them.
    pub fn guard(&self) -> Guard {
        Guard { state: self.state.clone(), fence: self.grant.fence }
    }

    /// Remembers that Pulumi wrote this lock file, so that whoever takes over may remove it, and no other.
    pub async fn note_lock_file(&self, file: Uuid) -> Result<(), LeaseError> {
        match self.command(|answer| Command::Note(file, answer)).await? {
            Held::Held { .. } => Ok(()),
            Held::Lost => Err(self.lost()),
        }
    }

    /// The traces of an abandoned lease have been removed. Twice is as good as once.
    pub async fn clean(&self, fence: u64) -> Result<(), LeaseError> {
        match self.command(|answer| Command::Clean(fence, answer)).await? {
            Cleaned::Cleaned | Cleaned::Unknown => Ok(()),
            Cleaned::Lost => Err(self.lost()),
        }
    }

    /// Gives it back: whoever is next gets it at once. The last thing to do, when nothing writes any more.
    pub async fn release(self) -> Result<(), LeaseError> {
        match self.command(Command::Release).await? {
            Released::Released => Ok(()),
            Released::NotHeld => Err(self.lost()),
        }
    }

    async fn command<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<database::Result<T>>) -> Command,
    ) -> Result<T, LeaseError> {
        let (answer, answered) = oneshot::channel();
        // Whoever is gone had a reason, which stands in the state.
        self.commands.send(command(answer)).await.map_err(|_| self.lost())?;
        Ok(answered.await.map_err(|_| self.lost())??)
    }

    fn lost(&self) -> LeaseError {
        LeaseError::Lost(match &*self.state.borrow() {
            State::Lost(why) => why.clone(),
            State::Good(_) => GONE.to_owned(),
            State::Released => "it was given back".to_owned(),
        })
    }
}

/// Who renews a lease.
struct Keeper {
    stack: Stack,
    holder: String,
    fence: String,
    ttl: Duration,
    /// For how long it is good after a renewal was sent.
    good: Duration,
    until: Clocks,
    told: watch::Sender<State>,
    /// Why the last renewal failed, if it did.
    failed: Option<database::Error>,
}

/// A renewal that failed.
enum Missed {
    /// The lease is lost.
    Lost(String),
    /// There may be time to try again.
    Later,
}

impl Keeper {
    async fn keep(mut self, mut asked: mpsc::Receiver<Command>) {
        let mut next = Instant::now() + self.ttl / 3;
        let mut backoff = self.backoff();
        let mut lost = false;
        loop {
            tokio::select! {
                // A lease that is lost is still asked about: whether it can be given back.
                () = self.stack.told(&self.holder), if !lost => next = Instant::now(),
                () = sleep_until(next.into()), if !lost => match self.renew().await {
                    Ok(()) => (next, backoff) = (Instant::now() + self.ttl / 3, self.backoff()),
                    Err(Missed::Lost(why)) => {
                        self.told.send_replace(State::Lost(why));
                        lost = true;
                    }
                    // Again before it runs out, and once when it has.
                    Err(Missed::Later) => {
                        next = (Instant::now() + backoff.next()).min(self.until.running.max(Instant::now()));
                    }
                },
                command = asked.recv() => match command {
                    // Dropped without a word.
                    None => return,
                    Some(Command::Note(file, answer)) => {
                        let within = self.left();
                        let file = file.to_string();
                        let _ = answer.send(self.stack.note(&self.holder, &self.fence, &file, within).await);
                    }
                    Some(Command::Clean(fence, answer)) => {
                        let within = self.left();
                        let fence = fence.to_string();
                        let _ = answer.send(self.stack.clean(&self.holder, &self.fence, &fence, within).await);
                    }
                    Some(Command::Release(answer)) => {
                        // Whatever becomes of it: nothing may be written from now on.
                        self.told.send_if_modified(|state| {
                            let good = matches!(state, State::Good(_));
                            if good {
                                *state = State::Released;
                            }
                            good
                        });
                        let _ = answer.send(self.stack.release(&self.holder, &self.fence, GOODBYE).await);
                        return;
                    }
                },
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Missed> {
        let sent = Clocks::now();
        if self.until.passed() {
            // It may still be good there, but who knows for how long.
            return Err(Missed::Lost(match self.failed.take() {
                Some(error) => format!("it could not be renewed in time: {error}"),
                None => "it was not renewed in time: this machine or this process stood still".to_owned(),
            }));
        }
        match self.stack.renew(&self.holder, &self.fence, self.left()).await {
            Ok(Held::Held { .. }) => {
                self.until = sent.after(self.good);
                self.told.send_replace(State::Good(self.until));
                self.failed = None;
                Ok(())
            }
            Ok(Held::Lost) => Err(Missed::Lost(GONE.to_owned())),
            Err(error) if error.passes() => {
                tracing::debug!(%error, "a lease could not be renewed yet");
                self.failed = Some(error);
                Err(Missed::Later)
            }
            Err(error) => Err(Missed::Lost(format!("it could not be renewed: {error}"))),
        }
    }

    /// How long a question may take: something else has to be tried before the lease runs out.
    fn left(&self) -> Duration {
        let left = self.until.running.saturating_duration_since(Instant::now());
        left.min(self.ttl / 3).clamp(Duration::from_millis(20), ANSWER)
    }

    fn backoff(&self) -> Backoff {
        Backoff::new((self.ttl / 10).min(Duration::from_secs(2)))
    }
}

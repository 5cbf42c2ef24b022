//! Asking for the lock.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use uuid::Uuid;

use super::{
    key::StackKey,
    lease::{Clocks, Lease},
    postgres::Stack,
    record::{Abandoned, Answer, Break, Grant, Kind, Owner, Released, Request, Standing, Status},
    refused::Refused,
};
use crate::database::{self, Backoff, Database, Link};

/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);
/// For how long an answer that got lost is asked for again by somebody who won't wait.
const GRACE: Duration = Duration::from_secs(5);
/// The longest time that can be asked for.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// The lock of a stack.
#[derive(Clone, Debug)]
pub struct Lock {
    database: Database,
    key: StackKey,
    timing: Timing,
}

/// How long things take. The defaults are for people; tests are in a hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For how long a lease is good without being renewed. Longer than Pulumi hangs on to one save (32 s).
    pub ttl: Duration,
    /// For how long somebody in the queue may be silent before the next one is served.
    pub patience: Duration,
    /// How often somebody in the queue asks at least, told to or not.
    pub poll: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(90), patience: Duration::from_secs(10), poll: Duration::from_millis(500) }
    }
}

/// Whether to stand in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Now or not at all.
    No,
    /// For so long.
    UpTo(Duration),
}

/// A place in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// 1: next.
    pub position: u64,
    /// Who is in the way.
    pub standing: Standing,
}

/// A maintenance that was begun. It ends by itself, or is ended; nothing needs to run meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The lease. Its `holder` is the token that lets commands in.
    pub grant: Grant,
    /// Whose work was never cleaned up, oldest first.
    pub abandoned: Vec<Abandoned>,
}

impl Hold {
    /// What a command has to show to run within.
    pub fn token(&self) -> Uuid {
        self.grant.holder
    }
}

impl Lock {
    /// The lock of a stack. Nothing is asked yet.
    pub fn new(database: &Database, key: StackKey) -> Self {
        Self { database: database.clone(), key, timing: Timing::default() }
    }

    /// With other times.
    pub fn timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// Which stack.
    pub fn key(&self) -> &StackKey {
        &self.key
    }

    /// Takes the lock, for one command. `token` is that of the hold the command runs in. `progress` hears of each change
    /// of the place in the queue.
    ///
    /// Dropped while it waits, it is passed over once its patience has run out.
    pub async fn acquire(
        &self,
        owner: Owner,
        wait: Wait,
        token: Option<Uuid>,
        progress: impl FnMut(&Place),
    ) -> Result<Lease, Refused> {
        let request = self.request(Kind::Run, owner, None, token, self.timing.ttl);
        let (stack, grant, abandoned, sent) = self.ask(request, wait, progress).await?;
        Ok(Lease::begin(stack, grant, abandoned, sent))
    }

    /// Reserves the stack for commands that carry the hold's token. Within a hold, with its token, that one lasts longer.
    pub async fn hold(
        &self,
        owner: Owner,
        reason: &str,
        ttl: Duration,
        wait: Wait,
        token: Option<Uuid>,
        progress: impl FnMut(&Place),
    ) -> Result<Hold, Refused> {
        let request = self.request(Kind::Hold, owner, Some(reason.to_owned()), token, ttl);
        let (_, grant, abandoned, _) = self.ask(request, wait, progress).await?;
        Ok(Hold { grant, abandoned })
    }

    /// Ends a hold. False: it had ended before.
    pub async fn end_hold(&self, token: Uuid) -> database::Result<bool> {
        let mut stack = self.stack(Link::new(&self.database));
        let status = stack.status(ANSWER).await?;
        let Some(hold) = status.hold.filter(|hold| hold.holder == token) else { return Ok(false) };
        let released = stack.release(&hold.holder.to_string(), &hold.fence.to_string(), GRACE).await?;
        Ok(released == Released::Released)
    }

    /// Takes the lease away from this holder: its writes are refused as soon as it hears of it, at the latest when it
    /// next renews; who takes over fences the rest. The lease stays known as abandoned.
    pub async fn break_lease(&self, holder: Uuid, by: &str, reason: &str) -> database::Result<Break> {
        self.stack(Link::new(&self.database)).break_lease(&holder.to_string(), by, reason, ANSWER).await
    }

    /// How the lock is.
    pub async fn status(&self) -> database::Result<Status> {
        self.stack(Link::new(&self.database)).status(ANSWER).await
    }

    fn stack(&self, link: Link) -> Stack {
        Stack::new(link, self.key.clone())
    }

    fn request(&self, kind: Kind, owner: Owner, reason: Option<String>, under: Option<Uuid>, ttl: Duration) -> Request {
        Request {
            holder: Uuid::new_v4(),
            kind,
            owner,
            reason,
            under,
            ttl_ms: milliseconds(ttl).max(1),
            wait_ms: None,
            patience_ms: milliseconds(self.timing.patience),
        }
    }

    /// Asks, again and again if need be. Also gives the time at which the question was sent that was answered.
    async fn ask(
        &self,
        mut request: Request,
        wait: Wait,
        mut progress: impl FnMut(&Place),
    ) -> Result<(Stack, Grant, Vec<Abandoned>, Clocks), Refused> {
        let began = Instant::now();
        let patience = match wait {
            Wait::No => None,
            Wait::UpTo(patience) => Some(patience.min(LONGEST)),
        };
        let mut stack = self.stack(Link::listening(&self.database));
        let holder = request.holder.to_string();
        let mut backoff = Backoff::new(self.timing.poll);
        let mut last = None;
        loop {
            let left = patience.map(|patience| patience.saturating_sub(began.elapsed()));
            request.wait_ms = left.map(milliseconds);
            let sent = Clocks::now();
            let asked = stack.acquire(&request, ANSWER).await;
            let failed = asked.is_err();
            let expires = match asked {
                Ok(Answer::Granted { grant, abandoned }) => return Ok((stack, grant, abandoned, sent)),
                Ok(Answer::HoldOver) => return Err(Refused::HoldOver),
                Ok(Answer::Busy { standing }) => {
                    return Err(Refused::Locked { standing: Box::new(standing), waited: None });
                }
                Ok(Answer::Waiting { position, standing }) => {
                    if left.is_none_or(|left| left.is_zero()) {
                        self.leave(&mut stack, &holder).await;
                        return Err(Refused::Locked { standing: Box::new(standing), waited: patience });
                    }
                    let expires = runs_out(&standing);
                    let place = Place { position, standing };
                    let seen = (position, ids(&place.standing));
                    if last.as_ref() != Some(&seen) {
                        progress(&place);
                        // The queue moves: it may be this one's turn soon.
                        backoff = Backoff::new(self.timing.poll);
                        last = Some(seen);
                    }
                    expires
                }
                // Whoever was never answered need not wait for a database that may not be there at all. An answer that
                // got lost on its way is asked for again.
                Err(error) => {
                    let most = patience.unwrap_or_default().max(GRACE);
                    if error.passes() && stack.reached() && began.elapsed() < most {
                        tracing::debug!(%error, "the lock is asked for again");
                        None
                    } else {
                        if stack.reached() {
                            self.leave(&mut stack, &holder).await;
                        }
                        return Err(error.into());
                    }
                }
            };
            let pause = backoff.next();
            // A lease that runs out tells nobody.
            let pause = expires.map_or(pause, |expires| pause.min(expires));
            let pause = if failed { pause } else { left.map_or(pause, |left| pause.min(left)) };
            tokio::select! {
                () = stack.told(&holder) => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Leaves the queue. Where that can't be told, patience runs out, or the lease does.
    async fn leave(&self, stack: &mut Stack, holder: &str) {
        if let Err(error) = stack.give_up(holder, Duration::from_secs(1)).await {
            tracing::debug!(%error, "could not leave the queue");
        }
    }
}

/// In how long whoever is in the way will be out of it, if nothing more is heard of it.
fn runs_out(standing: &Standing) -> Option<Duration> {
    let silent = standing.next.as_ref().map(|next| next.seen + Duration::from_millis(next.patience_ms));
    let ends = match (&standing.run, &standing.hold) {
        (Some(run), _) => Some(run.expires),
        (None, Some(hold)) => Some(hold.expires),
        (None, None) => silent,
    };
    // A little later, so as not to come too early.
    ends.map(|ends| Duration::try_from(ends - standing.at).unwrap_or_default() + Duration::from_millis(2))
}

fn ids(standing: &Standing) -> [Option<Uuid>; 2] {
    [standing.run.as_ref(), standing.hold.as_ref()].map(|grant| grant.map(|grant| grant.holder))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.min(LONGEST).as_millis()).unwrap_or(u64::MAX)
}

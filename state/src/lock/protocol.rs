//! The lock of one stack as a pure machine: what each step does to it at a given time of the database.
//!
//! The database does the same steps in SQL (`migrations/V1__lock.sql`), each under a lock of the stack's row. A test
//! holds the two against each other; another walks through all that processes, pauses and lost messages can do to
//! this one.
//!
//! - At most one *run* is held at a time, and each lease has a higher number than all before it.
//! - A *hold* reserves the stack: while it lasts, only requests that carry its id as token may run.
//! - Who waits is served in order of coming. Somebody silent for too long is passed over, but keeps its place.
//! - A lease that runs out or is taken away is *abandoned*, and stays known until somebody cleaned up after it.

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::record::{
    Abandoned, Answer, Break, Broken, Cleaned, Grant, Held, Kind, Released, Request, Standing, Status, Waiter,
};

/// The lock of one stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stack {
    fence: u64,
    released: u64,
    run: Option<Grant>,
    hold: Option<Grant>,
    queue: Vec<Waiter>,
    abandoned: Vec<Abandoned>,
}

impl Stack {
    /// Asks for a lease, or asks again.
    pub fn acquire(&mut self, request: &Request, now: OffsetDateTime) -> Answer {
        self.sweep(now);
        let expires = after(now, request.ttl_ms);
        // Asked again because the answer was lost.
        let held = match request.kind {
            Kind::Run => &mut self.run,
            Kind::Hold => &mut self.hold,
        };
        if let Some(grant) = held.as_mut().filter(|grant| grant.holder == request.holder) {
            (grant.renewed, grant.expires) = (now, expires);
            return Answer::Granted { grant: grant.clone(), abandoned: self.abandoned.clone() };
        }
        if let Some(token) = request.under {
            match self.hold.as_mut().filter(|hold| hold.holder == token) {
                None => {
                    self.queue.retain(|waiter| waiter.holder != request.holder);
                    return Answer::HoldOver;
                }
                // Held again within: it lasts from now on.
                Some(hold) if request.kind == Kind::Hold => {
                    (hold.renewed, hold.expires) = (now, hold.expires.max(expires));
                    return Answer::Granted { grant: hold.clone(), abandoned: self.abandoned.clone() };
                }
                Some(_) => {}
            }
        }
        let door = self.hold.as_ref().map(|hold| hold.holder);
        let turn = self.next(now).is_none_or(|next| next.holder == request.holder);
        if self.run.is_none() && door == request.under && turn {
            self.queue.retain(|waiter| waiter.holder != request.holder);
            return self.grant(request, now, expires);
        }
        let Some(wait) = request.wait_ms else {
            self.queue.retain(|waiter| waiter.holder != request.holder);
            return Answer::Busy { standing: self.standing(now) };
        };
        let until = after(now, wait);
        match self.queue.iter_mut().find(|waiter| waiter.holder == request.holder) {
            Some(waiter) => (waiter.seen, waiter.until) = (now, until),
            None => self.queue.push(Waiter {
                holder: request.holder,
                kind: request.kind,
                owner: request.owner.clone(),
                reason: request.reason.clone(),
                under: request.under,
                since: now,
                seen: now,
                patience_ms: request.patience_ms,
                until,
            }),
        }
        let ahead = self.queue.iter().take_while(|waiter| waiter.holder != request.holder);
        let ahead = ahead.filter(|waiter| waiter.under == request.under && alive(waiter, now)).count();
        Answer::Waiting { position: ahead as u64 + 1, standing: self.standing(now) }
    }

    fn grant(&mut self, request: &Request, now: OffsetDateTime, expires: OffsetDateTime) -> Answer {
        self.fence += 1;
        let grant = Grant {
            holder: request.holder,
            fence: self.fence,
            kind: request.kind,
            owner: request.owner.clone(),
            reason: request.reason.clone(),
            under: request.under,
            ttl_ms: request.ttl_ms,
            since: now,
            renewed: now,
            expires,
            lock_file: None,
        };
        let place = match grant.kind {
            Kind::Run => &mut self.run,
            Kind::Hold => &mut self.hold,
        };
        *place = Some(grant.clone());
        Answer::Granted { grant, abandoned: self.abandoned.clone() }
    }

    /// The holder of a run lives.
    pub fn renew(&mut self, holder: Uuid, fence: u64, now: OffsetDateTime) -> Held {
        self.sweep(now);
        let Some(run) = self.running(holder, fence) else { return Held::Lost };
        (run.renewed, run.expires) = (now, after(now, run.ttl_ms));
        Held::Held { expires: run.expires }
    }

    /// Pulumi wrote this lock file under a run.
    pub fn note(&mut self, holder: Uuid, fence: u64, file: Uuid, now: OffsetDateTime) -> Held {
        self.sweep(now);
        let Some(run) = self.running(holder, fence) else { return Held::Lost };
        run.lock_file = Some(file);
        Held::Held { expires: run.expires }
    }

    /// Gives a lease back. Twice is as good as once.
    pub fn release(&mut self, holder: Uuid, fence: u64, now: OffsetDateTime) -> Released {
        self.sweep(now);
        for place in [&mut self.run, &mut self.hold] {
            if place.take_if(|grant| grant.holder == holder && grant.fence == fence).is_some() {
                self.released = fence;
            }
        }
        if self.released == fence { Released::Released } else { Released::NotHeld }
    }

    /// Somebody no longer wants what it asked for, whether it got it meanwhile or not.
    pub fn give_up(&mut self, holder: Uuid, now: OffsetDateTime) {
        self.sweep(now);
        self.queue.retain(|waiter| waiter.holder != holder);
        for place in [&mut self.run, &mut self.hold] {
            place.take_if(|grant| grant.holder == holder);
        }
    }

    /// Takes a lease away from a holder.
    pub fn break_lease(&mut self, holder: Uuid, broken: Broken, now: OffsetDateTime) -> Break {
        self.sweep(now);
        let mut taken = None;
        for place in [&mut self.run, &mut self.hold] {
            taken = taken.or_else(|| place.take_if(|grant| grant.holder == holder));
        }
        let Some(grant) = taken else { return Break::NotFound { standing: Box::new(self.standing(now)) } };
        self.abandon(Abandoned { grant: grant.clone(), ended: now, broken: Some(broken) });
        Break::Broken { grant: Box::new(grant) }
    }

    /// The traces of an abandoned lease have been removed by who runs now.
    pub fn clean(&mut self, holder: Uuid, fence: u64, abandoned: u64, now: OffsetDateTime) -> Cleaned {
        self.sweep(now);
        if self.running(holder, fence).is_none() {
            return Cleaned::Lost;
        }
        let before = self.abandoned.len();
        self.abandoned.retain(|left| left.grant.fence != abandoned);
        if self.abandoned.len() < before { Cleaned::Cleaned } else { Cleaned::Unknown }
    }

    /// Ends what has run out by now.
    pub fn sweep(&mut self, now: OffsetDateTime) {
        if let Some(grant) = self.run.take_if(|grant| grant.expires <= now) {
            self.abandon(Abandoned { ended: grant.expires, grant, broken: None });
        }
        // A hold has an end by itself: nothing unexpected happened.
        self.hold.take_if(|grant| grant.expires <= now);
        self.queue.retain(|waiter| waiter.until > now);
    }

    /// How it is.
    pub fn status(&mut self, now: OffsetDateTime) -> Status {
        self.sweep(now);
        Status {
            at: now,
            fence: self.fence,
            run: self.run.clone(),
            hold: self.hold.clone(),
            queue: self.queue.clone(),
            abandoned: self.abandoned.clone(),
        }
    }

    fn running(&mut self, holder: Uuid, fence: u64) -> Option<&mut Grant> {
        self.run.as_mut().filter(|run| run.holder == holder && run.fence == fence)
    }

    /// Whose turn it is, of those who could be let in.
    fn next(&self, now: OffsetDateTime) -> Option<&Waiter> {
        let door = self.hold.as_ref().map(|hold| hold.holder);
        self.queue.iter().find(|waiter| waiter.under == door && alive(waiter, now))
    }

    fn standing(&self, now: OffsetDateTime) -> Standing {
        Standing { at: now, run: self.run.clone(), hold: self.hold.clone(), next: self.next(now).cloned() }
    }

    fn abandon(&mut self, left: Abandoned) {
        self.abandoned.push(left);
        self.abandoned.sort_by_key(|left| left.grant.fence);
    }
}

fn alive(waiter: &Waiter, now: OffsetDateTime) -> bool {
    after(waiter.seen, waiter.patience_ms) > now
}

/// Far enough is for ever.
fn after(now: OffsetDateTime, milliseconds: u64) -> OffsetDateTime {
    now.saturating_add(Duration::milliseconds(i64::try_from(milliseconds).unwrap_or(i64::MAX)))
}

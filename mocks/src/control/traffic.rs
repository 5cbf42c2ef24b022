//! What the cloud has been asked, and what it cost.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{api::Outcome, kernel::Denial};

/// How many requests are remembered one by one.
const KEPT: usize = 2_000;

/// What the cloud was asked since it began to count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Requests answered.
    pub requests: u64,
    /// Seconds of wall-clock time in which at least one request was being answered.
    pub busy_seconds: f64,
    /// Seconds of wall-clock time in which at least one request waited for what runs behind the API. They are not
    /// busy ones.
    #[serde(default)]
    pub waiting_seconds: f64,
    /// Answers that told of a state the client has to ask for again.
    pub not_ready: u64,
    /// Requests for routes the local cloud does not have (501).
    pub unknown_routes: u64,
    /// Answers with a status of 500 or more, faults not counted.
    pub server_errors: u64,
    /// Answers that faults gave or lost.
    pub faulted: u64,
    /// Requests of which IAM denied something, let through all the same or not.
    #[serde(default)]
    pub denied: u64,
    /// The longest time an answer took, in seconds.
    pub slowest_seconds: f64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// The routes that were asked for and do not exist.
    pub missing: BTreeMap<String, u64>,
}

/// One request, as the log shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The host name and the path, with the query. Presigned signatures are left out.
    pub target: String,
    /// The answer's status.
    pub status: u16,
    /// How long the answer took, in microseconds.
    pub microseconds: u64,
    /// What IAM denied of it, and what would have allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<Denial>,
}

/// Counts requests.
#[derive(Default)]
pub struct Traffic(Mutex<State>);

#[derive(Default)]
struct State {
    totals: Totals,
    log: VecDeque<Seen>,
    under_way: u64,
    busy_since: Option<Instant>,
    waiting: u64,
    waiting_since: Option<Instant>,
}

impl State {
    /// One request less is being answered.
    fn less_to_do(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        if self.under_way == 0
            && let Some(since) = self.busy_since.take()
        {
            self.totals.busy_seconds += since.elapsed().as_secs_f64();
        }
    }

    /// One request more is being answered.
    fn more_to_do(&mut self, now: Instant) {
        self.under_way += 1;
        self.busy_since.get_or_insert(now);
    }
}

/// A request that waits for what runs behind the API, until this is dropped.
pub(crate) struct Waits(Arc<Traffic>);

impl Drop for Waits {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.waiting = state.waiting.saturating_sub(1);
        if state.waiting == 0
            && let Some(since) = state.waiting_since.take()
        {
            state.totals.waiting_seconds += since.elapsed().as_secs_f64();
        }
        state.more_to_do(Instant::now());
    }
}

/// A request under way.
pub(crate) struct UnderWay(Instant);

impl Traffic {
    /// A request begins.
    pub(crate) fn begin(&self) -> UnderWay {
        let now = Instant::now();
        self.0.lock().more_to_do(now);
        UnderWay(now)
    }

    /// A request under way waits for what runs behind the API.
    pub(crate) fn wait(self: &Arc<Self>) -> Waits {
        let mut state = self.0.lock();
        state.less_to_do();
        state.waiting += 1;
        state.waiting_since.get_or_insert_with(Instant::now);
        Waits(Arc::clone(self))
    }

    /// A request has been answered.
    #[allow(clippy::too_many_arguments, reason = "what is known of a request")]
    pub(crate) fn end(
        &self,
        begun: &UnderWay,
        method: &str,
        target: String,
        status: u16,
        outcome: &Outcome,
        faulted: bool,
        denied: Option<Denial>,
    ) {
        let took = begun.0.elapsed();
        let mut state = self.0.lock();
        state.less_to_do();
        let totals = &mut state.totals;
        totals.requests += 1;
        totals.not_ready += u64::from(outcome.not_ready);
        totals.faulted += u64::from(faulted);
        totals.denied += u64::from(denied.is_some());
        totals.slowest_seconds = totals.slowest_seconds.max(took.as_secs_f64());
        *totals.statuses.entry(status).or_default() += 1;
        if outcome.unknown_route {
            totals.unknown_routes += 1;
            *totals.missing.entry(format!("{method} {target}")).or_default() += 1;
        } else if status >= 500 && !faulted {
            totals.server_errors += 1;
        }
        state.log.push_back(Seen { method: method.to_owned(), target, status, microseconds: micros(took), denied });
        if state.log.len() > KEPT {
            state.log.pop_front();
        }
    }

    /// The counts so far.
    pub fn totals(&self) -> Totals {
        self.0.lock().totals.clone()
    }

    /// The last requests, oldest first.
    pub fn log(&self) -> Vec<Seen> {
        self.0.lock().log.iter().cloned().collect()
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        let mut state = self.0.lock();
        state.totals = Totals::default();
        state.log.clear();
        if state.under_way > 0 {
            state.busy_since = Some(Instant::now());
        }
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

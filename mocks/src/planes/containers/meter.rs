//! How many requests a container is asked, what it answers, and how long that takes.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Up to how many seconds the requests of a class take; what takes longer is of none.
const CLASSES: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// The counts of one container.
#[derive(Default)]
pub(in crate::planes) struct Meter(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    under_way: u64,
    by_status: BTreeMap<u16, u64>,
    /// By class, without those of lower ones.
    durations: [u64; CLASSES.len()],
    seconds: f64,
}

impl Meter {
    /// A request begins.
    pub(in crate::planes) fn begin(self: Arc<Self>) -> Asked {
        self.0.lock().under_way += 1;
        Asked { meter: self, began: Instant::now(), status: StatusCode::BAD_GATEWAY }
    }

    /// All of it, as Prometheus would count.
    pub(super) fn told(&self) -> Value {
        let counts = self.0.lock();
        let total: u64 = counts.by_status.values().sum();
        let by_status: BTreeMap<String, u64> =
            counts.by_status.iter().map(|(status, count)| (status.to_string(), *count)).collect();
        let up_to = counts.durations.iter().scan(0, |all, count| {
            *all += count;
            Some(*all)
        });
        let buckets: Vec<Value> =
            CLASSES.iter().zip(up_to).map(|(le, count)| json!({"le": le, "count": count})).collect();
        json!({
            "requests": {"total": total, "under_way": counts.under_way, "by_status": by_status},
            "duration_seconds": {"count": total, "sum": counts.seconds, "buckets": buckets},
        })
    }
}

/// A request under way. It has ended when this is dropped.
pub(in crate::planes) struct Asked {
    meter: Arc<Meter>,
    began: Instant,
    status: StatusCode,
}

impl Asked {
    /// What it is answered.
    pub(in crate::planes) fn answered(&mut self, status: StatusCode) {
        self.status = status;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let seconds = self.began.elapsed().as_secs_f64();
        let mut counts = self.meter.0.lock();
        counts.under_way = counts.under_way.saturating_sub(1);
        *counts.by_status.entry(self.status.as_u16()).or_default() += 1;
        counts.seconds += seconds;
        if let Some(class) = CLASSES.iter().position(|le| seconds <= *le) {
            counts.durations[class] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_is_counted_by_what_was_answered() {
        let meter = Arc::new(Meter::default());
        let mut one = Arc::clone(&meter).begin();
        one.answered(StatusCode::OK);
        let other = Arc::clone(&meter).begin();
        drop(one);
        let told = meter.told();
        assert_eq!(told["requests"], json!({"total": 1, "under_way": 1, "by_status": {"200": 1}}));
        assert_eq!(told["duration_seconds"]["buckets"][11], json!({"le": 60.0, "count": 1}));
        drop(other);
        assert_eq!(meter.told()["requests"]["by_status"], json!({"200": 1, "502": 1}));
    }
}

//! How much instances used, for the last hour or so.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use stackproof_planes::databases::Measure;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{kernel::rfc3339, services::rdb_plane::Node};

/// How many moments are kept of an instance.
const KEPT: usize = 1200;

/// What was measured of all instances.
#[derive(Default)]
pub(super) struct Metrics(Mutex<BTreeMap<String, Series>>);

#[derive(Default)]
struct Series {
    moments: VecDeque<Moment>,
    /// How long the processes had been busy when that was measured last, and when.
    busy: Option<(usize, Duration, Instant)>,
}

struct Moment {
    at: OffsetDateTime,
    node: usize,
    /// By the names that Scaleway gives them.
    values: Vec<(&'static str, f64)>,
}

impl Metrics {
    /// Keeps what was measured now. In a cloud whose clock stands still, the last moment takes the place of the others.
    pub(super) fn add(&self, key: &str, at: OffsetDateTime, measure: Measure, node: &Node) {
        let mut all = self.0.lock();
        let series = all.entry(key.to_owned()).or_default();
        let mut values = Vec::new();
        let before = std::mem::replace(&mut series.busy, measure.busy.map(|busy| (measure.node, busy, Instant::now())));
        if let (Some((before_on, before, then)), Some((on, busy, now))) = (before, series.busy)
            && before_on == on
            && let Some(more) = busy.checked_sub(before)
        {
            let whole = (now - then).as_secs_f64() * f64::from(node.processors);
            values.push(("cpu_usage_percent", percent(more.as_secs_f64(), whole)));
        }
        if let Some(memory) = measure.memory {
            values.push(("mem_usage_percent", percent(amount(memory), amount(node.memory))));
        }
        if let Some(connections) = measure.connections {
            values.push(("total_connections", amount(connections)));
        }
        values.push(("disk_usage_percent", percent(amount(measure.bytes), amount(node.volume))));
        if series.moments.back().is_some_and(|last| last.at == at) {
            series.moments.pop_back();
        }
        if series.moments.len() == KEPT {
            series.moments.pop_front();
        }
        series.moments.push_back(Moment { at, node: measure.node, values });
    }

    pub(super) fn forget(&self, key: &str) {
        self.0.lock().remove(key);
    }

    /// All that is kept, one series for each node and name, each point a moment and a value.
    pub(super) fn told(&self, key: &str) -> Value {
        let all = self.0.lock();
        let mut series: BTreeMap<(usize, &str), Vec<Value>> = BTreeMap::new();
        for moment in all.get(key).into_iter().flat_map(|series| &series.moments) {
            for (name, value) in &moment.values {
                series.entry((moment.node, name)).or_default().push(json!([rfc3339(moment.at), value]));
            }
        }
        let shown = series.into_iter().map(|((node, name), points)| {
            json!({"name": name, "points": points, "metadata": {"node": format!("node-{}", node + 1)}})
        });
        shown.collect()
    }
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (part / whole * 100.0).min(100.0) } else { 0.0 }
}

fn amount(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_a_series_of_the_moments_that_are_kept() {
        let (metrics, node) = (Metrics::default(), Node { processors: 2, memory: 1000, volume: 400 });
        let begin = OffsetDateTime::UNIX_EPOCH;
        for second in 0..2000 {
            let measure = Measure { bytes: 100, memory: Some(500), connections: Some(3), ..Measure::default() };
            metrics.add("one", begin + time::Duration::seconds(second / 2), measure, &node);
        }
        let told = metrics.told("one");
        let names: Vec<&str> = told.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["disk_usage_percent", "mem_usage_percent", "total_connections"]);
        assert_eq!(told[0]["points"].as_array().unwrap().len(), 1000, "one for a moment");
        assert_eq!(told[0]["points"][0], json!(["1970-01-01T00:00:00Z", 25.0]));
        assert_eq!((&told[1]["points"][0][1], &told[2]["metadata"]["node"]), (&json!(50.0), &json!("node-1")));
        metrics.forget("one");
        assert_eq!(metrics.told("one"), json!([]));
    }
}

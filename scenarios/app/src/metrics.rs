//! What the application tells of itself, in Prometheus' format.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Which requests are counted together.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Answered {
    /// The route as it is declared, so that there are few.
    route: String,
    status: u16,
}

/// The metrics.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Histogram,
    /// 1 while the database answers, 0 while it does not.
    pub(crate) database_up: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let (requests, database_up) = (Family::default(), Gauge::default());
        let seconds = Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]);
        let mut registry = Registry::default();
        registry.register("http_requests", "Requests answered", Family::clone(&requests));
        registry.register("http_request_duration_seconds", "How long answers took", seconds.clone());
        registry.register("database_up", "Whether the database answered last", database_up.clone());
        Self { registry, requests, seconds, database_up }
    }
}

impl Metrics {
    /// Counts an answer.
    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { route: route.to_owned(), status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// All of them, as text.
    pub(crate) fn told(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

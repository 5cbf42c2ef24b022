//! What went through, for the report: the lock's timeline, and what an update costs.

use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use time::OffsetDateTime;

/// How many requests are kept one by one. What comes after is counted only.
const KEPT: usize = 50_000;

/// One request. It holds no secret: neither content, nor header, nor signature.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Its HTTP method.
    pub method: String,
    /// What it asks for, by S3's name, such as `PutObject`.
    pub operation: &'static str,
    /// Which key (or, for a list, beginning of keys) in the bucket, without the backend's prefix.
    pub key: String,
    /// The status that was answered.
    pub status: u16,
    /// Why the gateway answered itself; none if the bucket answered.
    pub refused: Option<&'static str>,
    /// Whether it writes.
    pub write: bool,
    /// The condition that the gateway added, such as `if-match`.
    pub condition: Option<&'static str>,
    /// How many bytes came.
    pub received: u64,
    /// How many bytes were answered.
    pub answered: u64,
    /// How long it took until the answer began.
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub took: Duration,
}

/// What went through.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Log {
    /// Each request, in the order of their ends; the first 50 000.
    pub requests: Vec<Record>,
    /// How many passed that read.
    pub reads: u64,
    /// How many passed that write.
    pub writes: u64,
    /// How many writes were of a checkpoint.
    pub checkpoints: u64,
    /// How many were refused.
    pub refused: u64,
    /// Checkpoints of whose last write nobody knows whether it arrived: it may still. Known once the gateway is closed.
    pub unanswered: Vec<String>,
    /// How many bytes were sent to the bucket.
    pub bytes_written: u64,
    /// How many bytes came from the bucket.
    pub bytes_read: u64,
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
}

/// Where requests are written down.
#[derive(Debug, Default)]
pub(super) struct Book(Mutex<Log>);

impl Book {
    pub(super) fn write(&self, record: Record) {
        let mut log = self.0.lock();
        if record.refused.is_some() {
            log.refused += 1;
        } else {
            log.bytes_written += record.received;
            log.bytes_read += record.answered;
            if record.write {
                log.writes += 1;
                log.checkpoints += u64::from(record.condition.is_some());
            } else {
                log.reads += 1;
            }
        }
        if log.requests.len() < KEPT {
            log.requests.push(record);
        }
    }

    pub(super) fn read(&self) -> Log {
        self.0.lock().clone()
    }
}

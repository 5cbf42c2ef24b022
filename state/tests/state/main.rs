//! State in buckets: the local cloud's, and MinIO's where there is one.

#![allow(unreachable_pub, reason = "one test program of several files")]
#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod bucket;
mod checkpoint;
mod fencing;
mod fixture;
mod gateway;
mod pulumi;

//! State in buckets: the local cloud's, and MinIO's where there is one.

#![allow(unreachable_pub, reason = "one test program of several files")]
#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod bucket;
mod checkpoint;
#[allow(dead_code, reason = "one file of several test programs")]
#[path = "../common/docker.rs"]
mod docker;
mod fencing;
mod fixture;
mod gateway;
mod pulumi;

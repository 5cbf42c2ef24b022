//! Object Storage as its clients meet it: the official SDK over a loopback listener, and requests by hand.

#![allow(unreachable_pub, reason = "one test program of several files")]
#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod access;
mod buckets;
mod fixture;
mod listing;
mod model;
mod multipart;
mod objects;
mod raw;
mod versions;

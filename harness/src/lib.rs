//! stackproof: proves a Scaleway stack written with Pulumi, end to end, before
//! it meets a customer.
//!
//! The library behind the `stackproof` command. A scenario talks to a target,
//! the target's stack is deployed by Pulumi, probes look at it from outside,
//! and what they saw is folded into the report.

pub mod acceptance;
pub mod failure;
pub mod report;
pub mod runner;

pub use failure::{Exit, Failure};

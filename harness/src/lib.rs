//! stackproof: proves a Scaleway stack written with Pulumi, end to end, before
//! it meets a customer.
//!
//! The library behind the `stackproof` command. A scenario talks to a target,
//! the target's stack is deployed by Pulumi, probes look at it from outside,
//! and what they saw is folded into the report.

pub mod acceptance;
pub mod bench;
pub mod check;
pub mod compliance;
pub mod conformance;
pub mod failure;
pub mod foundation;
pub mod image;
pub mod privilege;
pub mod progress;
pub mod pulumi;
pub mod report;
pub mod rotate;
pub mod runner;
pub mod scan;
pub mod sovereign;
pub mod stack;
pub mod target;
pub mod tls;
pub mod toolchain;
pub mod workspace;

pub use failure::{Exit, Failure};
pub use progress::Progress;
pub use toolchain::Toolchain;
pub use workspace::Workspace;

//! The frame every acceptance scenario is written in: given, when, then.
//!
//! A scenario is a function whose sentences are the report. `accept` runs it,
//! records every step as it happens and leaves one evidence fragment; the
//! report folds the fragments of a run. Nothing here knows Pulumi, Scaleway or
//! a report format.
//!
//! ```no_run
//! use stackproof::acceptance::{Probe, accept, is};
//!
//! # async fn us1_1() {
//! accept("US1.1", async |s| {
//!     let stack = s.given("a configured project", async { Ok("demo") }).await?;
//!     s.when("running pulumi up", async { Ok(()) }).await?;
//!     s.then("the bucket exists", Probe::new("HEAD /bucket", async || Ok(stack.len())), is(4_usize)).await
//! })
//! .await;
//! # }
//! ```

mod expect;
mod fragment;
mod perform;
mod print;
mod probe;
mod redact;
mod scenario;
mod store;
mod target;

pub use expect::{Expectation, MaybeEmpty, at_least, at_most, contains, empty, includes, is, matches, names};
pub use fragment::{Budget, BudgetRule, Fragment, Status, Step, StepKind};
pub(crate) use fragment::{now, rounded};
pub use perform::{accept, perform};
pub use probe::Probe;
pub use redact::Redactor;
pub use scenario::Scenario;
pub(crate) use store::write_whole;
pub use store::{RUN_VARIABLE, Store};
pub use target::{Capability, TARGET_VARIABLE, TargetName};

//! The sign-off report: a fold over what a run left behind.
//!
//! ```text
//!  fragments ─┐
//!  nextest's JUnit ─┼─► fold ─► Report ─► html · json · markdown · junit · manifest
//!  requirements, subject ─┘
//! ```
//!
//! The verdict is computed, never typed in, and the same run folds to the same
//! bytes, apart from one marked block about the folding itself. A new format
//! is one more file here and one more line in `write`.

mod fold;
mod html;
mod inputs;
mod junit;
mod manifest;
mod markdown;
mod model;
mod requirements;
mod subject;
mod suite;
#[cfg(test)]
mod tests;
mod words;
mod write;

pub use fold::fold;
pub use inputs::{Inputs, RunInfo, Stage};
pub use manifest::{Difference, Manifest};
pub use model::{Counts, Folding, Proof, Report, RequirementRow, ScenarioRow, TestRow, Verdict};
pub use requirements::{Requirement, Requirements, seed_ids};
pub use subject::{Git, Runner, Subject, Tool};
pub use suite::{TestResult, TestStatus};
pub use write::write;

//! The report as data: what `report.json` holds and every other format shows.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Runner, Stage, Subject, TestResult};
use crate::acceptance::{Budget, Status, Step, TargetName};

/// The computed verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Every requirement is proven and nothing failed.
    #[serde(rename = "ACCEPTED")]
    Accepted,
    /// Nothing failed, and some requirements are not proven yet.
    #[serde(rename = "ACCEPTED WITH GAPS")]
    AcceptedWithGaps,
    /// Something failed, or nothing was shown.
    #[serde(rename = "REJECTED")]
    Rejected,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "ACCEPTED",
            Self::AcceptedWithGaps => "ACCEPTED WITH GAPS",
            Self::Rejected => "REJECTED",
        })
    }
}

/// How far a requirement is proven by this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// All its evidence passed, and no more is planned.
    Proven,
    /// Its evidence passed; the rest of its proof is planned.
    Partial,
    /// Nothing proves it yet.
    Gap,
    /// Its evidence took no part in this run.
    NotRun,
    /// Its evidence does not apply on this run's targets.
    NotApplicable,
    /// Some of its evidence failed.
    Failed,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this form.
    pub schema: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is not a plain "accepted", each in a sentence.
    pub because: Vec<String>,
    /// The targets of the run, as one word or several with commas.
    pub target: String,
    /// The command that made the run.
    pub command: String,
    /// When the run began (RFC 3339, UTC).
    pub started: String,
    /// When the run ended.
    pub finished: String,
    /// What was judged.
    pub subject: Subject,
    /// How much of each there is.
    pub counts: Counts,
    /// The scenarios, in the seed's order.
    pub scenarios: Vec<ScenarioRow>,
    /// The requirements, in the seed's order.
    pub requirements: Vec<RequirementRow>,
    /// The measured budgets.
    pub budgets: Vec<BudgetRow>,
    /// Linters and other checks.
    pub checks: Vec<Stage>,
    /// Tests that are no scenarios, one row a binary.
    pub tests: Vec<TestRow>,
    /// The one block that differs between two foldings of the same run.
    pub folding: Folding,
}

impl Report {
    /// The version of the form written today.
    pub const SCHEMA: &str = "stackproof.report/1";
}

/// Numbers for the first lines of every format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Scenarios that ran, whatever came of them.
    pub scenarios: usize,
    /// Scenarios that passed.
    pub scenarios_passed: usize,
    /// Scenarios that do not apply on their target.
    pub scenarios_not_applicable: usize,
    /// Requirements of the seed.
    pub requirements: usize,
    /// Requirements that are proven.
    pub requirements_proven: usize,
    /// Requirements that are proven in part.
    pub requirements_partial: usize,
    /// Budgets that were measured.
    pub budgets: usize,
    /// Budgets that hold.
    pub budgets_ok: usize,
    /// Tests that are no scenarios.
    pub tests: usize,
    /// Of these, those that passed.
    pub tests_passed: usize,
}

/// One scenario on one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioRow {
    /// Its id.
    pub id: String,
    /// Where it ran.
    pub target: TargetName,
    /// What it shows.
    pub title: String,
    /// How it ended.
    pub status: Status,
    /// Why it failed or does not apply.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it began.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// The test function that holds it.
    pub test: String,
    /// The command that runs it alone.
    pub rerun: String,
    /// Its steps.
    pub steps: Vec<Step>,
    /// The files it left.
    pub evidence: Vec<String>,
}

/// One requirement and its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequirementRow {
    /// Its id.
    pub id: String,
    /// The demand in short.
    pub title: String,
    /// How far it is proven.
    pub status: Proof,
    /// What proves it.
    pub evidence: Vec<String>,
    /// What will.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planned: Vec<String>,
}

/// One measured budget and who measured it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// The budget.
    #[serde(flatten)]
    pub budget: Budget,
    /// The scenario that measured it.
    pub scenario: String,
    /// Where it was measured.
    pub target: TargetName,
}

/// The tests of one binary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestRow {
    /// The binary.
    pub binary: String,
    /// How many passed.
    pub passed: usize,
    /// How many were not run.
    pub skipped: usize,
    /// How long all of them took.
    pub seconds: f64,
    /// Those that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<TestResult>,
    /// Every test, for the machine-readable formats.
    #[serde(skip)]
    pub all: Vec<TestResult>,
}

/// When, where and by what the report was folded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folding {
    /// When it was folded (RFC 3339, UTC).
    pub at: String,
    /// The version of stackproof that folded it.
    pub by: String,
    /// The run it was folded from.
    pub run: String,
    /// The machine the run was made on.
    pub runner: Runner,
}

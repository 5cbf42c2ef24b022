//! What one scenario leaves behind: the facts a report is folded from.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::TargetName;

/// How a step or a scenario ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It held.
    Passed,
    /// It did not hold, or it could not be done.
    Failed,
    /// It had begun when its process ended.
    Unfinished,
    /// This target cannot show it; the reason says why.
    NotApplicable,
}

/// The three words of a scenario, and the one for what goes wrong between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// What holds before.
    Given,
    /// What is done.
    When,
    /// What is seen.
    Then,
    /// A failure between two steps.
    Between,
}

/// One sentence of a scenario and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Given, when or then.
    pub kind: StepKind,
    /// The sentence as the scenario says it.
    pub sentence: String,
    /// How it ended.
    pub status: Status,
    /// When it began (RFC 3339, UTC).
    pub when: String,
    /// How long it took.
    pub seconds: f64,
    /// What a `then` expected.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// What a `then` saw last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub seen: String,
    /// How a `then` looked: a command, an address, a query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub how: String,
    /// How often a `then` looked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looks: u32,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
    /// Files that show it, relative to the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<String>,
}

/// Which side of the limit is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetRule {
    /// The measured value may not be above the limit.
    AtMost,
    /// The measured value may not be below the limit.
    AtLeast,
}

/// A number that was measured against its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// What is measured, as a short name or a requirement's id.
    pub id: String,
    /// Which side of the limit is good.
    pub rule: BudgetRule,
    /// The limit.
    pub limit: f64,
    /// What was measured.
    pub measured: f64,
    /// The unit of both.
    pub unit: String,
    /// Whether it holds.
    pub ok: bool,
}

impl Budget {
    /// Judges a measured value; a value that is no number never holds.
    pub fn judge(id: &str, rule: BudgetRule, measured: f64, limit: f64, unit: &str) -> Self {
        let ok = match rule {
            BudgetRule::AtMost => measured <= limit,
            BudgetRule::AtLeast => measured >= limit,
        };
        Self { id: id.into(), rule, limit, measured, unit: unit.into(), ok }
    }
}

/// Everything one scenario leaves behind on one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fragment {
    /// The version of this form.
    pub schema: String,
    /// The scenario's id: `US2.2`.
    pub id: String,
    /// Where it ran.
    pub target: TargetName,
    /// The test function that holds it.
    pub test: String,
    /// How it ended.
    pub status: Status,
    /// Why it failed or does not apply.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it began (RFC 3339, UTC).
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// Its steps in order.
    pub steps: Vec<Step>,
    /// What it measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// Files that belong to no step, relative to the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<String>,
}

impl Fragment {
    /// The version of the form written today.
    pub const SCHEMA: &str = "stackproof.fragment/1";

    /// The name under which its files lie: two targets of one run never share it.
    pub fn key(&self) -> String {
        format!("{}@{}", self.id, self.target)
    }

    /// Every file it left, in order.
    pub fn evidence(&self) -> Vec<String> {
        self.attachments.iter().chain(self.steps.iter().flat_map(|step| &step.attachments)).cloned().collect()
    }
}

/// The present moment as every file writes it, to the millisecond.
pub(crate) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let whole = now.replace_nanosecond(now.nanosecond() / 1_000_000 * 1_000_000).unwrap_or(now);
    whole.format(&Rfc3339).unwrap_or_default()
}

/// Seconds to the millisecond: more digits would only look precise.
pub(crate) fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

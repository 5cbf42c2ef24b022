//! Results of the tests that are no scenarios, read from nextest's JUnit.

use quick_junit::{NonSuccessKind, TestCaseStatus};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::acceptance::Redactor;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestStatus {
    /// It passed.
    Passed,
    /// It failed, crashed or ran out of time.
    Failed,
    /// It was not run.
    Skipped,
}

/// One test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// The test binary: `stackproof`, `stackproof-scenarios::pytest`.
    pub binary: String,
    /// The test's name in it.
    pub name: String,
    /// How it ended.
    pub status: TestStatus,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed, and what it printed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// Reads every test of a JUnit file as nextest writes it.
pub(super) fn read(xml: &str) -> Result<Vec<TestResult>, Failure> {
    let report = quick_junit::Report::deserialize_from_str(xml)
        .map_err(|error| Failure::failed("nextest's JUnit file cannot be read").because(error))?;
    let redactor = Redactor::default();
    let mut results = Vec::new();
    for suite in &report.test_suites {
        for case in &suite.test_cases {
            let (status, reason) = match &case.status {
                TestCaseStatus::Success { .. } => (TestStatus::Passed, String::new()),
                TestCaseStatus::Skipped { .. } => (TestStatus::Skipped, String::new()),
                TestCaseStatus::NonSuccess { kind, message, description, .. } => {
                    let text = description.as_ref().or(message.as_ref()).map(|text| text.as_str());
                    let word = match kind {
                        NonSuccessKind::Failure => "failed",
                        NonSuccessKind::Error => "could not run",
                    };
                    (TestStatus::Failed, text.unwrap_or(word).to_owned())
                }
            };
            results.push(TestResult {
                binary: suite.name.as_str().to_owned(),
                name: case.name.as_str().to_owned(),
                status,
                seconds: crate::acceptance::rounded(case.time.unwrap_or_default().as_secs_f64()),
                output: redactor.text(&reason),
            });
        }
    }
    Ok(results)
}

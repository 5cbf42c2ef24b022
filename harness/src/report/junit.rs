//! The report as JUnit XML, for CI systems that read nothing else.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report as JUnit, TestCase, TestCaseStatus, TestSuite};

use super::{Report, ScenarioRow, TestResult, TestStatus, words};
use crate::Failure;
use crate::acceptance::{Status, Step};

/// Renders the report as JUnit XML: one suite a target, then one a test binary.
pub(super) fn render(report: &Report) -> Result<Vec<u8>, Failure> {
    let mut junit = JUnit::new("stackproof");
    let mut targets: Vec<_> = report.scenarios.iter().map(|row| row.target).collect();
    targets.sort();
    targets.dedup();
    for target in targets {
        let mut suite = TestSuite::new(format!("acceptance ({target})"));
        suite.add_property(Property::new("verdict", report.verdict.to_string()));
        suite.add_property(Property::new("target", target.to_string()));
        if let Some(git) = &report.subject.git {
            suite.add_property(Property::new("commit", &git.commit));
            suite.add_property(Property::new("dirty", git.dirty.to_string()));
        }
        for tool in &report.subject.tools {
            suite.add_property(Property::new(format!("tool:{}", tool.name), &tool.version));
        }
        for row in report.scenarios.iter().filter(|row| row.target == target) {
            suite.add_test_case(scenario(report, row));
        }
        junit.add_test_suite(suite);
    }
    for row in &report.tests {
        let mut suite = TestSuite::new(row.binary.as_str());
        suite.add_test_cases(row.all.iter().map(test));
        junit.add_test_suite(suite);
    }
    let xml = junit.to_string().map_err(|error| Failure::failed("cannot write JUnit XML").because(error))?;
    Ok(xml.into_bytes())
}

fn scenario(report: &Report, row: &ScenarioRow) -> TestCase {
    let status = match row.status {
        Status::Passed => TestCaseStatus::success(),
        Status::NotApplicable => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(row.reason.as_str());
            status
        }
        Status::Failed | Status::Unfinished => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(row.reason.as_str());
            status.set_description(row.steps.iter().map(lines).collect::<String>());
            status
        }
    };
    let mut case = TestCase::new(format!("{} {}", row.id, row.title), status);
    case.set_classname(row.id.as_str());
    case.set_time(Duration::from_secs_f64(row.seconds.max(0.0)));
    for requirement in report.requirements.iter().filter(|requirement| requirement.evidence.contains(&row.id)) {
        case.add_property(Property::new("requirement", &requirement.id));
    }
    for path in &row.evidence {
        case.add_property(Property::new("evidence", path));
    }
    case
}

fn lines(step: &Step) -> String {
    let mut text = format!("{} {}: {}\n", words::kind(step.kind), step.sentence, words::status(step.status));
    for (label, detail) in
        [("expected", &step.expected), ("seen", &step.seen), ("how", &step.how), ("error", &step.error)]
    {
        if step.status != Status::Passed && !detail.is_empty() {
            text.push_str(&format!("  {label}: {detail}\n"));
        }
    }
    text
}

fn test(result: &TestResult) -> TestCase {
    let status = match result.status {
        TestStatus::Passed => TestCaseStatus::success(),
        TestStatus::Skipped => TestCaseStatus::skipped(),
        TestStatus::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_description(result.output.as_str());
            status
        }
    };
    let mut case = TestCase::new(result.name.as_str(), status);
    case.set_classname(result.binary.as_str());
    case.set_time(Duration::from_secs_f64(result.seconds.max(0.0)));
    case
}

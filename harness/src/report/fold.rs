//! From a run's facts to its verdict.

use std::collections::BTreeMap;

use super::model::BudgetRow;
use super::requirements::order;
use super::{
    Counts, Folding, Inputs, Proof, Report, Requirement, RequirementRow, ScenarioRow, TestRow, TestStatus, Verdict,
    words,
};
use crate::acceptance::{Fragment, Status};

/// Folds a run into its report. Nothing but `folding` depends on when or where this happens.
pub fn fold(inputs: &Inputs, folding: Folding) -> Report {
    let mut scenarios: Vec<ScenarioRow> = inputs.fragments.iter().map(|fragment| scenario(inputs, fragment)).collect();
    scenarios.sort_by_cached_key(|row| (order(&row.id), row.target));
    let requirements: Vec<RequirementRow> =
        inputs.requirements.iter().map(|(id, row)| requirement(inputs, id, row)).collect();
    let mut budgets: Vec<BudgetRow> = inputs.fragments.iter().flat_map(budgets_of).collect();
    budgets.sort_by_cached_key(|row| (order(&row.budget.id), order(&row.scenario), row.target));
    let tests = tests(inputs);
    let counts = count(&scenarios, &requirements, &budgets, &tests);
    let mut report = Report {
        schema: Report::SCHEMA.into(),
        verdict: Verdict::Accepted,
        because: Vec::new(),
        target: inputs.run.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        command: inputs.run.command.clone(),
        started: inputs.run.started.clone(),
        finished: inputs.run.finished.clone(),
        subject: inputs.subject.clone(),
        counts,
        scenarios,
        requirements,
        budgets,
        checks: inputs.run.stages.clone(),
        tests,
        folding,
    };
    let rejections = rejections(&report, inputs);
    let gaps = gaps(&report);
    report.verdict = match (rejections.is_empty(), gaps.is_empty()) {
        (false, _) => Verdict::Rejected,
        (true, false) => Verdict::AcceptedWithGaps,
        (true, true) => Verdict::Accepted,
    };
    report.because = rejections.into_iter().chain(gaps).collect();
    report
}

fn scenario(inputs: &Inputs, fragment: &Fragment) -> ScenarioRow {
    let requirement = inputs.requirements.get(&fragment.id);
    ScenarioRow {
        id: fragment.id.clone(),
        target: fragment.target,
        title: requirement.map_or_else(|| words::title(&fragment.test, &fragment.id), |row| row.title.clone()),
        status: fragment.status,
        reason: fragment.reason.clone(),
        started: fragment.started.clone(),
        seconds: fragment.seconds,
        test: fragment.test.clone(),
        rerun: format!("stackproof accept --only {} --target {}", fragment.id, fragment.target),
        steps: fragment.steps.clone(),
        evidence: fragment.evidence(),
    }
}

fn requirement(inputs: &Inputs, id: &str, row: &Requirement) -> RequirementRow {
    let shown: Vec<Option<Status>> = row.evidence.iter().map(|name| outcome(inputs, name)).collect();
    let status = if shown.is_empty() {
        Proof::Gap
    } else if shown.iter().any(|status| matches!(status, Some(Status::Failed | Status::Unfinished))) {
        Proof::Failed
    } else if shown.contains(&None) {
        Proof::NotRun
    } else if shown.iter().all(|status| *status == Some(Status::NotApplicable)) {
        Proof::NotApplicable
    } else if !row.planned.is_empty() || shown.contains(&Some(Status::NotApplicable)) {
        Proof::Partial
    } else {
        Proof::Proven
    };
    RequirementRow {
        id: id.into(),
        title: row.title.clone(),
        status,
        evidence: row.evidence.clone(),
        planned: row.planned.clone(),
    }
}

/// What became of one piece of evidence on all targets of the run; nothing where it took no part.
fn outcome(inputs: &Inputs, name: &str) -> Option<Status> {
    if let Some(test) = name.strip_prefix("test:") {
        let statuses = inputs.tests.iter().filter(|result| result.name.contains(test)).map(|result| result.status);
        return statuses.fold(None, |so_far, status| match (so_far, status) {
            (Some(Status::Failed), _) | (_, TestStatus::Failed) => Some(Status::Failed),
            (_, TestStatus::Passed) => Some(Status::Passed),
            (so_far, TestStatus::Skipped) => so_far,
        });
    }
    let statuses = || inputs.fragments.iter().filter(|fragment| fragment.id == name).map(|fragment| fragment.status);
    // A failure on one target is a failure; a pass on one target outweighs "does not apply" on another.
    [Status::Failed, Status::Unfinished, Status::Passed, Status::NotApplicable]
        .into_iter()
        .find(|wanted| statuses().any(|status| status == *wanted))
}

fn budgets_of(fragment: &Fragment) -> Vec<BudgetRow> {
    let row =
        |budget: &_| BudgetRow { budget: Clone::clone(budget), scenario: fragment.id.clone(), target: fragment.target };
    fragment.budgets.iter().map(row).collect()
}

fn tests(inputs: &Inputs) -> Vec<TestRow> {
    let mut rows: BTreeMap<&str, TestRow> = BTreeMap::new();
    for result in &inputs.tests {
        // A scenario's own fragment tells more than its test. A test stays where it has none, or where it
        // failed although its fragment did not, so that no failure is lost.
        let told = |fragment: &Fragment| {
            let fell = matches!(fragment.status, Status::Failed | Status::Unfinished);
            fragment.test == result.name && (fell || result.status != TestStatus::Failed)
        };
        if inputs.fragments.iter().any(told) {
            continue;
        }
        let row = rows.entry(&result.binary).or_insert_with(|| TestRow {
            binary: result.binary.clone(),
            passed: 0,
            skipped: 0,
            seconds: 0.0,
            failed: Vec::new(),
            all: Vec::new(),
        });
        row.seconds = crate::acceptance::rounded(row.seconds + result.seconds);
        match result.status {
            TestStatus::Passed => row.passed += 1,
            TestStatus::Skipped => row.skipped += 1,
            TestStatus::Failed => row.failed.push(result.clone()),
        }
        row.all.push(result.clone());
    }
    let mut rows: Vec<TestRow> = rows.into_values().collect();
    for row in &mut rows {
        row.all.sort_by(|one, other| one.name.cmp(&other.name));
        row.failed.sort_by(|one, other| one.name.cmp(&other.name));
    }
    rows
}

fn count(
    scenarios: &[ScenarioRow],
    requirements: &[RequirementRow],
    budgets: &[BudgetRow],
    tests: &[TestRow],
) -> Counts {
    let ended = |status: Status| scenarios.iter().filter(|row| row.status == status).count();
    let shown = |proof: Proof| requirements.iter().filter(|row| row.status == proof).count();
    Counts {
        scenarios: scenarios.len(),
        scenarios_passed: ended(Status::Passed),
        scenarios_not_applicable: ended(Status::NotApplicable),
        requirements: requirements.len(),
        requirements_proven: shown(Proof::Proven),
        requirements_partial: shown(Proof::Partial),
        budgets: budgets.len(),
        budgets_ok: budgets.iter().filter(|row| row.budget.ok).count(),
        tests: tests.iter().map(|row| row.passed + row.skipped + row.failed.len()).sum(),
        tests_passed: tests.iter().map(|row| row.passed).sum(),
    }
}

fn rejections(report: &Report, inputs: &Inputs) -> Vec<String> {
    let mut reasons = Vec::new();
    for row in &report.scenarios {
        match row.status {
            Status::Failed => reasons.push(format!("{} failed on {}: {}", row.id, row.target, row.reason)),
            Status::Unfinished => reasons.push(format!("{} did not finish on {}", row.id, row.target)),
            Status::Passed | Status::NotApplicable => {}
        }
    }
    for row in report.budgets.iter().filter(|row| !row.budget.ok) {
        reasons.push(format!("budget {}: {}", row.budget.id, words::measured(&row.budget)));
    }
    for result in report.tests.iter().flat_map(|row| &row.failed) {
        reasons.push(format!("test {} {} failed", result.binary, result.name));
    }
    for stage in report.checks.iter().filter(|stage| !stage.ok) {
        let said = if stage.said.is_empty() { String::new() } else { format!(": {}", stage.said.replace('\n', " / ")) };
        reasons.push(format!("check {} failed{said}", stage.name));
    }
    reasons.extend(inputs.missing_evidence.iter().map(|path| format!("evidence is missing: {path}")));
    if report.counts.scenarios_passed == 0 {
        reasons.push("no scenario passed: nothing was shown".into());
    }
    reasons
}

fn gaps(report: &Report) -> Vec<String> {
    let mut sentences = Vec::new();
    for (proof, sentence) in [
        (Proof::Gap, "without evidence yet"),
        (Proof::Partial, "proven in part"),
        (Proof::NotRun, "not looked at in this run"),
        (Proof::NotApplicable, "that cannot be shown on this run's targets"),
    ] {
        let count = report.requirements.iter().filter(|row| row.status == proof).count();
        if count > 0 {
            sentences.push(format!("{} {sentence}", words::counted(count, "requirement")));
        }
    }
    sentences
}

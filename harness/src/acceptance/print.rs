//! A scenario as a person reads it in a terminal.

use super::{Fragment, Status, Step, StepKind};

/// The scenario's sentences, and everything known about the one that failed.
pub(super) fn scenario(fragment: &Fragment) -> String {
    let mut lines =
        vec![format!("{}  {}  {:.1} s  {}", fragment.id, word(fragment.status), fragment.seconds, fragment.target)];
    for step in &fragment.steps {
        lines.push(format!("  {:<5} {} {}", kind(step.kind), step.sentence, mark(step)));
        if step.status != Status::Passed {
            lines.extend(details(step));
        }
    }
    for budget in fragment.budgets.iter().filter(|budget| !budget.ok) {
        lines.push(format!("  budget {}: {} {}, limit {}", budget.id, budget.measured, budget.unit, budget.limit));
    }
    // Where a step failed, the reason is its sentence, and it was just said.
    let said = fragment.steps.iter().any(|step| step.status != Status::Passed);
    if !fragment.reason.is_empty() && !said {
        lines.push(format!("  {}", fragment.reason));
    }
    lines.join("\n")
}

fn details(step: &Step) -> Vec<String> {
    [
        ("expected", step.expected.as_str()),
        ("seen", step.seen.as_str()),
        ("how", step.how.as_str()),
        ("error", step.error.as_str()),
        ("next", step.next.as_str()),
    ]
    .iter()
    .filter(|(_, text)| !text.is_empty())
    .map(|(label, text)| format!("        {label}: {}", text.replace('\n', "\n          ")))
    .collect()
}

fn kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Given => "given",
        StepKind::When => "when",
        StepKind::Then => "then",
        StepKind::Between => "",
    }
}

fn mark(step: &Step) -> String {
    match step.status {
        Status::Passed => format!("({:.1} s)", step.seconds),
        Status::Failed => format!("✗ ({:.1} s)", step.seconds),
        Status::Unfinished => "… unfinished".into(),
        Status::NotApplicable => "not applicable".into(),
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Passed => "PASS",
        Status::Failed => "FAIL",
        Status::Unfinished => "UNFINISHED",
        Status::NotApplicable => "NOT APPLICABLE",
    }
}

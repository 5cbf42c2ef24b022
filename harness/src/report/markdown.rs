//! The report for a pull request: what a reviewer wants to know, in a page.

use std::fmt::Write;

use super::{Proof, Report, words};
use crate::acceptance::Status;

/// Renders the report as Markdown.
pub(super) fn render(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, report);
    page
}

fn write_page(page: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(page, "# {}\n", report.verdict)?;
    for sentence in &report.because {
        writeln!(page, "- {}", line(sentence))?;
    }
    let counts = &report.counts;
    writeln!(page, "\n| | |\n|---|---|")?;
    writeln!(page, "| target | {} |", report.target)?;
    writeln!(page, "| run | {} to {} |", report.started, report.finished)?;
    if let Some(git) = &report.subject.git {
        writeln!(page, "| commit | `{}`{} |", git.commit, if git.dirty { " with local changes" } else { "" })?;
    }
    writeln!(page, "| scenarios | {} of {} passed |", counts.scenarios_passed, counts.scenarios)?;
    writeln!(page, "| requirements | {} of {} proven |", counts.requirements_proven, counts.requirements)?;
    writeln!(page, "| budgets | {} of {} hold |", counts.budgets_ok, counts.budgets)?;
    writeln!(page, "| tests | {} of {} passed |", counts.tests_passed, counts.tests)?;

    writeln!(page, "\n## Scenarios\n\n| id | scenario | target | result | time |\n|---|---|---|---|---|")?;
    for row in &report.scenarios {
        let (status, seconds) = (words::status(row.status), words::seconds(row.seconds));
        writeln!(page, "| {} | {} | {} | {status} | {seconds} |", row.id, line(&row.title), row.target)?;
    }
    for row in report.scenarios.iter().filter(|row| row.status != Status::Passed) {
        writeln!(page, "\n### {} on {}: {}\n", row.id, row.target, words::status(row.status))?;
        writeln!(page, "{}\n", line(&row.reason))?;
        for step in &row.steps {
            let kind = words::kind(step.kind);
            writeln!(page, "- {kind} {}: {}", line(&step.sentence), words::status(step.status))?;
            for (label, text) in
                [("expected", &step.expected), ("seen", &step.seen), ("how", &step.how), ("error", &step.error)]
            {
                if step.status != Status::Passed && !text.is_empty() {
                    writeln!(page, "  - {label}: {}", line(text))?;
                }
            }
        }
        writeln!(page, "\nNext: `{}`", row.rerun)?;
    }

    if !report.budgets.is_empty() {
        writeln!(page, "\n## Budgets\n\n| id | measured | limit | holds |\n|---|---|---|---|")?;
        for row in &report.budgets {
            let budget = &row.budget;
            let (measured, limit) = (words::number(budget.measured), words::number(budget.limit));
            let rule = words::rule(budget.rule);
            let holds = if budget.ok { "yes" } else { "no" };
            writeln!(
                page,
                "| {} | {measured} {} | {rule} {limit} {} | {holds} |",
                budget.id, budget.unit, budget.unit
            )?;
        }
    }

    let gaps: Vec<_> = report.requirements.iter().filter(|row| row.status != Proof::Proven).collect();
    if !gaps.is_empty() {
        writeln!(page, "\n## Requirements not fully proven\n\n| id | demand | proof | planned |\n|---|---|---|---|")?;
        for row in gaps {
            let (proof, planned) = (words::proof(row.status), row.planned.join(", "));
            writeln!(page, "| {} | {} | {proof} | {planned} |", row.id, line(&row.title))?;
        }
    }
    Ok(())
}

/// Keeps a text inside its line and its cell.
fn line(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

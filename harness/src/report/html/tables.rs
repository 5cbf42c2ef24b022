//! Requirements, budgets, checks, the subject and the sign-off.

use maud::{Markup, html};

use super::{anchor, proof_badge, proof_look};
use crate::acceptance::BudgetRule;
use crate::report::{Report, RequirementRow, words};

/// The seed's groups of requirements, by the letters their ids begin with.
const GROUPS: [(&str, &str); 5] = [
    ("US", "User stories"),
    ("EC", "Edge cases"),
    ("FR", "Functional requirements"),
    ("SC", "Success criteria"),
    ("NFR", "Non-functional requirements"),
];

pub(super) fn requirements(report: &Report) -> Markup {
    let belongs = |row: &&RequirementRow, letters: &str| {
        row.id.chars().take_while(char::is_ascii_alphabetic).collect::<String>() == letters
    };
    html! {
        section #requirements {
            h2 { "Requirements" }
            div.map role="list" aria-label="Every requirement and its proof" {
                @for row in &report.requirements {
                    @let (tone, mark) = proof_look(row.status);
                    a role="listitem" class=(tone) href={ "#req-" (anchor(&row.id)) }
                        title={ (row.id) " " (row.title) ": " (words::proof(row.status)) } { (mark) }
                }
            }
            @for (letters, heading) in GROUPS {
                h3 { (heading) }
                table {
                    thead { tr { th { "Id" } th { "Demand" } th { "Evidence" } th { "Proof" } } }
                    tbody { @for row in report.requirements.iter().filter(|row| belongs(row, letters)) {
                        tr #{ "req-" (anchor(&row.id)) } {
                            td.id { (row.id) }
                            td { (row.title) }
                            td.evidence { (evidence(report, row)) }
                            td.status { (proof_badge(row.status)) }
                        }
                    } }
                }
            }
        }
    }
}

fn evidence(report: &Report, row: &RequirementRow) -> Markup {
    html! {
        @for name in &row.evidence {
            @let ran: Vec<_> = report.scenarios.iter().filter(|scenario| scenario.id == *name).collect();
            @if ran.is_empty() { span { (name.trim_start_matches("test:")) } " " }
            @for scenario in ran {
                a href={ "#" (anchor(&scenario.id)) "-" (scenario.target) } { (name) } " "
            }
        }
        @if !row.planned.is_empty() { span.planned { "planned: " (row.planned.join(", ")) } }
    }
}

pub(super) fn budgets(report: &Report) -> Markup {
    html! {
        section #budgets {
            h2 { "Budgets" }
            @if report.budgets.is_empty() { p.none { "Nothing was measured against a limit." } } @else {
                table {
                    thead { tr { th { "Id" } th { "Measured" } th { "Limit" } th { "Used" } th { "Where" } } }
                    tbody { @for row in &report.budgets {
                        @let budget = &row.budget;
                        @let share = match budget.rule {
                            BudgetRule::AtMost => budget.measured / budget.limit,
                            BudgetRule::AtLeast => budget.limit / budget.measured,
                        };
                        @let share = if share.is_finite() { (share * 100.0).clamp(0.0, 999.0) } else { 0.0 };
                        tr {
                            td.id { (budget.id) }
                            td.number { (words::number(budget.measured)) " " (budget.unit) }
                            td.number { (words::rule(budget.rule)) " " (words::number(budget.limit)) " " (budget.unit) }
                            td.used {
                                span class={ "bar " (if budget.ok { "good" } else { "bad" }) } {
                                    i style={ "width:" (words::number(share.min(100.0))) "%" } {}
                                }
                                (format!("{share:.0} %")) @if !budget.ok { " ✗ broken" }
                            }
                            td { (row.scenario) " on " (row.target) }
                        }
                    } }
                }
            }
        }
    }
}

pub(super) fn checks(report: &Report) -> Markup {
    html! {
        section #checks {
            h2 { "Checks and tests" }
            @if report.checks.is_empty() && report.tests.is_empty() { p.none { "None took part in this run." } }
            @if !report.checks.is_empty() {
                table {
                    thead { tr { th { "Check" } th { "Command" } th { "Time" } th { "Result" } } }
                    tbody { @for stage in &report.checks {
                        tr {
                            td { (stage.name) }
                            td { code { (stage.command) } }
                            td.number { (words::seconds(stage.seconds)) }
                            td.status { (result(stage.ok)) }
                        }
                    } }
                }
            }
            @if !report.tests.is_empty() {
                table {
                    thead { tr { th { "Tests of" } th { "Passed" } th { "Failed" } th { "Not run" } th { "Time" } th { "Result" } } }
                    tbody { @for row in &report.tests {
                        tr {
                            td { code { (row.binary) } }
                            td.number { (row.passed) }
                            td.number { (row.failed.len()) }
                            td.number { (row.skipped) }
                            td.number { (words::seconds(row.seconds)) }
                            td.status { (result(row.failed.is_empty())) }
                        }
                    } }
                }
                @for failed in report.tests.iter().flat_map(|row| &row.failed) {
                    details.test open {
                        summary { code { (failed.binary) " " (failed.name) } }
                        pre { (failed.output) }
                    }
                }
            }
        }
    }
}

fn result(ok: bool) -> Markup {
    let (tone, words) = if ok { ("good", "✓ passed") } else { ("bad", "✗ failed") };
    html! { span class={ "badge " (tone) } { (words) } }
}

pub(super) fn subject(report: &Report) -> Markup {
    let subject = &report.subject;
    html! {
        section #subject {
            h2 { "Subject" }
            dl.facts {
                dt { "Commit" }
                dd { @match &subject.git {
                    Some(git) => { code { (git.commit) } @if git.dirty { " with local changes" } }
                    None => "unknown",
                } }
                dt { "Program" }
                dd { @if subject.program.is_empty() { "unknown" } @else { code { "sha256:" (subject.program) } } }
                dt { "Target" } dd { (report.target) }
                dt { "Command" } dd { code { (report.command) } }
            }
            @if !subject.tools.is_empty() {
                table {
                    thead { tr { th { "Tool" } th { "Version" } th { "Provenance" } th { "SHA-256" } } }
                    tbody { @for tool in &subject.tools {
                        tr {
                            td { (tool.name) }
                            td { (tool.version) }
                            td { (tool.provenance) }
                            td.digest { code { (tool.digest) } }
                        }
                    } }
                }
            }
        }
    }
}

pub(super) fn sign_off() -> Markup {
    html! {
        section #sign-off {
            h2 { "Sign-off" }
            p.none { "The verdict above is computed. A decision is made by people, here." }
            table.sign {
                thead { tr { th { "Role" } th { "Name" } th { "Decision and remarks" } th { "Date" } th { "Signature" } } }
                tbody { @for role in ["Product owner", "Infrastructure", "Security", "Operations"] {
                    tr { td { (role) } td {} td {} td {} td {} }
                } }
            }
        }
    }
}

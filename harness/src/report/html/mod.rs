//! The report as one HTML page: no network, no script, printable, light and dark.

mod scenarios;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Proof, Report, Verdict, words};
use crate::acceptance::Status;

const STYLE: &str = include_str!("style.css");
/// Proves to the browser, and to a careful reader, that the page fetches nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Renders the report as HTML.
pub(super) fn render(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (report.verdict) " · stackproof" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (verdict(report))
                main {
                    (next_actions(report))
                    (scenarios::section(report))
                    (tables::requirements(report))
                    (tables::budgets(report))
                    (tables::checks(report))
                    (tables::subject(report))
                    (tables::sign_off())
                }
                (folding(report))
            }
        }
    };
    page.into_string()
}

fn verdict(report: &Report) -> Markup {
    let tone = match report.verdict {
        Verdict::Accepted => "good",
        Verdict::AcceptedWithGaps => "fair",
        Verdict::Rejected => "bad",
    };
    let counts = &report.counts;
    html! {
        header class={ "verdict " (tone) } {
            p.kicker { "Acceptance report · " (report.target) }
            h1 { (report.verdict) }
            @if !report.because.is_empty() {
                ul.because { @for sentence in &report.because { li { (sentence) } } }
            }
            dl.tiles {
                (tile("Scenarios", counts.scenarios_passed, counts.scenarios - counts.scenarios_not_applicable, "passed"))
                (tile("Requirements", counts.requirements_proven, counts.requirements, "proven"))
                (tile("Budgets", counts.budgets_ok, counts.budgets, "hold"))
                (tile("Other tests", counts.tests_passed, counts.tests, "passed"))
            }
            p.identity {
                @if let Some(git) = &report.subject.git {
                    "commit " code { (git.commit.chars().take(12).collect::<String>()) }
                    @if git.dirty { " with local changes" }
                    " · "
                }
                (moment(&report.started)) " to " (moment(&report.finished))
            }
            nav aria-label="Parts of the report" {
                a href="#scenarios" { "Scenarios" }
                a href="#requirements" { "Requirements" }
                a href="#budgets" { "Budgets" }
                a href="#checks" { "Checks and tests" }
                a href="#subject" { "Subject" }
                a href="#sign-off" { "Sign-off" }
            }
        }
    }
}

fn tile(label: &str, good: usize, all: usize, word: &str) -> Markup {
    html! {
        div {
            dt { (label) }
            dd { b { (good) } " of " (all) " " (word) }
        }
    }
}

/// What to do now, for everything that failed; nothing where nothing did.
fn next_actions(report: &Report) -> Markup {
    let fallen: Vec<_> =
        report.scenarios.iter().filter(|row| matches!(row.status, Status::Failed | Status::Unfinished)).collect();
    let tests: Vec<_> = report.tests.iter().flat_map(|row| &row.failed).collect();
    let checks: Vec<_> = report.checks.iter().filter(|stage| !stage.ok).collect();
    if fallen.is_empty() && tests.is_empty() && checks.is_empty() {
        return html! {};
    }
    html! {
        section #next {
            h2 { "What to do next" }
            ol.next {
                @for row in fallen {
                    li {
                        p { a href={ "#" (anchor(&row.id)) "-" (row.target) } { b { (row.id) } " on " (row.target) } ": " (row.reason) }
                        @for step in row.steps.iter().filter(|step| !step.next.is_empty()) { p.hint { (step.next) } }
                        pre { (row.rerun) }
                    }
                }
                @for stage in checks {
                    li { p { "The check " b { (stage.name) } " failed." } @if !stage.said.is_empty() { pre { (stage.said) } } pre { (stage.command) } }
                }
                @for result in tests {
                    li {
                        p { "The test " code { (result.name) } " failed." }
                        pre { "cargo nextest run -E 'binary_id(" (result.binary) ") & test(=" (result.name) ")'" }
                    }
                }
            }
        }
    }
}

fn folding(report: &Report) -> Markup {
    let folding = &report.folding;
    html! {
        footer #folding {
            p {
                "Run " code { (folding.run) } " on " (folding.runner.platform) " with "
                (words::counted(folding.runner.processors, "processor"))
                ", folded " (moment(&folding.at)) " by stackproof " (folding.by) ". "
                @if !folding.runner.ci.is_empty() { a href=(folding.runner.ci) { "CI run" } ". " }
            }
            p { "Everything above this line is the same whenever the same run is folded again. " code { "stackproof report verify" } " checks every file against manifest.json." }
        }
    }
}

/// `2025-01-02T03:04:05.678Z` as `2025-01-02 03:04:05 UTC`.
fn moment(moment: &str) -> String {
    match (moment.get(..10), moment.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => "unknown".into(),
    }
}

fn anchor(id: &str) -> String {
    id.replace('.', "-")
}

/// A status as a mark and a word: never by colour alone.
fn badge(status: Status) -> Markup {
    let (tone, mark) = match status {
        Status::Passed => ("good", "✓"),
        Status::Failed => ("bad", "✗"),
        Status::Unfinished => ("bad", "…"),
        Status::NotApplicable => ("mute", "–"),
    };
    html! { span class={ "badge " (tone) } { (mark) " " (words::status(status)) } }
}

fn proof_badge(proof: Proof) -> Markup {
    let (tone, mark) = proof_look(proof);
    html! { span class={ "badge " (tone) } { (mark) " " (words::proof(proof)) } }
}

fn proof_look(proof: Proof) -> (&'static str, &'static str) {
    match proof {
        Proof::Proven => ("good", "✓"),
        Proof::Partial => ("fair", "◐"),
        Proof::Gap => ("gap", "○"),
        Proof::NotRun => ("mute", "·"),
        Proof::NotApplicable => ("mute", "–"),
        Proof::Failed => ("bad", "✗"),
    }
}

//! The scenarios, each with its sentences folded away until someone asks.

use maud::{Markup, html};

use super::{anchor, badge, moment};
use crate::acceptance::{Status, Step};
use crate::report::{Report, ScenarioRow, words};

pub(super) fn section(report: &Report) -> Markup {
    html! {
        section #scenarios {
            h2 { "Scenarios" }
            @if report.scenarios.is_empty() { p.none { "No scenario ran." } }
            @for row in &report.scenarios { (scenario(row)) }
        }
    }
}

fn scenario(row: &ScenarioRow) -> Markup {
    let open = matches!(row.status, Status::Failed | Status::Unfinished);
    html! {
        details.scenario #{ (anchor(&row.id)) "-" (row.target) } open[open] {
            summary {
                span.id { (row.id) }
                span.title { (row.title) }
                span.target { (row.target) }
                span.time { (words::seconds(row.seconds)) }
                (badge(row.status))
            }
            @if !row.reason.is_empty() { p.reason { (row.reason) } }
            ol.steps { @for step in &row.steps { (one_step(step)) } }
            p.rerun { "Run it alone: " code { (row.rerun) } }
        }
    }
}

fn one_step(step: &Step) -> Markup {
    let tone = match step.status {
        Status::Passed => "good",
        Status::Failed | Status::Unfinished => "bad",
        Status::NotApplicable => "mute",
    };
    html! {
        li class=(tone) {
            span.kind { (words::kind(step.kind)) }
            div.said {
                p.sentence {
                    (step.sentence)
                    @if step.status != Status::Passed { " " (badge(step.status)) }
                }
                dl {
                    @for (label, text) in [
                        ("expected", &step.expected), ("seen", &step.seen), ("how", &step.how),
                        ("error", &step.error), ("next", &step.next),
                    ] {
                        @if !text.is_empty() { dt { (label) } dd { code { (text) } } }
                    }
                    @if !step.attachments.is_empty() {
                        dt { "files" }
                        dd { @for path in &step.attachments { a href=(path) { (file_name(path)) } " " } }
                    }
                }
            }
            span.time title=(moment(&step.when)) {
                (words::seconds(step.seconds))
                @if step.looks > 1 { br; (step.looks) " looks" }
            }
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

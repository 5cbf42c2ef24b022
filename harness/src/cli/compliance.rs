//! `stackproof compliance`: what is there of a stack, judged by the rules.

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use stackproof::{
    Exit, Failure, Progress, Toolchain, Workspace,
    compliance::{
        Catalog, Waivers,
        live::{self, Report},
        program::{self, Judgement, Verdict},
    },
    pulumi::Settings,
    sovereign::Names,
};

use super::which::Which;

/// Judge what is there by the rules of infra/policy, through Scaleway's API alone; check judges what is to be made.
#[derive(Args)]
pub(crate) struct Compliance {
    #[command(flatten)]
    which: Which,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(crate) async fn run(arguments: Compliance) -> Result<Exit, Failure> {
    let workspace = Workspace::find()?;
    let (catalog, waivers) = (Catalog::read(&workspace)?, Waivers::read(&workspace)?);
    let (target, settings) = arguments.which.stack().await?;
    let names = Names::of(&settings, &target)?;
    let asked = asked(&workspace, &settings, &names.region)?;
    let report = live::check(&target, &names, &catalog, &waivers, asked.as_ref()).await?;
    if arguments.json {
        let mut document = serde_json::json!({"schema": 1, "stack": names.stack, "project": names.project});
        let body = serde_json::to_value(&report)
            .map_err(|error| Failure::environment("the report is no JSON").because(error))?;
        if let (Some(document), serde_json::Value::Object(body)) = (document.as_object_mut(), body) {
            document.extend(body);
        }
        anstream::println!("{document:#}");
    } else {
        show(&report, &catalog, &arguments.which);
    }
    Ok(if report.ok { Exit::Success } else { Exit::Failed })
}

/// What the rules say of the programs, which tells what drifted from them. Another program than the project's own is not
/// judged, nor one that does not run alone: then nothing is said of drift.
fn asked(workspace: &Workspace, settings: &Settings, region: &str) -> Result<Option<Judgement>, Failure> {
    if settings.project()? != super::deploy::OWN {
        return Ok(None);
    }
    let python = Toolchain::python(&Progress::Silent)?.path;
    Ok(match program::judge(workspace, &python, settings, Some(region))? {
        Verdict::Judged(judgement) => Some(judgement),
        Verdict::Unjudged(_) => None,
    })
}

fn show(report: &Report, catalog: &Catalog, which: &Which) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["rule", "looked at", "found", "waived", "requirements"]);
    let of = |findings: &[stackproof::compliance::Finding], id: &str| {
        findings.iter().filter(|finding| finding.rule == id).count().to_string()
    };
    for rule in &report.rules {
        let requirements = catalog.rule(&rule.rule).map(|rule| rule.requirements.join(", ")).unwrap_or_default();
        let (found, waived) = (of(&report.findings, &rule.rule), of(&report.waived, &rule.rule));
        table.add_row([rule.rule.clone(), rule.looked_at.to_string(), found, waived, requirements]);
    }
    anstream::println!("{table}");
    for finding in report.findings.iter().chain(&report.waived) {
        anstream::println!("\n{}", finding.told(catalog));
    }
    for unseen in &report.unseen {
        anstream::println!("\nnot looked at: {unseen}");
    }
    let idle: Vec<&str> = report.rules.iter().filter(|rule| rule.looked_at == 0).map(|rule| &*rule.rule).collect();
    if !idle.is_empty() {
        anstream::println!("\nnothing there is of concern to {}", idle.join(", "));
    }
    if report.ok {
        anstream::println!("\nEvery rule holds.");
    } else {
        anstream::println!("\nnext: put each right as its fix says, then stackproof compliance {}", which.words());
    }
}

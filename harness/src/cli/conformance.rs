//! `stackproof conformance`: the provider's own acceptance tests, against the local cloud.

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use stackproof::conformance::{self, Asked, Conformance, Difference, Expected, Replay, Status};
use stackproof::{Exit, Failure, Progress, Workspace};

/// Judge the local cloud by the Terraform provider's own acceptance tests.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only this product, by the name of the provider's package.
    #[arg(long)]
    product: Vec<String>,
    /// Only the tests whose names match this regular expression.
    #[arg(long, value_name = "REGEX")]
    run: Option<String>,
    /// Only a few tests, chosen to touch every resource type.
    #[arg(long)]
    subset: bool,
    /// Through the gateway, with real host names and without SCW_API_URL.
    #[arg(long)]
    gateway: bool,
    /// Ask what was recorded of the real API again instead, and compare the answers.
    #[arg(long, conflicts_with_all = ["run", "subset", "gateway", "update"])]
    recordings: bool,
    /// Take what passes into the ratchet, and write docs/conformance.md.
    #[arg(long)]
    update: bool,
    /// Write docs/limits.md anew instead: what differs, and which operations answer 501.
    #[arg(long, conflicts_with_all = ["product", "run", "subset", "gateway", "recordings", "update", "json"])]
    limits: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let workspace = Workspace::find()?;
    let progress = if arguments.json { Progress::Silent } else { Progress::detect() };
    let Arguments { product, run, subset, gateway, recordings, update, limits, json } = arguments;
    if limits {
        return super::write_page(&workspace, "docs/limits.md", &conformance::limits(&workspace)?)
            .map(|()| Exit::Success);
    }
    if recordings {
        return again(&conformance::replay(&workspace, &product, &progress).await?, json);
    }
    let asked = Asked { products: product, run, subset, gateway };
    let conformance = conformance::run(&workspace, &asked, &progress).await?;
    let mut expected = Expected::read(&workspace)?;
    if json {
        let document = serde_json::to_string_pretty(&conformance);
        anstream::println!("{}", document.map_err(|error| Failure::failed(error.to_string()))?);
    } else {
        show(&conformance);
        if conformance.cases(Status::Failed).next().is_some() {
            anstream::println!("what they printed: {}", conformance::log_dir(&workspace).display());
        }
    }
    if update {
        expected.advance(&workspace, &conformance)?;
        super::write_page(&workspace, "docs/conformance.md", &conformance::page(&conformance, &expected))?;
    }
    let broken = expected.broken_by(&conformance);
    if broken.is_empty() {
        return Ok(Exit::Success);
    }
    let lines: Vec<String> =
        broken.iter().map(|(product, case)| format!("{product} {}: {}", case.name, case.reason)).collect();
    Err(Failure::failed(format!("{} acceptance tests passed before and do not now", broken.len()))
        .because(lines.join("\n"))
        .next(format!("stackproof conformance --product {} --run '^{}$'", broken[0].0, broken[0].1.name)))
}

/// Tells what came of asking recorded requests again.
fn again(replay: &Replay, json: bool) -> Result<Exit, Failure> {
    let unexplained = replay.unexplained().count();
    if json {
        let document = serde_json::to_string_pretty(replay);
        anstream::println!("{}", document.map_err(|error| Failure::failed(error.to_string()))?);
    } else {
        for difference in replay.unexplained() {
            let Difference { product, route, how, answers, recording, .. } = difference;
            anstream::println!("{product}: {route}: {how} ({answers} answers, such as in {recording})");
        }
        anstream::println!(
            "{} recordings, {} requests asked again, {} passed over, {} differences, {unexplained} of them unexplained",
            replay.recordings,
            replay.requests,
            replay.passed_over,
            replay.differences.len(),
        );
    }
    Ok(if unexplained == 0 { Exit::Success } else { Exit::Failed })
}

fn show(conformance: &Conformance) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["product", "passed", "failed", "not applicable"]);
    for product in &conformance.products {
        table.add_row([
            product.product.clone(),
            product.passed.to_string(),
            product.failed.to_string(),
            product.not_applicable.to_string(),
        ]);
    }
    let (passed, failed, not_applicable) = conformance.totals();
    table.add_row(["all".to_owned(), passed.to_string(), failed.to_string(), not_applicable.to_string()]);
    anstream::println!("provider {}, terraform {}\n{table}", conformance.provider, conformance.terraform);
    for (product, case) in conformance.cases(Status::Failed) {
        anstream::println!("failed: {product} {}: {}", case.name, case.reason);
    }
}

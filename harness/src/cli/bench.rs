//! `stackproof bench`: how fast the local cloud is.

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use stackproof::bench::{self, Benchmarks};
use stackproof::{Exit, Failure, Progress, Workspace};

/// Measure the local cloud: its start, its requests, what runs behind it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these: start, memory, reads, creates, gateway, iam, database, cold-start, push.
    #[arg(long, value_name = "ID", num_args = 1..)]
    only: Vec<String>,
    /// Fail (exit code 1) when a yardstick is missed.
    #[arg(long)]
    check: bool,
    /// Write docs/benchmark.md.
    #[arg(long, conflicts_with = "only")]
    update: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The server that only answers.
#[derive(Args)]
pub(crate) struct Responder {
    /// How many bytes it answers.
    #[arg(long)]
    size: usize,
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let workspace = Workspace::find()?;
    let progress = if arguments.json { Progress::Silent } else { Progress::detect() };
    let measured = bench::run(&workspace, &arguments.only, &progress).await?;
    if arguments.json {
        let document = serde_json::to_string_pretty(&measured);
        anstream::println!("{}", document.map_err(|error| Failure::failed(error.to_string()))?);
    } else {
        show(&measured);
    }
    if arguments.update {
        super::write_page(&workspace, "docs/benchmark.md", &bench::page(&measured))?;
    }
    let missed: Vec<_> = measured.results.iter().filter(|one| one.met == Some(false)).map(|one| one.id).collect();
    if arguments.check && !missed.is_empty() {
        return Err(Failure::failed(format!("{} yardsticks are missed: {}", missed.len(), missed.join(", ")))
            .because("on a busy machine the ratios hold better than the times")
            .next(format!("stackproof bench --check --only {}", missed.join(" "))));
    }
    Ok(Exit::Success)
}

/// Is the responder.
pub(crate) async fn respond(responder: Responder) -> Result<(), Failure> {
    bench::serve_responder(responder.size).await
}

fn show(measured: &Benchmarks) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["", "measured", "compared", "yardstick"]);
    for one in &measured.results {
        table.add_row([format!("{}: {}", one.id, one.title), one.shown(), one.compared(), one.judged()]);
    }
    anstream::println!("{}\n{table}", measured.machine.shown());
}

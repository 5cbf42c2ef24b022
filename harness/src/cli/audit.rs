//! `stackproof audit`: who changed what.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use stackproof::{Exit, Failure};
use stackproof_state::audit::{self, Anchor, Filter, Row};

use super::{lock::database, which::Which};

/// What to do with the audit trail.
#[derive(Subcommand)]
pub(crate) enum Audits {
    /// What was changed, by whom, when, from which version of the state to which.
    List(List),
    /// Compute the whole chain again, and say what is wrong with it.
    Verify {
        #[command(flatten)]
        which: Which,
        /// The last row as it was told earlier, NUMBER:HASH: finds a chain that was written anew.
        #[arg(long, value_name = "NUMBER:HASH", value_parser = anchor)]
        anchor: Option<Anchor>,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Write all rows into a file.
    Export {
        #[command(flatten)]
        which: Which,
        /// The form.
        #[arg(long, value_enum, default_value = "json")]
        format: Format,
        /// Where to; standard output where none is named.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
}

/// A form of an export.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// A list of objects.
    Json,
    /// A table with a line of names.
    Csv,
}

/// Which rows.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    which: Which,
    /// The latest so many.
    #[arg(long, default_value_t = 20)]
    last: u32,
    /// Of this person or robot only.
    #[arg(long)]
    who: Option<String>,
    /// Of every stack of the backend.
    #[arg(long)]
    all: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(crate) async fn run(command: Audits) -> Result<Exit, Failure> {
    match command {
        Audits::List(list) => list.run().await,
        Audits::Verify { which, anchor, json } => {
            let opened = which.open().await?;
            let verified = opened.home.trail()?.verify(anchor.as_ref()).await.map_err(database)?;
            if json {
                anstream::println!("{:#}", serde_json::json!(verified));
            } else {
                for finding in &verified.findings {
                    anstream::println!("{finding}");
                }
                anstream::println!("{} rows, the last {}:{}", verified.rows, verified.last.number, verified.last.hash);
            }
            if verified.is_whole() {
                return Ok(Exit::Success);
            }
            Err(Failure::failed("the audit trail is not as it was written")
                .because("somebody with the owner's rights changed it; the findings above say where")
                .next("compare it with the database's backups: docs/runbooks/audit-trail.md"))
        }
        Audits::Export { which, format, output } => {
            let opened = which.open().await?;
            let rows = opened.home.trail()?.list(&Filter::default()).await.map_err(database)?;
            let mut text = Vec::new();
            let written = match format {
                Format::Json => audit::json(&rows, &mut text),
                Format::Csv => audit::csv(&rows, &mut text),
            };
            written.map_err(|error| Failure::failed("the rows cannot be written").because(error))?;
            match output {
                Some(path) => std::fs::write(&path, &text).map_err(|error| {
                    Failure::environment(format!("{} cannot be written", path.display())).because(error)
                })?,
                None => anstream::print!("{}", String::from_utf8_lossy(&text)),
            }
            Ok(Exit::Success)
        }
    }
}

impl List {
    async fn run(self) -> Result<Exit, Failure> {
        let opened = self.which.open().await?;
        let stack = opened.settings.name.clone();
        let (project, stack) = if self.all { (None, None) } else { (Some(opened.project.clone()), Some(stack)) };
        let filter = Filter { project, stack, who: self.who, last: Some(self.last), ..Filter::default() };
        let rows = opened.home.trail()?.list(&filter).await.map_err(database)?;
        if self.json {
            anstream::println!("{:#}", serde_json::json!({"schema": 1, "rows": rows}));
        } else {
            anstream::println!("{}", table(&rows));
        }
        Ok(Exit::Success)
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["row", "when", "who", "command", "commit", "changes", "result", "after"]);
    for row in rows {
        let short = |text: &Option<String>| text.as_deref().unwrap_or("-").chars().take(8).collect::<String>();
        let commit = format!("{}{}", short(&row.commit), if row.dirty == Some(true) { "+" } else { "" });
        let changes = serde_json::from_str::<Vec<serde_json::Value>>(&row.changes).map_or(0, |changes| changes.len());
        let when = row.at.replace_nanosecond(0).unwrap_or(row.at);
        table.add_row([
            row.number.to_string(),
            when.format(&time::format_description::well_known::Rfc3339).unwrap_or_default(),
            format!("{}@{}", row.who, row.host),
            row.command.clone(),
            commit,
            changes.to_string(),
            row.result.clone(),
            short(&row.after),
        ]);
    }
    table
}

fn anchor(text: &str) -> Result<Anchor, String> {
    let parts = text.split_once(':').and_then(|(number, hash)| Some((number.parse().ok()?, hash)));
    let (number, hash) = parts.ok_or("expected NUMBER:HASH, as audit verify prints it")?;
    Ok(Anchor { number, hash: hash.to_owned() })
}

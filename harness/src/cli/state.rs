//! `stackproof state`: the versions of a stack's state.

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use owo_colors::OwoColorize;
use serde_json::{Value, json};
use stackproof::{
    Exit, Failure, Progress, Toolchain,
    sovereign::{self, PATIENCE, Recovered, Wait},
};
use stackproof_state::checkpoint::{self, Diff, History, Severity, Verdict};
use time::format_description::well_known::Rfc3339;

use super::which::{Opened, Which};

/// NFR-006: what a stack's state may take, in bytes.
const BUDGET: u64 = 1_000_000_000;

/// What to do with the state.
#[derive(Subcommand)]
pub(crate) enum States {
    /// Make a home for it: bucket, backups, lock, passphrase (infra/state). Again and again without harm.
    Init {
        #[command(flatten)]
        which: Which,
    },
    /// Its versions in the bucket, and who made them.
    History {
        #[command(flatten)]
        which: Which,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// A version as JSON, secrets masked.
    Show {
        #[command(flatten)]
        which: Which,
        /// A version of the history, the beginning of its name, or ~1 for the one before the current one.
        #[arg(default_value = "~0")]
        version: String,
    },
    /// What differs between two versions, secrets masked.
    Diff {
        #[command(flatten)]
        which: Which,
        /// The first.
        #[arg(default_value = "~1")]
        old: String,
        /// The second.
        #[arg(default_value = "~0")]
        new: String,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Make a version the current one again, under the lock; the present one is copied first.
    Restore(Restore),
    /// Copy the current one into the backup bucket.
    Backup {
        #[command(flatten)]
        which: Which,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Whether it can be relied on: parsed, references, pending operations, every secret decrypted.
    Verify {
        #[command(flatten)]
        which: Which,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// How much room it takes, against its budget of 1 GB.
    Size {
        #[command(flatten)]
        which: Which,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Go on after a run that was killed or a state that was lost: bring back the bucket and its content, look in the
    /// cloud for what was being made, and take it into the state.
    Recover {
        #[command(flatten)]
        which: Which,
        /// Only tell what was found and what would be done.
        #[arg(long)]
        look: bool,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

/// What to bring back.
#[derive(Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    which: Which,
    /// A version of the history, the beginning of its name, or ~1 for the one before the current one.
    version: String,
    /// Why; it goes into the audit trail.
    #[arg(long, default_value = "")]
    reason: String,
    /// Even if operations were under way in it.
    #[arg(long)]
    accept_pending: bool,
    #[command(flatten)]
    line: super::line::Line,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(crate) async fn run(command: States) -> Result<Exit, Failure> {
    match command {
        States::Init { which } => init(&which).await,
        States::History { which, json } => {
            let opened = which.open().await?;
            let history = opened.history().await?;
            let rows = opened.home.trail()?.list(&Default::default()).await.map_err(super::lock::database)?;
            let who = |version: &str| rows.iter().rev().find(|row| row.after.as_deref() == Some(version));
            if json {
                let rows: Vec<Value> = history
                    .entries
                    .iter()
                    .map(|entry| json!({"version": entry, "audit": who(&entry.version.id)}))
                    .collect();
                anstream::println!(
                    "{:#}",
                    json!({"schema": 1, "versioning": history.versioning, "versions": rows, "without_version": history.without_version})
                );
                return Ok(Exit::Success);
            }
            let mut table = plain();
            table.set_header(["version", "", "when", "who", "command", "what", "bytes"]);
            for (back, entry) in history.entries.iter().enumerate() {
                let version = &entry.version;
                let row = who(&version.id);
                let what = entry.update.as_ref().filter(|_| entry.completes).map(|update| update.summary());
                table.add_row([
                    version.id.clone(),
                    format!("~{back}"),
                    version.modified.format(&Rfc3339).unwrap_or_default(),
                    row.map(|row| format!("{}@{}", row.who, row.host)).unwrap_or_default(),
                    row.map(|row| row.command.clone()).unwrap_or_default(),
                    if version.deleted { "deleted".into() } else { what.unwrap_or_default() },
                    version.bytes.to_string(),
                ]);
            }
            anstream::println!("{table}");
            Ok(Exit::Success)
        }
        States::Show { which, version } => {
            let opened = which.open().await?;
            let stored = opened.version(&opened.history().await?, &version).await?;
            let shown = checkpoint::shown(&stored.checkpoint);
            let shown = shown.map_err(|error| Failure::failed("the state cannot be shown").because(error))?;
            anstream::println!("{shown:#}");
            Ok(Exit::Success)
        }
        States::Diff { which, old, new, json } => {
            let opened = which.open().await?;
            let history = opened.history().await?;
            let (old, new) = (opened.version(&history, &old).await?, opened.version(&history, &new).await?);
            let diff = checkpoint::diff(&old.checkpoint, &new.checkpoint);
            if json {
                anstream::println!("{:#}", json!(diff));
            } else {
                show_diff(&diff);
            }
            Ok(Exit::Success)
        }
        States::Restore(restore) => restore.run().await,
        States::Backup { which, json } => {
            let opened = which.open().await?;
            let stack = opened.home.stack(&opened.project)?;
            let backup = checkpoint::backup(opened.home.bucket(), opened.home.backups(), &stack).await.map_err(told)?;
            if json {
                anstream::println!("{:#}", json!(backup));
            } else {
                anstream::println!(
                    "{}{}: {} resources, {} bytes, sha256:{}",
                    opened.home.backups().shown(),
                    backup.key,
                    backup.resources,
                    backup.bytes,
                    backup.sha256
                );
            }
            Ok(Exit::Success)
        }
        States::Verify { which, json } => {
            let opened = which.open().await?;
            let verdict = opened.home.verify(&opened.project).await?;
            if json {
                anstream::println!("{:#}", json!(verdict));
            } else {
                show_verdict(&verdict);
            }
            Ok(if verdict.is_whole() { Exit::Success } else { Exit::Failed })
        }
        States::Size { which, json } => {
            let opened = which.open().await?;
            let stack = opened.home.stack(&opened.project)?;
            let usage = checkpoint::size(opened.home.bucket(), Some(opened.home.backups()), &stack, BUDGET).await;
            let usage = usage.map_err(told)?;
            if json {
                anstream::println!("{:#}", json!(usage));
            } else {
                let mut table = plain();
                for (what, share) in [
                    ("state", usage.state),
                    ("old versions", usage.old_versions),
                    ("history", usage.history),
                    ("copies", usage.copies),
                    ("backups", usage.backups),
                ] {
                    table.add_row([what.to_owned(), share.objects.to_string(), share.bytes.to_string()]);
                }
                anstream::println!("{table}");
                let percent = usage.bytes as f64 * 100.0 / usage.budget as f64;
                anstream::println!("{} bytes, {percent:.2} % of {}", usage.bytes, usage.budget);
                if let Some(next) = usage.next() {
                    anstream::println!("next: {next}");
                }
            }
            Ok(if usage.is_over() { Exit::Failed } else { Exit::Success })
        }
        States::Recover { which, look, json } => {
            let opened = which.open().await?;
            let progress = if json { Progress::Silent } else { Progress::detect() };
            let toolchain = Toolchain::ensure(&progress)?;
            let work = opened.work(&toolchain, &progress);
            let recovered = opened.home.recover(work, !look, Wait::UpTo(PATIENCE)).await?;
            if json {
                anstream::println!("{:#}", json!(recovered));
            } else {
                show_recovered(&recovered);
                if !recovered.done.is_empty() && recovered.next.is_empty() {
                    anstream::println!("next: stackproof up {}", which.words());
                }
            }
            match recovered.next.first() {
                None => Ok(Exit::Success),
                Some(next) => Err(Failure::failed("not everything could be decided").next(next.clone())),
            }
        }
    }
}

async fn init(which: &Which) -> Result<Exit, Failure> {
    let progress = Progress::detect();
    let toolchain = Toolchain::ensure(&progress)?;
    let (target, settings) = which.stack().await?;
    let home = sovereign::bootstrap(&settings, &toolchain, &target, &progress).await?;
    anstream::println!("state   {}", home.bucket().shown());
    anstream::println!("backups {}", home.backups().shown());
    anstream::println!("lock    {}", home.database());
    anstream::println!("next: stackproof up {}", which.words());
    Ok(Exit::Success)
}

impl Restore {
    async fn run(self) -> Result<Exit, Failure> {
        let opened = self.which.open().await?;
        let progress = if self.json { Progress::Silent } else { Progress::detect() };
        let wait = self.line.wait();
        let restored =
            opened.home.restore(&opened.project, &self.version, &self.reason, self.accept_pending, wait, &progress);
        let restored = restored.await?;
        if self.json {
            anstream::println!("{:#}", json!(restored));
            return Ok(Exit::Success);
        }
        anstream::println!("{} is the state again", restored.from);
        if let Some(copy) = &restored.safety_copy {
            anstream::println!("what was there before: {}{copy}", opened.home.bucket().shown());
        }
        anstream::println!(
            "next: stackproof preview --refresh {} shows how it differs from the cloud",
            self.which.words()
        );
        Ok(Exit::Success)
    }
}

impl Opened {
    async fn history(&self) -> Result<History, Failure> {
        checkpoint::history(self.home.bucket(), &self.home.stack(&self.project)?).await.map_err(told)
    }

    async fn version(&self, history: &History, name: &str) -> Result<checkpoint::Stored, Failure> {
        checkpoint::version(self.home.bucket(), history.find(name).map_err(told)?).await.map_err(told)
    }
}

fn told(error: checkpoint::Error) -> Failure {
    sovereign::told(&error)
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn show_diff(diff: &Diff) {
    for named in &diff.added {
        anstream::println!("{} {} ({})", "+".green(), named.urn, named.id.as_deref().unwrap_or("no id"));
    }
    for named in &diff.removed {
        anstream::println!("{} {} ({})", "-".red(), named.urn, named.id.as_deref().unwrap_or("no id"));
    }
    for changed in &diff.changed {
        anstream::println!("{} {}", "~".yellow(), changed.resource.urn);
        for property in &changed.properties {
            let show = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
            anstream::println!("    {}: {} → {}", property.path, show(&property.old), show(&property.new));
        }
    }
    anstream::println!(
        "{} added, {} removed, {} changed, {} unchanged",
        diff.added.len(),
        diff.removed.len(),
        diff.changed.len(),
        diff.unchanged
    );
}

fn show_verdict(verdict: &Verdict) {
    for finding in &verdict.findings {
        let word = match finding.severity {
            Severity::Error => "error  ".red().to_string(),
            Severity::Pending => "pending".yellow().to_string(),
            Severity::Note => "note   ".to_owned(),
        };
        anstream::println!("{word} {}\n        {}\n        next: {}", finding.what, finding.meaning, finding.next);
    }
    let decrypted = verdict.decrypted.map_or(String::new(), |count| format!(", {count} of them decrypted"));
    anstream::println!("{} resources, {} secrets{decrypted}", verdict.resources, verdict.secrets);
}

fn show_recovered(recovered: &Recovered) {
    if let Some(lost) = &recovered.lost {
        anstream::println!("{} {lost}", "gone".red());
    }
    for one in &recovered.unfinished {
        anstream::println!("{} {}\n    {}\n    {}", one.operation, one.urn, one.meaning, one.guidance);
    }
    for done in &recovered.done {
        anstream::println!("{} {done}", "done".green());
    }
    if recovered.unfinished.is_empty() && recovered.next.is_empty() && recovered.done.is_empty() {
        anstream::println!("nothing is left of an interrupted run");
    }
}

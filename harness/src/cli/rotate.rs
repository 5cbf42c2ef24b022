//! `stackproof rotate`: new credentials in place of the present ones, while the application serves.

use clap::{Args, ValueEnum};
use serde_json::json;
use stackproof::{
    Exit, Failure, Progress, Toolchain,
    rotate::{self, What},
};

use super::which::Which;

/// Replace credentials by new ones while the application serves: each is made, stored, deployed, seen in use, and only
/// then is the former one disabled and deleted. Interrupted, the next call goes on.
#[derive(Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    line: super::line::Line,
    /// Which credentials.
    #[arg(long, value_enum, default_value = "all")]
    what: Named,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Credentials by their names.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Named {
    /// The application's login at its database.
    Database,
    /// The application's API key.
    ApiKeys,
    /// The key that the state is written with, and the login at the lock's database.
    Deployer,
    /// What the state's secrets are encrypted with.
    Passphrase,
    /// All of them.
    All,
}

impl Named {
    fn whats(self) -> Vec<What> {
        match self {
            Self::Database => vec![What::Database],
            Self::ApiKeys => vec![What::ApiKeys],
            Self::Deployer => vec![What::Deployer],
            Self::Passphrase => vec![What::Passphrase],
            Self::All => What::ALL.to_vec(),
        }
    }
}

/// Runs it.
pub(crate) async fn run(rotate: Rotate) -> Result<Exit, Failure> {
    let word = rotate.what.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let command = format!("stackproof rotate --what {word} {}", rotate.which.words());
    let opened = rotate.which.open_stack().await?;
    let progress = Progress::detect();
    let toolchain = Toolchain::ensure(&progress)?;
    let (home, target, settings) = (opened.home, opened.target, opened.settings);
    let work = stackproof::sovereign::Work {
        settings: &settings,
        toolchain: &toolchain,
        target: &target,
        progress: &progress,
    };
    let rotated = rotate::rotate(home, work, &rotate.what.whats(), &command, rotate.line.wait()).await?;
    if rotate.json {
        let document = json!({"schema": 1, "rotated": rotated});
        anstream::println!("{document:#}");
    } else {
        for standing in &rotated.standings {
            anstream::println!("{standing}");
        }
        for seen in &rotated.evidence {
            anstream::println!("  seen: {seen}");
        }
    }
    Ok(Exit::Success)
}

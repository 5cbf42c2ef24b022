//! `stackproof fault`, `stackproof clock`: what only a local cloud can do.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use stackproof::{
    Failure, Workspace,
    target::{CloudHome, Control},
};
use stackproof_cloud::control::{Fault, Verdict};

/// What to do with faults.
#[derive(Subcommand)]
pub(crate) enum Faults {
    /// Make requests fail: `stackproof fault add '/vpc/*' --status 503 --times 2`.
    Add(Add),
    /// Show the faults in force, and how often each was hit.
    List {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Remove all faults.
    Clear,
}

/// Which requests, and what becomes of them.
#[derive(Args)]
pub(crate) struct Add {
    /// The path, `*` standing for anything; S3 requests are `/bucket/key`.
    path: String,
    /// Only requests with this method.
    #[arg(long)]
    method: Option<String>,
    /// Let this many matching requests pass first.
    #[arg(long, default_value_t = 0)]
    after: u64,
    /// Hit this many requests, then no more.
    #[arg(long)]
    times: Option<u64>,
    /// Answer with this status.
    #[arg(long, conflicts_with_all = ["delay_ms", "lose_answer"])]
    status: Option<u16>,
    /// The JSON body of the answer.
    #[arg(long, requires = "status")]
    body: Option<String>,
    /// Answer later, by this many milliseconds.
    #[arg(long)]
    delay_ms: Option<u64>,
    /// Carry the request out, but close the connection without an answer.
    #[arg(long, conflicts_with = "delay_ms")]
    lose_answer: bool,
}

/// What to do with the clock.
#[derive(Subcommand)]
pub(crate) enum Clock {
    /// Tell what it shows.
    Show,
    /// Move it forward by this many seconds.
    Advance {
        /// Seconds of the cloud's time.
        seconds: u64,
    },
}

async fn control() -> Result<Control, Failure> {
    let running = CloudHome::at(&Workspace::find()?.cloud_dir())?.running().await?;
    running.control().ok_or_else(|| Failure::environment("the local cloud has no control API"))
}

/// Runs a command about faults.
pub(crate) async fn run(command: Faults) -> Result<(), Failure> {
    let control = control().await?;
    match command {
        Faults::Add(add) => {
            let id = control.add_fault(&add.fault()?).await?;
            anstream::println!("fault {id} is in force; stackproof fault list shows its hits");
            Ok(())
        }
        Faults::List { json } => {
            let faults = control.faults().await?;
            if json {
                anstream::println!("{:#}", json!(faults));
                return Ok(());
            }
            for fault in faults {
                let method = fault.fault.method.as_deref().unwrap_or("any method");
                let (id, path, hits) = (fault.id, &fault.fault.path, fault.hits);
                anstream::println!("{id:>3}  {hits:>5} hits of {:>5}  {method} {path}", fault.matched);
            }
            Ok(())
        }
        Faults::Clear => control.clear_faults().await,
    }
}

/// Runs a command about the clock.
pub(crate) async fn run_clock(command: Clock) -> Result<(), Failure> {
    let control = control().await?;
    let now = match command {
        Clock::Show => control.now().await?,
        Clock::Advance { seconds } => control.advance(Duration::from_secs(seconds)).await?,
    };
    anstream::println!("{now}");
    Ok(())
}

impl Add {
    fn fault(self) -> Result<Fault, Failure> {
        let body = match self.body.as_deref().map(serde_json::from_str::<Value>) {
            None => Value::Null,
            Some(Ok(body)) => body,
            Some(Err(error)) => return Err(Failure::usage("--body is no JSON").because(error)),
        };
        let verdict = match (self.status, self.delay_ms, self.lose_answer) {
            (Some(status), ..) => Verdict::Answer { status, headers: Default::default(), body },
            (None, Some(milliseconds), _) => Verdict::Delay { milliseconds },
            (None, None, true) => Verdict::LoseAnswer {},
            _ => {
                return Err(Failure::usage("what becomes of the requests is not said")
                    .next("add --status 503, --delay-ms 2000 or --lose-answer"));
            }
        };
        Ok(Fault { method: self.method, path: self.path, after: self.after, times: self.times, verdict })
    }
}

//! One run of Pulumi: started, watched, stopped when it takes too long.

use std::{
    future::Future,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::{
        signal::{Signal, kill, killpg},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::unix::pipe,
    process::{Child, Command},
    time::timeout,
};

use super::{Events, Violation, event::Step};
use crate::{Exit, Failure, Progress, progress};

/// How long Pulumi may take to end after it was asked to (it saves its state first).
const GRACE: Duration = Duration::from_secs(45);

/// How long it may take after it was told to stop because nothing of it is saved any more.
const SHORT_GRACE: Duration = Duration::from_secs(5);

/// How long it may take after it was asked again.
const LAST_GRACE: Duration = Duration::from_secs(10);

/// What Pulumi can be asked to do with a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Create and update what differs.
    Up,
    /// Tell what `up` would do; with `refresh`, against the cloud as it is.
    Preview {
        /// Ask the cloud first. Without it a preview makes no request at all.
        refresh: bool,
        /// Fail when anything differs.
        expect_no_changes: bool,
    },
    /// Take over into the state what the cloud says.
    Refresh,
    /// Delete everything.
    Destroy,
    /// Take into the state what an interrupted run made, by URN and identifier, then refresh: [`super::taken_in`] has to
    /// come before it.
    Recover {
        /// What is there.
        import: Vec<(String, String)>,
        /// Whether to forget what else it was making.
        forget: bool,
    },
    /// Take resources that exist into the state.
    Import {
        /// The list of them, as [`super::import_file`] makes it.
        file: PathBuf,
    },
}

impl Operation {
    /// The arguments of `pulumi`.
    pub(super) fn arguments(&self) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Up => &["up", "--yes", "--skip-preview"],
            Self::Preview { refresh: false, expect_no_changes: false } => &["preview"],
            Self::Preview { refresh: true, expect_no_changes: false } => &["preview", "--refresh"],
            Self::Preview { refresh: false, expect_no_changes: true } => &["preview", "--expect-no-changes"],
            Self::Preview { refresh: true, expect_no_changes: true } => {
                &["preview", "--refresh", "--expect-no-changes"]
            }
            Self::Refresh | Self::Recover { .. } => &["refresh", "--yes", "--skip-preview"],
            Self::Destroy => &["destroy", "--yes", "--skip-preview"],
            Self::Import { .. } => &["import", "--yes", "--skip-preview", "--generate-code=false", "--protect=false"],
        };
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        if let Self::Import { file } = self {
            arguments.extend(["--file".to_owned(), file.display().to_string()]);
        }
        arguments
    }

    /// Whether it writes the state.
    pub fn changes_the_state(&self) -> bool {
        !matches!(self, Self::Preview { .. })
    }

    /// Whether the program runs and says what is to be made.
    fn makes(&self) -> bool {
        matches!(self, Self::Up | Self::Preview { .. })
    }

    /// The word for people.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Preview { .. } => "preview",
            Self::Refresh => "refresh",
            Self::Destroy => "destroy",
            Self::Recover { .. } => "recover",
            Self::Import { .. } => "import",
        }
    }
}

/// Why a run must not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// In words.
    pub why: String,
    /// Whether somebody else may have the lock by now.
    pub lease_lost: bool,
}

/// How a run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// What was asked.
    pub operation: String,
    /// Pulumi's exit code; none if a signal ended it.
    pub exit_code: Option<i32>,
    /// Seconds of wall-clock time.
    pub seconds: f64,
    /// What its events said.
    pub events: Events,
    /// What it printed to standard output.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
    /// Whether it was stopped because it took too long.
    pub timed_out: bool,
    /// Whether the user stopped it.
    #[serde(default)]
    pub interrupted: bool,
    /// Why it was stopped before its end, if something else than time or the user did.
    #[serde(default)]
    pub stopped: Option<String>,
    /// Whether it was stopped because somebody else may have the lock by now.
    #[serde(default)]
    pub lease_lost: bool,
    /// The command that goes on from here, where it is known.
    #[serde(default)]
    pub next: Option<String>,
}

impl Outcome {
    /// Whether it did what it was asked.
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0)
    }

    /// The outcome, or a failure that says what went wrong.
    ///
    /// # Errors
    /// When the run failed.
    pub fn success(self) -> Result<Self, Failure> {
        if self.succeeded() {
            return Ok(self);
        }
        let errors: Vec<&str> = self
            .events
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == "error")
            .map(|diagnostic| diagnostic.message.as_str())
            .collect();
        let broken = self.broken_rules();
        let meaning = match (broken.is_empty(), errors.is_empty()) {
            (false, _) => broken.join("\n"),
            (true, false) => errors.join("\n"),
            (true, true) => last_lines(&self.stdout, &self.stderr),
        };
        let (exit, what) = if let Some(why) = &self.stopped {
            let exit = if self.lease_lost { Exit::Locked } else { Exit::Failed };
            (exit, format!("pulumi {} was stopped: {why}", self.operation))
        } else if self.interrupted {
            (Exit::Interrupted, format!("pulumi {} was interrupted", self.operation))
        } else if self.timed_out {
            (Exit::Failed, format!("pulumi {} was stopped after {:.0} s", self.operation, self.seconds))
        } else if !broken.is_empty() {
            (Exit::Failed, format!("pulumi {} was stopped by the rules of infra/policy", self.operation))
        } else {
            (Exit::Failed, format!("pulumi {} failed", self.operation))
        };
        let next = self.next.unwrap_or_else(|| "stackproof preview --refresh shows what is left to do".to_owned());
        Err(Failure::new(exit, what).because(meaning).next(next))
    }
}

impl Outcome {
    /// The rules that stopped it, each with what the pack says.
    fn broken_rules(&self) -> Vec<String> {
        // The pack begins with the rule's title, on a line of its own.
        let line = |violation: &Violation| format!("{}: {}", violation.rule, violation.message.replace('\n', " "));
        self.events.violations.iter().map(line).collect()
    }
}

fn last_lines(stdout: &str, stderr: &str) -> String {
    let lines: Vec<&str> = stdout.lines().chain(stderr.lines()).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Runs a prepared `pulumi` command to its end, or until `stop` says why it must not go on. `rules` is the policy pack
/// that what is made has to keep, `scratch` a folder for the event pipe.
pub(super) async fn run(
    mut command: Command,
    operation: &Operation,
    rules: Option<&Path>,
    scratch: &Path,
    limit: Duration,
    stop: impl Future<Output = Stop>,
    progress: &Progress,
) -> Result<Outcome, Failure> {
    let broken = |what: &str, error: &dyn std::fmt::Display| Failure::environment(what.to_owned()).because(error);
    let log = scratch.join(format!("events-{}", uuid::Uuid::new_v4().simple()));
    mkfifo(&log, Mode::S_IRUSR | Mode::S_IWUSR)
        .map_err(|error| broken("no pipe for Pulumi's events could be made", &error))?;
    // Opened for both directions: the engine may open and close it more than once.
    let pipe = pipe::OpenOptions::new().read_write(true).open_receiver(&log);
    let pipe = pipe.map_err(|error| broken("the pipe for Pulumi's events cannot be opened", &error))?;
    // The flag is there for those who ask for debugging commands, as the Automation API does.
    command.env("PULUMI_DEBUG_COMMANDS", "true").args(operation.arguments()).arg("--event-log").arg(&log);
    if let Some(rules) = rules.filter(|_| operation.makes()) {
        command.arg("--policy-pack").arg(rules);
    }
    let started = Instant::now();
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn();
    let mut child = spawned.map_err(|error| broken("pulumi could not be run", &error).next("stackproof doctor"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = tokio::spawn(async move { tokio::join!(drain(stdout), drain(stderr)) });
    let shown = progress.step(format!("pulumi {}", operation.as_str()));
    let mut lines = BufReader::new(pipe).lines();
    let mut events = Events::default();
    let deadline = tokio::time::sleep(limit);
    tokio::pin!(deadline, stop);
    let (mut timed_out, mut interrupted, mut stopped) = (false, false, None::<Stop>);
    let status = loop {
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => show(&shown, events.take(&line)),
                _ => break stop_or_wait(&mut child, None).await,
            },
            status = child.wait() => break status.map_err(|error| broken("pulumi cannot be waited for", &error)),
            () = &mut deadline, if !timed_out => {
                timed_out = true;
                break stop_or_wait(&mut child, Some((Signal::SIGINT, GRACE))).await;
            }
            stop = &mut stop => {
                shown.note(&stop.why);
                stopped = Some(stop);
                break stop_or_wait(&mut child, Some((Signal::SIGINT, SHORT_GRACE))).await;
            }
            _ = tokio::signal::ctrl_c() => {
                interrupted = true;
                break stop_or_wait(&mut child, Some((Signal::SIGINT, GRACE))).await;
            }
        }
    }?;
    // What the engine wrote before it ended is in the pipe already.
    while let Ok(Ok(Some(line))) = timeout(Duration::from_millis(5), lines.next_line()).await {
        show(&shown, events.take(&line));
    }
    if let Err(error) = std::fs::remove_file(&log) {
        tracing::debug!(%error, "the event pipe could not be removed");
    }
    let (stdout, stderr) = output.await.map_err(|error| broken("pulumi's output could not be read", &error))?;
    Ok(Outcome {
        operation: operation.as_str().to_owned(),
        exit_code: status.code(),
        seconds: started.elapsed().as_secs_f64(),
        events,
        stdout,
        stderr,
        timed_out,
        interrupted,
        lease_lost: stopped.as_ref().is_some_and(|stop| stop.lease_lost),
        stopped: stopped.map(|stop| stop.why),
        next: None,
    })
}

/// Runs a prepared `pulumi` command with this terminal.
pub(super) async fn by_hand(mut command: Command, stop: impl Future<Output = Stop>) -> Result<bool, Failure> {
    let unable = |error: &dyn std::fmt::Display| Failure::environment("pulumi could not be run").because(error);
    // In this process's group: what is typed at the terminal, Ctrl-C included, is Pulumi's.
    let mut child = command.spawn().map_err(|error| unable(&error).next("stackproof doctor"))?;
    tokio::pin!(stop);
    loop {
        tokio::select! {
            status = child.wait() => return status.map(|status| status.success()).map_err(|error| unable(&error)),
            stop = &mut stop => {
                let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
                for (signal, grace) in [(Signal::SIGINT, SHORT_GRACE), (Signal::SIGTERM, LAST_GRACE), (Signal::SIGKILL, GRACE)] {
                    if let Some(pid) = pid && let Err(error) = kill(pid, signal) {
                        tracing::debug!(%error, "pulumi has ended");
                    }
                    if timeout(grace, child.wait()).await.is_ok() {
                        break;
                    }
                }
                let exit = if stop.lease_lost { Exit::Locked } else { Exit::Failed };
                return Err(Failure::new(exit, format!("pulumi was stopped: {}", stop.why)).next("stackproof lock status"));
            }
            _ = tokio::signal::ctrl_c() => {}
        }
    }
}

fn show(shown: &progress::Step, step: Option<Step>) {
    match step {
        Some(Step::Begun { op, name }) => shown.note(&format!("{op} {name}")),
        Some(Step::Done { op, name }) => shown.note(&format!("{op} {name}: done")),
        None => {}
    }
}

/// Waits for the child; with a signal, tells its whole group to stop first, and ends it when it takes longer than this
/// grace.
async fn stop_or_wait(child: &mut Child, signal: Option<(Signal, Duration)>) -> Result<ExitStatus, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::environment("pulumi cannot be waited for").because(error);
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    let send = |signal| {
        if let Some(group) = group
            && let Err(error) = killpg(group, signal)
        {
            tracing::debug!(%error, "pulumi's process group is gone");
        }
    };
    let mut first = GRACE;
    if let Some((signal, grace)) = signal {
        send(signal);
        first = grace;
    }
    // The second signal has Pulumi end without saving; it is for one that hangs on to a save it will not get.
    for (grace, next) in [(first, Signal::SIGTERM), (LAST_GRACE, Signal::SIGKILL)] {
        if let Ok(status) = timeout(grace, child.wait()).await {
            return status.map_err(|error| failed(&error));
        }
        send(next);
    }
    child.wait().await.map_err(|error| failed(&error))
}

async fn drain<R: tokio::io::AsyncRead + Unpin>(stream: Option<R>) -> String {
    let mut text = Vec::new();
    if let Some(mut stream) = stream
        && let Err(error) = stream.read_to_end(&mut text).await
    {
        tracing::debug!(%error, "the end of pulumi's output was lost");
    }
    String::from_utf8_lossy(&text).into_owned()
}

//! One server: its process, from start to end.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::Child;

use super::{
    Error, Result,
    config::{self, Settings},
    engine::Engine,
    files,
    sql::Session,
};
use crate::network::Place;

/// How long a server may take to its first connection: it may have much to recover.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end in order.
const END: Duration = Duration::from_secs(4);
/// From when on the log begins anew.
const LOG: u64 = 4 << 20;

/// A server that runs.
pub(super) struct Server {
    child: Child,
    pub(super) data: PathBuf,
    sockets: PathBuf,
    number: u16,
    log: PathBuf,
    /// What it was started or reloaded with.
    pub(super) settings: Settings,
    pub(super) began: Instant,
}

/// What to start.
pub(super) struct Start<'a> {
    pub(super) engine: &'a Engine,
    pub(super) place: &'a Place,
    pub(super) data: PathBuf,
    pub(super) sockets: &'a Path,
    /// Under which number its socket is to be found.
    pub(super) number: u16,
    pub(super) log: PathBuf,
    pub(super) settings: Settings,
    pub(super) access: String,
}

impl Server {
    /// Starts one, and returns when it takes connections.
    pub(super) async fn start(start: Start<'_>) -> Result<Self> {
        let Start { engine, place, data, sockets, number, log, settings, access } = start;
        let account = &engine.account;
        files::write(&data.join("postgresql.conf"), &config::file(&settings), account)?;
        files::write(&data.join("pg_hba.conf"), &access, account)?;
        // Found under one name, whatever the port.
        if let Some(port) = settings.get("port").filter(|port| **port != number.to_string()) {
            let link = sockets.join(format!(".s.PGSQL.{number}"));
            files::remove(&link)?;
            std::os::unix::fs::symlink(format!(".s.PGSQL.{port}"), &link)
                .map_err(Error::machine("naming the server's socket"))?;
        }
        let (output, before) = open_log(&log, engine)?;
        let errors = output.try_clone().map_err(Error::machine("opening the server's log"))?;
        let mut postgres = engine.program("postgres");
        // Its own group: what interrupts us in a terminal is not for it.
        postgres.arg("-D").arg(&data).stdout(output).stderr(errors).process_group(0);
        let child = place.spawn(postgres).await.map_err(Error::machine("starting postgres"))?;
        let mut server =
            Self { child, data, sockets: sockets.to_owned(), number, log, settings, began: Instant::now() };
        match server.answers().await {
            Ok(()) => Ok(server),
            Err(exit) => {
                let said = exit.map_or_else(
                    || format!("took no connection in {} s", START.as_secs()),
                    |exit| server.last_words(before).unwrap_or_else(|| exit.to_string()),
                );
                server.stop().await;
                Err(Error::Failed { program: "postgres".to_owned(), said })
            }
        }
    }

    /// Waits until it takes connections, or ends.
    async fn answers(&mut self) -> std::result::Result<(), Option<ExitStatus>> {
        let (sockets, number) = (self.sockets.clone(), self.number);
        let connected = async {
            let mut again = tokio::time::interval(Duration::from_millis(10));
            loop {
                again.tick().await;
                if Session::open(&sockets, number, "postgres").await.is_ok() {
                    break;
                }
            }
        };
        tokio::select! {
            () = connected => Ok(()),
            exit = self.child.wait() => Err(exit.ok()),
            () = tokio::time::sleep(START) => Err(None),
        }
    }

    pub(super) async fn session(&self, database: &str) -> Result<Session> {
        Session::open(&self.sockets, self.number, database).await
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(exit) => exit.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Makes it read its files again, and returns when it has.
    pub(super) async fn reload(&mut self, engine: &Engine, settings: Settings, access: &str) -> Result<()> {
        files::write(&self.data.join("postgresql.conf"), &config::file(&settings), &engine.account)?;
        files::write(&self.data.join("pg_hba.conf"), access, &engine.account)?;
        let session = self.session("postgres").await?;
        let step = "reading the configuration again";
        let before = session.column(step, "SELECT pg_conf_load_time()").await?.pop().unwrap_or_default();
        session.run(step, "SELECT pg_reload_conf()").await?;
        let query = format!("SELECT pg_conf_load_time() > '{before}'");
        session.until(step, &query, Duration::from_secs(10)).await?;
        self.settings = settings;
        Ok(())
    }

    /// Whether these settings are only taken at a start.
    pub(super) async fn needs_restart(&self, settings: &Settings) -> Result<bool> {
        let differ = |name: &&String| self.settings.get(*name) != settings.get(*name);
        let changed: Vec<String> =
            self.settings.keys().chain(settings.keys()).filter(differ).map(|name| super::sql::text(name)).collect();
        if changed.is_empty() {
            return Ok(false);
        }
        let query =
            format!("SELECT name FROM pg_settings WHERE context = 'postmaster' AND name IN ({})", changed.join(","));
        Ok(!self.session("postgres").await?.column("reading the settings", &query).await?.is_empty())
    }

    /// Ends it in order, or else at once.
    pub(super) async fn stop(mut self) {
        for (signal, patience) in [(Signal::SIGINT, END), (Signal::SIGQUIT, END), (Signal::SIGKILL, END)] {
            // Not after it was waited for: the number may be another's by then.
            let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) else { return };
            if let Err(error) = kill(Pid::from_raw(pid), signal) {
                tracing::warn!(pid, %error, "a server could not be told to end");
            }
            if tokio::time::timeout(patience, self.child.wait()).await.is_ok() {
                return;
            }
        }
    }

    /// Why it ended: the last of its log's fatal lines since it was started.
    fn last_words(&self, before: u64) -> Option<String> {
        let log = fs::read(&self.log).ok()?;
        let since = String::from_utf8_lossy(log.get(usize::try_from(before).ok()?..)?).into_owned();
        let words = |line: &str| {
            let found = ["FATAL:", "PANIC:"].iter().find_map(|mark| line.split_once(mark));
            // Those are what the wait for its readiness heard.
            found.map(|(_, words)| words.trim().to_owned()).filter(|words| !words.starts_with("the database system is"))
        };
        since.lines().rev().find_map(words).or_else(|| since.lines().last().map(str::to_owned))
    }
}

fn open_log(path: &Path, engine: &Engine) -> Result<(File, u64)> {
    let step = || format!("opening {}", path.display());
    if fs::metadata(path).is_ok_and(|there| there.len() > LOG) {
        fs::rename(path, path.with_extension("old")).map_err(Error::machine(step()))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path).map_err(Error::machine(step()))?;
    engine.account.own(path)?;
    let length = file.metadata().map_err(Error::machine(step()))?.len();
    Ok((file, length))
}

/// The end of a log, in whole lines.
pub(super) fn log(path: &Path, most: u64) -> io::Result<String> {
    use io::{Read, Seek};
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    let skip = file.metadata()?.len().saturating_sub(most);
    file.seek(io::SeekFrom::Start(skip))?;
    let mut read = Vec::new();
    file.take(most).read_to_end(&mut read)?;
    let text = String::from_utf8_lossy(&read).into_owned();
    Ok(if skip == 0 { text } else { text.split_once('\n').map(|(_, whole)| whole.to_owned()).unwrap_or_default() })
}

//! Local clouds as processes: one of a scenario's own, or the one a person starts and stops.
//!
//! Both are this same program, run as `stackproof cloud serve`. It prints one
//! line of JSON when it answers, and ends when its standard input does (a
//! scenario's) or on SIGTERM. As long as it lives it holds the lock of its folder:
//! by that others know, however it ends.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use stackproof_cloud::{
    kernel::{Enforcement, Profile},
    planes::Planes,
    server::Ready,
    services::Organization,
};
use stackproof_planes::network::Choice;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::oneshot,
    time::timeout,
};

use super::{Control, Credentials, Environment};
use crate::Failure;

/// How long a cloud may take until it answers: tens of milliseconds, or much longer on a machine whose disk is busy.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a cloud may take to stop: it ends its databases in order.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a new cloud waits for the one that had its folder to be gone.
const HELD: Duration = Duration::from_secs(5);

/// Where root keeps what runs behind local clouds.
const SYSTEM: &str = "/var/lib/stackproof";

/// How a local cloud is launched.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The folder of the cloud: credentials and, with `keep`, its state.
    pub folder: PathBuf,
    /// Whether its state is kept on disk.
    pub keep: bool,
    /// Whether it has a control API.
    pub control: bool,
    /// How time passes.
    pub profile: Profile,
    /// Whether it outlives this process.
    pub detached: bool,
    /// Whether databases, containers and networks run behind its API.
    pub planes: bool,
    /// How networks and containers are had; automatic: as this process's environment says.
    pub driver: Choice,
    /// What is done with what IAM does not allow.
    pub enforcement: Enforcement,
}

impl Launch {
    /// A cloud in memory that goes with this process.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            keep: false,
            control: true,
            profile: Profile::Instant,
            detached: false,
            planes: false,
            driver: Choice::Automatic,
            enforcement: Enforcement::Enforce,
        }
    }
}

/// A local cloud in a process of its own.
pub struct CloudProcess {
    /// Dropped, its standard input closes, and with that the cloud ends.
    child: Option<Child>,
    ready: Ready,
    organization: Organization,
}

impl CloudProcess {
    /// Launches a cloud and waits until it answers.
    ///
    /// # Errors
    /// When the program cannot be run, or the cloud says why it cannot start.
    pub async fn launch(launch: &Launch) -> Result<Self, Failure> {
        let home = CloudHome::at(&launch.folder)?;
        let organization = home.organization()?;
        let mut command = Command::new(program()?);
        command.args(["cloud", "serve", "--profile", &launch.profile.to_string()]).arg("--home").arg(&launch.folder);
        if launch.keep {
            command.arg("--keep");
        }
        if launch.planes {
            command.arg("--planes");
        }
        if launch.driver != Choice::Automatic {
            command.args(["--driver", launch.driver.name()]);
        }
        if launch.enforcement != Enforcement::Enforce {
            command.args(["--iam", &launch.enforcement.to_string()]);
        }
        if !launch.control {
            command.arg("--no-control");
        }
        if launch.detached {
            // A group of its own: Ctrl-C in this terminal is not meant for it.
            command.process_group(0).stdin(Stdio::null());
        } else {
            command.arg("--until-stdin-closes").stdin(Stdio::piped());
        }
        let log = home.log()?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| Failure::environment("the local cloud could not be run").because(error))?;
        let stdout = child.stdout.take();
        let mut line = String::new();
        if let Some(stdout) = stdout {
            let mut reader = BufReader::new(stdout);
            let read = timeout(START_TIMEOUT, reader.read_line(&mut line)).await;
            if !matches!(read, Ok(Ok(_))) {
                line.clear();
            }
        }
        let ready: Ready = serde_json::from_str(&line).map_err(|_| home.did_not_start())?;
        Ok(Self { child: Some(child), ready, organization })
    }

    /// Where it is.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The environment of tools that are to use it. `direct` sends JSON API requests straight to
    /// it by `SCW_API_URL`; otherwise everything goes by real host names through the gateway.
    pub fn environment(&self, direct: bool) -> Environment {
        environment(&self.ready, &self.organization, direct)
    }

    /// Its control API, if it has one.
    pub fn control(&self) -> Option<Control> {
        self.ready.control_url.as_deref().and_then(|url| Control::new(url).ok())
    }

    /// Lets it outlive this process.
    pub fn detach(mut self) {
        // The child is waited for by nobody; it was given a group and no standard input of ours.
        drop(self.child.take());
    }

    /// Stops it, and waits until it and all that ran behind it is gone.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop(mut self) -> Result<(), Failure> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        drop(child.stdin.take());
        let pid = self.ready.pid;
        match timeout(STOP_TIMEOUT, child.wait()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failure::failed("the local cloud was not waited for").because(error)),
            Err(_) => Err(Failure::environment(format!("process {pid} does not stop")).next(format!("kill -9 {pid}"))),
        }
    }

    /// Kills it as a power cut would, for tests of what survives.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub async fn kill(mut self) -> Result<(), Failure> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill().await.map_err(|error| Failure::failed("the local cloud could not be killed").because(error))
    }
}

/// This same program: the `stackproof` command. Tests of the library name it in `STACKPROOF_BIN`.
///
/// # Errors
/// When it is not built.
pub fn program() -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os("STACKPROOF_BIN") {
        return Ok(path.into());
    }
    let own = std::env::current_exe()
        .map_err(|error| Failure::environment("this program's own file cannot be found").because(error))?;
    // A test lies in target/<profile>/deps, the command beside that folder.
    let folder = own.parent().unwrap_or(Path::new("."));
    if !folder.ends_with("deps") {
        return Ok(own);
    }
    let beside = folder.parent().map(|folder| folder.join("stackproof")).filter(|path| path.exists());
    beside.ok_or_else(|| {
        Failure::environment("the stackproof command is not built").next("cargo build --package stackproof")
    })
}

fn environment(ready: &Ready, organization: &Organization, direct: bool) -> Environment {
    let credentials = Credentials {
        access_key: organization.access_key.clone(),
        secret_key: organization.secret_key.clone(),
        organization_id: organization.id.clone(),
        project_id: organization.id.clone(),
        region: "fr-par".into(),
        zone: "fr-par-1".into(),
    };
    let mut set: BTreeMap<String, String> = ready.set.clone();
    if direct {
        set.insert("SCW_API_URL".into(), ready.api_url.clone());
    }
    Environment::new(credentials, set, ready.unset.clone())
}

/// The folder of a local cloud.
#[derive(Clone, Debug)]
pub struct CloudHome {
    folder: PathBuf,
}

/// A cloud that `cloud start` started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    ready: Ready,
    organization: Organization,
    /// Whether its state outlives it.
    kept: bool,
}

/// How a cloud was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was told to, and has ended: its process.
    InOrder(u32),
    /// It had ended before without cleaning up; what it left has been removed.
    Swept,
}

impl Running {
    /// Where it is.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The identifier of the organisation's owner, who deploys.
    pub fn owner_id(&self) -> &str {
        &self.organization.owner_id
    }

    /// The environment of tools that are to use it; see [`CloudProcess::environment`].
    pub fn environment(&self, direct: bool) -> Environment {
        environment(&self.ready, &self.organization, direct)
    }

    /// Its control API, if it has one.
    pub fn control(&self) -> Option<Control> {
        self.ready.control_url.as_deref().and_then(|url| Control::new(url).ok())
    }
}

impl CloudHome {
    /// The cloud's folder, made if need be, for this user's eyes only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn at(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(|error| unusable(folder, &error))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The organisation of the cloud, made at the first call.
    ///
    /// # Errors
    /// When its file cannot be read or written.
    pub fn organization(&self) -> Result<Organization, Failure> {
        let path = self.folder.join("organization.json");
        if let Ok(bytes) = fs::read(&path) {
            return serde_json::from_slice(&bytes).map_err(|error| unusable(&path, &error));
        }
        let organization = Organization::from_seed(uuid::Uuid::new_v4().as_u64_pair().0);
        let json = serde_json::to_vec_pretty(&organization).map_err(|error| unusable(&path, &error))?;
        write_private(&path, &json)?;
        Ok(organization)
    }

    /// Where its log goes.
    fn log(&self) -> Result<Stdio, Failure> {
        let path = self.log_path();
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        file.map(Stdio::from).map_err(|error| unusable(&path, &error))
    }

    /// Its log file.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("cloud.log")
    }

    /// Its state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The folder of the certificate authority: the installation's, shared by all its clouds.
    ///
    /// # Errors
    /// When this user has no home folder.
    pub fn authority_dir() -> Result<PathBuf, Failure> {
        if let Some(folder) = std::env::var_os("STACKPROOF_AUTHORITY") {
            return Ok(folder.into());
        }
        let project = directories::ProjectDirs::from("", "", "stackproof");
        project.map(|project| project.data_local_dir().join("authority")).ok_or_else(|| {
            Failure::environment("this user has no home folder")
                .next("export STACKPROOF_AUTHORITY=<a folder of your own>")
        })
    }

    fn did_not_start(&self) -> Failure {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Failure::environment("the local cloud did not start")
            .because(last.join("\n"))
            .next(format!("less {}", self.log_path().display()))
    }

    fn running_path(&self) -> PathBuf {
        self.folder.join("running.json")
    }

    /// Starts the cloud of this folder, to outlive this process.
    ///
    /// # Errors
    /// When it runs already, or cannot start.
    pub async fn start(&self, profile: Profile, keep: bool, driver: Choice) -> Result<Running, Failure> {
        self.start_as(Launch { keep, profile, driver, ..Launch::new(&self.folder) }).await
    }

    /// The same, with all that can be chosen.
    ///
    /// # Errors
    /// When it runs already, or cannot start.
    pub async fn start_as(&self, launch: Launch) -> Result<Running, Failure> {
        if let Ok(running) = self.running().await {
            return Err(Failure::usage(format!("the local cloud runs already, as process {}", running.ready.pid))
                .next("stackproof cloud stop"));
        }
        if self.running_path().exists() {
            // It may have run with its state elsewhere: this one would not find all of it.
            self.sweep().await?;
        }
        let launch = Launch { folder: self.folder.clone(), detached: true, planes: true, ..launch };
        let process = CloudProcess::launch(&launch).await?;
        let running =
            Running { ready: process.ready.clone(), organization: process.organization.clone(), kept: launch.keep };
        let json = serde_json::to_vec_pretty(&running).map_err(|error| unusable(&self.running_path(), &error))?;
        write_private(&self.running_path(), &json)?;
        process.detach();
        Ok(running)
    }

    /// The running cloud of this folder.
    ///
    /// # Errors
    /// When none runs.
    pub async fn running(&self) -> Result<Running, Failure> {
        let none = || Failure::environment("no local cloud is running").next("stackproof cloud start");
        let bytes = fs::read(self.running_path()).map_err(|_| none())?;
        let running: Running = serde_json::from_slice(&bytes).map_err(|_| none())?;
        // A process number may have been given to someone else: only the cloud's own answer counts.
        match running.control() {
            Some(control) => control.now().await.map(|_| running).map_err(|_| none()),
            None => Err(none()),
        }
    }

    /// Takes the folder for a cloud, until the file is closed. One that is just ending is waited for.
    ///
    /// # Errors
    /// When another cloud has it.
    pub async fn hold(&self) -> Result<File, Failure> {
        self.released(HELD).await?.ok_or_else(|| {
            Failure::usage(format!("another local cloud has the folder {}", self.folder.display()))
                .next("stackproof cloud stop")
        })
    }

    /// Waits until no cloud has the folder. The kernel lets go of the lock however its process ends.
    async fn released(&self, patience: Duration) -> Result<Option<File>, Failure> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|error| unusable(&path, &error))?;
        if file.try_lock().is_ok() {
            return Ok(Some(file));
        }
        let (tell, told) = oneshot::channel();
        // Not one of the runtime's threads: those are waited for at the end, and this may wait for ever.
        std::thread::spawn(move || tell.send(file.lock().map(|()| file)));
        match timeout(patience, told).await {
            Err(_) => Ok(None),
            Ok(Ok(Ok(file))) => Ok(Some(file)),
            Ok(Ok(Err(error))) => Err(unusable(&path, &error)),
            Ok(Err(error)) => Err(unusable(&path, &error)),
        }
    }

    /// Stops the cloud of this folder and waits until it is gone, and all that ran behind it. Where it was killed
    /// before, what it left is removed.
    ///
    /// # Errors
    /// When none runs and none has left anything, or it does not stop.
    pub async fn stop(&self) -> Result<Stopped, Failure> {
        let Ok(running) = self.running().await else { return self.sweep().await };
        let pid = Pid::from_raw(i32::try_from(running.ready.pid).unwrap_or(i32::MAX));
        kill(pid, Signal::SIGTERM)
            .map_err(|error| Failure::environment(format!("process {pid} could not be stopped")).because(error))?;
        if self.released(STOP_TIMEOUT).await?.is_none() {
            return Err(Failure::environment(format!("process {pid} does not stop"))
                .next(format!("kill -9 {pid} && stackproof cloud stop")));
        }
        self.forget_running()?;
        Ok(Stopped::InOrder(running.ready.pid))
    }

    /// Removes what a cloud left that did not end in order.
    async fn sweep(&self) -> Result<Stopped, Failure> {
        let none = || Failure::environment("no local cloud is running").next("stackproof cloud start");
        let known: Option<Running> = fs::read(self.running_path()).ok().and_then(|it| serde_json::from_slice(&it).ok());
        let known = known.ok_or_else(none)?;
        // One that has just been killed may not be gone yet.
        let Some(_held) = self.released(HELD).await? else {
            let pid = known.ready.pid;
            return Err(Failure::environment("the local cloud runs and does not answer")
                .because(format!("process {pid} holds its folder"))
                .next(format!("kill -9 {pid} && stackproof cloud stop")));
        };
        let folder = self.planes_dir(known.kept)?;
        let helper = program()?;
        Planes::sweep(&folder, &Self::planes_cache()?, &helper).await.map_err(|why| {
            Failure::environment("not all that the local cloud left could be removed")
                .because(why)
                .next("stackproof cloud stop")
        })?;
        if !known.kept {
            remove(&folder)?;
        }
        self.forget_running()?;
        Ok(Stopped::Swept)
    }

    fn forget_running(&self) -> Result<(), Failure> {
        fs::remove_file(self.running_path()).map_err(|error| unusable(&self.running_path(), &error))
    }

    /// Forgets all the cloud knows. It must not be running.
    ///
    /// # Errors
    /// When it runs, or its state cannot be removed.
    pub async fn reset(&self) -> Result<(), Failure> {
        if self.running().await.is_ok() {
            return Err(Failure::usage("the local cloud is running").next("stackproof cloud stop"));
        }
        if self.running_path().exists() {
            self.sweep().await?;
        }
        for folder in [self.state_dir(), self.planes_dir(true)?, self.planes_dir(false)?] {
            remove(&folder)?;
        }
        Ok(())
    }

    /// The folder of what runs behind its API; that of a cloud in memory goes with it, and is not that of a kept one.
    ///
    /// PostgreSQL does not run as root, and its user cannot enter root's home: where root runs the cloud, it is a
    /// folder of the system's.
    ///
    /// # Errors
    /// When this cloud's folder cannot be found.
    pub fn planes_dir(&self, kept: bool) -> Result<PathBuf, Failure> {
        let suffix = if kept { "" } else { "-in-memory" };
        if !geteuid().is_root() {
            return Ok(self.folder.join(format!("planes{suffix}")));
        }
        let folder = self.folder.canonicalize().map_err(|error| unusable(&self.folder, &error))?;
        let mark = hex::encode(&Sha256::digest(folder.as_os_str().as_encoded_bytes())[..8]);
        Ok(Path::new(SYSTEM).join(format!("{mark}{suffix}")))
    }

    /// The folder of what all clouds of this user share of what runs behind them.
    ///
    /// # Errors
    /// When this user has no home folder.
    pub fn planes_cache() -> Result<PathBuf, Failure> {
        if geteuid().is_root() {
            return Ok(Path::new(SYSTEM).join("templates"));
        }
        let project = directories::ProjectDirs::from("", "", "stackproof");
        project
            .map(|project| project.cache_dir().join("templates"))
            .ok_or_else(|| Failure::environment("this user has no home folder"))
    }
}

/// Removes a folder with all that is in it, if it is there.
fn remove(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unusable(folder, &error)),
        _ => Ok(()),
    }
}

/// Writes a file that only this user can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        // Temporary files are made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::environment(format!("{} cannot be used", path.display()))
        .because(error)
        .next(format!("ls -ld {}", path.display()))
}

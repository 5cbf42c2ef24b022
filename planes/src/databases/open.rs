//! All instances of a folder.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{
    process::Child,
    sync::{mpsc, oneshot, watch},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    DatabaseInfo, Error, Instance, Phase, Result, Status, dump,
    engine::{self, Account, Engine, nearest},
    files,
    keeper::{Keeper, Order},
    measure::{self, Measure},
    roles::Made,
    server,
    sql::{MAIN, PLANE, Session},
    standby, sweep,
};
use crate::network::Place;

/// The longest folder for sockets: a socket's path has at most 107 bytes.
const SHORT: usize = 60;
/// How long whoever had the folder before is given to leave it.
const HELD: Duration = Duration::from_secs(5);
/// How long an instance waits for the one it follows.
const LEADER: Duration = Duration::from_secs(60);

/// Database instances that live in a folder. Their servers end with this, however it ends.
pub struct Databases {
    shared: Arc<Shared>,
    keepers: Mutex<BTreeMap<String, Kept>>,
    /// Gone after a stop.
    open: Mutex<Option<Open>>,
    _run: TempDir,
}

/// What keeps the folder ours.
struct Open {
    watcher: Child,
    _lock: File,
}

struct Kept {
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<Status>,
    task: AbortOnDropHandle<()>,
}

/// What all keepers know.
pub(super) struct Shared {
    folder: PathBuf,
    pub(super) templates: PathBuf,
    run: PathBuf,
    pub(super) account: Account,
    pub(super) engines: BTreeMap<u32, Engine>,
    statuses: Mutex<BTreeMap<String, watch::Receiver<Status>>>,
}

impl Shared {
    pub(super) fn home(&self, id: &str) -> PathBuf {
        self.folder.join("instances").join(id)
    }

    /// Where an instance's sockets are.
    pub(super) fn sockets(&self, id: &str) -> PathBuf {
        self.run.join(short(id))
    }

    pub(super) fn watch(&self, id: &str) -> Option<watch::Receiver<Status>> {
        self.statuses.lock().get(id).cloned()
    }

    /// Waits until an instance takes connections.
    pub(super) async fn ready(&self, id: &str) -> Result<()> {
        let mut status = self.watch(id).ok_or_else(|| unknown(id))?;
        let ready = status.wait_for(|status| status.phase == Phase::Ready);
        match tokio::time::timeout(LEADER, ready).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(unknown(id)),
            Err(_) => Err(Error::Wrong(format!("instance {id:?} is not ready"))),
        }
    }

    /// The folder of a snapshot.
    pub(super) fn snapshot(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join("snapshots").join(checked("snapshot", name)?);
        if folder.is_dir() { Ok(folder) } else { Err(Error::Unknown { what: "snapshot", id: name.to_owned() }) }
    }

    /// The programs for an instance's data.
    fn engine(&self, id: &str) -> Result<&Engine> {
        let version = fs::read_to_string(standby::current(&self.home(id)).join("PG_VERSION")).ok();
        nearest(&self.engines, version.and_then(|version| version.trim().parse().ok()).ok_or_else(|| unknown(id))?)
    }
}

impl Databases {
    /// Takes a folder, and ends what an unclean end left running there. What was in it stays, and runs again when it
    /// is applied. `templates` holds fresh data folders to copy, and can be shared by many.
    pub async fn open(folder: &Path, templates: &Path) -> Result<Self> {
        let account = Account::detect()?;
        for made in [folder, templates, &folder.join("instances"), &folder.join("snapshots")] {
            fs::create_dir_all(made).map_err(Error::machine(format!("making {}", made.display())))?;
        }
        let absolute =
            |path: &Path| path.canonicalize().map_err(Error::machine(format!("looking at {}", path.display())));
        let (folder, templates) = (absolute(folder)?, absolute(templates)?);
        for made in ["instances", "snapshots"] {
            files::folder(&folder.join(made), &account)?;
        }
        account.can_reach(&folder.join("instances"))?;
        for half in names(&folder.join("snapshots")).iter().filter(|name| name.ends_with(".new")) {
            files::remove(&folder.join("snapshots").join(half))?;
        }
        account.can_reach(&templates)?;
        let lock = File::create(folder.join("lock")).map_err(Error::machine("locking the databases' folder"))?;
        hold(&lock, &folder).await?;
        let ended = sweep::sweep(&folder).await?;
        if ended > 0 {
            tracing::info!(ended, folder = %folder.display(), "ended database servers that were left running");
        }
        let run = run_folder(&account)?;
        std::os::unix::fs::symlink(run.path(), folder.join("sockets"))
            .map_err(Error::machine("noting where the sockets are"))?;
        let watcher = sweep::watcher(&folder, run.path(), &lock)?;
        let engines = engine::find(account).await;
        let shared =
            Shared { folder, templates, run: run.path().to_owned(), account, engines, statuses: Mutex::default() };
        Ok(Self {
            shared: Arc::new(shared),
            keepers: Mutex::default(),
            open: Mutex::new(Some(Open { watcher, _lock: lock })),
            _run: run,
        })
    }

    /// The first numbers of the versions this machine has.
    pub fn versions(&self) -> Vec<u32> {
        self.shared.engines.keys().copied().collect()
    }

    /// Makes an instance as it is wanted, in a place. Returns when it is so; the same again changes nothing.
    pub async fn apply(&self, wanted: Instance, place: Place) -> Result<Status> {
        checked("instance", &wanted.id)?;
        let orders = self.keeper(&wanted.id)?;
        let (answer, answered) = oneshot::channel();
        let order = Order::Apply(Box::new(wanted), place, answer);
        orders.send(order).await.map_err(|_| Error::Stopped)?;
        answered.await.map_err(|_| Error::Stopped)?
    }

    /// Starts the server of an instance anew, in order. Returns when it takes connections again.
    pub async fn restart(&self, id: &str) -> Result<Status> {
        let orders = self.keepers.lock().get(id).map(|kept| kept.orders.clone()).ok_or_else(|| unknown(id))?;
        let (answer, answered) = oneshot::channel();
        orders.send(Order::Restart(answer)).await.map_err(|_| Error::Stopped)?;
        answered.await.map_err(|_| Error::Stopped)?
    }

    /// Waits until an instance takes connections, for a while.
    pub async fn ready(&self, id: &str) -> Result<()> {
        self.shared.ready(id).await
    }

    /// Lets an instance go on under another id, with its data; it runs again when that is applied.
    pub async fn rename(&self, id: &str, to: &str) -> Result<()> {
        let (from, target) = (self.shared.home(checked("instance", id)?), self.shared.home(checked("instance", to)?));
        if !self.has_data(id) {
            return Err(unknown(id));
        }
        if self.has_data(to) {
            return Err(Error::Wrong(format!("instance {to:?} has data of its own")));
        }
        self.end(id).await;
        let sockets = self.shared.sockets(id);
        files::aside(move || {
            files::remove(&sockets)?;
            files::remove(&target)?;
            fs::rename(&from, &target).map_err(Error::machine(format!("renaming {}", from.display())))
        })
        .await
    }

    /// Whether there is data of an instance, running or not.
    pub fn has_data(&self, id: &str) -> bool {
        checked("instance", id).is_ok() && standby::current(&self.shared.home(id)).join("PG_VERSION").exists()
    }

    async fn end(&self, id: &str) {
        let kept = self.keepers.lock().remove(id);
        self.shared.statuses.lock().remove(id);
        if let Some(kept) = kept {
            kept.stop().await;
        }
    }

    fn keeper(&self, id: &str) -> Result<mpsc::Sender<Order>> {
        if self.open.lock().is_none() {
            return Err(Error::Stopped);
        }
        let mut keepers = self.keepers.lock();
        if let Some(kept) = keepers.get(id) {
            return Ok(kept.orders.clone());
        }
        let (told, status) = watch::channel(Status::default());
        let (orders, taken) = mpsc::channel(16);
        let keeper = Keeper::new(Arc::clone(&self.shared), id, told);
        let task = AbortOnDropHandle::new(tokio::spawn(keeper.run(taken)));
        self.shared.statuses.lock().insert(id.to_owned(), status.clone());
        keepers.insert(id.to_owned(), Kept { orders: orders.clone(), status, task });
        Ok(orders)
    }

    /// How an instance is, from now on.
    pub fn watch(&self, id: &str) -> Result<watch::Receiver<Status>> {
        self.keepers.lock().get(id).map(|kept| kept.status.clone()).ok_or_else(|| unknown(id))
    }

    /// The instances the folder has, running or not.
    pub fn kept(&self) -> Vec<String> {
        names(&self.shared.folder.join("instances"))
    }

    /// Ends an instance and removes its data.
    pub async fn remove(&self, id: &str) -> Result<()> {
        checked("instance", id)?;
        self.end(id).await;
        let (home, sockets) = (self.shared.home(id), self.shared.sockets(id));
        files::aside(move || {
            files::remove(&sockets)?;
            files::remove(&home)
        })
        .await
    }

    /// Ends an instance's server, if one runs. What it holds stays, and is there again when the instance is applied.
    pub async fn rest(&self, id: &str) -> Result<()> {
        let kept = self.keepers.lock().remove(checked("instance", id)?);
        self.shared.statuses.lock().remove(id);
        if let Some(kept) = kept {
            kept.stop().await;
        }
        Ok(())
    }

    /// The socket at which an instance's server takes those who act as its local roles.
    pub fn socket(&self, id: &str) -> PathBuf {
        self.shared.sockets(id).join(format!(".s.PGSQL.{MAIN}"))
    }

    /// Writes a database into a file, in PostgreSQL's custom format.
    pub async fn backup(&self, id: &str, database: &str, file: &Path) -> Result<()> {
        checked("instance", id)?;
        dump::backup(self.shared.engine(id)?, &self.shared.sockets(id), database, file).await
    }

    /// Replaces a database's content by that of such a file. Apply the instance after it: privileges on what was
    /// restored are set then.
    pub async fn restore(&self, id: &str, database: &str, file: &Path) -> Result<()> {
        checked("instance", id)?;
        dump::restore(self.shared.engine(id)?, &self.shared.sockets(id), database, file).await?;
        Made::forget_privileges(&self.shared.home(id), &self.shared.account, database)
    }

    /// Puts a database with the content of such a file in the place of the one there is, whose sessions end. It fails
    /// as a whole or not at all. Apply the instance after it: who may log in is set then.
    pub async fn replace(&self, id: &str, database: &str, file: &Path) -> Result<()> {
        checked("instance", id)?;
        dump::replace(self.shared.engine(id)?, &self.shared.sockets(id), database, file).await?;
        Made::forget_privileges(&self.shared.home(id), &self.shared.account, database)
    }

    /// Copies a running instance; others can begin with that.
    pub async fn snapshot(&self, id: &str, name: &str) -> Result<()> {
        checked("instance", id)?;
        let to = self.shared.folder.join("snapshots").join(checked("snapshot", name)?);
        if to.exists() {
            return Err(Error::Wrong(format!("there is a snapshot {name:?} already")));
        }
        dump::snapshot(self.shared.engine(id)?, &self.shared.sockets(id), &to).await
    }

    /// The snapshots there are, with the bytes they take.
    pub fn snapshots(&self) -> BTreeMap<String, u64> {
        let folder = self.shared.folder.join("snapshots");
        let sized = |name: String| (name.clone(), files::bytes(&folder.join(name)));
        names(&folder).into_iter().filter(|name| !name.ends_with(".new")).map(sized).collect()
    }

    /// Removes a snapshot.
    pub async fn remove_snapshot(&self, name: &str) -> Result<()> {
        let folder = self.shared.snapshot(name)?;
        files::aside(move || files::remove(&folder)).await
    }

    /// The process that serves an instance, while one does.
    pub fn process(&self, id: &str) -> Result<Option<u32>> {
        let data = standby::current(&self.shared.home(checked("instance", id)?));
        let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        Ok(text.lines().next().and_then(|line| line.trim().parse().ok()))
    }

    /// The bytes an instance's data takes.
    pub async fn usage(&self, id: &str) -> Result<u64> {
        let data = standby::current(&self.shared.home(checked("instance", id)?));
        files::aside(move || Ok(files::bytes(&data))).await
    }

    /// How much an instance uses right now.
    pub async fn measure(&self, id: &str) -> Result<Measure> {
        let (home, sockets) = (self.shared.home(checked("instance", id)?), self.shared.sockets(id));
        Ok(measure::measure(&home, &sockets).await)
    }

    /// The databases an instance has, those made with SQL too.
    pub async fn databases(&self, id: &str) -> Result<Vec<DatabaseInfo>> {
        let made = Made::read(&self.shared.home(checked("instance", id)?));
        let session = Session::open(&self.shared.sockets(id), MAIN, "postgres").await?;
        let query = "SELECT datname, pg_get_userbyid(datdba), pg_database_size(oid) FROM pg_database \
                     WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY datname";
        let rows = session.rows("listing databases", query).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| <[_; 3]>::try_from(row).ok())
            .filter_map(|[name, owner, bytes]| {
                let name = name?;
                let managed = made.databases.contains(&name);
                Some(DatabaseInfo { name, owner: owner.filter(|o| o != PLANE), bytes: bytes?.parse().ok()?, managed })
            })
            .collect())
    }

    /// The end of the log of an instance's server, at most that many bytes.
    pub fn logs(&self, id: &str, most: u64) -> Result<String> {
        let log = standby::log(&standby::current(&self.shared.home(checked("instance", id)?)));
        server::log(&log, most).map_err(Error::machine("reading a server's log"))
    }

    /// The files that the nodes of an instance write their logs to, the first node's first, the older of a node first.
    /// Which node serves changes with each failover; what a node wrote stays its own.
    pub fn node_logs(&self, id: &str) -> Result<[Vec<PathBuf>; 2]> {
        let home = self.shared.home(checked("instance", id)?);
        Ok(["a", "b"].map(|slot| {
            let log = standby::log(&home.join(slot));
            [log.with_extension("old"), log].into_iter().filter(|file| file.is_file()).collect()
        }))
    }

    /// Ends all servers, in order. What they hold stays in the folder, which others can take then.
    pub async fn stop(&self) {
        // None starts from now on.
        let open = self.open.lock().take();
        let kept = std::mem::take(&mut *self.keepers.lock());
        futures::future::join_all(kept.into_values().map(Kept::stop)).await;
        if let Some(mut open) = open {
            drop(open.watcher.stdin.take());
            if let Err(error) = open.watcher.wait().await {
                tracing::warn!(%error, "who ends the servers when we are gone could not be waited for");
            }
        }
    }
}

impl Kept {
    async fn stop(self) {
        let (answer, stopped) = oneshot::channel();
        if self.orders.send(Order::Stop(answer)).await.is_ok() {
            // The keeper may be gone; then its servers are.
            let _ = stopped.await;
        }
        drop(self.task);
    }
}

/// Takes the lock. Whoever had it may be ending its servers still.
async fn hold(lock: &File, folder: &Path) -> Result<()> {
    let mut again = tokio::time::interval(Duration::from_millis(10));
    let taken = async {
        while lock.try_lock().is_err() {
            again.tick().await;
        }
    };
    let held = tokio::time::timeout(HELD, taken).await;
    held.map_err(|_| Error::Wrong(format!("{} is used by another process", folder.display())))
}

/// A folder for sockets with a short path.
fn run_folder(account: &Account) -> Result<TempDir> {
    let usual = std::env::temp_dir();
    let fits = usual.as_os_str().len() <= SHORT && account.can_reach(&usual).is_ok();
    let folder = tempfile::Builder::new()
        .prefix("sp-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(if fits { &usual } else { Path::new("/tmp") })
        .map_err(Error::machine("making a folder for sockets"))?;
    account.own(folder.path())?;
    Ok(folder)
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// An id that is a file's name too.
fn checked<'a>(what: &'static str, id: &'a str) -> Result<&'a str> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if id.is_empty() || id.len() > 64 || !id.chars().all(fits) {
        return Err(Error::Wrong(format!("{what} {id:?}: an id has 1 to 64 letters, digits, - and _")));
    }
    Ok(id)
}

fn unknown(id: &str) -> Error {
    Error::Unknown { what: "instance", id: id.to_owned() }
}

/// Four bytes that stand for a text.
pub(super) fn digest(text: &str) -> [u8; 4] {
    let all = Sha256::digest(text.as_bytes());
    [all[0], all[1], all[2], all[3]]
}

/// Eight letters that stand for an id.
pub(super) fn short(id: &str) -> String {
    hex::encode(digest(id))
}

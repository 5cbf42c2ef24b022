//! Databases: managed PostgreSQL instances, each a server of its own.
//!
//! An instance is a folder with a cluster copied from a template, and a server that runs on it inside the instance's
//! place in the networks. Users, databases, privileges, settings and access rules are brought to what is wanted over a
//! socket that nobody else reaches. A server that dies is started again; all servers end with this process.

mod access;
mod configuration;
mod copies;
mod engine;
mod instance;
mod server;
mod spec;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::{Mutex, watch};

pub use engine::Engine;
pub use spec::{Attached, Endpoints, InstanceSpec, Permission, Privilege, State, User};

use crate::network::Fabric;
use instance::Instance;

/// Why something about databases could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine refused a step.
    #[error("{step}: {source}")]
    Machine {
        /// What was tried.
        step: String,
        /// What the machine said.
        source: io::Error,
    },
    /// The database refused a step.
    #[error("{step}: {}", told(.source))]
    Database {
        /// What was tried.
        step: String,
        /// What the server said.
        source: tokio_postgres::Error,
    },
    /// A tool of PostgreSQL's failed.
    #[error("{tool} failed: {said}")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// Its last words.
        said: String,
    },
    /// The server did not come to run.
    #[error("the server did not start: {0}")]
    NotStarted(String),
    /// Its network could not be made.
    #[error(transparent)]
    Network(#[from] crate::network::Error),
    /// Nothing of that name is here.
    #[error("no {what} {id:?} here")]
    Unknown {
        /// Which kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The machine has no PostgreSQL.
    #[error("no PostgreSQL server found: {0}")]
    NoEngine(String),
}

impl Error {
    pub(crate) fn machine(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Machine { step: step.into(), source }
    }

    fn database(step: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Database { step: step.into(), source }
    }
}

/// What the server said, not only that it said something.
fn told(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
}

/// What a step on databases gives.
pub type Result<T> = std::result::Result<T, Error>;

/// The managed databases of one cloud, in one folder.
pub struct Databases {
    folder: PathBuf,
    engine: Arc<Engine>,
    fabric: Arc<Fabric>,
    instances: Mutex<BTreeMap<String, Arc<Instance>>>,
}

impl Databases {
    /// Opens the folder. Servers that an unclean end left there are ended first.
    ///
    /// # Errors
    /// When the machine has no PostgreSQL, or the folder cannot be used.
    pub async fn open(folder: &Path, engine: Engine, fabric: Arc<Fabric>) -> Result<Self> {
        engine.own(folder)?;
        let folder = folder.canonicalize().map_err(Error::machine("finding the databases' folder"))?;
        let opened = Self { folder, engine: Arc::new(engine), fabric, instances: Mutex::default() };
        for left in opened.folders()? {
            server::sweep(&left).await?;
        }
        Ok(opened)
    }

    fn folders(&self) -> Result<Vec<PathBuf>> {
        let step = || Error::machine(format!("looking through {}", self.folder.display()));
        let entries = fs::read_dir(&self.folder).map_err(step())?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<io::Result<Vec<PathBuf>>>().map_err(step())
    }

    fn home(&self, id: &str) -> Result<PathBuf> {
        let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if plain { Ok(self.folder.join(id)) } else { Err(Error::Unknown { what: "instance", id: id.to_owned() }) }
    }

    /// Makes an instance, or brings it to what is wanted. When this returns, its endpoints answer.
    ///
    /// # Errors
    /// What could not be done; what was done so far stays, and asking again goes on from there.
    pub async fn apply(&self, spec: InstanceSpec) -> Result<Endpoints> {
        let instance = {
            let mut instances = self.instances.lock().await;
            match instances.get(&spec.id) {
                Some(instance) => Arc::clone(instance),
                None => {
                    let home = self.home(&spec.id)?;
                    let made = Instance::new(home, Arc::clone(&self.engine), Arc::clone(&self.fabric));
                    instances.insert(spec.id.clone(), Arc::clone(&made));
                    made
                }
            }
        };
        instance.apply(spec).await
    }

    /// How an instance is, now and from now on.
    pub async fn state(&self, id: &str) -> Option<watch::Receiver<State>> {
        Some(self.instances.lock().await.get(id)?.state())
    }

    /// The last lines its server said, oldest first.
    pub async fn logs(&self, id: &str) -> Vec<String> {
        let instance = self.instances.lock().await.get(id).cloned();
        instance.map(|instance| instance.lines()).unwrap_or_default()
    }

    /// The process that serves an instance, while one does.
    pub async fn process(&self, id: &str) -> Option<u32> {
        let instance = self.instances.lock().await.get(id).cloned()?;
        instance.process().await
    }

    /// Ends an instance and removes what it holds.
    ///
    /// # Errors
    /// When its folder cannot be removed.
    pub async fn remove(&self, id: &str) -> Result<()> {
        let instance = self.instances.lock().await.remove(id);
        if let Some(instance) = instance {
            instance.stop().await;
        }
        let home = self.home(id)?;
        server::sweep(&home).await?;
        clear(&home)?;
        Ok(self.fabric.remove_member(id).await?)
    }

    async fn instance(&self, id: &str) -> Result<Arc<Instance>> {
        let found = self.instances.lock().await.get(id).cloned();
        found.ok_or_else(|| Error::Unknown { what: "instance", id: id.to_owned() })
    }

    /// Writes one database into a file, as `pg_dump` does. Gives its size in bytes.
    ///
    /// # Errors
    /// When there is no such database, or the file cannot be written.
    pub async fn backup(&self, id: &str, database: &str, file: &Path) -> Result<u64> {
        copies::dump(&self.engine, self.instance(id).await?.home(), database, file).await
    }

    /// Reads one database back from a file; what is in it is replaced.
    ///
    /// # Errors
    /// When the file is no backup, or the database refuses it.
    pub async fn restore(&self, id: &str, database: &str, file: &Path) -> Result<()> {
        copies::restore(&self.engine, self.instance(id).await?.home(), database, file).await
    }

    /// Copies a whole instance as it is now into a folder. Gives its size in bytes.
    ///
    /// # Errors
    /// When the copy cannot be made.
    pub async fn snapshot(&self, id: &str, into: &Path) -> Result<u64> {
        copies::snapshot(&self.engine, self.instance(id).await?.home(), into).await
    }

    /// How many bytes a database holds.
    ///
    /// # Errors
    /// When there is no such database.
    pub async fn size(&self, id: &str, database: &str) -> Result<u64> {
        copies::size(self.instance(id).await?.home(), database).await
    }

    /// Ends all servers; what they hold stays.
    pub async fn stop(&self) {
        let instances = std::mem::take(&mut *self.instances.lock().await);
        futures::future::join_all(instances.values().map(|instance| instance.stop())).await;
    }
}

pub(crate) fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::machine(format!("clearing {}", folder.display()))(error)),
    }
}

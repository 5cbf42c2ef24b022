//! Images and containers of one cloud, in one folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parking_lot::Mutex;
use tokio::sync::RwLock;

use super::{
    Blobs, Container, ContainerSpec, Error, Helper, Image, Limits, Logs, Result, container, control::Control, image,
};
use crate::network::Member;

/// How often it is looked whether what was killed is gone.
const LOOK: Duration = Duration::from_millis(5);
/// How often at most.
const LOOKS: u32 = 1000;
/// In a container's folder: what was made for it elsewhere.
const MADE: &str = "made.json";

/// Images and containers of one cloud.
pub struct Runtime {
    images: PathBuf,
    running: PathBuf,
    helper: Helper,
    trust: Option<String>,
    /// Held by whoever unpacks an image: who wants the same one finds it there after that.
    unpacking: Arc<Mutex<()>>,
    /// Whether none starts any more. Held for reading by whoever starts one.
    closed: RwLock<bool>,
}

impl Runtime {
    /// Opens the folder. What an unclean end left of containers is removed first.
    pub async fn open(folder: &Path, helper: Helper) -> Result<Self> {
        if !cfg!(target_os = "linux") || !nix::unistd::geteuid().is_root() {
            return Err(Error::NotSupported {
                missing: "the right to make namespaces and control groups".to_owned(),
                next_step: "Run the local cloud on Linux as root, or where a Docker daemon answers.".to_owned(),
            });
        }
        let (images, running) = (folder.join("images"), folder.join("running"));
        for folder in [&images, &running] {
            fs::create_dir_all(folder).map_err(Error::machine(format!("making {}", folder.display())))?;
        }
        let running = running.canonicalize().map_err(Error::machine("finding the containers' folder"))?;
        let images = images.canonicalize().map_err(Error::machine("finding the images' folder"))?;
        if running.display().to_string().contains([',', ':', '\\']) {
            return Err(Error::NotSupported {
                missing: format!("a folder without comma, colon and backslash in its name: {}", running.display()),
                next_step: "Choose another one.".to_owned(),
            });
        }
        let opened =
            Self { images, running, helper, trust: None, unpacking: Arc::default(), closed: RwLock::new(false) };
        opened.sweep().await?;
        image::clear_unfinished(&opened.images)?;
        opened.attempt()?;
        Ok(opened)
    }

    /// Lets containers trust these certificates too, in PEM: they are added to the roots that an image has where the
    /// usual distributions keep them, and named by the usual variables where neither image nor owner says anything else.
    #[must_use]
    pub fn trusting(self, certificates: String) -> Self {
        Self { trust: Some(certificates), ..self }
    }

    /// Asks the machine for a control group: being root is not enough for one everywhere.
    fn attempt(&self) -> Result<()> {
        let trial = Control::plan(&format!("trial-{}", mark(&self.running)))?;
        let limits = Limits { memory: Some(1 << 30), cpu: Some(1000), processes: Some(100), storage: None };
        let made = trial.make(&limits);
        // Where it was made only in part, that part goes too.
        made.and(trial.remove()).map_err(|error| Error::NotSupported {
            missing: format!("a control group with limits ({error})"),
            next_step: "Run the local cloud as root where /sys/fs/cgroup can be written to.".to_owned(),
        })
    }

    async fn sweep(&self) -> Result<()> {
        let step = || format!("looking through {}", self.running.display());
        for left in fs::read_dir(&self.running).map_err(Error::machine(step()))? {
            let folder = left.map_err(Error::machine(step()))?.path();
            tracing::info!(folder = %folder.display(), "removing what is left of a container");
            match fs::read(folder.join(MADE)) {
                Ok(made) => match serde_json::from_slice::<Control>(&made) {
                    Ok(control) => end(&control).await?,
                    // Written only in part: nothing was made yet.
                    Err(error) => tracing::debug!(%error, "a container was never begun"),
                },
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::machine("reading what was made for a container")(error)),
            }
            image::clear(&folder)?;
        }
        Ok(())
    }

    /// Ends all containers at once, and removes what was made for them. From now on none starts.
    pub async fn close(&self) -> Result<()> {
        // Whoever is starting one has its folder by now, and is waited for.
        *self.closed.write().await = true;
        self.sweep().await
    }

    /// Takes in an image: its manifest, and its blobs from where they are. Done once for each.
    pub async fn add(&self, manifest: Vec<u8>, blobs: Arc<dyn Blobs>) -> Result<Image> {
        let (images, unpacking) = (self.images.clone(), Arc::clone(&self.unpacking));
        let unpack = move || {
            let _alone = unpacking.lock();
            image::unpack(&images, &manifest, &*blobs)
        };
        tokio::task::spawn_blocking(unpack)
            .await
            .map_err(|error| Error::Image(format!("unpacking it broke off: {error}")))?
    }

    /// An image that was taken in before.
    pub fn image(&self, digest: &str) -> Result<Image> {
        image::load(&self.images, digest)?.ok_or_else(|| Error::Image(format!("{digest} is not here")))
    }

    /// Forgets an image. Nothing of it may run.
    pub fn forget(&self, digest: &str) -> Result<()> {
        let image = self.image(digest)?;
        image.root.parent().map_or(Ok(()), image::clear)
    }

    /// Starts a container. When this returns, its program runs.
    pub async fn start(&self, spec: ContainerSpec, image: &Image, member: &Member, logs: Logs) -> Result<Container> {
        let named = !spec.id.is_empty()
            && spec.id.len() <= 63
            && spec.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !named {
            return Err(Error::Image(format!("{:?} is no name for a container", spec.id)));
        }
        let closed = self.closed.read().await;
        if *closed {
            return Err(Error::Closed);
        }
        let folder = self.running.join(&spec.id);
        let made = fs::create_dir(&folder);
        made.map_err(Error::machine(format!("making the folder of container {}", spec.id)))?;
        // Other clouds may have containers of the same name.
        let control = Control::plan(&format!("{}-{}", spec.id, mark(&folder)))?;
        let started = self.begin(&spec, image, member, logs, &folder, &control).await;
        if started.is_err() {
            end(&control).await?;
            image::clear(&folder)?;
        }
        started
    }

    async fn begin(
        &self,
        spec: &ContainerSpec,
        image: &Image,
        member: &Member,
        logs: Logs,
        folder: &Path,
        control: &Control,
    ) -> Result<Container> {
        let write = |name: &str, content: &[u8]| {
            fs::write(folder.join(name), content).map_err(Error::machine(format!("writing {name} of {}", spec.id)))
        };
        let made =
            serde_json::to_vec(control).map_err(|error| Error::machine("telling a control group")(error.into()))?;
        write(MADE, &made)?;
        for name in ["upper", "work", "merged"] {
            fs::create_dir(folder.join(name)).map_err(Error::machine(format!("making {name} of {}", spec.id)))?;
        }
        control.make(&spec.limits)?;
        container::start(&self.helper, spec, image, member, logs, folder, control, self.trust.as_deref()).await
    }
}

/// Sets the folder of one cloud's container apart from that of another's.
fn mark(folder: &Path) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(folder.as_os_str().as_encoded_bytes());
    hex::encode(&hash[..4])
}

/// Ends all processes of a control group, and the group.
pub(super) async fn end(control: &Control) -> Result<()> {
    let mut looks = tokio::time::interval(LOOK);
    for _ in 0..LOOKS {
        looks.tick().await;
        let left = control.processes()?;
        for process in &left {
            match kill(Pid::from_raw(*process), Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(Error::machine("ending a left process")(error.into())),
            }
        }
        if !left.is_empty() {
            continue;
        }
        match control.remove() {
            Err(Error::Machine { source, .. }) if source.raw_os_error() == Some(Errno::EBUSY as i32) => {}
            other => return other,
        }
    }
    control.remove()
}

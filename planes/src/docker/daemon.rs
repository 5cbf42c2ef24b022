//! The daemon, and all of one cloud's objects in it.

use std::{collections::HashMap, env, path::Path, time::Duration};

use bollard::{
    API_DEFAULT_VERSION, Docker,
    query_parameters::{
        ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder,
        RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, WaitContainerOptionsBuilder,
    },
};
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::{Error, Result, is_gone};

/// The label that tells the cloud, by a mark of its folder.
pub const MARK: &str = "stackproof.cloud";
/// The label that tells the folder, for people.
pub const FOLDER: &str = "stackproof.folder";

/// How long an answer may take, in seconds.
const PATIENCE: u64 = 60;
/// How long a container may take to go.
const REMOVAL: Duration = Duration::from_secs(10);
/// How long a daemon may take to say that it is there.
const GREETING: Duration = Duration::from_secs(5);

/// A Docker daemon, seen by one cloud.
pub struct Daemon {
    client: Docker,
    mark: String,
    folder: String,
    told: String,
}

impl Daemon {
    /// Finds the daemon: at `DOCKER_HOST`, or at one of the usual sockets. The folder tells this cloud's objects from
    /// those of another.
    pub async fn find(folder: &Path) -> Result<Self> {
        let mut tried = Vec::new();
        for socket in sockets() {
            match Self::at(&socket, folder).await {
                Ok(daemon) => return Ok(daemon),
                Err(Error::NoDaemon(why)) => tried.push(why),
                Err(error) => return Err(error),
            }
        }
        Err(Error::NoDaemon(tried.join("; ")))
    }

    /// The daemon at a socket (`unix://…`).
    pub async fn at(socket: &str, folder: &Path) -> Result<Self> {
        let (client, version) = greet(socket).await.map_err(|why| Error::NoDaemon(format!("{socket}: {why}")))?;
        // The same from wherever it is started; it may not be there yet.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let hash = Sha256::digest(folder.as_os_str().as_encoded_bytes());
        Ok(Self {
            client,
            mark: hex::encode(&hash[..6]),
            folder: folder.display().to_string(),
            told: format!("Docker {version} at {socket}"),
        })
    }

    /// Which one it is.
    pub fn told(&self) -> &str {
        &self.told
    }

    /// Tells this cloud's objects from those of another.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    pub(super) fn client(&self) -> &Docker {
        &self.client
    }

    /// The name of an object of this cloud.
    pub(super) fn name(&self, id: &str) -> String {
        format!("stackproof-{}-{id}", self.mark)
    }

    /// The name of an image of this cloud.
    pub(super) fn image(&self, hex: &str) -> String {
        format!("{}:{hex}", self.repository())
    }

    fn repository(&self) -> String {
        format!("stackproof-{}", self.mark)
    }

    pub(super) fn labels(&self) -> HashMap<String, String> {
        [(MARK.to_owned(), self.mark.clone()), (FOLDER.to_owned(), self.folder.clone())].into()
    }

    /// Removes everything of this cloud: containers, networks, images.
    pub async fn sweep(&self) -> Result<()> {
        self.sweep_containers().await?;
        let ours = self.ours();
        let options = ListNetworksOptionsBuilder::default().filters(&ours).build();
        let left = self.client.list_networks(Some(options)).await;
        for network in left.map_err(Error::said("looking for networks that are left"))? {
            self.remove_network(&network.id.unwrap_or_default()).await?;
        }
        // An image cannot be given a label without becoming another one: these are known by name.
        let ours: HashMap<&str, Vec<String>> = [("reference", vec![self.repository()])].into();
        let options = ListImagesOptionsBuilder::default().filters(&ours).build();
        let left = self.client.list_images(Some(options)).await;
        let left = left.map_err(Error::said("looking for images that are left"))?;
        let ours = format!("{}:", self.repository());
        for name in left.iter().flat_map(|image| &image.repo_tags).filter(|name| name.starts_with(&ours)) {
            let options = RemoveImageOptionsBuilder::default().force(true).build();
            gone(self.client.remove_image(name, Some(options), None).await.map(drop))
                .map_err(Error::said(format!("removing image {name}")))?;
        }
        Ok(())
    }

    /// Removes the containers of this cloud.
    pub(super) async fn sweep_containers(&self) -> Result<()> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&self.ours()).build();
        let left = self.client.list_containers(Some(options)).await;
        for container in left.map_err(Error::said("looking for containers that are left"))? {
            self.remove_container(&container.id.unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// What finds the objects of this cloud.
    fn ours(&self) -> HashMap<&'static str, Vec<String>> {
        [("label", vec![format!("{MARK}={}", self.mark)])].into()
    }

    pub(super) async fn remove_container(&self, name: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.client.remove_container(name, Some(options)).await {
            // It is being removed already: what it is on cannot be removed before.
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. }) => {
                let options = WaitContainerOptionsBuilder::default().condition("removed").build();
                let mut removed = Box::pin(self.client.wait_container(name, Some(options)));
                match tokio::time::timeout(REMOVAL, removed.next()).await {
                    // Whatever its code was, or that it is not there any more.
                    Ok(_) => Ok(()),
                    Err(_) => Err(Error::Stays { container: name.to_owned(), within: REMOVAL }),
                }
            }
            removed => gone(removed).map_err(Error::said(format!("removing container {name}"))),
        }
    }

    pub(super) async fn remove_network(&self, name: &str) -> Result<()> {
        gone(self.client.remove_network(name).await).map_err(Error::said(format!("removing network {name}")))
    }
}

/// What is gone already was removed.
fn gone(removed: std::result::Result<(), bollard::errors::Error>) -> std::result::Result<(), bollard::errors::Error> {
    match removed {
        Err(error) if is_gone(&error) => Ok(()),
        other => other,
    }
}

/// Where a daemon may listen.
fn sockets() -> Vec<String> {
    if let Some(said) = env::var("DOCKER_HOST").ok().filter(|said| !said.is_empty()) {
        return vec![said];
    }
    let mut sockets = vec!["unix:///var/run/docker.sock".to_owned()];
    for (variable, file) in [("XDG_RUNTIME_DIR", "docker.sock"), ("HOME", ".docker/run/docker.sock")] {
        if let Some(folder) = env::var_os(variable) {
            sockets.push(format!("unix://{}", Path::new(&folder).join(file).display()));
        }
    }
    sockets
}

async fn greet(socket: &str) -> std::result::Result<(Docker, String), String> {
    if !socket.starts_with("unix://") {
        return Err("only daemons of this machine are used, by their unix:// socket".to_owned());
    }
    let client = Docker::connect_with_unix(socket, PATIENCE, API_DEFAULT_VERSION).map_err(|error| error.to_string())?;
    let asked = async {
        let client = client.negotiate_version().await?;
        let version = client.version().await?;
        Ok::<_, bollard::errors::Error>((client, version))
    };
    let (client, version) = match tokio::time::timeout(GREETING, asked).await {
        Ok(answered) => answered.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("no answer within {GREETING:?}")),
    };
    match version.os.as_deref() {
        Some("linux") => Ok((client, version.version.unwrap_or_default())),
        other => Err(format!("it runs containers of {}, not of Linux", other.unwrap_or("an unknown system"))),
    }
}

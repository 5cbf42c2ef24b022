//! Images and containers of one cloud at a daemon.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bollard::{body_try_stream, query_parameters::ImportImageOptions};
use futures::TryStreamExt;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, RwLock};
use tokio_util::io::ReaderStream;

use super::{Daemon, Error as Said, Networks, archive, container, is_gone, networks};
use crate::{
    containers::{
        Blobs, Container, ContainerSpec, Engine, Error, Image, Logs, Result,
        image::{digest_of, hex_of, parse},
    },
    network::Member,
};

/// How long a daemon may take to load an image.
const LOADING: Duration = Duration::from_secs(600);

/// Images and containers of one cloud, had by a daemon.
pub struct Containers {
    networks: Arc<Networks>,
    folder: PathBuf,
    images: Mutex<BTreeMap<String, Image>>,
    entry: OnceCell<String>,
    /// Whether none starts any more. Held for reading by whoever starts one.
    closed: RwLock<bool>,
}

impl Containers {
    /// None yet. Images are packed in the folder.
    pub fn open(folder: &Path, networks: Arc<Networks>) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::machine(format!("making {}", folder.display())))?;
        Ok(Self {
            networks,
            folder: folder.to_owned(),
            images: Mutex::default(),
            entry: OnceCell::new(),
            closed: RwLock::new(false),
        })
    }

    fn daemon(&self) -> &Arc<Daemon> {
        self.networks.daemon()
    }

    fn name(&self, digest: &str) -> Result<String> {
        let hex = hex_of(digest).ok_or_else(|| Error::Image(format!("{digest:?} is no digest")))?;
        Ok(self.daemon().image(hex))
    }
}

#[async_trait::async_trait]
impl Engine for Containers {
    async fn add(&self, manifest: Vec<u8>, blobs: Arc<dyn Blobs>) -> Result<Image> {
        let digest = digest_of(&manifest);
        let name = self.name(&digest)?;
        let client = self.daemon().client();
        if let Ok(known) = self.image(&digest) {
            match client.inspect_image(&name).await {
                Ok(_) => return Ok(known),
                // Somebody has cleaned up.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(Said::said(format!("looking for image {name}"))(error).into()),
            }
        }
        let (folder, tagged) = (self.folder.clone(), name.clone());
        let packed = tokio::task::spawn_blocking(move || archive::pack(&folder, &manifest, &*blobs, &tagged)).await;
        let (config, file) = packed.map_err(|error| Error::Image(format!("packing it broke off: {error}")))??;
        let body = body_try_stream(ReaderStream::new(tokio::fs::File::from_std(file)));
        let loading = client.clone().with_timeout(LOADING);
        let step = || format!("loading image {digest} into Docker");
        let mut told = std::pin::pin!(loading.import_image(ImportImageOptions::default(), body, None));
        while let Some(told) = told.try_next().await.map_err(Said::said(step()))? {
            tracing::debug!(?told, digest, "an image is being loaded");
        }
        client.inspect_image(&name).await.map_err(Said::said(step()))?;
        let image = Image::kept_elsewhere(digest.clone(), parse(&config)?);
        self.images.lock().insert(digest, image.clone());
        Ok(image)
    }

    fn image(&self, digest: &str) -> Result<Image> {
        let known = self.images.lock().get(digest).cloned();
        known.ok_or_else(|| Error::Image(format!("{digest} is not here")))
    }

    async fn start(&self, spec: ContainerSpec, image: &Image, member: &Member, logs: Logs) -> Result<Container> {
        let closed = self.closed.read().await;
        if *closed {
            return Err(Error::Closed);
        }
        let entry = self.entry.get_or_try_init(|| networks::entry(self.daemon())).await?;
        let image = self.name(&image.digest)?;
        container::start(&self.networks, entry, &member.id, spec, image, logs).await
    }

    async fn close(&self) -> Result<()> {
        // Whoever is starting one is waited for.
        *self.closed.write().await = true;
        Ok(self.daemon().sweep_containers().await?)
    }
}

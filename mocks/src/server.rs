//! The local cloud as a running server: its store, its doors, its ticking clock.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    control,
    front::{Door, Front},
    gateway::{self, Authority, Gateway, Listeners, OwnNames, Service},
    identity::IamIdentity,
    kernel::{
        Blobs, Catalogue, Clock, Cloud, Durability, Enforcement, Guard, Options, Product, Profile, ROOT_KEY_VARIABLE,
        RootKey, Store, StoreError,
    },
    listener::listen,
    object::ObjectStorage,
    planes::{self, Planes},
    registry::ContainerRegistry,
    services::{self, Organization},
};

/// How a local cloud is to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where its state is kept; none keeps it in memory.
    pub state_dir: Option<PathBuf>,
    /// When a change counts as kept.
    pub durability: Durability,
    /// How time passes.
    pub profile: Profile,
    /// The seed of identifiers; none takes a random one.
    pub seed: Option<u64>,
    /// The organisation there is from the beginning.
    pub organization: Organization,
    /// The folder of the installation's certificate authority.
    pub authority_dir: PathBuf,
    /// The ports of the API, Object Storage, gateway and control listeners; 0 takes a free one.
    pub ports: [u16; 4],
    /// Whether there is a control API.
    pub control: bool,
    /// What is done with what IAM does not allow.
    pub enforcement: Enforcement,
    /// Whether requests for other hosts pass through the gateway or are refused.
    pub foreign: gateway::Foreign,
    /// What runs behind the API.
    pub planes: planes::Config,
}

/// What a running cloud tells of itself: where it is, and what a tool needs to reach it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// The process.
    pub pid: u32,
    /// The API without TLS, for `SCW_API_URL`.
    pub api_url: String,
    /// Object Storage without TLS.
    pub s3_url: String,
    /// The gateway, for `HTTPS_PROXY`.
    pub gateway_url: String,
    /// The control API, if there is one.
    pub control_url: Option<String>,
    /// Environment variables to set for tools that are to use the gateway.
    pub set: BTreeMap<String, String>,
    /// Environment variables to unset for them.
    pub unset: Vec<String>,
    /// The time profile.
    pub profile: String,
}

/// A cloud that could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state cannot be used.
    #[error("failed to open the state: {0}")]
    State(#[from] crate::kernel::StoreError),
    /// The declarations contradict each other: a mistake in a product's folder.
    #[error("failed to read the declared resources: {0}")]
    Declaration(String),
    /// The certificate authority cannot be used.
    #[error("failed to use the certificate authority: {0}")]
    Authority(#[from] gateway::AuthorityError),
    /// An address cannot be listened on, or a folder not be written.
    #[error("failed to {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A running local cloud. Dropping it stops it.
pub struct Server {
    front: Arc<Front>,
    ready: Ready,
    stop: CancellationToken,
    _gateway: Gateway,
    planes: Option<Arc<Planes>>,
}

impl Server {
    /// Starts a cloud of all products.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with(config, services::products()).await
    }

    /// Starts a cloud of these products.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_with(config: Config, products: Vec<Product>) -> Result<Self, StartError> {
        let io = |doing| move |source| StartError::Io { doing, source };
        let clock = Clock::new(config.profile);
        let given = std::env::var_os(ROOT_KEY_VARIABLE);
        let root = RootKey::open(&config.authority_dir, given.as_deref()).map_err(StoreError::from)?;
        let options = Options {
            folder: config.state_dir.clone(),
            root: Some(root),
            durability: Some(config.durability),
            seed: config.seed,
        };
        let store = Arc::new(Store::open(&options, clock)?);
        services::seed(&store, &config.organization)?;
        let blobs = match &config.state_dir {
            Some(folder) => {
                Blobs::in_folder(&folder.join("blobs"), store.key()).map_err(io("create the folder of blobs"))?
            }
            None => Blobs::in_memory(),
        };
        let catalogue = Catalogue::new(products).map_err(StartError::Declaration)?;
        let guard = Guard::new(services::iam::authorize, config.enforcement);
        let cloud = Arc::new(Cloud::new(Arc::clone(&store), catalogue, Arc::clone(&guard)));
        let object = Arc::new(ObjectStorage::new(
            Arc::clone(&store),
            blobs.clone(),
            Arc::new(IamIdentity::new(Arc::clone(&store), Arc::clone(&guard))),
        ));
        let answering = move |request| {
            let object = Arc::clone(&object);
            async move { object.handle(request).await }.boxed()
        };
        let registry = Arc::new(ContainerRegistry::new(Arc::clone(&store), blobs.clone(), guard));
        let distributing = move |request| {
            let registry = Arc::clone(&registry);
            async move { registry.handle(request).await }.boxed()
        };
        let authority = Arc::new(Authority::open(&config.authority_dir)?);
        let own = match &config.planes {
            planes::Config::Everything { folder, .. } => Some(Arc::new(OwnNames::open(&authority, folder)?)),
            planes::Config::Nothing => None,
        };
        let front = Front::new(Arc::clone(&cloud), Arc::new(answering), Arc::new(distributing), blobs.clone());
        let front = Arc::new(front.map_err(StartError::Declaration)?);
        let stop = CancellationToken::new();
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let door = |door: Door| {
            let front = Arc::clone(&front);
            move |request| {
                let front = Arc::clone(&front);
                async move { front.answer(door, request).await }.boxed()
            }
        };
        let [api_port, s3_port, gateway_port, control_port] = config.ports;
        let api = listen(at(api_port), stop.clone(), door(Door::Api)).await.map_err(io("listen for the API"))?;
        let s3 = listen(at(s3_port), stop.clone(), door(Door::ObjectStorage)).await;
        let s3 = s3.map_err(io("listen for Object Storage"))?;
        // What runs is started after the gateway that it reaches.
        let listening = Arc::new(OnceLock::<Arc<Planes>>::new());
        let asked = Arc::clone(&listening);
        let settings = gateway::Config {
            listen: at(gateway_port),
            foreign: config.foreign,
            own: own.clone(),
            shutdown: stop.clone(),
            listeners: Listeners::new(move |host, port| asked.get()?.listener(host, port)),
            ..gateway::Config::default()
        };
        let behind = Arc::clone(&front);
        let handler = gateway::handler(move |service, request| {
            let front = Arc::clone(&behind);
            let door = match service {
                Service::ObjectStorage { .. } => Door::ObjectStorage,
                Service::ContainerRegistry { .. } => Door::ContainerRegistry,
                Service::Container { .. } | Service::Domain => Door::Containers,
                Service::Api | Service::Unclaimed | Service::Foreign => Door::Api,
            };
            async move { front.answer(door, request).await }
        });
        let gateway = Gateway::start(settings, Arc::clone(&authority), handler).await;
        let gateway = gateway.map_err(io("listen for the gateway"))?;
        // After the gateway, which containers reach as soon as they run. Nobody knows its port yet.
        let reached = planes::Front {
            direct: gateway.direct(),
            authority: &authority,
            foreign: config.foreign,
            own: own.clone(),
        };
        let planes = Planes::start(&cloud, blobs, &config.planes, reached).await;
        if let Some(planes) = &planes {
            drop(listening.set(Arc::clone(planes)));
            let planes = Arc::clone(planes);
            front.serve_containers(Arc::new(move |request| {
                let planes = Arc::clone(&planes);
                async move { planes.serve(request).await }.boxed()
            }));
        }
        let environment = gateway.environment();
        let mut ready = Ready {
            pid: std::process::id(),
            api_url: format!("http://{api}"),
            s3_url: format!("http://{s3}"),
            gateway_url: format!("http://{}", gateway.address()),
            control_url: None,
            set: environment.set.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            unset: environment.unset.into_iter().map(|name| name.to_string()).collect(),
            profile: format!("{:?}", config.profile).to_lowercase(),
        };
        if config.control {
            let router = control::router(Arc::clone(&front), planes.clone(), json!(ready));
            let answer = move |request| {
                let router = router.clone();
                async move {
                    match router.oneshot(request).await {
                        Ok(response) => response,
                        Err(never) => match never {},
                    }
                }
                .boxed()
            };
            let control = listen(at(control_port), stop.clone(), answer).await;
            let control = control.map_err(io("listen for the control API"))?;
            ready.control_url = Some(format!("http://{control}"));
            if let Some(planes) = &planes {
                planes.keep_in_reach(vec![api, s3, gateway.address(), control]).await;
            }
        }
        tokio::spawn(tick(Arc::clone(&front), stop.clone()));
        Ok(Self { front, ready, stop, _gateway: gateway, planes })
    }

    /// Where it is and how it is reached.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// What runs behind the API, if anything does.
    pub fn planes(&self) -> Option<&Arc<Planes>> {
        self.planes.as_ref()
    }

    /// Takes nothing new, and ends what runs behind the API; what databases hold stays.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Some(planes) = &self.planes {
            planes.stop().await;
        }
    }

    /// What is behind its doors, for tests in the same process.
    pub fn front(&self) -> &Arc<Front> {
        &self.front
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Brings the passages that take time to their end when their time has come: woken by new ones, by
/// the clock being moved, and by the next one that is due.
async fn tick(front: Arc<Front>, stop: CancellationToken) {
    /// When nothing is due, only a change can make something due.
    const NEVER: Duration = Duration::from_secs(3600);
    let store = Arc::clone(front.cloud().store());
    let mut scheduled = store.scheduled();
    let mut advanced = store.clock().advanced();
    loop {
        if let Err(refusal) = front.cloud().settle() {
            tracing::error!(%refusal, "a passage could not be written; it is tried again with the next change");
        }
        let pause = match (store.clock().profile(), store.next_due()) {
            (Profile::Manual, _) | (_, None) => NEVER,
            (_, Some(due)) => due.max(Duration::from_millis(1)),
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            // Its sender is the store's own.
            _ = advanced.changed() => {}
            changed = scheduled.changed() => if changed.is_err() { return },
        }
    }
}

//! One container of a service, from its network to its end.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::{Container, ContainerSpec, Engine, Error, Logs, ServiceSpec, Unhealthy, health, storage};
use crate::network::{self, Fabric, Member, MemberSpec};

/// How often a container that is to become well is asked.
const LOOK: Duration = Duration::from_millis(25);

/// Where the containers of a service are in the networks.
#[async_trait::async_trait]
pub trait Places: Send + Sync + 'static {
    /// A place for a container.
    async fn take(&self, container: &str) -> network::Result<Arc<Member>>;
    /// The container has ended.
    async fn give_back(&self, container: &str) -> network::Result<()>;
}

/// Containers on no private network, with doors to the outside.
pub struct Unattached(
    /// The cloud's networks.
    pub Arc<Fabric>,
);

#[async_trait::async_trait]
impl Places for Unattached {
    async fn take(&self, container: &str) -> network::Result<Arc<Member>> {
        self.0.set_member(MemberSpec { id: container.to_owned(), attachments: Vec::new(), doors: true }).await
    }

    async fn give_back(&self, container: &str) -> network::Result<()> {
        self.0.remove_member(container).await
    }
}

/// What is needed to run a container of a service.
pub(super) struct Job {
    pub(super) id: String,
    pub(super) spec: ServiceSpec,
    pub(super) runtime: Arc<dyn Engine>,
    pub(super) places: Arc<dyn Places>,
    pub(super) logs: Logs,
    /// Set when it is to end: it takes no more requests.
    pub(super) stop: CancellationToken,
}

/// What a container's life tells.
pub(super) trait Watcher: Send + Sync {
    /// It listens, and is well.
    fn ready(&self, container: Arc<Container>);
    /// It is to take no more requests, for this reason: it has ended, or is not well.
    fn lost(&self, why: &str);
    /// Waits until its last request has ended.
    fn drained(&self) -> impl Future<Output = ()> + Send;
}

impl Job {
    /// Runs it to its end. Gives how long it was on processors.
    pub(super) async fn run(&self, watcher: &impl Watcher) -> Duration {
        let member = match self.places.take(&self.id).await {
            Ok(member) => member,
            Err(error) => {
                watcher.lost(&error.to_string());
                return Duration::ZERO;
            }
        };
        let cpu = self.live(&member, watcher).await;
        if let Err(error) = self.places.give_back(&self.id).await {
            tracing::error!(container = self.id, %error, "a container's place was not given back");
        }
        cpu
    }

    async fn live(&self, member: &Member, watcher: &impl Watcher) -> Duration {
        let container = match self.start(member).await {
            Ok(container) => Arc::new(container),
            Err(error) => {
                watcher.lost(&error.to_string());
                return Duration::ZERO;
            }
        };
        let began = tokio::select! {
            began = self.begin(&container) => began,
            () = self.stop.cancelled() => Ok(()),
        };
        let lived = match began {
            Ok(()) if !self.stop.is_cancelled() => {
                watcher.ready(Arc::clone(&container));
                tokio::select! {
                    lived = self.watch(&container) => lived,
                    unhealthy = self.outgrows(&container) => Err(unhealthy),
                }
            }
            other => other,
        };
        match lived {
            Err(unhealthy) => watcher.lost(&unhealthy.to_string()),
            // What it is doing may be ended; how long that takes has an end as well.
            Ok(()) => drop(timeout(self.spec.grace, watcher.drained()).await),
        }
        container.stop(self.spec.grace).await.cpu
    }

    async fn start(&self, member: &Member) -> Result<Container, Error> {
        let image = self.runtime.image(&self.spec.image)?;
        let mut env = self.spec.env.clone();
        env.insert("PORT".to_owned(), self.spec.port.to_string());
        let spec = ContainerSpec {
            id: self.id.clone(),
            command: self.spec.command.clone(),
            args: self.spec.args.clone(),
            env,
            ports: vec![self.spec.port],
            limits: self.spec.limits,
        };
        self.runtime.start(spec, &image, member, self.logs.clone()).await
    }

    /// Waits until it listens and is well.
    async fn begin(&self, container: &Container) -> Result<(), Unhealthy> {
        let within = self.spec.patience();
        let until = Instant::now() + within;
        health::listening(container, self.spec.port, within).await?;
        let Some(wanted) = self.spec.startup.as_ref().or(self.spec.health.as_ref()) else { return Ok(()) };
        // More often than said, so that nobody waits longer than it takes.
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            match health::check(container, self.spec.port, &wanted.check, wanted.timeout).await {
                Err(Unhealthy::Check(_)) if Instant::now() < until => {}
                Err(Unhealthy::Check(why)) if self.spec.startup.is_some() => {
                    return Err(Unhealthy::Startup { within, why });
                }
                other => return other,
            }
        }
    }

    /// Waits until it has more files than it may.
    async fn outgrows(&self, container: &Container) -> Unhealthy {
        match (self.spec.limits.storage, container.written()) {
            (Some(limit), Some(folder)) => Unhealthy::Storage { taken: storage::over(&folder, limit).await, limit },
            _ => std::future::pending().await,
        }
    }

    /// Sees whether it stays well, until it is to end.
    async fn watch(&self, container: &Container) -> Result<(), Unhealthy> {
        let Some(wanted) = &self.spec.health else {
            return tokio::select! {
                exit = container.ended() => Err(Unhealthy::Ended(exit)),
                () = self.stop.cancelled() => Ok(()),
            };
        };
        let mut ticks = tokio::time::interval(wanted.interval.max(LOOK));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut failed = 0;
        loop {
            tokio::select! {
                exit = container.ended() => return Err(Unhealthy::Ended(exit)),
                () = self.stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            match health::check(container, self.spec.port, &wanted.check, wanted.timeout).await {
                Ok(()) => failed = 0,
                Err(unhealthy) => {
                    failed += 1;
                    if failed >= wanted.failures || matches!(unhealthy, Unhealthy::Ended(_)) {
                        return Err(unhealthy);
                    }
                }
            }
        }
    }
}

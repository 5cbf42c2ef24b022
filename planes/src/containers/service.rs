//! Services: as many containers of one kind as are needed.

mod door;
mod load;
mod reconcile;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Container, Engine, Logs, Places, ServiceSpec, ServiceState, ServiceStatus, ServiceUsage};
pub use door::{Connection, DialError, Request};

/// How far the time of a service can be ahead.
const FURTHEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Containers of one kind, as many as are needed. They end when this is dropped.
pub struct Service {
    shared: Arc<Shared>,
    _supervisor: AbortOnDropHandle<()>,
    _measures: AbortOnDropHandle<()>,
}

struct Shared {
    runtime: Arc<dyn Engine>,
    places: Arc<dyn Places>,
    logs: Logs,
    state: Mutex<State>,
    /// Counts changes.
    changed: watch::Sender<u64>,
    status: watch::Sender<ServiceStatus>,
}

struct State {
    spec: ServiceSpec,
    deployment: u64,
    /// Whether a container of this deployment was ready once.
    proven: bool,
    instances: BTreeMap<u64, Instance>,
    /// Counts containers.
    numbered: u64,
    /// Requests that wait for a container.
    waiting: u32,
    /// How often in a row containers did not come to run or stay.
    failures: u32,
    retry: Option<Instant>,
    error: Option<String>,
    stopped: bool,
    /// How far its time is ahead of the machine's.
    ahead: Duration,
    /// How many containers the use of the machine asks for.
    by_load: u32,
    /// How many containers were lost.
    lost: u64,
    /// What containers that have ended were on processors.
    spent: Duration,
    /// What was told of that, with those that ran, last.
    told: Duration,
}

struct Instance {
    deployment: u64,
    phase: Phase,
    requests: u32,
    /// When its last request ended.
    used: Instant,
    container: Option<Arc<Container>>,
    stop: CancellationToken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Ending,
}

impl Service {
    /// Begins. The containers' images have to be in the runtime.
    pub fn start(runtime: Arc<dyn Engine>, places: Arc<dyn Places>, spec: ServiceSpec) -> Self {
        let state = State {
            spec,
            deployment: 1,
            proven: false,
            instances: BTreeMap::new(),
            numbered: 0,
            waiting: 0,
            failures: 0,
            retry: None,
            error: None,
            stopped: false,
            ahead: Duration::ZERO,
            by_load: 0,
            lost: 0,
            spent: Duration::ZERO,
            told: Duration::ZERO,
        };
        let status = watch::channel(state.status()).0;
        let shared = Arc::new(Shared {
            runtime,
            places,
            logs: Logs::default(),
            state: Mutex::new(state),
            changed: watch::channel(0).0,
            status,
        });
        let supervisor = tokio::spawn(reconcile::supervise(Arc::clone(&shared)));
        let measures = tokio::spawn(load::measure(Arc::clone(&shared)));
        Self { shared, _supervisor: AbortOnDropHandle::new(supervisor), _measures: AbortOnDropHandle::new(measures) }
    }

    /// Wants something else. What is new in the containers themselves is a deployment: new ones take over when they are
    /// ready, and no request is lost.
    pub fn update(&self, spec: ServiceSpec) {
        self.shared.change(|state| {
            if !state.spec.runs_the_same(&spec) {
                state.deploy();
            }
            state.spec = spec;
        });
    }

    /// Starts all containers anew, in the same way.
    pub fn redeploy(&self) {
        self.shared.change(State::deploy);
    }

    /// Wants something, and all containers anew for it, be it what they are already.
    pub fn deploy(&self, spec: ServiceSpec) {
        self.shared.change(|state| {
            state.deploy();
            state.spec = spec;
        });
    }

    /// Lets time pass that does not pass for the machine: for containers that nobody asks.
    pub fn pass(&self, by: Duration) {
        self.shared.change(|state| state.ahead = state.ahead.saturating_add(by).min(FURTHEST));
    }

    /// How it is, now and from now on.
    pub fn status(&self) -> watch::Receiver<ServiceStatus> {
        self.shared.status.subscribe()
    }

    /// Waits until what was wanted last has come to run, or has not.
    pub async fn settled(&self) -> ServiceStatus {
        let mut status = self.status();
        let settled = status.wait_for(|status| status.state != ServiceState::Creating).await.map(|s| s.clone());
        // The sender is held by this service.
        settled.unwrap_or_else(|_| self.shared.status.borrow().clone())
    }

    /// What its containers say.
    pub fn logs(&self) -> &Logs {
        &self.shared.logs
    }

    /// What it has used and done.
    pub fn usage(&self) -> ServiceUsage {
        let (mut usage, spent, containers) = {
            let state = self.shared.state.lock();
            let status = state.status();
            let usage = ServiceUsage {
                started: state.numbered,
                lost: state.lost,
                running: status.running,
                ready: status.ready,
                requests: status.requests,
                waiting: state.waiting,
                ..ServiceUsage::default()
            };
            let containers = state.instances.values().filter_map(|instance| instance.container.clone());
            (usage, state.spent, containers.collect::<Vec<_>>())
        };
        usage.cpu = spent;
        for used in containers.iter().filter_map(|container| container.usage().ok()) {
            usage.memory += used.memory;
            usage.cpu += used.cpu;
        }
        // One that is just ending tells nothing until it has ended: what was told once is not taken back.
        let mut state = self.shared.state.lock();
        state.told = state.told.max(usage.cpu);
        usage.cpu = state.told;
        usage
    }

    /// The containers that take requests.
    pub fn containers(&self) -> Vec<Arc<Container>> {
        let state = self.shared.state.lock();
        let ready = state.instances.values().filter(|instance| instance.phase == Phase::Ready);
        ready.filter_map(|instance| instance.container.clone()).collect()
    }

    /// Ends all containers, after their requests.
    pub async fn stop(&self) {
        let mut changed = self.shared.changed.subscribe();
        self.shared.change(|state| state.stopped = true);
        let empty = |_: &u64| self.shared.state.lock().instances.is_empty();
        // The sender is held by this service.
        let _never_closed = changed.wait_for(empty).await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        for instance in self.shared.state.lock().instances.values() {
            instance.stop.cancel();
        }
    }
}

impl State {
    fn deploy(&mut self) {
        self.deployment += 1;
        self.proven = false;
        self.failures = 0;
        self.retry = None;
        self.error = None;
        self.by_load = 0;
    }

    /// What time it is for containers that nobody asks.
    fn time(&self) -> Instant {
        Instant::now() + self.ahead
    }

    fn status(&self) -> ServiceStatus {
        let ready = self.instances.values().filter(|instance| instance.phase == Phase::Ready).count();
        let state = match &self.error {
            _ if self.stopped => ServiceState::Stopped,
            Some(message) if !self.proven || ready == 0 => ServiceState::Error { message: message.clone() },
            _ if !self.proven => ServiceState::Creating,
            _ => ServiceState::Ready,
        };
        ServiceStatus {
            state,
            deployment: self.deployment,
            ready: count(ready),
            running: count(self.instances.len()),
            requests: self.instances.values().map(|instance| instance.requests).sum(),
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Shared {
    /// Changes the state, and lets everyone know.
    fn change<T>(&self, how: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let done = how(&mut state);
        self.tell(&state);
        drop(state);
        self.changed.send_modify(|count| *count += 1);
        done
    }

    /// Tells how it is. Under the lock, so that the last one told is the last there was.
    fn tell(&self, state: &State) {
        let status = state.status();
        self.status.send_if_modified(|known| {
            let news = *known != status;
            *known = status;
            news
        });
    }
}

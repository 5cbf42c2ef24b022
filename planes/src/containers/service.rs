//! Services: as many containers of one kind as are needed.

mod reconcile;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Container, Engine, Logs, Places, ServiceSpec, ServiceState, ServiceStatus};

/// How long until an instance that did not take a connection is tried again.
const AGAIN: Duration = Duration::from_millis(10);

/// Containers of one kind, as many as are needed. They end when this is dropped.
pub struct Service {
    shared: Arc<Shared>,
    _supervisor: AbortOnDropHandle<()>,
}

/// Why a request found no container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The containers do not come to run.
    #[error("the container is in error: {0}")]
    Failed(String),
    /// None became free in time.
    #[error("no container became free within {0:?}")]
    Busy(Duration),
    /// The service was stopped.
    #[error("the service was stopped")]
    Stopped,
}

/// A connection to a container; it counts as a request until it is dropped.
pub struct Connection {
    /// The connection.
    pub stream: TcpStream,
    /// The container.
    pub container: Arc<Container>,
    /// How long it took to get it: where a container had to be started, how long that took.
    pub waited: Duration,
    /// To be kept until the request has ended.
    pub request: Request,
}

/// A request under way.
pub struct Request {
    shared: Arc<Shared>,
    number: u64,
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

enum Picked {
    One(Arc<Container>, Request, u16),
    None,
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
        Self { shared, _supervisor: AbortOnDropHandle::new(supervisor) }
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

    /// The containers that take requests.
    pub fn containers(&self) -> Vec<Arc<Container>> {
        let state = self.shared.state.lock();
        let ready = state.instances.values().filter(|instance| instance.phase == Phase::Ready);
        ready.filter_map(|instance| instance.container.clone()).collect()
    }

    /// A connection to a container that has room for a request; where there is none, waits until there is.
    pub async fn dial(&self) -> Result<Connection, DialError> {
        let began = Instant::now();
        let patience = self.shared.state.lock().spec.start_within;
        let mut changed = self.shared.changed.subscribe();
        let mut waiting = None;
        loop {
            changed.borrow_and_update();
            let again = match self.shared.pick()? {
                Picked::One(container, request, port) => match container.connect(port).await {
                    Ok(stream) => return Ok(Connection { stream, container, waited: began.elapsed(), request }),
                    // It has just ended, which will be noticed.
                    Err(error) => {
                        tracing::debug!(container = container.id(), %error, "a container took no connection");
                        Some(Instant::now() + AGAIN)
                    }
                },
                Picked::None => {
                    waiting.get_or_insert_with(|| Waiting::begin(&self.shared));
                    None
                }
            };
            let end = began + patience;
            let until = again.map_or(end, |again| again.min(end));
            let waited = timeout_at(until, changed.changed()).await;
            if waited.is_err() && until == end {
                return Err(DialError::Busy(patience));
            }
        }
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

    /// Picks the container with the fewest requests that has room for one more.
    fn pick(self: &Arc<Self>) -> Result<Picked, DialError> {
        let mut state = self.state.lock();
        if state.stopped {
            return Err(DialError::Stopped);
        }
        let room = state.spec.concurrency.max(1);
        let port = state.spec.port;
        let ready = state.instances.iter_mut().filter(|(_, i)| i.phase == Phase::Ready && i.requests < room);
        let best = ready.min_by_key(|(number, i)| (std::cmp::Reverse(i.deployment), i.requests, **number));
        if let Some((number, instance)) = best
            && let Some(container) = instance.container.clone()
        {
            instance.requests += 1;
            let request = Request { shared: Arc::clone(self), number: *number };
            self.tell(&state);
            return Ok(Picked::One(container, request, port));
        }
        let lives = state.instances.values().any(|instance| instance.phase != Phase::Ending);
        match &state.error {
            // When the pause is over, who asks is what the next one is started for.
            Some(message) if !lives && state.retry.is_some_and(|retry| retry > Instant::now()) => {
                Err(DialError::Failed(message.clone()))
            }
            _ => Ok(Picked::None),
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let number = self.number;
        self.shared.change(|state| {
            if let Some(instance) = state.instances.get_mut(&number) {
                instance.requests = instance.requests.saturating_sub(1);
                instance.used = Instant::now();
            }
        });
    }
}

/// A request that waits for a container.
struct Waiting(Arc<Shared>);

impl Waiting {
    fn begin(shared: &Arc<Shared>) -> Self {
        shared.change(|state| state.waiting += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.change(|state| state.waiting = state.waiting.saturating_sub(1));
    }
}

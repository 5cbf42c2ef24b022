//! The way of a request to a container that has room for it.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{Container, Phase, Service, Shared};

/// How long until an instance that did not take a connection is tried again.
const AGAIN: Duration = Duration::from_millis(10);

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

enum Picked {
    One(Arc<Container>, Request, u16),
    None,
}

impl Service {
    /// A connection to a container that has room for a request; where there is none, waits until there is.
    pub async fn dial(&self) -> Result<Connection, DialError> {
        let began = Instant::now();
        let patience = self.shared.state.lock().spec.patience();
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
}

impl Shared {
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
            let now = state.time();
            if let Some(instance) = state.instances.get_mut(&number) {
                instance.requests = instance.requests.saturating_sub(1);
                instance.used = now;
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

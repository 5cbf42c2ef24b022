//! What is wanted of a service against what is: containers are started and ended until both are the same.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Container,
        instance::{Job, Watcher},
    },
    Instance, Phase, Shared, State, count,
};

/// How long until a container that failed is started anew; doubled with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After how long without failure an old one is forgotten.
const STABLE: Duration = Duration::from_secs(60);
/// Where nothing hangs on time.
const LATER: Duration = Duration::from_secs(3600);

/// Compares and makes equal, whenever something changes or is due.
pub(super) async fn supervise(shared: Arc<Shared>) {
    let mut changed = shared.changed.subscribe();
    loop {
        changed.borrow_and_update();
        let now = Instant::now();
        let (new, due) = {
            let mut state = shared.state.lock();
            let due = state.end_unneeded();
            let (new, retry) = state.begin_needed(now);
            (new, [due, retry].into_iter().flatten().min())
        };
        for (number, deployment, stop) in new {
            begin(&shared, number, deployment, stop);
        }
        tokio::select! {
            changed = changed.changed() => if changed.is_err() { return },
            () = sleep_until(due.unwrap_or(now + LATER)) => {}
        }
    }
}

impl State {
    /// How many containers of this deployment are needed for the requests there are.
    fn needed(&self) -> u32 {
        if self.stopped {
            return 0;
        }
        let requests: u32 =
            self.instances.values().filter(|i| i.phase != Phase::Ending).map(|i| i.requests).sum::<u32>()
                + self.waiting;
        let least = self.spec.least();
        // A deployment is shown to run, also where none is to be kept.
        let least = if self.proven { least } else { least.max(1) };
        let most = self.spec.max.max(1);
        requests.div_ceil(self.spec.concurrency.max(1)).max(self.by_load).max(least).min(most)
    }

    /// Lets go of containers of older deployments when new ones have taken over, and of those nobody needs. Gives when
    /// to look again.
    fn end_unneeded(&mut self) -> Option<Instant> {
        let (needed, now, ahead) = (self.needed(), self.time(), self.ahead);
        let (deployment, idle, spare) = (self.deployment, self.spec.idle, self.spec.spare);
        let current = |instance: &Instance| instance.deployment == deployment && instance.phase != Phase::Ending;
        let ready = self.instances.values().filter(|i| current(i) && i.phase == Phase::Ready).count();
        let taken_over = count(ready) >= needed.max(1);
        for instance in self.instances.values_mut().filter(|i| i.phase != Phase::Ending) {
            let old = instance.deployment != deployment;
            // An old one that has not come to run yet will not be needed.
            if self.stopped || old && (taken_over || instance.phase == Phase::Starting) {
                instance.end();
            }
        }
        let mut kept = count(self.instances.values().filter(|i| current(i)).count());
        let mut due: Option<Instant> = None;
        // The youngest first.
        for instance in self.instances.values_mut().rev().filter(|i| current(i)) {
            if kept <= needed || instance.phase != Phase::Ready || instance.requests > 0 {
                continue;
            }
            let end = instance.used + if kept > 1 { spare } else { idle };
            if end <= now {
                instance.end();
                kept -= 1;
            } else if let Some(end) = end.checked_sub(ahead) {
                due = Some(due.map_or(end, |due| due.min(end)));
            }
        }
        due
    }

    /// Enters the containers that are missing. Gives them, and when to look again.
    fn begin_needed(&mut self, now: Instant) -> (Vec<(u64, u64, CancellationToken)>, Option<Instant>) {
        let needed = self.needed();
        let current: Vec<_> = self
            .instances
            .values()
            .filter(|i| i.deployment == self.deployment && i.phase != Phase::Ending)
            .map(|i| i.phase)
            .collect();
        let mut missing = needed.saturating_sub(count(current.len()));
        if missing == 0 {
            return (Vec::new(), None);
        }
        if let Some(retry) = self.retry {
            if retry > now {
                return (Vec::new(), Some(retry));
            }
            // After a failure one is tried alone.
            missing = if current.contains(&Phase::Starting) { 0 } else { 1 };
        }
        let (mut new, used) = (Vec::new(), self.time());
        for _ in 0..missing {
            self.numbered += 1;
            let stop = CancellationToken::new();
            let instance = Instance {
                deployment: self.deployment,
                phase: Phase::Starting,
                requests: 0,
                used,
                container: None,
                stop: stop.clone(),
            };
            self.instances.insert(self.numbered, instance);
            new.push((self.numbered, self.deployment, stop));
        }
        (new, None)
    }

    /// A container has ended or is not well. Where nobody wanted that, the next one waits for a while: that is said
    /// here, together with its loss, or another would be started first.
    fn lost(&mut self, number: u64, message: String) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let wanted = instance.phase == Phase::Ending;
        instance.phase = Phase::Ending;
        if wanted || instance.deployment != self.deployment {
            return;
        }
        self.lost += 1;
        let now = Instant::now();
        let stable = instance.container.as_ref().is_some_and(|container| container.age() > STABLE);
        self.failures = if stable { 1 } else { self.failures + 1 };
        let pause = FIRST_PAUSE * 2u32.saturating_pow((self.failures - 1).min(16));
        self.retry = Some(now + pause.min(LONGEST_PAUSE));
        self.error = Some(message);
    }
}

impl Instance {
    fn end(&mut self) {
        self.phase = Phase::Ending;
        self.stop.cancel();
    }
}

/// Tells the service about one container.
struct Teller {
    shared: Arc<Shared>,
    number: u64,
    changed: watch::Receiver<u64>,
}

impl Watcher for Teller {
    fn ready(&self, container: Arc<Container>) {
        self.shared.change(|state| {
            let (deployment, now) = (state.deployment, state.time());
            let Some(instance) = state.instances.get_mut(&self.number) else { return };
            if instance.phase != Phase::Starting {
                return;
            }
            instance.phase = Phase::Ready;
            instance.used = now;
            instance.container = Some(container);
            if instance.deployment == deployment {
                state.proven = true;
                state.retry = None;
                state.error = None;
            }
        });
    }

    fn lost(&self, why: &str) {
        tracing::info!(number = self.number, why, "a container failed");
        self.shared.change(|state| state.lost(self.number, why.to_owned()));
    }

    async fn drained(&self) {
        let mut changed = self.changed.clone();
        let drained =
            |_: &u64| self.shared.state.lock().instances.get(&self.number).is_none_or(|one| one.requests == 0);
        // The sender is held by the service.
        let _never_closed = changed.wait_for(drained).await;
    }
}

fn begin(shared: &Arc<Shared>, number: u64, deployment: u64, stop: CancellationToken) {
    let spec = shared.state.lock().spec.clone();
    let job = Job {
        id: format!("{}-{deployment}-{number}", spec.id),
        spec,
        runtime: Arc::clone(&shared.runtime),
        places: Arc::clone(&shared.places),
        logs: shared.logs.clone(),
        stop,
    };
    let teller = Teller { shared: Arc::clone(shared), number, changed: shared.changed.subscribe() };
    tokio::spawn(async move {
        let cpu = job.run(&teller).await;
        teller.shared.change(|state| {
            state.spent += cpu;
            state.instances.remove(&number);
        });
    });
}

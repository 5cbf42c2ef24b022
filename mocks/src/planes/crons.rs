//! Containers called by the clock.
//!
//! The cloud's clock decides: what its schedules name between the last look and now is asked for, one after another for
//! each trigger. A trigger counts from when it was made; what a cloud missed while it did not run stays missed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use axum::body::Body;
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Units, containers, ingress::carry};
use crate::{
    kernel::{Cloud, Profile, Store, rfc3339},
    services::containers_plane::{self as plane, Cron, Route},
};

/// How many calls of one trigger are made up for, at most, when the clock leaps.
const MOST_MISSED: usize = 100;
/// How far back calls are made up for, at most.
const FURTHEST: time::Duration = time::Duration::days(366);
/// Where no schedule names anything.
const NEVER: Duration = Duration::from_secs(3600);

/// The schedules of a cloud.
pub(super) struct Crons {
    cloud: Weak<Cloud>,
    containers: Arc<Units<containers::Plane>>,
    /// What came before this is not made up for.
    began: OffsetDateTime,
    known: Mutex<BTreeMap<String, Known>>,
    progress: watch::Sender<Progress>,
    stop: CancellationToken,
}

/// How far the clock has been followed.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// How far it had been advanced when it was last looked what is due.
    advanced: Duration,
    /// How many triggers still have calls under way.
    under_way: usize,
}

/// A trigger, as far as it has been followed.
struct Known {
    cron: Cron,
    /// Up to when it has been asked for.
    until: OffsetDateTime,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    fired: u64,
    failed: u64,
    last: Option<(OffsetDateTime, u16)>,
}

/// A trigger and the moments it is due for.
type Due = (Cron, Vec<OffsetDateTime>);

impl Crons {
    /// Follows the clock until it is told to stop.
    pub(super) fn start(
        cloud: &Arc<Cloud>,
        containers: &Arc<Units<containers::Plane>>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let crons = Arc::new(Self {
            cloud: Arc::downgrade(cloud),
            containers: Arc::clone(containers),
            began: cloud.store().clock().now(),
            known: Mutex::default(),
            progress: watch::channel(Progress::default()).0,
            stop: stop.clone(),
        });
        let following = Arc::clone(&crons);
        tokio::spawn(async move { stop.run_until_cancelled(following.follow()).await });
        crons
    }

    /// Waits until everything is answered that was due by now.
    pub(super) async fn caught_up(&self) {
        let Some(advanced) = self.cloud.upgrade().map(|cloud| *cloud.store().clock().advanced().borrow()) else {
            return;
        };
        // The sender is held here.
        let done = |progress: &Progress| progress.advanced >= advanced && progress.under_way == 0;
        let mut progress = self.progress.subscribe();
        let _never_closed = progress.wait_for(done).await;
    }

    /// What the triggers of a container did, in plain numbers.
    pub(super) fn told(&self, container: &str) -> Value {
        let known = self.known.lock();
        let of = known.values().filter(|known| known.cron.container == container);
        let told = of.map(|Known { cron, counts, .. }| {
            let last = counts.last.map(|(at, status)| json!({"at": rfc3339(at), "status": status}));
            json!({"id": cron.key, "fired": counts.fired, "failed": counts.failed, "last": last})
        });
        told.collect()
    }

    async fn follow(self: Arc<Self>) {
        let Some((mut advanced, mut committed)) =
            self.cloud.upgrade().map(|cloud| (cloud.store().clock().advanced(), cloud.store().committed()))
        else {
            return;
        };
        let mut passed = Duration::ZERO;
        loop {
            committed.mark_unchanged();
            let by = *advanced.borrow_and_update();
            let Some(cloud) = self.cloud.upgrade() else { return };
            if by > passed {
                self.containers.plane().pass(by - passed);
                passed = by;
                // A trigger may have become ready by that, too.
                if let Err(refusal) = cloud.settle() {
                    tracing::error!(%refusal, "a passage could not be written; it is tried again with the next change");
                }
            }
            let (due, next) = self.look(cloud.store());
            drop(cloud);
            self.ask(due, by);
            tokio::select! {
                moved = advanced.changed() => if moved.is_err() { return },
                changed = committed.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    /// What is due now, and how long until something is again.
    fn look(&self, store: &Store) -> (Vec<Due>, Duration) {
        let now = store.clock().now();
        let crons = store.read(plane::crons);
        let mut known = self.known.lock();
        known.retain(|key, _| crons.iter().any(|cron| cron.key == *key));
        let (mut due, mut next) = (Vec::new(), None);
        for cron in crons {
            let known = known.entry(cron.key.clone()).or_insert_with(|| Known {
                cron: cron.clone(),
                until: cron.made.max(self.began),
                counts: Counts::default(),
            });
            if known.cron.schedule != cron.schedule {
                known.until = now;
            }
            known.cron = cron;
            if !known.cron.active {
                continue;
            }
            known.until = known.until.max(now.saturating_sub(FURTHEST));
            let schedule = &known.cron.schedule;
            let moments = std::iter::successors(schedule.next(known.until), |moment| schedule.next(*moment));
            let mut missed: Vec<OffsetDateTime> = moments.take_while(|moment| *moment <= now).collect();
            known.until = now;
            if missed.len() > MOST_MISSED {
                let left_out = missed.len() - MOST_MISSED;
                tracing::warn!(
                    trigger = known.cron.key,
                    left_out,
                    "the clock leapt over more calls than are made up for"
                );
                missed.drain(..left_out);
            }
            if !missed.is_empty() {
                due.push((known.cron.clone(), missed));
            }
            next = [next, schedule.next(now)].into_iter().flatten().min();
        }
        let pause = next.filter(|_| store.clock().profile() != Profile::Manual);
        let pause = pause.and_then(|next| Duration::try_from(next - store.clock().now()).ok().or(Some(Duration::ZERO)));
        (due, pause.unwrap_or(NEVER))
    }

    /// Asks for what is due, the triggers beside one another.
    fn ask(self: &Arc<Self>, due: Vec<Due>, advanced: Duration) {
        self.progress.send_modify(|progress| {
            progress.advanced = advanced;
            progress.under_way += due.len();
        });
        for (cron, moments) in due {
            let (crons, stop) = (Arc::clone(self), self.stop.clone());
            tokio::spawn(async move {
                stop.run_until_cancelled(crons.call(cron, moments)).await;
                crons.progress.send_modify(|progress| progress.under_way -= 1);
            });
        }
    }

    async fn call(&self, cron: Cron, moments: Vec<OffsetDateTime>) {
        for moment in moments {
            let status = self.call_once(&cron).await;
            let failed = status.as_ref().map_or(true, |status| *status >= 400);
            match &status {
                Ok(status) if failed => tracing::warn!(trigger = cron.key, status, "a container refused its trigger"),
                Ok(status) => tracing::info!(trigger = cron.key, status, "a trigger called its container"),
                Err(why) => tracing::warn!(trigger = cron.key, why, "a trigger could not call its container"),
            }
            if let Some(known) = self.known.lock().get_mut(&cron.key) {
                known.counts.fired += 1;
                known.counts.failed += u64::from(failed);
                known.counts.last = Some((moment, status.unwrap_or(0)));
            }
        }
    }

    /// Calls a container, and waits for the end of its answer.
    async fn call_once(&self, cron: &Cron) -> Result<u16, String> {
        let (host, route) = self.target(&cron.container).ok_or("its container is gone")?;
        let request = request(cron, &host)?;
        let response = carry(self.containers.plane(), &cron.container, route, request).await;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame.map_err(|error| error.to_string())?;
        }
        Ok(status)
    }

    /// Where a container is called, and how.
    fn target(&self, container: &str) -> Option<(String, Route)> {
        let cloud = self.cloud.upgrade()?;
        cloud.store().read(|tables| {
            let record = tables.get(plane::KIND, container)?;
            Some((record.text("public_endpoint").trim_start_matches("https://").to_owned(), plane::route(record)))
        })
    }
}

/// What a trigger asks.
fn request(cron: &Cron, host: &str) -> Result<Request<Body>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("what it asks cannot be written as a request: {error}");
    let request = Request::builder().method(cron.method.as_str()).uri(&cron.path).header(header::HOST, host);
    let mut request = request.body(Body::from(cron.body.clone())).map_err(|error| wrong(&error))?;
    let headers = request.headers_mut();
    if serde_json::from_str::<Value>(&cron.body).is_ok() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &cron.headers {
        let name = HeaderName::try_from(name).map_err(|error| wrong(&error))?;
        headers.insert(name, HeaderValue::try_from(value).map_err(|error| wrong(&error))?);
    }
    Ok(request)
}

//! What runs for one record each: wanted against actual, and made equal.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::kernel::{Cloud, Record, Store, Tables};

/// Something that runs for records of one kind.
#[async_trait::async_trait]
pub(super) trait Plane: Send + Sync + 'static {
    /// The kind of the records.
    const KIND: &'static str;
    /// What is wanted for one of them.
    type Wanted: Clone + PartialEq + Send + Sync + 'static;

    /// What is wanted for a record; none: nothing is to run for it.
    fn wanted(&self, tables: &Tables, key: &str, record: &Record) -> Option<Self::Wanted>;
    /// Brings it about, and writes what has to be known of it into the record.
    async fn apply(&self, key: &str, wanted: &Self::Wanted) -> Result<(), String>;
    /// Ends what runs for a record.
    async fn remove(&self, key: &str) -> Result<(), String>;
    /// Writes into the record that it could not be brought about.
    fn failed(&self, record: &mut Record, why: &str);
}

/// All of one kind. Whoever has a clone has the same.
pub(super) struct Units<P: Plane> {
    shared: Arc<Shared<P>>,
}

impl<P: Plane> Clone for Units<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<P: Plane> {
    plane: P,
    store: Arc<Store>,
    cloud: Weak<Cloud>,
    units: Mutex<BTreeMap<String, Unit<P::Wanted>>>,
    /// Counts what came to be.
    changed: watch::Sender<u64>,
}

struct Unit<W> {
    wanted: watch::Sender<Option<W>>,
    /// What was brought about last, or could not be.
    is: Option<Is<W>>,
    _task: super::Task,
}

struct Is<W> {
    wanted: W,
    failed: bool,
}

impl<P: Plane> Units<P> {
    pub(super) fn new(plane: P, cloud: &Arc<Cloud>) -> Self {
        let shared = Shared {
            plane,
            store: Arc::clone(cloud.store()),
            cloud: Arc::downgrade(cloud),
            units: Mutex::default(),
            changed: watch::channel(0).0,
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn plane(&self) -> &P {
        &self.shared.plane
    }

    /// Tells every unit what is wanted of it by now.
    pub(super) fn update(&self) {
        let shared = &self.shared;
        let wanted: BTreeMap<String, (P::Wanted, bool)> = shared.store.read(|tables| {
            let records = tables.all(P::KIND);
            let wanted = records.filter_map(|(key, record)| {
                Some((key.to_owned(), (shared.plane.wanted(tables, key, record)?, record.next.is_some())))
            });
            wanted.collect()
        });
        let mut units = shared.units.lock();
        for (key, unit) in &*units {
            if !wanted.contains_key(key) {
                unit.wanted.send_if_modified(|wanted| wanted.take().is_some());
            }
        }
        for (key, (wanted, passes)) in wanted {
            match units.get_mut(&key) {
                Some(unit) => {
                    // What failed is tried again when somebody sends the resource through a passage again.
                    let again = passes && unit.is.as_ref().is_some_and(|is| is.failed);
                    if again {
                        unit.is = None;
                    }
                    unit.wanted.send_if_modified(|known| {
                        let news = known.as_ref() != Some(&wanted);
                        *known = Some(wanted);
                        news || again
                    });
                }
                None => {
                    let (sender, receiver) = watch::channel(Some(wanted));
                    let task = tokio::spawn(drive(Arc::downgrade(shared), key.clone(), receiver));
                    units.insert(key, Unit { wanted: sender, is: None, _task: super::Task::new(task) });
                }
            }
        }
    }

    /// Whether a record has to stay in its passage.
    pub(super) fn holds(&self, tables: &Tables, kind: &str, key: &str) -> bool {
        kind == P::KIND && !self.is_there(tables, key)
    }

    /// Whether what a record wants is there, or known not to come to be (and the record says so).
    fn is_there(&self, tables: &Tables, key: &str) -> bool {
        let wanted = tables
            .get(P::KIND, key)
            .and_then(|record| Some((self.shared.plane.wanted(tables, key, record)?, record.next.is_some())));
        let units = self.shared.units.lock();
        match (wanted, units.get(key)) {
            (None, unit) => unit.is_none(),
            (Some(_), None) => false,
            (Some((wanted, passes)), Some(unit)) => {
                unit.is.as_ref().is_some_and(|is| is.wanted == wanted && !(is.failed && passes))
            }
        }
    }

    /// Brings about once more what is there already: it was changed from elsewhere.
    pub(super) fn again(&self, key: &str) {
        if let Some(unit) = self.shared.units.lock().get_mut(key) {
            unit.is = None;
            unit.wanted.send_modify(|_| {});
        }
    }

    /// Waits until what runs for these records is what they want.
    pub(super) async fn reached(&self, keys: &[String]) {
        let mut changed = self.shared.changed.subscribe();
        let mut committed = self.shared.store.committed();
        loop {
            changed.mark_unchanged();
            committed.mark_unchanged();
            if self.shared.store.read(|tables| keys.iter().all(|key| self.is_there(tables, key))) {
                return;
            }
            // Neither sender goes while this is held.
            tokio::select! {
                _ = changed.changed() => {}
                _ = committed.changed() => {}
            }
        }
    }
}

/// Brings one unit to what is wanted, each time that changes.
async fn drive<P: Plane>(shared: Weak<Shared<P>>, key: String, mut wanted: watch::Receiver<Option<P::Wanted>>) {
    loop {
        let want = wanted.borrow_and_update().clone();
        let Some(held) = shared.upgrade() else { return };
        match want {
            Some(want) => {
                let failed = held.plane.apply(&key, &want).await.err();
                if let Some(why) = &failed {
                    tracing::warn!(kind = P::KIND, key, why, "what runs behind the API did not come to be");
                    held.tell(&key, |record| held.plane.failed(record, why));
                }
                if let Some(unit) = held.units.lock().get_mut(&key) {
                    unit.is = Some(Is { wanted: want, failed: failed.is_some() });
                }
                held.news();
            }
            None => {
                if let Err(why) = held.plane.remove(&key).await {
                    tracing::error!(kind = P::KIND, key, why, "what ran behind the API could not be removed");
                }
                // It may be wanted again by now.
                let gone = {
                    let mut units = held.units.lock();
                    let gone = !wanted.has_changed().unwrap_or(false);
                    gone.then(|| units.remove(&key))
                };
                if gone.is_some() {
                    held.news();
                    return;
                }
            }
        }
        drop(held);
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

impl<P: Plane> Shared<P> {
    fn tell(&self, key: &str, change: impl FnOnce(&mut Record)) {
        let Some(cloud) = self.cloud.upgrade() else { return };
        let told = cloud.report(P::KIND, key, |record| {
            change(record);
            Some("state")
        });
        if let Err(refusal) = told {
            tracing::error!(%refusal, key, "what became of a resource could not be written");
        }
    }

    /// What was held up may go on.
    fn news(&self) {
        self.changed.send_modify(|count| *count += 1);
        self.store.let_go();
        if let Some(cloud) = self.cloud.upgrade()
            && let Err(refusal) = cloud.settle()
        {
            tracing::error!(%refusal, "a passage could not be written; it is tried again with the next change");
        }
    }
}

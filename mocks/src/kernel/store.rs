//! Everything the cloud knows, in memory, and the only way to change it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Bound,
    path::PathBuf,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::{
    Behind, Clock, DataKey, Durability, Event, Ids, JournalError, KeyError, Passage, Record, RootKey,
    journal::{Journal, Snapshot, Written, prepare, write_snapshot},
};

/// How many events are remembered for the console.
const EVENTS_KEPT: usize = 10_000;

/// Where and how a store keeps what it knows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The state directory; none keeps everything in memory only.
    pub folder: Option<PathBuf>,
    /// What state directories are encrypted under: this one, and those of forks.
    pub root: Option<RootKey>,
    /// When a change counts as kept. `None` means [`Durability::Process`].
    pub durability: Option<Durability>,
    /// The seed of identifiers; none takes a random one.
    pub seed: Option<u64>,
}

/// A store that cannot be opened or written.
pub type StoreError = JournalError;

type Table = BTreeMap<String, Arc<Record>>;

/// All records, by kind and key.
#[derive(Default)]
pub struct Tables {
    kinds: HashMap<String, Table>,
    /// Records with a scheduled passage, by when it is due.
    due: BTreeSet<(OffsetDateTime, String, String)>,
    /// How many records of a kind a project has.
    counts: HashMap<(String, String), u64>,
}

impl Tables {
    /// The record of this kind and key.
    pub fn get(&self, kind: &str, key: &str) -> Option<&Arc<Record>> {
        self.kinds.get(kind)?.get(key)
    }

    /// All records of a kind, in the order of their keys.
    pub fn all<'a>(&'a self, kind: &str) -> impl DoubleEndedIterator<Item = (&'a str, &'a Arc<Record>)> + use<'a> {
        self.kinds.get(kind).into_iter().flatten().map(|(key, record)| (key.as_str(), record))
    }

    /// The records of a kind whose key starts with `prefix`, in order, beginning after `after`
    /// (a whole key, exclusive) when given.
    pub fn under<'a>(
        &'a self,
        kind: &str,
        prefix: &str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a Arc<Record>)> + use<'a> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = self.kinds.get(kind).map(|table| table.range::<str, _>((from, Bound::Unbounded)));
        let prefix = prefix.to_owned();
        range
            .into_iter()
            .flatten()
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .map(|(key, record)| (key.as_str(), record))
    }

    /// How many records of a kind this project has.
    pub fn count(&self, kind: &str, project: &str) -> u64 {
        self.counts.get(&(kind.to_owned(), project.to_owned())).copied().unwrap_or(0)
    }

    /// The kinds of which this project has records, in order.
    pub fn kinds_of(&self, project: &str) -> Vec<&str> {
        let mut kinds: Vec<&str> = self
            .counts
            .iter()
            .filter(|((_, owner), count)| owner == project && **count > 0)
            .map(|((kind, _), _)| kind.as_str())
            .collect();
        kinds.sort_unstable();
        kinds
    }

    fn set(&mut self, kind: &str, key: &str, record: Option<Arc<Record>>) -> Option<Arc<Record>> {
        let table = match self.kinds.get_mut(kind) {
            Some(table) => table,
            None => self.kinds.entry(kind.to_owned()).or_default(),
        };
        let old = match &record {
            Some(record) => table.insert(key.to_owned(), Arc::clone(record)),
            None => table.remove(key),
        };
        if let Some(old) = &old {
            if let Some(next) = &old.next {
                self.due.remove(&(next.due, kind.to_owned(), key.to_owned()));
            }
            self.tally(kind, old, false);
        }
        if let Some(new) = &record {
            if let Some(next) = &new.next {
                self.due.insert((next.due, kind.to_owned(), key.to_owned()));
            }
            self.tally(kind, new, true);
        }
        old
    }

    fn tally(&mut self, kind: &str, record: &Record, more: bool) {
        let project = record.text("project_id");
        if project.is_empty() {
            return;
        }
        let count = self.counts.entry((kind.to_owned(), project.to_owned())).or_default();
        *count = if more { *count + 1 } else { count.saturating_sub(1) };
    }
}

/// The store: read by many at once, written by one at a time.
pub struct Store {
    tables: RwLock<Tables>,
    writer: Mutex<Writer>,
    clock: Clock,
    committed: watch::Sender<u64>,
    /// The last transaction that concerns what runs behind the API.
    concerning: watch::Sender<u64>,
    /// Told when a passage was scheduled or let go.
    scheduled: watch::Sender<()>,
    events: RwLock<VecDeque<Event>>,
    /// It holds this store itself.
    behind: OnceLock<Weak<dyn Behind>>,
    root: Option<RootKey>,
    key: DataKey,
}

struct Writer {
    journal: Option<Journal>,
    sequence: u64,
    seed: u64,
}

impl Store {
    /// Opens a store. What the state directory holds is there again.
    ///
    /// # Errors
    /// When the directory is in use, damaged or not writable.
    pub fn open(options: &Options, clock: Clock) -> Result<Self, StoreError> {
        let mut tables = Tables::default();
        let mut events = VecDeque::new();
        let mut seed = options.seed.unwrap_or_else(rand::random);
        let mut sequence = 0;
        let journal = match &options.folder {
            None => None,
            Some(folder) => {
                let durability = options.durability.unwrap_or(Durability::Process);
                let root = options.root.as_ref().ok_or_else(|| KeyError::None(folder.clone()))?;
                let (mut journal, snapshot, entries) = Journal::open(folder, root, durability)?;
                if snapshot.sequence == 0 && entries.is_empty() {
                    journal.rotate(&Snapshot { sequence: 0, seed, records: Vec::new() })?;
                } else {
                    seed = options.seed.unwrap_or(snapshot.seed);
                }
                sequence = snapshot.sequence;
                for (kind, key, record) in snapshot.records {
                    tables.set(&kind, &key, Some(Arc::new(record)));
                }
                for entry in entries {
                    sequence = entry.sequence;
                    for (kind, key, record) in entry.changes {
                        tables.set(&kind, &key, record.map(Arc::new));
                    }
                    remember(&mut events, entry.events);
                }
                Some(journal)
            }
        };
        let key = journal.as_ref().map_or_else(DataKey::random, |journal| Ok(journal.key().clone()))?;
        Ok(Self {
            tables: RwLock::new(tables),
            writer: Mutex::new(Writer { journal, sequence, seed }),
            clock,
            committed: watch::channel(sequence).0,
            concerning: watch::channel(sequence).0,
            scheduled: watch::channel(()).0,
            events: RwLock::new(events),
            behind: OnceLock::new(),
            root: options.root.clone(),
            key,
        })
    }

    /// The key of what lies in the state directory.
    pub fn key(&self) -> &DataKey {
        &self.key
    }

    /// The cloud's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// From now on this runs behind the API, for as long as somebody else holds it. Set once; a second time changes
    /// nothing.
    pub fn run_behind(&self, behind: &Arc<dyn Behind>) {
        let _already = self.behind.set(Arc::downgrade(behind));
    }

    /// What runs behind the API, if anything does.
    pub fn behind(&self) -> Option<Arc<dyn Behind>> {
        self.behind.get()?.upgrade()
    }

    /// The first passage that nothing behind the API holds up.
    fn first_due<'t>(&self, tables: &'t Tables) -> Option<&'t (OffsetDateTime, String, String)> {
        let behind = self.behind();
        tables.due.iter().find(|(_, kind, key)| behind.as_ref().is_none_or(|behind| !behind.holds(tables, kind, key)))
    }

    /// Reads.
    pub fn read<R>(&self, look: impl FnOnce(&Tables) -> R) -> R {
        look(&self.tables.read())
    }

    /// Changes several records at once, or none.
    ///
    /// `change` may refuse: then everything it did is undone. If it agrees, the
    /// change is in the journal before this returns. What the change promised to
    /// happen at once (passages that take no time) has happened, too.
    ///
    /// # Errors
    /// What `change` refuses with, or the journal's error; both leave everything as it was.
    pub fn write<R, E: From<JournalError>>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let behind = self.behind();
        let mut writer = self.writer.lock();
        let mut tables = self.tables.write();
        let sequence = writer.sequence + 1;
        let mut transaction = Transaction {
            tables: &mut tables,
            now: self.clock.now(),
            lasts: &self.clock,
            behind: behind.as_deref(),
            ids: Ids::new(writer.seed, sequence),
            undo: Vec::new(),
            events: Vec::new(),
            sequence,
        };
        let outcome = change(&mut transaction);
        let undo = std::mem::take(&mut transaction.undo);
        let events = std::mem::take(&mut transaction.events);
        match outcome {
            Err(refusal) => {
                take_back(&mut tables, undo);
                Err(refusal)
            }
            Ok(result) if undo.is_empty() => Ok(result),
            Ok(result) => {
                if let Some(journal) = &mut writer.journal {
                    let changes = changes(&tables, &undo);
                    let appended = journal.append(&Written { sequence, changes, events: &events });
                    if let Err(error) = appended {
                        take_back(&mut tables, undo);
                        return Err(error.into());
                    }
                }
                writer.sequence = sequence;
                let is_scheduled = |(kind, key, _): &(String, String, _)| {
                    tables.get(kind, key).is_some_and(|record| record.next.is_some())
                };
                let scheduled = undo.iter().any(is_scheduled);
                let concerns =
                    behind.as_ref().is_some_and(|behind| undo.iter().any(|(kind, ..)| behind.concerns(kind)));
                drop(tables);
                remember(&mut self.events.write(), events);
                self.rotate_if_long(&mut writer);
                drop(writer);
                // Another one may have told of a later one by now.
                self.committed.send_modify(|told| *told = sequence.max(*told));
                if concerns {
                    self.concerning.send_modify(|told| *told = sequence.max(*told));
                }
                if scheduled {
                    self.scheduled.send_replace(());
                }
                Ok(result)
            }
        }
    }

    /// Applies the passages whose time has come, each in a transaction of its own, in order.
    /// `arrive` does it; it gets the kind, the key and the passage.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn settle(
        &self,
        mut arrive: impl FnMut(&mut Transaction<'_>, &str, &str, Passage),
    ) -> Result<(), JournalError> {
        loop {
            let now = self.clock.now();
            let Some((_, kind, key)) =
                self.read(|tables| self.first_due(tables).filter(|(due, ..)| *due <= now).cloned())
            else {
                return Ok(());
            };
            self.write::<(), JournalError>(|transaction| {
                let passage = transaction.get(&kind, &key).and_then(|record| record.next.clone());
                if let Some(passage) = passage {
                    arrive(transaction, &kind, &key, passage);
                }
                Ok(())
            })?;
        }
    }

    /// How long until the next scheduled passage, if there is one and the clock will bring it.
    pub fn next_due(&self) -> Option<Duration> {
        let due = self.read(|tables| self.first_due(tables).map(|(due, ..)| *due))?;
        Some((due - self.clock.now()).try_into().unwrap_or(Duration::ZERO))
    }

    /// The number of the last transaction.
    pub fn sequence(&self) -> u64 {
        *self.committed.borrow()
    }

    /// What held up a passage behind the API has let it go.
    pub fn let_go(&self) {
        self.scheduled.send_replace(());
    }

    /// Tells when a passage has been scheduled or let go: [`Self::next_due`] may be another one.
    pub fn scheduled(&self) -> watch::Receiver<()> {
        self.scheduled.subscribe()
    }

    /// Tells the number of the last transaction, and of every one that follows.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// Tells the number of the last transaction that concerns what runs behind the API, and of every such one that
    /// follows.
    pub fn concerning(&self) -> watch::Receiver<u64> {
        self.concerning.subscribe()
    }

    /// The last events, oldest first, from this transaction number on.
    pub fn events_since(&self, sequence: u64) -> Vec<Event> {
        self.events.read().iter().filter(|event| event.sequence >= sequence).cloned().collect()
    }

    /// Writes the cloud as it is now into another state directory. It has the same key: the contents of objects
    /// are shared.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn fork(&self, folder: &std::path::Path) -> Result<(), StoreError> {
        let root = self.root.as_ref().ok_or_else(|| KeyError::None(folder.to_owned()))?;
        prepare(folder, &self.key, root)?;
        let writer = self.writer.lock();
        write_snapshot(folder, &self.key, &self.snapshot(&writer)).map(drop)
    }

    fn snapshot(&self, writer: &Writer) -> Snapshot {
        let tables = self.tables.read();
        let mut records: Vec<_> = tables
            .kinds
            .iter()
            .flat_map(|(kind, table)| {
                table.iter().map(|(key, record)| (kind.clone(), key.clone(), Record::clone(record)))
            })
            .collect();
        records.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        Snapshot { sequence: writer.sequence, seed: writer.seed, records }
    }

    /// A journal that cannot be rotated goes on growing: nothing is lost, so nobody is refused.
    fn rotate_if_long(&self, writer: &mut Writer) {
        if !writer.journal.as_ref().is_some_and(Journal::is_long) {
            return;
        }
        let snapshot = self.snapshot(writer);
        if let Some(journal) = &mut writer.journal
            && let Err(error) = journal.rotate(&snapshot)
        {
            tracing::warn!(%error, "no snapshot could be written; the journal goes on growing");
        }
    }
}

fn remember(events: &mut VecDeque<Event>, new: Vec<Event>) {
    events.extend(new);
    let surplus = events.len().saturating_sub(EVENTS_KEPT);
    events.drain(..surplus);
}

/// What a transaction did before, to be taken back in reverse order.
type Undo = Vec<(String, String, Option<Arc<Record>>)>;

fn take_back(tables: &mut Tables, undo: Undo) {
    for (kind, key, before) in undo.into_iter().rev() {
        tables.set(&kind, &key, before);
    }
}

/// The net effect of a transaction.
fn changes<'a>(tables: &'a Tables, undo: &'a Undo) -> Vec<(&'a str, &'a str, Option<&'a Record>)> {
    let touched: BTreeSet<_> = undo.iter().map(|(kind, key, _)| (kind.as_str(), key.as_str())).collect();
    touched.into_iter().map(|(kind, key)| (kind, key, tables.get(kind, key).map(Arc::as_ref))).collect()
}

/// A change in the making: sees what it has changed itself.
pub struct Transaction<'a> {
    tables: &'a mut Tables,
    now: OffsetDateTime,
    lasts: &'a Clock,
    behind: Option<&'a dyn Behind>,
    ids: Ids,
    undo: Undo,
    events: Vec<Event>,
    sequence: u64,
}

impl Transaction<'_> {
    /// All records, with this transaction's changes.
    pub fn tables(&self) -> &Tables {
        self.tables
    }

    /// The record of this kind and key.
    pub fn get(&self, kind: &str, key: &str) -> Option<&Arc<Record>> {
        self.tables.get(kind, key)
    }

    /// Writes a record: a new one, or in the place of the one that is there.
    pub fn put(&mut self, kind: &str, key: &str, record: Record) {
        let before = self.tables.set(kind, key, Some(Arc::new(record)));
        self.undo.push((kind.to_owned(), key.to_owned(), before));
    }

    /// Removes a record. Removing what is not there does nothing.
    pub fn remove(&mut self, kind: &str, key: &str) {
        if let Some(before) = self.tables.set(kind, key, None) {
            self.undo.push((kind.to_owned(), key.to_owned(), Some(before)));
        }
    }

    /// Leaves an event for everyone who reads them.
    pub fn event(&mut self, kind: &str, id: &str, what: &str, state: Option<&str>) {
        self.events.push(Event {
            sequence: self.sequence,
            at: self.now,
            kind: kind.to_owned(),
            id: id.to_owned(),
            what: what.to_owned(),
            state: state.map(str::to_owned),
        });
    }

    /// What time it is for the whole transaction.
    pub fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// How long a passage that lasts `real` at Scaleway takes here.
    pub fn lasts(&self, real: Duration) -> Duration {
        self.lasts.lasts(real)
    }

    /// Whether anything runs behind records of this kind.
    pub fn runs(&self, kind: &str) -> bool {
        self.behind.is_some_and(|behind| behind.runs(kind))
    }

    /// Identifiers for what this transaction makes.
    pub fn ids(&mut self) -> &mut Ids {
        &mut self.ids
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use serde_json::json;

    use super::*;
    use crate::kernel::Profile;

    /// The same for all of a test's clouds.
    fn root() -> RootKey {
        static ROOT: LazyLock<RootKey> = LazyLock::new(|| RootKey::random().unwrap());
        ROOT.clone()
    }

    fn store(folder: Option<&std::path::Path>) -> Store {
        let options = Options { folder: folder.map(Into::into), root: Some(root()), durability: None, seed: Some(7) };
        Store::open(&options, Clock::new(Profile::Instant)).unwrap()
    }

    fn put(store: &Store, key: &str) {
        store
            .write::<(), JournalError>(|tx| {
                tx.put("vpc.vpc", key, Record::of(&json!({"project_id": "p", "key": key})));
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn a_refused_change_leaves_everything_as_it_was() {
        let store = store(None);
        put(&store, "a");
        let refused: Result<(), JournalError> = store.write(|tx| {
            tx.put("vpc.vpc", "b", Record::default());
            tx.remove("vpc.vpc", "a");
            tx.put("vpc.vpc", "a", Record::default());
            Err(JournalError::InUse("x".into()))
        });
        assert!(refused.is_err());
        assert_eq!(
            store.read(|tables| tables.all("vpc.vpc").map(|(key, _)| key.to_owned()).collect::<Vec<_>>()),
            ["a"]
        );
        assert_eq!(
            store.read(|tables| tables.get("vpc.vpc", "a").map(|record| record.text("key").to_owned())).unwrap(),
            "a"
        );
        assert_eq!(store.read(|tables| tables.count("vpc.vpc", "p")), 1);
    }

    #[test]
    fn what_was_written_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let first = store(Some(folder.path()));
        put(&first, "a");
        put(&first, "b");
        first
            .write::<(), JournalError>(|tx| {
                tx.remove("vpc.vpc", "a");
                Ok(())
            })
            .unwrap();
        drop(first);
        let second = store(Some(folder.path()));
        assert_eq!(
            second.read(|tables| tables.all("vpc.vpc").map(|(key, _)| key.to_owned()).collect::<Vec<_>>()),
            ["b"]
        );
    }

    #[test]
    fn a_fork_is_the_cloud_as_it_was_at_that_moment() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let original = store(Some(here.path()));
        put(&original, "a");
        original.fork(there.path()).unwrap();
        put(&original, "b");
        let fork = store(Some(there.path()));
        assert_eq!(fork.read(|tables| tables.all("vpc.vpc").count()), 1);
        assert_eq!(original.read(|tables| tables.all("vpc.vpc").count()), 2);
    }

    #[test]
    fn keys_under_a_prefix_come_in_order_and_can_be_resumed() {
        let store = store(None);
        for key in ["b/1", "a/2", "a/1", "a/3", "ab"] {
            put(&store, key);
        }
        let keys = |after| {
            store.read(|tables| tables.under("vpc.vpc", "a/", after).map(|(key, _)| key.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(keys(None), ["a/1", "a/2", "a/3"]);
        assert_eq!(keys(Some("a/1")), ["a/2", "a/3"]);
    }

    #[test]
    fn the_same_seed_gives_the_same_identifiers_and_a_restart_repeats_none() {
        let folder = tempfile::tempdir().unwrap();
        let make = |store: &Store| {
            store
                .write::<_, JournalError>(|tx| {
                    let id = tx.ids().uuid();
                    tx.put("x", &id, Record::default());
                    Ok(id)
                })
                .unwrap()
        };
        let first = store(Some(folder.path()));
        let a = make(&first);
        drop(first);
        let b = make(&store(Some(folder.path())));
        assert_ne!(a, b);
        assert_eq!(a, make(&store(None)));
    }
}

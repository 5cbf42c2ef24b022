//! What a killed run leaves: operations of which nobody knows how they ended, and a lock that nobody holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Checkpoint, Error, PendingOperation, Stack, current, verify::past};
use crate::bucket::{Bucket, Writer};

/// How far a lock's time may be from the holder's: both are of the same machine, one is cut to seconds.
const SLACK: Duration = Duration::seconds(2);

/// One of Pulumi's own locks: a file that says who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PulumiLock {
    /// Where it lies.
    pub key: String,
    /// On which machine the process runs, or ran.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// Whose it is.
    pub user: String,
    /// When it was made, by the clock of that machine; none if the file does not say so.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
}

impl PulumiLock {
    /// The identifier that Pulumi gave the run that made it: its name. None if it has another name.
    #[must_use]
    pub fn file(&self) -> Option<uuid::Uuid> {
        self.key.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()
    }
}

#[derive(Deserialize)]
struct LockFile {
    #[serde(default)]
    pid: i64,
    #[serde(default)]
    username: String,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    timestamp: String,
}

/// A Pulumi process that is known to be dead.
#[derive(Clone, Debug)]
pub struct DeadHolder {
    /// The machine it ran on, as `hostname` tells.
    pub host: String,
    /// Its process: Pulumi's, not that of whoever started it.
    pub pid: u32,
    /// When it was started.
    pub started: OffsetDateTime,
    /// When it was known to be dead.
    pub ended: OffsetDateTime,
}

impl DeadHolder {
    /// Whether it made this lock.
    #[must_use]
    pub fn made(&self, lock: &PulumiLock) -> bool {
        let in_its_time = lock.since.is_some_and(|since| since >= self.started - SLACK && since <= self.ended + SLACK);
        lock.host == self.host && lock.pid == self.pid && in_its_time
    }
}

/// What became of Pulumi's locks of a stack.
#[derive(Clone, Debug, Serialize)]
pub struct Swept {
    /// The dead holder's, removed; none if it left none.
    pub removed: Option<PulumiLock>,
    /// Those of others: somebody runs plain `pulumi`, which does not know of the lease. They were left.
    pub foreign: Vec<PulumiLock>,
}

impl Swept {
    /// What to do; none if the way is free.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        foreign(&self.foreign)
    }
}

fn foreign(locks: &[PulumiLock]) -> Option<String> {
    let lock = locks.first()?;
    let since =
        lock.since.and_then(|since| since.format(&Rfc3339).ok()).unwrap_or_else(|| "an unknown time".to_owned());
    Some(format!(
        "the stack is currently locked by {} lock(s) of plain `pulumi`, the first by {}@{} (pid {}) since {since}: wait for it; if that process is dead, delete {}",
        locks.len(),
        lock.user,
        lock.host,
        lock.pid,
        lock.key
    ))
}

/// Pulumi's own locks of a stack.
///
/// # Errors
/// When the bucket does not answer or refuses.
pub async fn locks(bucket: &Bucket, stack: &Stack) -> Result<Vec<PulumiLock>, Error> {
    let mut all = Vec::new();
    for listed in bucket.list(&stack.locks()).await? {
        // It may be gone by now.
        let Some(object) = bucket.get(&listed.key, None).await? else { continue };
        // Pulumi takes any file there for a lock, so one that says nothing is one, too.
        let file: Option<LockFile> = serde_json::from_slice(&object.content).ok();
        all.push(PulumiLock {
            key: listed.key,
            host: file.as_ref().map(|file| file.hostname.clone()).unwrap_or_default(),
            pid: file.as_ref().and_then(|file| file.pid.try_into().ok()).unwrap_or_default(),
            user: file.as_ref().map(|file| file.username.clone()).unwrap_or_default(),
            since: file.and_then(|file| OffsetDateTime::parse(&file.timestamp, &Rfc3339).ok()),
        });
    }
    Ok(all)
}

/// Removes the lock that a dead holder left, and only that. Never `pulumi cancel`, which removes everybody's.
///
/// # Errors
/// When more than one fits the holder, so that none was removed; when the bucket does not answer or refuses.
pub async fn remove_dead_lock(
    bucket: &Bucket,
    writer: &dyn Writer,
    stack: &Stack,
    holder: &DeadHolder,
) -> Result<Swept, Error> {
    let (mut own, foreign): (Vec<_>, Vec<_>) =
        locks(bucket, stack).await?.into_iter().partition(|lock| holder.made(lock));
    if own.len() > 1 {
        return Err(Error::SeveralLocks { keys: own.into_iter().map(|lock| lock.key).collect() });
    }
    let removed = own.pop();
    if let Some(lock) = &removed {
        writer.delete(&lock.key).await?;
    }
    Ok(Swept { removed, foreign })
}

/// An operation of which nobody knows how it ended, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unfinished {
    /// Which resource.
    pub urn: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its identifier, where it had one.
    pub id: Option<String>,
    /// `creating`, `updating`, `deleting`, `reading`, `importing`.
    pub operation: String,
    /// What may be the case now.
    pub meaning: String,
    /// What to look for.
    pub guidance: String,
}

/// What to do after a killed run.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    /// What was under way.
    pub unfinished: Vec<Unfinished>,
    /// Pulumi's own locks.
    pub locks: Vec<PulumiLock>,
    /// What to do, in order; empty if the next update may begin.
    pub steps: Vec<String>,
}

impl Recovery {
    /// Whether the next update may begin.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.unfinished.is_empty() && self.locks.is_empty()
    }

    /// The next command; none if the next update may begin.
    #[must_use]
    pub fn next(&self) -> Option<&str> {
        self.steps.first().map(String::as_str)
    }
}

/// Looks at what a killed run left. `found` has the identifiers of resources that were being created and are there, by
/// URN, where somebody has looked (the API of the cloud tells).
///
/// # Errors
/// When the state is damaged, or the bucket does not answer or refuses.
pub async fn recover(bucket: &Bucket, stack: &Stack, found: &BTreeMap<String, String>) -> Result<Recovery, Error> {
    let stored = current(bucket, stack).await?;
    let locks = locks(bucket, stack).await?;
    let checkpoint = stored.map(|stored| stored.checkpoint).unwrap_or_default();
    Ok(guide(stack, &checkpoint, locks, found))
}

fn guide(stack: &Stack, checkpoint: &Checkpoint, locks: Vec<PulumiLock>, found: &BTreeMap<String, String>) -> Recovery {
    let unfinished: Vec<Unfinished> =
        checkpoint.pending().iter().map(|operation| explained(operation, found)).collect();
    let mut steps = Vec::new();
    steps.extend(foreign(&locks));
    if !unfinished.is_empty() {
        steps.push(format!("stackproof state backup --stack {}", stack.name()));
        let creating = unfinished.iter().filter(|one| one.operation == "creating");
        let (there, unknown): (Vec<_>, Vec<_>) = creating.partition(|one| found.contains_key(&one.urn));
        // Only those that were looked for, and not seen, may be dropped; and all at once, as Pulumi has it.
        let mut command = format!("stackproof refresh --stack {}", stack.name());
        for one in there {
            command.push_str(&format!(
                " --import-pending-creates '{}' --import-pending-creates '{}'",
                one.urn, found[&one.urn]
            ));
        }
        let forgetting = format!("{command} --clear-pending-creates");
        for one in &unknown {
            command.push_str(&format!(
                " --import-pending-creates '{}' --import-pending-creates 'ID-OF-{}'",
                one.urn,
                one.urn.rsplit("::").next().unwrap_or("IT")
            ));
        }
        steps.push(command);
        if !unknown.is_empty() {
            steps.push(format!("instead, if none of the {} is in the cloud: {forgetting}", unknown.len()));
        }
        steps.push(format!("stackproof preview --refresh --stack {}", stack.name()));
        steps.push(format!("stackproof up --stack {}", stack.name()));
    }
    Recovery { unfinished, locks, steps }
}

fn explained(operation: &PendingOperation, found: &BTreeMap<String, String>) -> Unfinished {
    let resource = &operation.resource;
    let name = resource.name();
    let (meaning, guidance) = match operation.kind.as_str() {
        "creating" => (
            format!(
                "{name} may be there without the state knowing its identifier; a plain `up` would create it a second time"
            ),
            match found.get(&resource.urn) {
                Some(id) => format!("it is there as {id}: take it into the state"),
                None => format!(
                    "look for {name} ({}) in the cloud: take it into the state by its identifier, or drop the operation if it is not there",
                    resource.kind
                ),
            },
        ),
        "updating" => (
            format!("{name} may have its new settings or its old ones, or some of each"),
            "a refresh reads what it has; the next update sets what is missing".to_owned(),
        ),
        "deleting" => (
            format!("{name} may be gone or still there"),
            "a refresh looks: if it is gone it is dropped from the state, else the next update deletes it".to_owned(),
        ),
        "reading" | "importing" => (
            format!("{name} was only being read, nothing of it was changed"),
            "a refresh drops the operation; the next update reads it again".to_owned(),
        ),
        other => (
            format!("{name} was being {}, which this version does not know", past(other)),
            "compare it with the cloud before the next update".to_owned(),
        ),
    };
    Unfinished {
        urn: resource.urn.clone(),
        kind: resource.kind.clone(),
        id: resource.id.clone().filter(|id| !id.is_empty()),
        operation: operation.kind.clone(),
        meaning,
        guidance,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn stack() -> Stack {
        Stack::new("shop", "dev").unwrap()
    }

    fn state(operations: &[(&str, &str)]) -> Checkpoint {
        let pending: Vec<_> = operations
            .iter()
            .map(|(kind, urn)| json!({"type": kind, "resource": {"urn": urn, "type": "scaleway:network/vpc:Vpc"}}))
            .collect();
        let text = json!({"version": 3, "checkpoint": {"latest": {"pending_operations": pending}}}).to_string();
        Checkpoint::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn nothing_left_means_nothing_to_do() {
        let recovery = guide(&stack(), &state(&[]), Vec::new(), &BTreeMap::new());
        assert!(recovery.is_clear() && recovery.next().is_none());
    }

    #[test]
    fn a_copy_comes_first_then_what_was_created_is_taken_in() {
        let found = BTreeMap::from([("urn::a".to_owned(), "fr-par/1".to_owned())]);
        let recovery = guide(&stack(), &state(&[("creating", "urn::a"), ("updating", "urn::b")]), Vec::new(), &found);
        assert_eq!(
            recovery.steps,
            [
                "stackproof state backup --stack dev",
                "stackproof refresh --stack dev --import-pending-creates 'urn::a' --import-pending-creates 'fr-par/1'",
                "stackproof preview --refresh --stack dev",
                "stackproof up --stack dev",
            ]
        );
    }

    #[test]
    fn what_nobody_looked_for_is_never_dropped_by_itself() {
        let recovery = guide(&stack(), &state(&[("creating", "urn::a")]), Vec::new(), &BTreeMap::new());
        assert!(recovery.steps[1].contains("'ID-OF-a'"), "{:?}", recovery.steps);
        assert!(recovery.steps[2].starts_with("instead, if none"), "{:?}", recovery.steps);
        assert!(recovery.unfinished[0].meaning.contains("a second time"));
    }

    #[rstest]
    #[case::its_own("ci-1", 7, datetime!(2026-01-01 10:00:05 UTC), true)]
    #[case::cut_to_seconds("ci-1", 7, datetime!(2026-01-01 09:59:59 UTC), true)]
    #[case::other_machine("ci-2", 7, datetime!(2026-01-01 10:00:05 UTC), false)]
    #[case::other_process("ci-1", 8, datetime!(2026-01-01 10:00:05 UTC), false)]
    #[case::same_number_long_before("ci-1", 7, datetime!(2025-12-31 10:00:05 UTC), false)]
    #[case::same_number_later("ci-1", 7, datetime!(2026-01-01 11:00:00 UTC), false)]
    fn a_lock_is_a_dead_holders_or_not(
        #[case] host: &str,
        #[case] pid: u32,
        #[case] since: OffsetDateTime,
        #[case] expected: bool,
    ) {
        let holder = DeadHolder {
            host: "ci-1".into(),
            pid: 7,
            started: datetime!(2026-01-01 10:00:00 UTC),
            ended: datetime!(2026-01-01 10:30:00 UTC),
        };
        let lock = PulumiLock { key: "k".into(), host: host.into(), pid, user: "u".into(), since: Some(since) };
        assert_eq!(holder.made(&lock), expected);
        assert!(!holder.made(&PulumiLock { since: None, ..lock }), "a lock without a time is nobody's");
    }
}

//! The versions of a stack's checkpoint in the bucket, and the updates that made them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{Compression, Error, Stack, Stored};
use crate::bucket::{Bucket, Version, Versioning};

/// How far the clock of whoever ran Pulumi may be from the bucket's, for an update to be found.
const SKEW: Duration = Duration::seconds(5);

/// An update as Pulumi writes it down in `.pulumi/history`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// `update`, `preview`, `refresh`, `destroy`, `import`, `rename`, …
    pub kind: String,
    /// What the user said of it.
    #[serde(default)]
    pub message: String,
    /// Where it came from: `git.head`, `git.author`, `ci.build.url`, …
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// `succeeded` or `failed`, or `in-progress`.
    #[serde(default)]
    pub result: String,
    /// When it began, by the clock of whoever ran it, in seconds.
    #[serde(default)]
    pub start_time: i64,
    /// When it ended.
    #[serde(default)]
    pub end_time: i64,
    /// How many resources were created, updated, deleted, kept.
    #[serde(default)]
    pub resource_changes: Option<BTreeMap<String, u64>>,
}

/// A version of the checkpoint.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// What the bucket tells of it.
    #[serde(flatten)]
    pub version: Version,
    /// The update during which it was written; none for what writes no history: `state …`, `stack import`, restoring.
    pub update: Option<Update>,
    /// Whether it is the last of its update: the state as the update left it.
    pub completes: bool,
}

/// The versions of a stack's checkpoint, the newest first.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// Whether the bucket keeps versions. Without, there is only the current one.
    pub versioning: Versioning,
    /// The versions.
    pub entries: Vec<Entry>,
    /// Updates of which no version is left (or during which none was written), the newest first.
    pub without_version: Vec<Update>,
}

/// The versions of a stack's checkpoint and the updates that made them.
///
/// # Errors
/// When the bucket does not answer or refuses. An update that cannot be read is left out, and told to the log.
pub async fn history(bucket: &Bucket, stack: &Stack) -> Result<History, Error> {
    let versioning = bucket.versioning().await?;
    let mut versions = bucket.versions(&stack.checkpoints_prefix()).await?;
    let keys = stack.checkpoints();
    versions.retain(|version| keys.contains(&version.key));
    // Within a key the bucket has the newest first; what has one moment stays in its order.
    versions.sort_by_key(|version| std::cmp::Reverse(version.modified));
    let updates = updates(bucket, stack).await?;
    Ok(joined(versioning, versions, updates))
}

async fn updates(bucket: &Bucket, stack: &Stack) -> Result<Vec<Update>, Error> {
    let mut all = Vec::new();
    for listed in bucket.list(&stack.history()).await? {
        let form = Compression::of(&listed.key);
        if !listed.key.ends_with(&format!(".history.json{}", form.suffix())) {
            continue;
        }
        let Some(object) = bucket.get(&listed.key, None).await? else { continue };
        let read = form
            .unpack(&object.content)
            .and_then(|json| serde_json::from_slice(&json).map_err(|error| error.to_string()));
        match read {
            Ok(update) => all.push(update),
            Err(why) => tracing::warn!(key = listed.key, why, "an update in the history cannot be read"),
        }
    }
    all.sort_by_key(|update: &Update| std::cmp::Reverse((update.start_time, update.end_time)));
    Ok(all)
}

/// Joins by time: a version belongs to the update that was running when it was written.
fn joined(versioning: Versioning, versions: Vec<Version>, updates: Vec<Update>) -> History {
    let window = |update: &Update| {
        let from = OffsetDateTime::from_unix_timestamp(update.start_time).ok()? - SKEW;
        // Seconds are cut off.
        let to = OffsetDateTime::from_unix_timestamp(update.end_time).ok()? + Duration::SECOND + SKEW;
        Some((from, to))
    };
    let middle = |update: &Update| (update.start_time + update.end_time) / 2;
    let mut used = vec![false; updates.len()];
    let entries = versions
        .into_iter()
        .map(|version| {
            let fits = updates.iter().enumerate().filter(|(_, update)| {
                window(update).is_some_and(|(from, to)| version.modified >= from && version.modified <= to)
            });
            // Where two windows meet, the one whose middle is nearer.
            let at = version.modified.unix_timestamp();
            let nearest = fits.min_by_key(|(_, update)| {
                let inside = update.start_time <= at && at <= update.end_time;
                (!inside, middle(update).abs_diff(at))
            });
            let completes = nearest.is_some_and(|(index, _)| !std::mem::replace(&mut used[index], true));
            Entry { version, update: nearest.map(|(_, update)| update.clone()), completes }
        })
        .collect();
    let without_version =
        updates.into_iter().zip(&used).filter(|(_, used)| !**used).map(|(update, _)| update).collect();
    History { versioning, entries, without_version }
}

impl History {
    /// A version by its identifier, the beginning of it if no other begins so, or how many versions ago it was
    /// current: `~0` is the current one, `~1` the one before.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, name: &str) -> Result<&Entry, Error> {
        let none = || Error::NoVersion(name.to_owned());
        if let Some(back) = name.strip_prefix('~') {
            let back: usize = back.parse().map_err(|_| none())?;
            return self.entries.get(back).ok_or_else(none);
        }
        if let Some(entry) = self.entries.iter().find(|entry| entry.version.id == name) {
            return Ok(entry);
        }
        let fits: Vec<&Entry> =
            self.entries.iter().filter(|entry| !name.is_empty() && entry.version.id.starts_with(name)).collect();
        match fits[..] {
            [entry] => Ok(entry),
            [] => Err(none()),
            _ => Err(Error::Ambiguous {
                name: name.to_owned(),
                versions: fits.iter().map(|entry| entry.version.id.clone()).collect(),
            }),
        }
    }
}

/// Reads a version.
///
/// # Errors
/// When it says that the state was deleted, is gone, or is damaged, or the bucket does not answer or refuses.
pub async fn version(bucket: &Bucket, entry: &Entry) -> Result<Stored, Error> {
    let version = &entry.version;
    let gone = || Error::NoVersion(version.id.clone());
    if version.deleted {
        return Err(gone());
    }
    let object = bucket.get(&version.key, Some(&version.id)).await?.ok_or_else(gone)?;
    Stored::read(&version.key, object.head, object.content)
}

impl Update {
    /// What changed, in one line, such as `2 create, 1 update`.
    #[must_use]
    pub fn summary(&self) -> String {
        let changes = self.resource_changes.iter().flatten().filter(|(_, count)| **count > 0);
        changes.map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
    }

    /// The commit it ran from, where Pulumi knew it, and whether there were changes beside.
    #[must_use]
    pub fn commit(&self) -> Option<(&str, bool)> {
        let dirty = self.environment.get("git.dirty").is_some_and(|text| text == "true");
        self.environment.get("git.head").map(|head| (head.as_str(), dirty))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn version(id: &str, modified: OffsetDateTime) -> Version {
        Version {
            key: "k".into(),
            id: id.into(),
            latest: false,
            deleted: false,
            etag: None,
            bytes: 1,
            modified,
            owner: None,
        }
    }

    fn update(message: &str, start: OffsetDateTime, end: OffsetDateTime) -> Update {
        Update {
            kind: "update".into(),
            message: message.into(),
            environment: BTreeMap::new(),
            result: "succeeded".into(),
            start_time: start.unix_timestamp(),
            end_time: end.unix_timestamp(),
            resource_changes: None,
        }
    }

    fn example() -> History {
        joined(
            Versioning::Enabled,
            vec![
                version("e9", datetime!(2026-01-01 12:00 UTC)),
                version("d4", datetime!(2026-01-01 10:00:20.5 UTC)),
                version("c3", datetime!(2026-01-01 10:00:11 UTC)),
                version("c2", datetime!(2026-01-01 10:00:03 UTC)),
                version("b1", datetime!(2026-01-01 10:00:02 UTC)),
            ],
            vec![
                update("second", datetime!(2026-01-01 10:00:10 UTC), datetime!(2026-01-01 10:00:20 UTC)),
                update("first", datetime!(2026-01-01 10:00:00 UTC), datetime!(2026-01-01 10:00:03 UTC)),
                update("lost", datetime!(2026-01-01 09:00:00 UTC), datetime!(2026-01-01 09:00:03 UTC)),
            ],
        )
    }

    #[test]
    fn a_version_belongs_to_the_update_that_ran_when_it_was_written() {
        let history = example();
        let told: Vec<_> = history
            .entries
            .iter()
            .map(|entry| {
                (
                    entry.version.id.as_str(),
                    entry.update.as_ref().map(|update| update.message.as_str()),
                    entry.completes,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("e9", None, false),
                ("d4", Some("second"), true),
                ("c3", Some("second"), false),
                ("c2", Some("first"), true),
                ("b1", Some("first"), false),
            ]
        );
        assert_eq!(history.without_version[0].message, "lost");
    }

    #[test]
    fn a_version_is_found_by_its_beginning_or_by_counting_back() {
        let history = example();
        let found = |name: &str| history.find(name).map(|entry| entry.version.id.clone());
        assert_eq!(found("~0").unwrap(), "e9");
        assert_eq!(found("~4").unwrap(), "b1");
        assert_eq!(found("d").unwrap(), "d4");
        assert!(matches!(found("c"), Err(Error::Ambiguous { versions, .. }) if versions.len() == 2));
        for name in ["~5", "~x", "", "f"] {
            assert!(matches!(found(name), Err(Error::NoVersion(_))), "{name}");
        }
    }
}

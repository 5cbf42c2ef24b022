//! How much room the state takes.

use serde::Serialize;

use super::{Error, Stack, restore::backups_of};
use crate::bucket::{Bucket, Rule, Versioning};

/// A number of objects and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many.
    pub objects: u64,
    /// How large, together.
    pub bytes: u64,
}

impl Share {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// How much room a stack's state takes, against what it may.
#[derive(Clone, Debug, Serialize)]
pub struct Usage {
    /// The current checkpoint, its former one, and its tags.
    pub state: Share,
    /// Older versions of it that the bucket keeps.
    pub old_versions: Share,
    /// Pulumi's history, with the bucket's older versions of it.
    pub history: Share,
    /// Copies in the bucket: Pulumi's own, and those that restoring made.
    pub copies: Share,
    /// Copies in the backup bucket.
    pub backups: Share,
    /// All of it.
    pub bytes: u64,
    /// What it may be.
    pub budget: u64,
    /// Whether the bucket keeps versions.
    pub versioning: Versioning,
    /// The rules that make room in the bucket.
    pub rules: Vec<Rule>,
    /// The rules that make room in the backup bucket.
    pub backup_rules: Vec<Rule>,
}

impl Usage {
    /// Whether it is more than it may be.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.bytes > self.budget
    }

    /// Whether it can only grow: versions or copies of which nothing ever expires.
    #[must_use]
    pub fn only_grows(&self) -> bool {
        let expires = |rules: &[Rule], days: fn(&Rule) -> Option<u32>| {
            rules.iter().any(|rule| rule.enabled && days(rule).is_some())
        };
        let versions = self.versioning == Versioning::Enabled && !expires(&self.rules, |rule| rule.old_versions_days);
        versions || (self.backups.objects > 0 && !expires(&self.backup_rules, |rule| rule.days))
    }

    /// What to do about it; none if nothing is to be done.
    #[must_use]
    pub fn next(&self) -> Option<&'static str> {
        if self.is_over() {
            Some("shorten the lifecycle of the buckets in infra/state, then `stackproof up`")
        } else if self.only_grows() {
            Some("give the buckets a lifecycle in infra/state, so that old versions and copies expire")
        } else {
            None
        }
    }
}

/// Adds up what a stack takes in its bucket and in the backup bucket.
///
/// # Errors
/// When a bucket does not answer or refuses.
pub async fn size(bucket: &Bucket, backups: Option<&Bucket>, stack: &Stack, budget: u64) -> Result<Usage, Error> {
    let (mut state, mut old_versions, mut history, mut copies, mut kept) =
        <(Share, Share, Share, Share, Share)>::default();
    for version in bucket.versions(&format!(".pulumi/stacks/{}/{}.", stack.project(), stack.name())).await? {
        if !version.deleted && stack.part(&version.key).is_some() {
            let share = if version.latest { &mut state } else { &mut old_versions };
            share.add(version.bytes);
        }
    }
    for version in bucket.versions(&stack.history()).await?.iter().filter(|version| !version.deleted) {
        history.add(version.bytes);
    }
    for folder in [stack.backups(), stack.safety()] {
        for version in bucket.versions(&folder).await?.iter().filter(|version| !version.deleted) {
            copies.add(version.bytes);
        }
    }
    let mut backup_rules = Vec::new();
    if let Some(backups) = backups {
        for version in backups.versions(&backups_of(stack)).await?.iter().filter(|version| !version.deleted) {
            kept.add(version.bytes);
        }
        backup_rules = backups.lifecycle().await?;
    }
    Ok(Usage {
        bytes: state.bytes + old_versions.bytes + history.bytes + copies.bytes + kept.bytes,
        state,
        old_versions,
        history,
        copies,
        backups: kept,
        budget,
        versioning: bucket.versioning().await?,
        rules: bucket.lifecycle().await?,
        backup_rules,
    })
}

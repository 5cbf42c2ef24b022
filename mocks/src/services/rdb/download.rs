//! Files to download: objects in a bucket of the product's own, opened by pre-signed addresses.
//!
//! The address names Object Storage's host, which is reached through the gateway, as buckets are. That logs are kept
//! for a day is recorded; that the address of a backup holds as long is ours: nothing public tells.

use std::time::Duration;

use crate::{
    api::REGIONS,
    kernel::{Record, Transaction},
    object::{Kept, ServiceBucket},
};

const SERVICE: &str = "managed-databases";

/// For how long a file can be downloaded.
pub(super) const LASTS: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a record keeps the file that the plane took in for it, hidden.
const FILE: &str = "file";

/// Runs this with the bucket of a region.
fn bucket<R>(region: &str, run: impl FnOnce(&ServiceBucket<'_>) -> R) -> R {
    let name = format!("managed-databases-prod-{region}");
    run(&ServiceBucket { service: SERVICE, name: &name, region })
}

/// Keeps a file with a record, until it is published.
pub(super) fn keep(record: &mut Record, file: &Kept) {
    record.hidden.insert(FILE.into(), serde_json::json!(file));
}

/// Whether a record has a file that is to be published.
pub(super) fn is_kept(record: &Record) -> bool {
    record.hidden.contains_key(FILE)
}

/// Publishes the file of a record, if it has one: its address.
pub(super) fn publish(tx: &mut Transaction<'_>, record: &mut Record, save_as: &str) -> Option<String> {
    let file: Kept = serde_json::from_value(record.hidden.remove(FILE)?).ok()?;
    let (object, region) = (record.text("id"), record.text("region"));
    Some(bucket(region, |bucket| {
        bucket.put(tx, object, &file, save_as);
        bucket.presign_for(tx, "GET", object, &[], LASTS)
    }))
}

/// Withdraws the file of a backup or log, wherever it was.
pub(crate) fn withdraw(tx: &mut Transaction<'_>, id: &str) {
    for region in REGIONS {
        bucket(region, |bucket| {
            if bucket.has(tx.tables(), id) {
                bucket.remove(tx, id);
            }
        });
    }
}

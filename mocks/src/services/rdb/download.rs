//! Files to download: objects in a bucket of the product's own, opened by pre-signed addresses.
//!
//! The address names Object Storage's host, which is reached through the gateway, as buckets are. Recorded: it holds for
//! a day, and backups that are not to stay in their region (fr-par) are in another one (nl-ams).

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
    let object = object(record.text("id"));
    Some(bucket(place(record), |bucket| {
        bucket.put(tx, &object, &file, save_as);
        bucket.presign_for(tx, "GET", &object, &[], LASTS)
    }))
}

/// The name of a backup's or log's file.
fn object(id: &str) -> String {
    format!("files/{id}")
}

/// In which region the file of a record is.
fn place(record: &Record) -> &str {
    match (record.body.get("same_region"), record.text("region")) {
        (Some(serde_json::Value::Bool(false)), "fr-par") => "nl-ams",
        (Some(serde_json::Value::Bool(false)), _) => "fr-par",
        (_, region) => region,
    }
}

/// Withdraws the file of a backup or log, wherever it was.
pub(crate) fn withdraw(tx: &mut Transaction<'_>, id: &str) {
    let object = object(id);
    for region in REGIONS {
        bucket(region, |bucket| {
            if bucket.has(tx.tables(), &object) {
                bucket.remove(tx, &object);
            }
        });
    }
}

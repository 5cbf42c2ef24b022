//! A function's code: an archive in a bucket of the product's own, put there with a
//! pre-signed address.
//!
//! Recorded: bucket, object and headers, and that the address holds for an hour. It
//! names Object Storage's host, which is reached through the gateway, as buckets are.

use serde_json::{Value, json};

use super::{FUNCTION, function::id};
use crate::{
    kernel::{Act, Answer, Reason, Refusal, Tables, Transaction},
    object::ServiceBucket,
};

const SERVICE: &str = "serverless-functions";

/// The largest archive, in bytes (documented: 100 MiB).
const LARGEST: u64 = 100 << 20;

/// Runs this with the bucket of a region.
fn bucket<R>(region: &str, run: impl FnOnce(&ServiceBucket<'_>) -> R) -> R {
    let name = format!("serverless-functions-code-prod-{region}");
    run(&ServiceBucket { service: SERVICE, name: &name, region })
}

fn archive(function: &str) -> String {
    format!("uploads/function-{function}.zip")
}

/// Whether a function's code is there.
pub(super) fn is_there(tables: &Tables, region: &str, function: &str) -> bool {
    bucket(region, |bucket| bucket.has(tables, &archive(function)))
}

/// Removes a function's code.
pub(super) fn remove(tx: &mut Transaction<'_>, region: &str, function: &str) {
    bucket(region, |bucket| bucket.remove(tx, &archive(function)));
}

/// GET upload-url: where to put the archive, and with which headers.
pub(super) fn upload_url(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    act.find_settled(FUNCTION, &id(act))?;
    let length = act.call.query("content_length").and_then(|length| length.parse().ok()).unwrap_or_default();
    if !(1..=LARGEST).contains(&length) {
        let help = format!("must be a number from 1 to {LARGEST}");
        return Err(Refusal::argument("content_length", Reason::Constraint, help));
    }
    let headers = [("content-length", length.to_string()), ("content-type", "application/octet-stream".to_owned())];
    Ok(address(act, "PUT", &headers))
}

/// GET download-url: where the archive is.
pub(super) fn download_url(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (id, region) = (id(act), act.call.param("region").unwrap_or_default());
    act.find(FUNCTION, &id)?;
    if !is_there(act.tx.tables(), region, &id) {
        return Err(Refusal::not_found("code", id));
    }
    Ok(address(act, "GET", &[]))
}

fn address(act: &mut Act<'_, '_>, method: &str, headers: &[(&str, String)]) -> Answer {
    let (archive, region) = (archive(&id(act)), act.call.param("region").unwrap_or_default());
    let url = bucket(region, |bucket| bucket.presign(act.tx, method, &archive, headers));
    let told: serde_json::Map<String, Value> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
    Answer::Ok(json!({"url": url, "headers": told}))
}

//! Which API keys of a stack end, and when.

use std::{fmt, fs, path::Path};

use serde::Serialize;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Failure,
    sovereign::Names,
    target::{Api, ApiAnswer, Target},
};

/// How many days before its end a key is warned of.
pub const WARNED: i64 = 30;

/// An API key that ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Its public half.
    pub access_key: String,
    /// Whose it is: an application of the stack, or whoever deploys.
    pub whose: String,
    /// How many whole days are left; negative once it has ended.
    pub days: i64,
    /// What to run next.
    pub next: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access_key, whose, days, next } = self;
        match days {
            ..0 => write!(f, "API key {access_key} of {whose} has ended; next: {next}"),
            0 => write!(f, "API key {access_key} of {whose} ends today; next: {next}"),
            1 => write!(f, "API key {access_key} of {whose} ends in 1 day; next: {next}"),
            _ => write!(f, "API key {access_key} of {whose} ends in {days} days; next: {next}"),
        }
    }
}

/// The application's key as a configuration says when it ends, where that is within [`WARNED`] days. Nothing is
/// contacted. A file that cannot be read is said by the rules of the program.
pub fn configured(file: &Path) -> Option<Key> {
    let text = fs::read_to_string(file).ok()?;
    let document: Value = serde_saphyr::from_str(&text).ok()?;
    let identity = document["config"].as_object()?.iter().find(|(key, _)| key.ends_with(":identity"))?.1;
    let key = serde_json::json!({"access_key": "to be made", "expires_at": identity["keyExpiresAt"]});
    ending(&key, OffsetDateTime::now_utc(), "the application", LATER)
}

/// What to run where the configuration says when keys end.
const LATER: &str = "pulumi config set --path identity.keyExpiresAt <later>, then stackproof rotate --what api-keys";

/// The keys of a stack's applications, and the one this is asked with, that end within [`WARNED`] days; the soonest
/// first.
///
/// # Errors
/// When the cloud does not answer, or refuses.
pub async fn keys(target: &Target, names: &Names) -> Result<Vec<Key>, Failure> {
    let api = target.api()?;
    let now = now(target).await?;
    let own = api.get(&format!("/iam/v1alpha1/api-keys/{}", api.credentials().access_key)).await?;
    // A key that IAM does not know has no end either.
    if !matches!(own.status, 200 | 404) {
        return Err(refused("the key that this is asked with cannot be looked at", &own));
    }
    let mut found: Vec<Key> =
        ending(&own.body, now, "whoever deploys", "scw iam api-key create, then scw init").into_iter().collect();
    let (rotate, later) =
        (format!("stackproof rotate --what deployer {}", names.words()), format!("{LATER} {}", names.words()));
    for (component, next) in [("application", &later), ("deployers", &rotate), ("caller", &later)] {
        let name = names.named(component);
        let Some(id) = application(&api, &name).await? else { continue };
        let listed = api.all(&format!("/iam/v1alpha1/api-keys?bearer_id={id}"), "api_keys").await?;
        let keys = listed.map_err(|answer| refused(&format!("the keys of {name} cannot be listed"), &answer))?;
        found.extend(keys.iter().filter_map(|key| ending(key, now, &name, next)));
    }
    found.sort_by_key(|key| key.days);
    Ok(found)
}

/// The cloud's own time: a local one's may be turned.
async fn now(target: &Target) -> Result<OffsetDateTime, Failure> {
    let Some(control) = target.control() else { return Ok(OffsetDateTime::now_utc()) };
    let text = control.now().await?;
    OffsetDateTime::parse(&text, &Rfc3339)
        .map_err(|error| Failure::failed(format!("{text} is no time")).because(error).next("stackproof cloud status"))
}

async fn application(api: &Api, name: &str) -> Result<Option<String>, Failure> {
    let organization = &api.credentials().organization_id;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("name", name)
        .append_pair("organization_id", organization)
        .finish();
    let listed = api.all(&format!("/iam/v1alpha1/applications?{query}"), "applications").await?;
    let applications = listed.map_err(|answer| refused("the applications cannot be listed", &answer))?;
    let found = applications.iter().find(|application| application["name"] == name);
    Ok(found.and_then(|application| application["id"].as_str()).map(str::to_owned))
}

fn refused(what: &str, answer: &ApiAnswer) -> Failure {
    let said = answer.body["message"].as_str().unwrap_or("no message");
    let failure = Failure::failed(what).because(format!("IAM answered {}: {said}", answer.status));
    failure.next(if matches!(answer.status, 401 | 403) { "ask for IAMReadOnly" } else { "stackproof doctor" })
}

/// A key that ends soon enough to be warned of.
fn ending(key: &Value, now: OffsetDateTime, whose: &str, next: &str) -> Option<Key> {
    let end = OffsetDateTime::parse(key["expires_at"].as_str()?, &Rfc3339).ok()?;
    let left = end - now;
    let days = if left.is_negative() { -1 } else { left.whole_days() };
    let key = Key {
        access_key: key["access_key"].as_str()?.to_owned(),
        whose: whose.to_owned(),
        days,
        next: next.to_owned(),
    };
    (days <= WARNED).then_some(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn told(end: &str) -> Option<String> {
        let key = json!({"access_key": "SCWAAAAAAAAAAAAAAAAA", "expires_at": end});
        ending(&key, datetime!(2030-01-01 00:00 UTC), "shop", "rotate").map(|key| key.to_string())
    }

    #[test]
    fn a_key_is_warned_of_in_time() {
        let soon = told("2030-01-11T12:00:00Z").unwrap_or_default();
        assert_eq!(soon, "API key SCWAAAAAAAAAAAAAAAAA of shop ends in 10 days; next: rotate");
        assert!(told("2029-12-31T23:59:59Z").unwrap_or_default().contains("has ended"));
        assert!(told("2030-01-01T01:00:00Z").unwrap_or_default().contains("ends today"));
        assert_eq!(told("2030-02-15T00:00:00Z"), None);
    }

    #[test]
    fn a_configuration_is_warned_of_without_a_cloud() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("Pulumi.dev.yaml");
        let write = |end: &str| {
            let text = format!("config:\n  stackproof-infra:identity:\n    keyExpiresAt: {end}\n");
            fs::write(&file, text).expect("it is written");
        };
        write("2000-01-01T00:00:00Z");
        assert_eq!(configured(&file).map(|key| key.days), Some(-1));
        write("9999-01-01T00:00:00Z");
        assert_eq!(configured(&file), None);
        assert_eq!(configured(&folder.path().join("none.yaml")), None);
    }

    #[test]
    fn a_key_without_an_end_is_none_to_warn_of() {
        let key = json!({"access_key": "SCWAAAAAAAAAAAAAAAAA", "expires_at": null});
        assert_eq!(ending(&key, datetime!(2030-01-01 00:00 UTC), "shop", "rotate"), None);
    }
}

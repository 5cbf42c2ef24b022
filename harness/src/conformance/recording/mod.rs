//! Recorded truth: traffic of the real API, asked again of the local cloud.
//!
//! Each recording is played against a cloud of its own. Identifiers are matched
//! by where they first appear in an answer; moments in requests are moved to
//! today. Compared are status codes, the keys and types of JSON bodies, and the
//! classification of errors.

mod cassette;
mod compare;
mod storage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::{Duration, OffsetDateTime};

use super::Expected;
use super::build::Provider;
use super::fixtures;
use crate::target::{Api, CloudProcess, Launch};
use crate::{Failure, Progress, Workspace};
use cassette::{Cassette, Interaction};

/// One way in which the local cloud's answers differ from recorded ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The product, by the name of the provider's package.
    pub product: String,
    /// The route, identifiers as `{}`.
    pub route: String,
    /// How it differs.
    pub how: String,
    /// How many answers do.
    pub answers: usize,
    /// One recording that shows it.
    pub recording: String,
    /// Why it is so, where that is known and accepted.
    pub reason: Option<String>,
}

/// What came of asking again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Recordings played.
    pub recordings: usize,
    /// Requests asked again.
    pub requests: usize,
    /// Requests passed over: signed by keys nobody has, or of what the recorded account held before.
    pub passed_over: usize,
    /// All differences.
    pub differences: Vec<Difference>,
}

impl Replay {
    /// Those without an accepted reason.
    pub fn unexplained(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.reason.is_none())
    }
}

/// Asks the recorded requests of these products again, all products where none is named.
///
/// # Errors
/// When a recording cannot be read, or a local cloud does not start.
pub async fn replay(workspace: &Workspace, products: &[String], progress: &Progress) -> Result<Replay, Failure> {
    let expected = Expected::read(workspace)?;
    let provider = Provider::find(workspace)?;
    let sources = provider.sources()?;
    let mut replay = Replay::default();
    let mut found: BTreeMap<(String, String, String), (usize, String)> = BTreeMap::new();
    let step = progress.step("asking what was recorded of the real API again");
    for product in expected.products(products)? {
        for path in recordings(&sources.join("internal/services").join(&product).join("testdata"))? {
            let cassette = Cassette::read(&path)?;
            let name = path.file_name().map(|name| name.to_string_lossy().replace(".cassette.yaml", ""));
            let name = name.unwrap_or_default();
            step.note(&format!("{product} {name}"));
            let mut player = Player::begin(&cassette).await?;
            for interaction in &cassette.interactions {
                let Some(differences) = player.ask(interaction).await? else {
                    replay.passed_over += 1;
                    continue;
                };
                replay.requests += 1;
                for (route, how) in differences {
                    let entry = found.entry((product.clone(), route, how)).or_insert_with(|| (0, name.clone()));
                    entry.0 += 1;
                }
            }
            replay.recordings += 1;
        }
    }
    step.done();
    replay.differences = found
        .into_iter()
        .map(|((product, route, how), (answers, recording))| {
            let reason = expected.accepted(&product, &route, &how).map(str::to_owned);
            Difference { product, route, how, answers, recording, reason }
        })
        .collect();
    Ok(replay)
}

fn recordings(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Failure::environment(format!("{} cannot be read", folder.display())).because(error))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.to_string_lossy().ends_with(".cassette.yaml")).collect();
    paths.sort();
    Ok(paths)
}

/// What the recorder writes for access keys in paths.
const MASKED: &str = "SCWXXXXXXXXXXXXXXXXX";

/// What it writes for the organisation in some questions.
const MASKED_ORGANIZATION: &str = "11111111-1111-1111-1111-111111111111";

/// One recording being asked again.
struct Player {
    api: Api,
    storage: storage::Storage,
    /// Recorded identifiers and ours.
    known: compare::Known,
    latest_key: Option<String>,
    _scratch: tempfile::TempDir,
    _cloud: CloudProcess,
}

impl Player {
    async fn begin(cassette: &Cassette) -> Result<Self, Failure> {
        let scratch = tempfile::tempdir().map_err(|error| Failure::environment("no scratch folder").because(error))?;
        let organization = fixtures::organization(cassette.organization());
        fixtures::settle(scratch.path(), &organization)?;
        let cloud = CloudProcess::launch(&Launch { control: false, ..Launch::new(scratch.path()) }).await?;
        let api = Api::new(&cloud.environment(true))?;
        let storage = storage::Storage::new(&cloud.environment(false))?;
        let known = compare::Known::from([(MASKED_ORGANIZATION.to_owned(), organization.id)]);
        Ok(Self { api, storage, known, latest_key: None, _scratch: scratch, _cloud: cloud })
    }

    /// Asks one request again; returns route and difference of all differences, nothing if it is passed over.
    async fn ask(&mut self, recorded: &Interaction) -> Result<Option<Vec<(String, String)>>, Failure> {
        let Ok(method) = recorded.request.method.parse::<Method>() else { return Ok(None) };
        let Some(path) = recorded.request.url.strip_prefix("https://api.scaleway.com") else {
            return self.ask_storage(&method, recorded).await;
        };
        let Some(path) = self.here(path, recorded.response.code) else { return Ok(None) };
        let told: Value = serde_json::from_str(&recorded.response.body).unwrap_or_default();
        let path = self.unmasked(&path, &told);
        let body = moved(&self.ours(&recorded.request.body), recorded);
        let body = if body.is_empty() { None } else { serde_json::from_str::<Value>(&body).ok() };
        let seen = self.api.send(method.clone(), &path, body).await?;
        let route = route(&method, &path);
        let code = recorded.response.code;
        if seen.status == 501 {
            return Ok(Some(vec![(route, "not implemented".into())]));
        }
        if seen.status != code {
            // A passage that took its time when it was recorded takes none here.
            if code == 200 && in_passage(&told) && matches!(seen.status, 403 | 404) {
                return Ok(Some(Vec::new()));
            }
            return Ok(Some(vec![(route, format!("status {} instead of {code}", seen.status))]));
        }
        compare::learn(&told, &seen.body, &mut self.known);
        if method == Method::POST
            && let Some(key) = seen.body["access_key"].as_str()
        {
            self.latest_key = Some(key.to_owned());
        }
        let differences = compare::differences(&told, &seen.body, &self.known, code >= 400);
        Ok(Some(differences.into_iter().map(|how| (route.clone(), how)).collect()))
    }

    /// Likewise a request to Object Storage.
    async fn ask_storage(
        &mut self,
        method: &Method,
        recorded: &Interaction,
    ) -> Result<Option<Vec<(String, String)>>, Failure> {
        let signed = self.known.get(&recorded.request.url).cloned();
        let address = signed.unwrap_or_else(|| self.ours(&recorded.request.url));
        let body = self.ours(&recorded.request.body);
        let asked = self.storage.ask(method, &address, body, recorded, &mut self.known).await?;
        let Some(seen) = asked else { return Ok(None) };
        let route = storage_route(method, &recorded.request.url);
        let code = recorded.response.code;
        if seen.status != code {
            return Ok(Some(vec![(route, format!("status {} instead of {code}", seen.status))]));
        }
        let told = storage::xml(&recorded.response.body);
        compare::learn(&told, &seen.body, &mut self.known);
        let differences = compare::differences(&told, &seen.body, &self.known, code >= 400);
        Ok(Some(differences.into_iter().map(|how| (route.clone(), how)).collect()))
    }

    /// The path with our identifiers in it; nothing when it leads to what the recorded account had before.
    fn here(&self, path: &str, code: u16) -> Option<String> {
        let route = path.split('?').next().unwrap_or(path);
        let mut parts = route.split('/').filter(|part| uuid::Uuid::parse_str(part).is_ok());
        let foreign = parts.any(|part| !self.known.contains_key(part) && !fixtures::is_told(part));
        // That something is not there may well be asked of what never was.
        if foreign && code < 400 { None } else { Some(self.ours(path)) }
    }

    /// The path with the access key in it that the recorder hid: the one of the answer, else the latest made.
    fn unmasked(&self, path: &str, told: &Value) -> String {
        let named = told["access_key"].as_str().and_then(|key| self.known.get(key));
        match named.or(self.latest_key.as_ref()) {
            Some(key) => path.replace(MASKED, key),
            None => path.to_owned(),
        }
    }

    /// A text of the recording with our identifiers in it.
    fn ours(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (recorded, ours)| text.replace(recorded, ours))
    }
}

/// Whether an answer tells of a resource on its way to another state.
fn in_passage(answer: &Value) -> bool {
    let states = ["creating", "deleting", "updating", "configuring", "initializing", "provisioning"];
    answer["status"].as_str().is_some_and(|status| states.contains(&status))
}

/// The body with its moments moved by the time that has passed since it was recorded.
fn moved(body: &str, recorded: &Interaction) -> String {
    let date = recorded.response.headers.get("Date").and_then(|values| values.first());
    let date = date.map(|date| date.replace("GMT", "+0000"));
    let Some(then) = date.and_then(|date| OffsetDateTime::parse(&date, &Rfc2822).ok()) else { return body.to_owned() };
    let passed: Duration = OffsetDateTime::now_utc() - then;
    let Ok(moment) = regex::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)") else {
        return body.to_owned();
    };
    moment
        .replace_all(body, |found: &regex::Captures<'_>| {
            let moved = OffsetDateTime::parse(&found[0], &Rfc3339).ok().and_then(|moment| moment.checked_add(passed));
            moved.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| found[0].to_owned())
        })
        .into_owned()
}

/// `GET /vpc/v2/regions/{}/vpcs/{}`.
fn route(method: &Method, path: &str) -> String {
    let path = path.split('?').next().unwrap_or(path);
    let regions = ["fr-par", "nl-ams", "pl-waw", "it-mil"];
    let part = |part: &str| {
        let varies = regions.contains(&part)
            || uuid::Uuid::parse_str(part).is_ok()
            || part.parse::<u64>().is_ok()
            || part.starts_with("SCW");
        if varies { "{}".to_owned() } else { part.to_owned() }
    };
    format!("{method} {}", path.split('/').map(part).collect::<Vec<_>>().join("/"))
}

/// `GET bucket?lifecycle`, `PUT object`.
fn storage_route(method: &Method, address: &str) -> String {
    let Ok(url) = url::Url::parse(address) else { return format!("{method} {address}") };
    let of_service = url.host_str().is_some_and(|host| host.starts_with("s3."));
    let what = match url.path() {
        "/" if of_service => "service",
        "/" => "bucket",
        _ => "object",
    };
    let mut asked: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    asked.sort();
    asked.retain(|name| name != "x-id");
    let query = if asked.is_empty() { String::new() } else { format!("?{}", asked.join("&")) };
    format!("{method} {what}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_told_without_what_varies() {
        let path = "/rdb/v1/regions/fr-par/instances/326abf03-dfa1-4cb2-8fe5-9b5463490fcd/users?page=1";
        assert_eq!(route(&Method::GET, path), "GET /rdb/v1/regions/{}/instances/{}/users");
    }
}

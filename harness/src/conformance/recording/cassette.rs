//! A recording of real traffic, as the provider's module carries it (go-vcr, versions 3 and 4).

use std::path::Path;

use serde::Deserialize;

use crate::Failure;

/// A recording.
#[derive(Debug, Deserialize)]
pub(super) struct Cassette {
    #[serde(default)]
    pub(super) interactions: Vec<Interaction>,
}

/// A request and its answer.
#[derive(Debug, Deserialize)]
pub(super) struct Interaction {
    pub(super) request: Request,
    pub(super) response: Response,
}

/// What was asked.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) body: String,
    #[serde(default)]
    pub(super) headers: std::collections::BTreeMap<String, Vec<String>>,
}

/// What was answered.
#[derive(Debug, Deserialize)]
pub(super) struct Response {
    pub(super) code: u16,
    #[serde(default)]
    pub(super) body: String,
    #[serde(default)]
    pub(super) headers: std::collections::BTreeMap<String, Vec<String>>,
}

impl Response {
    /// A header, whatever the case of its name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, values)| values.first()).map(String::as_str)
    }
}

impl Cassette {
    /// Reads a recording.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let broken = |why: String| {
            Failure::environment(format!("the recording {} cannot be read", path.display()))
                .because(why)
                .next("go clean -modcache, then stackproof conformance --recordings")
        };
        let text = std::fs::read_to_string(path).map_err(|error| broken(error.to_string()))?;
        // What was uploaded is marked as binary, and no UTF-8.
        let options = serde_saphyr::options! { ignore_binary_tag_for_string: true };
        serde_saphyr::from_str_with_options(&text, options).map_err(|error| broken(error.to_string()))
    }

    /// The organisation it was recorded in: the first one named, or in S3 the first owner.
    pub(super) fn organization(&self) -> Option<String> {
        let named = ["organization_id", "project_id"];
        let texts = self.interactions.iter().flat_map(|one| [&one.request.body, &one.response.body]);
        let values: Vec<serde_json::Value> = texts.filter_map(|text| serde_json::from_str(text).ok()).collect();
        let owner = || {
            let owner = regex::Regex::new("<Owner>.*?<ID>([0-9a-f-]{36})").ok()?;
            self.interactions.iter().find_map(|one| Some(owner.captures(&one.response.body)?[1].to_owned()))
        };
        named.iter().find_map(|field| values.iter().find_map(|value| find(value, field))).or_else(owner)
    }
}

fn find(value: &serde_json::Value, field: &str) -> Option<String> {
    match value {
        serde_json::Value::Object(object) => {
            let here = object.get(field).and_then(|found| found.as_str());
            let here = here.filter(|text| uuid::Uuid::parse_str(text).is_ok()).map(str::to_owned);
            here.or_else(|| object.values().find_map(|inner| find(inner, field)))
        }
        serde_json::Value::Array(items) => items.iter().find_map(|item| find(item, field)),
        _ => None,
    }
}

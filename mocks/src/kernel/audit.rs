//! The audit log: who asked for what changes something or reveals a secret, and how it was answered; and
//! what the cloud did by itself because its time had come. It is kept in memory, and never holds a secret.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{Field, Resource, Route};

/// How many entries are remembered.
const KEPT: usize = 10_000;

/// The most of a request's body that is remembered, in bytes of JSON.
const BODY_KEPT: usize = 16 << 10;

/// The longest text of a body that is remembered, in bytes.
const TEXT_KEPT: usize = 1024;

/// The most items of a list that are remembered.
const ITEMS_KEPT: usize = 100;

/// A field whose name has one of these parts may hold a secret.
const SECRET: [&str; 20] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "private_key",
    "api_key",
    "key_material",
    "plaintext",
    "ciphertext",
    "salt",
    "digest",
    "signature",
    "associated_data",
    "headers",
    "environment",
    "webhook",
    "certificate_key",
    "init_sql",
    "authorization",
];

/// One entry of the log.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Its place in the log.
    pub number: u64,
    /// When, on the cloud's clock.
    pub at: OffsetDateTime,
    /// Whose organisation.
    pub organization_id: String,
    /// The project of what it was about, if it has one.
    pub project_id: Option<String>,
    /// The region or zone; empty where there is none.
    pub locality: String,
    /// The kind of resource whose route it was.
    pub kind: &'static str,
    /// Who asked, or that nobody did.
    pub cause: Cause,
    /// What it was about.
    pub about: Vec<About>,
}

/// Why something happened.
#[derive(Clone, Debug)]
pub enum Cause {
    /// Somebody asked for it.
    Request(Asked),
    /// Its time had come.
    Schedule,
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The user or application.
    pub principal_id: String,
    /// What program it says it is.
    pub user_agent: Option<String>,
    /// The identifier in the answer's head.
    pub request_id: String,
    /// The route.
    pub route: Route,
    /// What the request said, without secrets.
    pub body: Map<String, Value>,
    /// The answer's status.
    pub status: u16,
}

/// A resource that an entry is about.
#[derive(Clone, Debug)]
pub struct About {
    /// Its kind.
    pub kind: &'static str,
    /// Its identifier.
    pub id: String,
    /// What answers tell of it, without secrets and lists.
    pub body: Map<String, Value>,
    /// When it was deleted, if it was.
    pub deleted_at: Option<OffsetDateTime>,
}

/// The log.
#[derive(Default)]
pub struct AuditLog {
    entries: RwLock<VecDeque<Arc<AuditEntry>>>,
    next: AtomicU64,
}

impl AuditLog {
    /// Adds an entry; it gets its number here.
    pub fn add(&self, mut entry: AuditEntry) {
        let mut entries = self.entries.write();
        entry.number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        entries.push_back(Arc::new(entry));
        if entries.len() > KEPT {
            entries.pop_front();
        }
    }

    /// The entries that are remembered, the oldest first.
    pub fn entries(&self) -> Vec<Arc<AuditEntry>> {
        self.entries.read().iter().cloned().collect()
    }
}

/// What is remembered of a request's body: nothing that is or may be a secret, and not too much.
pub fn remembered(resource: &Resource, body: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = without_secrets(body, resource.declared_fields(), 0);
    // A list that is null is one of nothing (recorded).
    let lists = resource.declared_fields().iter().filter(|field| field.is_list());
    for field in lists.filter(|field| body.get(field.name()) == Some(&Value::Null)) {
        kept.insert(field.name().to_owned(), Value::Array(Vec::new()));
    }
    let size = serde_json::to_vec(&kept).map_or(usize::MAX, |json| json.len());
    if size > BODY_KEPT { Map::new() } else { kept }
}

/// What is remembered of a resource: its short plain fields.
pub fn described(body: &Map<String, Value>) -> Map<String, Value> {
    let plain = |value: &Value| !value.is_array() && !value.is_object();
    without_secrets(body, &[], 0).into_iter().filter(|(_, value)| plain(value)).collect()
}

fn without_secrets(body: &Map<String, Value>, fields: &[Field], depth: usize) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in body {
        let never_answered = fields.iter().any(|field| field.name() == name && field.input_only);
        if let Some(value) = told(name, value, never_answered, depth) {
            kept.insert(name.clone(), value);
        }
    }
    kept
}

/// A value as it is remembered; none where it is a secret, nothing, or too much.
fn told(name: &str, value: &Value, never_answered: bool, depth: usize) -> Option<Value> {
    let harmless = ["_id", "_ids", "_at", "_scopes"].iter().any(|end| name.ends_with(end));
    match value {
        Value::Null => None,
        Value::Bool(_) | Value::Number(_) => Some(value.clone()),
        _ if !harmless && (never_answered || may_be_secret(name)) => None,
        Value::String(text) => (text.len() <= TEXT_KEPT).then(|| value.clone()),
        Value::Array(items) => {
            let told = |item| told(name, item, false, depth + 1);
            Some(if depth < 8 { items.iter().take(ITEMS_KEPT).filter_map(told).collect() } else { Value::Null })
        }
        Value::Object(object) => (depth < 8).then(|| Value::Object(without_secrets(object, &[], depth + 1))),
    }
}

fn may_be_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "data" | "content") || SECRET.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kernel::optional;

    fn kept(body: Value) -> Value {
        let hidden = optional("hidden").text(0..=9).input_only();
        let resource = Resource::new("x.y").fields([hidden, optional("notes").strings()]);
        Value::Object(remembered(&resource, body.as_object().unwrap()))
    }

    #[test]
    fn secrets_are_left_out_at_any_depth() {
        let body = json!({
            "name": "n", "password": "p", "hidden": "h", "tags": [], "flag": false, "secret_id": "s", "data": "d",
            "member": {"email": "e", "Password": "p"}, "rules": [{"secret_key": "k", "action": "a"}],
            "secret_environment_variables": {"A": "b"}, "description": null, "notes": null,
        });
        let expected = json!({
            "name": "n", "tags": [], "notes": [], "flag": false, "secret_id": "s", "member": {"email": "e"},
            "rules": [{"action": "a"}],
        });
        assert_eq!(kept(body), expected);
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        assert_eq!(kept(json!({"a": "x".repeat(TEXT_KEPT + 1), "b": 1})), json!({"b": 1}));
        let many: Map<String, Value> = (0..50).map(|n| (format!("f{n}"), json!("x".repeat(1000)))).collect();
        assert_eq!(kept(Value::Object(many)), json!({}));
        let mut deep = json!({"name": 1});
        for _ in 0..100 {
            deep = json!({ "inside": deep });
        }
        assert!(kept(deep).to_string().len() < 200);
    }
}

//! One resource, as the public API shows it.

use serde_json::Value;

/// One resource that is there.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// What it is: one of [`super::survey::KINDS`].
    pub(super) kind: &'static str,
    /// The region it was found in; empty for what is in none.
    pub(super) region: String,
    /// Its real name.
    pub(super) name: String,
    /// Its tags as texts, `key:value` where the product keeps the two apart; none where it takes none.
    pub(super) tags: Vec<String>,
    /// What the API says of it, and of what belongs to it.
    pub(super) body: Value,
}

impl Seen {
    /// What is there at a pointer such as `/encryption/enabled`.
    pub(super) fn at(&self, pointer: &str) -> &Value {
        self.body.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// The text at a pointer; empty where there is none.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, pointer: &str) -> bool {
        self.at(pointer) == &Value::Bool(true)
    }

    /// The items of a list.
    pub(super) fn items(&self, pointer: &str) -> impl Iterator<Item = &Value> {
        self.at(pointer).as_array().into_iter().flatten()
    }

    /// Its logical name in the program, which the last part of its `urn` tag says.
    pub(super) fn logical(&self) -> Option<&str> {
        self.tags.iter().find(|tag| tag.starts_with("urn:"))?.rsplit("::").next()
    }

    /// What a waiver may call it.
    pub(super) fn names(&self) -> Vec<&str> {
        self.logical().into_iter().chain([self.name.as_str()]).collect()
    }

    /// What people know it by: `database acme-dev-database`.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

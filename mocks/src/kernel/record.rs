//! One thing the cloud knows: a resource, a bucket, an object version.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// What is kept of one resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What the API answers when asked for it.
    pub body: Map<String, Value>,
    /// What the API never answers: passwords, hashes, private settings.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub hidden: Map<String, Value>,
    /// The passage to another state that the clock will bring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Passage>,
}

/// A scheduled passage from the present state to another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The state that will be reached; `None`: the resource will be gone.
    pub to: Option<String>,
    /// When, on the cloud's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub due: OffsetDateTime,
}

impl Record {
    /// A record whose body is this value. `value` must serialise to a JSON object;
    /// anything else gives an empty body, which a type that derives `Serialize` on
    /// a struct never does.
    pub fn of<T: Serialize>(value: &T) -> Self {
        let body = match serde_json::to_value(value) {
            Ok(Value::Object(body)) => body,
            _ => Map::new(),
        };
        Self { body, ..Self::default() }
    }

    /// The body as a typed value.
    ///
    /// # Errors
    /// When the body does not have the type's shape.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&Value::Object(self.body.clone()))
    }

    /// A text field of the body; empty when absent or not a text.
    pub fn text(&self, field: &str) -> &str {
        self.body.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A text field of the body, or else of what is hidden; empty when neither has it. What a
    /// record belongs to need not be answered: a container's token tells its container only,
    /// not the namespace.
    pub fn text_or_hidden(&self, field: &str) -> &str {
        self.body.get(field).or_else(|| self.hidden.get(field)).and_then(Value::as_str).unwrap_or_default()
    }
}

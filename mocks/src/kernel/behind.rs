//! What runs behind the API, as the kernel sees it.

use serde_json::Value;

use super::Tables;

/// What runs behind the API: databases, containers, networks.
#[async_trait::async_trait]
pub trait Behind: Send + Sync {
    /// Whether what runs depends on records of this kind: whoever changes one waits for it.
    fn concerns(&self, kind: &str) -> bool;

    /// Whether anything runs behind records of this kind on this machine.
    fn runs(&self, kind: &str) -> bool;

    /// What is to be known right now of what runs behind a record, and is in no record; null where nothing is.
    fn told(&self, kind: &str, key: &str) -> Value;

    /// Whether a record has to stay in the state it passes through: what it promises is not there yet.
    fn holds(&self, tables: &Tables, kind: &str, key: &str) -> bool;

    /// Waits until what runs behind the records of these keys is as they say, or is known not to come to be.
    async fn reached(&self, keys: &[String]);
}

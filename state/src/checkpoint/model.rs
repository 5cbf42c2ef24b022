//! A checkpoint as Pulumi writes it, in types. What is not known here is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What marks a special value, such as a secret, in an object of properties.
pub(crate) const SIGNATURE: &str = "4dabf18193072939515e22adb298388d";
/// The mark of a secret.
pub(crate) const SECRET: &str = "1b47061264138c4ac30d75fd1eb44270";

/// The state of a stack: what `.pulumi/stacks/<project>/<stack>.json` holds.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// The version of the format.
    pub version: u64,
    /// The last deployment; none before the first update.
    pub latest: Option<Deployment>,
}

/// The resources of a stack, as the last update left them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Deployment {
    /// When and by which version of Pulumi it was written.
    #[serde(default)]
    pub manifest: Manifest,
    /// What encrypts the secrets in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_providers: Option<SecretsProvider>,
    /// The resources, each behind those it needs.
    #[serde(default, deserialize_with = "list")]
    pub resources: Vec<Resource>,
    /// What was begun and not ended.
    #[serde(default, deserialize_with = "list")]
    pub pending_operations: Vec<PendingOperation>,
    /// What else there is.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Who wrote a checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// When.
    #[serde(default)]
    pub time: String,
    /// A digest of the version.
    #[serde(default)]
    pub magic: String,
    /// The version of Pulumi.
    #[serde(default)]
    pub version: String,
    /// What else there is.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What encrypts the secrets of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecretsProvider {
    /// `passphrase`, `cloud`, `service`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// What it needs to find its key, apart from the secret itself.
    #[serde(default)]
    pub state: Value,
}

/// A resource in a checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Its name within all of Pulumi.
    pub urn: String,
    /// Its type, such as `scaleway:network/vpc:Vpc`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its identifier at the provider.
    #[serde(default)]
    pub id: Option<String>,
    /// Whether a provider manages it.
    #[serde(default)]
    pub custom: bool,
    /// Whether its deletion is pending.
    #[serde(default)]
    pub delete: bool,
    /// Its parent's URN.
    #[serde(default)]
    pub parent: Option<String>,
    /// Its provider: `URN::id`.
    #[serde(default)]
    pub provider: Option<String>,
    /// The URNs it depends on.
    #[serde(default, deserialize_with = "list")]
    pub dependencies: Vec<String>,
    /// The URNs that each of its inputs depends on.
    #[serde(default, deserialize_with = "lists")]
    pub property_dependencies: BTreeMap<String, Option<Vec<String>>>,
    /// What the program gave.
    #[serde(default, deserialize_with = "object")]
    pub inputs: Map<String, Value>,
    /// What the provider answered.
    #[serde(default, deserialize_with = "object")]
    pub outputs: Map<String, Value>,
    /// Whether it may not be deleted.
    #[serde(default)]
    pub protect: bool,
    /// Whether it is only read.
    #[serde(default)]
    pub external: bool,
    /// Whether it was deleted and is yet to be made again.
    #[serde(default)]
    pub pending_replacement: bool,
    /// The URN with whose deletion it is gone.
    #[serde(default)]
    pub deleted_with: Option<String>,
    /// URNs it had before.
    #[serde(default, deserialize_with = "list")]
    pub aliases: Vec<String>,
    /// What else there is.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What was begun and not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingOperation {
    /// What it was begun with.
    pub resource: Resource,
    /// `creating`, `updating`, `deleting`, `reading` or `importing`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Go writes an empty list as `null` sometimes.
fn list<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn object<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Map<String, Value>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn lists<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Option<Vec<String>>>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct File {
    version: u64,
    checkpoint: Option<Body>,
    deployment: Option<Deployment>,
}

#[derive(Deserialize)]
struct Body {
    latest: Option<Deployment>,
}

impl Checkpoint {
    /// Reads a checkpoint, or what `pulumi stack export` printed.
    ///
    /// # Errors
    /// When it is none, or of a format that is not known here.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        let file: File = serde_json::from_slice(json).map_err(|error| format!("it is no checkpoint: {error}"))?;
        // 4 is 3 with the features it needs named.
        if !(3..=4).contains(&file.version) {
            return Err(format!("its format is version {}, known are 3 and 4", file.version));
        }
        match (file.checkpoint, file.deployment) {
            (Some(body), _) => Ok(Self { version: file.version, latest: body.latest }),
            (None, Some(latest)) => Ok(Self { version: file.version, latest: Some(latest) }),
            (None, None) => Err("it is no checkpoint: it has neither `checkpoint` nor `deployment`".to_owned()),
        }
    }

    /// The resources; none before the first update.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        self.latest.as_ref().map_or(&[], |latest| &latest.resources)
    }

    /// What was begun and not ended.
    #[must_use]
    pub fn pending(&self) -> &[PendingOperation] {
        self.latest.as_ref().map_or(&[], |latest| &latest.pending_operations)
    }
}

impl Resource {
    /// Whether it is a provider.
    #[must_use]
    pub fn is_provider(&self) -> bool {
        self.kind.starts_with("pulumi:providers:")
    }

    /// How another resource names it as its provider.
    pub(crate) fn reference(&self) -> String {
        format!("{}::{}", self.urn, self.id.as_deref().unwrap_or_default())
    }

    /// Its own name: the last part of its URN.
    #[must_use]
    pub fn name(&self) -> &str {
        self.urn.rsplit("::").next().unwrap_or(&self.urn)
    }
}

/// The ciphertext of a secret (or an empty text where it lies in the clear); none if the value is no secret.
pub(crate) fn secret(value: &Value) -> Option<&str> {
    let object = value.as_object()?;
    (object.get(SIGNATURE)?.as_str()? == SECRET)
        .then(|| object.get("ciphertext").and_then(Value::as_str).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_kept() {
        let text = br#"{"version":3,"checkpoint":{"stack":"organization/p/s","latest":{"manifest":{"time":"t","magic":"m","version":"v","plugins":[1]},
            "resources":[{"urn":"u","type":"t","custom":true,"dependencies":null,"inputs":null,"sourcePosition":"x"}],"metadata":{"new":1}}}}"#;
        let checkpoint = Checkpoint::read(text).unwrap();
        let latest = checkpoint.latest.unwrap();
        assert_eq!(latest.rest["metadata"]["new"], 1);
        assert_eq!(latest.manifest.rest["plugins"][0], 1);
        assert_eq!(latest.resources[0].rest["sourcePosition"], "x");
        let again = serde_json::to_value(&latest).unwrap();
        assert_eq!(again["resources"][0]["sourcePosition"], "x");
    }

    #[test]
    fn a_stack_without_an_update_has_no_resources() {
        let checkpoint = Checkpoint::read(br#"{"version":3,"checkpoint":{"stack":"s"}}"#).unwrap();
        assert!(checkpoint.latest.is_none() && checkpoint.resources().is_empty());
    }

    #[test]
    fn what_is_no_checkpoint_is_told() {
        for text in [&b"{}"[..], b"", b"{\"version\":3}", br#"{"version":99,"checkpoint":{}}"#] {
            assert!(Checkpoint::read(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }
}

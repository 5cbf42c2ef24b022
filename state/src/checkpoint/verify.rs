//! Whether a checkpoint is whole: what Pulumi itself demands of a snapshot, and more.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    Checkpoint, Deployment, Resource,
    secrets::{Key, Problem},
};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// It has to be dealt with before the next update.
    Pending,
    /// The checkpoint is not whole.
    Error,
}

/// What was found in a checkpoint. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A short name that stays the same.
    pub kind: &'static str,
    /// Which resource it is about.
    pub urn: Option<String>,
    /// What was found.
    pub what: String,
    /// What it means.
    pub meaning: &'static str,
    /// What to do next.
    pub next: String,
}

/// The result of looking through a checkpoint.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// How many resources there are.
    pub resources: usize,
    /// How many secrets there are.
    pub secrets: usize,
    /// How many of them were decrypted; none if no passphrase was given.
    pub decrypted: Option<usize>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Whether the checkpoint is whole. Pending operations do not make it less so.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.errors().next().is_none()
    }

    /// What makes it not whole.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error)
    }
}

const REPAIR: &str =
    "restore the last whole version: `stackproof state history`, then `stackproof state restore VERSION`";
const ORDER: &str = "Pulumi refuses to read a state in which a resource comes before what it needs";
const GONE: &str = "Pulumi refuses to read a state that refers to what is not in it";

/// Looks through a checkpoint; with a passphrase also whether every secret in it can be decrypted, which takes about
/// a second for the key.
#[must_use]
pub fn verify(checkpoint: &Checkpoint, passphrase: Option<&str>) -> Verdict {
    let mut verdict = Verdict::default();
    let Some(latest) = &checkpoint.latest else { return verdict };
    verdict.resources = latest.resources.len();
    manifest(latest, &mut verdict);
    references(&latest.resources, &mut verdict);
    pending(latest, &mut verdict);
    secrets(latest, passphrase, &mut verdict);
    verdict
}

fn manifest(latest: &Deployment, verdict: &mut Verdict) {
    let version = &latest.manifest.version;
    let expected = if version.is_empty() { String::new() } else { hex::encode(Sha256::digest(version)) };
    if latest.manifest.magic != expected {
        verdict.findings.push(Finding {
            severity: Severity::Error,
            kind: "manifest",
            urn: None,
            what: "the manifest's magic is not that of its version".to_owned(),
            meaning: "Pulumi takes it for tampering or damage, and refuses to read the state",
            next: REPAIR.to_owned(),
        });
    }
}

/// Every reference is to a resource that came before: parents, providers, dependencies.
fn references(resources: &[Resource], verdict: &mut Verdict) {
    let all: HashSet<&str> = resources.iter().map(|resource| resource.urn.as_str()).collect();
    let all_providers: HashSet<String> =
        resources.iter().filter(|r| r.is_provider()).map(Resource::reference).collect();
    let mut before: HashSet<&str> = HashSet::new();
    let mut providers: HashSet<String> = HashSet::new();
    let mut found = |kind, resource: &Resource, what: String, meaning| {
        verdict.findings.push(Finding {
            severity: Severity::Error,
            kind,
            urn: Some(resource.urn.clone()),
            what,
            meaning,
            next: REPAIR.to_owned(),
        });
    };
    for resource in resources {
        if resource.urn.is_empty() || resource.kind.is_empty() {
            found("nameless", resource, "a resource has no URN or type".to_owned(), "nobody can tell what it is");
        }
        if resource.custom
            && !resource.external
            && !resource.pending_replacement
            && resource.id.as_deref().unwrap_or_default().is_empty()
        {
            found(
                "no-id",
                resource,
                format!("{} has no identifier", resource.urn),
                "its provider cannot find it, so it can neither be changed nor deleted",
            );
        }
        let urns = resource.parent.iter().map(|urn| ("parent", urn));
        let urns = urns.chain(resource.dependencies.iter().map(|urn| ("dependency", urn)));
        let of_properties = resource.property_dependencies.values().flatten().flatten();
        let urns = urns.chain(of_properties.map(|urn| ("property dependency", urn)));
        let urns = urns.chain(resource.deleted_with.iter().map(|urn| ("deleted-with", urn)));
        let mut told = HashSet::new();
        for (how, urn) in urns.filter(|(_, urn)| !urn.is_empty()) {
            if before.contains(urn.as_str()) || !told.insert((how, urn)) {
                continue;
            }
            if all.contains(urn.as_str()) {
                found("order", resource, format!("{}: its {how} {urn} comes after it", resource.urn), ORDER);
            } else {
                found("missing", resource, format!("{}: its {how} {urn} is not there", resource.urn), GONE);
            }
        }
        if let Some(provider) = resource.provider.as_ref().filter(|provider| !provider.is_empty())
            && !providers.contains(provider)
        {
            if all_providers.contains(provider) {
                found("order", resource, format!("{}: its provider {provider} comes after it", resource.urn), ORDER);
            } else {
                found("missing", resource, format!("{}: its provider {provider} is not there", resource.urn), GONE);
            }
        }
        if resource.is_provider() {
            providers.insert(resource.reference());
        }
        // All but one with the same URN are to be deleted, and come behind it.
        if !before.insert(&resource.urn) && !resource.delete {
            found(
                "duplicate",
                resource,
                format!("{} is there twice and not marked for deletion", resource.urn),
                "Pulumi refuses to read a state in which two resources have one name",
            );
        }
    }
}

fn pending(latest: &Deployment, verdict: &mut Verdict) {
    for operation in &latest.pending_operations {
        verdict.findings.push(Finding {
            severity: Severity::Pending,
            kind: "pending",
            urn: Some(operation.resource.urn.clone()),
            what: format!("{} was being {}", operation.resource.urn, past(&operation.kind)),
            meaning: "an update was ended before it knew how this ended; what is there and what the state says may differ",
            next: "stackproof state recover".to_owned(),
        });
    }
    let metadata = latest.rest.get("metadata").and_then(|metadata| metadata.get("integrity_error"));
    if let Some(error) = metadata.filter(|error| !error.is_null()) {
        verdict.findings.push(Finding {
            severity: Severity::Error,
            kind: "integrity",
            urn: None,
            what: format!(
                "Pulumi wrote it although it was not whole: {}",
                error["error"].as_str().unwrap_or("no reason told")
            ),
            meaning: "the update that wrote it met an error of Pulumi's own",
            next: REPAIR.to_owned(),
        });
    }
}

/// `created` of `creating`.
pub(super) fn past(kind: &str) -> String {
    match kind.strip_suffix("ing") {
        Some("read") => "read".to_owned(),
        Some(stem) => format!("{stem}ed"),
        None => kind.to_owned(),
    }
}

fn secrets(latest: &Deployment, passphrase: Option<&str>, verdict: &mut Verdict) {
    let mut ciphertexts: Vec<(&Resource, String, &str)> = Vec::new();
    let operations = latest.pending_operations.iter().map(|operation| &operation.resource);
    for resource in latest.resources.iter().chain(operations) {
        for (side, properties) in [("inputs", &resource.inputs), ("outputs", &resource.outputs)] {
            for (name, value) in properties {
                super::secrets::find(&format!("{side}.{name}"), value, &mut |path, ciphertext| {
                    ciphertexts.push((resource, path.to_owned(), ciphertext));
                });
            }
        }
    }
    verdict.secrets = ciphertexts.len();
    let mut found = |severity, kind, urn: Option<&Resource>, what: String, meaning, next: &str| {
        verdict.findings.push(Finding {
            severity,
            kind,
            urn: urn.map(|resource| resource.urn.clone()),
            what,
            meaning,
            next: next.to_owned(),
        });
    };
    for &(resource, ref path, _) in ciphertexts.iter().filter(|(_, _, ciphertext)| ciphertext.is_empty()) {
        found(
            Severity::Error,
            "clear",
            Some(resource),
            format!("{}: {path} is a secret that lies in the clear", resource.urn),
            "whoever may read the bucket, or any of its copies, knows it",
            "rotate it (`stackproof rotate`), and import the state again through Pulumi, which encrypts it",
        );
    }
    let Some(passphrase) = passphrase else { return };
    let provider = match &latest.secrets_providers {
        Some(provider) if provider.kind == "passphrase" => provider,
        Some(provider) => {
            let what = format!("the secrets are encrypted by {}, not by a passphrase", provider.kind);
            found(
                Severity::Note,
                "secrets",
                None,
                what,
                "whether they can be decrypted was not tried",
                "pulumi stack export --show-secrets",
            );
            return;
        }
        None if ciphertexts.is_empty() => return,
        None => {
            found(
                Severity::Error,
                "secrets",
                None,
                "there are secrets, and nothing says what encrypts them".to_owned(),
                "nobody can decrypt them",
                REPAIR,
            );
            return;
        }
    };
    let key = match Key::open(provider, passphrase) {
        Ok(key) => key,
        Err(problem) => {
            let (what, next) = match problem {
                Problem::WrongPassphrase => (
                    "the passphrase is not the one of this state",
                    "give the passphrase of the time the state was written: older versions of the secret in Secret Manager hold older ones",
                ),
                Problem::NotUnderstood => ("what the state says of its key is not understood", REPAIR),
            };
            found(
                Severity::Error,
                "passphrase",
                None,
                what.to_owned(),
                "no secret in it can be decrypted with what there is",
                next,
            );
            return;
        }
    };
    let mut decrypted = 0;
    for &(resource, ref path, ciphertext) in ciphertexts.iter().filter(|(_, _, ciphertext)| !ciphertext.is_empty()) {
        if key.opens(ciphertext) {
            decrypted += 1;
        } else {
            found(
                Severity::Error,
                "ciphertext",
                Some(resource),
                format!("{}: {path} cannot be decrypted", resource.urn),
                "it was damaged, or encrypted with another passphrase; the next update of this resource fails",
                REPAIR,
            );
        }
    }
    verdict.decrypted = Some(decrypted);
}

/// Which resources there are, by URN: the one that is not to be deleted where there are several.
pub(super) fn by_urn(resources: &[Resource]) -> HashMap<&str, &Resource> {
    let mut all = HashMap::new();
    for resource in resources {
        all.entry(resource.urn.as_str())
            .and_modify(|known: &mut &Resource| {
                if known.delete && !resource.delete {
                    *known = resource;
                }
            })
            .or_insert(resource);
    }
    all
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::checkpoint::model::{SECRET, SIGNATURE};

    /// A state of a provider, a stack and a resource that needs both.
    pub(crate) fn whole() -> Value {
        json!({"version": 3, "checkpoint": {"stack": "organization/shop/dev", "latest": {
        "manifest": {"time": "2026-01-01T00:00:00Z", "magic": hex::encode(Sha256::digest("v3.259.0")), "version": "v3.259.0"},
        "resources": [
            {"urn": "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev", "type": "pulumi:pulumi:Stack", "custom": false},
            {"urn": "urn:pulumi:dev::shop::pulumi:providers:scaleway::default", "type": "pulumi:providers:scaleway", "custom": true, "id": "p1"},
            {"urn": "urn:pulumi:dev::shop::scaleway:network/vpc:Vpc::main", "type": "scaleway:network/vpc:Vpc", "custom": true, "id": "fr-par/1",
             "parent": "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev",
             "provider": "urn:pulumi:dev::shop::pulumi:providers:scaleway::default::p1",
             "dependencies": ["urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev"],
             "propertyDependencies": {"name": null, "tags": ["urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev"]}},
        ]}}})
    }

    fn look(change: impl FnOnce(&mut Value)) -> Vec<&'static str> {
        let mut state = whole();
        change(&mut state["checkpoint"]["latest"]);
        let checkpoint = Checkpoint::read(state.to_string().as_bytes()).unwrap();
        verify(&checkpoint, None).findings.iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn a_whole_state_has_no_findings() {
        assert_eq!(look(|_| {}), [] as [&str; 0]);
    }

    #[rstest]
    #[case::parent("parent", json!("urn:gone"), "missing")]
    #[case::provider("provider", json!("urn:gone::1"), "missing")]
    #[case::dependency("dependencies", json!(["urn:gone"]), "missing")]
    #[case::property("propertyDependencies", json!({"a": ["urn:gone"]}), "missing")]
    #[case::deleted_with("deletedWith", json!("urn:gone"), "missing")]
    #[case::itself("dependencies", json!(["urn:pulumi:dev::shop::scaleway:network/vpc:Vpc::main"]), "order")]
    #[case::no_id("id", json!(""), "no-id")]
    fn a_reference_to_nothing_is_found(#[case] field: &str, #[case] value: Value, #[case] expected: &str) {
        assert_eq!(look(|latest| latest["resources"][2][field] = value), [expected]);
    }

    #[test]
    fn a_resource_before_what_it_needs_is_found() {
        let kinds = look(|latest| latest["resources"].as_array_mut().unwrap().reverse());
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == "order"), "{kinds:?}");
    }

    #[test]
    fn two_with_one_name_are_found_unless_one_is_to_be_deleted() {
        let again = |delete: bool| {
            look(|latest| {
                let mut copy = latest["resources"][2].clone();
                copy["delete"] = delete.into();
                latest["resources"].as_array_mut().unwrap().push(copy);
            })
        };
        assert_eq!(again(false), ["duplicate"]);
        assert_eq!(again(true), [] as [&str; 0]);
    }

    #[test]
    fn what_is_under_way_is_listed_and_does_not_make_it_less_whole() {
        let mut state = whole();
        let resource = state["checkpoint"]["latest"]["resources"][2].clone();
        state["checkpoint"]["latest"]["pending_operations"] = json!([{"resource": resource, "type": "creating"}]);
        let verdict = verify(&Checkpoint::read(state.to_string().as_bytes()).unwrap(), None);
        assert!(verdict.is_whole());
        assert_eq!(verdict.findings[0].severity, Severity::Pending);
        assert!(verdict.findings[0].what.ends_with("was being created"), "{}", verdict.findings[0].what);
    }

    #[test]
    fn another_version_than_the_magic_says_is_found() {
        assert_eq!(look(|latest| latest["manifest"]["version"] = "v9".into()), ["manifest"]);
    }

    #[test]
    fn a_secret_in_the_clear_is_found_and_not_told() {
        let mut state = whole();
        let secret = json!({SIGNATURE: SECRET, "plaintext": "\"hunter2\""});
        state["checkpoint"]["latest"]["resources"][2]["inputs"] = json!({"list": [secret]});
        let verdict = verify(&Checkpoint::read(state.to_string().as_bytes()).unwrap(), None);
        assert_eq!(verdict.findings[0].kind, "clear");
        assert!(verdict.findings[0].what.contains("inputs.list[0]"));
        assert!(!serde_json::to_string(&verdict).unwrap().contains("hunter2"));
    }
}

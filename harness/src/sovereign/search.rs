//! Looking in the cloud for what an interrupted run was making.
//!
//! A run that is killed between Scaleway's answer and the state's save leaves something that nobody's state knows. Names
//! are computed, never random (`infra/stackproof_infra/place.py`), so that it can be found by its type and inputs.

use reqwest::Method;
use serde_json::{Map, Value};
use stackproof_state::checkpoint::Resource;

use crate::{
    Failure,
    target::{Api, Target},
};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is there: its import identifier.
    There(String),
    /// It is not there, or it is something that making again does not make twice.
    Absent,
    /// It is there and its secret half is lost for ever, so that it is of no use: what it was. It was removed.
    Useless(String),
    /// Nobody knows where to look.
    Unknown,
}

/// How a type is looked for.
enum Way {
    /// In a list of its region, by its name: path with `{region}`, the list's key.
    Regional(&'static str, &'static str),
    /// In a list of the organisation, by its name.
    Global(&'static str, &'static str),
    /// It belongs to something else whole: writing it again is writing it once.
    Repeatable,
    /// By a function of its own.
    Special,
}

/// Types of the two programs. Path and key are those of Scaleway's lists; import identifiers those of `infra/README.md`.
const WAYS: &[(&str, Way)] = &[
    ("network/vpc:Vpc", Way::Regional("/vpc/v2/regions/{region}/vpcs", "vpcs")),
    (
        "network/privateNetwork:PrivateNetwork",
        Way::Regional("/vpc/v2/regions/{region}/private-networks", "private_networks"),
    ),
    ("iam/application:Application", Way::Global("/iam/v1alpha1/applications", "applications")),
    ("iam/group:Group", Way::Global("/iam/v1alpha1/groups", "groups")),
    ("iam/policy:Policy", Way::Global("/iam/v1alpha1/policies", "policies")),
    ("iam/apiKey:ApiKey", Way::Special),
    ("databases/instance:Instance", Way::Regional("/rdb/v1/regions/{region}/instances", "instances")),
    ("databases/database:Database", Way::Special),
    ("databases/user:User", Way::Special),
    ("databases/privilege:Privilege", Way::Repeatable),
    ("databases/acl:Acl", Way::Repeatable),
    (
        "databases/serverlessDatabase:ServerlessDatabase",
        Way::Regional("/serverless-sqldb/v1alpha1/regions/{region}/databases", "databases"),
    ),
    ("object/bucket:Bucket", Way::Special),
    ("object/bucketPolicy:BucketPolicy", Way::Repeatable),
    ("object/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", Way::Repeatable),
    ("secrets/secret:Secret", Way::Regional("/secret-manager/v1beta1/regions/{region}/secrets", "secrets")),
    ("secrets/version:Version", Way::Special),
    ("keymanager/key:Key", Way::Regional("/key-manager/v1alpha1/regions/{region}/keys", "keys")),
    ("containers/namespace:Namespace", Way::Regional("/containers/v1/regions/{region}/namespaces", "namespaces")),
    ("containers/container:Container", Way::Regional("/containers/v1/regions/{region}/containers", "containers")),
    ("containers/trigger:Trigger", Way::Regional("/containers/v1/regions/{region}/triggers", "triggers")),
    ("containers/domain:Domain", Way::Regional("/containers/v1/regions/{region}/domains", "domains")),
    ("observability/source:Source", Way::Regional("/cockpit/v1/regions/{region}/data-sources", "data_sources")),
    ("observability/token:Token", Way::Special),
    ("observability/alertManager:AlertManager", Way::Repeatable),
    ("registry/namespace:Namespace", Way::Regional("/registry/v1/regions/{region}/namespaces", "namespaces")),
];

/// What to run when the cloud answers again.
const LOOK: &str = "stackproof state recover --look";

/// Looks for resources of one cloud.
pub(super) struct Search<'a> {
    target: &'a Target,
    api: Api,
    /// Identifiers that the state knows: what has one of them is something else.
    known: Vec<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(target: &'a Target, known: Vec<String>) -> Result<Self, Failure> {
        Ok(Self { target, api: target.api()?, known })
    }

    /// Looks for one; removes it where it is of no use.
    pub(super) async fn look(&self, resource: &Resource) -> Result<Found, Failure> {
        let kind = resource.kind.strip_prefix("scaleway:").unwrap_or(&resource.kind);
        if resource.kind.starts_with("pulumi:providers:") {
            return Ok(Found::Absent);
        }
        let Some((_, way)) = WAYS.iter().find(|(known, _)| *known == kind) else { return Ok(Found::Unknown) };
        let inputs = &resource.inputs;
        match way {
            Way::Repeatable => Ok(Found::Absent),
            Way::Global(path, list) => {
                let ids = self.named(path, list, inputs).await?;
                Ok(self.only(ids))
            }
            Way::Regional(path, list) => {
                let region = self.region(inputs);
                let path = path.replace("{region}", &region);
                let ids = self.named(&path, list, inputs).await?;
                Ok(self.only(ids.into_iter().map(|id| format!("{region}/{id}")).collect()))
            }
            Way::Special => match kind {
                "object/bucket:Bucket" => self.bucket(inputs).await,
                "databases/database:Database" => self.of_instance(inputs, "databases").await,
                "databases/user:User" => self.of_instance(inputs, "users").await,
                "secrets/version:Version" => self.version(inputs).await,
                "iam/apiKey:ApiKey" => self.api_key(inputs).await,
                "observability/token:Token" => self.token(inputs).await,
                _ => Ok(Found::Unknown),
            },
        }
    }

    fn region(&self, inputs: &Map<String, Value>) -> String {
        text(inputs, "region").unwrap_or(&self.target.environment().credentials().region).to_owned()
    }

    /// One that the state does not know yet. More than one cannot be told apart by anybody but a person.
    fn only(&self, mut ids: Vec<String>) -> Found {
        ids.retain(|id| !self.known.contains(id));
        match ids.len() {
            0 => Found::Absent,
            1 => Found::There(ids.remove(0)),
            _ => Found::Unknown,
        }
    }

    /// Identifiers of what has the inputs' name, and their project, namespace or host name where they say one.
    async fn named(&self, path: &str, list: &str, inputs: &Map<String, Value>) -> Result<Vec<String>, Failure> {
        let items = self.list(path, list).await?;
        let same = |item: &Value, input: &str, field: &str| match text(inputs, input) {
            Some(wanted) => item[field].as_str().is_none_or(|is| is == bare(wanted)),
            None => true,
        };
        let is_it = |item: &&Value| {
            let name = text(inputs, "name").or_else(|| text(inputs, "hostname"));
            let named = item["name"].as_str().or_else(|| item["hostname"].as_str());
            name.is_some()
                && name == named
                && same(item, "projectId", "project_id")
                && same(item, "namespaceId", "namespace_id")
                && same(item, "containerId", "container_id")
                && same(item, "vpcId", "vpc_id")
        };
        Ok(items.iter().filter(is_it).filter_map(|item| item["id"].as_str().map(str::to_owned)).collect())
    }

    /// A whole list; nothing where what it is a list of is not there.
    async fn list(&self, path: &str, list: &str) -> Result<Vec<Value>, Failure> {
        match self.api.all(path, list).await? {
            Ok(items) => Ok(items),
            Err(answer) if answer.status == 404 => Ok(Vec::new()),
            Err(answer) => Err(Failure::failed(format!("GET {path} answered {}", answer.status))
                .because(answer.body["message"].as_str().unwrap_or("no message"))
                .next("stackproof state recover, with credentials that may read")),
        }
    }

    async fn bucket(&self, inputs: &Map<String, Value>) -> Result<Found, Failure> {
        let Some(name) = text(inputs, "name") else { return Ok(Found::Unknown) };
        let project = text(inputs, "projectId").unwrap_or(&self.target.environment().credentials().project_id);
        let storage = self.target.object_storage()?.in_project(bare(project));
        match storage.head_bucket(name).await? {
            404 => Ok(Found::Absent),
            // 403: its policy is in place, and names others.
            200 | 403 => Ok(self.only(vec![format!("{}/{name}", self.region(inputs))])),
            status => Err(Failure::failed(format!("HEAD of bucket {name} answered {status}")).next(LOOK)),
        }
    }

    /// Something of a database instance that is told apart by its name.
    async fn of_instance(&self, inputs: &Map<String, Value>, list: &str) -> Result<Found, Failure> {
        let (Some(instance), Some(name)) = (text(inputs, "instanceId"), text(inputs, "name")) else {
            return Ok(Found::Unknown);
        };
        let (region, id) = (self.region(inputs), bare(instance));
        let items = self.list(&format!("/rdb/v1/regions/{region}/instances/{id}/{list}"), list).await?;
        let there = items.iter().any(|item| item["name"] == name);
        Ok(if there { self.only(vec![format!("{region}/{id}/{name}")]) } else { Found::Absent })
    }

    /// The newest version of a secret, if the state does not know it.
    async fn version(&self, inputs: &Map<String, Value>) -> Result<Found, Failure> {
        let Some(secret) = text(inputs, "secretId") else { return Ok(Found::Unknown) };
        let (region, id) = (self.region(inputs), bare(secret));
        let path = format!("/secret-manager/v1beta1/regions/{region}/secrets/{id}/versions");
        let items = self.list(&path, "versions").await?;
        let newest = items.iter().filter_map(|item| item["revision"].as_u64()).max();
        Ok(newest.map_or(Found::Absent, |revision| self.only(vec![format!("{region}/{id}/{revision}")])))
    }

    /// A key of the application that the state does not know: its secret was told once, to the run that was killed.
    async fn api_key(&self, inputs: &Map<String, Value>) -> Result<Found, Failure> {
        let Some(application) = text(inputs, "applicationId") else { return Ok(Found::Unknown) };
        let path = format!("/iam/v1alpha1/api-keys?bearer_id={application}");
        let items = self.list(&path, "api_keys").await?;
        let description = text(inputs, "description").unwrap_or_default();
        for key in items.iter().filter(|key| key["application_id"] == application && key["description"] == description)
        {
            let Some(access_key) = key["access_key"].as_str() else { continue };
            if !self.known.iter().any(|known| known == access_key) {
                self.remove(&format!("/iam/v1alpha1/api-keys/{access_key}")).await?;
                return Ok(Found::Useless(format!("API key {access_key}")));
            }
        }
        Ok(Found::Absent)
    }

    /// The same for a token of Cockpit's.
    async fn token(&self, inputs: &Map<String, Value>) -> Result<Found, Failure> {
        let region = self.region(inputs);
        let path = format!("/cockpit/v1/regions/{region}/tokens");
        for id in self.named(&path, "tokens", inputs).await? {
            if !self.known.contains(&format!("{region}/{id}")) {
                self.remove(&format!("{path}/{id}")).await?;
                return Ok(Found::Useless(format!("token {id}")));
            }
        }
        Ok(Found::Absent)
    }

    async fn remove(&self, path: &str) -> Result<(), Failure> {
        let answer = self.api.send(Method::DELETE, path, None).await?;
        match answer.status {
            200 | 204 | 404 => Ok(()),
            status => Err(Failure::failed(format!("DELETE {path} answered {status}"))
                .because(answer.body["message"].as_str().unwrap_or("no message"))
                .next(LOOK)),
        }
    }
}

fn text<'a>(inputs: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    inputs.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// An identifier without its region.
fn bare(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

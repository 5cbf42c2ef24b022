//! What there is in a cloud, asked of its public APIs: never of Pulumi's state.

use std::collections::BTreeSet;

use serde_json::Value;
use stackproof::{Failure, target::Target};

/// What Scaleway keeps when everything of a project has been deleted: its default VPC, and the Cockpit data
/// sources that its products write to.
pub const LEFT_BY_SCALEWAY: [&str; 4] =
    ["vpcs/default", "data-sources/Scaleway Metrics", "data-sources/Scaleway Logs", "data-sources/Scaleway Traces"];

/// The lists of a project's resources: product with version, list, and where an item tells its name.
const OF_PROJECT: [(&str, &str, &str); 15] = [
    ("vpc/v2", "vpcs", "/name"),
    ("vpc/v2", "private-networks", "/name"),
    ("ipam/v1", "ips", "/address"),
    ("rdb/v1", "instances", "/name"),
    ("serverless-sqldb/v1alpha1", "databases", "/name"),
    ("secret-manager/v1beta1", "secrets", "/name"),
    ("key-manager/v1alpha1", "keys", "/name"),
    ("registry/v1", "namespaces", "/name"),
    ("containers/v1", "namespaces", "/name"),
    ("containers/v1", "containers", "/name"),
    ("containers/v1", "triggers", "/name"),
    ("containers/v1", "domains", "/hostname"),
    ("cockpit/v1", "data-sources", "/name"),
    ("cockpit/v1", "tokens", "/name"),
    ("cockpit/v1", "alert-manager/contact-points", "/email/to"),
];

/// The lists of an organisation's resources, of which only those of this prefix are ours.
const OF_ORGANIZATION: [&str; 3] = ["applications", "groups", "policies"];

/// What there is, as `list/name`. Deleted secrets and keys are not listed by Scaleway either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory(BTreeSet<String>);

impl Inventory {
    /// Looks at a project's resources, at the organisation's that carry the prefix, and at these buckets by name.
    ///
    /// # Errors
    /// When the cloud does not answer, or refuses to.
    pub async fn take(target: &Target, project: &str, prefix: &str, buckets: &[String]) -> Result<Self, Failure> {
        let api = target.api()?;
        let mut found = BTreeSet::new();
        for (product, list, name) in OF_PROJECT {
            let path = format!("{}?project_id={project}&page_size=100", api.regional(product, list));
            found.extend(names(&api.get(&path).await?.body, list, name, &path)?);
        }
        for list in OF_ORGANIZATION {
            let path = format!("/iam/v1alpha1/{list}?page_size=100");
            let listed = names(&api.get(&path).await?.body, list, "/name", &path)?;
            found.extend(listed.into_iter().filter(|item| item.starts_with(&format!("{list}/{prefix}"))));
        }
        let storage = target.object_storage()?.in_project(project);
        for bucket in buckets {
            if storage.head_bucket(bucket).await? == 200 {
                found.insert(format!("buckets/{bucket}"));
            }
        }
        Ok(Self(found))
    }

    /// Everything.
    pub fn all(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }

    /// Everything but what Scaleway itself keeps.
    pub fn leftovers(&self) -> Vec<String> {
        self.0.iter().filter(|found| !LEFT_BY_SCALEWAY.contains(&found.as_str())).cloned().collect()
    }
}

fn names(body: &Value, list: &str, name: &str, path: &str) -> Result<Vec<String>, Failure> {
    let last = list.rsplit('/').next().unwrap_or(list);
    let items = body
        .get(last.replace('-', "_"))
        .and_then(Value::as_array)
        .ok_or_else(|| Failure::failed(format!("GET {path} has no {last}")).because(body))?;
    Ok(items.iter().filter_map(|item| Some(format!("{last}/{}", item.pointer(name)?.as_str()?))).collect())
}

//! What there is in a cloud, asked of its public APIs: never of Pulumi's state.

use std::collections::BTreeMap;

use serde_json::Value;
use stackproof::{Failure, target::Target};

/// What Scaleway keeps when everything of a project has been deleted: its default VPC.
pub const LEFT_BY_SCALEWAY: [(&str, &[&str]); 1] = [("vpcs", &["default"])];

/// Names of what there is, by product. Deleted secrets are not listed by Scaleway either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory(BTreeMap<String, Vec<String>>);

impl Inventory {
    /// Looks at the project's resources, and at these buckets by name.
    ///
    /// # Errors
    /// When the cloud does not answer, or refuses to.
    pub async fn take(target: &Target, buckets: &[String]) -> Result<Self, Failure> {
        let api = target.api()?;
        let project = &api.credentials().project_id;
        let regional = [
            ("vpc/v2", "vpcs"),
            ("vpc/v2", "private-networks"),
            ("rdb/v1", "instances"),
            ("secret-manager/v1beta1", "secrets"),
        ];
        let mut paths: Vec<(&str, String)> = regional
            .into_iter()
            .map(|(product, list)| (list, format!("{}?project_id={project}", api.regional(product, list))))
            .collect();
        for list in ["applications", "policies"] {
            paths.push((list, format!("/iam/v1alpha1/{list}")));
        }
        let mut found = BTreeMap::new();
        for (list, path) in paths {
            found.insert(list.to_owned(), names(&api.get(&path).await?.body, list, &path)?);
        }
        let storage = target.object_storage()?;
        let mut there = Vec::new();
        for bucket in buckets {
            if storage.head_bucket(bucket).await? == 200 {
                there.push(bucket.clone());
            }
        }
        found.insert("buckets".into(), there);
        Ok(Self(found))
    }

    /// Everything: `product/name`.
    pub fn all(&self) -> Vec<String> {
        let each = |(product, names): (&String, &Vec<String>)| {
            let product = product.clone();
            names.iter().map(|name| format!("{product}/{name}")).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(each).collect()
    }

    /// Everything but what Scaleway itself keeps: `product/name`.
    pub fn leftovers(&self) -> Vec<String> {
        let kept: Vec<String> = LEFT_BY_SCALEWAY
            .iter()
            .flat_map(|(product, names)| names.iter().map(move |name| format!("{product}/{name}")))
            .collect();
        self.all().into_iter().filter(|found| !kept.contains(found)).collect()
    }
}

fn names(body: &Value, list: &str, path: &str) -> Result<Vec<String>, Failure> {
    let key = list.replace('-', "_");
    let items = body
        .get(&key)
        .and_then(Value::as_array)
        .ok_or_else(|| Failure::failed(format!("GET {path} has no {key}")).because(body))?;
    let mut names: Vec<String> = items.iter().filter_map(|item| item["name"].as_str()).map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

//! What everybody is granted, asked of Scaleway's public API.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Failure, target::Api};

/// A permission set, somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// The permission set.
    pub permission_set: String,
    /// In which project; none: in the whole organisation.
    pub project_id: Option<String>,
}

/// An application and what it holds, by itself and through its groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is granted.
    pub grants: BTreeSet<Grant>,
}

/// All applications of the organisation and what they hold. A rule with a condition counts as if it were met.
///
/// # Errors
/// When the API does not answer, or refuses.
pub async fn granted(api: &Api) -> Result<Vec<Holder>, Failure> {
    let applications = all(api, "applications", "").await?;
    let groups = all(api, "groups", "").await?;
    let mut rules = Vec::new();
    for policy in all(api, "policies", "").await? {
        rules.push((grants(api, text(&policy, "id")).await?, policy));
    }
    let holders = applications.iter().map(|application| {
        let id = text(application, "id");
        let is_member = |group: &&Value| {
            let members = group["application_ids"].as_array().into_iter().flatten();
            members.filter_map(Value::as_str).any(|member| member == id)
        };
        let his: Vec<&str> = groups.iter().filter(is_member).map(|group| text(group, "id")).collect();
        let is_his = |policy: &Value| text(policy, "application_id") == id || his.contains(&text(policy, "group_id"));
        let grants = rules.iter().filter(|(_, policy)| is_his(policy)).flat_map(|(grants, _)| grants.iter().cloned());
        Holder { id: id.to_owned(), name: text(application, "name").to_owned(), grants: grants.collect() }
    });
    Ok(holders.collect())
}

/// What the rules of a policy grant.
async fn grants(api: &Api, policy: &str) -> Result<Vec<Grant>, Failure> {
    let rules = all(api, "rules", &format!("?policy_id={policy}")).await?;
    let of_rule = |rule: &Value| {
        let sets = rule["permission_set_names"].as_array().cloned().unwrap_or_default();
        let projects: Vec<Option<String>> = match rule["organization_id"].as_str().filter(|id| !id.is_empty()) {
            Some(_) => vec![None],
            None => {
                let projects = rule["project_ids"].as_array().into_iter().flatten();
                projects.map(|project| project.as_str().map(str::to_owned)).collect()
            }
        };
        let grant = move |set: &Value, project: &Option<String>| Grant {
            permission_set: set.as_str().unwrap_or_default().to_owned(),
            project_id: project.clone(),
        };
        sets.iter().flat_map(|set| projects.iter().map(|project| grant(set, project))).collect::<Vec<_>>()
    };
    Ok(rules.iter().flat_map(of_rule).collect())
}

/// All of a list of IAM's, as far as the query wants it.
async fn all(api: &Api, list: &str, query: &str) -> Result<Vec<Value>, Failure> {
    let path = format!("/iam/v1alpha1/{list}{query}");
    api.all(&path, list).await?.map_err(|answer| {
        Failure::failed(format!("GET {path} answered {}", answer.status))
            .because(&answer.body)
            .next("use a key that may read IAM (IAMReadOnly)")
    })
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

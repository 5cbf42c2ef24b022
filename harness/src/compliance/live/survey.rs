//! Looks at everything of a project that the rules are about, through the JSON API.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::seen::Seen;
use crate::{
    Failure,
    sovereign::Names,
    target::{Api, ApiAnswer, Target},
};

/// Scaleway's regions (its documentation of 2026-03): something may be in one that is not allowed.
pub(super) const REGIONS: [&str; 4] = ["fr-par", "nl-ams", "pl-waw", "it-mil"];

/// The kinds of resources that rules look at.
pub(super) const KINDS: [&str; 14] = [
    "api-key",
    "bucket",
    "container",
    "database",
    "key",
    "namespace",
    "network",
    "policy",
    "registry",
    "secret",
    "serverless-database",
    "source",
    "token",
    "waiver",
];

/// The lists of a project's resources in a region: kind, product with version, list.
const LISTS: [(&str, &str, &str); 11] = [
    ("network", "vpc/v2", "vpcs"),
    ("network", "vpc/v2", "private-networks"),
    ("database", "rdb/v1", "instances"),
    ("serverless-database", "serverless-sqldb/v1alpha1", "databases"),
    ("container", "containers/v1", "containers"),
    ("namespace", "containers/v1", "namespaces"),
    ("secret", "secret-manager/v1beta1", "secrets"),
    ("key", "key-manager/v1alpha1", "keys"),
    ("registry", "registry/v1", "namespaces"),
    ("source", "cockpit/v1", "data-sources"),
    ("token", "cockpit/v1", "tokens"),
];

/// Everything of the project in these regions, and what the stack's principals may do.
pub(super) async fn resources(target: &Target, names: &Names, regions: &BTreeSet<&str>) -> Result<Vec<Seen>, Failure> {
    let api = target.api()?;
    let lists = regions.iter().flat_map(|region| LISTS.iter().map(move |list| (*region, list)));
    let lists = try_join_all(lists.map(|(region, list)| listed(&api, names, region, *list)));
    let (listed, principals) = futures::try_join!(lists, principals(&api, names))?;
    let mut seen: Vec<Seen> = listed.into_iter().flatten().filter(|one| !is_scaleways(one)).collect();
    for one in &mut seen {
        complete(&api, one).await?;
    }
    seen.extend(principals);
    Ok(seen)
}

/// One list of one region.
async fn listed(
    api: &Api,
    names: &Names,
    region: &str,
    (kind, product, list): (&'static str, &str, &str),
) -> Result<Vec<Seen>, Failure> {
    let path = format!("/{product}/regions/{region}/{list}?project_id={}", names.project);
    let items = match api.all(&path, &list.replace('-', "_")).await? {
        Ok(items) => items,
        // A product that is not offered in a region has nothing in it; in the stack's own it is.
        Err(answer) if region != names.region && matches!(answer.status, 400 | 404 | 501) => Vec::new(),
        Err(answer) => return Err(refused(&path, &answer)),
    };
    Ok(items.into_iter().map(|body| seen(kind, region, body)).collect())
}

fn seen(kind: &'static str, region: &str, body: Value) -> Seen {
    let texts = body["tags"].as_array().into_iter().flatten();
    Seen {
        kind,
        region: body["region"].as_str().unwrap_or(region).to_owned(),
        name: body["name"].as_str().unwrap_or_default().to_owned(),
        tags: texts.filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
        body,
    }
}

/// What Scaleway makes for every project, and nobody can change: its default VPC, the sources of its products.
fn is_scaleways(one: &Seen) -> bool {
    one.is_on("/is_default") || (one.kind == "source" && one.text("/origin") == "scaleway")
}

/// Asks for what the lists do not tell.
async fn complete(api: &Api, one: &mut Seen) -> Result<(), Failure> {
    let (region, id) = (one.region.clone(), one.text("/id").to_owned());
    let mut add = async |name: &str, path: String, list: &str| {
        let items = api.all(&path, list).await?.map_err(|answer| refused(&path, &answer))?;
        one.body[name] = Value::Array(items);
        Ok::<(), Failure>(())
    };
    match one.kind {
        "database" => {
            let of = format!("/rdb/v1/regions/{region}/instances/{id}");
            add("acls", format!("{of}/acls"), "rules").await?;
            add("users", format!("{of}/users"), "users").await
        }
        "secret" => {
            let of = format!("/secret-manager/v1beta1/regions/{region}/secrets/{id}/versions");
            add("versions", of, "versions").await
        }
        _ => Ok(()),
    }
}

/// The policies and API keys of the stack's applications and groups, which belong to the organisation.
async fn principals(api: &Api, names: &Names) -> Result<Vec<Seen>, Failure> {
    let list = async |what: &str| {
        let path = format!("/iam/v1alpha1/{what}");
        api.all(&path, &what.replace('-', "_")).await?.map_err(|answer| refused(&path, &answer))
    };
    let (applications, groups, policies, keys) =
        futures::try_join!(list("applications"), list("groups"), list("policies"), list("api-keys"))?;
    let own = names.named("");
    let ours = |item: &&Value| item["name"].as_str().is_some_and(|name| name.starts_with(&own));
    let named = |items: &[Value]| -> Vec<(String, String)> {
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
        items.iter().filter(ours).map(|item| (text(item, "id"), text(item, "name"))).collect()
    };
    let principals: Vec<(String, String)> = [named(&applications), named(&groups)].concat();
    let whose = |item: &Value| {
        let id = item["application_id"].as_str().or_else(|| item["group_id"].as_str())?;
        principals.iter().find(|(ours, _)| ours == id).map(|(_, name)| name.clone())
    };
    let mut found = Vec::new();
    for mut policy in policies {
        if whose(&policy).is_none() {
            continue;
        }
        let path = format!("/iam/v1alpha1/rules?policy_id={}", policy["id"].as_str().unwrap_or_default());
        let rules = api.all(&path, "rules").await?.map_err(|answer| refused(&path, &answer))?;
        policy["rules"] = Value::Array(rules);
        found.push(seen("policy", "", policy));
    }
    for mut key in keys {
        let Some(owner) = whose(&key) else { continue };
        // Keys have no names of their own: whose it is, and its public half.
        key["name"] = json!(format!("{} of {owner}", key["access_key"].as_str().unwrap_or_default()));
        found.push(seen("api-key", "", key));
    }
    Ok(found)
}

fn refused(path: &str, answer: &ApiAnswer) -> Failure {
    let failure = Failure::failed(format!("GET {path} was answered with {}", answer.status));
    match answer.status {
        401 | 403 => failure
            .because("whoever checks needs to read all of the project, and the organisation's policies and keys")
            .next("stackproof doctor, or a key with AllProductsReadOnly and IAMReadOnly"),
        _ => failure.next("stackproof cloud status"),
    }
}

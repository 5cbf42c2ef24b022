//! Looks at a project's buckets, through the S3 API.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use roxmltree::Document;
use serde_json::{Value, json};

use super::seen::Seen;
use crate::{
    Failure,
    sovereign::{Home, Names},
    target::{ObjectStorage, Target},
};

/// The groups of an ACL that are everybody.
const EVERYBODY: [&str; 2] =
    ["http://acs.amazonaws.com/groups/global/AllUsers", "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"];

/// Every bucket of the project in these regions, and those that nobody would let be looked at.
pub(super) async fn buckets(
    target: &Target,
    names: &Names,
    regions: &BTreeSet<&str>,
) -> Result<(Vec<Seen>, Vec<String>), Failure> {
    let own = target.object_storage()?.in_project(&names.project);
    // The state's buckets let in their own application only.
    let deployers = Home::storage(target, names).await?;
    let regions = try_join_all(regions.iter().map(async |region| {
        let own = own.clone().in_region(region)?;
        let deployers = deployers.clone().map(|storage| storage.in_region(region)).transpose()?;
        let mut looked = Vec::new();
        for bucket in listed(&own).await? {
            let mut seen = look(&own, &bucket).await?;
            if let (Err(_), Some(deployers)) = (&seen, &deployers) {
                seen = look(deployers, &bucket).await?;
            }
            looked.push(seen);
        }
        Ok::<_, Failure>(looked)
    }));
    let (mut seen, mut unseen) = (Vec::new(), Vec::new());
    for looked in regions.await?.into_iter().flatten() {
        match looked {
            Ok(bucket) => seen.push(bucket),
            Err(why) => unseen.push(why),
        }
    }
    Ok((seen, unseen))
}

async fn listed(storage: &ObjectStorage) -> Result<Vec<String>, Failure> {
    let (status, text) = storage.list().await?;
    let what = format!("the list of buckets in {}", storage.region());
    if status != 200 {
        return Err(Failure::failed(format!("{what} was answered with {status}")).next("stackproof cloud status"));
    }
    let document = parse(&what, &text)?;
    let buckets = document.descendants().filter(|node| node.has_tag_name_anywhere("Bucket"));
    Ok(buckets.filter_map(|bucket| bucket.below("Name")).collect())
}

/// What a bucket says of itself; or why it does not say it.
async fn look(storage: &ObjectStorage, bucket: &str) -> Result<Result<Seen, String>, Failure> {
    let mut texts = Vec::new();
    for which in ["versioning", "encryption", "acl", "policy", "tagging"] {
        match storage.configuration(bucket, which).await? {
            (200, text) => texts.push(Some(text)),
            // There is no such configuration.
            (404, _) => texts.push(None),
            (status, _) => {
                return Ok(Err(format!("bucket {bucket}: GET ?{which} was answered with {status}")));
            }
        }
    }
    let [versioning, encryption, acl, policy, tagging] = &texts[..] else { return Ok(Err(bucket.to_owned())) };
    let read = |which: &str, text: &Option<String>, name: &str| -> Result<Vec<String>, Failure> {
        let Some(text) = text else { return Ok(Vec::new()) };
        let what = format!("?{which} of bucket {bucket}");
        let document = parse(&what, text)?;
        let found = document.descendants().filter(|node| node.has_tag_name_anywhere(name));
        Ok(found.filter_map(|node| node.text().map(str::to_owned)).collect())
    };
    let opened: Vec<String> = read("acl", acl, "URI")?;
    let keys = read("tagging", tagging, "Key")?;
    let tags = keys.iter().zip(read("tagging", tagging, "Value")?).map(|(key, value)| format!("{key}:{value}"));
    Ok(Ok(Seen {
        kind: "bucket",
        region: storage.region().to_owned(),
        name: bucket.to_owned(),
        tags: tags.collect(),
        body: json!({
            "versioning": read("versioning", versioning, "Status")?.first(),
            "encryption": read("encryption", encryption, "SSEAlgorithm")?.first(),
            "opened_to": opened.iter().filter(|group| EVERYBODY.contains(&group.as_str())).collect::<Vec<_>>(),
            "has_policy": policy.is_some(),
            "strangers": policy.as_deref().map(strangers).unwrap_or_default(),
        }),
    }))
}

/// The statements of a policy that allow something to everybody, by their names; one that is no JSON is one.
fn strangers(policy: &str) -> Vec<String> {
    let Ok(document) = serde_json::from_str::<Value>(policy) else { return vec!["(no JSON)".to_owned()] };
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        one => vec![one.clone()],
    };
    let open = statements
        .iter()
        .enumerate()
        .filter(|(_, statement)| statement["Effect"] == "Allow" && names_everybody(&statement["Principal"]));
    let name = |(at, statement): (usize, &Value)| match statement["Sid"].as_str() {
        Some(sid) => sid.to_owned(),
        None => format!("number {}", at + 1),
    };
    open.map(name).collect()
}

fn names_everybody(principal: &Value) -> bool {
    match principal {
        Value::String(name) => name == "*",
        Value::Array(names) => names.iter().any(names_everybody),
        Value::Object(kinds) => kinds.values().any(names_everybody),
        _ => false,
    }
}

fn parse<'a>(what: &str, text: &'a str) -> Result<Document<'a>, Failure> {
    Document::parse(text).map_err(|error| Failure::failed(format!("{what} is no XML")).because(error))
}

/// Elements by their names, whatever namespace a product writes them in.
trait Anywhere {
    fn has_tag_name_anywhere(&self, name: &str) -> bool;
    fn below(&self, name: &str) -> Option<String>;
}

impl Anywhere for roxmltree::Node<'_, '_> {
    fn has_tag_name_anywhere(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }

    fn below(&self, name: &str) -> Option<String> {
        self.children().find(|node| node.has_tag_name_anywhere(name))?.text().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::named(json!({"Sid": "A", "Effect": "Allow", "Principal": {"SCW": ["user_id:1"]}}), &[])]
    #[case::everybody(json!({"Sid": "A", "Effect": "Allow", "Principal": "*"}), &["A"])]
    #[case::everybody_listed(json!({"Effect": "Allow", "Principal": {"SCW": ["user_id:1", "*"]}}), &["number 1"])]
    #[case::refused(json!({"Sid": "A", "Effect": "Deny", "Principal": "*"}), &[])]
    fn a_policy_is_read_for_everybody(#[case] statement: Value, #[case] found: &[&str]) {
        assert_eq!(strangers(&json!({"Statement": [statement]}).to_string()), found);
        assert_eq!(strangers(&json!({"Statement": statement}).to_string()), found);
    }

    #[test]
    fn a_policy_that_is_no_json_is_not_trusted() {
        assert_eq!(strangers("{"), ["(no JSON)"]);
    }
}

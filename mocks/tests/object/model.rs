//! Random writes, deletions and lists, compared with a map that does the same.

use std::{collections::BTreeMap, collections::BTreeSet};

use proptest::prelude::*;

use crate::fixture::Fixture;

#[derive(Clone, Debug)]
enum Step {
    Put(String, u8),
    Delete(String),
    List { prefix: String, delimited: bool, page: i32 },
    Versions { page: i32 },
}

fn key() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-c]{1,2}(/[a-c]{1,2}){0,2}/?").unwrap()
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (key(), any::<u8>()).prop_map(|(key, body)| Step::Put(key, body)),
        2 => key().prop_map(Step::Delete),
        2 => ("[a-c]?/?", any::<bool>(), 1..5_i32).prop_map(|(prefix, delimited, page)| Step::List { prefix, delimited, page }),
        1 => (1..5_i32).prop_map(|page| Step::Versions { page }),
    ]
}

/// What the cloud should know: of each key the versions, newest first; none is a delete marker.
#[derive(Default)]
struct Model(BTreeMap<String, Vec<Option<u8>>>);

impl Model {
    fn listed(&self, prefix: &str, delimited: bool) -> Vec<String> {
        let mut lines = BTreeSet::new();
        for (key, versions) in &self.0 {
            let there = versions.first().is_some_and(Option::is_some);
            if let Some(rest) = key.strip_prefix(prefix).filter(|_| there) {
                match rest.split_once('/').filter(|_| delimited) {
                    Some((first, _)) => lines.insert(format!("{prefix}{first}/")),
                    None => lines.insert(key.clone()),
                };
            }
        }
        lines.into_iter().collect()
    }
}

async fn check(steps: Vec<Step>, versioned: bool) {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    if versioned {
        let host = "box.s3.fr-par.scw.cloud";
        let body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        assert_eq!(fixture.signed("PUT", host, "/?versioning", body).await.status, 200);
    }
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Put(key, body) => {
                client.put_object().bucket("box").key(&key).body(vec![body].into()).send().await.unwrap();
                let versions = model.0.entry(key).or_default();
                if !versioned {
                    versions.clear();
                }
                versions.insert(0, Some(body));
            }
            Step::Delete(key) => {
                client.delete_object().bucket("box").key(&key).send().await.unwrap();
                if versioned {
                    model.0.entry(key).or_default().insert(0, None);
                } else {
                    model.0.remove(&key);
                }
            }
            Step::List { prefix, delimited, page } => {
                let mut lines = Vec::new();
                let mut token = None;
                loop {
                    let list = client.list_objects_v2().bucket("box").prefix(&prefix).max_keys(page);
                    let list = list.set_delimiter(delimited.then(|| "/".to_owned())).set_continuation_token(token);
                    let answer = list.send().await.unwrap();
                    let mut told: Vec<String> =
                        answer.contents().iter().map(|object| object.key().unwrap().to_owned()).collect();
                    told.extend(answer.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
                    told.sort();
                    assert!(told.len() <= page as usize);
                    lines.extend(told);
                    token = answer.next_continuation_token().map(str::to_owned);
                    if token.is_none() {
                        break;
                    }
                }
                assert_eq!(lines, model.listed(&prefix, delimited));
            }
            Step::Versions { page } => {
                let mut told: BTreeMap<String, Vec<(u64, bool, bool)>> = BTreeMap::new();
                let (mut key, mut version) = (None, None);
                loop {
                    let list = client.list_object_versions().bucket("box").max_keys(page);
                    let answer = list.set_key_marker(key).set_version_id_marker(version).send().await.unwrap();
                    for one in answer.versions() {
                        let stamp = one.version_id().unwrap().parse().unwrap_or(0);
                        told.entry(one.key().unwrap().into()).or_default().push((
                            stamp,
                            true,
                            one.is_latest().unwrap(),
                        ));
                    }
                    for one in answer.delete_markers() {
                        let stamp = one.version_id().unwrap().parse().unwrap_or(0);
                        told.entry(one.key().unwrap().into()).or_default().push((
                            stamp,
                            false,
                            one.is_latest().unwrap(),
                        ));
                    }
                    key = answer.next_key_marker().map(str::to_owned);
                    version = answer.next_version_id_marker().map(str::to_owned);
                    if answer.is_truncated() != Some(true) {
                        break;
                    }
                }
                let expected: BTreeMap<_, _> = model
                    .0
                    .iter()
                    .map(|(key, versions)| {
                        let kinds = versions.iter().enumerate().map(|(at, version)| (version.is_some(), at == 0));
                        (key.clone(), kinds.collect::<Vec<_>>())
                    })
                    .collect();
                let told: BTreeMap<_, _> = told
                    .into_iter()
                    .map(|(key, mut versions)| {
                        versions.sort_by_key(|(stamp, ..)| std::cmp::Reverse(*stamp));
                        (key, versions.into_iter().map(|(_, there, latest)| (there, latest)).collect::<Vec<_>>())
                    })
                    .collect();
                assert_eq!(told, expected);
            }
        }
    }
    for (key, versions) in model.0 {
        let got = client.get_object().bucket("box").key(&key).send().await;
        match versions.first() {
            Some(Some(body)) => assert_eq!(got.unwrap().body.collect().await.unwrap().to_vec(), [*body]),
            _ => assert!(got.is_err()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_cloud_lists_what_a_map_would(steps in proptest::collection::vec(step(), 1..40), versioned: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(steps, versioned));
    }
}

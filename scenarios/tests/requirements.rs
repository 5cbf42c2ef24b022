//! The table of requirements holds every id of the seed, and no orphan on either side.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use stackproof::report::{Requirements, seed_ids};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("scenarios/ lies in the workspace")
}

fn table() -> Requirements {
    Requirements::read(&root().join(Requirements::PATH)).expect("the table can be read")
}

/// Files below a folder with this ending; nothing that is built or installed there.
fn sources(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if path.is_dir() && !hidden {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    found
}

/// The ids of all scenarios: what stands first in a call of `accept`.
fn scenarios() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for path in sources("scenarios/tests", "rs") {
        let text = fs::read_to_string(&path).expect("a source can be read");
        for call in text.split("accept(").skip(1) {
            let id = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            let plain = |id: &&str| id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
            ids.extend(id.filter(plain).map(ToOwned::to_owned));
        }
    }
    ids
}

#[test]
fn every_id_of_the_seed_is_in_the_table_and_no_other() {
    let ids: Vec<String> = table().iter().map(|(id, _)| id.to_owned()).collect();
    assert_eq!(ids, seed_ids());
}

#[test]
fn every_requirement_has_evidence_or_a_plan() {
    let bare: Vec<String> = table()
        .iter()
        .filter(|(_, row)| row.evidence.is_empty() && row.planned.is_empty())
        .map(|(id, _)| id.to_owned())
        .collect();
    assert_eq!(bare, Vec::<String>::new());
}

#[test]
fn all_evidence_exists() {
    let scenarios = scenarios();
    let all: Vec<PathBuf> = ["harness", "mocks", "scenarios"].iter().flat_map(|part| sources(part, "rs")).collect();
    let all = all.into_iter().chain(sources("infra", "py"));
    let code: String = all.map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
    let exists = |name: &str| match name.strip_prefix("test:") {
        Some(test) => {
            let function = test.rsplit("::").next().unwrap_or(test);
            code.contains(&format!("fn {function}(")) || code.contains(&format!("def {function}("))
        }
        None => scenarios.contains(name),
    };
    let table = table();
    let named = table.iter().flat_map(|(id, row)| row.evidence.iter().map(move |name| (id, name)));
    let orphans: Vec<_> = named.filter(|(_, name)| !exists(name)).collect();
    assert!(orphans.is_empty(), "evidence that no scenario or test bears the name of: {orphans:?}");
}

#[test]
fn every_scenario_is_evidence_of_something() {
    let table = table();
    let named: BTreeSet<&String> = table.iter().flat_map(|(_, row)| &row.evidence).collect();
    let orphans: Vec<String> = scenarios().into_iter().filter(|id| !named.contains(id)).collect();
    assert!(orphans.is_empty(), "scenarios that no requirement names in {}: {orphans:?}", Requirements::PATH);
}

//! The table of requirements: what the seed demands and what proves it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::Failure;

/// One demand of the seed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The demand in short.
    pub title: String,
    /// What proves it: scenario ids, or `test:` and a test's name.
    pub evidence: Vec<String>,
    /// What will prove it, or the rest of it.
    #[serde(default)]
    pub planned: Vec<String>,
}

/// Every demand, in the seed's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    rows: Vec<(String, Requirement)>,
}

impl Requirements {
    /// Where the table lies in the workspace.
    pub const PATH: &str = "scenarios/requirements.toml";

    /// Reads the table from its text.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let rows: BTreeMap<String, Requirement> = toml::from_str(text)
            .map_err(|error| Failure::usage("the table of requirements cannot be read").because(error))?;
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by_cached_key(|(id, _)| order(id));
        Ok(Self { rows })
    }

    /// Reads the table from a file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("cannot read {}", path.display())).because(error))?;
        Self::parse(&text)
    }

    /// Every id with its demand, in the seed's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Requirement)> {
        self.rows.iter().map(|(id, row)| (id.as_str(), row))
    }

    /// The demand of this id.
    pub fn get(&self, id: &str) -> Option<&Requirement> {
        self.rows.iter().find(|(candidate, _)| candidate == id).map(|(_, row)| row)
    }
}

/// The 59 ids of the seed, in its order.
pub fn seed_ids() -> Vec<String> {
    let stories = (1..=4).flat_map(|story| (1..=3).map(move |scenario| format!("US{story}.{scenario}")));
    stories
        .chain((1..=5).map(|number| format!("EC{number}")))
        .chain((1..=14).map(|number| format!("FR-{number:03}")))
        .chain((1..=8).map(|number| format!("SC-{number:03}")))
        .chain((1..=20).map(|number| format!("NFR-{number:03}")))
        .collect()
}

/// Sorts ids as the seed does: stories, edge cases, functional, success, non-functional; then by number.
pub(super) fn order(id: &str) -> (usize, Vec<u32>, String) {
    let letters: String = id.chars().take_while(char::is_ascii_alphabetic).collect();
    let kind = ["US", "EC", "FR", "SC", "NFR"].iter().position(|kind| *kind == letters).unwrap_or(usize::MAX);
    let numbers = id.split(|character: char| !character.is_ascii_digit()).filter_map(|part| part.parse().ok());
    (kind, numbers.collect(), id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_has_59_ids_and_they_sort_in_its_order() {
        let ids = seed_ids();
        assert_eq!(ids.len(), 59);
        let mut sorted = ids.clone();
        sorted.sort_by_cached_key(|id| order(id));
        assert_eq!(sorted, ids);
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_place() {
        let failure = Requirements::parse("[\"US1.1\"]\ntitle = \"x\"\nevidences = []").unwrap_err();
        assert!(failure.meaning.contains("evidences"), "{failure}");
    }
}

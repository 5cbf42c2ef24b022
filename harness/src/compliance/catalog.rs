//! The rules, as `infra/policy/rules.toml` has them.

use std::{collections::BTreeSet, path::Path};

use serde::{Deserialize, Serialize};

use crate::{Failure, Workspace};

/// What the rules measure by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Where resources may lie.
    pub regions: Vec<String>,
    /// Whose resources there may be.
    pub packages: Vec<String>,
    /// How long a database's backup is kept at least.
    pub backup_retention_days: u32,
    /// How often one is made at least.
    pub backup_frequency_hours: u32,
    /// How long telemetry is kept at least.
    pub telemetry_retention_days: u32,
    /// How long a key keeps its material at most.
    pub key_rotation_days: u32,
    /// How old a secret's value may be.
    pub secret_age_days: u32,
    /// How old an API key may be, and how far off its end.
    pub api_key_age_days: u32,
    /// Permission sets that rule over others.
    pub forbidden_permission_sets: Vec<String>,
}

/// What holds, what it is good for, and what to do where it does not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What findings and waivers call it.
    pub id: String,
    /// The requirements it serves.
    pub requirements: Vec<String>,
    /// What holds.
    pub title: String,
    /// What it is good for.
    pub why: String,
    /// What to do where it does not hold.
    pub fix: String,
    /// The types of the program's resources that it looks at.
    pub types: Vec<String>,
    /// The kinds of live resources that it looks at.
    pub live: Vec<String>,
}

/// Every rule, and what they measure by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// What they measure by.
    pub parameters: Parameters,
    /// In the order of the file.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

impl Catalog {
    /// The rules of a checkout.
    ///
    /// # Errors
    /// When the file cannot be read, or says less, more or other than a catalog does.
    pub fn read(workspace: &Workspace) -> Result<Self, Failure> {
        let path = workspace.infra().join("policy/rules.toml");
        Self::parse(&super::waivers::text(&path)?).map_err(|why| unusable(&path, &why))
    }

    /// The rule of this id.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// Reads rules, by the same measures as `stackproof_policy.catalog`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let catalog: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut known = BTreeSet::new();
        for rule in &catalog.rules {
            if !known.insert(&rule.id) {
                return Err(format!("it has two rules {}", rule.id));
            }
            let words = [&rule.id, &rule.title, &rule.why, &rule.fix];
            if words.iter().any(|word| word.trim().is_empty()) {
                return Err(format!("rule {} has an empty text", rule.id));
            }
            if rule.requirements.is_empty() {
                return Err(format!("rule {} serves no requirement", rule.id));
            }
            if rule.types.is_empty() && rule.live.is_empty() {
                return Err(format!("rule {} looks at nothing", rule.id));
            }
        }
        if known.is_empty() {
            return Err("it has no rule".to_owned());
        }
        let measures = &catalog.parameters;
        let least = [
            measures.backup_retention_days,
            measures.backup_frequency_hours,
            measures.telemetry_retention_days,
            measures.key_rotation_days,
            measures.secret_age_days,
            measures.api_key_age_days,
        ];
        if least.contains(&0) {
            return Err("a number of [parameters] is 0, where the least is 1".to_owned());
        }
        Ok(catalog)
    }
}

/// What is said of a file of rules or waivers that cannot be used.
pub(super) fn unusable(path: &Path, why: &str) -> Failure {
    Failure::usage(format!("{} cannot be used", path.display()))
        .because(why)
        .next("mend the file, then stackproof check")
}

#[cfg(test)]
pub(super) mod tests {
    use rstest::rstest;

    use super::*;

    /// The rules of this repository.
    pub(in super::super) fn ours() -> Catalog {
        Catalog::parse(RULES).unwrap()
    }

    const RULES: &str = include_str!("../../../infra/policy/rules.toml");

    #[test]
    fn the_rules_of_the_repository_can_be_read() {
        let catalog = ours();
        assert!(catalog.rules.len() >= 20, "{}", catalog.rules.len());
        assert_eq!(catalog.rule("bucket-versioned").unwrap().requirements, ["FR-012"]);
        assert_eq!(catalog.rule("nonsense"), None);
    }

    #[rstest]
    #[case::twice("id = \"tagged\"", "id = \"region-allowed\"", "two rules region-allowed")]
    #[case::idle("types = []\nlive = [\"secret\"]", "types = []\nlive = []", "secret-age looks at nothing")]
    #[case::for_nothing("requirements = [\"SC-004\"]", "requirements = []", "tagged serves no requirement")]
    #[case::speechless("title = \"A container is in a private network.\"", "title = \" \"", "an empty text")]
    #[case::misspelt("why = \"After", "because = \"After", "unknown field `because`")]
    #[case::boundless("secret_age_days = 180", "secret_age_days = 0", "is 0, where the least is 1")]
    fn rules_that_are_none_are_refused(#[case] old: &str, #[case] new: &str, #[case] says: &str) {
        assert!(RULES.contains(old));
        let refused = Catalog::parse(&RULES.replacen(old, new, 1)).unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
}

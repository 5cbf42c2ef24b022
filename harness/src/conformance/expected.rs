//! What is expected of the acceptance tests: those that cannot run here and why, those that must pass.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::result::{Conformance, Status};
use crate::{Failure, Workspace};

/// The file `tools/conformance.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Expected {
    /// The products, by the names of the provider's packages.
    products: Vec<String>,
    /// Tests that cannot run.
    #[serde(default)]
    not_applicable: Vec<NotApplicable>,
    /// Differences from recorded answers that are accepted.
    #[serde(default)]
    difference: Vec<Accepted>,
    /// A few of each product that touch every resource type.
    #[serde(default)]
    subset: BTreeMap<String, BTreeSet<String>>,
    /// The ratchet: those that have passed once, and have to pass from then on.
    #[serde(default)]
    passed: BTreeMap<String, BTreeSet<String>>,
}

/// Tests that cannot run, and why.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct NotApplicable {
    /// The product; any where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product: Option<String>,
    /// A regular expression of names.
    tests: String,
    /// Why they cannot run here.
    reason: String,
    /// From this version of Terraform on they can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terraform: Option<String>,
}

impl NotApplicable {
    fn concerns(&self, product: &str, test: &str, terraform: &str) -> bool {
        self.product.as_deref().is_none_or(|of| of == product)
            && self.terraform.as_deref().is_none_or(|first| version(terraform) < version(first))
            && Regex::new(&self.tests).is_ok_and(|tests| tests.is_match(test))
    }
}

/// A difference from recorded answers that is accepted, and why.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Accepted {
    /// The product; any where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product: Option<String>,
    /// A regular expression of routes.
    route: String,
    /// A regular expression of differences.
    how: String,
    /// Why it is accepted.
    reason: String,
}

fn file(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("conformance.toml")
}

impl Expected {
    /// Reads it.
    ///
    /// # Errors
    /// When it is missing or malformed.
    pub fn read(workspace: &Workspace) -> Result<Self, Failure> {
        let path = file(workspace);
        let broken = |why: String| {
            Failure::environment(format!("{} cannot be used", path.display()))
                .because(why)
                .next("git checkout -- tools/conformance.toml")
        };
        let text = std::fs::read_to_string(&path).map_err(|error| broken(error.to_string()))?;
        let expected: Self = toml::from_str(&text).map_err(|error| broken(error.to_string()))?;
        let patterns = expected.not_applicable.iter().map(|entry| &entry.tests);
        let patterns = patterns.chain(expected.difference.iter().flat_map(|entry| [&entry.route, &entry.how]));
        for pattern in patterns {
            Regex::new(pattern).map_err(|error| broken(error.to_string()))?;
        }
        Ok(expected)
    }

    /// The products asked for, all where none is.
    pub(super) fn products(&self, asked: &[String]) -> Result<Vec<String>, Failure> {
        if let Some(unknown) = asked.iter().find(|product| !self.products.contains(product)) {
            return Err(Failure::usage(format!("there is no product {unknown}"))
                .next(format!("use one of: {}", self.products.join(", "))));
        }
        Ok(if asked.is_empty() { self.products.clone() } else { asked.to_vec() })
    }

    /// Why a test cannot run with this Terraform, if it cannot.
    pub(super) fn not_applicable(&self, product: &str, test: &str, terraform: &str) -> Option<&str> {
        let concerning = self.not_applicable.iter().find(|entry| entry.concerns(product, test, terraform));
        concerning.map(|entry| entry.reason.as_str())
    }

    /// Whether this Terraform is all that a test lacks.
    pub(super) fn waits_for_terraform(&self, product: &str, test: &str, terraform: &str) -> bool {
        let newer = |entry: &&NotApplicable| entry.terraform.is_some() && entry.concerns(product, test, terraform);
        self.not_applicable.iter().any(|entry| newer(&entry))
    }

    /// Why a difference from recorded answers is accepted, if it is.
    pub(super) fn accepted(&self, product: &str, route: &str, how: &str) -> Option<&str> {
        let matches = |pattern: &str, text: &str| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
        let concerns = |entry: &&Accepted| {
            entry.product.as_deref().is_none_or(|of| of == product)
                && matches(&entry.route, route)
                && matches(&entry.how, how)
        };
        self.difference.iter().find(concerns).map(|entry| entry.reason.as_str())
    }

    /// Whether a test belongs to the few that touch every resource type.
    pub(super) fn in_subset(&self, product: &str, test: &str) -> bool {
        self.subset.get(product).is_some_and(|tests| tests.contains(test))
    }

    /// Tests that passed once and do not any more, be it that they skip themselves: products with cases.
    pub fn broken_by<'a>(&self, conformance: &'a Conformance) -> Vec<(&'a str, &'a super::Case)> {
        let held = |(product, case): &(&str, &super::Case)| {
            self.passed.get(*product).is_some_and(|passed| passed.contains(&case.name))
        };
        let skipped = |(product, case): &(&str, &super::Case)| {
            self.not_applicable(product, &case.name, &conformance.terraform).is_none()
        };
        let skips = conformance.cases(Status::NotApplicable).filter(skipped);
        conformance.cases(Status::Failed).chain(skips).filter(held).collect()
    }

    /// Takes what passed into the ratchet, and writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn advance(&mut self, workspace: &Workspace, conformance: &Conformance) -> Result<(), Failure> {
        for (product, case) in conformance.cases(Status::Passed) {
            self.passed.entry(product.to_owned()).or_default().insert(case.name.clone());
        }
        let path = file(workspace);
        let unwritable =
            |why: String| Failure::environment(format!("{} cannot be written", path.display())).because(why);
        let text = toml::to_string_pretty(self).map_err(|error| unwritable(error.to_string()))?;
        let text = format!("{HEAD}{text}");
        crate::acceptance::write_whole(&path, text.as_bytes()).map_err(|failure| unwritable(failure.to_string()))
    }
}

const HEAD: &str = "\
# What is expected of the provider's acceptance tests against the local cloud.
# `stackproof conformance --update` adds what passes to [passed]; it never takes anything out.

";

fn version(text: &str) -> Vec<u64> {
    text.split(['.', '-']).map_while(|part| part.parse().ok()).collect()
}

//! Tamper evidence: the digest of every file of a report, and the check against them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::Failure;
use crate::acceptance::write_whole;

/// The digests of a report's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this form.
    pub schema: String,
    /// SHA-256 by path, relative to the report.
    pub files: BTreeMap<String, String>,
}

/// A file that is not what the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Its bytes changed.
    Changed(String),
    /// It is gone.
    Missing(String),
    /// It was not there.
    Added(String),
}

impl Manifest {
    /// The manifest's own file.
    pub const FILE: &str = "manifest.json";
    /// The version of the form written today.
    pub const SCHEMA: &str = "stackproof.manifest/1";

    /// Takes the digests of everything in a report's directory.
    pub fn of(directory: &Path) -> Result<Self, Failure> {
        let mut files = BTreeMap::new();
        for entry in WalkDir::new(directory).sort_by_file_name() {
            let entry = entry.map_err(|error| Failure::usage("cannot read the report").because(error))?;
            let relative = entry.path().strip_prefix(directory).unwrap_or(entry.path());
            let name =
                relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
            if entry.file_type().is_dir() || name == Self::FILE {
                continue;
            }
            let bytes =
                fs::read(entry.path()).map_err(|error| Failure::usage(format!("cannot read {name}")).because(error))?;
            files.insert(name, sha256(&bytes));
        }
        Ok(Self { schema: Self::SCHEMA.into(), files })
    }

    /// Writes the manifest into its report and answers its own digest: the one to write down or sign.
    pub fn write(&self, directory: &Path) -> Result<String, Failure> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| Failure::failed(error.to_string()))?;
        json.push(b'\n');
        write_whole(&directory.join(Self::FILE), &json)?;
        Ok(sha256(&json))
    }

    /// Reads the manifest of a report, and its own digest.
    pub fn read(directory: &Path) -> Result<(Self, String), Failure> {
        let path = directory.join(Self::FILE);
        let unreadable = |error: &dyn fmt::Display| {
            Failure::usage(format!("{} is no report: its {} cannot be read", directory.display(), Self::FILE))
                .because(error)
                .next("make one: stackproof accept, or name its directory: stackproof report verify DIR")
        };
        let bytes = fs::read(path).map_err(|error| unreadable(&error))?;
        let manifest = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
        Ok((manifest, sha256(&bytes)))
    }

    /// What differs between this manifest and the files as they are now.
    pub fn differences(&self, directory: &Path) -> Result<Vec<Difference>, Failure> {
        let now = Self::of(directory)?;
        let mut differences = Vec::new();
        for (name, digest) in &self.files {
            match now.files.get(name) {
                None => differences.push(Difference::Missing(name.clone())),
                Some(present) if present != digest => differences.push(Difference::Changed(name.clone())),
                Some(_) => {}
            }
        }
        let added = now.files.keys().filter(|name| !self.files.contains_key(*name));
        differences.extend(added.cloned().map(Difference::Added));
        Ok(differences)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(name) => write!(f, "{name} was changed"),
            Self::Missing(name) => write!(f, "{name} is missing"),
            Self::Added(name) => write!(f, "{name} was added"),
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_a_report_is_named() {
        let report = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| write_whole(&report.path().join(name), text.as_bytes()).unwrap();
        put("report.json", "{}");
        put("evidence/US1.1@local/01-plan.json", "{}");
        put("report.md", "# ACCEPTED");
        Manifest::of(report.path()).unwrap().write(report.path()).unwrap();
        let (manifest, _) = Manifest::read(report.path()).unwrap();
        assert_eq!(manifest.differences(report.path()).unwrap(), []);

        put("report.json", "{ }");
        put("evidence/extra.txt", "");
        fs::remove_file(report.path().join("report.md")).unwrap();
        let told: Vec<String> = manifest.differences(report.path()).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["report.json was changed", "report.md is missing", "evidence/extra.txt was added"]);
    }
}

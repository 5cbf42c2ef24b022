//! The scan: credentials of a deployed stack, searched for where they must not be.
//!
//! A credential belongs into Secret Manager and into the one process that needs it. Everywhere else (states, outputs,
//! logs, reports, arguments and environments of processes, images, the local cloud's directory) it is a finding. Each
//! is searched for in the forms it may take; compressed content is searched decompressed.
//!
//! A scan that finds nothing says something only if it would have found something: every place is also searched for a
//! value that is known to be there, see [`Scan::searched`] and the scenario US3.2.

mod forms;
mod images;
mod places;
mod processes;
mod secrets;

use std::{collections::BTreeMap, fmt, io::Read as _};

use flate2::read::MultiGzDecoder;
use serde::Serialize;

use crate::Failure;
use forms::Forms;

pub use processes::Process;
pub use secrets::{described, stored};

/// The most that compressed content is decompressed to.
const LARGEST: u64 = 1 << 30;

/// A value that must not be found.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// What it is called in findings.
    pub name: String,
    value: String,
}

impl Credential {
    /// A credential of this name.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.name)
    }
}

/// A credential where it must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The kind of place, such as `state`.
    pub place: String,
    /// Where in it: a file, a process, an object.
    pub at: String,
    /// Which credential, by name.
    pub credential: String,
    /// What to do about it.
    pub next: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} in {}; next: {}", self.place, self.credential, self.at, self.next)
    }
}

/// How much of a place was searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Searched {
    /// Files, processes, objects, layers.
    pub items: u64,
    /// Their bytes, decompressed.
    pub bytes: u64,
}

/// A scan under way.
pub struct Scan {
    forms: Forms,
    findings: Vec<Finding>,
    searched: BTreeMap<String, Searched>,
}

impl Scan {
    /// A scan for these credentials.
    ///
    /// # Errors
    /// When one is so short that it would be found everywhere.
    pub fn new(credentials: &[Credential]) -> Result<Self, Failure> {
        Ok(Self { forms: Forms::of(credentials)?, findings: Vec::new(), searched: BTreeMap::new() })
    }

    /// Searches these bytes. `place` is the kind of place, `at` where in it.
    pub fn bytes(&mut self, place: &str, at: &str, bytes: &[u8]) {
        self.bytes_but(place, at, bytes, |_| false);
    }

    /// The same, without findings of credentials that have to be there.
    fn bytes_but(&mut self, place: &str, at: &str, bytes: &[u8], needed: impl Fn(&str) -> bool) {
        let searched = self.searched.entry(place.to_owned()).or_default();
        searched.items += 1;
        searched.bytes += bytes.len() as u64;
        let unpacked = gunzipped(bytes);
        searched.bytes += unpacked.as_ref().map_or(0, |bytes| bytes.len() as u64);
        for credential in self.forms.found_in(&[bytes, unpacked.as_deref().unwrap_or_default()]) {
            if !needed(&credential) {
                let (place, at, next) = (place.to_owned(), at.to_owned(), places::next(place).to_owned());
                self.findings.push(Finding { place, at, credential, next });
            }
        }
    }

    /// What was found, sorted.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.findings.clone();
        findings.sort();
        findings.dedup();
        findings
    }

    /// How much of which place was searched.
    pub fn searched(&self) -> &BTreeMap<String, Searched> {
        &self.searched
    }
}

/// What gzip has compressed, as far as it can be read.
fn gunzipped(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return None;
    }
    let mut unpacked = Vec::new();
    // What was read before an error is searched all the same.
    let _cut_off = MultiGzDecoder::new(bytes).take(LARGEST).read_to_end(&mut unpacked);
    Some(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use base64::{Engine, engine::general_purpose::STANDARD};
    use flate2::{Compression, write::GzEncoder};
    use rstest::rstest;

    use super::*;

    const CANARY: &str = "canary/7f3a?9c1e\"55d2&b806";

    fn found(bytes: &[u8]) -> Vec<Finding> {
        let mut scan =
            Scan::new(&[Credential::new("canary", CANARY), Credential::new("other", "another-value")]).unwrap();
        scan.bytes("state", "here", bytes);
        scan.findings()
    }

    #[rstest]
    #[case::plain(format!("password={CANARY};"))]
    #[case::json(serde_json::json!({"password": CANARY}).to_string())]
    #[case::address("postgres://u:canary%2F7f3a%3F9c1e%2255d2%26b806@h/d".to_owned())]
    #[case::hexadecimal(hex::encode(CANARY))]
    #[case::capitals(hex::encode_upper(CANARY))]
    #[case::base64(STANDARD.encode(CANARY))]
    #[case::base64_after_one(STANDARD.encode(format!("u{CANARY}")))]
    #[case::base64_after_two(STANDARD.encode(format!("u:{CANARY}\n")))]
    #[case::twice(STANDARD.encode(STANDARD.encode(CANARY)))]
    fn a_credential_is_found_in_every_form(#[case] text: String) {
        let found = found(format!("before {text} after").as_bytes());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].credential.as_str(), found[0].at.as_str()), ("canary", "here"));
        assert!(!format!("{found:?}").contains(CANARY), "a finding never tells the value");
    }

    #[test]
    fn what_is_compressed_is_searched_and_what_is_not_there_is_not_found() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(format!("{{\"password\": \"{CANARY}\"}} {}", "filler".repeat(1000)).as_bytes()).unwrap();
        let file = gzip.finish().unwrap();
        assert!(!file.windows(6).any(|window| window == b"canary"), "or it shows nothing");
        assert_eq!(found(&file).len(), found(&file[..file.len() - 4]).len(), "a cut-off file is searched, too");
        assert_eq!(found(&[0x1f, 0x8b, 1, 2, 3]), []);
        assert_eq!(found(b"canary/7f3a and nothing else"), []);
    }

    #[test]
    fn what_is_too_short_to_be_told_apart_is_refused() {
        assert!(Scan::new(&[Credential::new("pin", "1234")]).is_err());
    }

    #[test]
    fn a_folder_is_searched_whole_but_for_what_is_excepted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        for file in ["a/b/log", "key.json"] {
            std::fs::write(folder.path().join(file), CANARY).unwrap();
        }
        let mut scan = Scan::new(&[Credential::new("canary", CANARY)]).unwrap();
        scan.folder("logs", folder.path(), &["key.json"]).unwrap();
        assert_eq!(scan.findings().len(), 1);
        assert!(scan.findings()[0].at.ends_with("a/b/log"));
        assert_eq!(scan.searched()["logs"].items, 1);
    }

    #[test]
    fn arguments_and_environments_of_processes_are_searched() {
        let value = format!("canary-{}", uuid::Uuid::new_v4());
        let mut command = std::process::Command::new("sleep");
        command.arg("30").env("STACKPROOF_CANARY", &value);
        let mut child = command.spawn().unwrap();
        let mut scan = Scan::new(&[Credential::new("canary", &value)]).unwrap();
        // A child has its parent's image until it becomes another program, and for a moment no environment.
        let environment = format!("/proc/{}/environ", child.id());
        while !String::from_utf8_lossy(&std::fs::read(&environment).unwrap()).contains(&value) {
            std::thread::yield_now();
        }
        scan.processes(|_, _| false).unwrap();
        let found = scan.findings();
        let mut needed = Scan::new(&[Credential::new("canary", &value)]).unwrap();
        needed.processes(|process, _| process.id == child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].at.contains("environment") && found[0].at.contains("sleep"));
        assert_eq!(needed.findings(), []);
    }
}

//! The forms a value may take where somebody has written it down.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use regex::bytes::{RegexSet, RegexSetBuilder};

use super::Credential;
use crate::Failure;

/// Shorter values are found by chance.
const SHORTEST: usize = 8;

/// As much of a long value as tells it apart: part of it is a finding, too.
const ENOUGH: usize = 48;

/// The forms of all credentials, to be found in one pass.
pub(super) struct Forms {
    set: RegexSet,
    /// Whose form each is.
    names: Vec<String>,
}

impl Forms {
    pub(super) fn of(credentials: &[Credential]) -> Result<Self, Failure> {
        let (mut patterns, mut names) = (Vec::new(), Vec::new());
        for credential in credentials {
            let value = credential.value.as_bytes();
            if value.len() < SHORTEST {
                return Err(Failure::usage(format!("{} is shorter than {SHORTEST} bytes", credential.name))
                    .because("it would be found by chance, and guessed as easily")
                    .next("give it a longer value"));
            }
            for form in forms(&value[..value.len().min(ENOUGH)]) {
                patterns.push(literal(&form));
                names.push(credential.name.clone());
            }
        }
        let set = RegexSetBuilder::new(patterns).size_limit(64 << 20).build();
        let set = set.map_err(|error| Failure::usage("too many credentials for one scan").because(error))?;
        Ok(Self { set, names })
    }

    /// The names of the credentials that any of these holds, each once.
    pub(super) fn found_in(&self, all: &[&[u8]]) -> Vec<String> {
        let mut found: Vec<String> =
            all.iter().flat_map(|bytes| self.set.matches(bytes)).map(|form| self.names[form].clone()).collect();
        found.sort();
        found.dedup();
        found
    }
}

/// A pattern of exactly these bytes.
fn literal(bytes: &[u8]) -> String {
    bytes.iter().fold("(?-u)".to_owned(), |pattern, byte| format!("{pattern}\\x{byte:02x}"))
}

fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec(), hex::encode(value).into_bytes(), hex::encode_upper(value).into_bytes()];
    if let Ok(text) = std::str::from_utf8(value) {
        forms.push(serde_json::Value::from(text).to_string().trim_matches('"').as_bytes().to_vec());
        forms.push(form_urlencoded::byte_serialize(value).collect::<String>().into_bytes());
    }
    let once = in_base64(value);
    // A secret of Kubernetes' form in an API's answer: base64 of base64. Only the first is whole.
    let twice = in_base64(STANDARD.encode(value).as_bytes());
    forms.extend(once);
    forms.extend(twice);
    forms.sort();
    forms.dedup();
    forms
}

/// In base64, wherever in what was encoded the value began: the characters that are its alone.
fn in_base64(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let whole = [vec![0; before], value.to_vec()].concat();
        // Characters that share bits with what is before or after are not.
        let (first, last) = ((before * 8).div_ceil(6), whole.len() * 8 / 6);
        for encoded in [STANDARD.encode(&whole), URL_SAFE.encode(&whole)] {
            forms.push(encoded.as_bytes()[first..last].to_vec());
        }
    }
    forms
}

//! Keeps secrets out of evidence: values that were registered, and shapes that are always secret.
//!
//! It replaces, it never drops a line: a reader sees that something was there.

use std::collections::BTreeSet;

/// What stands where a secret was.
const MASK: &str = "[secret]";
/// Shorter registered values are words of the language more often than secrets.
const SHORTEST: usize = 4;
/// A UUID follows these names only where it is a secret.
const UUID_KEYS: [&str; 5] = ["secret_key", "secret-key", "secretkey", "x-auth-token", "secretaccesskey"];
/// What is assigned to these names is secret whatever its form.
const ASSIGNED_KEYS: [&str; 4] = ["password", "passphrase", "pgpassword", "secret_access_key"];

/// Replaces secrets in texts and bytes.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    values: BTreeSet<String>,
}

impl Redactor {
    /// Registers a value, in every spelling it is likely to meet: plain, as JSON, in an address, in base64.
    pub fn register(&mut self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        self.values.insert(secret.to_owned());
        self.values.insert(serde_json::Value::from(secret).to_string().trim_matches('"').to_owned());
        self.values.insert(percent_encoded(secret));
        self.values.insert(base64(secret.as_bytes()));
        self.values.retain(|value| value.len() >= SHORTEST);
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        // Longest first, so that a secret that contains another one goes whole.
        let mut values: Vec<&String> = self.values.iter().collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        for value in values {
            clean = clean.replace(value.as_str(), MASK);
        }
        let mut marks = uuids_after_keys(&clean);
        marks.extend(assigned_values(&clean));
        marks.extend(passwords_in_addresses(&clean));
        marks.extend(private_keys(&clean));
        mask(&clean, marks)
    }

    /// The bytes without secrets; where they are no text, without the registered values at least.
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return self.text(text).into_bytes();
        }
        let mut clean = bytes.to_vec();
        for value in &self.values {
            let mut from = 0;
            while let Some(found) = find(&clean[from..], value.as_bytes()) {
                // Same length, so that a binary format keeps its offsets.
                clean[from + found..from + found + value.len()].fill(b'*');
                from += found + value.len();
            }
        }
        clean
    }
}

type Span = std::ops::Range<usize>;

fn mask(text: &str, mut spans: Vec<Span>) -> String {
    spans.sort_by_key(|span| span.start);
    let mut clean = String::with_capacity(text.len());
    let mut copied = 0;
    for span in spans {
        if span.start < copied || &text[span.clone()] == MASK {
            continue;
        }
        clean.push_str(&text[copied..span.start]);
        clean.push_str(MASK);
        copied = span.end;
    }
    clean.push_str(&text[copied..]);
    clean
}

fn uuids_after_keys(text: &str) -> Vec<Span> {
    let lower = text.to_ascii_lowercase();
    let mut spans = Vec::new();
    for key in UUID_KEYS {
        for (at, _) in lower.match_indices(key) {
            let end = at + key.len();
            // Quotes, colons, equal signs, brackets and a word like "value" may stand between.
            let near = lower[end..].char_indices().take(24).map(|(offset, _)| end + offset);
            spans.extend(near.filter(|start| is_uuid(&lower.as_bytes()[*start..])).map(|start| start..start + 36));
        }
    }
    spans
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() >= 36
        && bytes[..36].iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn assigned_values(text: &str) -> Vec<Span> {
    let lower = text.to_ascii_lowercase();
    let mut spans = Vec::new();
    for key in ASSIGNED_KEYS {
        for (at, _) in lower.match_indices(key) {
            let rest = &text[at + key.len()..];
            // `"password": "value"` or `password=value`; prose ("password: choose one") stays.
            let quoted = rest.strip_prefix('"').map(|rest| rest.trim_start_matches([':', ' ']));
            let value = match quoted.and_then(|rest| rest.strip_prefix('"')) {
                Some(value) => value,
                None => match rest.strip_prefix('=') {
                    Some(value) => value.trim_start_matches(['"', '\'']),
                    None => continue,
                },
            };
            let start = text.len() - value.len();
            let ends = |character: char| matches!(character, '"' | '\'' | '&' | ',') || character.is_whitespace();
            let length = value.find(ends).unwrap_or(value.len());
            if length > 0 {
                spans.push(start..start + length);
            }
        }
    }
    spans
}

fn passwords_in_addresses(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for (at, separator) in text.match_indices("://") {
        let start = at + separator.len();
        let ends = |character: char| matches!(character, '/' | '"' | '\'' | '?' | '#') || character.is_whitespace();
        let authority = &text[start..start + text[start..].find(ends).unwrap_or(text.len() - start)];
        if let Some((user, _)) = authority.rsplit_once('@')
            && let Some((name, password)) = user.split_once(':')
            && !password.is_empty()
        {
            spans.push(start + name.len() + 1..start + user.len());
        }
    }
    spans
}

fn private_keys(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for (at, header) in text.match_indices("PRIVATE KEY-----") {
        let body = at + header.len();
        if text[..at].ends_with("END ") || text[..at].ends_with("END EC ") || text[..at].ends_with("END RSA ") {
            continue;
        }
        let length = text[body..].find("-----END").unwrap_or(text.len() - body);
        spans.push(body..body + length);
    }
    spans
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Base64 without its padding: so it is found in padded and unpadded spellings alike.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0_u8; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let [first, second, third] = group.map(u32::from);
        let bits = first << 16 | second << 8 | third;
        for index in 0..=chunk.len() {
            let sextet = (bits >> (18 - 6 * index)) & 63;
            encoded.push(char::from(ALPHABET[sextet as usize]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const KEY: &str = "11111111-2222-3333-4444-555555555555";

    #[rstest]
    #[case::environment("SCW_SECRET_KEY=KEY", "SCW_SECRET_KEY=[secret]")]
    #[case::json(r#"{"secret_key": "KEY", "id": 1}"#, r#"{"secret_key": "[secret]", "id": 1}"#)]
    #[case::header("X-Auth-Token: KEY", "X-Auth-Token: [secret]")]
    #[case::other_uuid(r#"{"project_id": "KEY"}"#, r#"{"project_id": "KEY"}"#)]
    #[case::address("postgres://app:s3cr@t@10.0.0.2/db", "postgres://app:[secret]@10.0.0.2/db")]
    #[case::address_without_password("postgres://app@10.0.0.2/db", "postgres://app@10.0.0.2/db")]
    #[case::address_with_port("http://127.0.0.1:80/a@b", "http://127.0.0.1:80/a@b")]
    #[case::password_in_json(r#"{"password":"hunter2"}"#, r#"{"password":"[secret]"}"#)]
    #[case::password_assigned("PGPASSWORD=hunter2 psql", "PGPASSWORD=[secret] psql")]
    #[case::password_in_prose("password: 8 characters at least", "password: 8 characters at least")]
    #[case::private_key(
        "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----[secret]-----END PRIVATE KEY-----"
    )]
    fn shapes_that_are_always_secret_are_masked(#[case] text: &str, #[case] clean: &str) {
        let put = |text: &str| text.replace("KEY\"", &format!("{KEY}\"")).replace("=KEY", &format!("={KEY}"));
        let put = |text: &str| put(text).replace(": KEY", &format!(": {KEY}"));
        assert_eq!(Redactor::default().text(&put(text)), put(clean));
    }

    #[test]
    fn a_registered_value_is_masked_in_every_spelling() {
        let mut redactor = Redactor::default();
        redactor.register("p\"ä/ss word");
        let text = "p\"ä/ss word | p\\\"ä/ss word | p%22%C3%A4%2Fss%20word | cCLDpC9zcyB3b3Jk";
        assert_eq!(redactor.text(text), "[secret] | [secret] | [secret] | [secret]");
    }

    #[test]
    fn a_registered_value_is_masked_in_bytes_that_are_no_text() {
        let mut redactor = Redactor::default();
        redactor.register("hunter2");
        assert_eq!(redactor.bytes(b"\xff\x00hunter2\xff"), b"\xff\x00*******\xff");
    }

    #[test]
    fn masking_twice_changes_nothing() {
        let once = Redactor::default().text("PGPASSWORD=hunter2 postgres://a:b@c/d");
        assert_eq!(Redactor::default().text(&once), once);
    }
}

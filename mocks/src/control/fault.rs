//! Faults: rules that decide about requests before the cloud does.
//!
//! Rules are asked in the order they were added; the first one that has
//! something to say wins. Each counts how often it was hit, since a fault that
//! never fired proves nothing.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// It is answered this; the cloud never sees it.
    Answer {
        /// The status.
        status: u16,
        /// Headers, such as `Retry-After`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The JSON body (a text is sent as it is).
        #[serde(default)]
        body: Value,
    },
    /// It is handed on after this many milliseconds.
    Delay {
        /// Milliseconds of wall-clock time.
        milliseconds: u64,
    },
    /// It is carried out, but the caller never hears: the connection is closed.
    LoseAnswer {},
}

/// A rule: which requests it is about and what becomes of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The HTTP method; none means all.
    #[serde(default)]
    pub method: Option<String>,
    /// The path, `*` standing for anything; S3 requests are `/bucket/key`, with `?query` if they have one.
    pub path: String,
    /// How many matching requests pass before it begins.
    #[serde(default)]
    pub after: u64,
    /// How many requests it hits; none means all that follow.
    #[serde(default)]
    pub times: Option<u64>,
    /// What becomes of them.
    pub verdict: Verdict,
}

/// A rule and what it has done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultReport {
    /// Its number, to remove it by.
    pub id: u64,
    /// The rule.
    pub fault: Fault,
    /// How many requests it matched.
    pub matched: u64,
    /// How many it hit.
    pub hits: u64,
}

/// All rules in force.
#[derive(Default)]
pub struct Faults {
    rules: RwLock<Vec<Rule>>,
    next: AtomicU64,
}

struct Rule {
    id: u64,
    fault: Fault,
    matched: AtomicU64,
    hits: AtomicU64,
}

impl Faults {
    /// Adds a rule behind the others. Returns its number.
    pub fn add(&self, fault: Fault) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        self.rules.write().push(Rule { id, fault, matched: AtomicU64::new(0), hits: AtomicU64::new(0) });
        id
    }

    /// Removes a rule; tells whether there was one.
    pub fn remove(&self, id: u64) -> bool {
        let mut rules = self.rules.write();
        let before = rules.len();
        rules.retain(|rule| rule.id != id);
        rules.len() < before
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules.write().clear();
    }

    /// All rules and what they have done.
    pub fn report(&self) -> Vec<FaultReport> {
        let rules = self.rules.read();
        rules
            .iter()
            .map(|rule| FaultReport {
                id: rule.id,
                fault: rule.fault.clone(),
                matched: rule.matched.load(Ordering::Relaxed),
                hits: rule.hits.load(Ordering::Relaxed),
            })
            .collect()
    }

    /// What becomes of this request; none: nothing special.
    pub fn judge(&self, method: &str, path: &str) -> Option<Verdict> {
        let rules = self.rules.read();
        rules.iter().find_map(|rule| {
            let about = rule.fault.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && matches(&rule.fault.path, path);
            if !about {
                return None;
            }
            let number = rule.matched.fetch_add(1, Ordering::Relaxed);
            let begun = number >= rule.fault.after;
            let over = rule.fault.times.is_some_and(|times| number >= rule.fault.after.saturating_add(times));
            if !begun || over {
                return None;
            }
            rule.hits.fetch_add(1, Ordering::Relaxed);
            Some(rule.fault.verdict.clone())
        })
    }
}

/// Whether `text` is `pattern`, `*` standing for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/vpc/v2/*", "/vpc/v2/regions/fr-par/vpcs", true)]
    #[case("/vpc/*/vpcs", "/vpc/v2/regions/fr-par/vpcs", true)]
    #[case("/vpc/*/vpcs", "/vpc/v2/regions/fr-par/vpcs/1", false)]
    #[case("/vpc", "/vpc/v2", false)]
    #[case("*", "/", true)]
    #[case("/a*a", "/a", false)]
    fn a_star_stands_for_anything(#[case] pattern: &str, #[case] path: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, path), expected);
    }

    #[test]
    fn a_fault_hits_the_requests_it_was_told_to_and_counts_them() {
        let faults = Faults::default();
        let fault = Fault {
            method: Some("POST".into()),
            path: "/x".into(),
            after: 1,
            times: Some(2),
            verdict: Verdict::LoseAnswer {},
        };
        faults.add(fault);
        let hits: Vec<bool> = (0..5).map(|_| faults.judge("POST", "/x").is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert!(faults.judge("GET", "/x").is_none());
        let report = &faults.report()[0];
        assert_eq!((report.matched, report.hits), (5, 2));
    }
}

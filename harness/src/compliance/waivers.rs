//! Exceptions from the rules, as `infra/policy/waivers.toml` has them: each answered for by someone, and for a time.

use std::path::Path;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, de::Error};

use super::{Catalog, Excuse, Finding, WAIVER_VALID};
use crate::{Failure, Workspace};

/// One rule that need not hold for one resource until a day.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The rule's id.
    pub rule: String,
    /// The resource's logical name in the program, or its real one.
    pub resource: String,
    /// The role that answers for it.
    pub owner: String,
    /// Why the rule cannot be kept.
    pub reason: String,
    /// The last day on which it holds.
    #[serde(deserialize_with = "day")]
    pub expires: Date,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waivers {
    #[serde(default, rename = "waiver")]
    all: Vec<Waiver>,
}

impl Waivers {
    /// The waivers of a checkout.
    ///
    /// # Errors
    /// When the file cannot be read, or one of them lacks something or says more than a waiver does.
    pub fn read(workspace: &Workspace) -> Result<Self, Failure> {
        let path = workspace.infra().join("policy/waivers.toml");
        Self::parse(&text(&path)?).map_err(|why| super::catalog::unusable(&path, &why))
    }

    /// What excuses a resource, by any of its names, from a rule on this day.
    pub fn excuse(&self, rule: &str, names: &[&str], today: Date) -> Option<Excuse> {
        let mine = |waiver: &&Waiver| {
            waiver.rule == rule && names.contains(&waiver.resource.as_str()) && today <= waiver.expires
        };
        self.all.iter().find(mine).map(|waiver| Excuse {
            owner: waiver.owner.clone(),
            reason: waiver.reason.clone(),
            expires: waiver.expires.to_string(),
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Those that are findings themselves.
    pub fn faults(&self, catalog: &Catalog, today: Date) -> Vec<Finding> {
        let wrong = |waiver: &Waiver| {
            let found = if catalog.rule(&waiver.rule).is_none() {
                format!("there is no rule {}", waiver.rule)
            } else if waiver.rule == WAIVER_VALID {
                format!("{WAIVER_VALID} cannot be waived")
            } else if today > waiver.expires {
                format!("it ran out on {}; {} answers for it", waiver.expires, waiver.owner)
            } else {
                return None;
            };
            let resource = format!("{} for {}", waiver.rule, waiver.resource);
            Some(Finding { rule: WAIVER_VALID.to_owned(), resource, found, waiver: None, origin: None })
        };
        self.all.iter().filter_map(wrong).collect()
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let waivers: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (position, waiver) in (1..).zip(&waivers.all) {
            let words = [&waiver.rule, &waiver.resource, &waiver.owner, &waiver.reason];
            if words.iter().any(|word| word.trim().is_empty()) {
                return Err(format!("[[waiver]] number {position} has an empty text"));
            }
        }
        Ok(waivers)
    }
}

/// A day of TOML, which has moments too.
fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let moment = toml::value::Datetime::deserialize(deserializer)?;
    let refused = || D::Error::custom("expires must be a day, such as 2027-12-31");
    match (moment.date, moment.time) {
        (Some(_), None) => moment.to_string().parse().map_err(|_| refused()),
        _ => Err(refused()),
    }
}

/// A file of the checkout.
pub(super) fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("{} cannot be read", path.display())).because(error).next("git checkout -- infra/policy")
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use rstest::rstest;

    use super::{super::catalog::tests::ours, *};

    const WAIVER: &str = r#"
[[waiver]]
rule = "database-private"
resource = "lock-instance"
owner = "platform lead"
reason = "It has to be reached."
expires = 2027-12-31
"#;

    #[test]
    fn the_waivers_of_the_repository_are_good_for_now() {
        let waivers = Waivers::parse(include_str!("../../../infra/policy/waivers.toml")).unwrap();
        assert_eq!(waivers.faults(&ours(), date(2026, 11, 29)), []);
    }

    #[test]
    fn a_waiver_is_for_one_rule_one_resource_and_until_its_last_day() {
        let waivers = Waivers::parse(WAIVER).unwrap();
        let excuse = |rule, name, day| waivers.excuse(rule, &["acme-dev-lock", name], day).is_some();
        assert!(excuse("database-private", "lock-instance", date(2027, 12, 31)));
        assert!(!excuse("database-private", "lock-instance", date(2028, 1, 1)));
        assert!(!excuse("database-private", "database-instance", date(2027, 1, 1)));
        assert!(!excuse("database-encrypted", "lock-instance", date(2027, 1, 1)));
    }

    #[rstest]
    #[case::unknown("database-private", "databases-private", "there is no rule databases-private")]
    #[case::old("2027", "2020", "it ran out on 2020-12-31; platform lead answers for it")]
    #[case::of_itself("\"database-private\"", "\"waiver-valid\"", "waiver-valid cannot be waived")]
    fn a_waiver_can_be_a_finding_itself(#[case] old: &str, #[case] new: &str, #[case] says: &str) {
        let waivers = Waivers::parse(&WAIVER.replacen(old, new, 1)).unwrap();
        let faults = waivers.faults(&ours(), date(2026, 11, 29));
        assert_eq!(faults.iter().map(|fault| fault.found.as_str()).collect::<Vec<_>>(), [says]);
    }

    #[rstest]
    #[case::nobodys("owner = \"platform lead\"\n", "", "missing field `owner`")]
    #[case::empty("platform lead", " ", "number 1 has an empty text")]
    #[case::a_text("2027-12-31", "\"2027-12-31\"", "expires")]
    #[case::a_moment("2027-12-31", "2027-12-31T00:00:00Z", "must be a day")]
    #[case::more("owner", "ticket = \"7\"\nowner", "unknown field `ticket`")]
    fn a_waiver_that_lacks_something_is_refused(#[case] old: &str, #[case] new: &str, #[case] says: &str) {
        let refused = Waivers::parse(&WAIVER.replacen(old, new, 1)).unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
}

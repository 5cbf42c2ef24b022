//! Conditions of bucket policies.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::policy::{like, texts};

/// What conditions ask about a request.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) source: IpAddr,
    pub(super) referer: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) now: OffsetDateTime,
}

/// One condition: a key compared with values.
#[derive(Debug)]
pub(super) struct Condition {
    test: Test,
    /// Whether the test must fail for every value, instead of holding for one.
    negated: bool,
    key: Key,
}

#[derive(Debug)]
enum Test {
    Networks(Vec<IpNet>),
    Texts(Compare, Vec<String>),
    Times(Order, Vec<OffsetDateTime>),
}

#[derive(Clone, Copy, Debug)]
enum Compare {
    Equal,
    EqualIgnoringCase,
    Like,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    After,
    AfterOrAt,
    Before,
    BeforeOrAt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    SourceIp,
    Referer,
    CurrentTime,
    EpochTime,
    Prefix,
}

impl Condition {
    /// Reads the `Condition` of a statement.
    pub(super) fn parse_all(conditions: &Value) -> Result<Vec<Self>, String> {
        let operators = conditions.as_object().ok_or("Policy has an invalid condition")?;
        let mut all = Vec::new();
        for (operator, keys) in operators {
            let keys = keys.as_object().ok_or("Policy has an invalid condition")?;
            for (key, values) in keys {
                all.push(Self::parse(operator, key, &texts(Some(values), "condition value")?)?);
            }
        }
        Ok(all)
    }

    fn parse(operator: &str, name: &str, values: &[String]) -> Result<Self, String> {
        let key = Key::named(name).ok_or_else(|| format!("Policy has an invalid condition key: {name}"))?;
        let invalid = || format!("Policy has an invalid condition value for {operator}");
        let networks = || values.iter().map(|value| network(value)).collect::<Option<_>>().ok_or_else(invalid);
        let times = || values.iter().map(|value| moment(value)).collect::<Option<_>>().ok_or_else(invalid);
        let strings = |compare| Test::Texts(compare, values.to_vec());
        let (test, negated) = match operator {
            "IpAddress" => (Test::Networks(networks()?), false),
            "NotIpAddress" => (Test::Networks(networks()?), true),
            "StringEquals" => (strings(Compare::Equal), false),
            "StringNotEquals" => (strings(Compare::Equal), true),
            "StringEqualsIgnoreCase" => (strings(Compare::EqualIgnoringCase), false),
            "StringNotEqualsIgnoreCase" => (strings(Compare::EqualIgnoringCase), true),
            "StringLike" => (strings(Compare::Like), false),
            "StringNotLike" => (strings(Compare::Like), true),
            "DateGreaterThan" => (Test::Times(Order::After, times()?), false),
            "DateGreaterThanEquals" => (Test::Times(Order::AfterOrAt, times()?), false),
            "DateLessThan" => (Test::Times(Order::Before, times()?), false),
            "DateLessThanEquals" => (Test::Times(Order::BeforeOrAt, times()?), false),
            other => return Err(format!("Policy has an invalid condition: {other}")),
        };
        let fits = match &test {
            Test::Networks(_) => key == Key::SourceIp,
            Test::Times(..) => matches!(key, Key::CurrentTime | Key::EpochTime),
            Test::Texts(..) => matches!(key, Key::Referer | Key::Prefix),
        };
        if fits {
            Ok(Self { test, negated, key })
        } else {
            Err(format!("Policy has an invalid condition: {operator} cannot test {name}"))
        }
    }

    /// Whether it holds for a request. Of what the request does not have, only a negated condition holds.
    pub(super) fn holds(&self, facts: &Facts) -> bool {
        let found = match &self.test {
            Test::Networks(networks) => networks.iter().any(|network| network.contains(&facts.source.to_canonical())),
            Test::Times(order, times) => times.iter().any(|time| match order {
                Order::After => facts.now > *time,
                Order::AfterOrAt => facts.now >= *time,
                Order::Before => facts.now < *time,
                Order::BeforeOrAt => facts.now <= *time,
            }),
            Test::Texts(compare, values) => {
                let text = if self.key == Key::Prefix { &facts.prefix } else { &facts.referer };
                text.as_ref().is_some_and(|text| {
                    values.iter().any(|value| match compare {
                        Compare::Equal => value == text,
                        Compare::EqualIgnoringCase => value.to_lowercase() == text.to_lowercase(),
                        Compare::Like => like(value, text),
                    })
                })
            }
        };
        found != self.negated
    }
}

impl Key {
    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "aws:sourceip" => Some(Self::SourceIp),
            "aws:referer" => Some(Self::Referer),
            "aws:currenttime" => Some(Self::CurrentTime),
            "aws:epochtime" => Some(Self::EpochTime),
            "s3:prefix" => Some(Self::Prefix),
            _ => None,
        }
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    match text.parse::<i64>() {
        Ok(seconds) => OffsetDateTime::from_unix_timestamp(seconds).ok(),
        Err(_) => OffsetDateTime::parse(text, &Rfc3339).ok(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[rstest]
    #[case(json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), true)]
    #[case(json!({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.0.2.7"]}}), true)]
    #[case(json!({"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), false)]
    #[case(json!({"StringLike": {"aws:Referer": "https://console.*"}}), true)]
    #[case(json!({"StringEquals": {"s3:prefix": "photos/"}}), false)]
    #[case(json!({"StringNotEquals": {"s3:prefix": "photos/"}}), true)]
    #[case(json!({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}, "DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}), true)]
    #[case(json!({"DateLessThan": {"aws:EpochTime": "1577836800"}}), false)]
    fn a_condition_holds_or_not(#[case] conditions: Value, #[case] holds: bool) {
        let facts = Facts {
            source: [192, 0, 2, 7].into(),
            referer: Some("https://console.example/x".to_owned()),
            prefix: None,
            now: datetime!(2026-01-01 0:00 UTC),
        };
        let all = Condition::parse_all(&conditions).unwrap();
        assert_eq!(all.iter().all(|condition| condition.holds(&facts)), holds);
    }
}

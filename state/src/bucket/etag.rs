//! What a content is called, and conditions on it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name a bucket gives to a content, without quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(String);

impl ETag {
    /// As a header or a listing has it, with or without quotes.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        Self(text.strip_prefix("W/").unwrap_or(text).trim_matches('"').to_owned())
    }

    /// As a header says it.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }

    /// Without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What must be true for a write to take place. The bucket decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Whatever is there.
    Always,
    /// Nothing is there: `If-None-Match: *`.
    Absent,
    /// This content is there: `If-Match`.
    Is(ETag),
}

impl Condition {
    /// That what was seen is still what is there.
    #[must_use]
    pub fn unchanged(seen: Option<&ETag>) -> Self {
        seen.map_or(Self::Absent, |etag| Self::Is(etag.clone()))
    }

    /// The header that says it.
    pub(crate) fn header(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Always => None,
            Self::Absent => Some(("if-none-match", "*".to_owned())),
            Self::Is(etag) => Some(("if-match", etag.quoted())),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::quoted("\"abc-2\"")]
    #[case::bare("abc-2")]
    #[case::weak("W/\"abc-2\"")]
    fn an_etag_is_the_same_however_it_is_written(#[case] text: &str) {
        assert_eq!(ETag::new(text).quoted(), "\"abc-2\"");
    }
}

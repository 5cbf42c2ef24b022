//! What a rule finds, and what excuses it.

use serde::{Deserialize, Serialize};

use super::Catalog;

/// One resource that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: String,
    /// The resource: its logical name, or live its real one.
    pub resource: String,
    /// What is wrong with it.
    pub found: String,
    /// What excuses it, if anything does.
    #[serde(default)]
    pub waiver: Option<Excuse>,
    /// How what is there came to break it, where the programs were judged too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// How a live resource came to break a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A program asks for it so.
    Program,
    /// It drifted: the program keeps the rule.
    Drift,
    /// No program makes the resource.
    Foreign,
}

impl Origin {
    /// In words.
    fn as_str(self) -> &'static str {
        match self {
            Self::Program => "the program asks for it so",
            Self::Drift => "the program keeps this rule: it was changed behind Pulumi's back, or grew old",
            Self::Foreign => "no program makes this resource",
        }
    }
}

/// Why a finding is none, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Excuse {
    /// The role that answers for it.
    pub owner: String,
    /// Why the rule cannot be kept.
    pub reason: String,
    /// The last day on which it holds.
    pub expires: String,
}

/// How many resources a rule has looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedAt {
    /// The rule's id.
    pub rule: String,
    /// How many.
    pub looked_at: u64,
}

impl Finding {
    /// The finding as people read it: what is wrong, why it matters, what to do.
    pub fn told(&self, catalog: &Catalog) -> String {
        let mut said = format!("{}  {}: {}", self.rule, self.resource, self.found);
        if let Some(origin) = self.origin {
            said.push_str(&format!("\n  {}", origin.as_str()));
        }
        match (&self.waiver, catalog.rule(&self.rule)) {
            (Some(excuse), _) => {
                format!("{said}\n  waived until {} by the {}: {}", excuse.expires, excuse.owner, excuse.reason)
            }
            (None, Some(rule)) => {
                let requirements = rule.requirements.join(", ");
                format!("{said}\n  {requirements}: {} {}\n  fix: {}", rule.title, rule.why, rule.fix)
            }
            (None, None) => said,
        }
    }
}

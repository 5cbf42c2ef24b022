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
        let said = format!("{}  {}: {}", self.rule, self.resource, self.found);
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

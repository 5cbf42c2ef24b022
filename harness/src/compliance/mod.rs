//! Compliance (SC-005): the rules of `infra/policy/rules.toml`, held by every deployment.
//!
//! They are judged twice. [`program`] has the Python side judge what the programs ask for, before anything is made;
//! [`live`] judges what is there, through Scaleway's public API, whoever made it. Rules, their words and what they
//! measure by are in one file ([`Catalog`]), and so are the exceptions from them ([`Waivers`]).

mod catalog;
mod finding;
pub mod live;
pub mod program;
mod waivers;

pub use catalog::{Catalog, Parameters, Rule};
pub use finding::{Excuse, Finding, LookedAt, Origin};
pub use waivers::{Waiver, Waivers};

/// The rule that waivers themselves keep.
pub const WAIVER_VALID: &str = "waiver-valid";

//! Sovereign state: a stack's state in the team's own bucket, behind a lock, with an audit trail.
//!
//! `stackproof-state` holds the parts; here they are put together with Scaleway and Pulumi:
//!
//! - [`Names`]: where everything is, computed from the stack's prefix and name.
//! - [`Home`]: all of it, opened with what Secret Manager keeps.
//! - [`Session`]: one command that has the lock; [`Home::operate`] is what most commands need.
//! - [`bootstrap`]: making a home where there is none.

pub(crate) mod bootstrap;
mod finish;
mod first;
mod hold;
mod home;
mod lost;
mod names;
mod operate;
mod owner;
mod recover;
mod search;
mod session;
pub(crate) mod vault;

pub use bootstrap::bootstrap;
pub use finish::{Ended, Finished};
pub use hold::Broken;
pub use home::Home;
pub(crate) use home::PASSPHRASE;
pub use names::Names;
pub use operate::Work;
pub use recover::{Recovered, told};
pub use session::{HOLD_VARIABLE, PATIENCE, Session};
pub use stackproof_state::lock::Wait;

//! The cast of the acceptance scenarios: what a given, a when or a then needs.
//!
//! Scenarios hold no plumbing, no target and no `if live`: all of that is here.

mod deployment;
mod inventory;
mod team;

pub use deployment::{Adopted, Application, Deployment, Principal, Reader, Setting, changed, updates};
pub use inventory::{Inventory, LEFT_BY_SCALEWAY};
pub use team::{STACK, Said, Team};

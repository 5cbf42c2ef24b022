//! The cast of the acceptance scenarios: what a given, a when or a then needs.
//!
//! Scenarios hold no plumbing, no target and no `if live`: all of that is here.

mod agreement;
mod checkout;
mod credentials;
mod deployment;
mod inventory;
mod load;
mod rights;
mod team;
mod trouble;

pub use checkout::Checkout;
pub use credentials::Credentials;
pub use deployment::{Adopted, Application, Deployment, Pipeline, Principal, Reader, Setting, changed, updates};
pub use inventory::{Inventory, LEFT_BY_SCALEWAY};
pub use load::{Load, Tally};
pub use rights::{CLASSES, Caught, Class, Difference, Rights, Subject};
pub use team::{STACK, Said, Team};
pub use trouble::{Answer, ApiKey};

//! The local cloud's own API: what no real cloud offers. Faults, the clock, the
//! traffic it has seen, its events, forks of its state.
//!
//! It is served on a listener of its own, and not at all when the cloud is to be
//! known by environment alone.

mod behind;
mod fault;
mod permissions;
mod routes;
mod traffic;

pub use fault::{Fault, FaultReport, Faults, Verdict};
pub use permissions::Permissions;
pub use routes::router;
pub use traffic::{Totals, Traffic};

//! Running everything: the run's directory, the scenarios through nextest, the checks, the report.
//!
//! `accept` and `verify` are each a short list of these parts. A run's
//! directory holds all the report needs, so a report can be folded again later
//! and elsewhere.

mod accept;
mod judged;
mod nextest;
mod run_dir;
mod stage;
mod summary;
mod tools;
mod verify;

pub use accept::{Acceptance, accept};
pub use judged::program_digest;
pub use nextest::{BIN_VARIABLE, Ended, Nextest};
pub use run_dir::RunDir;
pub use stage::{Check, Outcome};
pub use summary::{Finished, conclude, summary};
pub use tools::{PYTHON_VARIABLE, Tools};
pub use verify::verify;

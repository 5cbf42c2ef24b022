//! Pulumi, driven: the unmodified engine, run as a child process, watched by its events.

mod adoption;
mod event;
mod login;
mod pending;
mod run;
mod stack;

pub use adoption::import_file;
pub use event::{Change, Diagnostic, Events, Violation};
pub use pending::taken_in;
pub use run::{Operation, Outcome, Stop};
pub use stack::{Backend, Settings, Stack, plain_environment};

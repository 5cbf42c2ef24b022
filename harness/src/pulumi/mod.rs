//! Pulumi, driven: the unmodified engine, run as a child process, watched by its events.

mod adoption;
mod event;
mod login;
mod run;
mod stack;

pub use adoption::import_file;
pub use event::{Change, Diagnostic, Events};
pub use run::{Operation, Outcome};
pub use stack::{Backend, Settings, Stack, plain_environment};

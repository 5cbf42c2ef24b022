//! Pulumi, driven: the unmodified engine, run as a child process, watched by its events.

mod event;
mod run;
mod stack;

pub use event::{Change, Diagnostic, Events};
pub use run::{Operation, Outcome};
pub use stack::{Settings, Stack, plain_environment};

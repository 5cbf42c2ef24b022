//! The versions of a stack's state.

mod compression;
mod model;
mod place;

pub use compression::Compression;
pub use model::{Checkpoint, Deployment, Manifest, PendingOperation, Resource, SecretsProvider};
pub use place::{NotAName, Stack};

pub(crate) use compression::marked;
pub(crate) use place::Part;

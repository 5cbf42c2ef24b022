//! Images, pushed to a target's registry: read from where a build left them, sent by the OCI
//! Distribution API.

mod archive;
mod push;
mod sample;
mod source;

pub use oci_client::Reference;

pub use push::push;
pub(crate) use push::{NO_LOGIN, client as registry_client};
pub use sample::build as sample;
pub use source::Source;

//! What runs behind the local cloud's API: real databases, containers and private networks.
//!
//! Nothing here knows of Scaleway's API: each module takes what is wanted as plain values, makes it so with real
//! processes, and tells what became of it. The local cloud (`mocks/src/planes`) translates its resources into them.

pub mod containers;
pub mod databases;
pub mod docker;
pub mod network;
pub mod serverless;

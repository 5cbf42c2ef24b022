//! stackproof-cloud: a local Scaleway cloud that unmodified clients cannot tell
//! from the real API.

pub mod kernel;

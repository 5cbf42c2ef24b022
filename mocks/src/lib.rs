//! stackproof-cloud: a local Scaleway cloud that unmodified clients cannot tell
//! from the real API.

pub mod api;
pub mod kernel;
pub mod services;

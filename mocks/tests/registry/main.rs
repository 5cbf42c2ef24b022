//! Container Registry: the JSON API and the OCI data plane, by a client others use and by hand
//! where that client would do no wrong.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test's own helpers")]

mod api;
mod push;
mod scene;
mod upload;

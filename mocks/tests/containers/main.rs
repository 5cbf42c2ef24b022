//! Serverless Containers as clients meet them.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod domains;
mod fixture;
mod ownership;
mod secrets;
mod settings;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod triggers;
mod v1beta1;
mod v1beta1_settings;
mod v1beta1_triggers;

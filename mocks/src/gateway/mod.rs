//! The gateway: Scaleway's real host names, answered on this machine.
//!
//! A tool started with the gateway's [`Environment`] believes it talks to
//! `https://api.scaleway.com` and `https://<bucket>.s3.fr-par.scw.cloud`. Its
//! requests arrive here as a proxy's `CONNECT`; the gateway shows a certificate
//! of the installation's own [`Authority`], decrypts, and hands each request to
//! the [`Handler`] with the [`Service`] it was meant for.
//!
//! Requests are passed on untouched, because signatures cover them: the path and
//! the query as they were written, `Host`, `Accept-Encoding` and all the rest.
//!
//! Where a network can be had in which those names lead here ([`Gateway::direct`]), tools need no proxy.
//!
//! What the gateway does not do: authenticate, know a product, let a request for
//! a Scaleway host leave the machine.

mod authority;
mod direct;
mod environment;
mod foreign;
mod hosts;
mod own;
mod proxy;

pub use authority::{Authority, AuthorityError};
pub use environment::Environment;
pub(crate) use hosts::SCALEWAY_DOMAINS;
pub use hosts::{Region, Service};
pub use own::OwnNames;
pub use proxy::{Config, Counts, Foreign, Gateway, Handler, Listeners, Plain, handler};

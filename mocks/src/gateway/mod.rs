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
//! What the gateway does not do: authenticate, know a product, let a request for
//! a Scaleway host leave the machine.

mod authority;
mod environment;
mod foreign;
mod hosts;
mod proxy;

pub use authority::{Authority, AuthorityError};
pub use environment::Environment;
pub use hosts::{Region, Service};
pub use proxy::{Config, Counts, Foreign, Gateway, Handler, Listeners, Plain, handler};

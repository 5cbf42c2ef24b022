//! stackproof-cloud: a local Scaleway cloud that unmodified clients cannot tell
//! from the real API.
//!
//! A request comes through a door ([`gateway`], [`listener`]) to the [`front`],
//! which asks the faults and then a service: the JSON [`api`], [`object`]
//! storage, or the container [`registry`]. The [`kernel`] decides by the tables of [`services`] and writes;
//! the [`planes`] run what the resources promise.

pub mod api;
pub mod control;
pub mod front;
pub mod gateway;
pub mod identity;
pub mod kernel;
pub mod listener;
pub mod object;
pub mod planes;
pub mod registry;
pub mod server;
pub mod services;

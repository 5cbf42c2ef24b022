//! The products: one folder each, one file a resource type.
//!
//! Adding a product is adding its folder and one line in [`products`].

mod account;
pub mod iam;
mod ipam;
mod rdb;
mod secret;
mod seed;
mod vpc;

pub use seed::{Member, Organization, seed};

use crate::kernel::Product;

/// All products of the local cloud.
pub fn products() -> Vec<Product> {
    vec![account::product(), iam::product(), ipam::product(), rdb::product(), secret::product(), vpc::product()]
}

//! The products: one folder each, one file a resource type.
//!
//! Adding a product is adding its folder and one line in [`products`].

mod account;
mod audit_trail;
mod billing;
mod cockpit;
mod containers;
mod function;
pub mod iam;
mod ipam;
mod jobs;
mod key_manager;
mod rdb;
mod registry;
mod sdb;
mod secret;
mod seed;
mod vpc;

pub use seed::{Member, Organization, seed};

pub(crate) use containers::plane as containers_plane;
pub(crate) use rdb::{copies as rdb_copies, download as rdb_download, plane as rdb_plane};
pub(crate) use sdb::{all_allowing as sdb_allowing, backup as sdb_backup, login as sdb_login, plane as sdb_plane};
pub(crate) use vpc::plane as vpc_plane;

use crate::kernel::Product;

/// All products of the local cloud.
pub fn products() -> Vec<Product> {
    vec![
        account::product(),
        audit_trail::product(),
        billing::product(),
        cockpit::product(),
        containers::product(),
        function::product(),
        iam::product(),
        ipam::product(),
        jobs::product(),
        key_manager::product(),
        rdb::product(),
        registry::product(),
        sdb::product(),
        secret::product(),
        vpc::product(),
    ]
}

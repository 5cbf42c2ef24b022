//! VPC: virtual private clouds and their private networks. API reference: VPC API v2.
//!
//! Not emulated yet: routes, ACL rules, connectors, ingress rules.

mod private_network;
mod virtual_cloud;

pub(super) use private_network::subnets;
pub(super) use virtual_cloud::add_default;

use crate::kernel::Product;

const READ: &[&str] = &["VPCReadOnly"];
const WRITE: &[&str] = &["VPCFullAccess"];

pub(super) fn product() -> Product {
    Product { name: "vpc", title: "VPC", resources: vec![virtual_cloud::vpc(), private_network::private_network()] }
}

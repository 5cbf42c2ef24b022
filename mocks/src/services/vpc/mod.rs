//! VPC: virtual private clouds and their private networks. API reference: VPC API v2.
//!
//! Private networks, routing and ACLs are real ([`plane`]); custom routes, connectors
//! and ingress rules are kept and told again, no packet meets them yet. Not emulated: integration with Object Storage, overlaps of
//! connected VPCs.

mod acl;
mod connector;
mod ingress_rule;
pub(crate) mod plane;
mod private_network;
mod route;
mod virtual_cloud;

pub(super) use private_network::subnets;
pub(super) use virtual_cloud::add_default;

use crate::kernel::{Making, Product, Refusal};

const READ: &[&str] = &["VPCReadOnly"];
const WRITE: &[&str] = &["VPCFullAccess"];
/// Private networks have sets of their own (documented).
const NETWORKS_READ: &[&str] = &["PrivateNetworksReadOnly"];
const NETWORKS_WRITE: &[&str] = &["PrivateNetworksFullAccess"];

pub(super) fn product() -> Product {
    Product {
        name: "vpc",
        title: "VPC",
        resources: vec![
            virtual_cloud::vpc(),
            private_network::private_network(),
            route::route(),
            connector::connector(),
            ingress_rule::ingress_rule(),
        ],
    }
}

/// What is made in a VPC is of the VPC's project, whatever the request's default is (recorded).
fn take_project_of_vpc(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let vpc = making.text("vpc_id").to_owned();
    let project = making.act("vpc.vpc", |act| Ok(act.find("vpc.vpc", &vpc)?.text("project_id").to_owned()))?;
    making.set("project_id", project);
    Ok(())
}

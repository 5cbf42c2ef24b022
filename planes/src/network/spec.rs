//! What is wanted of networks, as plain values.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A VPC: private networks with a router between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcSpec {
    /// Its id.
    pub id: String,
    /// Whether its private networks reach each other through the router.
    pub routing: bool,
    /// What the router lets through of IPv4.
    #[serde(default)]
    pub acl_v4: Acl,
    /// What the router lets through of IPv6.
    #[serde(default)]
    pub acl_v6: Acl,
    /// Routes of the user's own.
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// Rules in their order, and what happens where none fits. Stateless: an answer needs a rule of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// The rules; the first that fits decides.
    pub rules: Vec<AclRule>,
    /// What happens where none fits.
    pub default: Verdict,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclRule {
    /// Which protocol it is about.
    pub protocol: Protocol,
    /// From where.
    pub source: IpNet,
    /// From which ports; none: any.
    pub source_ports: Option<Ports>,
    /// To where.
    pub destination: IpNet,
    /// To which ports; none: any.
    pub destination_ports: Option<Ports>,
    /// What happens then.
    pub verdict: Verdict,
}

/// A protocol of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Any.
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, of the rule's address family.
    Icmp,
}

/// Ports from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It goes through.
    #[default]
    Accept,
    /// It vanishes.
    Drop,
}

/// A route of the user's own, in the router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// What it leads to.
    pub destination: IpNet,
    /// Through which member's address.
    pub via: IpAddr,
}

/// A private network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its id.
    pub id: String,
    /// The VPC it is in.
    pub vpc: String,
    /// Its ranges, each with the router's address.
    pub subnets: Vec<Subnet>,
    /// Names that resolve inside, in full and without the last dot.
    #[serde(default)]
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// The range.
    pub range: IpNet,
    /// The router's address in it.
    pub router: IpAddr,
}

/// Something on networks: a container, a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSpec {
    /// Its id.
    pub id: String,
    /// Where it is attached.
    pub attachments: Vec<Attachment>,
    /// Whether it can use the doors to the outside.
    pub doors: bool,
}

/// A place in a private network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The private network.
    pub network: String,
    /// The addresses there.
    pub addresses: Vec<IpAddr>,
}

/// Host names outside that members with doors reach, and where they lead on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Host names; `*.` in front stands for all sub-domains.
    pub hosts: Vec<String>,
    /// For each port, the address of this machine it leads to.
    pub ports: BTreeMap<u16, SocketAddr>,
}

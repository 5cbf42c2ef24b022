//! What the tests of networks and containers share.
#![allow(dead_code, unused_imports, unused_macros)]

pub(crate) mod dockerd;
pub(crate) mod image;

use std::{collections::BTreeSet, net::IpAddr};

use stackproof_planes::network::{Member, NetworkSpec, Subnet, VpcSpec};

/// Ends a test where the machine has no namespaces, and says so.
macro_rules! namespaces {
    () => {
        if let stackproof_planes::network::Driver::Loopback { missing } =
            stackproof_planes::network::Driver::detect().await
        {
            assert!(
                std::env::var_os("STACKPROOF_NEEDS_NAMESPACES").is_none(),
                "STACKPROOF_NEEDS_NAMESPACES is set, and this machine has none: {missing}"
            );
            println!("SKIPPED: {}: {missing}", module_path!());
            return;
        }
    };
}
pub(crate) use namespaces;

pub(crate) fn vpc(id: &str, routing: bool) -> VpcSpec {
    VpcSpec { id: id.to_owned(), routing, acl_v4: Default::default(), acl_v6: Default::default(), routes: Vec::new() }
}

pub(crate) fn network(id: &str, vpc: &str, subnets: &[(&str, &str)]) -> NetworkSpec {
    let subnets = subnets
        .iter()
        .map(|(range, router)| Subnet { range: range.parse().unwrap(), router: router.parse().unwrap() })
        .collect();
    NetworkSpec { id: id.to_owned(), vpc: vpc.to_owned(), subnets, names: Default::default() }
}

/// The first address of a name, asked from inside a member.
pub(crate) async fn resolve(member: &Member, name: &str) -> Option<IpAddr> {
    let name = name.to_owned();
    let server = std::net::SocketAddr::new(member.nameserver?, 53);
    let socket = member.place.datagrams("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut question = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    socket.send_to(&question, server).await.unwrap();
    let mut answer = [0; 512];
    let (length, _) = socket.recv_from(&mut answer).await.unwrap();
    let code = answer[3] & 0xf;
    let answers = u16::from_be_bytes([answer[6], answer[7]]);
    assert!(code == 0 || code == 3, "the resolver failed with code {code}");
    (answers > 0).then(|| {
        let octets: [u8; 4] = answer[length - 4..length].try_into().unwrap();
        IpAddr::from(octets)
    })
}

/// What of this machine networks and containers could leave behind or change.
pub(crate) fn machine() -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for (kind, file) in
        [("mount", "/proc/self/mountinfo"), ("route", "/proc/net/route"), ("rule", "/proc/net/fib_trie")]
    {
        let text = std::fs::read_to_string(file).unwrap();
        seen.extend(text.lines().map(|line| format!("{kind} {line}")));
    }
    for interface in std::fs::read_dir("/sys/class/net").unwrap() {
        seen.insert(format!("interface {}", interface.unwrap().file_name().display()));
    }
    let forward = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    seen.insert(format!("forward {}", forward.trim()));
    seen
}

//! Who reaches whom, shown by trying.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod common;

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use common::{namespaces, network, vpc};
use stackproof_planes::network::{
    Acl, AclRule, Attachment, Door, Driver, Fabric, MemberSpec, Place, Ports, Protocol, Reached, Route, Verdict,
    VpcSpec,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_millis(700);

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

fn member(id: &str, network: &str, addresses: &[&str]) -> MemberSpec {
    MemberSpec {
        id: id.to_owned(),
        attachments: vec![Attachment {
            network: network.to_owned(),
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        }],
        doors: false,
    }
}

/// Two networks of one VPC, with members `a` and `b` in the first and `c` in the second.
async fn three(routing: bool) -> Fabric {
    let fabric = Fabric::new(Driver::Namespaces);
    fabric.set_vpc(vpc("one", routing)).await.unwrap();
    fabric
        .set_network(network("left", "one", &[("10.0.0.0/24", "10.0.0.1"), ("fd00:a::/64", "fd00:a::1")]))
        .await
        .unwrap();
    fabric
        .set_network(network("right", "one", &[("10.0.1.0/24", "10.0.1.1"), ("fd00:b::/64", "fd00:b::1")]))
        .await
        .unwrap();
    fabric.set_member(member("a", "left", &["10.0.0.2", "fd00:a::2"])).await.unwrap();
    fabric.set_member(member("b", "left", &["10.0.0.3", "fd00:a::3"])).await.unwrap();
    fabric.set_member(member("c", "right", &["10.0.1.2", "fd00:b::2"])).await.unwrap();
    fabric
}

/// Takes connections in a member, for as long as what it gives is held.
async fn listen(fabric: &Fabric, id: &str, to: SocketAddr) -> tokio_util::task::AbortOnDropHandle<()> {
    let listener = fabric.member(id).await.unwrap().place.listen(to).await.unwrap();
    tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"hello").await.unwrap();
        }
    }))
}

/// Whether who listens is reached: a machine's way out may take any connection and lead it nowhere.
async fn greeted(from: &Place, to: SocketAddr) -> bool {
    let greeting = async {
        let mut stream = from.connect(to).await.ok()?;
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting).await.ok()?;
        (greeting == *b"hello").then_some(())
    };
    tokio::time::timeout(PATIENCE, greeting).await.ok().flatten().is_some()
}

async fn reaches(fabric: &Fabric, from: &str, to: SocketAddr) -> Reached {
    fabric.probe(from, to, PATIENCE).await.unwrap().reached
}

#[tokio::test]
async fn members_of_one_network_reach_each_other_and_nobody_else_does() {
    namespaces!();
    let fabric = three(false).await;
    let b = at("10.0.0.3", 5432);
    assert_eq!(reaches(&fabric, "a", b).await, Reached::Refused);
    let (_v4, _v6) = (listen(&fabric, "b", b).await, listen(&fabric, "b", at("fd00:a::3", 5432)).await);
    assert_eq!(reaches(&fabric, "a", b).await, Reached::Connected);
    assert_eq!(reaches(&fabric, "a", at("fd00:a::3", 5432)).await, Reached::Connected);

    assert!(!greeted(&Place::Host, b).await, "the host reaches a private address");
    let a = fabric.member("a").await.unwrap();
    assert!(greeted(&a.place, b).await);
    assert!(matches!(reaches(&fabric, "c", b).await, Reached::Failed(_)), "a member of another network reaches it");
    let outside = TcpHost::start().await;
    assert_ne!(reaches(&fabric, "a", outside.0).await, Reached::Connected, "a member reaches the host");
}

struct TcpHost(SocketAddr, #[expect(dead_code)] tokio::net::TcpListener);

impl TcpHost {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self(listener.local_addr().unwrap(), listener)
    }
}

#[tokio::test]
async fn routing_opens_the_way_between_networks_and_its_end_closes_it() {
    namespaces!();
    let fabric = three(true).await;
    let (b, b6) = (at("10.0.0.3", 80), at("fd00:a::3", 80));
    let (_v4, _v6) = (listen(&fabric, "b", b).await, listen(&fabric, "b", b6).await);
    assert_eq!(reaches(&fabric, "c", b).await, Reached::Connected);
    assert_eq!(reaches(&fabric, "c", b6).await, Reached::Connected);
    fabric.set_vpc(vpc("one", false)).await.unwrap();
    assert_ne!(reaches(&fabric, "c", b).await, Reached::Connected);
    assert_ne!(reaches(&fabric, "c", b6).await, Reached::Connected);
    assert_eq!(reaches(&fabric, "a", b).await, Reached::Connected, "routing has no say inside a network");
}

#[tokio::test]
async fn two_vpcs_may_use_the_same_addresses_and_never_meet() {
    namespaces!();
    let fabric = three(true).await;
    fabric.set_vpc(vpc("two", true)).await.unwrap();
    fabric.set_network(network("other", "two", &[("10.0.0.0/24", "10.0.0.1")])).await.unwrap();
    fabric.set_member(member("x", "other", &["10.0.0.2"])).await.unwrap();
    let _b = listen(&fabric, "b", at("10.0.0.3", 80)).await;
    assert_ne!(reaches(&fabric, "x", at("10.0.0.3", 80)).await, Reached::Connected);
    assert_eq!(reaches(&fabric, "a", at("10.0.0.3", 80)).await, Reached::Connected);
}

fn rule(source: &str, destination: &str, ports: Option<(u16, u16)>, verdict: Verdict) -> AclRule {
    AclRule {
        protocol: Protocol::Tcp,
        source: source.parse().unwrap(),
        source_ports: None,
        destination: destination.parse().unwrap(),
        destination_ports: ports.map(|(first, last)| Ports { first, last }),
        verdict,
    }
}

#[tokio::test]
async fn access_rules_decide_in_their_order_without_memory() {
    namespaces!();
    let fabric = three(true).await;
    let (sql, http) = (at("10.0.0.3", 5432), at("10.0.0.3", 80));
    let (_sql, _http) = (listen(&fabric, "b", sql).await, listen(&fabric, "b", http).await);
    let (left, right) = ("10.0.0.0/24", "10.0.1.0/24");
    let set = async |rules: Vec<AclRule>, default| {
        let acl_v4 = Acl { rules, default };
        fabric.set_vpc(VpcSpec { acl_v4, ..vpc("one", true) }).await.unwrap();
        (reaches(&fabric, "c", sql).await, reaches(&fabric, "c", http).await)
    };
    use Reached::{Connected, TimedOut};

    let drop_sql = vec![rule(right, left, Some((5432, 5432)), Verdict::Drop)];
    assert_eq!(set(drop_sql, Verdict::Accept).await, (TimedOut, Connected));

    let there = rule(right, left, Some((5432, 5432)), Verdict::Accept);
    assert_eq!(set(vec![there.clone()], Verdict::Drop).await, (TimedOut, TimedOut), "the answer needs a rule too");
    let back = rule(left, right, Some((1024, 65535)), Verdict::Accept);
    assert_eq!(set(vec![there.clone(), back.clone()], Verdict::Drop).await, (Connected, TimedOut));
    let closed_below = rule(left, right, Some((1, 1023)), Verdict::Accept);
    assert_eq!(set(vec![there.clone(), closed_below], Verdict::Drop).await, (TimedOut, TimedOut));

    let first = rule("10.0.1.2/32", left, None, Verdict::Drop);
    assert_eq!(set(vec![first, there, back], Verdict::Drop).await, (TimedOut, TimedOut), "the first that fits decides");
    assert_eq!(set(vec![], Verdict::Drop).await, (TimedOut, TimedOut));
    assert_eq!(reaches(&fabric, "a", sql).await, Connected, "rules have no say inside a network");
    assert_eq!(set(vec![], Verdict::Accept).await, (Connected, Connected));
}

#[tokio::test]
async fn a_route_of_the_users_leads_through_a_member() {
    namespaces!();
    let fabric = three(true).await;
    let routes =
        vec![Route { destination: "10.9.0.0/24".parse().unwrap(), via: "10.0.0.3".parse::<IpAddr>().unwrap() }];
    fabric.set_vpc(VpcSpec { routes, ..vpc("one", true) }).await.unwrap();
    let before = reaches(&fabric, "c", at("10.9.0.7", 80)).await;
    assert_ne!(before, Reached::Connected);
    // b has that address as well: it takes what the route brings.
    let b = fabric.member("b").await.unwrap();
    b.place
        .run(|| {
            let done =
                std::process::Command::new("ip").args(["address", "add", "10.9.0.7/32", "dev", "lo"]).status()?;
            assert!(done.success());
            Ok(())
        })
        .await
        .unwrap();
    let _listens = listen(&fabric, "b", at("10.9.0.7", 80)).await;
    assert_eq!(reaches(&fabric, "c", at("10.9.0.7", 80)).await, Reached::Connected);
    fabric.set_vpc(vpc("one", true)).await.unwrap();
    assert_ne!(reaches(&fabric, "c", at("10.9.0.7", 80)).await, Reached::Connected);
}

#[tokio::test]
async fn members_come_and_go_and_what_is_used_stays() {
    namespaces!();
    let fabric = three(false).await;
    assert!(fabric.remove_network("left").await.is_err());
    assert!(fabric.remove_vpc("one").await.is_err());
    let b = at("10.0.0.3", 80);
    let first = listen(&fabric, "b", b).await;
    assert_eq!(reaches(&fabric, "a", b).await, Reached::Connected);
    drop(first);
    fabric.remove_member("b").await.unwrap();
    assert_ne!(reaches(&fabric, "a", b).await, Reached::Connected);
    // Someone new with the same address is reached at once.
    fabric.set_member(member("b2", "left", &["10.0.0.3"])).await.unwrap();
    let _second = listen(&fabric, "b2", b).await;
    assert_eq!(reaches(&fabric, "a", b).await, Reached::Connected);
    for id in ["a", "b2", "c"] {
        fabric.remove_member(id).await.unwrap();
    }
    fabric.remove_network("left").await.unwrap();
    fabric.remove_network("right").await.unwrap();
    fabric.remove_vpc("one").await.unwrap();
    assert!(fabric.set_member(member("a", "left", &["10.0.0.2"])).await.is_err());
}

#[tokio::test]
async fn doors_lead_to_this_machine_and_only_to_what_they_are_for() {
    namespaces!();
    let gateway = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = gateway.local_addr().unwrap();
    let fabric = three(false).await;
    let names = [("db.left.internal".to_owned(), vec!["10.0.0.3".parse().unwrap()])].into();
    let left = network("left", "one", &[("10.0.0.0/24", "10.0.0.1"), ("fd00:a::/64", "fd00:a::1")]);
    fabric.set_network(stackproof_planes::network::NetworkSpec { names, ..left }).await.unwrap();
    let hosts = vec!["api.scaleway.com".to_owned(), "*.s3.fr-par.scw.cloud".to_owned()];
    fabric.set_doors(vec![Door { hosts, ports: [(443, target)].into() }]).await.unwrap();
    for id in ["a", "b"] {
        let spec =
            MemberSpec { doors: true, ..member(id, "left", if id == "a" { &["10.0.0.2"] } else { &["10.0.0.3"] }) };
        fabric.set_member(spec).await.unwrap();
    }

    let a = fabric.member("a").await.unwrap();
    let api = common::resolve(&a, "api.scaleway.com").await.unwrap();
    assert_eq!(common::resolve(&a, "bucket.s3.fr-par.scw.cloud").await, Some(api));
    assert_eq!(common::resolve(&a, "db.left.internal").await, Some("10.0.0.3".parse().unwrap()));
    assert_eq!(common::resolve(&a, "example.com").await, None);
    let c = fabric.member("c").await.unwrap();
    assert_eq!(common::resolve(&c, "db.left.internal").await, None, "a name of another network");

    let mut inside = a.place.connect(SocketAddr::new(api, 443)).await.unwrap();
    let (mut taken, _) = gateway.accept().await.unwrap();
    inside.write_all(b"ping").await.unwrap();
    let mut read = [0; 4];
    taken.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"ping");
    assert_eq!(reaches(&fabric, "a", SocketAddr::new(api, 80)).await, Reached::Refused);
    let b = fabric.member("b").await.unwrap();
    let outside = *b.addresses.last().unwrap();
    let _b = listen(&fabric, "b", SocketAddr::new(outside, 80)).await;
    assert_ne!(
        reaches(&fabric, "a", SocketAddr::new(outside, 80)).await,
        Reached::Connected,
        "not through the outside"
    );
}

#[tokio::test]
async fn a_door_that_stays_does_not_notice_those_that_come_and_go() {
    namespaces!();
    let stays = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let goes = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let door = |host: &str, port, to: &tokio::net::TcpListener| Door {
        hosts: vec![host.to_owned()],
        ports: [(port, to.local_addr().unwrap())].into(),
    };
    let (api, database) = (door("api.scaleway.com", 443, &stays), door("rw-1.rdb.fr-par.scw.cloud", 4711, &goes));
    let fabric = three(false).await;
    fabric.set_doors(vec![api.clone()]).await.unwrap();
    fabric.set_member(MemberSpec { doors: true, ..member("a", "left", &["10.0.0.2"]) }).await.unwrap();
    let a = fabric.member("a").await.unwrap();
    let first = common::resolve(&a, "api.scaleway.com").await.unwrap();
    let mut inside = a.place.connect(SocketAddr::new(first, 443)).await.unwrap();
    let (mut taken, _) = stays.accept().await.unwrap();

    fabric.set_doors(vec![database, api.clone()]).await.unwrap();
    let second = common::resolve(&a, "rw-1.rdb.fr-par.scw.cloud").await.unwrap();
    assert_eq!(reaches(&fabric, "a", SocketAddr::new(second, 4711)).await, Reached::Connected);
    fabric.set_doors(vec![api]).await.unwrap();
    assert_eq!(common::resolve(&a, "rw-1.rdb.fr-par.scw.cloud").await, None);
    assert_eq!(reaches(&fabric, "a", SocketAddr::new(second, 4711)).await, Reached::Refused);

    assert_eq!(common::resolve(&a, "api.scaleway.com").await, Some(first), "it has another address now");
    inside.write_all(b"ping").await.unwrap();
    let mut read = [0; 4];
    taken.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"ping", "what went through it broke");
}

#[tokio::test]
async fn the_world_is_open_to_whom_it_is_opened_and_private_networks_stay_where_they_are() {
    namespaces!();
    let fabric = three(true).await;
    // What stands for the world: a network of its own with an address that is nobody's (RFC 5737).
    let world = stackproof_planes::network::Namespace::create("the internet").await.unwrap();
    let world = Place::Within(world);
    world
        .run(|| {
            let done =
                std::process::Command::new("ip").args(["address", "add", "192.0.2.7/32", "dev", "lo"]).status()?;
            assert!(done.success());
            Ok(())
        })
        .await
        .unwrap();
    let site = at("192.0.2.7", 443);
    let listener = world.listen(site).await.unwrap();
    let _site = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"hello").await.unwrap();
        }
    }));
    let c = at("10.0.1.2", 443);
    let _c = listen(&fabric, "c", c).await;
    let (a, b) = (fabric.member("a").await.unwrap().place.clone(), fabric.member("b").await.unwrap().place.clone());
    assert!(!greeted(&a, site).await, "it is open to one that it was not opened to");

    fabric.open_world("a", &world).await.unwrap();
    assert!(greeted(&a, site).await);
    assert!(!greeted(&b, site).await, "it is open to another one too");
    assert!(greeted(&a, c).await, "the other private network is not where it was");
    assert_eq!(reaches(&fabric, "a", at("192.0.2.7", 9)).await, Reached::Refused, "a port that is not carried");
    fabric.set_vpc(vpc("one", false)).await.unwrap();
    assert!(!greeted(&a, c).await, "it reaches the other private network without a router");
    assert!(greeted(&a, site).await);
    fabric.remove_member("a").await.unwrap();
    assert!(!greeted(&a, site).await);
}

#[tokio::test]
async fn nothing_of_the_machine_is_touched() {
    namespaces!();
    let before = common::machine();
    let began = Instant::now();
    let fabric = three(true).await;
    let took = began.elapsed();
    assert_eq!(common::machine(), before, "while networks are up");
    drop(fabric);
    assert_eq!(common::machine(), before, "and after");
    println!("a VPC with two networks and three members: {took:?}");
    assert!(took < Duration::from_secs(5));
}

#[tokio::test]
async fn without_namespaces_it_says_what_is_missing() {
    let driver = Driver::Loopback { missing: "making a network namespace: not permitted".to_owned() };
    let isolation = driver.isolation();
    assert!(!isolation.provable);
    assert!(isolation.missing.unwrap().contains("not permitted") && isolation.next_step.is_some());
    let fabric = Fabric::new(driver);
    let member = fabric.set_member(member("a", "left", &["10.0.0.2"])).await.unwrap();
    assert_eq!(member.address(), Some("127.0.0.1".parse().unwrap()));
}

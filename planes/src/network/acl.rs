//! A VPC's access rules, as rules of routing.
//!
//! The kernel asks its routing rules for every packet that passes through, in order, by addresses, protocol and ports,
//! and remembers nothing of a connection: just what the rules of a VPC are. No packet filter and no tool is needed.

use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::{
    IpVersion,
    packet_route::{
        IpProtocol,
        rule::{RuleAction, RuleAttribute, RuleHeader, RulePortRange},
    },
};

use super::{Acl, AclRule, Error, Namespace, Ports, Protocol, Result, Verdict};

/// Routing table `main`.
const MAIN: u8 = 254;
/// What the router says itself goes out.
const OWN: u32 = 500;
/// While rules are changed, nothing goes through.
const CLOSED: u32 = 600;
const FIRST: u32 = 1000;
/// Each rule may need some steps.
const APART: u32 = 10;
const DEFAULT: u32 = 32_000;

/// An IP version, by which rules are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// One step of the kernel's list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    priority: u32,
    action: RuleAction,
    source: Option<IpNet>,
    destination: Option<IpNet>,
    attributes: Vec<RuleAttribute>,
}

impl Step {
    fn plain(priority: u32, action: RuleAction) -> Self {
        Self { priority, action, source: None, destination: None, attributes: Vec::new() }
    }
}

/// Makes the router's rules these.
pub(super) async fn apply(router: &Namespace, family: Family, acl: &Acl) -> Result<()> {
    let steps = compile(family, acl)?;
    add(router, family, &Step::plain(CLOSED, RuleAction::Blackhole)).await?;
    clear(router, family).await?;
    for step in &steps {
        add(router, family, step).await?;
    }
    remove(router, family, |priority| priority == CLOSED).await
}

fn compile(family: Family, acl: &Acl) -> Result<Vec<Step>> {
    if acl.rules.is_empty() && acl.default == Verdict::Accept {
        return Ok(Vec::new());
    }
    let mut own = Step::plain(OWN, RuleAction::ToTable);
    own.attributes.push(RuleAttribute::Iifname("lo".to_owned()));
    let mut steps = vec![own];
    let mut base = FIRST;
    for rule in &acl.rules {
        compile_rule(family, rule, base, &mut steps)?;
        base += APART;
        if base >= DEFAULT {
            return Err(Error::Wrong(format!("{} access rules are more than fit", acl.rules.len())));
        }
    }
    steps.push(Step::plain(base, RuleAction::Nop));
    let last = match acl.default {
        Verdict::Accept => RuleAction::ToTable,
        Verdict::Drop => RuleAction::Blackhole,
    };
    steps.push(Step::plain(DEFAULT, last));
    Ok(steps)
}

/// A rule's steps. The kernel takes port ranges from 1 to 65534: what reaches to the end is said the other way round,
/// by going on to the next rule with all ports below.
fn compile_rule(family: Family, rule: &AclRule, base: u32, steps: &mut Vec<Step>) -> Result<()> {
    for range in [rule.source, rule.destination] {
        if matches!(range, IpNet::V4(_)) != (family == Family::V4) {
            return Err(Error::Wrong(format!("{range} is not of the rule's address family")));
        }
    }
    let ports = [rule.source_ports, rule.destination_ports];
    if ports.iter().any(Option::is_some) && !matches!(rule.protocol, Protocol::Tcp | Protocol::Udp) {
        return Err(Error::Wrong("only rules for TCP or UDP have ports".to_owned()));
    }
    let mut matching = Step {
        priority: base,
        action: match rule.verdict {
            Verdict::Accept => RuleAction::ToTable,
            Verdict::Drop => RuleAction::Blackhole,
        },
        source: Some(rule.source),
        destination: Some(rule.destination),
        attributes: Vec::new(),
    };
    if let Some(protocol) = number(family, rule.protocol) {
        matching.attributes.push(RuleAttribute::IpProtocol(protocol));
    }
    let mut around = Vec::new();
    for (ports, attribute) in
        ports.into_iter().zip([RuleAttribute::SourcePortRange, RuleAttribute::DestinationPortRange] as [fn(_) -> _; 2])
    {
        match ports {
            None => {}
            Some(Ports { first, last }) if first > last => {
                return Err(Error::Wrong(format!("ports {first} to {last} are none")));
            }
            Some(Ports { first: 0 | 1, last: u16::MAX }) => {}
            Some(Ports { first, last: u16::MAX }) => {
                around.push(attribute(RulePortRange { start: 1, end: first - 1 }));
            }
            Some(Ports { first, last }) => {
                matching.attributes.push(attribute(RulePortRange { start: first.max(1), end: last.max(1) }));
            }
        }
    }
    for below in around {
        let mut skip = Step { action: RuleAction::Goto, ..matching.clone() };
        skip.priority = matching.priority;
        matching.priority += 1;
        skip.attributes.extend([below, RuleAttribute::Goto(base + APART)]);
        steps.push(skip);
    }
    steps.push(matching);
    Ok(())
}

fn number(family: Family, protocol: Protocol) -> Option<IpProtocol> {
    match protocol {
        Protocol::Any => None,
        Protocol::Tcp => Some(IpProtocol::Tcp),
        Protocol::Udp => Some(IpProtocol::Udp),
        Protocol::Icmp if family == Family::V4 => Some(IpProtocol::Icmp),
        Protocol::Icmp => Some(IpProtocol::Other(58)),
    }
}

async fn add(router: &Namespace, family: Family, step: &Step) -> Result<()> {
    let mut request = router.links().rule().add().priority(step.priority).action(step.action);
    let message = request.message_mut();
    message.header.table = if step.action == RuleAction::ToTable { MAIN } else { 0 };
    message.attributes.extend(step.attributes.iter().cloned());
    for (range, to) in [(step.source, false), (step.destination, true)] {
        let Some(range) = range.filter(|range| range.prefix_len() > 0) else { continue };
        say(&mut message.header, &mut message.attributes, range, to);
    }
    let asked = match family {
        Family::V4 => request.v4().execute().await,
        Family::V6 => request.v6().execute().await,
    };
    asked.map_err(Error::link(format!("adding access rule {step:?} to the router of {}", router.label())))
}

fn say(header: &mut RuleHeader, attributes: &mut Vec<RuleAttribute>, range: IpNet, to: bool) {
    let network: IpAddr = range.network();
    if to {
        header.dst_len = range.prefix_len();
        attributes.push(RuleAttribute::Destination(network));
    } else {
        header.src_len = range.prefix_len();
        attributes.push(RuleAttribute::Source(network));
    }
}

async fn clear(router: &Namespace, family: Family) -> Result<()> {
    remove(router, family, |priority| priority == OWN || (FIRST..=DEFAULT).contains(&priority)).await
}

async fn remove(router: &Namespace, family: Family, which: impl Fn(u32) -> bool) -> Result<()> {
    let step = format!("replacing the access rules of {}", router.label());
    let version = match family {
        Family::V4 => IpVersion::V4,
        Family::V6 => IpVersion::V6,
    };
    let mut found = std::pin::pin!(router.links().rule().get(version).execute());
    let mut old = Vec::new();
    while let Some(rule) = futures::TryStreamExt::try_next(&mut found).await.map_err(Error::link(&*step))? {
        let ours = rule.attributes.iter().any(|a| matches!(a, RuleAttribute::Priority(p) if which(*p)));
        if ours {
            old.push(rule);
        }
    }
    for rule in old {
        router.links().rule().del(rule).execute().await.map_err(Error::link(&*step))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(destination_ports: Option<Ports>) -> AclRule {
        AclRule {
            protocol: Protocol::Tcp,
            source: "10.0.0.0/24".parse().unwrap(),
            source_ports: None,
            destination: "10.0.1.0/24".parse().unwrap(),
            destination_ports,
            verdict: Verdict::Accept,
        }
    }

    #[test]
    fn nothing_wanted_is_no_rule() {
        assert_eq!(compile(Family::V4, &Acl::default()).unwrap(), []);
    }

    #[test]
    fn a_range_up_to_the_last_port_goes_round_those_below() {
        let acl = Acl { rules: vec![rule(Some(Ports { first: 1024, last: u16::MAX }))], default: Verdict::Drop };
        let steps = compile(Family::V4, &acl).unwrap();
        let told: Vec<_> = steps.iter().map(|step| (step.priority, step.action)).collect();
        assert_eq!(
            told,
            [
                (500, RuleAction::ToTable),
                (1000, RuleAction::Goto),
                (1001, RuleAction::ToTable),
                (1010, RuleAction::Nop),
                (32_000, RuleAction::Blackhole),
            ]
        );
        assert!(steps[1].attributes.contains(&RuleAttribute::Goto(1010)));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        for acl in [
            Acl { rules: vec![rule(Some(Ports { first: 2, last: 1 }))], default: Verdict::Drop },
            Acl {
                rules: vec![AclRule { protocol: Protocol::Icmp, ..rule(Some(Ports { first: 1, last: 2 })) }],
                default: Verdict::Drop,
            },
            Acl { rules: vec![AclRule { source: "fd00::/64".parse().unwrap(), ..rule(None) }], default: Verdict::Drop },
        ] {
            assert!(matches!(compile(Family::V4, &acl), Err(Error::Wrong(_))));
        }
    }
}

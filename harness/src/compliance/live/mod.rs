//! What is there, judged by the rules: every resource of the stack's project, whoever made it, asked of Scaleway's public
//! API alone. Pulumi and its state are not asked.

mod buckets;
mod checks;
mod seen;
mod survey;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::{Catalog, Finding, LookedAt, WAIVER_VALID, Waivers, program::Judgement};
use crate::{Failure, sovereign::Names, target::Target};
use seen::Seen;

/// What the rules say of a project.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether every rule holds, and everything could be looked at.
    pub ok: bool,
    /// What breaks a rule.
    pub findings: Vec<Finding>,
    /// What would, had it no waiver.
    pub waived: Vec<Finding>,
    /// What could not be looked at, each with why.
    pub unseen: Vec<String>,
    /// How many resources each rule has looked at.
    pub rules: Vec<LookedAt>,
}

/// Judges what is there of a stack. With what the rules say of its programs, each finding tells whether it drifted.
///
/// # Errors
/// When the rules have no checks here, or the cloud does not answer or refuses.
pub async fn check(
    target: &Target,
    names: &Names,
    catalog: &Catalog,
    waivers: &Waivers,
    asked: Option<&Judgement>,
) -> Result<Report, Failure> {
    fits(catalog)?;
    let now = now(target).await?;
    let regions: BTreeSet<&str> =
        survey::REGIONS.into_iter().chain(catalog.parameters.regions.iter().map(String::as_str)).collect();
    let (listed, (buckets, unseen)) =
        futures::try_join!(survey::resources(target, names, &regions), buckets::buckets(target, names, &regions))?;
    let seen: Vec<Seen> = listed.into_iter().chain(buckets).collect();
    Ok(judge(&seen, unseen, Rules { catalog, waivers, asked }, now))
}

/// What is judged by.
#[derive(Clone, Copy)]
struct Rules<'a> {
    catalog: &'a Catalog,
    waivers: &'a Waivers,
    /// What they say of the programs, where that is known.
    asked: Option<&'a Judgement>,
}

/// Judges what was seen.
fn judge(seen: &[Seen], unseen: Vec<String>, rules: Rules<'_>, now: Timestamp) -> Report {
    let Rules { catalog, waivers, asked } = rules;
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut findings, mut waived) = (waivers.faults(catalog, today), Vec::new());
    for rule in catalog.rules.iter().filter(|rule| !rule.live.is_empty()) {
        let count = counts.entry(rule.id.as_str()).or_default();
        if rule.id == WAIVER_VALID {
            *count = waivers.count() as u64;
            continue;
        }
        let Some(check) = checks::of(&rule.id) else { continue };
        for one in seen.iter().filter(|one| rule.live.iter().any(|kind| kind == one.kind)) {
            *count += 1;
            for found in check(one, &catalog.parameters, now) {
                let waiver = waivers.excuse(&rule.id, &one.names(), today);
                let heap = if waiver.is_some() { &mut waived } else { &mut findings };
                let origin = asked.map(|asked| asked.origin(&rule.id, one.logical()));
                heap.push(Finding { rule: rule.id.clone(), resource: one.title(), found, waiver, origin });
            }
        }
    }
    let rules = catalog.rules.iter().filter_map(|rule| {
        counts.get(rule.id.as_str()).map(|count| LookedAt { rule: rule.id.clone(), looked_at: *count })
    });
    Report { ok: findings.is_empty() && unseen.is_empty(), rules: rules.collect(), findings, waived, unseen }
}

/// Every rule about what is live has a check here that looks at kinds there are, and every check has its rule: otherwise a
/// rule would hold silently.
fn fits(catalog: &Catalog) -> Result<(), Failure> {
    let broken = |why: String| {
        Failure::usage("infra/policy/rules.toml does not fit this stackproof")
            .because(why)
            .next("git checkout -- infra/policy, or write the check in harness/src/compliance/live/checks.rs")
    };
    let live: BTreeSet<&str> =
        catalog.rules.iter().filter(|rule| !rule.live.is_empty()).map(|rule| rule.id.as_str()).collect();
    for rule in &catalog.rules {
        if let Some(kind) = rule.live.iter().find(|kind| !survey::KINDS.contains(&kind.as_str())) {
            return Err(broken(format!("rule {} looks at {kind}, which is no kind of resource", rule.id)));
        }
    }
    let checked: BTreeSet<&str> = checks::IDS.into_iter().chain([WAIVER_VALID]).collect();
    match live.symmetric_difference(&checked).next() {
        Some(id) if live.contains(id) => Err(broken(format!("rule {id} has no check"))),
        Some(id) => Err(broken(format!("there is no rule {id}, or it looks at nothing live"))),
        None => Ok(()),
    }
}

/// What time it is, for ages: by the cloud's own clock, where that can be turned.
async fn now(target: &Target) -> Result<Timestamp, Failure> {
    let Some(control) = target.control() else { return Ok(Timestamp::now()) };
    let text = control.now().await?;
    text.parse().map_err(|error| Failure::environment(format!("the cloud's clock shows {text}")).because(error))
}

#[cfg(test)]
mod tests;

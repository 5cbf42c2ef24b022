//! What is too much and what is missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use stackproof_cloud::{
    control::Permissions,
    kernel::{Observed, ObservedCall},
};

use super::{Grant, Holder, Need, smallest};

/// What was found of all applications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether everybody holds exactly what they need.
    pub ok: bool,
    /// Each application.
    pub applications: Vec<Judged>,
    /// People who called something, and what a key would need that does the same: a pipeline's. What they hold beside is
    /// their organisation's business, and no finding.
    pub people: Vec<Judged>,
    /// Everything that is too much or missing.
    pub findings: Vec<Finding>,
}

/// What one principal holds and needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Its name.
    pub name: String,
    /// Its identifier.
    pub id: String,
    /// How many different things it was seen to do.
    pub calls: usize,
    /// What it is granted.
    pub granted: Vec<Grant>,
    /// The smallest that allows what it was seen to do.
    pub needed: Vec<Grant>,
}

/// What a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// It is granted and not needed.
    Excess,
    /// It is needed and not granted.
    Lack,
}

/// Something that is too much, or missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which of the two.
    pub kind: FindingKind,
    /// The application's name.
    pub application: String,
    /// The permission set.
    pub permission_set: String,
    /// In which project; none: in the organisation.
    pub project_id: Option<String>,
    /// Why it is one.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind == FindingKind::Excess { "excess" } else { "lack" };
        let Self { application, permission_set, why, fix, .. } = self;
        write!(f, "{kind}: {permission_set} of {application}: {why}; {fix}")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.applications.is_empty() {
            writeln!(f, "no application holds or called anything")?;
        }
        let sets = |grants: &[Grant]| -> String {
            let names: Vec<&str> = grants.iter().map(|grant| grant.permission_set.as_str()).collect();
            if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
        };
        for application in &self.applications {
            writeln!(f, "{} did {} different things", application.name, application.calls)?;
            writeln!(f, "  granted  {}", sets(&application.granted))?;
            writeln!(f, "  needed   {}", sets(&application.needed))?;
        }
        for person in &self.people {
            writeln!(f, "{} did {} different things; a key that does the same", person.name, person.calls)?;
            writeln!(f, "  needs    {}", sets(&person.needed))?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        Ok(())
    }
}

/// Judges every application that holds or did anything.
pub fn judge(permissions: &Permissions, holders: &[Holder]) -> Verdict {
    let (mut applications, mut findings) = (Vec::new(), Vec::new());
    for holder in holders {
        let calls = calls_of(permissions, holder);
        if calls.is_empty() && holder.grants.is_empty() {
            continue;
        }
        let needed = needed(&calls, &permissions.widths, holder);
        findings.extend(excess(holder, &needed, &calls));
        findings.extend(lack(holder, &needed, &calls));
        applications.push(Judged {
            name: holder.name.clone(),
            id: holder.id.clone(),
            calls: calls.len(),
            granted: holder.grants.iter().cloned().collect(),
            needed: needed.into_iter().collect(),
        });
    }
    Verdict { ok: findings.is_empty(), applications, people: people(permissions), findings }
}

/// People, and what they did needs.
fn people(permissions: &Permissions) -> Vec<Judged> {
    let are_people = permissions.principals.iter().filter(|seen| seen.principal == "user" && !seen.calls.is_empty());
    let judged = |seen: &Observed| {
        let (id, name) = (seen.principal_id.clone(), seen.principal_name.clone());
        let holder = Holder { id, name, grants: BTreeSet::new() };
        let needed = needed(&seen.calls.iter().collect::<Vec<_>>(), &permissions.widths, &holder);
        let (calls, needed) = (seen.calls.len(), needed.into_iter().collect());
        Judged { name: holder.name, id: holder.id, calls, granted: Vec::new(), needed }
    };
    are_people.map(judged).collect()
}

/// What an application did. One that was made anew under the same name, as after a destroy, is the same one: what
/// taking everything away takes is a part of what it needs.
fn calls_of<'p>(permissions: &'p Permissions, holder: &Holder) -> Vec<&'p ObservedCall> {
    let is_it = |seen: &&Observed| {
        seen.principal_id == holder.id
            || (seen.principal == "application" && !holder.name.is_empty() && seen.principal_name == holder.name)
    };
    permissions.principals.iter().filter(is_it).flat_map(|seen| &seen.calls).collect()
}

/// The smallest that allows these calls, place by place: a permission set allows nothing in another one.
fn needed(calls: &[&ObservedCall], widths: &BTreeMap<String, usize>, holder: &Holder) -> BTreeSet<Grant> {
    let mut places: BTreeMap<&Option<String>, Vec<Need>> = BTreeMap::new();
    for call in calls {
        let need = Need { action: call.action.clone(), allowed_by: call.allowed_by.iter().cloned().collect() };
        places.entry(&call.project_id).or_default().push(need);
    }
    let grants = places.into_iter().flat_map(|(project, needs)| {
        let held = holder.grants.iter().filter(|grant| reaches(grant, project));
        let held = held.map(|grant| grant.permission_set.clone()).collect();
        let sets = smallest(&needs, widths, &held);
        sets.into_iter().map(|permission_set| Grant { permission_set, project_id: project.clone() })
    });
    grants.collect()
}

/// Whether a grant is worth something in this place.
fn reaches(grant: &Grant, place: &Option<String>) -> bool {
    grant.project_id.is_none() || grant.project_id == *place
}

fn allows(grant: &Grant, call: &ObservedCall) -> bool {
    reaches(grant, &call.project_id) && call.allowed_by.contains(&grant.permission_set)
}

fn excess(holder: &Holder, needed: &BTreeSet<Grant>, calls: &[&ObservedCall]) -> Vec<Finding> {
    let too_much = holder.grants.iter().filter(|grant| !needed.contains(grant));
    let finding = |grant: &Grant| {
        let used: Vec<&str> =
            calls.iter().filter(|call| allows(grant, call)).map(|call| call.action.as_str()).collect();
        let instead: Vec<String> = needed
            .iter()
            .filter(|other| calls.iter().any(|call| allows(grant, call) && allows(other, call)))
            .map(place)
            .collect();
        let (why, fix) = if used.is_empty() {
            let why = "nothing that it did needs it".to_owned();
            (why, "take it away, or have the run do what needs it".to_owned())
        } else {
            let why = format!("{} is allowed by less", some(&used));
            (why, format!("grant {} in its place", instead.join(", ")))
        };
        finding(FindingKind::Excess, holder, grant, why, fix)
    };
    too_much.map(finding).collect()
}

fn lack(holder: &Holder, needed: &BTreeSet<Grant>, calls: &[&ObservedCall]) -> Vec<Finding> {
    let finding = |grant: &Grant| {
        let refused: Vec<&str> = calls
            .iter()
            .filter(|call| allows(grant, call) && !holder.grants.iter().any(|held| allows(held, call)))
            .map(|call| call.action.as_str())
            .collect();
        if refused.is_empty() {
            return None;
        }
        let why = format!("it did {}, which nothing that it holds allows", some(&refused));
        Some(finding(FindingKind::Lack, holder, grant, why, format!("grant {}, or do not do it", place(grant))))
    };
    needed.iter().filter_map(finding).collect()
}

fn finding(kind: FindingKind, holder: &Holder, grant: &Grant, why: String, fix: String) -> Finding {
    let (application, permission_set) = (holder.name.clone(), grant.permission_set.clone());
    Finding { kind, application, permission_set, project_id: grant.project_id.clone(), why, fix }
}

fn place(grant: &Grant) -> String {
    match &grant.project_id {
        Some(project) => format!("{} in project {project}", grant.permission_set),
        None => format!("{} in the organisation", grant.permission_set),
    }
}

/// The first few of a list.
fn some(actions: &[&str]) -> String {
    const SHOWN: usize = 3;
    let shown = actions.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match actions.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use stackproof_cloud::kernel::Enforcement;

    use super::*;

    const READ: &[&str] = &["Read", "Full"];
    const WRITE: &[&str] = &["Write", "Full"];

    fn call(action: &str, project: &str, sets: &[&str]) -> ObservedCall {
        ObservedCall {
            action: action.into(),
            project_id: Some(project.into()),
            allowed_by: sets.iter().map(|&set| set.to_owned()).collect(),
            allowed: 1,
            denied: 0,
        }
    }

    fn seen(id: &str, name: &str, calls: Vec<ObservedCall>) -> Observed {
        let principal = "application".to_owned();
        Observed { principal, principal_id: id.into(), principal_name: name.into(), calls }
    }

    fn verdict(principals: Vec<Observed>, grants: &[(&str, Option<&str>)]) -> Verdict {
        let widths = [("Read", 10), ("Write", 8), ("Full", 30)];
        let widths = widths.iter().map(|(set, width)| ((*set).to_owned(), *width)).collect();
        let permissions = Permissions { enforcement: Enforcement::Enforce, principals, widths };
        let grant = |&(set, project): &(&str, Option<&str>)| Grant {
            permission_set: set.to_owned(),
            project_id: project.map(str::to_owned),
        };
        let grants = grants.iter().map(grant).collect();
        judge(&permissions, &[Holder { id: "1".into(), name: "app".into(), grants }])
    }

    fn found(verdict: &Verdict) -> Vec<(FindingKind, &str)> {
        verdict.findings.iter().map(|finding| (finding.kind, finding.permission_set.as_str())).collect()
    }

    #[test]
    fn exactly_what_was_called_is_no_finding() {
        let calls = vec![call("get", "p", READ), call("put", "p", WRITE)];
        let verdict = verdict(vec![seen("1", "app", calls)], &[("Read", Some("p")), ("Write", Some("p"))]);
        assert!(verdict.ok, "{:?}", verdict.findings);
        assert_eq!(verdict.applications[0].calls, 2);
    }

    #[test]
    fn what_was_never_used_is_excess() {
        let verdict =
            verdict(vec![seen("1", "app", vec![call("get", "p", READ)])], &[("Read", Some("p")), ("Write", Some("p"))]);
        assert_eq!(found(&verdict), [(FindingKind::Excess, "Write")]);
        assert!(verdict.findings[0].why.contains("nothing that it did needs it"));
    }

    #[test]
    fn a_wide_one_is_excess_and_its_place_is_told() {
        let verdict = verdict(vec![seen("1", "app", vec![call("get", "p", READ)])], &[("Full", Some("p"))]);
        assert_eq!(found(&verdict), [(FindingKind::Excess, "Full")]);
        assert_eq!(verdict.findings[0].fix, "grant Read in project p in its place");
    }

    #[test]
    fn what_is_granted_everywhere_is_excess_where_one_project_is_enough() {
        let verdict = verdict(vec![seen("1", "app", vec![call("get", "p", READ)])], &[("Read", None)]);
        assert_eq!(found(&verdict), [(FindingKind::Excess, "Read")]);
    }

    #[test]
    fn what_was_denied_is_a_lack() {
        let denied = ObservedCall { allowed: 0, denied: 3, ..call("put", "p", WRITE) };
        let calls = vec![call("get", "p", READ), denied];
        let verdict = verdict(vec![seen("1", "app", calls)], &[("Read", Some("p"))]);
        assert_eq!(found(&verdict), [(FindingKind::Lack, "Write")]);
    }

    #[test]
    fn a_right_in_another_project_is_both() {
        let verdict = verdict(vec![seen("1", "app", vec![call("get", "p", READ)])], &[("Read", Some("other"))]);
        assert_eq!(found(&verdict), [(FindingKind::Excess, "Read"), (FindingKind::Lack, "Read")]);
    }

    #[test]
    fn what_a_person_did_is_told_and_is_no_finding() {
        let calls = vec![call("get", "p", READ), call("put", "p", WRITE)];
        let verdict = verdict(vec![Observed { principal: "user".to_owned(), ..seen("9", "ada", calls) }], &[]);
        let needed: Vec<&str> = verdict.people[0].needed.iter().map(|grant| grant.permission_set.as_str()).collect();
        assert_eq!((verdict.ok, &*verdict.people[0].name, &*needed), (true, "ada", &["Read", "Write"][..]));
        assert!(verdict.to_string().contains("needs    Read, Write"), "{verdict}");
    }

    #[test]
    fn one_of_the_same_name_before_it_counts_and_others_do_not() {
        let calls =
            vec![seen("0", "app", vec![call("get", "p", READ)]), seen("2", "other", vec![call("put", "p", WRITE)])];
        assert!(verdict(calls, &[("Read", Some("p"))]).ok);
    }
}

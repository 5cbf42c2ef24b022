//! The smallest permission sets that allow what was called: a weighted set cover.

use std::collections::{BTreeMap, BTreeSet};

/// Up to how many different needs all ways are tried; above, the best one at each step.
const EXACT: usize = 16;

/// Something that has to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// What.
    pub action: String,
    /// The permission sets any of which allows it.
    pub allowed_by: BTreeSet<String>,
}

/// What a choice costs: the narrowest one is the best, then the one with most of what is preferred, then the shortest.
type Cost = (usize, usize, usize);

/// A way to allow everything: its cost and its permission sets.
type Way<'a> = (Cost, Vec<&'a str>);

/// The permission sets that allow all of this and as little else as there is: `widths` says how many actions each
/// allows. Of two that are as wide, the preferred one is taken. What nothing allows is left out.
pub fn smallest(needs: &[Need], widths: &BTreeMap<String, usize>, preferred: &BTreeSet<String>) -> BTreeSet<String> {
    let cost = |set: &str| -> Cost {
        // One that the cloud does not know allows more than all it knows.
        let width = widths.get(set).copied().unwrap_or_else(|| widths.values().sum());
        (width, usize::from(!preferred.contains(set)), 1)
    };
    let kinds = essential(needs);
    let chosen = if kinds.len() <= EXACT { exactly(&kinds, cost) } else { greedily(&kinds, cost) };
    chosen.into_iter().map(str::to_owned).collect()
}

/// The needs that are not met by whatever meets another one.
fn essential(needs: &[Need]) -> Vec<&BTreeSet<String>> {
    let kinds: BTreeSet<&BTreeSet<String>> = needs.iter().map(|need| &need.allowed_by).collect();
    let all: Vec<&BTreeSet<String>> = kinds.into_iter().filter(|kind| !kind.is_empty()).collect();
    let implied = |kind: &&BTreeSet<String>| all.iter().any(|other| other != kind && other.is_subset(kind));
    all.iter().filter(|kind| !implied(kind)).copied().collect()
}

/// Every way to meet the needs, best first: from the needs met so far to the cheapest way there.
fn exactly<'a>(kinds: &[&'a BTreeSet<String>], cost: impl Fn(&str) -> Cost) -> Vec<&'a str> {
    let all = (1_usize << kinds.len()) - 1;
    let mut best: Vec<Option<Way<'a>>> = vec![None; all + 1];
    if let Some(nothing) = best.first_mut() {
        *nothing = Some(((0, 0, 0), Vec::new()));
    }
    for met in 0..all {
        let Some((so_far, sets)) = best.get(met).cloned().flatten() else { continue };
        // The first need that is not met has to be met by something.
        let Some(open) = (0..kinds.len()).find(|kind| met & (1 << kind) == 0) else { continue };
        for set in kinds[open] {
            let meets = kinds.iter().enumerate().filter(|(_, kind)| kind.contains(set));
            let met = meets.fold(met, |met, (kind, _)| met | (1 << kind));
            let more = cost(set);
            let cost = (so_far.0 + more.0, so_far.1 + more.1, so_far.2 + more.2);
            let way = sets.iter().copied().chain([set.as_str()]).collect();
            if let Some(there) = best.get_mut(met)
                && there.as_ref().is_none_or(|(known, _)| cost < *known)
            {
                *there = Some((cost, way));
            }
        }
    }
    best.pop().flatten().map(|(_, sets)| sets).unwrap_or_default()
}

/// At each step what costs least for each need that it meets.
fn greedily<'a>(kinds: &[&'a BTreeSet<String>], cost: impl Fn(&str) -> Cost) -> Vec<&'a str> {
    let (mut open, mut chosen) = (kinds.to_vec(), Vec::new());
    while !open.is_empty() {
        let candidates: BTreeSet<&'a str> = open.iter().flat_map(|kind| kind.iter().map(String::as_str)).collect();
        let price = |set: &str| {
            let met = open.iter().filter(|kind| kind.contains(set)).count().max(1);
            let (width, other, one) = cost(set);
            (width * 1000 / met, other, one)
        };
        let Some(best) = candidates.into_iter().min_by_key(|set| price(set)) else { break };
        open.retain(|kind| !kind.contains(best));
        chosen.push(best);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(action: &str, sets: &[&str]) -> Need {
        Need { action: action.into(), allowed_by: sets.iter().map(|&set| set.to_owned()).collect() }
    }

    fn found(needs: &[Need], widths: &[(&str, usize)], preferred: &[&str]) -> Vec<String> {
        let widths = widths.iter().map(|(set, width)| ((*set).to_owned(), *width)).collect();
        let preferred = preferred.iter().map(|&set| set.to_owned()).collect();
        smallest(needs, &widths, &preferred).into_iter().collect()
    }

    const WIDTHS: [(&str, usize); 4] = [("Read", 10), ("Write", 8), ("Full", 30), ("All", 500)];

    #[test]
    fn two_narrow_ones_are_less_than_a_wide_one() {
        let needs = [need("get", &["Read", "Full", "All"]), need("put", &["Write", "Full", "All"])];
        assert_eq!(found(&needs, &WIDTHS, &[]), ["Read", "Write"]);
    }

    #[test]
    fn a_wide_one_is_taken_where_nothing_else_allows_it() {
        let needs = [need("get", &["Read", "Full"]), need("erase", &["Full"])];
        assert_eq!(found(&needs, &WIDTHS, &[]), ["Full"], "it allows the other one as well");
    }

    #[test]
    fn what_is_granted_is_taken_before_what_is_as_wide() {
        let needs = [need("get", &["A", "B"])];
        let widths = [("A", 3), ("B", 3)];
        assert_eq!(found(&needs, &widths, &["B"]), ["B"]);
        assert_eq!(found(&needs, &widths, &[]), ["A"]);
    }

    #[test]
    fn nothing_called_needs_nothing() {
        assert!(found(&[], &WIDTHS, &["Full"]).is_empty());
        assert!(found(&[need("odd", &[])], &WIDTHS, &[]).is_empty());
    }

    #[test]
    fn the_best_at_each_step_is_not_always_the_best_of_all() {
        // The pair costs 5; greedily the middle one would be taken first, and two more after it.
        let needs = [
            need("1", &["left", "middle"]),
            need("2", &["left", "middle"]),
            need("3", &["left"]),
            need("4", &["right"]),
            need("5", &["right", "middle"]),
        ];
        assert_eq!(found(&needs, &[("left", 3), ("right", 2), ("middle", 2)], &[]), ["left", "right"]);
    }

    #[test]
    fn many_different_needs_are_all_met() {
        let needs: Vec<Need> = (0..40).map(|n| need(&n.to_string(), &[&format!("S{n:02}"), "All"])).collect();
        let widths: Vec<(String, usize)> = (0..40).map(|n| (format!("S{n:02}"), 1)).collect();
        let mut widths: Vec<(&str, usize)> = widths.iter().map(|(set, width)| (set.as_str(), *width)).collect();
        widths.push(("All", 500));
        assert_eq!(found(&needs, &widths, &[]).len(), 40);
    }
}

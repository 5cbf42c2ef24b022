//! Words and numbers that all formats share.

use super::Proof;
use crate::acceptance::{Budget, BudgetRule, Status, StepKind};

/// A title out of a test's name, for a scenario no requirement bears the name of.
pub(super) fn title(test: &str, id: &str) -> String {
    let name = test.rsplit("::").next().unwrap_or(test);
    let slug = slug(id);
    let rest = name.strip_prefix(slug.as_str()).unwrap_or(name).trim_start_matches('_').replace('_', " ");
    let mut characters = rest.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => id.to_owned(),
    }
}

/// The beginning of the names of an id's tests: `US1.1` is `us1_1`.
pub(super) fn slug(id: &str) -> String {
    id.to_ascii_lowercase().replace(['.', '-'], "_")
}

/// `1 requirement`, `2 requirements`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Seconds as a person says them.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        long if long >= 120.0 => format!("{} min {:02} s", (long / 60.0) as u64, (long % 60.0) as u64),
        short if short < 0.1 => format!("{} ms", (short * 1000.0).round()),
        usual => format!("{usual:.1} s"),
    }
}

/// A number without digits that say nothing.
pub(super) fn number(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `5.1 s, at most 5 s`.
pub(super) fn measured(budget: &Budget) -> String {
    let (measured, unit, limit) = (number(budget.measured), &budget.unit, number(budget.limit));
    format!("{measured} {unit}, {} {limit} {unit}", rule(budget.rule))
}

/// The words of a rule.
pub(super) fn rule(rule: BudgetRule) -> &'static str {
    match rule {
        BudgetRule::AtMost => "at most",
        BudgetRule::AtLeast => "at least",
    }
}

/// The word of a scenario's or step's status.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Passed => "passed",
        Status::Failed => "failed",
        Status::Unfinished => "unfinished",
        Status::NotApplicable => "not applicable",
    }
}

/// The word of a proof.
pub(super) fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::Proven => "proven",
        Proof::Partial => "partial",
        Proof::Gap => "gap",
        Proof::NotRun => "not run",
        Proof::NotApplicable => "not applicable",
        Proof::Failed => "failed",
    }
}

/// The word a step begins with.
pub(super) fn kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Given => "Given",
        StepKind::When => "When",
        StepKind::Then => "Then",
        StepKind::Between => "Between",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::scenario("us2_2_concurrent_changes_are_serialised", "US2.2", "Concurrent changes are serialised")]
    #[case::in_a_module("tests::fr_013_bad_input", "FR-013", "Bad input")]
    #[case::nothing_left("us2_2", "US2.2", "US2.2")]
    fn a_test_s_name_makes_a_title(#[case] test: &str, #[case] id: &str, #[case] expected: &str) {
        assert_eq!(title(test, id), expected);
    }

    #[rstest]
    #[case(0.0123, "12 ms")]
    #[case(3.04, "3.0 s")]
    #[case(125.0, "2 min 05 s")]
    fn seconds_are_told_as_a_person_says_them(#[case] given: f64, #[case] expected: &str) {
        assert_eq!(seconds(given), expected);
    }
}

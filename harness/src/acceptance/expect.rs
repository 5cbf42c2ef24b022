//! Expectations: what a `then` compares the seen value with, printing themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Display};

/// Something a seen value is held against; it prints as the rest of "expected …".
pub trait Expectation<Seen: ?Sized>: Display {
    /// Whether the seen value fulfils it.
    fn holds(&self, seen: &Seen) -> bool;
}

/// An expectation made of a predicate and its wording.
#[derive(Clone)]
struct Worded<P> {
    wording: String,
    predicate: P,
}

impl<P> Display for Worded<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.wording)
    }
}

impl<Seen: ?Sized, P: Fn(&Seen) -> bool> Expectation<Seen> for Worded<P> {
    fn holds(&self, seen: &Seen) -> bool {
        (self.predicate)(seen)
    }
}

/// Equal to this. The types may differ, so a `Vec<String>` compares with an array of literals.
pub fn is<Seen: PartialEq<T>, T: Debug>(expected: T) -> impl Expectation<Seen> {
    Worded { wording: format!("is {expected:?}"), predicate: move |seen: &Seen| *seen == expected }
}

/// A text with this text in it.
pub fn contains<Seen: AsRef<str>>(part: impl Into<String>) -> impl Expectation<Seen> {
    let part = part.into();
    Worded { wording: format!("contains {part:?}"), predicate: move |seen: &Seen| seen.as_ref().contains(&part) }
}

/// A text that names this: the name stands there whole, not as a part of a longer one.
pub fn names<Seen: AsRef<str>>(name: impl Into<String>) -> impl Expectation<Seen> {
    let name = name.into();
    Worded { wording: format!("names {name}"), predicate: move |seen: &Seen| has_word(seen.as_ref(), &name) }
}

/// A list with each of these in it, in any order.
pub fn includes<Seen, Item, T>(items: impl IntoIterator<Item = T>) -> impl Expectation<Seen>
where
    Seen: AsRef<[Item]>,
    Item: PartialEq<T>,
    T: Debug,
{
    let items: Vec<T> = items.into_iter().collect();
    let wording = format!("includes {items:?}");
    let predicate = move |seen: &Seen| items.iter().all(|item| seen.as_ref().iter().any(|candidate| candidate == item));
    Worded { wording, predicate }
}

/// Nothing in it.
pub fn empty<Seen: MaybeEmpty>() -> impl Expectation<Seen> {
    Worded { wording: "empty".into(), predicate: |seen: &Seen| seen.has_nothing() }
}

/// Not above this.
pub fn at_most<Seen: PartialOrd<T>, T: Debug>(limit: T) -> impl Expectation<Seen> {
    Worded { wording: format!("at most {limit:?}"), predicate: move |seen: &Seen| *seen <= limit }
}

/// Not below this.
pub fn at_least<Seen: PartialOrd<T>, T: Debug>(limit: T) -> impl Expectation<Seen> {
    Worded { wording: format!("at least {limit:?}"), predicate: move |seen: &Seen| *seen >= limit }
}

/// Whatever the predicate says, in these words.
pub fn matches<Seen>(wording: impl Into<String>, predicate: impl Fn(&Seen) -> bool) -> impl Expectation<Seen> {
    Worded { wording: wording.into(), predicate }
}

/// A value that can be empty.
pub trait MaybeEmpty {
    /// Whether there is nothing in it.
    fn has_nothing(&self) -> bool;
}

macro_rules! maybe_empty {
    ($([$($generics:tt)*] $kind:ty => $method:ident),* $(,)?) => {
        $(impl<$($generics)*> MaybeEmpty for $kind {
            fn has_nothing(&self) -> bool {
                self.$method()
            }
        })*
    };
}

maybe_empty! {
    [] String => is_empty,
    [T] Vec<T> => is_empty,
    [T] Option<T> => is_none,
    [T] BTreeSet<T> => is_empty,
    [K, V] BTreeMap<K, V> => is_empty,
}

fn has_word(text: &str, word: &str) -> bool {
    let belongs = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        !word.is_empty() && !before.is_some_and(belongs) && !after.is_some_and(belongs)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn held<Seen>(expectation: impl Expectation<Seen>, seen: Seen) -> (String, bool) {
        (expectation.to_string(), expectation.holds(&seen))
    }

    #[test]
    fn each_expectation_prints_itself_and_tells_right_from_wrong() {
        let authors = || vec!["anna".to_owned(), "ben".to_owned()];
        assert_eq!(held(is(["anna", "ben"]), authors()), (r#"is ["anna", "ben"]"#.into(), true));
        assert_eq!(held(is(["ben"]), authors()), (r#"is ["ben"]"#.into(), false));
        assert_eq!(held(contains("lock"), "a lock".to_owned()), (r#"contains "lock""#.into(), true));
        assert_eq!(held(includes(["ben"]), authors()), (r#"includes ["ben"]"#.into(), true));
        assert_eq!(held(includes(["cleo"]), authors()), (r#"includes ["cleo"]"#.into(), false));
        assert_eq!(held(empty(), Vec::<u8>::new()), ("empty".into(), true));
        assert_eq!(held(empty(), Some(1)), ("empty".into(), false));
        assert_eq!(held(at_most(5.0), 5.1), ("at most 5.0".into(), false));
        assert_eq!(held(at_least(2), 2), ("at least 2".into(), true));
        assert_eq!(held(matches("is even", |n: &i32| n % 2 == 0), 3), ("is even".into(), false));
    }

    #[rstest]
    #[case::alone("deployer_a", true)]
    #[case::in_a_sentence("locked by deployer_a.", true)]
    #[case::of_a_longer_name("locked by deployer_ab", false)]
    #[case::at_the_end_of_a_longer_name("locked by my_deployer_a", false)]
    #[case::absent("locked", false)]
    fn a_name_counts_only_where_it_stands_whole(#[case] seen: &str, #[case] holds: bool) {
        assert_eq!(held(names("deployer_a"), seen.to_owned()), ("names deployer_a".into(), holds));
    }
}

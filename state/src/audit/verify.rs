//! Whether a chain is whole.

use std::{collections::HashMap, fmt};

use serde::Serialize;

use super::{
    row::{NOTHING, Row},
    trail::Anchor,
};

/// What is wrong with a row of the trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// What the row says is not what was written.
    Tampered {
        /// Which.
        number: u64,
    },
    /// Rows are missing.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The row was written at another place.
    Moved {
        /// Where it stands.
        number: u64,
        /// Where it was written.
        was: u64,
    },
    /// The row is whole, but the one before is not the one it was written after.
    Unchained {
        /// Which.
        number: u64,
    },
    /// The chain's end is not what the database remembers.
    Head {
        /// Up to where rows were written, as it remembers.
        number: u64,
    },
    /// The row is not what it was when this was noted elsewhere.
    Anchor {
        /// Which.
        number: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tampered { number } => write!(f, "row {number} was changed after it was written"),
            Self::Missing { from, to } if from == to => write!(f, "row {from} is missing"),
            Self::Missing { from, to } => write!(f, "rows {from} to {to} are missing"),
            Self::Moved { number, was } => write!(f, "row {number} was written as row {was}"),
            Self::Unchained { number } => {
                write!(f, "row {number} does not follow the row before it, which was replaced or removed")
            }
            Self::Head { number } => write!(f, "the trail's end is not row {number} as it was written"),
            Self::Anchor { number } => write!(f, "row {number} is not the one that was noted elsewhere"),
        }
    }
}

/// What verifying found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many rows there are.
    pub rows: u64,
    /// The last of them. To be kept elsewhere, as an anchor.
    pub last: Anchor,
    /// What is wrong, in order. Nothing: the trail is whole.
    pub findings: Vec<Finding>,
}

impl Verified {
    /// Whether the trail is whole.
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }
}

/// A chain, row by row.
#[derive(Default)]
pub(super) struct Chain {
    rows: u64,
    last: Option<Anchor>,
    /// Where the row of each hash was written.
    written: HashMap<String, u64>,
    hashes: HashMap<u64, String>,
    /// Rows whose hash is wrong where they stand.
    strange: Vec<Row>,
    findings: Vec<Finding>,
}

impl Chain {
    /// The next row, in order of their numbers.
    pub(super) fn add(&mut self, row: Row) {
        let (before, previous) = match &self.last {
            None => (0, NOTHING),
            Some(last) => (last.number, last.hash.as_str()),
        };
        if row.number > before + 1 {
            self.findings.push(Finding::Missing { from: before + 1, to: row.number - 1 });
        }
        let whole = row.expected() == row.hash;
        // What follows a strange row is told with that.
        let expected = whole && row.number == before + 1 && self.strange.last().is_none_or(|row| row.number != before);
        if expected && row.previous != previous {
            self.findings.push(Finding::Unchained { number: row.number });
        }
        self.rows += 1;
        self.last = Some(Anchor { number: row.number, hash: row.hash.clone() });
        if whole {
            self.written.insert(row.hash.clone(), row.number);
        }
        self.hashes.insert(row.number, row.hash.clone());
        if !whole {
            self.strange.push(row);
        }
    }

    pub(super) fn finish(mut self, head: Option<&Anchor>, anchor: Option<&Anchor>) -> Verified {
        let last = self.last.clone().unwrap_or(Anchor { number: 0, hash: NOTHING.to_owned() });
        self.place_strange();
        match head {
            Some(head) if head.number > last.number => {
                self.findings.push(Finding::Missing { from: last.number + 1, to: head.number });
            }
            Some(head) if head.number > 0 && self.hashes.get(&head.number) != Some(&head.hash) => {
                self.findings.push(Finding::Head { number: head.number });
            }
            None if self.rows > 0 => self.findings.push(Finding::Head { number: last.number }),
            _ => {}
        }
        if let Some(anchor) = anchor.filter(|anchor| anchor.number > 0)
            && self.hashes.get(&anchor.number) != Some(&anchor.hash)
        {
            self.findings.push(Finding::Anchor { number: anchor.number });
        }
        self.findings.sort_by_key(Finding::place);
        Verified { rows: self.rows, last, findings: self.findings }
    }
}

impl Chain {
    /// The row that a strange one was written after tells where it was written: whole there, it was only moved. Rows
    /// that are placed help to place others.
    fn place_strange(&mut self) {
        let mut strange = std::mem::take(&mut self.strange);
        self.written.insert(NOTHING.to_owned(), 0);
        loop {
            let before = strange.len();
            strange.retain(|row| {
                let was = self.written.get(&row.previous).map(|after| after + 1);
                let Some(was) = was.filter(|was| row.expected_at(*was) == row.hash) else { return true };
                self.written.insert(row.hash.clone(), was);
                self.findings.push(Finding::Moved { number: row.number, was });
                false
            });
            if strange.len() == before {
                break;
            }
        }
        self.findings.extend(strange.iter().map(|row| Finding::Tampered { number: row.number }));
    }
}

impl Finding {
    fn place(&self) -> u64 {
        match self {
            Self::Missing { from, .. } => *from,
            Self::Tampered { number }
            | Self::Moved { number, .. }
            | Self::Unchained { number }
            | Self::Head { number }
            | Self::Anchor { number } => *number,
        }
    }
}

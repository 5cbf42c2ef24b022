//! What was measured, and whether it is enough.

use serde::Serialize;

use super::Machine;

/// Everything that was measured in one run.
#[derive(Clone, Debug, Serialize)]
pub struct Benchmarks {
    /// The version of this document's form.
    pub schema: u32,
    /// Where it was measured.
    pub machine: Machine,
    /// What.
    pub results: Vec<Measured>,
}

/// One thing that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Its id.
    pub id: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// The value; none where it cannot be measured here.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: &'static str,
    /// What it is compared with, measured in the same run.
    pub peer: Option<&'static str>,
    /// The other's value, in the same unit.
    pub peer_value: Option<f64>,
    /// The value as a part of the other's.
    pub ratio: Option<f64>,
    /// What it has to be, if anything.
    pub yardstick: Option<Yardstick>,
    /// Whether it is; none where there is no yardstick or no value.
    pub met: Option<bool>,
    /// Why it cannot be measured here.
    pub reason: Option<String>,
}

/// What a value has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Yardstick {
    /// At most this.
    AtMost(f64),
    /// At least this part of what it is compared with.
    PartOfPeer(f64),
}

impl Measured {
    /// A value with nothing to compare it with.
    pub(super) fn new(id: &'static str, title: &'static str, unit: &'static str, value: f64) -> Self {
        Self { value: Some(rounded(value)), ..Self::nothing(id, title, unit) }
    }

    /// It cannot be measured on this machine.
    pub(super) fn not_here(id: &'static str, title: &'static str, unit: &'static str, why: impl Into<String>) -> Self {
        Self { reason: Some(why.into()), ..Self::nothing(id, title, unit) }
    }

    fn nothing(id: &'static str, title: &'static str, unit: &'static str) -> Self {
        let (value, peer, peer_value, ratio, yardstick, met, reason) = (None, None, None, None, None, None, None);
        Self { id, title, value, unit, peer, peer_value, ratio, yardstick, met, reason }
    }

    /// What it is compared with.
    #[must_use]
    pub(super) fn against(mut self, peer: &'static str, value: f64) -> Self {
        self.ratio = self.value.filter(|_| value > 0.0).map(|own| (own / value * 1000.0).round() / 1000.0);
        self.peer = Some(peer);
        self.peer_value = Some(rounded(value));
        self
    }

    /// What it has to be.
    #[must_use]
    pub(super) fn has_to_be(mut self, yardstick: Yardstick) -> Self {
        self.yardstick = Some(yardstick);
        self.met = match yardstick {
            Yardstick::AtMost(most) => self.value.map(|value| value <= most),
            Yardstick::PartOfPeer(part) => self.ratio.map(|ratio| ratio >= part),
        };
        self
    }

    /// The value with its unit, or that there is none.
    pub fn shown(&self) -> String {
        self.value.map_or_else(|| "not measurable here".to_owned(), |value| format!("{} {}", number(value), self.unit))
    }

    /// What it was compared with.
    pub fn compared(&self) -> String {
        match (self.peer, self.peer_value, self.ratio) {
            (Some(peer), Some(value), Some(ratio)) => {
                format!("{:.0} % of {} {} ({peer})", ratio * 100.0, number(value), self.unit)
            }
            _ => self.reason.clone().unwrap_or_default(),
        }
    }

    /// Whether it is what it has to be.
    pub fn judged(&self) -> String {
        let wanted = match self.yardstick {
            None => return String::new(),
            Some(Yardstick::AtMost(most)) => format!("at most {} {}", number(most), self.unit),
            Some(Yardstick::PartOfPeer(part)) => format!("at least {:.0} %", part * 100.0),
        };
        match self.met {
            Some(true) => format!("{wanted}: met"),
            Some(false) => format!("{wanted}: MISSED"),
            None => wanted,
        }
    }
}

/// Three digits are all that a measurement is worth.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(2 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

fn number(value: f64) -> String {
    let digits = if value.abs() >= 100.0 { 0 } else { 2 };
    let text = format!("{value:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_peer_is_judged_by_the_ratio() {
        let slow = Measured::new("reads", "reads", "requests/s", 700.0).against("peer", 1000.0);
        let slow = slow.has_to_be(Yardstick::PartOfPeer(0.8));
        assert_eq!((slow.ratio, slow.met), (Some(0.7), Some(false)));
        assert_eq!(slow.judged(), "at least 80 %: MISSED");
        assert_eq!(slow.compared(), "70 % of 1000 requests/s (peer)");
    }

    #[test]
    fn what_cannot_be_measured_meets_and_misses_nothing() {
        let none = Measured::not_here("database", "a database", "s", "not root").has_to_be(Yardstick::AtMost(1.0));
        assert_eq!((none.value, none.met, none.shown().as_str()), (None, None, "not measurable here"));
        assert_eq!(none.compared(), "not root");
    }

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.0123, 1.0, 41.237, 19_432.0, 0.5].map(|value| number(rounded(value)));
        assert_eq!(shown, ["0.01", "1", "41.2", "19400", "0.5"]);
    }
}

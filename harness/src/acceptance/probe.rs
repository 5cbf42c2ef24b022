//! Probes: how a `then` looks at the world, and how long it keeps looking.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use tokio::time::{Instant, timeout_at};

use super::Expectation;
use crate::Failure;

/// How long a probe looks unless it says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first pause between two looks; each next one is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A way to look at something, with words for how: a command, an address, a query.
///
/// It looks again and again until the expectation holds or its patience ends.
pub struct Probe<'a, Seen> {
    how: String,
    patience: Duration,
    looks: Looks,
    look: Box<dyn Look<Seen> + 'a>,
}

#[derive(Clone, Copy, PartialEq)]
enum Looks {
    Once,
    Repeatedly,
}

trait Look<Seen> {
    fn look(&mut self) -> LocalBoxFuture<'_, Result<Seen, Failure>>;
}

impl<Seen, F: AsyncFnMut() -> Result<Seen, Failure>> Look<Seen> for F {
    fn look(&mut self) -> LocalBoxFuture<'_, Result<Seen, Failure>> {
        Box::pin(self())
    }
}

impl<'a, Seen> Probe<'a, Seen> {
    /// A probe that looks like this; `how` is what a person would type to see the same.
    pub fn new(how: impl Into<String>, look: impl AsyncFnMut() -> Result<Seen, Failure> + 'a) -> Self {
        Self { how: how.into(), patience: PATIENCE, looks: Looks::Repeatedly, look: Box::new(look) }
    }

    /// A probe of something that is over and cannot change any more, such as a command's output.
    pub fn fact(how: impl Into<String>, seen: Seen) -> Self
    where
        Seen: Clone + 'a,
    {
        Self::new(how, async move || Ok(seen.clone())).once()
    }

    /// Keeps looking this long.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Looks only once: where waiting would hide that it was wrong at first.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.looks = Looks::Once;
        self
    }

    /// How it looks.
    pub fn how(&self) -> &str {
        &self.how
    }

    /// Looks until the expectation holds or the patience ends; remembers what it saw last.
    pub(super) async fn look_for(mut self, expectation: &dyn Expectation<Seen>) -> Sighting<Seen> {
        let deadline = Instant::now() + self.patience;
        let mut sighting = Sighting { last: None, looks: 0, held: false };
        let mut pause = FIRST_PAUSE;
        loop {
            sighting.looks += 1;
            match timeout_at(deadline, self.look.look()).await {
                Ok(Ok(seen)) => {
                    sighting.held = expectation.holds(&seen);
                    sighting.last = Some(Ok(seen));
                }
                Ok(Err(failure)) => sighting.last = Some(Err(failure)),
                // An earlier look's answer tells more than "this one was cut short".
                Err(_) => {
                    sighting.last.get_or_insert_with(|| {
                        Err(Failure::failed(format!("no answer within {} s", self.patience.as_secs_f64())))
                    });
                }
            }
            if sighting.held || self.looks == Looks::Once || Instant::now() + pause >= deadline {
                return sighting;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// What a probe saw in the end.
pub(super) struct Sighting<Seen> {
    /// The last answer, or why there was none.
    pub(super) last: Option<Result<Seen, Failure>>,
    /// How often it looked.
    pub(super) looks: u32,
    /// Whether the expectation held.
    pub(super) held: bool,
}

#[cfg(test)]
mod tests {
    use super::super::{at_least, is};
    use super::*;

    #[tokio::test]
    async fn looks_again_until_the_expectation_holds() {
        let mut count = 0;
        let probe = Probe::new("count", async || {
            count += 1;
            Ok(count)
        });
        let sighting = probe.look_for(&at_least(4)).await;
        assert_eq!((sighting.held, sighting.looks, sighting.last), (true, 4, Some(Ok(4))));
    }

    #[tokio::test]
    async fn keeps_the_last_answer_when_its_patience_ends() {
        let mut answers = vec![Err(Failure::failed("refused")), Ok(7)].into_iter();
        let probe = Probe::new("GET /", async || match answers.next() {
            Some(answer) => answer,
            None => std::future::pending().await,
        });
        let sighting = probe.within(Duration::from_millis(300)).look_for(&is(8)).await;
        assert_eq!((sighting.held, sighting.looks, sighting.last), (false, 3, Some(Ok(7))));
    }

    #[tokio::test]
    async fn a_fact_is_looked_at_once() {
        let sighting = Probe::fact("exit code", 1).look_for(&is(0)).await;
        assert_eq!((sighting.held, sighting.looks), (false, 1));
    }
}

//! A constant load on an application: so many requests a second, whether or not the last ones were answered.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use stackproof::{Failure, target::Web};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};

/// What was asked, and what came of it.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many requests were made.
    pub sent: u64,
    /// Those that were not answered as they should be, in words.
    pub failed: Vec<String>,
    /// How many of each kind were answered well.
    pub answered: BTreeMap<&'static str, u64>,
    /// For how long.
    pub seconds: f64,
    /// The longest that an answer took, in seconds.
    pub slowest: f64,
}

impl Tally {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.sent as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }
}

/// A load that goes on until it is ended.
pub struct Load {
    end: watch::Sender<bool>,
    task: JoinHandle<Tally>,
}

impl Load {
    /// Begins: a note written, notes read, and an asset fetched, in turn.
    pub fn begin(web: Web, url: &str, asset: &str, rate: u32) -> Self {
        let (end, ended) = watch::channel(false);
        let asking = Arc::new(Asking { web, url: url.to_owned(), asset: asset.to_owned() });
        Self { end, task: tokio::spawn(go_on(asking, rate, ended)) }
    }

    /// Ends it, once the last request was answered.
    ///
    /// # Errors
    /// When it broke off.
    pub async fn end(self) -> Result<Tally, Failure> {
        self.end.send_replace(true);
        self.task.await.map_err(|error| Failure::failed("the load broke off").because(error))
    }
}

struct Asking {
    web: Web,
    url: String,
    asset: String,
}

type Answer = (&'static str, Result<(), String>, Duration);

async fn go_on(asking: Arc<Asking>, rate: u32, mut ended: watch::Receiver<bool>) -> Tally {
    let (begun, mut tally, mut open) = (Instant::now(), Tally::default(), JoinSet::new());
    let mut ticks = interval(Duration::from_secs(1) / rate);
    // A late request is made all the same.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => break,
            _ = ticks.tick() => {
                let (asking, number) = (Arc::clone(&asking), tally.sent);
                tally.sent += 1;
                open.spawn(async move { asking.ask(number).await });
            }
            Some(answer) = open.join_next() => count(&mut tally, answer),
        }
    }
    tally.seconds = begun.elapsed().as_secs_f64();
    while let Some(answer) = open.join_next().await {
        count(&mut tally, answer);
    }
    tally
}

fn count(tally: &mut Tally, answer: Result<Answer, tokio::task::JoinError>) {
    match answer {
        Ok((kind, said, took)) => {
            tally.slowest = tally.slowest.max(took.as_secs_f64());
            match said {
                Ok(()) => *tally.answered.entry(kind).or_default() += 1,
                Err(why) => tally.failed.push(format!("{kind}: {why}")),
            }
        }
        Err(error) => tally.failed.push(error.to_string()),
    }
}

impl Asking {
    async fn ask(&self, number: u64) -> Answer {
        let begun = Instant::now();
        let (kind, said) = match number % 3 {
            0 => ("POST /notes", self.write(number).await),
            1 => ("GET /database", self.status(&format!("{}/database", self.url), 200).await),
            _ => ("GET /assets", self.fetch().await),
        };
        (kind, said, begun.elapsed())
    }

    async fn write(&self, number: u64) -> Result<(), String> {
        let note = json!({"text": format!("note {number}")});
        let page = self.web.post(&format!("{}/notes", self.url), &note).await.map_err(|error| error.to_string())?;
        if page.status == 201 { Ok(()) } else { Err(format!("{}: {}", page.status, page.text)) }
    }

    async fn status(&self, url: &str, expected: u16) -> Result<(), String> {
        let page = self.web.get(url).await.map_err(|error| error.to_string())?;
        if page.status == expected { Ok(()) } else { Err(format!("{}: {}", page.status, page.text)) }
    }

    /// As a browser does: to where the application leads.
    async fn fetch(&self) -> Result<(), String> {
        let page = self.web.get(&format!("{}/assets/{}", self.url, self.asset)).await;
        let page = page.map_err(|error| error.to_string())?;
        if page.location.is_empty() {
            return Err(format!("{}: {}", page.status, page.text));
        }
        self.status(&page.location, 200).await
    }
}

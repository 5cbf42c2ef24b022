//! A connection that is made anew whenever it breaks.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Row;

use super::{Database, Error, Result, ask, session::Session};

/// The channel on which the database tells who should ask again.
const CHANNEL: &str = "stackproof_lock";

/// How long reading rows may take.
const READ: Duration = Duration::from_secs(60);

/// A connection that is made anew whenever it breaks.
pub(crate) struct Link {
    database: Database,
    session: Option<Session>,
    listens: bool,
    reached: bool,
}

impl Link {
    pub(crate) fn new(database: &Database) -> Self {
        Self { database: database.clone(), session: None, listens: false, reached: false }
    }

    /// One that also hears notifications. A pooler swallows them: whoever waits for one has to ask now and then, too.
    pub(crate) fn listening(database: &Database) -> Self {
        Self { listens: true, ..Self::new(database) }
    }

    /// Whether the database was ever reached.
    pub(crate) fn reached(&self) -> bool {
        self.reached
    }

    async fn session(&mut self) -> Result<&mut Session> {
        if self.session.as_ref().is_none_or(|session| session.client.is_closed()) {
            let session = Session::open(&self.database).await?;
            if self.listens {
                let listen = format!("listen {CHANNEL}");
                let listened = session.client.batch_execute(&listen).await;
                listened.map_err(|error| Error::of(&self.database.at, "listening", &error))?;
            }
            self.session = Some(session);
            self.reached = true;
        }
        // Just put there.
        self.session.as_mut().ok_or_else(|| Error::Unreachable { at: self.database.at.clone(), why: String::new() })
    }

    /// Asks once. A connection on which it failed is not used again.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &mut self,
        function: &str,
        parameters: &[Option<&str>],
        within: Duration,
    ) -> Result<T> {
        let at = self.database.at.clone();
        let asked = timeout(within, async {
            let session = self.session().await?;
            ask(&session.client, &at, function, parameters).await
        });
        let answer = asked.await.unwrap_or_else(|_| {
            Err(Error::Unreachable { at: at.clone(), why: format!("no answer in {} ms", within.as_millis()) })
        });
        if answer.as_ref().is_err_and(Error::passes) {
            self.session = None;
        }
        answer
    }

    /// Asks until it is answered, for so long.
    pub(crate) async fn insist<T: DeserializeOwned>(
        &mut self,
        function: &str,
        parameters: &[Option<&str>],
        within: Duration,
    ) -> Result<T> {
        let (until, mut backoff) = (Instant::now() + within, Backoff::new(Duration::from_secs(1)));
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.ask(function, parameters, left.min(Duration::from_secs(5))).await {
                Err(error) if error.passes() => {
                    let pause = backoff.next();
                    if Instant::now() + pause >= until {
                        return Err(error);
                    }
                    sleep(pause).await;
                }
                answered => return answered,
            }
        }
    }

    /// Reads rows.
    pub(crate) async fn rows(&mut self, query: &str, parameters: &[Option<&str>]) -> Result<Vec<Row>> {
        let at = self.database.at.clone();
        let typed: Vec<_> = parameters
            .iter()
            .map(|value| (value as &(dyn tokio_postgres::types::ToSql + Sync), tokio_postgres::types::Type::TEXT))
            .collect();
        let session = self.session().await?;
        let read = timeout(READ, session.client.query_typed(query, &typed)).await;
        let read =
            read.map_err(|_| Error::Unreachable { at: at.clone(), why: "it takes too long to read".to_owned() })?;
        read.map_err(|error| Error::of(&at, "reading", &error))
    }

    /// Waits until it is notified of this. For ever, where there is no connection.
    pub(crate) async fn told(&mut self, what: &str) {
        if let Some(session) = &mut self.session {
            while let Some(note) = session.notes.recv().await {
                if note == what {
                    return;
                }
            }
        }
        std::future::pending().await
    }
}

/// Longer and longer pauses, each by chance a little shorter, so that not all come back at once.
pub(crate) struct Backoff {
    pause: Duration,
    most: Duration,
}

impl Backoff {
    pub(crate) fn new(most: Duration) -> Self {
        Self { pause: Duration::from_millis(50).min(most), most }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.pause.mul_f64(rand::random_range(0.5..=1.0));
        self.pause = (self.pause * 2).min(self.most);
        pause
    }
}

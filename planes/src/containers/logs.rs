//! What containers say.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::broadcast,
};

/// How many lines are kept.
const KEPT: usize = 10_000;
/// How many lines a reader may be behind.
const BEHIND: usize = 1024;
/// Where a line without end is cut.
const LONGEST: usize = 64 * 1024;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it was read.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Which container said it.
    pub container: String,
    /// Where.
    pub stream: Stream,
    /// The line, without its end.
    pub text: String,
}

/// Where a container says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A log: the last lines, and those to come.
#[derive(Clone)]
pub struct Logs {
    kept: Arc<Mutex<VecDeque<Line>>>,
    coming: broadcast::Sender<Line>,
}

impl Default for Logs {
    fn default() -> Self {
        Self { kept: Arc::default(), coming: broadcast::channel(BEHIND).0 }
    }
}

impl Logs {
    /// The lines kept, oldest first.
    pub fn lines(&self) -> Vec<Line> {
        self.kept.lock().iter().cloned().collect()
    }

    /// The lines kept, and all that come after them.
    pub fn follow(&self) -> (Vec<Line>, broadcast::Receiver<Line>) {
        let kept = self.kept.lock();
        (kept.iter().cloned().collect(), self.coming.subscribe())
    }

    pub(super) fn say(&self, line: Line) {
        let mut kept = self.kept.lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(line.clone());
        // Nobody has to listen.
        let _ = self.coming.send(line);
    }

    /// Takes in all that is said, to its end.
    pub(crate) async fn read(self, container: String, stream: Stream, from: impl AsyncRead + Unpin) {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            let part = match from.fill_buf().await {
                Ok(part) => part,
                Err(error) => {
                    tracing::warn!(container, %error, "what a container says cannot be read any more");
                    break;
                }
            };
            if part.is_empty() {
                break;
            }
            let end = part.iter().position(|byte| *byte == b'\n');
            let room = LONGEST - line.len();
            let (taken, used, complete) = match end {
                Some(end) if end <= room => (end, end + 1, true),
                _ => (part.len().min(room), part.len().min(room), part.len() >= room),
            };
            line.extend_from_slice(&part[..taken]);
            from.consume(used);
            if complete {
                self.line(&container, stream, &mut line);
            }
        }
        if !line.is_empty() {
            self.line(&container, stream, &mut line);
        }
    }

    fn line(&self, container: &str, stream: Stream, line: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
        line.clear();
        self.say(Line { at: OffsetDateTime::now_utc(), container: container.to_owned(), stream, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_where_they_end_or_are_too_long() {
        let logs = Logs::default();
        let long = "x".repeat(LONGEST + 3);
        let said = format!("one\r\n\ntwo\n{long}\nlast");
        logs.clone().read("c".to_owned(), Stream::Out, said.as_bytes()).await;
        let texts: Vec<_> = logs.lines().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["one", "", "two", &long[..LONGEST], "xxx", "last"]);
    }
}

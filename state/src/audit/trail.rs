//! Adding to the trail, and reading it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{
    row::{Entry, Row},
    verify::{Chain, Verified},
};
use crate::database::{Database, Error, Link, Result};

/// For how long adding a row is tried.
const INSIST: Duration = Duration::from_secs(30);
/// How many rows are read at once.
const PAGE: u32 = 500;

/// The trail of one backend.
#[derive(Clone, Debug)]
pub struct Trail {
    database: Database,
    backend: String,
}

/// The last row of a chain. Kept elsewhere, it tells whether all before it is still what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The row's number; 0: there was none.
    pub number: u64,
    /// Its hash.
    pub hash: String,
}

/// Which rows to list. The empty one: all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this project.
    pub project: Option<String>,
    /// Of this stack.
    pub stack: Option<String>,
    /// By this person or robot.
    pub who: Option<String>,
    /// Not before.
    pub since: Option<OffsetDateTime>,
    /// Before.
    pub until: Option<OffsetDateTime>,
    /// At most so many, the latest.
    pub last: Option<u32>,
}

impl Trail {
    /// The trail of a backend, in the spelling of [`crate::lock::StackKey::backend`].
    pub fn new(database: &Database, backend: &str) -> Self {
        Self { database: database.clone(), backend: backend.to_owned() }
    }

    /// Adds a row. Asked again when an answer is lost, it still adds one.
    pub async fn append(&self, entry: &Entry) -> Result<Anchor> {
        let wrong = |error: serde_json::Error| Error::Answer {
            at: self.database.to_string(),
            step: "the entry".to_owned(),
            why: error.to_string(),
        };
        let entry = serde_json::json!({
            "id": Uuid::new_v4(),
            "who": entry.who,
            "host": entry.host,
            "command": entry.command,
            "commit": entry.commit,
            "dirty": entry.dirty,
            "project": entry.project,
            "stack": entry.stack,
            "fence": entry.fence,
            "before": entry.before,
            "after": entry.after,
            "changes": serde_json::to_string(&entry.changes).map_err(wrong)?,
            "result": entry.result.name(),
            "milliseconds": u64::try_from(entry.took.as_millis()).unwrap_or(u64::MAX),
            "note": entry.note,
        });
        let entry = entry.to_string();
        let parameters = [Some(self.backend.as_str()), Some(&entry)];
        Link::new(&self.database).insist("stackproof.audit_append($1, $2::jsonb)", &parameters, INSIST).await
    }

    /// Rows, oldest first.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<Row>> {
        let time = |at: Option<OffsetDateTime>| at.and_then(|at| at.format(&Rfc3339).ok());
        let (since, until) = (time(filter.since), time(filter.until));
        let last = filter.last.map(|last| last.to_string());
        let query = "select * from (\
                select to_jsonb(a)::text, a.number from stackproof.audit a where a.backend = $1 \
                    and ($2 is null or a.project = $2) \
                    and ($3 is null or a.stack = $3) \
                    and ($4 is null or a.who = $4) \
                    and ($5 is null or a.at >= $5::timestamptz) \
                    and ($6 is null or a.at < $6::timestamptz) \
                order by a.number desc limit $7::bigint\
            ) latest order by 2";
        let parameters = [
            Some(self.backend.as_str()),
            filter.project.as_deref(),
            filter.stack.as_deref(),
            filter.who.as_deref(),
            since.as_deref(),
            until.as_deref(),
            last.as_deref(),
        ];
        self.read(&mut Link::new(&self.database), query, &parameters).await
    }

    /// Computes the whole chain again, and says what is wrong with it. With an anchor from before, rewriting all of it
    /// is found, too.
    pub async fn verify(&self, anchor: Option<&Anchor>) -> Result<Verified> {
        let mut link = Link::new(&self.database);
        // First the head: rows that are added meanwhile are no finding.
        let query = "select jsonb_build_object('number', h.number, 'hash', h.hash)::text \
            from stackproof.audit_head h where h.backend = $1";
        let head = self.read(&mut link, query, &[Some(&self.backend)]).await?.pop();
        let mut chain = Chain::default();
        let (mut after, page) = (0, PAGE.to_string());
        loop {
            let query = "select to_jsonb(a)::text from stackproof.audit a \
                where a.backend = $1 and a.number > $2::bigint order by a.number limit $3::bigint";
            let from = after.to_string();
            let rows: Vec<Row> = self.read(&mut link, query, &[Some(&self.backend), Some(&from), Some(&page)]).await?;
            let Some(last) = rows.last() else { break };
            after = last.number;
            for row in rows {
                chain.add(row);
            }
        }
        Ok(chain.finish(head.as_ref(), anchor))
    }

    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        link: &mut Link,
        query: &str,
        parameters: &[Option<&str>],
    ) -> Result<Vec<T>> {
        let wrong = |why: String| Error::Answer {
            at: self.database.to_string(),
            step: "a row of the audit trail".to_owned(),
            why,
        };
        let read = |row: tokio_postgres::Row| {
            let text: String = row.try_get(0).map_err(|error| wrong(error.to_string()))?;
            serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
        };
        link.rows(query, parameters).await?.into_iter().map(read).collect()
    }
}

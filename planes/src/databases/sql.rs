//! Talking to a server as its administrator, over its socket.

use std::{path::Path, time::Duration};

use tokio_postgres::{Client, Config, NoTls};
use tokio_util::task::AbortOnDropHandle;

use super::{Error, Result};

/// The role that administers. No network lets it in.
pub(super) const PLANE: &str = "_plane";
/// The number of the socket under which the server that takes connections is found, whatever its port.
pub(super) const MAIN: u16 = 1;
/// That of the standby.
pub(super) const STANDBY: u16 = 2;
/// What is asked here takes moments, or waits for a standby that is gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, for as long as it is held.
pub(super) struct Session {
    client: Client,
    _connection: AbortOnDropHandle<()>,
}

impl Session {
    pub(super) async fn open(sockets: &Path, number: u16, database: &str) -> Result<Self> {
        let mut config = Config::new();
        config.host_path(sockets).port(number).user(PLANE).dbname(database);
        config.connect_timeout(PATIENCE).application_name("plane");
        // What is asked here holds verifiers of passwords: none of it is for a log.
        config.options(
            "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic \
             -c log_duration=off -c statement_timeout=15s -c lock_timeout=10s -c default_transaction_read_only=off \
             -c search_path=pg_catalog",
        );
        let connecting = tokio::time::timeout(PATIENCE, config.connect(NoTls)).await;
        let (client, connection) = connecting
            .map_err(|_| Error::Wrong(format!("connecting to database {database:?} took too long")))?
            .map_err(Error::server(format!("connecting to database {database:?}")))?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an administrator's connection broke");
            }
        }));
        Ok(Self { client, _connection: connection })
    }

    /// Runs statements, all or none of them; `step` says in an error what they were for.
    pub(super) async fn run(&self, step: &str, statements: &str) -> Result<()> {
        self.client.batch_execute(statements).await.map_err(Error::server(step))
    }

    /// The rows of a query, as text.
    pub(super) async fn rows(&self, step: &str, query: &str) -> Result<Vec<Vec<Option<String>>>> {
        let messages = self.client.simple_query(query).await.map_err(Error::server(step))?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
                }
                _ => None,
            })
            .collect())
    }

    /// The first column of a query's rows.
    pub(super) async fn column(&self, step: &str, query: &str) -> Result<Vec<String>> {
        Ok(self.rows(step, query).await?.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// Asks until the answer is `t`.
    pub(super) async fn until(&self, step: &str, query: &str, patience: Duration) -> Result<()> {
        let asked = async {
            let mut again = tokio::time::interval(Duration::from_millis(10));
            loop {
                again.tick().await;
                if self.column(step, query).await?.first().is_some_and(|answer| answer == "t") {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(patience, asked)
            .await
            .unwrap_or_else(|_| Err(Error::Wrong(format!("{step}: not so after {} s", patience.as_secs()))))
    }
}

/// A name in a statement.
pub(super) fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('\0', "").replace('"', "\"\""))
}

/// A text in a statement.
pub(super) fn text(text: &str) -> String {
    format!("E'{}'", text.replace('\0', "").replace('\\', "\\\\").replace('\'', "''"))
}

/// Whether someone but us may have this name.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > 63 || name.contains(|letter: char| letter.is_control()) {
        return Err(Error::Wrong(format!("{what} {name:?}: a name has 1 to 63 bytes and no control characters")));
    }
    if name.starts_with("pg_") || name == PLANE || ["public", "none"].contains(&name) {
        return Err(Error::Wrong(format!("{what} {name:?}: the server keeps this name for itself")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_do_not_end_what_they_are_in() {
        assert_eq!(name("a\"; DROP"), "\"a\"\"; DROP\"");
        assert_eq!(text("it's \\ here"), "E'it''s \\\\ here'");
        assert!(check_name("user", "pg_monitor").is_err());
        assert!(check_name("user", "with space").is_ok());
    }
}

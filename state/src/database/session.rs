//! One connection.

use std::future::poll_fn;

use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::timeout,
};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, types::Type};
use tokio_util::task::AbortOnDropHandle;

use super::{CONNECT, Database, Error, Result};

/// A connection, for as long as it is kept.
pub(super) struct Session {
    pub(super) client: Client,
    /// What it was notified of. Ends with the connection.
    pub(super) notes: mpsc::UnboundedReceiver<String>,
    _task: AbortOnDropHandle<()>,
}

impl Session {
    pub(super) async fn open(database: &Database) -> Result<Self> {
        // The configuration limits the TCP connection only, not what is said on it.
        let late = |_| Error::Unreachable { at: database.at.clone(), why: "it takes too long to let us in".to_owned() };
        timeout(2 * CONNECT, Self::connect(database))
            .await
            .map_err(late)?
            .map_err(|error| Error::of(&database.at, "connecting", &error))
    }

    async fn connect(database: &Database) -> std::result::Result<Self, tokio_postgres::Error> {
        let (told, notes) = mpsc::unbounded_channel();
        let (client, task) = match database.tls.clone() {
            Some(tls) => {
                let (client, connection) = database.config.connect(tls).await?;
                (client, tokio::spawn(drive(connection, told)))
            }
            None => {
                let (client, connection) = database.config.connect(NoTls).await?;
                (client, tokio::spawn(drive(connection, told)))
            }
        };
        Ok(Self { client, notes, _task: AbortOnDropHandle::new(task) })
    }
}

async fn drive<S, T>(mut connection: Connection<S, T>, told: mpsc::UnboundedSender<String>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notification(note)) => {
                // Nobody may listen any more: then nobody waits for it.
                let _ = told.send(note.payload().to_owned());
            }
            Ok(_) => {}
            // Whoever asks next gets the error; this is for who only listens.
            Err(error) => {
                tracing::debug!(%error, "a connection to the lock database ended");
                break;
            }
        }
    }
}

/// Calls a function that takes texts and gives JSON: one statement without a name, one round trip.
pub(crate) async fn ask<T: DeserializeOwned>(
    client: &Client,
    at: &str,
    function: &str,
    parameters: &[Option<&str>],
) -> Result<T> {
    let typed: Vec<_> =
        parameters.iter().map(|value| (value as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT)).collect();
    let row = client
        .query_typed_one(&format!("select {function}::text"), &typed)
        .await
        .map_err(|error| Error::of(at, function, &error))?;
    let text: Option<&str> = row.try_get(0).map_err(|error| Error::of(at, function, &error))?;
    serde_json::from_str(text.unwrap_or("null")).map_err(|error| Error::Answer {
        at: at.to_owned(),
        step: function.to_owned(),
        why: error.to_string(),
    })
}

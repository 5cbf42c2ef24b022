//! The database of the lock and the audit trail: how it is reached, prepared, and asked.
//!
//! Two kinds of users. The *owner* prepares it ([`Database::prepare`]): tables and functions in the schema `stackproof`.
//! *Deployers* may call those functions and read, nothing else. No role is made here, since not every managed
//! PostgreSQL lets its users do so.
//!
//! Every question is one statement of its own, so that a pooler in transaction mode may sit in between.

mod link;
mod prepare;
mod session;
mod trust;

use std::{fmt, time::Duration};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
    error::SqlState,
};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use trust::Trust;

pub(crate) use link::{Backoff, Link};
pub(crate) use session::ask;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the database is and who asks. Nothing is connected yet.
#[derive(Clone)]
pub struct Database {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    at: String,
}

impl Database {
    /// From `postgres://user@host:5432/database` and the password, which is better kept out of addresses.
    pub fn new(address: &str, password: Option<&str>, trust: Trust) -> Result<Self> {
        // Not with the parser's words: they may quote the address, and with it a password.
        let unreadable = || Error::Address("it is not of the form postgres://user@host:5432/database".to_owned());
        let mut config: Config = address.parse().map_err(|_| unreadable())?;
        if let Some(password) = password {
            config.password(password);
        }
        let [host] = config.get_hosts() else {
            return Err(Error::Address("it has to name one host".to_owned()));
        };
        let Host::Tcp(host) = host else {
            return Err(Error::Address("it has to name a host, not a socket's folder".to_owned()));
        };
        let host = host.clone();
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let (Some(user), Some(database)) = (config.get_user(), config.get_dbname()) else {
            return Err(unreadable());
        };
        let at = format!("{user}@{host}:{port}/{database}");
        let tls = trust.tls(&host)?;
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        config.connect_timeout(CONNECT).application_name("stackproof");
        config.keepalives_idle(Duration::from_secs(15)).tcp_user_timeout(Duration::from_secs(15));
        Ok(Self { config, tls, at })
    }

    /// The user it is asked as.
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.at)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.at).finish()
    }
}

/// Why the database could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its address or what to trust makes no sense.
    #[error("the lock database's settings are wrong: {0}")]
    Address(String),
    /// It is not there. Nothing is changed without it.
    #[error(
        "the lock database {at} cannot be reached: {why}\n\
         Without it nobody knows who else changes the stack, so nothing is changed. \
         Check that it runs, and that this machine's address is on its allow-list."
    )]
    Unreachable {
        /// Where it should be.
        at: String,
        /// What went wrong.
        why: String,
    },
    /// It does not let this user in.
    #[error("the lock database {at} lets nobody in with these credentials: {why}\nCheck its user and password.")]
    Credentials {
        /// Which database.
        at: String,
        /// Its words.
        why: String,
    },
    /// It was never prepared, or for an older version.
    #[error(
        "the lock database {at} is not prepared for this version of stackproof: {why}\n\
         Its owner prepares it, and only adds to what is there."
    )]
    Unprepared {
        /// Which database.
        at: String,
        /// Its words.
        why: String,
    },
    /// This user is not among the deployers.
    #[error(
        "the lock database {at} does not allow this: {why}\n\
         Its owner makes the user a deployer by preparing it again with that name."
    )]
    Rights {
        /// Which database.
        at: String,
        /// Its words.
        why: String,
    },
    /// It refused a step.
    #[error("the lock database {at} failed at {step}: {why}")]
    Server {
        /// Which database.
        at: String,
        /// What was asked.
        step: String,
        /// Its words.
        why: String,
        /// Whether asking again may help.
        again: bool,
    },
    /// It answered what nobody here understands.
    #[error(
        "the lock database {at} answered {step} with what this version of stackproof does not understand: {why}\n\
         It was prepared by another version: use that, or prepare it again."
    )]
    Answer {
        /// Which database.
        at: String,
        /// What was asked.
        step: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What a question to the database gives.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether asking again, on a new connection, may help: it restarts, fails over, or the network is down.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Server { again, .. } => *again,
            _ => false,
        }
    }

    fn of(at: &str, step: &str, error: &tokio_postgres::Error) -> Self {
        let at = at.to_owned();
        let Some(said) = error.as_db_error() else {
            return Self::Unreachable { at, why: words(error) };
        };
        let (why, code) = (said.message().to_owned(), said.code());
        let class = code.code().get(..2).unwrap_or_default();
        match code {
            code if *code == SqlState::UNDEFINED_FUNCTION
                || *code == SqlState::UNDEFINED_TABLE
                || *code == SqlState::INVALID_SCHEMA_NAME =>
            {
                Self::Unprepared { at, why }
            }
            code if *code == SqlState::INSUFFICIENT_PRIVILEGE => Self::Rights { at, why },
            _ if class == "28" => Self::Credentials { at, why },
            // It restarts, is full, is shut down, or its connection broke.
            code if matches!(class, "57" | "53" | "08") || *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
                Self::Unreachable { at, why }
            }
            // Serialisation, deadlock.
            _ => Self::Server { at, step: step.to_owned(), why, again: class == "40" },
        }
    }
}

/// All an error says.
fn words(error: &dyn std::error::Error) -> String {
    let mut all = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !all.ends_with(&more) {
            all = format!("{all}: {more}");
        }
        source = error.source();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for address in ["postgres://ada:hunter2@127.0.0.1:1/locks", "host=127.0.0.1 user=ada dbname=x password=hunter2"]
        {
            let database = Database::new(address, None, Trust::PlainLoopback).unwrap();
            assert!(!format!("{database:?} {database}").contains("hunter2"));
        }
        for wrong in ["postgres://ada:hunter2@[/x", "password=hunter2 wrong", "host=h user=u dbname=d sslmode=hunter2"]
        {
            let error = Database::new(wrong, None, Trust::System).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn without_tls_nothing_leaves_this_machine() {
        let refused = Database::new("postgres://ada@db.example.com/locks", None, Trust::PlainLoopback).unwrap_err();
        assert!(refused.to_string().contains("db.example.com"), "{refused}");
        for loopback in ["localhost", "127.0.0.1", "[::1]"] {
            Database::new(&format!("postgres://ada@{loopback}/locks"), None, Trust::PlainLoopback).unwrap();
        }
    }

    #[test]
    fn an_authority_that_is_none_is_refused() {
        for wrong in ["", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"] {
            let error = Database::new("postgres://ada@db/locks", None, Trust::Authority(wrong.to_owned())).unwrap_err();
            assert!(matches!(error, Error::Address(_)), "{error}");
        }
    }
}

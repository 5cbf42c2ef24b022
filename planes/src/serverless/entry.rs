//! One connection, from its first byte to its end.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    Logins, Verdict,
    gate::{Awake, Gate},
    wire::{self, Code, First, Startup},
};

/// How long a login may take, as with PostgreSQL.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the first byte of TLS is, where it is not asked for first.
const HANDSHAKE: u8 = 22;

/// What each connection needs.
pub(super) struct Entry {
    pub(super) tls: TlsAcceptor,
    pub(super) logins: Arc<dyn Logins>,
    pub(super) gate: Arc<Gate>,
}

/// Why a connection did not come to anything.
enum Refusal {
    /// Told to the other side.
    Told(Code, String),
    /// It has gone, or cannot be told.
    Gone(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Told(Code::Protocol, error.to_string()),
            _ => Self::Gone(error),
        }
    }
}

impl Entry {
    /// Sees a connection to its end.
    pub(super) async fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        let secured = match timeout(PATIENCE, self.secure(stream)).await {
            Ok(Ok(Some(secured))) => secured,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "a connection ended before its login"),
            Err(_) => return tracing::debug!(%peer, "a connection did not begin"),
        };
        self.login(secured, peer).await;
    }

    /// TLS, or nothing.
    async fn secure(&self, mut stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
        let mut byte = [0];
        if stream.peek(&mut byte).await? == 1 && byte[0] == HANDSHAKE {
            return self.tls.accept(stream).await.map(Some);
        }
        // GSSAPI may be asked for first, and each but once.
        for _ in 0..2 {
            let (code, told) = match wire::first(&mut stream).await {
                Ok(First::Tls) => {
                    stream.write_all(b"S").await?;
                    return self.tls.accept(stream).await.map(Some);
                }
                Ok(First::Gss) => {
                    stream.write_all(b"N").await?;
                    continue;
                }
                Ok(First::Cancel(message)) => return self.cancel(&message).await.map(|()| None),
                Ok(First::Startup(_)) => (Code::Authorization, "SSL connection is required".to_owned()),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => (Code::Protocol, error.to_string()),
                Err(error) => return Err(error),
            };
            tell(&mut stream, code, &told).await?;
            break;
        }
        Ok(None)
    }

    /// Hands on that another connection's statement is to be ended. The server knows whether it may be.
    async fn cancel(&self, message: &[u8]) -> io::Result<()> {
        let Some(socket) = self.gate.awake().await else { return Ok(()) };
        let mut server = UnixStream::connect(socket).await?;
        server.write_all(message).await?;
        // It says nothing, and closes when it is done.
        server.read_to_end(&mut Vec::new()).await.map(drop)
    }

    async fn login(&self, mut client: TlsStream<TcpStream>, peer: SocketAddr) {
        let admitted = timeout(PATIENCE, self.admit(&mut client)).await;
        let admitted = admitted.unwrap_or_else(|_| {
            Err(Refusal::Told(Code::Protocol, "canceling authentication due to timeout".to_owned()))
        });
        let done = match admitted {
            Ok(Some((mut server, _awake))) => copy_bidirectional(&mut client, &mut server).await.map(drop),
            Ok(None) => Ok(()),
            Err(Refusal::Told(code, told)) => {
                tracing::info!(%peer, told, "a login was refused");
                tell(&mut client, code, &told).await
            }
            Err(Refusal::Gone(error)) => Err(error),
        };
        if let Err(error) = done {
            tracing::debug!(%peer, %error, "a connection broke");
        }
    }

    /// Lets in who may; then the server behind has taken the login as well.
    async fn admit(&self, client: &mut TlsStream<TcpStream>) -> Result<Option<(UnixStream, Awake)>, Refusal> {
        let startup = match wire::first(client).await? {
            First::Startup(startup) => startup,
            First::Cancel(message) => {
                self.cancel(&message).await?;
                return Ok(None);
            }
            First::Tls | First::Gss => {
                return Err(Refusal::Told(Code::Protocol, "the connection is encrypted already".to_owned()));
            }
        };
        client.write_all(&startup.ask_password()).await?;
        client.flush().await?;
        let password = wire::password(client).await?;
        let Startup { user, database, .. } = &startup;
        let role = match self.logins.check(user, &password, database).await {
            Verdict::Admitted { role } => role,
            Verdict::WrongPassword => {
                let told = format!("password authentication failed for user \"{user}\"");
                return Err(Refusal::Told(Code::Password, told));
            }
            Verdict::Denied { told } => return Err(Refusal::Told(Code::Authorization, told)),
            Verdict::NoDatabase => {
                let told = format!("database \"{database}\" does not exist");
                return Err(Refusal::Told(Code::NoDatabase, told));
            }
            Verdict::Unavailable { reason } => return Err(Refusal::Told(Code::CannotConnectNow, reason)),
        };
        let asleep = |error: io::Error| {
            tracing::warn!(%error, "a serverless database's server was not reached");
            Refusal::Told(Code::CannotConnectNow, "the database could not be started".to_owned())
        };
        let (awake, mut server, first) = self.reach(&startup, &role).await.map_err(asleep)?;
        // The server lets in without a question, or says why not. Both are for the client, and so is what follows.
        if first == b'R' {
            let mut rest = [0; 8];
            server.read_exact(&mut rest).await.map_err(asleep)?;
            if rest != [0, 0, 0, 8, 0, 0, 0, 0] {
                return Err(asleep(io::Error::other("it asks for a password")));
            }
            client.write_all(b"R").await?;
            client.write_all(&rest).await?;
        } else {
            client.write_all(b"E").await?;
        }
        Ok(Some((server, awake)))
    }

    /// Reaches the server, up to the first byte of its answer. One that was just killed may still take a connection, and
    /// never answers: it is started again, as for everybody who comes later.
    async fn reach(&self, startup: &Startup, role: &str) -> io::Result<(Awake, UnixStream, u8)> {
        let awake = self.gate.enter().await?;
        let (awake, (server, first)) = match first_word(awake.socket(), startup, role).await {
            Ok(answered) => (awake, answered),
            Err(error) => {
                tracing::debug!(%error, "a serverless database's server died while somebody came");
                let again = self.gate.enter().await?;
                let answered = first_word(again.socket(), startup, role).await?;
                (again, answered)
            }
        };
        Ok((awake, server, first))
    }
}

/// Begins to talk with a server, and gives the first byte of its answer.
async fn first_word(socket: &Path, startup: &Startup, role: &str) -> io::Result<(UnixStream, u8)> {
    let mut server = UnixStream::connect(socket).await?;
    server.write_all(&startup.acting_as(role)?).await?;
    let first = server.read_u8().await?;
    Ok((server, first))
}

async fn tell(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), code: Code, told: &str) -> io::Result<()> {
    stream.write_all(&wire::fatal(code, told)).await?;
    stream.shutdown().await
}

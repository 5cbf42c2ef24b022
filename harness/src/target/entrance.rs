//! A network of a local cloud for one command, asked for and held.

use std::{net::IpAddr, path::PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use nix::fcntl::{FcntlArg, fcntl};
use serde::Deserialize;

use crate::Failure;

/// The lowest number of the descriptor that commands inherit: above those that shells keep for themselves.
const OUT_OF_THE_WAY: i32 = 64;

/// A network in which Scaleway's host names lead to a local cloud.
///
/// It is there as long as this is, or as long as the process that asked for it and all that hold [`Entrance::keep`]'s
/// descriptor are.
pub struct Entrance {
    /// The file by which a process enters it.
    pub namespace: PathBuf,
    /// Who resolves names there.
    pub nameserver: IpAddr,
    line: std::net::TcpStream,
    _speaking: tokio::task::JoinHandle<()>,
}

/// Why there is none.
pub enum NoEntrance {
    /// The local cloud says why.
    Refused(String),
    /// It did not answer.
    Lost(Failure),
}

#[derive(Deserialize)]
struct Told {
    namespace: PathBuf,
    nameserver: IpAddr,
}

impl Entrance {
    /// Asks the control API at this address, for this process.
    pub(super) async fn ask(control: &str, network: Option<&str>) -> Result<Self, NoEntrance> {
        let lost = |error: &dyn std::fmt::Display| {
            let failure = Failure::environment("the local cloud opened no network for the command").because(error);
            NoEntrance::Lost(failure.next("stackproof cloud status"))
        };
        // By hand and not by a client with a pool: the connection is to outlive this program's code.
        let line = std::net::TcpStream::connect(control).map_err(|error| lost(&error))?;
        let spoken = line.try_clone().map_err(|error| lost(&error))?;
        spoken.set_nonblocking(true).map_err(|error| lost(&error))?;
        let spoken = tokio::net::TcpStream::from_std(spoken).map_err(|error| lost(&error))?;
        let (mut sender, speaking) = http1::handshake(TokioIo::new(spoken)).await.map_err(|error| lost(&error))?;
        let speaking = tokio::spawn(async move {
            // An error here is one of the request, or comes after its answer and is of no interest.
            drop(speaking.await);
        });
        let asked = serde_json::json!({"network": network, "process": std::process::id()}).to_string();
        let request = Request::post("/planes/entrances")
            .header("host", control)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(asked)))
            .map_err(|error| lost(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| lost(&error))?;
        if !answer.status().is_success() {
            let body = answer.into_body().collect().await.map_err(|error| lost(&error))?.to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            return Err(NoEntrance::Refused(body["message"].as_str().unwrap_or("it does not say why").to_owned()));
        }
        let mut body = answer.into_body();
        let mut told = Vec::new();
        while !told.ends_with(b"\n") {
            let frame = body.frame().await.ok_or_else(|| lost(&"it broke off"))?.map_err(|error| lost(&error))?;
            told.extend(frame.into_data().unwrap_or_default());
        }
        let told: Told = serde_json::from_slice(&told).map_err(|error| lost(&error))?;
        Ok(Self { namespace: told.namespace, nameserver: told.nameserver, line, _speaking: speaking })
    }

    /// Leaves the connection that holds the network to the program that this process is about to become, and to
    /// whatever that starts.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn keep(&self) -> Result<(), Failure> {
        // A duplicate that is not closed by exec, and whose number nobody here has.
        let kept = fcntl(&self.line, FcntlArg::F_DUPFD(OUT_OF_THE_WAY));
        let failed =
            |error: nix::errno::Errno| Failure::environment("the command's network cannot be held").because(error);
        kept.map(drop).map_err(failed)
    }
}

//! A client that asks as fast as it is answered, and one that asks once at a time.

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::{Method, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

use crate::{Failure, target};

/// How many connections ask at once.
pub(super) const CONNECTIONS: usize = 16;

/// How long one round may take, however few requests it made.
const LONGEST: Duration = Duration::from_secs(5);

/// One request, to be made many times.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) at: SocketAddr,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) token: String,
    pub(super) body: Bytes,
}

impl Load {
    /// Asks this often over many connections. Gives the requests a second.
    pub(super) async fn round(&self, requests: u64) -> Result<f64, Failure> {
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            open.push(Connection::open(self).await?);
        }
        let (left, done) = (Arc::new(AtomicU64::new(requests)), Arc::new(AtomicU64::new(0)));
        let began = Instant::now();
        let working: Vec<_> = open
            .into_iter()
            .map(|mut connection| {
                let (left, done) = (Arc::clone(&left), Arc::clone(&done));
                tokio::spawn(async move {
                    let more = || left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                    while more().is_ok() && began.elapsed() < LONGEST {
                        connection.ask().await?;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok::<_, Failure>(())
                })
            })
            .collect();
        for worker in working {
            worker.await.map_err(|error| Failure::failed("a client broke off").because(error))??;
        }
        Ok(done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
    }
}

/// One connection that is kept.
pub(super) struct Connection {
    load: Load,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(super) async fn open(load: &Load) -> Result<Self, Failure> {
        let failed =
            |error: &dyn std::fmt::Display| Failure::failed(format!("{} does not answer", load.at)).because(error);
        let stream = TcpStream::connect(load.at).await.map_err(|error| failed(&error))?;
        stream.set_nodelay(true).map_err(|error| failed(&error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
        Ok(Self { load: load.clone(), sender })
    }

    /// Asks once, and takes in the whole answer. Gives how long it is.
    pub(super) async fn ask(&mut self) -> Result<usize, Failure> {
        let Load { at, method, path, token, body } = &self.load;
        let failed =
            |why: &dyn std::fmt::Display| Failure::failed(format!("{method} {path} was not answered")).because(why);
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, at.to_string());
        request = request.header("x-auth-token", token);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body.clone())).map_err(|error| failed(&error))?;
        self.sender.ready().await.map_err(|error| failed(&error))?;
        let answer = self.sender.send_request(request).await.map_err(|error| failed(&error))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
        if status.is_success() {
            return Ok(body.len());
        }
        Err(Failure::failed(format!("{method} {path} answered {status}")).because(String::from_utf8_lossy(&body)))
    }

    /// Asks once; how long that took, in microseconds.
    pub(super) async fn timed(&mut self) -> Result<f64, Failure> {
        let began = Instant::now();
        self.ask().await?;
        Ok(micros(began.elapsed()))
    }
}

pub(super) fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

/// The server that only answers, as a process of its own; it goes with this.
pub(super) struct Responder {
    pub(super) at: SocketAddr,
    _process: Child,
}

impl Responder {
    /// One whose answers have this many bytes.
    pub(super) async fn start(size: usize) -> Result<Self, Failure> {
        let failed =
            |why: &dyn std::fmt::Display| Failure::environment("the bare responder did not start").because(why);
        let mut command = Command::new(target::program()?);
        command.args(["bench-responder", "--size", &size.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().map_err(|error| failed(&error))?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).await.map_err(|error| failed(&error))?;
        }
        let at = line.trim().parse().map_err(|error| failed(&error))?;
        Ok(Self { at, _process: process })
    }
}

/// The rates of two, in turn so that both see the same machine: those of the round whose ratio is in the middle.
pub(super) async fn in_turn(ours: &Load, peer: &Load, rounds: usize, requests: u64) -> Result<(f64, f64), Failure> {
    // The first round of each is not counted: memory, files and the processors' clocks are got ready by it.
    ours.round(requests / 4).await?;
    peer.round(requests / 4).await?;
    let mut pairs = Vec::new();
    for round in 0..rounds {
        let (first, second) = if round.is_multiple_of(2) { (ours, peer) } else { (peer, ours) };
        let rates = (first.round(requests).await?, second.round(requests).await?);
        pairs.push(if round.is_multiple_of(2) { rates } else { (rates.1, rates.0) });
    }
    pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    pairs.get(pairs.len() / 2).copied().ok_or_else(|| Failure::failed("nothing was measured"))
}

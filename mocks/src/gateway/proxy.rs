//! The proxy: takes connections, terminates TLS for our hosts, hands requests on.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use futures::{FutureExt, future::BoxFuture};
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{CONTENT_TYPE, HOST},
    uri::{PathAndQuery, Scheme},
};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
    upgrade::Upgraded,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Authority, Environment, OwnNames, Service, authority::Speaks, direct, foreign, hosts};
use crate::{front::Unheard, listener::AnswerLost};

/// How long an accept that failed, for want of file descriptors say, waits before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Whoever answers the requests for our hosts: never asked about [`Service::Unclaimed`] or
/// [`Service::Foreign`]. An answer marked [`Unheard`] closes the connection instead.
pub type Handler = Arc<dyn Fn(Service, Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync + 'static>;

/// Makes a [`Handler`] of an async function.
pub fn handler<F, A>(answer: F) -> Handler
where
    F: Fn(Service, Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    Arc::new(move |service, request| Box::pin(answer(service, request)))
}

/// What becomes of traffic for hosts that are not Scaleway's. This machine's own addresses are
/// always reached, because some tools ignore that they should be asked directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Foreign {
    /// It is passed on unread to the real host.
    #[default]
    Tunnel,
    /// It is refused with 403.
    Refuse,
}

/// How a gateway runs. [`Config::default`] is right for most.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; it must be a loopback one. Port 0: any free one.
    pub listen: SocketAddr,
    /// The address for clients that use no proxy; a loopback one, too.
    pub direct: SocketAddr,
    /// What becomes of traffic for other hosts.
    pub foreign: Foreign,
    /// Names of users' own that are answered, too.
    pub own: Option<Arc<OwnNames>>,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a connection may go without a whole request head, be it idle or dripping.
    /// Longer than clients keep idle connections (Go: 90 s), or we would close one just as its
    /// client uses it again.
    pub idle_timeout: Duration,
    /// How long requests under way may take to finish when the gateway stops.
    pub grace: Duration,
    /// Stops the gateway when cancelled.
    pub shutdown: CancellationToken,
    /// Who answers for hosts of ours at ports of their own.
    pub listeners: Listeners,
}

/// From a host and a port to an address of this machine.
type Find = dyn Fn(&str, u16) -> Option<SocketAddr> + Send + Sync;

/// Finds the address of this machine at which a host of ours answers at a port of its own, in its own protocol.
#[derive(Clone)]
pub struct Listeners(Arc<Find>);

impl Listeners {
    /// Asks this.
    pub fn new(find: impl Fn(&str, u16) -> Option<SocketAddr> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }
}

impl Default for Listeners {
    fn default() -> Self {
        Self::new(|_, _| None)
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listeners")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            direct: SocketAddr::from(([127, 0, 0, 1], 0)),
            foreign: Foreign::Tunnel,
            own: None,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            grace: Duration::from_secs(5),
            shutdown: CancellationToken::new(),
            listeners: Listeners::default(),
        }
    }
}

/// What a gateway has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Requests given to the handler.
    pub requests: u64,
    /// Requests for Scaleway hosts with nothing behind them (501).
    pub unclaimed: u64,
    /// Tunnels and plain requests to other hosts.
    pub foreign: u64,
    /// Tunnels and plain requests to other hosts that were refused (403).
    pub refused: u64,
    /// TLS handshakes that failed, mostly by clients that do not trust our authority.
    pub failed_handshakes: u64,
}

/// A running gateway. Dropping it stops it.
pub struct Gateway {
    address: SocketAddr,
    direct: SocketAddr,
    shared: Arc<Shared>,
    running: JoinHandle<()>,
}

/// What every connection needs.
pub(super) struct Shared {
    pub(super) authority: Arc<Authority>,
    handler: Handler,
    pub(super) config: Config,
    pub(super) seen: Seen,
    tasks: TaskTracker,
    /// No more requests; those under way finish.
    pub(super) stopping: CancellationToken,
    /// The grace is over.
    abandoned: CancellationToken,
}

#[derive(Default)]
pub(super) struct Seen {
    connections: AtomicU64,
    requests: AtomicU64,
    unclaimed: AtomicU64,
    foreign: AtomicU64,
    refused: AtomicU64,
    pub(super) failed_handshakes: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// In a request's extensions: it came without TLS.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

/// How a request reached us.
#[derive(Clone)]
pub(super) enum Via {
    /// On the proxy's own connection.
    Proxy,
    /// On a connection to the host itself, without TLS.
    Direct,
    /// Inside a tunnel to this host, one of ours.
    Tunnel(Arc<str>),
    /// Inside such a tunnel, without TLS.
    Plain(Arc<str>),
}

impl Shared {
    /// Whose a host is.
    pub(super) fn owner(&self, host: &str) -> Service {
        match Service::of(host) {
            Service::Foreign if self.config.own.as_ref().is_some_and(|own| own.has(&hosts::name(host))) => {
                Service::Domain
            }
            service => service,
        }
    }

    /// TLS as a host of ours speaks it.
    pub(super) fn tls(&self, service: &Service, host: &str) -> Result<Arc<ServerConfig>, String> {
        let certified = match service {
            Service::Domain => {
                let own = self.config.own.as_ref().and_then(|own| own.tls(host));
                return own.ok_or_else(|| format!("{host} is not the name of a container any more"));
            }
            Service::Container { .. } => self.authority.server_config(host, Speaks::Http2),
            _ => self.authority.server_config(host, Speaks::Http1),
        };
        certified.map_err(|error| error.to_string())
    }
}

impl Gateway {
    /// Starts a gateway; it runs when this returns.
    ///
    /// # Errors
    /// When the address is not a loopback one, or cannot be had.
    pub async fn start(config: Config, authority: Arc<Authority>, handler: Handler) -> io::Result<Self> {
        for listen in [config.listen, config.direct] {
            if !listen.ip().is_loopback() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{listen} is not a loopback address: the gateway would be an open proxy"),
                ));
            }
        }
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let direct_listener = TcpListener::bind(config.direct).await?;
        let direct = direct_listener.local_addr()?;
        let shared = Arc::new(Shared {
            stopping: config.shutdown.child_token(),
            abandoned: CancellationToken::new(),
            tasks: TaskTracker::new(),
            seen: Seen::default(),
            authority,
            handler,
            config,
        });
        let running = tokio::spawn(run(shared.clone(), listener, direct_listener));
        Ok(Self { address, direct, shared, running })
    }

    /// Where it listens as a proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens as the hosts themselves, for TLS and plain HTTP alike: where a network leads the names and
    /// ports of Scaleway's hosts to.
    pub fn direct(&self) -> SocketAddr {
        self.direct
    }

    /// What leads a child process through this gateway.
    pub fn environment(&self) -> Environment {
        match &self.shared.config.own {
            Some(own) => Environment::new(self.address, own.bundle_path()),
            None => Environment::new(self.address, &self.shared.authority.bundle_path()),
        }
    }

    /// What it has seen so far.
    pub fn counts(&self) -> Counts {
        let seen = &self.shared.seen;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections: read(&seen.connections),
            requests: read(&seen.requests),
            unclaimed: read(&seen.unclaimed),
            foreign: read(&seen.foreign),
            refused: read(&seen.refused),
            failed_handshakes: read(&seen.failed_handshakes),
        }
    }

    /// Stops: takes nothing new, cuts tunnels to other hosts, and returns when the requests under
    /// way are answered or the grace is over.
    pub async fn stop(mut self) {
        self.shared.stopping.cancel();
        if let Err(error) = (&mut self.running).await {
            tracing::error!(%error, "the gateway ended badly");
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("address", &self.address)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

async fn run(shared: Arc<Shared>, proxy: TcpListener, direct: TcpListener) {
    tokio::join!(
        accept(&shared, proxy, |shared, stream| converse(shared, stream, Via::Proxy).boxed()),
        accept(&shared, direct, |shared, stream| direct::take(shared, stream).boxed()),
    );
    shared.tasks.close();
    if timeout(shared.config.grace, shared.tasks.wait()).await.is_err() {
        tracing::warn!(left = shared.tasks.len(), "the gateway stops before every request was answered");
        shared.abandoned.cancel();
        shared.tasks.wait().await;
    }
}

async fn accept(
    shared: &Arc<Shared>,
    listener: TcpListener,
    serve: impl Fn(Arc<Shared>, TcpStream) -> BoxFuture<'static, ()>,
) {
    while let Some(accepted) = shared.stopping.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                count(&shared.seen.connections);
                // Answers are small and waited for; without this they wait for acknowledgements.
                let _ = stream.set_nodelay(true);
                shared.tasks.spawn(serve(shared.clone(), stream));
            }
            Err(error) => {
                tracing::warn!(%error, "the gateway failed to accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection, or of one tunnel, until it ends.
pub(super) async fn converse<S>(shared: Arc<Shared>, stream: S, via: Via)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| heard(answer(shared.clone(), via.clone(), request)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.config.idle_timeout)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = match shared.stopping.run_until_cancelled(connection.as_mut()).await {
        Some(ended) => Some(ended),
        None => {
            connection.as_mut().graceful_shutdown();
            shared.abandoned.run_until_cancelled(connection).await
        }
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection to the gateway broke off");
    }
}

/// The same where HTTP/2 is spoken.
pub(super) async fn converse_by_h2<S>(shared: Arc<Shared>, stream: S, via: Via)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answering = shared.clone();
    let service = service_fn(move |request| heard(answer(answering.clone(), via.clone(), request)));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(shared.config.idle_timeout)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = match shared.stopping.run_until_cancelled(connection.as_mut()).await {
        Some(ended) => Some(ended),
        None => {
            connection.as_mut().graceful_shutdown();
            shared.abandoned.run_until_cancelled(connection).await
        }
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection to the gateway broke off");
    }
}

/// An answer, unless it is not to be heard. An error here ends the connection with nothing said, or where many answers
/// share one, its part of it: which is what is wanted.
async fn heard(answer: impl Future<Output = Response<Body>>) -> Result<Response<Body>, AnswerLost> {
    let answer = answer.await;
    if answer.extensions().get::<Unheard>().is_some() { Err(AnswerLost) } else { Ok(answer) }
}

async fn answer(shared: Arc<Shared>, via: Via, request: Request<Incoming>) -> Response<Body> {
    if request.method() == Method::CONNECT {
        return match via {
            Via::Proxy => connect(shared, request).await,
            Via::Tunnel(_) | Via::Plain(_) | Via::Direct => refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this connection leads to its host only: CONNECT is for the proxy itself",
            ),
        };
    }
    let Some(host) = host_of(&request, &via) else {
        return refusal(StatusCode::BAD_REQUEST, "bad_request", "the request names no host");
    };
    match shared.owner(&host) {
        Service::Unclaimed => {
            count(&shared.seen.unclaimed);
            unclaimed(&hosts::name(&host))
        }
        Service::Foreign => elsewhere(&shared, &via, &host, request).await,
        service => {
            count(&shared.seen.requests);
            let plain = request.uri().scheme() == Some(&Scheme::HTTP) || matches!(via, Via::Plain(_) | Via::Direct);
            let mut request = to_origin_form(request, &host);
            if plain {
                request.extensions_mut().insert(Plain);
            }
            (shared.handler)(service, request).await
        }
    }
}

/// The host a request is for, as written: that of a full address, which RFC 9112 (section 3.2.2)
/// puts first, else the header, else the tunnel's.
fn host_of(request: &Request<Incoming>, via: &Via) -> Option<String> {
    if let Some(address) = request.uri().authority() {
        return Some(address.as_str().to_owned());
    }
    match (request.headers().get(HOST), via) {
        (Some(host), _) => host.to_str().ok().map(str::to_owned),
        (None, Via::Tunnel(host) | Via::Plain(host)) => Some(host.to_string()),
        (None, Via::Proxy | Via::Direct) => None,
    }
}

/// The request as a server sees it: path and query as they were written, and a host.
fn to_origin_form(request: Request<Incoming>, host: &str) -> Request<Body> {
    let mut request = request.map(Body::new);
    if request.uri().authority().is_some() {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    }
    if !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(host)
    {
        request.headers_mut().insert(HOST, host);
    }
    request
}

/// Answers a request for a host that is not ours.
async fn elsewhere(shared: &Arc<Shared>, via: &Via, host: &str, request: Request<Incoming>) -> Response<Body> {
    if let Via::Tunnel(tunnel) | Via::Plain(tunnel) = via {
        return refusal(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected_request",
            &format!("the tunnel leads to {tunnel}, the request asks for {host}"),
        );
    }
    if matches!(via, Via::Direct) {
        return refusal(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected_request",
            &format!("only Scaleway's hosts are here, the request asks for {host}"),
        );
    }
    if request.uri().scheme() != Some(&Scheme::HTTP) {
        return refusal(
            StatusCode::BAD_REQUEST,
            "bad_request",
            "this is stackproof's gateway, a proxy: use it as HTTPS_PROXY",
        );
    }
    let port = request.uri().port_u16().unwrap_or(80);
    let name = hosts::name(host);
    if let Some(refused) = refused(shared, &name) {
        return refused;
    }
    count(&shared.seen.foreign);
    let request = to_origin_form(request, host);
    match foreign::forward(&name, port, request, &shared.tasks, &shared.abandoned).await {
        Ok(response) => response,
        Err(error) => unreachable_host(&name, port, &error),
    }
}

/// Where a tunnel leads.
enum Tunnel {
    /// To a host of ours, over TLS.
    Secure(String, Arc<ServerConfig>),
    /// To a host of ours, in plain text.
    Plain(String),
    /// To a host of somebody else's, or one that speaks for itself.
    Away(TcpStream),
}

/// Grants a tunnel, once what is behind it is there.
async fn connect(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let target = request.uri().authority();
    let Some((host, port)) = target.and_then(|target| Some((hosts::name(target.host()), target.port_u16()?))) else {
        return refusal(StatusCode::BAD_REQUEST, "bad_request", "CONNECT needs a host and a port");
    };
    let owner = shared.owner(&host);
    let tunnel = match (&owner, port) {
        (Service::Foreign, _) => {
            if let Some(refused) = refused(&shared, &host) {
                return refused;
            }
            count(&shared.seen.foreign);
            match foreign::connect(&host, port).await {
                Ok(server) => Tunnel::Away(server),
                Err(error) => return unreachable_host(&host, port, &error),
            }
        }
        (service, 443) => match shared.tls(service, &host) {
            Ok(tls) => Tunnel::Secure(host, tls),
            Err(error) => return refusal(StatusCode::BAD_REQUEST, "bad_request", &error),
        },
        (_, 80) => Tunnel::Plain(host),
        _ => {
            let Some(address) = (shared.config.listeners.0)(&host, port) else {
                count(&shared.seen.unclaimed);
                return unclaimed(&format!("{host}:{port}"));
            };
            match foreign::connect(&address.ip().to_string(), address.port()).await {
                Ok(server) => Tunnel::Away(server),
                Err(error) => return unreachable_host(&host, port, &error),
            }
        }
    };
    shared.tasks.spawn(carry(shared.clone(), request, tunnel));
    Response::new(Body::empty())
}

/// Serves a tunnel once the client has been told that it is there.
fn carry(shared: Arc<Shared>, request: Request<Incoming>, tunnel: Tunnel) -> BoxFuture<'static, ()> {
    // Boxed, because a tunnel's requests are answered as the proxy's own are: the type would
    // contain itself.
    Box::pin(async move {
        let client = match hyper::upgrade::on(request).await {
            Ok(client) => TokioIo::new(client),
            Err(error) => {
                tracing::debug!(%error, "a client left before its tunnel was there");
                return;
            }
        };
        match tunnel {
            Tunnel::Away(server) => foreign::tunnel(client, server, &shared.stopping).await,
            Tunnel::Plain(host) => converse(shared, client, Via::Plain(host.into())).await,
            Tunnel::Secure(host, tls) => {
                if let Some(client) = decrypt(&shared, &host, tls, client).await {
                    let via = Via::Tunnel(host.into());
                    if client.get_ref().1.alpn_protocol() == Some(b"h2".as_slice()) {
                        converse_by_h2(shared, client, via).await;
                    } else {
                        converse(shared, client, via).await;
                    }
                }
            }
        }
    })
}

async fn decrypt(
    shared: &Shared,
    host: &str,
    tls: Arc<ServerConfig>,
    client: TokioIo<Upgraded>,
) -> Option<TlsStream<TokioIo<Upgraded>>> {
    let handshake = timeout(shared.config.handshake_timeout, TlsAcceptor::from(tls).accept(client));
    let failure = match shared.stopping.run_until_cancelled(handshake).await? {
        Ok(Ok(client)) => return Some(client),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the client took too long".to_owned(),
    };
    count(&shared.seen.failed_handshakes);
    tracing::warn!(
        host,
        failure,
        bundle = %shared.authority.bundle_path().display(),
        "a TLS handshake failed (hint: a client that does not trust the local authority needs SSL_CERT_FILE set to the bundle)"
    );
    None
}

/// The refusal of another host, where the gateway is told to refuse them.
fn refused(shared: &Shared, host: &str) -> Option<Response<Body>> {
    if shared.config.foreign == Foreign::Tunnel || hosts::is_loopback(host) {
        return None;
    }
    count(&shared.seen.refused);
    Some(refusal(
        StatusCode::FORBIDDEN,
        "foreign_host",
        &format!("{host} is not Scaleway's, and this gateway passes nothing on to other hosts"),
    ))
}

fn unclaimed(host: &str) -> Response<Body> {
    refusal(StatusCode::NOT_IMPLEMENTED, "not_implemented", &format!("nothing runs behind this host yet: {host}"))
}

fn unreachable_host(host: &str, port: u16, error: &dyn fmt::Display) -> Response<Body> {
    refusal(StatusCode::BAD_GATEWAY, "bad_gateway", &format!("failed to reach {host} on port {port}: {error}"))
}

/// An answer of the gateway's own, in the form of Scaleway's errors.
fn refusal(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    let body = serde_json::json!({ "type": kind, "message": message });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

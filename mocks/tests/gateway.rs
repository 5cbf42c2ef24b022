//! The gateway as a client behind it sees it: through reqwest, and by hand where reqwest
//! would tidy up what the test is about.

#![expect(clippy::unwrap_used, reason = "helpers of tests are outside what clippy takes for a test")]

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{Request, Response, StatusCode, header::HOST},
};
use futures::{FutureExt, StreamExt};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Certificate, Client, Proxy};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use stackproof_cloud::{
    front::Unheard,
    gateway::{Authority, Config, Foreign, Gateway, Service, handler},
    listener::listen,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway, whose handler tells what it was asked, and the authority clients trust.
struct Scene {
    gateway: Gateway,
    authority: Arc<Authority>,
    _directory: TempDir,
}

impl Scene {
    async fn new() -> Self {
        Self::with(Config::default()).await
    }

    async fn with(config: Config) -> Self {
        Self::answering(config, tell).await
    }

    async fn answering<F, A>(config: Config, answer: F) -> Self
    where
        F: Fn(Service, Request<Body>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let directory = TempDir::new().unwrap();
        let authority = Arc::new(Authority::open(directory.path()).unwrap());
        let gateway = Gateway::start(config, authority.clone(), handler(answer)).await.unwrap();
        Self { gateway, authority, _directory: directory }
    }

    fn client(&self) -> Client {
        self.client_trusting(self.authority.certificate_pem())
    }

    fn client_trusting(&self, pem: &str) -> Client {
        // Another test may have been first; there is only this provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .proxy(Proxy::all(format!("http://{}", self.gateway.address())).unwrap())
            .tls_certs_only([Certificate::from_pem(pem.as_bytes()).unwrap()])
            .build()
            .unwrap()
    }

    /// Sends one head by hand and reads the answer's status line.
    async fn send(&self, head: &str) -> (String, TcpStream) {
        let mut stream = TcpStream::connect(self.gateway.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_head(&mut stream).await;
        (answer.lines().next().unwrap().to_owned(), stream)
    }

    /// A TLS connection through the proxy to this host, by hand.
    async fn enter(&self, host: &'static str) -> TlsStream<TcpStream> {
        let (status, stream) = self.send(&format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n")).await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        let mut roots = RootCertStore::empty();
        let pem = self.authority.certificate_pem().as_bytes();
        roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsConnector::from(Arc::new(config)).connect(host.try_into().unwrap(), stream).await.unwrap()
    }
}

/// Answers with everything the handler was given.
async fn tell(service: Service, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let headers: Vec<_> =
        parts.headers.iter().map(|(name, value)| json!([name.as_str(), value.to_str().unwrap()])).collect();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let told = json!({
        "service": format!("{service:?}"),
        "request": format!("{} {}", parts.method, parts.uri),
        "headers": headers,
        "body": body.len(),
    });
    Response::new(Body::from(told.to_string()))
}

async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Asserts that the other side ends the connection, be it politely or not.
async fn assert_closed(stream: &mut (impl AsyncReadExt + Unpin)) {
    let read = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
    assert!(read.is_ok(), "still open after {PATIENCE:?}");
}

async fn told(client: &Client, url: &str) -> Value {
    client.get(url).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_request_to_the_api_reaches_the_handler() {
    let scene = Scene::new().await;
    let told = told(&scene.client(), "https://api.scaleway.com/vpc/v2/regions/fr-par/vpcs?page=1").await;
    assert_eq!(told["service"], "Api");
    assert_eq!(told["request"], "GET /vpc/v2/regions/fr-par/vpcs?page=1");
    assert_eq!(scene.gateway.counts().requests, 1);
}

#[tokio::test]
async fn a_buckets_own_host_names_the_bucket() {
    let scene = Scene::new().await;
    let told = told(&scene.client(), "https://photos.2026.s3.nl-ams.scw.cloud/cat.jpg").await;
    assert_eq!(told["service"], r#"ObjectStorage { region: NlAms, bucket: Some("photos.2026") }"#);
}

#[tokio::test]
async fn nothing_of_a_request_is_changed() {
    let scene = Scene::new().await;
    let mut stream = scene.enter("s3.fr-par.scw.cloud").await;
    let headers = [
        ("host", "B.s3.fr-par.scw.cloud:443"),
        ("accept-encoding", "identity, zstd;q=0"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=SCWX@p/20260301/fr-par/s3/aws4_request"),
        ("x-amz-meta-spaced", "a  b"),
        ("x-twice", "1"),
        ("x-twice", "2"),
        ("proxy-connection", "keep-alive"),
        ("connection", "close"),
    ];
    let mut head = "GET //a%2Fb/../c%7E+d?x-id=GetObject&empty&b=%2f&a= HTTP/1.1\r\n".to_owned();
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    read_head(&mut stream).await;
    let mut body = String::new();
    stream.read_to_string(&mut body).await.unwrap();
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["request"], "GET //a%2Fb/../c%7E+d?x-id=GetObject&empty&b=%2f&a=");
    assert_eq!(told["headers"], json!(headers));
    // The header decides, as it does at any server; the tunnel only brought it here.
    assert_eq!(told["service"], r#"ObjectStorage { region: FrPar, bucket: Some("b") }"#);
}

#[tokio::test]
async fn a_client_that_offers_h2_gets_http_1_1_but_of_a_container() {
    let scene = Scene::new().await;
    let stream = scene.enter("api.scaleway.com").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let container = "shop1a2b-web.functions.fnc.fr-par.scw.cloud";
    let stream = scene.enter(container).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let answer = scene.client().get(format!("https://{container}/a?b=c")).send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    let told: Value = answer.json().await.unwrap();
    assert_eq!((&told["service"], &told["request"]), (&json!("Container { region: FrPar }"), &json!("GET /a?b=c")));
    assert!(told["headers"].as_array().unwrap().contains(&json!(["host", container])), "{told}");
}

#[tokio::test]
async fn requests_share_a_connection() {
    let scene = Scene::new().await;
    let client = scene.client();
    for _ in 0..5 {
        told(&client, "https://api.scaleway.com/").await;
    }
    let counts = scene.gateway.counts();
    assert_eq!((counts.connections, counts.requests), (1, 5));
}

#[tokio::test]
async fn a_client_that_does_not_trust_us_fails_and_is_counted() {
    let scene = Scene::new().await;
    let key = KeyPair::generate().unwrap();
    let stranger = CertificateParams::default().self_signed(&key).unwrap();
    let failure = scene.client_trusting(&stranger.pem()).get("https://api.scaleway.com/").send().await.unwrap_err();
    assert!(format!("{failure:?}").contains("UnknownIssuer"), "{failure:?}");
    // The client may give up before its alert has arrived.
    let seen = async {
        while scene.gateway.counts().failed_handshakes == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, seen).await.expect("the failed handshake is counted");
    assert_eq!(scene.gateway.counts().requests, 0);
}

#[tokio::test]
async fn a_host_with_nothing_behind_it_answers_501() {
    let scene = Scene::new().await;
    let answer = scene.client().get("https://1a2b.metrics.cockpit.fr-par.scw.cloud/v2/").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_IMPLEMENTED);
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({
            "type": "not_implemented",
            "message": "nothing runs behind this host yet: 1a2b.metrics.cockpit.fr-par.scw.cloud"
        })
    );
    let counts = scene.gateway.counts();
    assert_eq!((counts.unclaimed, counts.requests), (1, 0));
}

#[tokio::test]
async fn a_port_with_nothing_behind_it_answers_501() {
    let scene = Scene::new().await;
    let (status, _) = scene.send("CONNECT x.rdb.fr-par.scw.cloud:5432 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(status, "HTTP/1.1 501 Not Implemented");
}

#[tokio::test]
async fn a_tunnel_cannot_be_used_for_another_host() {
    let scene = Scene::new().await;
    let answer = scene.client().get("https://api.scaleway.com/").header(HOST, "example.org").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn plain_requests_to_our_hosts_are_served_too() {
    let scene = Scene::new().await;
    let client = scene.client();
    for _ in 0..3 {
        let told = told(&client, "http://b.s3.pl-waw.scw.cloud/key?versionId=1").await;
        assert_eq!(told["service"], r#"ObjectStorage { region: PlWaw, bucket: Some("b") }"#);
        assert_eq!(told["request"], "GET /key?versionId=1");
        assert!(told["headers"].as_array().unwrap().contains(&json!(["host", "b.s3.pl-waw.scw.cloud"])));
    }
    assert_eq!(scene.gateway.counts().connections, 1);
}

#[tokio::test]
async fn a_plain_tunnel_to_our_hosts_is_served_too() {
    let scene = Scene::new().await;
    let (status, mut stream) =
        scene.send("CONNECT api.scaleway.com:80 HTTP/1.1\r\nHost: api.scaleway.com:80\r\n\r\n").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    // HTTP/1.0 asks for no host; the tunnel's stands in.
    stream.write_all(b"GET /x HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(r#"["host","api.scaleway.com"]"#), "{answer}");
}

#[tokio::test]
async fn the_listener_is_not_a_web_server() {
    // A client without TLS of its own still wants to know whose it would be.
    drop(rustls::crypto::ring::default_provider().install_default());
    let scene = Scene::new().await;
    let url = format!("http://{}/", scene.gateway.address());
    let answer = Client::builder().no_proxy().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.text().await.unwrap().contains("use it as HTTPS_PROXY"));
    // Asked for itself through itself, it does not ask itself again and again.
    let answer = scene.client().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

/// A server that sends back what it gets.
async fn echo_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    port
}

async fn assert_reaches_echo_server(scene: &Scene) {
    let port = echo_server().await;
    let (status, mut stream) =
        scene.send(&format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    stream.write_all(b"neither TLS nor HTTP").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut echo = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut echo)).await.unwrap().unwrap();
    assert_eq!(echo, "neither TLS nor HTTP");
}

#[tokio::test]
async fn other_hosts_are_reached_through_a_tunnel() {
    let scene = Scene::new().await;
    assert_reaches_echo_server(&scene).await;
    assert_eq!(scene.gateway.counts().foreign, 1);
}

#[tokio::test]
async fn plain_requests_to_other_hosts_are_passed_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    let app = Router::new().fallback(async |request: Request<Body>| {
        let line = format!("{} {:?}", request.uri(), request.headers()[HOST]);
        let length = to_bytes(request.into_body(), usize::MAX).await.unwrap().len();
        (StatusCode::ACCEPTED, format!("{line} {length}"))
    });
    tokio::spawn(async move { axum::serve(listener, app).await });

    let scene = Scene::new().await;
    let answer = scene.client().post(format!("http://{host}/a//b?c")).body(vec![b'x'; 100_000]).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(answer.text().await.unwrap(), format!("/a//b?c \"{host}\" 100000"));
}

#[tokio::test]
async fn a_host_that_is_down_is_named() {
    // Bound and dropped: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let scene = Scene::new().await;
    let (status, _) = scene.send(&format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert_eq!(status, "HTTP/1.1 502 Bad Gateway");
    let answer = scene.client().get(format!("http://127.0.0.1:{port}/")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let message = answer.text().await.unwrap();
    assert!(message.contains(&format!("failed to reach 127.0.0.1 on port {port}")), "{message}");
}

#[tokio::test]
async fn other_hosts_are_refused_when_told_so() {
    let scene = Scene::with(Config { foreign: Foreign::Refuse, ..Config::default() }).await;
    let (status, _) = scene.send("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n").await;
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    let (status, _) = scene.send("GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n").await;
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    assert_reaches_echo_server(&scene).await;
    let counts = scene.gateway.counts();
    assert_eq!((counts.refused, counts.foreign), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_at_once_are_answered() {
    let scene = Scene::new().await;
    let client = scene.client();
    let requests = (0..200).map(|n| {
        let client = &client;
        async move {
            let host = format!("b{}.s3.fr-par.scw.cloud", n % 10);
            let told = told(client, &format!("https://{host}/{n}")).await;
            assert_eq!(told["request"], format!("GET /{n}"));
            assert!(told["service"].as_str().unwrap().contains(&format!("\"b{}\"", n % 10)));
        }
    });
    futures::future::join_all(requests).await;
    assert_eq!(scene.gateway.counts().requests, 200);
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let scene = Scene::answering(Config::default(), async |_, request| Response::new(request.into_body())).await;
    let (send, chunks) = mpsc::channel::<Bytes>(1);
    let chunks = futures::stream::unfold(chunks, async |mut chunks| {
        let chunk = chunks.recv().await?;
        Some((Ok::<_, io::Error>(chunk), chunks))
    });
    let request =
        scene.client().put("https://b.s3.fr-par.scw.cloud/big").body(reqwest::Body::wrap_stream(chunks)).send();
    let (answer, _) = tokio::join!(request, send.send(Bytes::from_static(b"first")));
    let mut echo = answer.unwrap().bytes_stream();
    // The first piece is back before the second is sent: nothing waits for the whole body.
    let first = timeout(PATIENCE, echo.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(first, "first");

    let piece = Bytes::from(vec![7; 1 << 20]);
    let sent = tokio::spawn(async move {
        for _ in 0..64 {
            send.send(piece.clone()).await.unwrap();
        }
    });
    let mut length = 0;
    while let Some(piece) = timeout(PATIENCE, echo.next()).await.unwrap() {
        length += piece.unwrap().len();
    }
    sent.await.unwrap();
    assert_eq!(length, 64 << 20);
}

#[tokio::test]
async fn an_answer_not_to_be_heard_closes_the_connection() {
    let scene = Scene::answering(Config::default(), async |_, _| {
        let mut answer = Response::new(Body::from("done, but nobody hears it"));
        answer.extensions_mut().insert(Unheard);
        answer
    })
    .await;
    let mut stream = scene.enter("api.scaleway.com").await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: api.scaleway.com\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, b"");
    assert_eq!(scene.gateway.counts().requests, 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let scene = Scene::with(Config { idle_timeout: Duration::from_millis(50), ..Config::default() }).await;
    assert_closed(&mut scene.enter("api.scaleway.com").await).await;
}

#[tokio::test]
async fn a_head_that_drips_in_is_cut_off() {
    let scene = Scene::with(Config { idle_timeout: Duration::from_millis(50), ..Config::default() }).await;
    let mut stream = scene.enter("api.scaleway.com").await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    assert_closed(&mut stream).await;
    assert_eq!(scene.gateway.counts().requests, 0);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_given_up() {
    let scene = Scene::with(Config { handshake_timeout: Duration::from_millis(50), ..Config::default() }).await;
    let (_, mut stream) =
        scene.send("CONNECT api.scaleway.com:443 HTTP/1.1\r\nHost: api.scaleway.com:443\r\n\r\n").await;
    assert_closed(&mut stream).await;
    assert_eq!(scene.gateway.counts().failed_handshakes, 1);
}

/// A gateway with a request under way: its answer comes when the sender says so.
async fn busy(config: Config) -> (Scene, oneshot::Sender<()>, tokio::task::JoinHandle<reqwest::Result<String>>) {
    let (finish, finished) = oneshot::channel::<()>();
    let (arrive, arrived) = oneshot::channel::<()>();
    let once = parking_lot::Mutex::new(Some((arrive, finished)));
    let scene = Scene::answering(config, move |_, _| {
        let (arrive, finished) = once.lock().take().unwrap();
        async move {
            arrive.send(()).unwrap();
            let _ = finished.await;
            Response::new(Body::from("finished"))
        }
    })
    .await;
    let client = scene.client();
    let request = tokio::spawn(async move { client.get("https://api.scaleway.com/").send().await?.text().await });
    arrived.await.unwrap();
    (scene, finish, request)
}

#[tokio::test]
async fn stopping_lets_a_request_finish_and_takes_no_new_one() {
    let config = Config::default();
    let shutdown = config.shutdown.clone();
    let (scene, finish, request) = busy(config).await;
    let address = scene.gateway.address();
    shutdown.cancel();
    let stopped = tokio::spawn(scene.gateway.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    finish.send(()).unwrap();
    assert_eq!(request.await.unwrap().unwrap(), "finished");
    timeout(PATIENCE, stopped).await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_abandons_a_request_when_the_grace_is_over() {
    let (scene, _finish, request) = busy(Config { grace: Duration::from_millis(50), ..Config::default() }).await;
    timeout(PATIENCE, scene.gateway.stop()).await.unwrap();
    assert!(request.await.unwrap().is_err());
}

#[tokio::test]
async fn stopping_does_not_wait_for_idle_connections_and_tunnels() {
    let scene = Scene::new().await;
    let mut idle = scene.enter("api.scaleway.com").await;
    let port = echo_server().await;
    let (_, mut tunnel) = scene.send(&format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    let before = Instant::now();
    scene.gateway.stop().await;
    assert!(before.elapsed() < Config::default().grace);
    assert_closed(&mut idle).await;
    assert_closed(&mut tunnel).await;
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let directory = TempDir::new().unwrap();
    let authority = Arc::new(Authority::open(directory.path()).unwrap());
    let config = Config { listen: "0.0.0.0:0".parse().unwrap(), ..Config::default() };
    let refusal = Gateway::start(config, authority, handler(tell)).await.unwrap_err();
    assert_eq!(refusal.to_string(), "0.0.0.0:0 is not a loopback address: the gateway would be an open proxy");
}

/// Prints what the gateway adds to a request, against the same handler behind the plain listener:
/// `cargo test --release -p stackproof-cloud --test gateway -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a check"]
async fn what_the_gateway_costs() {
    const REQUESTS: usize = 3000;
    async fn time(client: &Client, url: &str) -> Duration {
        let before = Instant::now();
        told(client, url).await;
        before.elapsed()
    }
    fn median(times: &mut [Duration]) -> Duration {
        times.sort();
        times[times.len() / 2]
    }

    let stop = CancellationToken::new();
    let plain = listen("127.0.0.1:0".parse().unwrap(), stop.clone(), |request| tell(Service::Api, request).boxed());
    let direct_url = format!("http://{}/", plain.await.unwrap());
    let _stop = stop.drop_guard();
    let scene = Scene::new().await;
    let through_client = scene.client();
    let direct_client = Client::builder().no_proxy().build().unwrap();
    for round in 1..=3 {
        // Turn by turn, so that what else the machine does hits both alike.
        let (mut direct, mut through) = (Vec::new(), Vec::new());
        for _ in 0..REQUESTS {
            direct.push(time(&direct_client, &direct_url).await);
            through.push(time(&through_client, "https://api.scaleway.com/").await);
        }
        let (direct, through) = (median(&mut direct), median(&mut through));
        println!("round {round}: direct {direct:?}, through the gateway {through:?} (medians of {REQUESTS})");
    }

    let mut opening = Vec::new();
    for n in 0..200 {
        let client = scene.client();
        opening.push(time(&client, &format!("https://b{n}.s3.fr-par.scw.cloud/")).await);
    }
    println!("first request to a new host, certificate and handshake included: {:?}", median(&mut opening));
}

/// A client without a proxy, for which these names are where the gateway takes direct connections.
fn direct_client(scene: &Scene, names: &[&str]) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = Certificate::from_pem(scene.authority.certificate_pem().as_bytes()).unwrap();
    let client = Client::builder().no_proxy().tls_certs_only([root]);
    names.iter().fold(client, |client, name| client.resolve(name, scene.gateway.direct())).build().unwrap()
}

#[tokio::test]
async fn who_uses_no_proxy_finds_scaleways_hosts_with_certificates_and_without() {
    let scene = Scene::new().await;
    let names = ["api.scaleway.com", "photos.s3.fr-par.scw.cloud", "grafana.cockpit.fr-par.scw.cloud"];
    let client = direct_client(&scene, &names);
    let port = scene.gateway.direct().port();
    let api = told(&client, &format!("https://api.scaleway.com:{port}/vpc/v2/x?y=%2F")).await;
    assert_eq!((&api["service"], &api["request"]), (&json!("Api"), &json!("GET /vpc/v2/x?y=%2F")));
    let bucket = told(&client, &format!("https://photos.s3.fr-par.scw.cloud:{port}/a")).await;
    assert_eq!(bucket["service"], "ObjectStorage { region: FrPar, bucket: Some(\"photos\") }");
    let plain = told(&client, &format!("http://photos.s3.fr-par.scw.cloud:{port}/a")).await;
    assert_eq!(plain["service"], bucket["service"]);
    let nobody = client.get(format!("https://grafana.cockpit.fr-par.scw.cloud:{port}/")).send().await.unwrap();
    assert_eq!(nobody.status(), 501);
    assert_eq!(scene.gateway.counts().requests, 3);
}

#[tokio::test]
async fn who_uses_no_proxy_is_led_nowhere_else() {
    let scene = Scene::new().await;
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = target.local_addr().unwrap();
    for (head, status) in [
        (format!("CONNECT {at} HTTP/1.1\r\nhost: {at}\r\n\r\n"), "405"),
        (format!("GET http://{at}/ HTTP/1.1\r\nhost: {at}\r\n\r\n"), "421"),
        (format!("GET / HTTP/1.1\r\nhost: {at}\r\n\r\n"), "421"),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), "400"),
    ] {
        let mut stream = TcpStream::connect(scene.gateway.direct()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_head(&mut stream).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{head:?}: {answer}");
    }
    let client = direct_client(&scene, &["example.com"]);
    let refused = client.get(format!("https://example.com:{}/", scene.gateway.direct().port())).send().await;
    assert!(refused.is_err(), "another host has a certificate");
    let counts = scene.gateway.counts();
    assert_eq!((counts.requests, counts.foreign, counts.failed_handshakes), (0, 0, 1));
    assert!(target.accept().now_or_never().is_none(), "something was connected");
}

#[tokio::test]
async fn who_leaves_without_a_word_is_no_failed_handshake() {
    let scene = Scene::new().await;
    let mut stream = TcpStream::connect(scene.gateway.direct()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_closed(&mut stream).await;
    assert_eq!(scene.gateway.counts().failed_handshakes, 0);
}

//! Late writes: of a holder that was held up, paused, or is wrong about its lease.

use std::{
    process::Stdio,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rstest::rstest;
use stackproof_state::{
    bucket::{Condition, Error, Writer},
    checkpoint::{Checkpoint, Compression, existing},
    gateway::{Gateway, Leased, stamp},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
};

use crate::fixture::{Ground, Place, bucket, key, lease, stack, state, through};

/// The head of a write of `length` bytes, which waits for `100 Continue` before its content.
fn head(gateway: &Gateway, length: usize) -> String {
    let (id, secret) = gateway.key();
    let identity = Credentials::new(id, secret, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("fr-par")
        .name("s3")
        .time(time::OffsetDateTime::now_utc().into())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let url = format!("http://{}/state/{}", gateway.address(), key());
    let request = SignableRequest::new("PUT", url, std::iter::empty(), SignableBody::UnsignedPayload).unwrap();
    let (signed, _) = sign(request, &params).unwrap().into_parts();
    let lines: String = signed.headers().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!(
        "PUT /state/{} HTTP/1.1\r\nhost: {}\r\n{lines}content-length: {length}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        key(),
        gateway.address()
    )
}

#[tokio::test]
async fn a_write_held_up_until_the_lease_ran_out_is_refused() {
    let ground = Ground::local().await;
    ground.write(Compression::None, &state(&[])).await;
    let (lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let mut run = TcpStream::connect(gateway.address()).await.unwrap();

    // The write was let in while the lease was held, and is on its way through the gateway …
    run.write_all(head(&gateway, 4).as_bytes()).await.unwrap();
    let mut lines = BufReader::new(&mut run);
    let mut first = String::new();
    lines.read_line(&mut first).await.unwrap();
    assert_eq!(first, "HTTP/1.1 100 Continue\r\n");
    run.write_all(b"la").await.unwrap();
    // … when it is lost.
    lease.send_replace(Some(Instant::now()));
    run.write_all(b"te").await.unwrap();

    let mut answer = String::new();
    run.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.contains("403 Forbidden") && answer.contains("stackproof: the lease of this run is lost"),
        "{answer}"
    );
    assert_eq!(ground.content().await.unwrap(), state(&[]).to_string());
    let log = gateway.close().await;
    assert_eq!((log.writes, log.refused, log.requests[0].refused), (0, 1, Some("lease lost")));
}

#[tokio::test]
async fn a_write_that_hangs_at_the_bucket_is_given_up_when_the_lease_runs_out() {
    let ground = Ground::local().await;
    let (lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    lease.send_replace(Some(Instant::now() + Duration::from_secs(2)));
    ground.faults.swallow.store(1, Ordering::SeqCst);
    let write = |content: &'static str| {
        let run = through(&gateway);
        tokio::spawn(async move { run.put(&key(), content.into(), &Condition::Always).await })
    };
    let hanging = write("late");
    ground.faults.swallowed.notified().await;
    let behind = write("later");

    for write in [hanging, behind] {
        let error = write.await.unwrap().unwrap_err();
        assert!(error.to_string().contains("the lease of this run is lost"), "{error}");
    }
    assert!(ground.content().await.is_none());
    gateway.close().await;
}

#[tokio::test]
async fn whoever_writes_beside_the_gateway_asks_the_lease_too() {
    let ground = Ground::local().await;
    let (lease, permission) = lease();
    let writer = Leased::new(ground.bucket.clone(), permission);
    writer.put("k", "one".into(), &Condition::Absent).await.unwrap();
    lease.send_replace(None);
    let error = writer.put("k", "two".into(), &Condition::Always).await.unwrap_err();
    assert!(matches!(error, Error::NotHeld { .. }) && error.next().contains("lock status"), "{error}");
    assert!(writer.delete("k").await.is_err());
    assert_eq!(ground.bucket.get("k", None).await.unwrap().unwrap().content, "one");
}

#[rstest]
#[tokio::test]
async fn a_stamp_makes_the_same_state_a_new_one(
    #[values(Place::Local, Place::Minio)] place: Place,
    #[values(Compression::None, Compression::Gzip, Compression::Zstd)] form: Compression,
) {
    let Some(ground) = Ground::at(place).await else { return };
    let (_lease, permission) = lease();
    let writer = Leased::new(ground.bucket.clone(), permission);
    assert!(stamp(&ground.bucket, &writer, &stack()).await.unwrap().is_empty(), "nothing is there");
    ground.write(form, &state(&["a"])).await;

    let once = stamp(&ground.bucket, &writer, &stack()).await.unwrap();
    let twice = stamp(&ground.bucket, &writer, &stack()).await.unwrap();

    assert_eq!(once[0].key, stack().checkpoint(form));
    assert_eq!(once[0].after, twice[0].before);
    assert!(![&once[0].before, &once[0].after].contains(&&twice[0].after));
    let stored = existing(&ground.bucket, &stack()).await.unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&stored.json).unwrap(), state(&["a"]));
    assert_eq!(Checkpoint::read(&stored.json).unwrap().resources().len(), 2);
    let late = ground.bucket.put(&once[0].key, "late".into(), &Condition::Is(once[0].before.clone())).await;
    assert!(matches!(late, Err(Error::Changed { .. })));
}

/// A gateway in a process of its own, which can be paused.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
    id: String,
    secret: String,
}

impl Process {
    /// Starts one, which holds a lease of an hour.
    async fn start(ground: &Ground) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fencing::gateway_process", "--ignored", "--nocapture"])
            .env("STATE_TEST_ENDPOINT", &ground.endpoint)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = loop {
            let line = lines.next_line().await.unwrap().expect("the gateway's process ended");
            if let Some(told) = line.split_once("GATEWAY ").map(|(_, told)| told.to_owned()) {
                break told;
            }
        };
        let [address, id, secret] = told.split(' ').collect::<Vec<_>>().try_into().unwrap();
        Self { child, lines, address: address.into(), id: id.into(), secret: secret.into() }
    }

    /// Leaves it so much of its lease.
    async fn shorten(&mut self, lease: Duration) {
        let line = format!("{}\n", lease.as_millis());
        self.child.stdin.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
        self.says("SHORTENED").await;
    }

    async fn says(&mut self, word: &str) {
        while self.lines.next_line().await.unwrap().expect("the gateway's process ended") != word {}
    }

    async fn put(&self, content: &'static str) -> Result<(), Error> {
        let run = bucket(&format!("http://{}", self.address), "state", "", &self.id, &self.secret);
        run.put(&key(), content.into(), &Condition::Always).await.map(drop)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap());
        kill(pid, signal).unwrap();
    }

    /// Pauses it, until it is.
    async fn pause(&self) {
        self.signal(Signal::SIGSTOP);
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap());
        let stopped = tokio::task::spawn_blocking(move || {
            use nix::sys::wait::{Id, WaitPidFlag, waitid};
            waitid(Id::Pid(pid), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT)
        });
        stopped.await.unwrap().unwrap();
    }
}

#[tokio::test]
#[ignore = "the tests of paused processes start it"]
async fn gateway_process() {
    let endpoint = std::env::var("STATE_TEST_ENDPOINT").expect("started by another test");
    let (lease, permission) = lease();
    let own = bucket(&endpoint, "state", "", "SCWOWNER000000000000", "owner-secret");
    let gateway = Gateway::open(own, &[stack()], permission).await.unwrap();
    let (id, secret) = gateway.key();
    println!("GATEWAY {} {id} {secret}", gateway.address());
    let mut superseded = gateway.superseded();
    let told = async {
        superseded.wait_for(Option::is_some).await.unwrap();
        println!("SUPERSEDED");
        std::future::pending().await
    };
    let heard = async {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            lease.send_replace(Some(Instant::now() + Duration::from_millis(line.parse().unwrap())));
            println!("SHORTENED");
        }
    };
    tokio::select! { () = told => {}, () = heard => {} }
}

#[rstest]
#[tokio::test]
async fn a_holder_paused_beyond_its_lease_writes_nothing_when_it_goes_on(
    #[values(Place::Local, Place::Minio)] place: Place,
) {
    let Some(ground) = Ground::at(place).await else { return };
    let mut first = Process::start(&ground).await;
    first.put("first").await.unwrap();

    let rest = Duration::from_millis(500);
    first.shorten(rest).await;
    let ended = Instant::now() + rest;
    first.pause().await;
    let late = first.put("late");
    let goes_on = async {
        tokio::time::sleep_until(ended.into()).await;
        first.signal(Signal::SIGCONT);
    };
    let (late, ()) = tokio::join!(late, goes_on);

    let error = late.unwrap_err();
    assert!(error.to_string().contains("the lease of this run is lost"), "{error}");
    assert_eq!(ground.content().await.unwrap(), "first");
}

/// The worst case: the former holder is sure of its lease (its clock stood still, say), and its write has passed all
/// that it checks itself. Then the bucket refuses.
#[rstest]
#[tokio::test]
async fn a_holder_that_is_wrong_about_its_lease_is_refused_by_the_bucket(
    #[values(Place::Local, Place::Minio)] place: Place,
) {
    let Some(ground) = Ground::at(place).await else { return };
    let first = state(&["first"]).to_string();
    let mut paused = Process::start(&ground).await;
    ground.bucket.put(&key(), "not a word".into(), &Condition::Always).await.unwrap();
    assert!(paused.put("x").await.is_err(), "what was not there when it was opened is not its own");
    drop(paused);
    ground.bucket.put(&key(), first.clone().into(), &Condition::Always).await.unwrap();
    paused = Process::start(&ground).await;
    paused.put("{\"version\":3,\"checkpoint\":{\"stack\":\"s\"}}").await.unwrap();

    paused.pause().await;
    let late = paused.put("late");
    let succession = async {
        let (_lease, permission) = lease();
        let writer = Leased::new(ground.bucket.clone(), permission);
        let stamped = stamp(&ground.bucket, &writer, &stack()).await.unwrap();
        assert_eq!(stamped.len(), 1);
        let before = ground.content().await.unwrap();
        paused.signal(Signal::SIGCONT);
        before
    };
    let (late, before) = tokio::join!(late, succession);

    let error = late.unwrap_err();
    assert!(error.to_string().contains("somebody else changed"), "{error}");
    assert_eq!(ground.content().await.unwrap(), before, "nothing of it reached the checkpoint");
    // It is told, so that its supervisor ends the run.
    paused.says("SUPERSEDED").await;
    // And its successor goes on from what is there.
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    through(&gateway).put(&key(), "second".into(), &Condition::Always).await.unwrap();
    assert!(paused.put("later").await.is_err());
    assert_eq!(ground.content().await.unwrap(), "second");
}

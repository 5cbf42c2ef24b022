//! Services: as many containers as are needed, and what they say when they cannot be.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use common::{image, namespaces, network, vpc};
use serde_json::json;
use stackproof_planes::{
    containers::{
        Check, Connection, DialError, Health, Image, Limits, Places, Runtime, ScaleBy, Service, ServiceSpec,
        ServiceState, ServiceStatus, Unattached,
    },
    network::{self as networks, Attachment, Driver, Fabric, Member, MemberSpec},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

const PATIENCE: Duration = Duration::from_secs(30);

struct Rig {
    folder: tempfile::TempDir,
    runtime: Arc<Runtime>,
    image: Image,
    fabric: Arc<Fabric>,
}

async fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let (runtime, image) = image::runtime(folder.path(), json!({})).await;
    Rig { folder, runtime, image, fabric: Arc::new(Fabric::new(Driver::Namespaces)) }
}

impl Rig {
    fn spec(&self) -> ServiceSpec {
        ServiceSpec {
            id: "web".to_owned(),
            image: self.image.digest.clone(),
            command: Vec::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            port: 8080,
            min: 1,
            max: 1,
            concurrency: 10,
            scale_by: ScaleBy::Requests,
            limits: Limits::default(),
            health: None,
            startup: None,
            start_within: Duration::from_secs(20),
            idle: Duration::from_millis(300),
            spare: Duration::from_millis(300),
            grace: Duration::from_secs(5),
        }
    }

    fn start(&self, spec: ServiceSpec) -> Service {
        Service::start(self.runtime.clone(), Arc::new(Unattached(Arc::clone(&self.fabric))), spec)
    }

    /// Stops a service; nothing may be left of it.
    async fn end(&self, service: Service) {
        service.stop().await;
        assert_eq!(service.status().borrow().state, ServiceState::Stopped);
        assert_eq!(service.dial().await.map(drop).unwrap_err(), DialError::Stopped);
        assert_eq!(std::fs::read_dir(self.folder.path().join("runtime/running")).unwrap().count(), 0);
    }
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A look at the port.
fn probe(milliseconds: u64, failures: u32) -> Health {
    let interval = Duration::from_millis(milliseconds);
    Health { check: Check::Tcp, interval, timeout: Duration::from_secs(1), failures }
}

fn args(args: &[&str]) -> Vec<String> {
    args.iter().map(|&arg| arg.to_owned()).collect()
}

async fn reached(service: &Service, what: impl FnMut(&ServiceStatus) -> bool) -> ServiceStatus {
    let mut status = service.status();
    let found = tokio::time::timeout(PATIENCE, status.wait_for(what)).await;
    found.unwrap_or_else(|_| panic!("it stays {:?}", service.status().borrow())).unwrap().clone()
}

/// Asks over a connection; the request has ended when this has.
async fn over(connection: Connection, path: &str) -> std::io::Result<String> {
    let Connection { mut stream, request: _request, container: _container, .. } = connection;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("no answer"))?;
    Ok(body.to_owned())
}

async fn ask(service: &Service, path: &str) -> String {
    over(service.dial().await.unwrap(), path).await.unwrap()
}

/// Makes its container end; there is no answer.
async fn crash(service: &Service) {
    over(service.dial().await.unwrap(), "/crash").await.unwrap_err();
}

fn message(status: &ServiceStatus) -> String {
    match &status.state {
        ServiceState::Error { message } => message.clone(),
        other => panic!("no error: {other:?}"),
    }
}

#[tokio::test]
async fn what_nobody_asks_sleeps_and_wakes_for_the_first_who_does() {
    namespaces!();
    let rig = rig().await;
    let service = rig.start(ServiceSpec { min: 0, ..rig.spec() });
    assert_eq!(service.settled().await.state, ServiceState::Ready, "it is shown to run once");
    let asleep = reached(&service, |status| status.running == 0).await;
    assert_eq!(asleep.state, ServiceState::Ready, "it is ready for requests while none runs");
    assert!(service.containers().is_empty());

    let cold = service.dial().await.unwrap();
    println!("a cold start took {:?}", cold.waited);
    let (first, cold_for) = (cold.container.id().to_owned(), cold.waited);
    assert_eq!(over(cold, "/health").await.unwrap(), "well");
    let warm = service.dial().await.unwrap();
    println!("a warm one {:?}", warm.waited);
    assert_eq!(warm.container.id(), first);
    assert!(warm.waited < cold_for);
    // Who is at work is not put to sleep, however long it takes.
    assert_eq!(over(warm, "/slow?900").await.unwrap(), "slow");
    assert_eq!(service.containers().len(), 1);
    assert!(service.containers()[0].usage().unwrap().memory > 0);
    assert!(service.logs().lines().iter().any(|line| line.container == first && line.text == "listening on 8080"));
    reached(&service, |status| status.running == 0).await;
    rig.end(service).await;
}

#[tokio::test]
async fn there_are_as_many_as_requests_need_and_no_more_than_may_be() {
    namespaces!();
    let rig = rig().await;
    let spec = ServiceSpec { max: 3, concurrency: 2, ..rig.spec() };
    let service = Arc::new(rig.start(spec.clone()));
    assert_eq!(service.settled().await.ready, 1);
    let dialled = futures::future::join_all((0..6).map(|_| service.dial())).await;
    let mut held: Vec<_> = dialled.into_iter().map(Result::unwrap).collect();
    let full = reached(&service, |status| status.ready == 3).await;
    assert_eq!((full.running, full.requests), (3, 6));
    let mut each: BTreeMap<_, u32> = BTreeMap::new();
    held.iter().for_each(|one| *each.entry(one.container.id().to_owned()).or_default() += 1);
    assert_eq!(each.into_values().collect::<Vec<_>>(), [2, 2, 2]);

    let short = Duration::from_millis(300);
    service.update(ServiceSpec { start_within: short, ..spec.clone() });
    assert_eq!(service.dial().await.map(drop).unwrap_err(), DialError::Busy(short));
    assert_eq!(service.status().borrow().running, 3);
    service.update(spec);
    assert_eq!(service.status().borrow().deployment, 1, "nothing of the containers changed");
    let waits = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.dial().await.unwrap() }
    });
    drop(held.pop());
    held.push(tokio::time::timeout(PATIENCE, waits).await.expect("the room was not given on").unwrap());
    assert_eq!(service.status().borrow().requests, 6);
    drop(held);
    reached(&service, |status| status.running == 1).await;
    rig.end(Arc::into_inner(service).unwrap()).await;
}

#[tokio::test]
async fn what_crashes_comes_back_after_longer_and_longer_pauses() {
    namespaces!();
    let rig = rig().await;
    let service = rig.start(rig.spec());
    assert_eq!(service.settled().await.state, ServiceState::Ready);
    let mut seen = BTreeSet::new();
    for pause in [200, 400, 800].map(Duration::from_millis) {
        assert!(seen.insert(service.containers()[0].id().to_owned()), "it is the same one");
        let began = Instant::now();
        crash(&service).await;
        let failed = reached(&service, |status| status.state != ServiceState::Ready).await;
        assert_eq!(message(&failed), "the container does not run: it ended with code 7");
        reached(&service, |status| status.state == ServiceState::Ready).await;
        let back = began.elapsed();
        println!("back after {back:?}, {pause:?} of which are a pause");
        assert!(back >= pause, "back after {back:?}");
        assert_eq!(ask(&service, "/health").await, "well");
    }
    rig.end(service).await;
}

#[tokio::test]
async fn what_crashes_and_may_sleep_is_there_for_who_asks_after_the_pause() {
    namespaces!();
    let rig = rig().await;
    let service = rig.start(ServiceSpec { min: 0, idle: Duration::from_secs(60), ..rig.spec() });
    service.settled().await;
    crash(&service).await;
    reached(&service, |status| status.state != ServiceState::Ready).await;
    let refused = service.dial().await.map(drop).unwrap_err();
    assert_eq!(refused, DialError::Failed("the container does not run: it ended with code 7".to_owned()));
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let again = async {
        loop {
            looks.tick().await;
            match service.dial().await {
                Ok(connection) => return connection,
                Err(error) => assert!(matches!(error, DialError::Failed(_)), "{error}"),
            }
        }
    };
    let again = tokio::time::timeout(PATIENCE, again).await.expect("it never comes back");
    assert_eq!(over(again, "/health").await.unwrap(), "well");
    assert_eq!(service.status().borrow().state, ServiceState::Ready);
    rig.end(service).await;
}

/// Where a cloud's clock is advanced by hand, nobody waits a quarter of an hour to see it.
#[tokio::test]
async fn what_nobody_used_for_time_that_passed_at_once_is_stopped() {
    namespaces!();
    let rig = rig().await;
    let service = rig.start(ServiceSpec { min: 0, idle: Duration::from_secs(900), ..rig.spec() });
    assert_eq!(service.settled().await.ready, 1);
    service.pass(Duration::from_secs(500));
    let connection = service.dial().await.unwrap();
    service.pass(Duration::from_secs(1000));
    // It has been in use all that time, and is as new from then on.
    assert_eq!(over(connection, "/health").await.unwrap(), "well");
    service.pass(Duration::from_secs(600));
    assert_eq!(service.status().borrow().ready, 1);
    service.pass(Duration::from_secs(400));
    reached(&service, |status| status.running == 0).await;
    assert_eq!(service.status().borrow().state, ServiceState::Ready);
    rig.end(service).await;
}

/// As where a stack's containers are all made at once.
#[tokio::test]
async fn an_image_that_many_want_at_once_is_unpacked_for_all_of_them() {
    namespaces!();
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let manifest = image::lay(&layout, json!({}));
    let runtime = Runtime::open(&folder.path().join("runtime"), image::helper()).await.unwrap();
    let blobs = Arc::new(stackproof_planes::containers::Folder(layout));
    let wanted = (0..8).map(|_| runtime.add(manifest.clone(), Arc::clone(&blobs) as _));
    let images = futures::future::join_all(wanted).await;
    assert!(images.iter().all(|image| image.is_ok()), "{images:?}");
    assert_eq!(std::fs::read_dir(folder.path().join("runtime/images")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_closed_runtime_has_ended_everything_and_starts_nothing() {
    namespaces!();
    let rig = rig().await;
    let service = rig.start(ServiceSpec { min: 2, max: 2, ..rig.spec() });
    reached(&service, |status| status.ready == 2).await;
    rig.runtime.close().await.unwrap();
    assert_eq!(std::fs::read_dir(rig.folder.path().join("runtime/running")).unwrap().count(), 0);
    let why = ServiceState::Error { message: "the containers have been stopped".to_owned() };
    reached(&service, |status| status.state == why).await;
    rig.end(service).await;
}

#[tokio::test]
async fn what_never_runs_says_why_and_can_be_put_right() {
    namespaces!();
    let rig = rig().await;
    let spec = ServiceSpec { args: args(&["exit", "3"]), ..rig.spec() };
    let service = rig.start(spec.clone());
    let why = "the container does not run: it ended with code 3";
    assert_eq!(message(&service.settled().await), why);
    assert_eq!(service.dial().await.map(drop).unwrap_err(), DialError::Failed(why.to_owned()));

    service.update(ServiceSpec { command: args(&["not-there"]), ..spec.clone() });
    assert_eq!(message(&service.settled().await), "exec not found: \"not-there\" is not in the image");
    let unknown = format!("sha256:{}", "0".repeat(64));
    service.update(ServiceSpec { image: unknown.clone(), ..spec.clone() });
    assert_eq!(message(&service.settled().await), format!("image: {unknown} is not here"));
    let within = Duration::from_millis(500);
    let short = ServiceSpec { args: Vec::new(), start_within: within, ..spec.clone() };
    service.update(ServiceSpec { env: env(&[("LISTEN", "9090")]), ..short.clone() });
    assert_eq!(message(&service.settled().await), "not listening on port 8080 within 500ms");
    service.update(ServiceSpec { args: args(&["serve", "127.0.0.1"]), ..short });
    assert_eq!(message(&service.settled().await), "listening on port 8080 of 127.0.0.1 only: listen on 0.0.0.0");
    let limits = Limits { memory: Some(48 << 20), ..Limits::default() };
    service.update(ServiceSpec { args: args(&["eat"]), limits, ..spec.clone() });
    assert_eq!(message(&service.settled().await), "the container does not run: it was killed: out of memory");

    service.update(ServiceSpec { args: Vec::new(), ..spec });
    let settled = service.settled().await;
    assert_eq!((settled.state, settled.deployment), (ServiceState::Ready, 7));
    assert_eq!(ask(&service, "/health").await, "well");
    rig.end(service).await;
}

#[tokio::test]
async fn a_new_deployment_takes_over_without_losing_a_request() {
    namespaces!();
    let rig = rig().await;
    let spec = |version: &str| ServiceSpec { env: env(&[("VERSION", version)]), ..rig.spec() };
    let service = Arc::new(rig.start(spec("1")));
    service.settled().await;
    let slow = tokio::spawn({
        let connection = service.dial().await.unwrap();
        over(connection, "/slow?1500")
    });
    let done = CancellationToken::new();
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (service, done) = (Arc::clone(&service), done.clone());
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !done.is_cancelled() {
                    answers.push(ask(&service, "/version").await);
                }
                answers
            })
        })
        .collect();
    service.update(spec("2"));
    let settled = service.settled().await;
    assert_eq!((settled.state, settled.deployment), (ServiceState::Ready, 2));
    assert_eq!(ask(&service, "/version").await, "2", "who has come to run takes the requests");
    assert_eq!(slow.await.unwrap().unwrap(), "slow", "what was under way was ended");
    reached(&service, |status| status.running == 1).await;
    done.cancel();
    let mut count = 0;
    for one in load {
        let answers = tokio::time::timeout(PATIENCE, one).await.unwrap().expect("a request was lost");
        assert!(answers.is_sorted(), "the old one came back");
        assert_eq!((answers.first().unwrap().as_str(), answers.last().unwrap().as_str()), ("1", "2"));
        count += answers.len();
    }
    println!("{count} requests during a deployment, none lost");

    let before = service.containers()[0].id().to_owned();
    service.redeploy();
    assert_eq!(service.settled().await.deployment, 3);
    assert_ne!(service.containers().iter().find(|one| one.id() != before).map(|one| one.id().to_owned()), None);
    // One that does not come to run leaves the one before at work.
    service.update(ServiceSpec { args: args(&["exit", "1"]), ..spec("4") });
    assert_eq!(message(&service.settled().await), "the container does not run: it ended with code 1");
    assert_eq!(ask(&service, "/version").await, "2");
    rig.end(Arc::into_inner(service).unwrap()).await;
}

#[tokio::test]
async fn what_is_not_well_any_more_is_replaced() {
    namespaces!();
    let rig = rig().await;
    let check = Check::Http { path: "/health".to_owned() };
    let health = Some(Health { check, ..probe(100, 2) });
    let service = rig.start(ServiceSpec { health, ..rig.spec() });
    assert_eq!(service.settled().await.state, ServiceState::Ready);
    let sick = service.containers()[0].id().to_owned();
    assert_eq!(ask(&service, "/sicken").await, "Ok(())");
    let failed = reached(&service, |status| status.state != ServiceState::Ready).await;
    assert_eq!(message(&failed), "health check failed: GET /health answered 500 Internal Server Error");
    reached(&service, |status| status.state == ServiceState::Ready).await;
    assert_ne!(service.containers()[0].id(), sick);
    rig.end(service).await;
}

#[tokio::test]
async fn a_stop_lets_requests_end_first() {
    namespaces!();
    let rig = rig().await;
    let service = rig.start(rig.spec());
    service.settled().await;
    let slow = tokio::spawn(over(service.dial().await.unwrap(), "/slow?700"));
    rig.end(service).await;
    assert_eq!(slow.await.unwrap().unwrap(), "slow");
    // One that takes too long is not waited for.
    let service = rig.start(ServiceSpec { id: "hasty".to_owned(), grace: Duration::from_millis(200), ..rig.spec() });
    service.settled().await;
    let slow = tokio::spawn(over(service.dial().await.unwrap(), "/slow?60000"));
    let began = Instant::now();
    rig.end(service).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    slow.await.unwrap().unwrap_err();
}

/// Containers that are in a private network as well.
struct Attached(Arc<Fabric>);

#[async_trait::async_trait]
impl Places for Attached {
    async fn take(&self, container: &str) -> networks::Result<Arc<Member>> {
        let at = Attachment { network: "left".to_owned(), addresses: vec!["10.0.0.9".parse().unwrap()] };
        self.0.set_member(MemberSpec { id: container.to_owned(), attachments: vec![at], doors: true }).await
    }

    async fn give_back(&self, container: &str) -> networks::Result<()> {
        self.0.remove_member(container).await
    }
}

#[tokio::test]
async fn only_an_attached_one_reaches_what_is_in_the_private_network() {
    namespaces!();
    let rig = rig().await;
    rig.fabric.set_vpc(vpc("one", false)).await.unwrap();
    rig.fabric.set_network(network("left", "one", &[("10.0.0.0/24", "10.0.0.1")])).await.unwrap();
    let at = Attachment { network: "left".to_owned(), addresses: vec!["10.0.0.3".parse().unwrap()] };
    let spec = MemberSpec { id: "db".to_owned(), attachments: vec![at], doors: false };
    let database = rig.fabric.set_member(spec).await.unwrap();
    let listener = database.place.listen("10.0.0.3:5432".parse().unwrap()).await.unwrap();
    let _takes = AbortOnDropHandle::new(tokio::spawn(async move { while listener.accept().await.is_ok() {} }));

    let attached = Arc::new(Attached(Arc::clone(&rig.fabric)));
    let inside = Service::start(rig.runtime.clone(), attached, rig.spec());
    let outside = rig.start(ServiceSpec { id: "outside".to_owned(), ..rig.spec() });
    for service in [&inside, &outside] {
        assert_eq!(service.settled().await.state, ServiceState::Ready);
    }
    assert_eq!(ask(&inside, "/get?10.0.0.3:5432").await, "connected");
    assert_eq!(ask(&outside, "/get?10.0.0.3:5432").await, "NetworkUnreachable");
    outside.stop().await;
    rig.end(inside).await;
    rig.fabric.remove_member("db").await.unwrap();
    rig.fabric.remove_network("left").await.expect("a container's place was not given back");
}

#[tokio::test]
async fn what_takes_long_to_start_is_given_the_time_of_its_startup_check() {
    namespaces!();
    let rig = rig().await;
    let check = Check::Http { path: "/health".to_owned() };
    let slow =
        ServiceSpec { env: env(&[("START_AFTER_MS", "1200")]), start_within: Duration::from_millis(100), ..rig.spec() };
    let service = rig.start(ServiceSpec { startup: Some(probe(100, 3)), ..slow.clone() });
    assert_eq!(message(&service.settled().await), "not listening on port 8080 within 300ms");
    service.update(ServiceSpec { startup: Some(Health { check, ..probe(500, 20) }), ..slow.clone() });
    assert_eq!(service.settled().await.state, ServiceState::Ready);
    let wrong = Check::Http { path: "/nowhere".to_owned() };
    service.update(ServiceSpec { startup: Some(Health { check: wrong, ..probe(1000, 2) }), ..slow });
    let why = "startup check failed for 2s: GET /nowhere answered 404 Not Found";
    assert_eq!(message(&service.settled().await), why);
    rig.end(service).await;
}

#[tokio::test]
async fn what_is_busy_gets_company_and_loses_it_when_it_rests() {
    namespaces!();
    let rig = rig().await;
    let limits = Limits { cpu: Some(200), ..Limits::default() };
    let spec = ServiceSpec { min: 0, max: 2, concurrency: 100, scale_by: ScaleBy::Cpu(50), limits, ..rig.spec() };
    let service = rig.start(ServiceSpec { spare: Duration::from_secs(2), ..spec });
    service.settled().await;
    let busy = tokio::spawn(over(service.dial().await.unwrap(), "/spin?4000"));
    reached(&service, |status| status.ready == 2).await;
    assert_eq!(busy.await.unwrap().unwrap(), "spun");
    reached(&service, |status| status.running == 1).await;
    assert!(service.usage().cpu > Duration::from_millis(400), "{:?}", service.usage());
    // What is measured has to run.
    service.pass(Duration::from_secs(3600));
    assert_eq!(service.status().borrow().running, 1);
    rig.end(service).await;
}

#[tokio::test]
async fn what_needs_memory_gets_company() {
    namespaces!();
    let rig = rig().await;
    let limits = Limits { memory: Some(128 << 20), ..Limits::default() };
    let spec = ServiceSpec { max: 3, concurrency: 100, scale_by: ScaleBy::Memory(40), limits, ..rig.spec() };
    let service = rig.start(spec);
    service.settled().await;
    assert_eq!(ask(&service, "/eat?80").await, "ate");
    reached(&service, |status| status.ready >= 2).await;
    rig.end(service).await;
}

#[tokio::test]
async fn what_writes_more_files_than_it_may_is_ended() {
    namespaces!();
    let rig = rig().await;
    let limits = Limits { storage: Some(8 << 20), ..Limits::default() };
    let service = rig.start(ServiceSpec { limits, ..rig.spec() });
    service.settled().await;
    assert_eq!(ask(&service, "/write?4").await, "wrote");
    let first = service.containers()[0].id().to_owned();
    assert_eq!(ask(&service, "/write?9").await, "wrote");
    let failed = message(&reached(&service, |status| status.state != ServiceState::Ready).await);
    assert!(failed.contains("bytes of local storage in use, its limit is 8388608"), "{failed}");
    reached(&service, |status| status.state == ServiceState::Ready).await;
    assert_ne!(service.containers()[0].id(), first);
    assert_eq!(service.usage().lost, 1);
    rig.end(service).await;
}

#[tokio::test]
async fn time_that_passes_elsewhere_puts_to_sleep_what_nobody_asks() {
    namespaces!();
    let rig = rig().await;
    let quarter = Duration::from_secs(15 * 60);
    let service = rig.start(ServiceSpec { min: 0, idle: quarter, ..rig.spec() });
    assert_eq!(service.settled().await.ready, 1);
    service.pass(quarter - Duration::from_secs(60));
    let under_way = service.dial().await.unwrap();
    service.pass(quarter * 2);
    assert_eq!(over(under_way, "/health").await.unwrap(), "well", "who is at work is not put to sleep");
    service.pass(quarter - Duration::from_secs(60));
    assert_eq!(service.status().borrow().running, 1, "it has been asked not long ago");
    service.pass(Duration::from_secs(60));
    reached(&service, |status| status.running == 0).await;
    rig.end(service).await;
}

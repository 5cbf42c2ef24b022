//! A local cloud leaves nothing: no process, network namespace, mount, control group, port or file, however it ends.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod traces;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use stackproof::{
    Failure, Progress,
    acceptance::TargetName,
    foundation,
    image::{self, Source},
    target::{Api, CloudHome, Login, Running, Stopped, Target},
};
use stackproof_cloud::{kernel::Profile, planes::Choice};
use traces::{Traces, entries, groups};

/// How many are made at once: more would only wait for processors.
const AT_ONCE: usize = 4;
/// The quota of database instances in a project.
const QUOTA: usize = 10;
/// How long anything may take to come, or to be gone.
const PATIENCE: Duration = Duration::from_secs(120);
const PASSWORD: &str = "Only-4-this-test";

/// A handful, with every run.
#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_leaves_nothing_however_it_ends() {
    leaves_nothing(3, 5).await;
}

/// As many as a large stack has; one of the long proofs (`stackproof accept --full`).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: a long proof"]
async fn thirty_databases_and_fifty_containers_leave_nothing() {
    leaves_nothing(30, 50).await;
}

async fn leaves_nothing(databases: usize, containers: usize) {
    let folder = tempfile::tempdir().unwrap();
    let home = CloudHome::at(folder.path()).unwrap();
    let _end = End(home.clone());
    let running = home.start(Profile::Instant, true, Choice::Automatic).await.unwrap();
    if let Some(missing) = running.control().unwrap().missing().await.unwrap().first() {
        assert!(
            std::env::var_os("STACKPROOF_NEEDS_NAMESPACES").is_none(),
            "STACKPROOF_NEEDS_NAMESPACES is set, and this machine cannot: {missing}"
        );
        println!("SKIPPED: {missing}");
        home.stop().await.unwrap();
        return;
    }
    let planes = home.planes_dir(true).unwrap();
    let look = |running: &Running| Traces::of(running.ready().pid.cast_signed(), &planes);

    // Given a cloud with databases and containers that all answer
    let began = Instant::now();
    let fleet = Fleet::create(&home, databases, containers).await.unwrap();
    let made = began.elapsed();
    fleet.answers(&home).await;
    let seen = look(&running);
    let (processes, namespaces, ports) = seen.count();
    println!(
        "{databases} databases and {containers} containers made in {:.1} s: {processes} processes, {namespaces} network \
         namespaces, {ports} ports, {} MB",
        made.as_secs_f64(),
        seen.memory >> 20
    );
    assert!(processes > databases + 2 * containers && namespaces > databases + containers, "not all of it was seen");
    let groups_each = groups(&fleet.containers).len();
    assert!(groups_each >= containers && groups_each.is_multiple_of(containers), "{groups_each} control groups");

    // When it is stopped, then nothing is left of it, at once
    let began = Instant::now();
    assert!(matches!(home.stop().await.unwrap(), Stopped::InOrder(_)));
    println!("stopped in {:.1} s", began.elapsed().as_secs_f64());
    nothing(&seen.after_the_end(&fleet.containers), "after a stop");

    // When the next one is killed and another one started, then all runs again, and nothing is left of the killed one
    let running = home.start(Profile::Instant, true, Choice::Automatic).await.unwrap();
    fleet.answers(&home).await;
    let killed = look(&running);
    kill(running.ready().pid);
    let began = Instant::now();
    let running = home.start(Profile::Instant, true, Choice::Automatic).await.unwrap();
    fleet.answers(&home).await;
    println!("killed, and all answered again after {:.1} s", began.elapsed().as_secs_f64());
    nothing(&killed.left(), "after a kill and the next start");
    assert_eq!(groups(&fleet.containers).len(), groups_each, "control groups after a kill and the next start");
    assert_eq!(entries(&planes.join("databases/instances")).len(), databases);

    // When that one is killed and stopped, then nothing is left of it either
    let killed = look(&running);
    kill(running.ready().pid);
    let began = Instant::now();
    assert_eq!(home.stop().await.unwrap(), Stopped::Swept);
    println!("swept in {:.1} s", began.elapsed().as_secs_f64());
    nothing(&killed.after_the_end(&fleet.containers), "after a kill and a stop");

    // When one in memory runs meanwhile, then it leaves nothing, and the kept databases are there after it
    home.start(Profile::Instant, false, Choice::Automatic).await.unwrap();
    kill(home.running().await.unwrap().ready().pid);
    assert_eq!(home.stop().await.unwrap(), Stopped::Swept);
    assert!(!home.planes_dir(false).unwrap().exists());
    assert_eq!(entries(&planes.join("databases/instances")).len(), databases);

    // When it is reset, then its files are gone as well
    home.reset().await.unwrap();
    assert!(!planes.exists());
}

fn nothing(left: &[String], when: &str) {
    assert!(left.is_empty(), "{} things are left {when}:\n{}", left.len(), left.join("\n"));
}

/// Ends the cloud where a test breaks off.
struct End(CloudHome);

impl Drop for End {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let home = self.0.clone();
        // A runtime of its own, which the one that panics cannot be.
        let ending = std::thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let stopped = home.stop().await;
                println!("the cloud is stopped: {stopped:?}, and reset: {:?}", home.reset().await);
            });
        });
        drop(ending.join());
    }
}

/// Kills a process as a power cut would.
fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

/// Databases and containers of a cloud.
struct Fleet {
    databases: Vec<String>,
    containers: Vec<String>,
    urls: Vec<String>,
}

impl Fleet {
    async fn create(home: &CloudHome, databases: usize, containers: usize) -> Result<Self, Failure> {
        let target = Target::running(TargetName::Local, home).await?;
        let api = target.api()?;
        let own = api.credentials().project_id.clone();
        let registry = json!({"name": "leaks", "project_id": own});
        make(&api, "registry/v1", "namespaces", registry).await?;
        let reference = foundation::reference(&target, "leaks", "app", "latest");
        let source = Source::of_program(&program())?;
        let image = image::push(&target, &source, &reference, &Progress::Silent).await?.to_string();

        let mut networks = Vec::new();
        for number in 0..databases.div_ceil(QUOTA) {
            let body = json!({"name": format!("leaks-{number}")});
            let project = api.send(Method::POST, "/account/v3/projects", Some(body)).await?.body["id"].clone();
            let network = json!({"project_id": project});
            networks.push((project, make(&api, "vpc/v2", "private-networks", network).await?["id"].clone()));
        }
        let database = async |number: usize| {
            let (project, network) = &networks[number / QUOTA];
            let private = json!({"private_network": {"private_network_id": network, "ipam_config": {}}});
            let body = json!({
                "project_id": project, "name": format!("db-{number}"), "engine": "PostgreSQL-15",
                "node_type": "db-dev-s", "user_name": "ada", "password": PASSWORD, "disable_backup": true,
                "init_endpoints": [private, {"load_balancer": {}}],
            });
            let made = make(&api, "rdb/v1", "instances", body).await?;
            assert_eq!(made["status"], "ready", "{made}");
            let right = json!({"database_name": "rdb", "user_name": "ada", "permission": "all"});
            let path = api.regional("rdb/v1", &format!("instances/{}/privileges", text(&made["id"])));
            assert_eq!(api.send(Method::PUT, &path, Some(right)).await?.status, 200);
            Ok::<_, Failure>(text(&made["id"]))
        };
        let databases = stream::iter(0..databases).map(&database).buffer_unordered(AT_ONCE).try_collect().await?;

        let network = &make(&api, "vpc/v2", "private-networks", json!({"project_id": own})).await?["id"];
        let namespace = &make(&api, "containers/v1", "namespaces", json!({"name": "leaks"})).await?["id"];
        let container = async |number: usize| {
            let body = json!({
                "namespace_id": namespace, "name": format!("c-{number}"), "image": image, "min_scale": 1,
                "max_scale": 1, "private_network_id": network, "memory_limit_bytes": 128_000_000,
            });
            let made = make(&api, "containers/v1", "containers", body).await?;
            assert_eq!(made["status"], "ready", "{made}");
            Ok::<_, Failure>((text(&made["id"]), text(&made["public_endpoint"])))
        };
        let made: Vec<_> = stream::iter(0..containers).map(&container).buffer_unordered(AT_ONCE).try_collect().await?;
        let (containers, urls) = made.into_iter().unzip();
        Ok(Self { databases, containers, urls })
    }

    /// Waits until every one of them answers.
    async fn answers(&self, home: &CloudHome) {
        let target = Target::running(TargetName::Gateway, home).await.unwrap();
        let (api, web) = (target.api().unwrap(), target.web().unwrap());
        let database = async |id: &str| {
            let rows = until(id, async || login(&api, id).await?.query("SELECT 1").await).await;
            assert_eq!(rows, [["1"]]);
        };
        let container = async |url: &str| {
            until(url, async || {
                let page = web.get(url).await?;
                if page.status == 200 { Ok(()) } else { Err(Failure::failed(page.text)) }
            })
            .await;
        };
        stream::iter(&self.databases).for_each_concurrent(AT_ONCE, |id| database(id.as_str())).await;
        stream::iter(&self.urls).for_each_concurrent(AT_ONCE, |url| container(url.as_str())).await;
    }
}

/// Asks until it is so; what was said last is told where it never is.
async fn until<T>(what: &str, ask: impl AsyncFn() -> Result<T, Failure>) -> T {
    let began = Instant::now();
    let mut again = tokio::time::interval(Duration::from_millis(100));
    loop {
        again.tick().await;
        match ask().await {
            Ok(answer) => return answer,
            Err(failure) => assert!(began.elapsed() < PATIENCE, "{what}: {failure}"),
        }
    }
}

/// A login to a database at its public endpoint.
async fn login(api: &Api, id: &str) -> Result<Login, Failure> {
    let path = api.regional("rdb/v1", &format!("instances/{id}"));
    let instance = api.get(&path).await?.body;
    let endpoints = instance["endpoints"].as_array().cloned().unwrap_or_default();
    let public = endpoints.into_iter().find(|endpoint| endpoint["load_balancer"].is_object()).unwrap_or_default();
    let certificate = api.get(&format!("{path}/certificate")).await?.body["content"].clone();
    Ok(Login {
        host: text(&public["ip"]),
        proxy: None,
        through: None,
        port: public["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default(),
        user: "ada".to_owned(),
        password: PASSWORD.to_owned(),
        database: "rdb".to_owned(),
        certificate: String::from_utf8(STANDARD.decode(text(&certificate)).unwrap()).unwrap(),
    })
}

async fn make(api: &Api, product: &str, kind: &str, body: Value) -> Result<Value, Failure> {
    let path = api.regional(product, kind);
    let answer = api.send(Method::POST, &path, Some(body)).await?;
    if answer.status == 200 {
        return Ok(answer.body);
    }
    Err(Failure::failed(format!("POST {path} answered {}", answer.status)).because(answer.body))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The containers' program, built once.
fn program() -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/leaks/answers.rs");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let built = folder.path().join("answers");
    let done = Command::new("rustc")
        .args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
        .args([&built, &source])
        .status()
        .unwrap();
    assert!(done.success(), "the containers' program was not built");
    std::fs::read(built).unwrap()
}

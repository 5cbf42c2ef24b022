//! What runs behind the API.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    Measured, Yardstick, median,
    subject::{PATIENCE, Subject, text},
};
use crate::{
    Failure, Progress, Workspace,
    acceptance::TargetName,
    foundation,
    image::{self, Source},
    target::{CloudHome, Login, Target, Web},
};

const DATABASES: usize = 3;
const COLD_STARTS: usize = 5;
const PUSHES: usize = 3;
/// The size of the image that is pushed, in bytes.
const IMAGE: usize = 50_000_000;
/// Longer than a container may be idle before it is stopped.
const IDLE: Duration = Duration::from_secs(16 * 60);
/// A password that a database takes; the database is gone when the measurement is.
const PASSWORD: &str = "Bench-only-1";

const DATABASE: &str = "managed database, from its creation to a query";
const COLD: &str = "first request to a container that was scaled to zero";
const PUSH: &str = "push of an image of 50 MB";

/// From the request that creates a PostgreSQL instance, and the one that lets its user into its database, to the answer
/// of a first query over TLS: the median of three.
/// One is made before, whose data folder becomes the template that all later ones of this user are copied from.
pub(super) async fn database(subject: &Subject) -> Result<Measured, Failure> {
    let yardstick = Yardstick::AtMost(1.0);
    if let Some(missing) = subject.missing().await? {
        return Ok(Measured::not_here("database", DATABASE, "s", missing).has_to_be(yardstick));
    }
    let mut took = Vec::new();
    for number in 0..=DATABASES {
        let began = Instant::now();
        let id = create_database(subject, number).await?;
        let api = subject.api()?;
        let path = api.regional("rdb/v1", &format!("instances/{id}"));
        let right = json!({"database_name": "rdb", "user_name": "bench", "permission": "all"});
        api.send(reqwest::Method::PUT, &format!("{path}/privileges"), Some(right)).await?;
        login(subject, &id).await?.query("SELECT 1").await?;
        took.push(began.elapsed().as_secs_f64());
        api.send(reqwest::Method::DELETE, &path, None).await?;
    }
    took.remove(0);
    Ok(Measured::new("database", DATABASE, "s", median(took)).has_to_be(yardstick))
}

async fn create_database(subject: &Subject, number: usize) -> Result<String, Failure> {
    let body = json!({
        "name": format!("bench-{number}"), "engine": "PostgreSQL-15", "node_type": "db-dev-s", "user_name": "bench",
        "password": PASSWORD, "disable_backup": true, "init_endpoints": [{"load_balancer": {}}],
    });
    let made = subject.make("rdb/v1", "instances", body).await?;
    if made["status"] == "ready" {
        return text(&made, "id");
    }
    Err(Failure::failed("a database did not become ready").because(made).next("stackproof doctor"))
}

async fn login(subject: &Subject, id: &str) -> Result<Login, Failure> {
    let api = subject.api()?;
    let path = api.regional("rdb/v1", &format!("instances/{id}"));
    let instance = api.get(&path).await?.body;
    let file = text(&api.get(&format!("{path}/certificate")).await?.body, "content")?;
    let certificate = STANDARD.decode(file).ok().and_then(|file| String::from_utf8(file).ok());
    let endpoint = &instance["endpoints"][0];
    Ok(Login {
        host: text(endpoint, "ip")?,
        proxy: None,
        through: None,
        port: endpoint["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default(),
        user: "bench".to_owned(),
        password: PASSWORD.to_owned(),
        database: "rdb".to_owned(),
        certificate: certificate.ok_or_else(|| Failure::failed("a database's certificate is no text"))?,
    })
}

/// The sample application in a container that may scale to zero: 16 minutes of the cloud's clock pass without a
/// request, and when no process is left, the next request (for its metrics) through the gateway is timed. The median of five; beside it
/// the same request when a process is there.
pub(super) async fn cold_start(
    subject: &Subject,
    workspace: &Workspace,
    progress: &Progress,
) -> Result<Measured, Failure> {
    if let Some(missing) = subject.missing().await? {
        return Ok(Measured::not_here("cold-start", COLD, "ms", missing));
    }
    let target = Target::known(TargetName::Gateway, subject.environment(false));
    let namespace = json!({"name": "bench"});
    subject.make("registry/v1", "namespaces", namespace.clone()).await?;
    let image = image::sample(workspace, progress).await?;
    let reference = foundation::reference(&target, "bench", "app", "latest");
    let image = image::push(&target, &image, &reference, &Progress::Silent).await?.to_string();
    let namespace = subject.make("containers/v1", "namespaces", namespace).await?;
    let body = json!({
        "namespace_id": namespace["id"], "name": "app", "image": image, "min_scale": 0, "max_scale": 1,
        "environment_variables": environment()?,
    });
    let container = subject.make("containers/v1", "containers", body).await?;
    if container["status"] != "ready" {
        return Err(Failure::failed("the container did not become ready").because(container));
    }
    let id = text(&container, "id")?;
    let url = format!("{}/metrics", text(&container, "public_endpoint")?);
    let web = target.web()?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..COLD_STARTS {
        idle(subject, &id).await?;
        cold.push(answered(&web, &url).await?);
        warm.push(answered(&web, &url).await?);
    }
    let measured = Measured::new("cold-start", COLD, "ms", median(cold));
    Ok(measured.against("the same request to one that runs", median(warm)))
}

/// What the sample application has to know to start: a database and a bucket that are not there, and not asked for by
/// its page of metrics.
fn environment() -> Result<Value, Failure> {
    let authority = CloudHome::authority_dir()?.join("ca.pem");
    let certificate = std::fs::read_to_string(&authority)
        .map_err(|error| Failure::environment(format!("{} cannot be read", authority.display())).because(error))?;
    Ok(json!({
        "DATABASE_HOST": "192.0.2.1", "DATABASE_PORT": "5432", "DATABASE_NAME": "none", "DATABASE_USER": "none",
        "DATABASE_PASSWORD": "none", "DATABASE_CA_CERTIFICATE": certificate, "ASSETS_BUCKET": "none",
        "ASSETS_ENDPOINT": "https://s3.fr-par.scw.cloud", "ASSETS_REGION": "fr-par", "ACCESS_KEY": "none",
        "SECRET_KEY": "none",
    }))
}

/// Lets the cloud's clock pass until no process of the container is left.
async fn idle(subject: &Subject, id: &str) -> Result<(), Failure> {
    let control = subject.process().control();
    let control = control.ok_or_else(|| Failure::environment("the cloud has no control API"))?;
    control.advance(IDLE).await?;
    let gone = async {
        let mut again = tokio::time::interval(Duration::from_millis(5));
        loop {
            again.tick().await;
            if control.container(id).await?.running == 0 {
                return Ok(());
            }
        }
    };
    let ended = timeout(PATIENCE, gone).await;
    ended.map_err(|_| Failure::failed("a container that nobody uses is not scaled to zero"))?
}

async fn answered(web: &Web, url: &str) -> Result<f64, Failure> {
    let began = Instant::now();
    let page = web.get(url).await?;
    let took = began.elapsed();
    if page.status == 200 {
        return Ok(took.as_secs_f64() * 1000.0);
    }
    Err(Failure::failed(format!("{url} answered {}", page.status)).because(page.text))
}

/// Pushing an image with one layer of 50 MB of random bytes by its registry's host name, through the gateway: the
/// median of three, each with bytes of its own.
pub(super) async fn push(subject: &Subject) -> Result<Measured, Failure> {
    let target = Target::known(TargetName::Gateway, subject.environment(false));
    subject.make("registry/v1", "namespaces", json!({"name": "bench-push"})).await?;
    let reference = foundation::reference(&target, "bench-push", "large", "latest");
    let mut took = Vec::new();
    for _ in 0..PUSHES {
        let source = Source::of_program(&random(IMAGE))?;
        let began = Instant::now();
        image::push(&target, &source, &reference, &Progress::Silent).await?;
        took.push(began.elapsed().as_secs_f64());
    }
    Ok(Measured::new("push", PUSH, "s", median(took)))
}

/// Bytes that cannot be compressed or guessed.
fn random(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 16);
    while bytes.len() < length {
        bytes.extend_from_slice(uuid::Uuid::new_v4().as_bytes());
    }
    bytes.truncate(length);
    bytes
}

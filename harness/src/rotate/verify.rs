//! Whether an application works with the credentials it was given: asked of the cloud, of the application as anybody
//! would, and of the key itself.
//!
//! What an application answers so that more than its health can be told (`infra/README.md`): `GET /database` names the
//! database's user, `GET /assets/…` redirects to an address that its API key signed. Where it answers neither, that is
//! said.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{
    Failure,
    target::{Target, Web},
};

/// How long instances of before may go on answering, and new ones take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long is waited between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Looks until all is as it is to be. Gives what was seen.
pub(super) async fn application(target: &Target, outputs: &Value, health: &str) -> Result<Vec<String>, Failure> {
    let begun = Instant::now();
    loop {
        match look(target, outputs, health).await {
            Ok(seen) => return Ok(seen),
            Err(failure) if begun.elapsed() > PATIENCE => return Err(failure),
            Err(failure) => tracing::debug!(%failure, "looking again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(target: &Target, outputs: &Value, health: &str) -> Result<Vec<String>, Failure> {
    let told = |name: &str| {
        let output = outputs[name].as_str();
        output.ok_or_else(|| Failure::failed(format!("the stack has no output {name}")).next("stackproof up"))
    };
    let (user, access_key) = (told("database_user")?, told("access_key")?);
    let mut seen = vec![declared(target, told("container_id")?, user, access_key).await?];
    seen.push(key(target, told("secret_key")?, access_key).await?);
    let (web, url) = (target.web()?, told("url")?);
    let page = web.get(&format!("{url}{health}")).await?;
    match page.status {
        200 => seen.push(format!("GET {health} answered 200")),
        // A private container lets in callers with a key of their own, which this is not.
        401 | 403 => {
            seen.push(format!("GET {health} answered {}: the container is private", page.status));
            return Ok(seen);
        }
        status => return Err(unwell(&format!("GET {health} answers {status}"), &page.text)),
    }
    seen.push(database(&web, url, user).await?);
    seen.push(asset(&web, url, access_key).await?);
    Ok(seen)
}

/// What the container was given.
async fn declared(target: &Target, container: &str, user: &str, access_key: &str) -> Result<String, Failure> {
    let api = target.api()?;
    let (region, id) = container.split_once('/').unwrap_or((&api.credentials().region, container));
    let path = format!("/containers/v1/regions/{region}/containers/{id}");
    let answer = api.get(&path).await?;
    let variables = &answer.body["environment_variables"];
    if variables["DATABASE_USER"] != user || variables["ACCESS_KEY"] != access_key {
        return Err(unwell("the container was not given the new credentials", &answer.status));
    }
    match answer.body["status"].as_str() {
        Some("ready") => Ok(format!("the container is ready with {user} and {access_key}")),
        status => Err(unwell("the container is not ready", &status.unwrap_or("no status"))),
    }
}

/// Whether Scaleway knows the key: whatever it may do, it is not unknown.
async fn key(target: &Target, secret_key: &str, access_key: &str) -> Result<String, Failure> {
    let api = target.api()?.with_secret_key(secret_key);
    let status = api.get(&format!("/iam/v1alpha1/api-keys/{access_key}")).await?.status;
    if status == 401 {
        return Err(unwell("the new API key is not known", &format!("Scaleway answered {status}")));
    }
    Ok(format!("the API key {access_key} is known"))
}

async fn database(web: &Web, url: &str, user: &str) -> Result<String, Failure> {
    let page = web.get(&format!("{url}/database")).await?;
    match (page.status, page.json()["user"].as_str()) {
        (200, Some(is)) if is == user => Ok(format!("GET /database: signed in as {user}")),
        (200, Some(is)) => Err(unwell("the application is signed in to its database as another user", &is)),
        (200 | 404, _) => Ok("GET /database does not tell the user".to_owned()),
        (status, _) => Err(unwell(&format!("GET /database answers {status}"), &page.text)),
    }
}

async fn asset(web: &Web, url: &str, access_key: &str) -> Result<String, Failure> {
    let page = web.get(&format!("{url}/assets/rotation")).await?;
    if page.location.is_empty() {
        return Ok("GET /assets/… does not tell the key".to_owned());
    }
    if !page.location.contains(access_key) {
        return Err(unwell("the application signs with another API key", &"GET /assets/…"));
    }
    let answer = web.get(&page.location).await?;
    match answer.status {
        200 | 404 => Ok(format!("GET /assets/…: the bucket lets {access_key} in")),
        // That there is no such asset is told to those who may list them; others are denied it by name, not as unknown.
        403 if answer.text.contains("AccessDenied") => Ok(format!("GET /assets/…: the bucket knows {access_key}")),
        status => Err(unwell("the bucket refuses the application's API key", &format!("it answered {status}"))),
    }
}

fn unwell(what: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::failed(what.to_owned()).because(why).next("stackproof cloud status, and the container's log")
}

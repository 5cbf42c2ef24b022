//! The cloud that is measured.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Failure,
    target::{Api, CloudHome, CloudProcess, Environment, Launch},
};

/// How long it is waited for what has to happen behind the API.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A local cloud as `stackproof cloud start` starts it, in a folder of its own.
pub(super) struct Subject {
    folder: TempDir,
    process: CloudProcess,
}

impl Subject {
    pub(super) fn launch(folder: &TempDir) -> Launch {
        Launch { keep: true, planes: true, ..Launch::new(folder.path()) }
    }

    pub(super) fn folder() -> Result<TempDir, Failure> {
        tempfile::tempdir().map_err(|error| Failure::environment("no folder can be made").because(error))
    }

    pub(super) async fn start() -> Result<Self, Failure> {
        let folder = Self::folder()?;
        let process = CloudProcess::launch(&Self::launch(&folder)).await?;
        Ok(Self { folder, process })
    }

    /// Stops it, and removes what it kept.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.process.stop().await?;
        CloudHome::at(self.folder.path())?.reset().await
    }

    pub(super) fn process(&self) -> &CloudProcess {
        &self.process
    }

    /// What reaches it straight, or through the gateway.
    pub(super) fn environment(&self, direct: bool) -> Environment {
        self.process.environment(direct)
    }

    pub(super) fn api(&self) -> Result<Api, Failure> {
        Api::new(&self.environment(true))
    }

    /// What this machine cannot run behind the API.
    pub(super) async fn missing(&self) -> Result<Option<String>, Failure> {
        let control = self.process.control().ok_or_else(|| Failure::environment("the cloud has no control API"))?;
        Ok(control.missing().await?.into_iter().next())
    }

    /// Makes a resource of a regional API.
    pub(super) async fn make(&self, product: &str, kind: &str, body: Value) -> Result<Value, Failure> {
        let api = self.api()?;
        let path = api.regional(product, kind);
        post(&api, &path, body).await
    }
}

/// Makes a resource.
pub(super) async fn post(api: &Api, path: &str, body: Value) -> Result<Value, Failure> {
    let answer = api.send(Method::POST, path, Some(body)).await?;
    if answer.status == 200 {
        return Ok(answer.body);
    }
    Err(Failure::failed(format!("POST {path} answered {}", answer.status)).because(answer.body))
}

/// A text of an answer.
pub(super) fn text(body: &Value, field: &str) -> Result<String, Failure> {
    let text = body[field].as_str().map(str::to_owned);
    text.ok_or_else(|| Failure::failed(format!("an answer has no {field}")).because(json!(body)))
}

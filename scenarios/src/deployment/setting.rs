//! Where a scenario plays: its target, its tools, its scratch folder.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::json;
use stackproof::{
    Failure, Progress, Toolchain,
    acceptance::Scenario,
    foundation,
    target::{CloudProcess, Launch, Target},
};
use stackproof_cloud::kernel::Profile;
use tempfile::TempDir;

use super::{Deployment, open};

/// A target with nothing of the scenario's on it yet.
pub struct Setting {
    target: Arc<Target>,
    toolchain: Toolchain,
    /// Bucket names are shared by all of Scaleway's customers, so no two runs may want the same.
    prefix: String,
    folder: Arc<TempDir>,
}

impl Setting {
    /// A target on which nothing takes longer than it must.
    ///
    /// # Errors
    /// When a tool is missing or the target cannot be reached.
    pub async fn instant(s: &Scenario) -> Result<Self, Failure> {
        Self::with(s, Profile::Instant).await
    }

    /// A target on which everything takes as long as it does at Scaleway.
    ///
    /// # Errors
    /// When a tool is missing or the target cannot be reached.
    pub async fn realistic(s: &Scenario) -> Result<Self, Failure> {
        Self::with(s, Profile::Realistic).await
    }

    async fn with(s: &Scenario, profile: Profile) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(|error| Failure::environment("no scratch folder").because(error))?;
        let target = Target::for_scenario(s.target(), &folder.path().join("cloud"), profile).await?;
        s.secret(&target.environment().credentials().secret_key);
        let toolchain = Toolchain::ensure(&Progress::Silent)?;
        let prefix = format!("proof-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        Ok(Self { target: Arc::new(target), toolchain, prefix, folder: Arc::new(folder) })
    }

    /// The project that everything is created in unless another is named.
    pub fn project(&self) -> &str {
        &self.target.environment().credentials().project_id
    }

    /// How long a local cloud takes from being launched to its first answer, where there is one. The fastest
    /// of several: the others tell how busy the machine was.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn fastest_start(&self) -> Result<Option<Duration>, Failure> {
        if self.target.control().is_none() {
            return Ok(None);
        }
        let launch = Launch::new(&self.folder.path().join("start"));
        let mut fastest = Duration::MAX;
        for _ in 0..5 {
            let begun = Instant::now();
            let cloud = CloudProcess::launch(&launch).await?;
            if let Some(control) = cloud.control() {
                control.now().await?;
                fastest = fastest.min(begun.elapsed());
            }
        }
        Ok(Some(fastest))
    }

    /// A configured stack of this name in this project, which nobody has deployed yet. The repository's
    /// configuration for that name is where it starts, if there is one.
    ///
    /// # Errors
    /// When Pulumi refuses the configuration.
    pub async fn stack(&self, name: &str, project: &str) -> Result<Deployment, Failure> {
        let values = [
            ("prefix", self.prefix.clone()),
            ("scaleway:projectId", project.to_owned()),
            // What a team protects in production, a scenario has to take away again.
            ("storage.forceDestroy", "true".to_owned()),
            ("encryption.protected", "false".to_owned()),
            ("container.cron.schedule", "0 4 * * *".to_owned()),
        ];
        let stack = open(self.folder.path(), name, &self.toolchain, &self.target, &values).await?;
        // An image must exist before the container that runs it.
        foundation::lay(&stack, &self.toolchain, &self.target, &Progress::Silent).await?;
        Ok(Deployment {
            stack,
            target: Arc::clone(&self.target),
            toolchain: self.toolchain.clone(),
            prefix: self.prefix.clone(),
            project: project.to_owned(),
            folder: Arc::clone(&self.folder),
        })
    }

    /// Another project of the organisation, made for this scenario. Returns its identifier.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn new_project(&self, name: &str) -> Result<String, Failure> {
        let body = json!({"name": format!("{}-{name}", self.prefix)});
        let answer = self.target.api()?.send(Method::POST, "/account/v3/projects", Some(body)).await?;
        let id = answer.body["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| Failure::failed("no project could be made").because(answer.body))
    }

    /// The identifiers of the organisation's projects.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn projects(&self) -> Result<Vec<String>, Failure> {
        let organization = &self.target.environment().credentials().organization_id;
        let path = format!("/account/v3/projects?organization_id={organization}&page_size=100");
        let answer = self.target.api()?.get(&path).await?;
        let projects = answer.body["projects"].as_array().cloned();
        let projects = projects.ok_or_else(|| Failure::failed("no projects were listed").because(answer.body))?;
        Ok(projects.iter().filter_map(|project| project["id"].as_str()).map(str::to_owned).collect())
    }

    /// Takes a project away again.
    ///
    /// # Errors
    /// When the cloud refuses, as it does while anything is in it.
    pub async fn delete_project(&self, project: &str) -> Result<(), Failure> {
        let path = format!("/account/v3/projects/{project}");
        let answer = self.target.api()?.send(Method::DELETE, &path, None).await?;
        if answer.status == 204 {
            return Ok(());
        }
        Err(Failure::failed(format!("project {project} could not be deleted")).because(answer.body))
    }
}

//! A stack of a scenario's own: the project's program, deployed to the scenario's target.

use std::time::{Duration, Instant};

use serde_json::Value;
use stackproof::{
    Failure, Progress, Toolchain, Workspace,
    acceptance::Scenario,
    pulumi::{Change, Operation, Outcome, Settings, Stack},
    stack::{Cost, configure},
    target::{CloudProcess, Launch, Target},
};
use tempfile::TempDir;

use crate::Inventory;

/// The stack's name in scenarios: it has no configuration file in the repository.
const NAME: &str = "proof";

/// A stack on a target, alive as long as the scenario.
pub struct Deployment {
    stack: Stack,
    target: Target,
    toolchain: Toolchain,
    prefix: String,
    folder: TempDir,
}

impl Deployment {
    /// A configured stack that nobody has deployed yet.
    ///
    /// # Errors
    /// When a tool is missing, the target cannot be reached or Pulumi refuses the configuration.
    pub async fn configured(s: &Scenario) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(|error| Failure::environment("no scratch folder").because(error))?;
        let target = Target::for_scenario(s.target(), &folder.path().join("cloud")).await?;
        if target.control().is_some() {
            let started = fastest_start(&folder).await?;
            s.budget("local cloud: start to first answer, best of 5", started.as_secs_f64() * 1000.0, 50.0, "ms");
        }
        s.secret(&target.environment().credentials().secret_key);
        let toolchain = Toolchain::ensure(&Progress::Silent)?;
        // Bucket names are shared by all of Scaleway's customers, so no two runs may want the same.
        let prefix = format!("proof-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let stack = open(&folder, NAME, &toolchain, &target).await?;
        for (key, value) in [("prefix", prefix.as_str()), ("storage.forceDestroy", "true")] {
            stack.set(key, value).await?;
        }
        configure(&stack, &target).await?;
        Ok(Self { stack, target, toolchain, prefix, folder })
    }

    /// Runs `pulumi up`.
    ///
    /// # Errors
    /// When it fails.
    pub async fn up(&self, s: &Scenario) -> Result<(Outcome, Option<Cost>), Failure> {
        let before = self.totals().await?;
        let outcome = self.run(s, &Operation::Up).await?.success()?;
        let after = self.totals().await?;
        let cost = before.zip(after).map(|(before, after)| Cost::between(&before, &after, outcome.seconds));
        if let Some(cost) = &cost {
            s.attach("cost.txt", cost.to_string())?;
        }
        Ok((outcome, cost))
    }

    /// What a preview against the cloud as it is would change: logical names of resources.
    ///
    /// # Errors
    /// When Pulumi cannot be run, or fails for another reason than a difference.
    pub async fn differences(&self, s: &Scenario) -> Result<Vec<String>, Failure> {
        let operation = Operation::Preview { refresh: true, expect_no_changes: true };
        let outcome = self.run(s, &operation).await?;
        let names = changed(&outcome);
        if names.is_empty() { outcome.success().map(|_| names) } else { Ok(names) }
    }

    /// Changes a value of the configuration.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn configure(&self, key: &str, value: &str) -> Result<(), Failure> {
        self.stack.set(key, value).await
    }

    /// Takes resources that this stack made into the state of another stack, which imports them.
    /// Returns the logical names that were imported.
    ///
    /// # Errors
    /// When an import fails.
    pub async fn import_elsewhere(&self, s: &Scenario, names: &[&str]) -> Result<Vec<String>, Failure> {
        let other = open(&self.folder, "adopted", &self.toolchain, &self.target).await?;
        let state = self.stack.export().await?;
        let mut imported = Vec::new();
        for name in names {
            let (token, id) = resource(&state, name)?;
            let operation = Operation::Import { token: token.clone(), name: (*name).to_owned(), id };
            let outcome = other.run(&operation, &Progress::Silent).await?;
            s.attach(&format!("import-{name}.txt"), format!("{}{}", outcome.stdout, outcome.stderr))?;
            let outcome = outcome.success()?;
            imported.extend(
                outcome
                    .events
                    .changes
                    .iter()
                    .filter(|change| change.op == "import")
                    .map(|change| change.name().to_owned()),
            );
        }
        Ok(imported)
    }

    /// Runs `pulumi destroy`.
    ///
    /// # Errors
    /// When it fails.
    pub async fn destroy(&self, s: &Scenario) -> Result<Outcome, Failure> {
        self.run(s, &Operation::Destroy).await?.success()
    }

    /// What there is in the cloud, asked of its public APIs.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn inventory(&self) -> Result<Inventory, Failure> {
        Inventory::take(&self.target, &[self.bucket()]).await
    }

    /// The name of the asset bucket.
    pub fn bucket(&self) -> String {
        format!("{}-{NAME}-assets", self.prefix)
    }

    /// A resource's real name, as the program makes it of prefix, stack and component.
    pub fn named(&self, component: &str) -> String {
        format!("{}-{NAME}-{component}", self.prefix)
    }

    async fn run(&self, s: &Scenario, operation: &Operation) -> Result<Outcome, Failure> {
        let outcome = self.stack.run(operation, &Progress::Silent).await?;
        s.attach(&format!("pulumi-{}.txt", outcome.operation), format!("{}{}", outcome.stdout, outcome.stderr))?;
        Ok(outcome)
    }

    async fn totals(&self) -> Result<Option<stackproof_cloud::control::Totals>, Failure> {
        match self.target.control() {
            Some(control) => control.totals().await.map(Some),
            None => Ok(None),
        }
    }
}

/// How long a local cloud takes from being launched to its first answer. The fastest of several: the
/// others tell how busy the machine was.
async fn fastest_start(folder: &TempDir) -> Result<Duration, Failure> {
    let launch = Launch::new(&folder.path().join("start"));
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let cloud = CloudProcess::launch(&launch).await?;
        if let Some(control) = cloud.control() {
            control.now().await?;
            fastest = fastest.min(begun.elapsed());
        }
    }
    Ok(fastest)
}

async fn open(folder: &TempDir, name: &str, toolchain: &Toolchain, target: &Target) -> Result<Stack, Failure> {
    let settings =
        Settings { name: name.to_owned(), program: Workspace::find()?.infra(), folder: folder.path().join(name) };
    Stack::open(settings, toolchain.clone(), target).await
}

/// The logical names of what a run changed, sorted.
pub fn changed(outcome: &Outcome) -> Vec<String> {
    let mut names: Vec<String> = outcome.events.effective().map(Change::name).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// The type token and the identifier of a resource in a state.
fn resource(state: &Value, name: &str) -> Result<(String, String), Failure> {
    let resources = state.pointer("/deployment/resources").and_then(Value::as_array);
    let wanted = |resource: &&Value| resource["urn"].as_str().is_some_and(|urn| urn.ends_with(&format!("::{name}")));
    let found = resources.into_iter().flatten().find(wanted);
    let text = |field: &str| found.and_then(|found| found[field].as_str()).map(str::to_owned);
    text("type")
        .zip(text("id"))
        .ok_or_else(|| Failure::failed(format!("the state has no resource {name}")).next("pulumi stack --show-ids"))
}

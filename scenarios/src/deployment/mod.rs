//! A stack of a scenario's own: the project's program, deployed to the scenario's target.

mod adoption;
mod application;
mod compliance;
mod pipeline;
mod secrets;
mod setting;

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};
use stackproof::{
    Failure, Progress, Toolchain, Workspace,
    acceptance::{Probe, Scenario, empty},
    foundation,
    pulumi::{Change, Operation, Outcome, Settings, Stack},
    stack::{Cost, configure},
    target::{Control, Target},
};
use stackproof_cloud::control::Totals;
use tempfile::TempDir;

use crate::Inventory;

pub use adoption::Adopted;
pub use application::{Application, Principal};
pub use pipeline::Pipeline;
pub use secrets::Reader;
pub use setting::Setting;

/// The stack's name where a scenario needs but one: it has no configuration file in the repository.
const NAME: &str = "proof";

/// A stack on a target, alive as long as the scenario.
pub struct Deployment {
    stack: Stack,
    target: Arc<Target>,
    toolchain: Toolchain,
    prefix: String,
    project: String,
    folder: Arc<TempDir>,
}

impl Deployment {
    /// A configured stack that nobody has deployed yet.
    ///
    /// # Errors
    /// When a tool is missing, the target cannot be reached or Pulumi refuses the configuration.
    pub async fn configured(s: &Scenario) -> Result<Self, Failure> {
        let setting = Setting::instant(s).await?;
        let project = setting.project().to_owned();
        setting.stack(NAME, &project).await
    }

    /// The same, for scenarios about what runs: where this machine cannot run it, they do not apply.
    ///
    /// # Errors
    /// As above, and where something cannot run here.
    pub async fn that_runs(s: &Scenario) -> Result<Self, Failure> {
        let stack = Self::configured(s).await?;
        let missing = match stack.target.control() {
            Some(control) => control.missing().await?,
            None => Vec::new(),
        };
        if missing.is_empty() {
            return Ok(stack);
        }
        Err(s.does_not_apply(format!("not provable on this machine: {}", missing.join("; "))))
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

    /// Runs `pulumi up` where it is to fail. Returns what the engine and the program said.
    ///
    /// # Errors
    /// When it does not fail.
    pub async fn refused(&self, s: &Scenario) -> Result<Outcome, Failure> {
        let outcome = self.run(s, &Operation::Up).await?;
        if outcome.succeeded() {
            return Err(Failure::failed("pulumi up succeeded where it was to be refused"));
        }
        Ok(outcome)
    }

    /// What a preview against the cloud as it is would change: logical names of resources, and how long it took.
    ///
    /// # Errors
    /// When Pulumi cannot be run, or fails for another reason than a difference.
    pub async fn differences(&self, s: &Scenario) -> Result<(Vec<String>, f64), Failure> {
        let operation = Operation::Preview { refresh: true, expect_no_changes: true };
        let outcome = self.run(s, &operation).await?;
        let (names, seconds) = (changed(&outcome), outcome.seconds);
        if names.is_empty() { outcome.success().map(|_| (names, seconds)) } else { Ok((names, seconds)) }
    }

    /// What a refresh takes over into the state: logical names of resources that drifted.
    ///
    /// # Errors
    /// When it fails.
    pub async fn drifted(&self, s: &Scenario) -> Result<Vec<String>, Failure> {
        let outcome = self.run(s, &Operation::Refresh).await?.success()?;
        let drifted = outcome.events.changes.iter().filter(|change| change.op == "update");
        Ok(drifted.map(|change| change.name().to_owned()).collect())
    }

    /// Changes values of the configuration, none of them secret.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn configure(&self, values: &[(&str, &str)]) -> Result<(), Failure> {
        let values: Vec<(&str, String)> = values.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        self.stack.set_all(&values).await
    }

    /// Runs `pulumi destroy`.
    ///
    /// # Errors
    /// When it fails.
    pub async fn destroy(&self, s: &Scenario) -> Result<Outcome, Failure> {
        self.run(s, &Operation::Destroy).await?.success()
    }

    /// Takes everything of a scenario away again, and shows that nothing is left.
    ///
    /// # Errors
    /// When it fails, or something is left.
    pub async fn is_taken_away(&self, s: &Scenario) -> Result<(), Failure> {
        s.when("taking everything away again", async {
            self.destroy(s).await?;
            self.destroy_foundation().await
        })
        .await?;
        let left = Probe::new("GET …/instances, …/vpcs, …", async || Ok(self.inventory().await?.leftovers()));
        s.then("nothing is left but what Scaleway itself keeps", left, empty()).await
    }

    /// Takes away the foundation that the stack stood on.
    ///
    /// # Errors
    /// When it fails.
    pub async fn destroy_foundation(&self) -> Result<(), Failure> {
        let outcome = foundation::destroy(&self.stack, &self.toolchain, &self.target, &Progress::Silent).await?;
        outcome.success().map(drop)
    }

    /// What there is of the stack in the cloud, asked of its public APIs.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn inventory(&self) -> Result<Inventory, Failure> {
        let own = format!("{}-{}", self.prefix, self.stack.name());
        Inventory::take(&self.target, &self.project, &own, &[self.named("assets")]).await
    }

    /// Identifiers of everything the stack made, as its state has them.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn identifiers(&self) -> Result<Vec<String>, Failure> {
        let state = self.stack.export().await?;
        let resources = state.pointer("/deployment/resources").and_then(Value::as_array);
        let custom = resources.into_iter().flatten().filter(|resource| {
            let token = resource["type"].as_str().unwrap_or_default();
            resource["custom"] == json!(true) && !token.starts_with("pulumi:")
        });
        Ok(custom.filter_map(|resource| resource["id"].as_str()).map(str::to_owned).collect())
    }

    /// A resource's real name, as the program makes it of prefix, stack and component.
    pub fn named(&self, component: &str) -> String {
        format!("{}-{}-{component}", self.prefix, self.stack.name())
    }

    /// The cloud it is on.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The project it is in.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Whoever deploys, if that is a person: an identifier of a user.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn person(&self) -> Result<Option<String>, Failure> {
        let access_key = &self.target.environment().credentials().access_key;
        let answer = self.target.api()?.get(&format!("/iam/v1alpha1/api-keys/{access_key}")).await?;
        Ok(answer.body["user_id"].as_str().map(str::to_owned))
    }

    /// How many requests the cloud has answered so far, where it tells.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn requests(&self) -> Result<Option<u64>, Failure> {
        Ok(self.totals().await?.map(|totals| totals.requests))
    }

    async fn run(&self, s: &Scenario, operation: &Operation) -> Result<Outcome, Failure> {
        let outcome = self.stack.run(operation, &Progress::Silent).await?;
        let name = format!("pulumi-{}-{}.txt", outcome.operation, self.stack.name());
        s.attach(&name, format!("{}{}", outcome.stdout, outcome.stderr))?;
        Ok(outcome)
    }

    /// The control API of the target.
    fn control(&self) -> Result<&Control, Failure> {
        self.target.control().ok_or_else(|| Failure::environment("this target has no control API"))
    }

    async fn totals(&self) -> Result<Option<Totals>, Failure> {
        match self.target.control() {
            Some(control) => control.totals().await.map(Some),
            None => Ok(None),
        }
    }
}

/// Opens and configures a stack below `folder`: with the repository's configuration for its name, if there is one.
async fn open(
    folder: &Path,
    name: &str,
    toolchain: &Toolchain,
    target: &Target,
    values: &[(&str, String)],
) -> Result<Stack, Failure> {
    let settings = Settings { name: name.to_owned(), program: Workspace::find()?.infra(), folder: folder.join(name) };
    let stack = Stack::open(settings, toolchain.clone(), target).await?;
    stack.set_all(values).await?;
    configure(&stack, target).await?;
    Ok(stack)
}

/// The logical names of what a run changed, sorted.
pub fn changed(outcome: &Outcome) -> Vec<String> {
    let mut names: Vec<String> = outcome.events.effective().map(Change::name).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// What a run updated in place, as `resource.property`, sorted; anything else it did as `operation resource`.
pub fn updates(outcome: &Outcome) -> Vec<String> {
    let told = |change: &Change| match change.op.as_str() {
        // The two halves of a replacement, which is told by itself.
        "create-replacement" | "delete-replaced" => Vec::new(),
        "update" => change.properties.iter().map(|property| format!("{}.{}", change.name(), top(property))).collect(),
        op => vec![format!("{op} {}", change.name())],
    };
    let mut told: Vec<String> = outcome.events.effective().flat_map(told).collect();
    told.sort();
    told.dedup();
    told
}

/// The input that a property path such as `lifecycleRules[0].days` lies in.
fn top(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

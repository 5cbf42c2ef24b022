//! A stack: the program, its configuration, its state, and the cloud it is deployed to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    future::Future,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use super::{Operation, Outcome, Stop, login::Login, run};
use crate::{
    Failure, Progress, Toolchain, Workspace,
    acceptance::TargetName,
    target::{Environment, Target},
};

/// How long a deployment may take (NFR-002 asks for less).
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long a look at the state or the configuration may take.
const SHORT_LIMIT: Duration = Duration::from_secs(60);

/// The file of the passphrase that a stack's secrets are encrypted with, in its folder.
const PASSPHRASE: &str = "passphrase";

/// Where a stack keeps its things.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The stack's name.
    pub name: String,
    /// The folder of the Pulumi program.
    pub program: PathBuf,
    /// The folder of everything else: state, configuration, Pulumi's home. For this user only.
    pub folder: PathBuf,
}

impl Settings {
    /// Those of a stack of the project's own program on this target.
    pub fn of(workspace: &Workspace, stack: &str, target: TargetName) -> Self {
        Self {
            name: stack.to_owned(),
            program: workspace.infra(),
            folder: workspace.private_dir().join("stacks").join(format!("{target}-{stack}")),
        }
    }

    /// The stack's configuration, once it was opened.
    pub fn configuration_file(&self) -> PathBuf {
        self.layout().join(format!("Pulumi.{}.yaml", self.name))
    }

    /// What the configuration starts as: the program's own file for this stack, if it has one.
    pub fn configuration_template(&self) -> PathBuf {
        self.program.join(format!("Pulumi.{}.yaml", self.name))
    }

    /// The file its configuration is in now: the stack's own once it was opened, what it starts as before that. None where
    /// there is neither.
    pub fn configuration(&self) -> Option<PathBuf> {
        [self.configuration_file(), self.configuration_template()].into_iter().find(|file| file.exists())
    }

    /// The rules that hold for the program: a policy pack beside it, or beside what it is a part of.
    pub fn policy_pack(&self) -> Option<PathBuf> {
        let pack = |folder: &Path| Some(folder.join("policy")).filter(|pack| pack.join("PulumiPolicy.yaml").is_file());
        // Not above that: elsewhere a folder of this name is somebody else's.
        pack(&self.program).or_else(|| pack(self.program.parent()?))
    }

    /// The same stack with the same configuration and secrets, but a state of its own, which is empty.
    ///
    /// # Errors
    /// When the configuration cannot be copied.
    pub fn with_empty_state(&self, folder: &Path) -> Result<Self, Failure> {
        let copy = Self { folder: folder.to_owned(), ..self.clone() };
        let unusable =
            |error: std::io::Error| Failure::environment(format!("{} cannot be used", folder.display())).because(error);
        fs::create_dir_all(copy.layout()).map_err(unusable)?;
        fs::copy(self.configuration_file(), copy.configuration_file()).map_err(unusable)?;
        let passphrase = fs::read(self.folder.join(PASSPHRASE)).map_err(unusable)?;
        crate::target::write_private(&folder.join(PASSPHRASE), &passphrase)?;
        Ok(copy)
    }

    /// A plain text of its configuration, asked without Pulumi and so without a state: `prefix`, `scaleway:region`. A
    /// key without a package is the program's own.
    ///
    /// # Errors
    /// When the configuration or the program's `Pulumi.yaml` cannot be read.
    pub fn value(&self, key: &str) -> Result<Option<String>, Failure> {
        let file = self.configuration_file();
        let document = read_yaml(&file)?;
        let key = if key.contains(':') { key.to_owned() } else { format!("{}:{key}", self.project()?) };
        Ok(document["config"].get(&key).and_then(Value::as_str).map(str::to_owned))
    }

    /// The name of the program's project.
    ///
    /// # Errors
    /// When its `Pulumi.yaml` cannot be read.
    pub fn project(&self) -> Result<String, Failure> {
        let file = self.program.join("Pulumi.yaml");
        let name = read_yaml(&file)?["name"].as_str().map(str::to_owned);
        name.ok_or_else(|| Failure::usage(format!("{} names no project", file.display())).next("add name: …"))
    }

    /// Puts the program where Pulumi runs it, and its configuration beside it, if that is not there yet.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn lay_out(&self) -> Result<(), Failure> {
        self.link()
            .map_err(|error| Failure::environment(format!("{} cannot be used", self.folder.display())).because(error))
    }

    fn link(&self) -> std::io::Result<()> {
        let program = self.layout();
        fs::create_dir_all(&program)?;
        let (configuration, template) = (self.configuration_file(), self.configuration_template());
        if !configuration.exists() {
            let text = if template.exists() { fs::read_to_string(&template)? } else { "config: {}\n".to_owned() };
            fs::write(&configuration, text)?;
        }
        for entry in fs::read_dir(&self.program)? {
            let entry = entry?;
            let link = program.join(entry.file_name());
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with("Pulumi.") || name == "Pulumi.yaml" {
                match std::os::unix::fs::symlink(entry.path(), &link) {
                    Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The folder Pulumi runs in: the program's files by links, the configuration by itself. Pulumi
    /// writes secrets and their salt into the configuration beside the program; those of a stack on
    /// this machine are nothing to commit.
    fn layout(&self) -> PathBuf {
        self.folder.join("program")
    }
}

/// A stack that can be deployed.
pub struct Stack {
    settings: Settings,
    toolchain: Toolchain,
    environment: Environment,
    login: Login,
    /// What Pulumi needs besides the cloud.
    variables: Vec<(String, String)>,
    /// What must not be in its environment.
    unwanted: &'static [&'static str],
    /// The program that ends Pulumi when this process ends; none where that does not matter.
    guard: Option<PathBuf>,
}

/// Where a state is and what its secrets are encrypted with, as Pulumi is told it.
pub struct Backend {
    variables: Vec<(String, String)>,
    unwanted: &'static [&'static str],
    /// Whether it goes with this process.
    supervised: bool,
    /// Whether the stack is known to be there.
    existing: bool,
}

impl Backend {
    /// A folder of this machine, with a passphrase beside it that is made at the first call.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn folder(folder: &Path) -> Result<Self, Failure> {
        let unusable =
            |error: std::io::Error| Failure::environment(format!("{} cannot be used", folder.display())).because(error);
        fs::create_dir_all(folder.join("state")).map_err(unusable)?;
        Ok(Self {
            variables: in_folder(folder, &passphrase_file(folder)?),
            unwanted: &[],
            supervised: false,
            existing: false,
        })
    }

    /// A folder of this machine, with this passphrase.
    ///
    /// # Errors
    /// As above.
    pub fn folder_with(folder: &Path, passphrase: &str) -> Result<Self, Failure> {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::environment(format!("{} cannot be used", folder.display())).because(error))?;
        let url = format!("file://{}", folder.display());
        Ok(Self {
            variables: vec![("PULUMI_BACKEND_URL".into(), url), spoken(passphrase)],
            unwanted: &[],
            supervised: false,
            existing: false,
        })
    }

    /// Whatever these variables lead to, with this passphrase.
    pub fn through(
        variables: Vec<(&'static str, String)>,
        unwanted: &'static [&'static str],
        passphrase: &str,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
        let variables = variables.chain([spoken(passphrase)]).collect();
        Self { variables, unwanted, supervised: true, existing: false }
    }

    /// The same, where the stack may be known to be there. Then Pulumi is not asked to make it: told to make what is
    /// not there, it takes every error of looking for an absence, and writes an empty state over the one it did not see.
    #[must_use]
    pub fn existing(self, existing: bool) -> Self {
        Self { existing, ..self }
    }
}

fn spoken(passphrase: &str) -> (String, String) {
    ("PULUMI_CONFIG_PASSPHRASE".to_owned(), passphrase.to_owned())
}

impl Stack {
    /// Opens a stack, making its state and its configuration if they are not there. The
    /// configuration starts as a copy of the program's `Pulumi.<name>.yaml`, if it has one.
    ///
    /// # Errors
    /// When the folder cannot be used or Pulumi refuses.
    pub async fn open(settings: Settings, toolchain: Toolchain, target: &Target) -> Result<Self, Failure> {
        let backend = Backend::folder(&settings.folder)?;
        Self::open_in(settings, backend, toolchain, target).await
    }

    /// The same, with its state elsewhere.
    ///
    /// # Errors
    /// As above.
    pub async fn open_in(
        settings: Settings,
        backend: Backend,
        toolchain: Toolchain,
        target: &Target,
    ) -> Result<Self, Failure> {
        settings.lay_out()?;
        let mut variables = toolchain.environment(&settings.folder.join("pulumi-home"))?;
        variables.extend(backend.variables);
        // A path of its own, wherever Pulumi runs.
        let folder = std::path::absolute(&settings.folder).unwrap_or_else(|_| settings.folder.clone());
        let stack = Self {
            login: Login::write(&folder, target.environment())?,
            environment: target.environment().clone(),
            settings,
            toolchain,
            variables,
            guard: backend.supervised.then(crate::target::program).transpose()?,
            unwanted: backend.unwanted,
        };
        // Which stack is meant, every command is told by its environment.
        if !backend.existing {
            stack.pulumi(&["stack", "select", "--create", &stack.settings.name], None).await?;
        }
        Ok(stack)
    }

    /// Where it keeps its things.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name of the file in its folder that tells Pulumi who deploys, as long as the stack is open.
    pub fn profile(&self) -> &str {
        self.login.file_name()
    }

    /// The stack's name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The environment that deploys it.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Sets a value of its configuration.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn set(&self, key: &str, value: &str) -> Result<(), Failure> {
        self.pulumi(&["config", "set", "--path", key], Some(value)).await.map(drop)
    }

    /// Sets values of its configuration, none of which is secret.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn set_all(&self, values: &[(&str, String)]) -> Result<(), Failure> {
        let mut arguments = vec!["config".to_owned(), "set-all".to_owned(), "--path".to_owned()];
        for (key, value) in values {
            arguments.extend(["--plaintext".to_owned(), format!("{key}={value}")]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.pulumi(&arguments, None).await.map(drop)
    }

    /// Sets a secret value: handed over by standard input, kept encrypted.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn set_secret(&self, key: &str, value: &str) -> Result<(), Failure> {
        self.pulumi(&["config", "set", "--path", "--secret", key], Some(value)).await.map(drop)
    }

    /// The keys its configuration has, without the project's name before them.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn keys(&self) -> Result<BTreeSet<String>, Failure> {
        let text = self.pulumi(&["config", "--json"], None).await?;
        let config: BTreeMap<String, Value> = serde_json::from_str(&text)
            .map_err(|error| Failure::failed("the stack's configuration is no JSON").because(error))?;
        Ok(config
            .into_keys()
            .map(|key| key.rsplit_once(':').map_or(key.clone(), |(_, name)| name.to_owned()))
            .collect())
    }

    /// A value of its configuration that is no secret: a path such as `container.image`, or another
    /// package's key such as `scaleway:region`.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn get(&self, path: &str) -> Result<Option<String>, Failure> {
        let text = self.pulumi(&["config", "--json"], None).await?;
        let config: BTreeMap<String, Value> = serde_json::from_str(&text)
            .map_err(|error| Failure::failed("the stack's configuration is no JSON").because(error))?;
        let (key, rest) = path.split_once('.').unwrap_or((path, ""));
        let entry = config.iter().find(|(name, _)| *name == key || name.split_once(':').is_some_and(|it| it.1 == key));
        let value = entry.and_then(|(_, entry)| match rest {
            "" => entry["value"].as_str().map(str::to_owned),
            rest => {
                let object = entry.get("objectValue")?;
                object.pointer(&format!("/{}", rest.replace('.', "/")))?.as_str().map(str::to_owned)
            }
        });
        Ok(value)
    }

    /// A secret value of its configuration, in clear: never print it.
    ///
    /// # Errors
    /// When Pulumi refuses, or there is none.
    pub async fn secret(&self, key: &str) -> Result<String, Failure> {
        Ok(self.pulumi(&["config", "get", key], None).await?.trim_end_matches('\n').to_owned())
    }

    /// Makes this its state: what [`Self::export`] gave of the same stack elsewhere.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn import_state(&self, state: &Value) -> Result<(), Failure> {
        self.pulumi(&["stack", "import"], Some(&state.to_string())).await.map(drop)
    }

    /// Its outputs, secrets in clear: never print them.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn outputs(&self) -> Result<Value, Failure> {
        let text = self.pulumi(&["stack", "output", "--json", "--show-secrets"], None).await?;
        serde_json::from_str(&text).map_err(|error| Failure::failed("the stack's outputs are no JSON").because(error))
    }

    /// Its outputs as whoever asks for them is shown them, secrets masked.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn shown_outputs(&self) -> Result<String, Failure> {
        self.pulumi(&["stack", "output", "--json"], None).await
    }

    /// Its state, secrets encrypted, as `pulumi stack export` writes it.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn export(&self) -> Result<Value, Failure> {
        let text = self.pulumi(&["stack", "export"], None).await?;
        serde_json::from_str(&text).map_err(|error| Failure::failed("the stack's state is no JSON").because(error))
    }

    /// The same with its secrets in clear: never print it.
    ///
    /// # Errors
    /// As above.
    pub(crate) async fn export_in_clear(&self) -> Result<Value, Failure> {
        let text = self.pulumi(&["stack", "export", "--show-secrets"], None).await?;
        // Not with the parser's words: they may quote a secret.
        serde_json::from_str(&text).map_err(|_| Failure::failed("the stack's state is no JSON"))
    }

    /// Encrypts its secrets anew, in its configuration and in its state: what was opened with one passphrase is opened
    /// with this one from now on. Handed over by standard input.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub(crate) async fn change_passphrase(&self, passphrase: &str) -> Result<(), Failure> {
        self.pulumi(&["stack", "change-secrets-provider", "passphrase"], Some(passphrase)).await.map(drop)
    }

    /// Does something with the stack, watching the engine's events.
    ///
    /// # Errors
    /// When Pulumi cannot be run. A run that failed is an [`Outcome`].
    pub async fn run(&self, operation: &Operation, progress: &Progress) -> Result<Outcome, Failure> {
        self.run_until(operation, std::future::pending(), progress).await
    }

    /// The same, until `stop` says why it must not go on.
    ///
    /// # Errors
    /// As above.
    pub async fn run_until(
        &self,
        operation: &Operation,
        stop: impl Future<Output = Stop>,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let mut command = self.command();
        command.args(["--non-interactive", "--color=never"]);
        let rules = self.settings.policy_pack();
        run::run(command, operation, rules.as_deref(), &self.settings.folder, LIMIT, stop, progress).await
    }

    /// Runs a command of Pulumi's with this terminal, until it ends or `stop` says why it must not go on. Gives whether
    /// it succeeded.
    ///
    /// # Errors
    /// When Pulumi cannot be run, or was stopped.
    pub async fn by_hand(&self, arguments: &[String], stop: impl Future<Output = Stop>) -> Result<bool, Failure> {
        let mut command = self.command();
        command.args(arguments);
        run::by_hand(command, stop).await
    }

    fn command(&self) -> Command {
        let mut command = match &self.guard {
            Some(guard) => {
                let mut command = Command::new(guard);
                command.args(["guard", "--parent", &std::process::id().to_string(), "--"]);
                command.arg(&self.toolchain.pulumi.path);
                command
            }
            None => Command::new(&self.toolchain.pulumi.path),
        };
        command.current_dir(self.settings.layout()).kill_on_drop(true);
        self.environment.apply(&mut command);
        self.login.apply(&mut command);
        for name in self.unwanted {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("PULUMI_STACK", &self.settings.name);
        command
    }

    /// Runs a short command of Pulumi's and returns what it printed.
    async fn pulumi(&self, arguments: &[&str], input: Option<&str>) -> Result<String, Failure> {
        let said = arguments.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        let failed =
            |why: String| Failure::failed(format!("pulumi {said} failed")).because(why).next("stackproof doctor");
        let mut command = self.command();
        command.args(arguments).arg("--non-interactive");
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let spawned = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| failed(error.to_string()))?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(input.as_bytes()).await.map_err(|error| failed(error.to_string()))?;
        }
        let output = tokio::time::timeout(SHORT_LIMIT, child.wait_with_output()).await;
        let output = output.map_err(|_| failed(format!("it took longer than {} s", SHORT_LIMIT.as_secs())))?;
        let output = output.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn read_yaml(file: &Path) -> Result<Value, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("{} cannot be read", file.display())).because(error).next("mend the file")
    };
    let text = fs::read_to_string(file).map_err(|error| unreadable(&error))?;
    serde_saphyr::from_str(&text).map_err(|error| unreadable(&error))
}

/// A state in a folder, its passphrase in a file.
fn in_folder(folder: &Path, passphrase: &Path) -> Vec<(String, String)> {
    vec![
        ("PULUMI_BACKEND_URL".to_owned(), format!("file://{}", folder.join("state").display())),
        ("PULUMI_CONFIG_PASSPHRASE_FILE".to_owned(), passphrase.display().to_string()),
    ]
}

/// The environment of a plain `pulumi` typed by hand inside `infra/`.
///
/// # Errors
/// When a tool is missing or the workspace's folder cannot be used.
pub fn plain_environment(workspace: &Workspace) -> Result<Vec<(String, String)>, Failure> {
    let toolchain = Toolchain::ensure(&Progress::detect())?;
    let folder = workspace.private_dir().join("plain");
    let mut variables = toolchain.environment(&folder.join("pulumi-home"))?;
    variables.extend(Backend::folder(&folder)?.variables);
    Ok(variables)
}

/// The file of the passphrase that this folder's secrets are encrypted with, made at the first call.
fn passphrase_file(folder: &Path) -> Result<PathBuf, Failure> {
    let path = folder.join(PASSPHRASE);
    if !path.exists() {
        let passphrase = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        crate::target::write_private(&path, passphrase.as_bytes())?;
    }
    Ok(path)
}

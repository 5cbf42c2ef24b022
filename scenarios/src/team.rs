//! A team that shares a stack's state: people and robots who run the `stackproof` command, each in a process of its own,
//! on a small program whose state is what matters.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use stackproof::{
    Failure, Progress, Toolchain, Workspace,
    acceptance::{Scenario, TargetName},
    pulumi::{Settings, Stack},
    sovereign::{Ended, Home, Names, Wait},
    target::{Control, Target},
};
use stackproof_cloud::kernel::Profile;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The stack they share.
pub const STACK: &str = "shared";

/// Programs, by their folders.
const SMALL: &str = "scenarios/programs/small";
const WHOLE: &str = "infra";

/// How long any one command may take.
const LIMIT: Duration = Duration::from_secs(600);

/// A team, its checkout and its cloud; gone when dropped.
pub struct Team {
    root: TempDir,
    target: Arc<Target>,
    prefix: String,
    program: &'static str,
    lease: Option<Duration>,
}

/// What a command said and how it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed for programs.
    pub stdout: String,
    /// What it printed for people.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Said {
    /// What a command said that began then and has ended just now.
    pub(crate) fn of(output: &Output, begun: Instant) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            took: begun.elapsed(),
        }
    }

    /// The same, if it succeeded.
    ///
    /// # Errors
    /// With its last words, if not.
    pub fn success(self) -> Result<Self, Failure> {
        if self.code == Some(0) {
            return Ok(self);
        }
        let all = format!("{}{}", self.stdout, self.stderr);
        let last: Vec<&str> = all.lines().rev().take(15).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Err(Failure::failed(format!("the command ended with {:?}", self.code)).because(last.join("\n")))
    }

    /// The one command that it says goes on from here, as words.
    ///
    /// # Errors
    /// When it says none.
    pub fn next(&self) -> Result<Vec<String>, Failure> {
        let lines = self.stdout.lines().chain(self.stderr.lines());
        let next = lines.filter_map(|line| line.trim().strip_prefix("next: stackproof ")).next_back();
        let next = next.ok_or_else(|| Failure::failed("it prints no command that goes on").because(&self.stderr))?;
        // Every second part stands between quotation marks.
        let words = next.split('"').enumerate().flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
        Ok(words.collect())
    }

    /// What it printed for programs, as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.stdout)
            .map_err(|error| Failure::failed(format!("it printed no JSON: {}", self.stdout)).because(error))
    }
}

impl Team {
    /// A team that begins on the scenario's target. Where its lock cannot run, the scenario does not apply.
    ///
    /// # Errors
    /// When the target cannot be reached, or a folder cannot be used.
    pub async fn begins(s: &Scenario) -> Result<Self, Failure> {
        Self::with_program(s, SMALL).await
    }

    /// The same with the whole stack's program, application and all.
    ///
    /// # Errors
    /// As above.
    pub async fn begins_with_the_whole_stack(s: &Scenario) -> Result<Self, Failure> {
        Self::with_program(s, WHOLE).await
    }

    async fn with_program(s: &Scenario, program: &'static str) -> Result<Self, Failure> {
        let unusable = |error: io::Error| Failure::environment("no scratch folder").because(error);
        let root = tempfile::tempdir().map_err(unusable)?;
        let target = Target::for_scenario(s.target(), &root.path().join("cloud"), Profile::Instant).await?;
        if let Some(control) = target.control() {
            let missing = control.missing().await?;
            if !missing.is_empty() {
                return Err(s.does_not_apply(format!("not provable on this machine: {}", missing.join("; "))));
            }
        }
        s.secret(&target.environment().credentials().secret_key);
        let prefix = format!("team-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        lay_out(&Workspace::find()?, root.path(), &prefix, program).map_err(unusable)?;
        let team = Self { root, target: Arc::new(target), prefix, program, lease: None };
        team.allow(STACK)?;
        Ok(team)
    }

    /// With leases that run out sooner, for scenarios about holders that die.
    #[must_use]
    pub fn with_leases_of(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Their checkout.
    pub(crate) fn folder(&self) -> &Path {
        self.root.path()
    }

    /// The cloud.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its control API, where it has one.
    ///
    /// # Errors
    /// When it has none.
    pub fn control(&self) -> Result<&Control, Failure> {
        self.target.control().ok_or_else(|| Failure::environment("this target has no control API"))
    }

    /// Names of what was made for their state.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn names(&self, stack: &str) -> Result<Names, Failure> {
        let settings = self.settings(stack)?;
        Names::of(&settings, &self.target)
    }

    /// Their state, opened.
    ///
    /// # Errors
    /// When there is none.
    pub async fn home(&self, stack: &str) -> Result<Home, Failure> {
        let home = Home::find(&self.target, self.names(stack)?).await?;
        home.ok_or_else(|| Failure::failed(format!("the state of {stack} has no home")))
    }

    /// Whom the lock's database lets in: everybody is on this machine, unless Scaleway is meant.
    fn allow(&self, stack: &str) -> Result<(), Failure> {
        if self.target.name() == TargetName::Scaleway {
            return Ok(());
        }
        let foundation = stackproof::foundation::settings(&self.settings(stack)?)?;
        let cannot = |error: io::Error| Failure::environment("the configuration cannot be written").because(error);
        let file = foundation.configuration_file();
        fs::create_dir_all(file.parent().unwrap_or(self.root.path())).map_err(cannot)?;
        let lock = "{kind: managed, allowedAddresses: [127.0.0.1/32]}";
        let state = "{forceDestroy: true}";
        let text = format!("config:\n  stackproof-foundation:lock: {lock}\n  stackproof-foundation:state: {state}\n");
        fs::write(file, text).map_err(cannot)
    }

    /// Gives the whole stack's configuration what is nobody's to write down: passwords, and the sample application.
    ///
    /// # Errors
    /// When its state has no home yet, or the application cannot be pushed.
    pub async fn prepares_the_whole_stack(&self) -> Result<(), Failure> {
        let (settings, home) = (self.settings(STACK)?, self.home(STACK).await?);
        let project = settings.project()?;
        let progress = Progress::Silent;
        let session = home.begin(&project, "stackproof up", Wait::No, &progress).await?;
        let toolchain = Toolchain::ensure(&progress)?;
        let prepared = async {
            let stack = Stack::open_in(settings, session.backend(), toolchain, &self.target).await?;
            stackproof::stack::configure(&stack, &self.target).await?;
            stackproof::foundation::push_sample(&stack, &self.target, &progress).await
        };
        let prepared = session.watching(prepared).await;
        session.finish(&Ended::plainly(prepared.is_ok(), None)).await?;
        prepared.map(drop)
    }

    fn settings(&self, stack: &str) -> Result<Settings, Failure> {
        let workspace = Workspace { root: self.root.path().to_owned() };
        let settings = Settings::of(&workspace, stack, TargetName::Scaleway);
        settings.lay_out()?;
        Ok(settings)
    }

    /// Runs a command as somebody, to its end.
    ///
    /// # Errors
    /// When it cannot be run, or takes too long.
    pub async fn run(&self, who: &str, arguments: &[&str]) -> Result<Said, Failure> {
        Self::ended(self.start(who, arguments)?).await
    }

    /// Waits for a command's end.
    ///
    /// # Errors
    /// When it is lost, or takes too long.
    pub async fn ended(child: Child) -> Result<Said, Failure> {
        let begun = Instant::now();
        let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
        let output = output.map_err(|_| Failure::failed(format!("a command took longer than {LIMIT:?}")))?;
        let output = output.map_err(|error| Failure::environment("the command was lost").because(error))?;
        Ok(Said::of(&output, begun))
    }

    /// Runs a command on the shared stack.
    ///
    /// # Errors
    /// As above.
    pub async fn on_the_stack(&self, who: &str, words: &[&str]) -> Result<Said, Failure> {
        let arguments: Vec<&str> = words.iter().copied().chain(["--stack", STACK, "--target", "scaleway"]).collect();
        self.run(who, &arguments).await
    }

    /// Runs the one command that another one said goes on from there.
    ///
    /// # Errors
    /// When it said none, or that one cannot be run.
    pub async fn follow(&self, who: &str, said: &Said) -> Result<Said, Failure> {
        let words = said.next()?;
        self.run(who, &words.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// Starts a command on the shared stack.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn begin(&self, who: &str, words: &[&str], variables: &[(&str, String)]) -> Result<Child, Failure> {
        let arguments: Vec<&str> = words.iter().copied().chain(["--stack", STACK, "--target", "scaleway"]).collect();
        self.start_with(who, &arguments, variables)
    }

    /// Who stands in line for the shared stack, in order.
    ///
    /// # Errors
    /// When the lock does not answer.
    pub async fn line(&self) -> Result<Vec<String>, Failure> {
        let status = self.on_the_stack("ada", &["lock", "status", "--json"]).await?.success()?.json()?;
        let queue = status["queue"].as_array().into_iter().flatten();
        Ok(queue.filter_map(|waiter| waiter["owner"]["who"].as_str().map(str::to_owned)).collect())
    }

    /// The rows of the shared stack's audit trail, oldest first.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn rows(&self) -> Result<Value, Failure> {
        let listed = self.on_the_stack("ada", &["audit", "list", "--json", "--last", "1000"]).await?.success()?;
        Ok(listed.json()?["rows"].take())
    }

    /// The deployers' application, as bucket policies name it.
    ///
    /// # Errors
    /// When the cloud does not answer, or has none.
    pub async fn application(&self) -> Result<String, Failure> {
        let name = self.names(STACK)?.named("deployers");
        let listed = self.target.api()?.get("/iam/v1alpha1/applications?page_size=100").await?;
        let mut applications = listed.body["applications"].as_array().into_iter().flatten();
        let found = applications.find(|application| application["name"] == name.as_str());
        let id = found.and_then(|application| application["id"].as_str());
        id.map(|id| format!("application_id:{id}")).ok_or_else(|| Failure::failed(format!("no application {name}")))
    }

    /// The policy of the state's bucket, as the deployers' key reads it back.
    ///
    /// # Errors
    /// When the bucket does not answer, or has none.
    pub async fn policy(&self) -> Result<Value, Failure> {
        let home = self.home(STACK).await?;
        let policy = home.bucket().policy().await.map_err(|error| Failure::failed(error.to_string()))?;
        let policy = policy.ok_or_else(|| Failure::failed("the bucket has no policy"))?;
        serde_json::from_str(&policy).map_err(|error| Failure::failed("the policy is no JSON").because(error))
    }

    /// The status of a GET of the state: with the owner's own key, or with none.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn status_of_the_state(&self, signed: bool) -> Result<u16, Failure> {
        let names = self.names(STACK)?;
        let key = format!(".pulumi/stacks/small/{STACK}.json");
        if signed {
            let storage = self.target.object_storage()?.in_project(&names.project);
            return storage.get(&names.bucket(), &key).await.map(|(status, _)| status);
        }
        let address = format!("https://s3.{}.scw.cloud/{}/{key}", names.region, names.bucket());
        self.target.web()?.get(&address).await.map(|page| page.status)
    }

    /// Starts a command as somebody.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start(&self, who: &str, arguments: &[&str]) -> Result<Child, Failure> {
        self.start_with(who, arguments, &[])
    }

    /// Starts a command as somebody whose environment is another one in this.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start_with(&self, who: &str, arguments: &[&str], variables: &[(&str, String)]) -> Result<Child, Failure> {
        let program = stackproof::target::program()?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.root.path()).kill_on_drop(true);
        // Known by its environment alone: the way that Scaleway is known.
        self.target.environment().apply(&mut command);
        command.env("STACKPROOF_ROOT", self.root.path()).env("GITHUB_ACTOR", who);
        command.env("GIT_CEILING_DIRECTORIES", self.root.path());
        for name in ["STACKPROOF_HOLD", "GITHUB_RUN_ID"] {
            command.env_remove(name);
        }
        if let Some(lease) = self.lease {
            command.env("STACKPROOF_LEASE", format!("{}ms", lease.as_millis()));
        }
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|error| Failure::environment("stackproof could not be run").because(error))
    }

    /// Changes the shared stack's configuration, as a person edits the file: a plain key of the small program.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, stack: &str, values: &[(&str, &str)]) -> Result<(), Failure> {
        let file = self.settings(stack)?.configuration_file();
        let cannot = |error: io::Error| Failure::environment("the configuration cannot be written").because(error);
        let text = fs::read_to_string(&file).map_err(cannot)?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (key, value) in values {
            let own = format!("  small:{key}:");
            lines.retain(|line| !line.starts_with(&own));
            let at = lines.iter().position(|line| line == "config:").map_or(lines.len(), |at| at + 1);
            lines.insert(at, format!("{own} \"{value}\""));
        }
        fs::write(&file, lines.join("\n") + "\n").map_err(cannot)
    }

    /// Prepares one more stack of the small program, which shares nothing but the cloud.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn add_stack(&self, stack: &str) -> Result<(), Failure> {
        configure_stack(self.root.path(), stack, &self.prefix, self.program)
            .map_err(|error| Failure::environment("a stack cannot be prepared").because(error))?;
        self.allow(stack)
    }
}

/// A checkout with the small program in the place of the stack's, and everything else as it is.
fn lay_out(workspace: &Workspace, root: &Path, prefix: &str, program: &str) -> io::Result<()> {
    let link = |from: PathBuf, to: PathBuf| std::os::unix::fs::symlink(from, to);
    let infra = root.join("infra");
    fs::create_dir_all(&infra)?;
    for name in ["Pulumi.yaml", "__main__.py"] {
        link(workspace.root.join(program).join(name), infra.join(name))?;
    }
    // The rules are the whole stack's: what the small program makes has no tags, say.
    let rules: &[&str] = if program == WHOLE { &["policy", "stackproof_policy"] } else { &[] };
    for name in ["state", "stackproof_infra", "requirements.txt", "requirements-dev.txt"].iter().chain(rules) {
        link(workspace.infra().join(name), infra.join(name))?;
    }
    link(workspace.tools(), root.join("tools"))?;
    link(workspace.root.join("scenarios"), root.join("scenarios"))?;
    configure_stack(root, STACK, prefix, program)
}

fn configure_stack(root: &Path, stack: &str, prefix: &str, program: &str) -> io::Result<()> {
    let text = if program == SMALL {
        format!("config:\n  small:prefix: {prefix}\n")
    } else {
        // What a team protects in production, a scenario has to take away again.
        let own =
            "  stackproof-infra:storage: {forceDestroy: true}\n  stackproof-infra:encryption: {protected: false}\n";
        format!("config:\n  stackproof-infra:prefix: {prefix}\n{own}")
    };
    fs::write(root.join(format!("infra/Pulumi.{stack}.yaml")), text)
}

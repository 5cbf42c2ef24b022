//! `stackproof up`, `preview`, `refresh`, `destroy`: the stack, deployed by Pulumi.

use clap::Args;
use owo_colors::OwoColorize;
use stackproof::{
    Failure, Progress, Toolchain, Workspace,
    acceptance::TargetName,
    check, compliance, foundation,
    pulumi::{Operation, Outcome, Settings, Stack},
    sovereign::{self, Home, Names, Work},
    stack::{Cost, configure},
    target::{CloudHome, Target},
};
use stackproof_cloud::kernel::Profile;
use stackproof_planes::network::Choice;

/// The project's own program. Of another, put into its place, only Pulumi knows what it needs.
pub(super) const OWN: &str = "stackproof-infra";

/// Which stack, where.
#[derive(Args)]
pub(crate) struct Deploy {
    /// The stack: Pulumi.<STACK>.yaml is its configuration.
    #[arg(long, default_value = "dev")]
    stack: String,
    /// The cloud it is deployed to.
    #[arg(long, value_enum, default_value = "local")]
    target: TargetName,
    #[command(flatten)]
    line: super::line::Line,
    /// Keep the state in a folder of this machine: no lock, no history, no audit trail. For the local cloud only.
    #[arg(long)]
    state_folder: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What to do about resources that an interrupted run was making, where a person has to decide.
#[derive(Args)]
pub(crate) struct Pending {
    /// Take one that is there into the state: given twice for each, with its URN and then with its identifier.
    #[arg(long, value_name = "URN or ID")]
    import_pending_creates: Vec<String>,
    /// Forget the others: they are not there.
    #[arg(long)]
    clear_pending_creates: bool,
}

impl Pending {
    /// The refresh that does it.
    pub(crate) fn operation(self) -> Result<Operation, Failure> {
        let (pairs, rest) = self.import_pending_creates.as_chunks();
        if !rest.is_empty() {
            return Err(Failure::usage("--import-pending-creates comes in pairs")
                .because(format!("there is no identifier for {}", rest.join(", ")))
                .next("stackproof state recover --look"));
        }
        if pairs.is_empty() && !self.clear_pending_creates {
            return Ok(Operation::Refresh);
        }
        let import = pairs.iter().map(|[urn, id]| (urn.clone(), id.clone())).collect();
        Ok(Operation::Recover { import, forget: self.clear_pending_creates })
    }
}

/// Does it and tells what came of it.
pub(crate) async fn run(deploy: Deploy, operation: Operation) -> Result<(), Failure> {
    let workspace = Workspace::find()?;
    let progress = if deploy.json { Progress::Silent } else { Progress::detect() };
    let toolchain = Toolchain::ensure(&progress)?;
    let cloud = CloudHome::at(&workspace.cloud_dir())?;
    if deploy.target == TargetName::Blind {
        return Err(Failure::usage("the blind target is for scenarios").next("stackproof accept --target blind"));
    }
    if deploy.target != TargetName::Scaleway && cloud.running().await.is_err() {
        progress.say("No local cloud is running; starting one.");
        cloud.start(Profile::Instant, true, Choice::Automatic).await?;
    }
    let target = Target::running(deploy.target, &cloud).await?;
    let settings = Settings::of(&workspace, &deploy.stack, deploy.target);
    settings.lay_out()?;
    let ours = settings.project()? == OWN;
    let up = operation == Operation::Up;
    // Before anything is asked of the cloud, the foundation included.
    let unjudged = if ours && (up || matches!(operation, Operation::Preview { .. })) {
        let region = &target.environment().credentials().region;
        compliance::program::before(&workspace, &toolchain.python.path, &settings, region)?
    } else {
        None
    };
    let work = Work { settings: &settings, toolchain: &toolchain, target: &target, progress: &progress };
    let home = deploy.home(work, &operation).await?;
    let before = match target.control() {
        Some(control) => Some(control.totals().await?),
        None => None,
    };
    let local = deploy.target != TargetName::Scaleway;
    let check = async |stack: &Stack| {
        if !ours {
            return Ok(());
        }
        if let Some(home) = &home {
            stackproof::rotate::align(home, stack, OWN).await?;
        }
        configure(stack, &target).await?;
        if local && up {
            match &home {
                Some(_) => foundation::push_sample(stack, &target, &progress).await?,
                None => foundation::lay(stack, &toolchain, &target, &progress).await?,
            };
        }
        let faults =
            check::configuration(&workspace, &toolchain.python.path, stack.settings(), &["scaleway:projectId"])?;
        faults.refuse()?;
        if up && let Some(why) = &unjudged {
            progress.say(format!("The rules are judged by a preview, since the program does not run alone: {why}"));
            let preview = Operation::Preview { refresh: false, expect_no_changes: false };
            stack.run(&preview, &progress).await?.success()?;
        }
        Ok(())
    };
    let outcome = match &home {
        Some(home) => home.operate(work, &operation, &deploy.command(&operation), deploy.line.wait(), check).await?,
        None => {
            let stack = Stack::open(settings.clone(), toolchain.clone(), &target).await?;
            check(&stack).await?;
            stack.run(&operation, &progress).await?
        }
    };
    let cost = match (target.control(), before) {
        (Some(control), Some(before)) => Some(Cost::between(&before, &control.totals().await?, outcome.seconds)),
        _ => None,
    };
    // What was deployed and does not run is no failure of the deployment: the provider only warns of it.
    let troubles = match target.control() {
        Some(control) if operation != Operation::Destroy => control.troubles().await?,
        _ => Vec::new(),
    };
    if deploy.json {
        let document = serde_json::json!({"outcome": outcome, "cost": cost, "troubles": troubles});
        anstream::println!("{document:#}");
    } else {
        show(&outcome);
        if let Some(cost) = &cost {
            anstream::println!("{cost}");
        }
        if let Some(control) = target.control() {
            super::cloud::tell(control, &troubles);
        }
    }
    outcome.success().map(drop)
}

impl Deploy {
    /// What is noted of this command.
    fn command(&self, operation: &Operation) -> String {
        let target =
            if self.target == TargetName::Local { String::new() } else { format!(" --target {}", self.target) };
        // Deciding about what is pending is a refresh, too.
        let word = if matches!(operation, Operation::Recover { .. }) { "refresh" } else { operation.as_str() };
        format!("stackproof {word} --stack {}{target}", self.stack)
    }

    /// Where the state is; none: in a folder of this machine.
    async fn home(&self, work: Work<'_>, operation: &Operation) -> Result<Option<Home>, Failure> {
        if self.state_folder && self.target == TargetName::Scaleway {
            return Err(Failure::usage("--state-folder is for the local cloud")
                .because("a state on one machine is nobody else's, and no lock guards it")
                .next(format!("stackproof state init --stack {} --target scaleway", self.stack)));
        }
        if self.state_folder || work.settings.folder.join("state/.pulumi").exists() {
            return Ok(None);
        }
        if let Some(home) = Home::find(work.target, Names::of(work.settings, work.target)?).await? {
            return Ok(Some(home));
        }
        if self.target == TargetName::Scaleway {
            return Err(Failure::usage(format!("the state of stack {} has no home yet", self.stack))
                .because("its bucket, its lock and its passphrase are made once, by infra/state")
                .next(format!("stackproof state init --stack {} --target scaleway", self.stack)));
        }
        let missing = match work.target.control() {
            Some(control) => control.missing().await?,
            None => Vec::new(),
        };
        if !missing.is_empty() {
            work.progress
                .say(format!("The state is kept in a folder of this machine, without a lock: {}.", missing.join("; ")));
            return Ok(None);
        }
        if *operation != Operation::Up {
            return Err(Failure::usage(format!("stack {} was never deployed to this cloud", self.stack))
                .next(format!("stackproof up --stack {}", self.stack)));
        }
        work.progress.say("The state has no home yet; making one: its bucket, its lock, its passphrase.");
        sovereign::bootstrap(work.settings, work.toolchain, work.target, work.progress).await.map(Some)
    }
}

fn show(outcome: &Outcome) {
    for change in outcome.events.effective() {
        let line = format!("{:>9}  {} ({})", change.op, change.name(), change.token);
        match change.op.as_str() {
            "create" | "import" => anstream::println!("{}", line.green()),
            "delete" => anstream::println!("{}", line.red()),
            _ => anstream::println!("{}", line.yellow()),
        }
    }
    let counts: Vec<String> = outcome.events.summary.iter().map(|(op, count)| format!("{count} {op}")).collect();
    anstream::println!("{}: {} in {:.1} s", outcome.operation, counts.join(", "), outcome.seconds);
}

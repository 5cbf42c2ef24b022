//! `stackproof up`, `preview`, `refresh`, `destroy`: the stack, deployed by Pulumi.

use clap::Args;
use owo_colors::OwoColorize;
use stackproof::{
    Failure, Progress, Toolchain, Workspace,
    acceptance::TargetName,
    check,
    pulumi::{Operation, Outcome, Settings, Stack},
    target::{CloudHome, Target},
};
use stackproof_cloud::kernel::Profile;
use stackproof_planes::network::Choice;

/// Which stack, where.
#[derive(Args)]
pub(crate) struct Deploy {
    /// The stack: Pulumi.<STACK>.yaml is its configuration.
    #[arg(long, default_value = "dev")]
    stack: String,
    /// The cloud it is deployed to.
    #[arg(long, value_enum, default_value = "local")]
    target: TargetName,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Does it and tells what came of it.
pub(crate) async fn run(deploy: Deploy, operation: Operation) -> Result<(), Failure> {
    let workspace = Workspace::find()?;
    let progress = if deploy.json { Progress::Silent } else { Progress::detect() };
    let toolchain = Toolchain::ensure(&progress)?;
    let home = CloudHome::at(&workspace.cloud_dir())?;
    if deploy.target == TargetName::Blind {
        return Err(Failure::usage("the blind target is for scenarios").next("stackproof accept --target blind"));
    }
    if deploy.target != TargetName::Scaleway && home.running().await.is_err() {
        progress.say("No local cloud is running; starting one.");
        home.start(Profile::Instant, true, Choice::Automatic).await?;
    }
    let target = Target::running(deploy.target, &home).await?;
    let settings = Settings::of(&workspace, &deploy.stack, deploy.target);
    let stack = Stack::open(settings, toolchain.clone(), &target).await?;
    stackproof::stack::configure(&stack, &target).await?;
    if deploy.target != TargetName::Scaleway && operation == Operation::Up {
        stackproof::foundation::lay(&stack, &toolchain, &target, &progress).await?;
    }
    check::configuration(&workspace, &toolchain.python.path, stack.settings(), &["scaleway:projectId"])?.refuse()?;
    let before = match target.control() {
        Some(control) => Some(control.totals().await?),
        None => None,
    };
    let outcome = stack.run(&operation, &progress).await?;
    let cost = match (target.control(), before) {
        (Some(control), Some(before)) => {
            Some(stackproof::stack::Cost::between(&before, &control.totals().await?, outcome.seconds))
        }
        _ => None,
    };
    if deploy.json {
        let document = serde_json::json!({"outcome": outcome, "cost": cost});
        anstream::println!("{document:#}");
    } else {
        show(&outcome);
        if let Some(cost) = &cost {
            anstream::println!("{cost}");
        }
    }
    outcome.success().map(drop)
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

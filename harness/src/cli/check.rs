//! `stackproof check`: everything that can be said of the stack without a cloud.

use clap::Args;
use owo_colors::OwoColorize;
use serde_json::json;
use stackproof::{
    Exit, Failure, Progress, Toolchain, Workspace,
    acceptance::TargetName,
    check::{self, Verdict},
    privilege,
    pulumi::Settings,
    rotate,
    target::{CloudHome, Target},
};

use super::rules::Rules;

/// Judge the configuration, the rules of infra/policy and the program's types; nothing is contacted.
#[derive(Args)]
pub(crate) struct Check {
    /// The stack: Pulumi.<STACK>.yaml is its configuration; all stacks of the program where none is named.
    #[arg(long)]
    stack: Vec<String>,
    /// The cloud it is meant for: a local cloud is given what is missing, such as passwords.
    #[arg(long, value_enum, default_value = "local")]
    target: TargetName,
    /// Compare what every application called on the running local cloud with what it is granted: what is too much,
    /// and what is missing. Nothing else is judged.
    #[arg(long, conflicts_with_all = ["stack", "target"])]
    iam: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Whether it is about permissions.
    pub(super) fn iam(&self) -> bool {
        self.iam
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Check) -> Result<Exit, Failure> {
    let workspace = Workspace::find()?;
    let python = Toolchain::python(&Progress::detect())?.path;
    let stacks = if arguments.stack.is_empty() { workspace.stacks()? } else { arguments.stack.clone() };
    let judge = |stack: &String| {
        let settings = Settings::of(&workspace, stack, arguments.target);
        check::configuration(&workspace, &python, &settings, check::supplied(arguments.target))
    };
    let verdicts = stacks.iter().map(judge).collect::<Result<Vec<Verdict>, Failure>>()?;
    let well = stacks.iter().zip(&verdicts).filter(|(_, verdict)| verdict.ok).map(|(stack, _)| stack.as_str());
    let rules = Rules::judge(&workspace, &python, arguments.target, well)?;
    let types = check::types(&workspace, &python)?;
    let configured = verdicts.iter().all(|verdict| verdict.ok);
    let ending: Vec<_> = verdicts.iter().filter_map(|verdict| rotate::configured(&verdict.file)).collect();
    let ok = types.ok && rules.ok() && configured;
    if arguments.json {
        let document = json!({
            "schema": 1, "ok": ok, "stacks": verdicts, "rules": rules.document(), "types": types, "keys": ending
        });
        anstream::println!("{document:#}");
    } else {
        verdicts.iter().for_each(show);
        for key in &ending {
            anstream::println!("{:>5}  {key}", "soon".yellow());
        }
        rules.show();
        let word = if types.ok { "ok".green().to_string() } else { "wrong".red().to_string() };
        anstream::println!("{word:>5}  types of the program");
        if !types.ok {
            anstream::println!("{}", types.output.trim_end());
        }
    }
    // A wrong configuration is the user's to mend; a program whose types are wrong, or that breaks a rule, has failed.
    Ok(match (ok, types.ok && rules.ok()) {
        (true, _) => Exit::Success,
        (false, true) => Exit::Usage,
        (false, false) => Exit::Failed,
    })
}

/// Judges permissions by what was called.
pub(super) async fn permissions(arguments: &Check) -> Result<Exit, Failure> {
    let home = CloudHome::at(&Workspace::find()?.cloud_dir())?;
    let target = Target::running(TargetName::Local, &home).await?;
    let verdict = privilege::check(&target).await?;
    if arguments.json {
        let document = json!({"schema": 1, "ok": verdict.ok, "permissions": verdict});
        anstream::println!("{document:#}");
    } else {
        anstream::print!("{verdict}");
    }
    Ok(if verdict.ok { Exit::Success } else { Exit::Failed })
}

fn show(verdict: &Verdict) {
    if verdict.ok {
        anstream::println!("{:>5}  configuration of {}", "ok".green(), verdict.stack);
        return;
    }
    anstream::println!("{:>5}  configuration of {} ({})", "wrong".red(), verdict.stack, verdict.file.display());
    for fault in &verdict.faults {
        anstream::println!("         {fault}");
    }
}

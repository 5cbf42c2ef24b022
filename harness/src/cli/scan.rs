//! `stackproof scan`: whether a deployed stack's credentials are where they must not be.

use clap::Args;
use serde_json::json;
use stackproof::{
    Exit, Failure, Progress, Toolchain, Workspace,
    acceptance::TargetName,
    pulumi::{Settings, Stack},
    scan::{Credential, Scan, stored},
    target::{CloudHome, Target},
};

/// Search for the credentials of a deployed stack wherever they must not be: what Secret Manager keeps, and the
/// deployer's key, in states, outputs, logs, reports, processes, images and the local cloud's folder.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The stack.
    #[arg(long, default_value = "dev")]
    stack: String,
    /// The cloud it is deployed to.
    #[arg(long, value_enum, default_value = "local")]
    target: TargetName,
    /// Buckets to search, too, such as the one of the state.
    #[arg(long)]
    bucket: Vec<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Where the deployer's key is kept.
const KEPT: [&str; 2] = ["organization.json", "running.json"];

/// Runs it.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let workspace = Workspace::find()?;
    let progress = if arguments.json { Progress::Silent } else { Progress::detect() };
    let home = CloudHome::at(&workspace.cloud_dir())?;
    let target = Target::running(arguments.target, &home).await?;
    let who = target.environment().credentials();
    let settings = Settings::of(&workspace, &arguments.stack, arguments.target);
    let stack = Stack::open(settings.clone(), Toolchain::ensure(&progress)?, &target).await?;
    let project = stack.settings().value("scaleway:projectId")?.unwrap_or_else(|| who.project_id.clone());
    let mut credentials = stored(&target.api()?, &project).await?;
    credentials.push(Credential::new("the deployer's key", &who.secret_key));

    let mut scan = Scan::new(&credentials)?;
    scan.folder("state", &settings.folder, &["plugins", stack.profile()])?;
    for bucket in &arguments.bucket {
        scan.bucket("state", &target.object_storage()?.in_project(&project), bucket).await?;
    }
    if let Ok(outputs) = stack.shown_outputs().await {
        scan.bytes("outputs", "pulumi stack output", outputs.as_bytes());
    }
    if arguments.target != TargetName::Scaleway {
        scan.folder("cloud", home.folder(), &KEPT)?;
        let planes = home.planes_dir(true)?;
        if planes.exists() {
            scan.folder("cloud", &planes, &[])?;
        }
    }
    let report = workspace.root.join("report");
    if report.exists() {
        scan.folder("report", &report, &[])?;
    }
    if let Some(image) = stack.get("container.image").await? {
        scan.image(&target, &image).await?;
    }
    scan.processes(|process, _| process.contained)?;

    let findings = scan.findings();
    if arguments.json {
        let document = json!({ "schema": 1, "findings": findings, "searched": scan.searched() });
        anstream::println!("{document:#}");
    } else {
        for (place, searched) in scan.searched() {
            anstream::println!("{place:<10} {:>6} searched, {:>12} bytes", searched.items, searched.bytes);
        }
        for finding in &findings {
            anstream::println!("{finding}");
        }
        anstream::println!("{} credentials, {} findings", credentials.len(), findings.len());
    }
    Ok(if findings.is_empty() { Exit::Success } else { Exit::Failed })
}

//! `stackproof image`: images for the stack's container.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stackproof::{
    Failure, Progress, Toolchain, Workspace,
    acceptance::TargetName,
    foundation,
    image::{self, Source},
    pulumi::{Settings, Stack},
    target::{CloudHome, Target},
};

/// What to do with an image.
#[derive(Subcommand)]
pub(crate) enum Images {
    /// Push an image to the stack's registry and put its digest into the stack's configuration.
    Push(Push),
}

/// Which image, where to.
#[derive(Args)]
pub(crate) struct Push {
    /// An OCI image layout, a tar archive of one, or what docker save writes. Without it the sample application is
    /// built and pushed.
    source: Option<PathBuf>,
    /// The stack whose container is to run it.
    #[arg(long, default_value = "dev")]
    stack: String,
    /// The cloud whose registry it is pushed to.
    #[arg(long, value_enum, default_value = "local")]
    target: TargetName,
    /// The registry namespace; the foundation's of this stack where none is named.
    #[arg(long)]
    namespace: Option<String>,
    /// The image's name in the namespace.
    #[arg(long, default_value = "app")]
    name: String,
    /// The tag.
    #[arg(long, default_value = "latest")]
    tag: String,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(crate) async fn run(command: Images) -> Result<(), Failure> {
    let Images::Push(push) = command;
    let workspace = Workspace::find()?;
    let progress = if push.json { Progress::Silent } else { Progress::detect() };
    let image = match &push.source {
        Some(path) => Source::open(path)?,
        None => image::sample(&workspace, &progress).await?,
    };
    let toolchain = Toolchain::ensure(&progress)?;
    let home = CloudHome::at(&workspace.cloud_dir())?;
    let target = Target::running(push.target, &home).await?;
    let stack = Stack::open(Settings::of(&workspace, &push.stack, push.target), toolchain, &target).await?;
    let namespace = match push.namespace {
        Some(namespace) => namespace,
        None => foundation::registry_namespace(&stack).await?,
    };
    let reference = foundation::reference(&target, &namespace, &push.name, &push.tag);
    let pushed = image::push(&target, &image, &reference, &progress).await?.to_string();
    stack.set("container.image", &pushed).await?;
    if push.json {
        let document = serde_json::json!({"schema": 1, "stack": push.stack, "image": pushed});
        anstream::println!("{document:#}");
    } else {
        anstream::println!("{pushed}\ncontainer.image of stack {} is this image; stackproof up deploys it", push.stack);
    }
    Ok(())
}

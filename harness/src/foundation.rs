//! The foundation: what must be there before any stack. The registry, because an image must exist before a container
//! that runs it; and the state's own home (`sovereign`).

use crate::{
    Failure, Progress, Toolchain, Workspace,
    image::{self, Reference},
    pulumi::{Operation, Outcome, Settings, Stack},
    target::Target,
};

/// The name of the registry's component: its namespace is called after it.
const REGISTRY: &str = "registry";

/// The registry namespace that the foundation makes for a stack: `<prefix>-<stack>-registry`.
///
/// # Errors
/// When the stack's configuration has no `prefix`.
pub async fn registry_namespace(stack: &Stack) -> Result<String, Failure> {
    let prefix = stack.get("prefix").await?.ok_or_else(|| no_prefix(stack.name()))?;
    Ok(format!("{prefix}-{}-{REGISTRY}", stack.name()))
}

/// What a stack without a prefix is told.
pub(crate) fn no_prefix(stack: &str) -> Failure {
    Failure::usage(format!("stack {stack} has no prefix"))
        .because("every real name begins with it")
        .next("pulumi config set prefix <one of your own>")
}

/// An image's place in the registry of a target's region.
pub fn reference(target: &Target, namespace: &str, name: &str, tag: &str) -> Reference {
    let host = format!("rg.{}.scw.cloud", target.environment().credentials().region);
    Reference::with_tag(host, format!("{namespace}/{name}"), tag.to_owned())
}

/// The foundation's own stack for a stack: of the same name, prefix and project.
///
/// # Errors
/// When Pulumi refuses.
pub async fn open(stack: &Stack, toolchain: &Toolchain, target: &Target) -> Result<Stack, Failure> {
    let foundation = Stack::open(settings(stack.settings())?, toolchain.clone(), target).await?;
    place(&foundation, stack.settings()).await?;
    Ok(foundation)
}

/// Where the foundation of a stack keeps its things.
///
/// # Errors
/// When there is no checkout.
pub fn settings(stack: &Settings) -> Result<Settings, Failure> {
    let program = Workspace::find()?.infra().join("state");
    Ok(Settings { name: stack.name.clone(), program, folder: stack.folder.join("foundation") })
}

/// Gives a foundation the prefix, project and region of its stack.
///
/// # Errors
/// When a configuration cannot be read or written.
pub async fn place(foundation: &Stack, stack: &Settings) -> Result<(), Failure> {
    let mut values = Vec::new();
    for key in ["prefix", "scaleway:projectId", "scaleway:region"] {
        if let Some(value) = stack.value(key)? {
            values.push((key, value));
        }
    }
    foundation.set_all(&values).await
}

/// Lays the foundation of a stack whose container has no image yet, and gives it the sample application. Nothing is done
/// where an image is configured.
///
/// # Errors
/// When the foundation cannot be deployed, or the image not be pushed.
pub async fn lay(stack: &Stack, toolchain: &Toolchain, target: &Target, progress: &Progress) -> Result<bool, Failure> {
    if stack.get("container.image").await?.is_some() {
        return Ok(false);
    }
    progress.say("The container has no image yet; laying the foundation.");
    let foundation = open(stack, toolchain, target).await?;
    foundation.run(&Operation::Up, progress).await?.success()?;
    push_sample(stack, target, progress).await
}

/// Gives a stack whose container has no image yet the sample application. The registry is there.
///
/// # Errors
/// When the image cannot be built or pushed.
pub async fn push_sample(stack: &Stack, target: &Target, progress: &Progress) -> Result<bool, Failure> {
    if stack.get("container.image").await?.is_some() {
        return Ok(false);
    }
    progress.say("The container has no image yet; pushing the sample application.");
    let image = image::sample(&Workspace::find()?, progress).await?;
    let reference = reference(target, &registry_namespace(stack).await?, "app", "sample");
    let pushed = image::push(target, &image, &reference, progress).await?;
    stack.set("container.image", &pushed.to_string()).await?;
    Ok(true)
}

/// Takes a stack's foundation away again.
///
/// # Errors
/// When Pulumi cannot be run.
pub async fn destroy(
    stack: &Stack,
    toolchain: &Toolchain,
    target: &Target,
    progress: &Progress,
) -> Result<Outcome, Failure> {
    open(stack, toolchain, target).await?.run(&Operation::Destroy, progress).await
}

//! The foundation: what must be there before any stack. So far the registry, because an image must exist
//! before a container that runs it.

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
    let prefix = stack.get("prefix").await?.ok_or_else(|| {
        Failure::usage(format!("stack {} has no prefix", stack.name()))
            .because("every real name begins with it")
            .next("pulumi config set prefix <one of your own>")
    })?;
    Ok(format!("{prefix}-{}-{REGISTRY}", stack.name()))
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
    let settings = Settings {
        name: stack.name().to_owned(),
        program: Workspace::find()?.infra().join("state"),
        folder: stack.settings().folder.join("foundation"),
    };
    let foundation = Stack::open(settings, toolchain.clone(), target).await?;
    let mut values = Vec::new();
    for key in ["prefix", "scaleway:projectId", "scaleway:region"] {
        if let Some(value) = stack.get(key).await? {
            values.push((key, value));
        }
    }
    foundation.set_all(&values).await?;
    Ok(foundation)
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
    progress.say("The container has no image yet; laying the foundation and pushing the sample application.");
    let foundation = open(stack, toolchain, target).await?;
    foundation.run(&Operation::Up, progress).await?.success()?;
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

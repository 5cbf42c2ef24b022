//! Where the state of a stack is and what guards it, by name.
//!
//! All of it follows from the stack's prefix and name, as `infra/state` makes it: whoever can deploy a stack finds its
//! state, and no file has to say where.

use crate::{Failure, acceptance::TargetName, pulumi::Settings, target::Target};

/// The names of a stack's foundation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The start of every name.
    pub prefix: String,
    /// The stack.
    pub stack: String,
    /// The project that everything is in.
    pub project: String,
    /// The region of all but the backups.
    pub region: String,
    /// The cloud.
    pub target: TargetName,
}

impl Names {
    /// Those of a stack that was laid out, on a target.
    ///
    /// # Errors
    /// When the stack's configuration has no prefix.
    pub fn of(stack: &Settings, target: &Target) -> Result<Self, Failure> {
        let who = target.environment().credentials();
        let project = stack.value("scaleway:projectId")?.unwrap_or_else(|| who.project_id.clone());
        let region = stack.value("scaleway:region")?.unwrap_or_else(|| who.region.clone());
        let prefix = stack.value("prefix")?.ok_or_else(|| crate::foundation::no_prefix(&stack.name))?;
        Ok(Self { prefix, stack: stack.name.clone(), project, region, target: target.name() })
    }

    /// The words that name the stack on a command line.
    pub fn words(&self) -> String {
        let target =
            if self.target == TargetName::Local { String::new() } else { format!(" --target {}", self.target) };
        format!("--stack {}{target}", self.stack)
    }

    /// A real name: `<prefix>-<stack>-<what>`.
    pub fn named(&self, what: &str) -> String {
        format!("{}-{}-{what}", self.prefix, self.stack)
    }

    /// The bucket of the state.
    pub fn bucket(&self) -> String {
        self.named("state")
    }

    /// The bucket of its backups, in another region.
    pub fn backup_bucket(&self) -> String {
        self.named("state-backup")
    }

    /// Where its secrets are in Secret Manager.
    pub fn secrets(&self) -> String {
        format!("/{}/{}", self.prefix, self.stack)
    }
}

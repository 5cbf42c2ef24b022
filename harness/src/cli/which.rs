//! Whose state a command is about, opened.

use clap::Args;
use stackproof::{
    Failure, Progress, Toolchain, Workspace,
    acceptance::TargetName,
    foundation,
    pulumi::Settings,
    sovereign::{Home, Names, Work},
    target::{CloudHome, Target},
};

/// Whose state.
#[derive(Args)]
pub(crate) struct Which {
    /// The stack.
    #[arg(long, default_value = "dev")]
    stack: String,
    /// The cloud it is deployed to.
    #[arg(long, value_enum, default_value = "local")]
    target: TargetName,
    /// The foundation's own state (infra/state) rather than the stack's.
    #[arg(long)]
    foundation: bool,
}

/// A stack's state, with what is needed to work on it.
pub(crate) struct Opened {
    /// The cloud.
    pub(crate) target: Target,
    /// The stack's settings; the foundation's own, where that is asked for.
    pub(crate) settings: Settings,
    /// Where its state is.
    pub(crate) home: Home,
    /// Its project.
    pub(crate) project: String,
}

impl Which {
    /// The words that name it on a command line.
    pub(crate) fn words(&self) -> String {
        let target =
            if self.target == TargetName::Local { String::new() } else { format!(" --target {}", self.target) };
        format!("--stack {}{target}{}", self.stack, if self.foundation { " --foundation" } else { "" })
    }

    /// The target and the stack's own settings, laid out.
    pub(crate) async fn stack(&self) -> Result<(Target, Settings), Failure> {
        let workspace = Workspace::find()?;
        let target = Target::running(self.target, &CloudHome::at(&workspace.cloud_dir())?).await?;
        let settings = Settings::of(&workspace, &self.stack, self.target);
        settings.lay_out()?;
        Ok((target, settings))
    }

    /// Opens the stack's own state, for what is about both.
    pub(crate) async fn open_stack(&self) -> Result<Opened, Failure> {
        if self.foundation {
            return Err(Failure::usage("--foundation is for commands about one state").next("leave it out"));
        }
        self.open().await
    }

    /// Opens it.
    pub(crate) async fn open(&self) -> Result<Opened, Failure> {
        let (target, stack) = self.stack().await?;
        let names = Names::of(&stack, &target)?;
        let home = Home::find(&target, names).await?.ok_or_else(|| {
            Failure::usage(format!("the state of stack {} has no home", self.stack))
                .because("no bucket, no lock and no passphrase were made for it on this cloud")
                .next(format!("stackproof state init {}", self.words()))
        })?;
        let settings = if self.foundation { foundation::settings(&stack)? } else { stack };
        let project = settings.project()?;
        Ok(Opened { target, settings, home, project })
    }
}

impl Opened {
    /// For operations of Pulumi's.
    pub(crate) fn work<'a>(&'a self, toolchain: &'a Toolchain, progress: &'a Progress) -> Work<'a> {
        Work { settings: &self.settings, toolchain, target: &self.target, progress }
    }
}

//! Pulumi's operations on a stack whose state has a home.

use stackproof_state::{
    gateway::{Gateway, Permission},
    lock::Wait,
};

use super::{Ended, Home, Session, session::unavailable};
use crate::{
    Failure, Progress, Toolchain,
    pulumi::{Backend, Operation, Outcome, Settings, Stack},
    target::Target,
};

/// What is operated on, with what, where.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// The stack.
    pub settings: &'a Settings,
    /// The tools.
    pub toolchain: &'a Toolchain,
    /// The cloud.
    pub target: &'a Target,
    /// What is shown meanwhile.
    pub progress: &'a Progress,
}

impl Work<'_> {
    /// The stack, with its state where the backend leads.
    pub(crate) async fn open(&self, backend: Backend) -> Result<Stack, Failure> {
        Stack::open_in(self.settings.clone(), backend, self.toolchain.clone(), self.target).await
    }
}

impl Home {
    /// Runs an operation: under the lock and with a row in the audit trail if it changes the state, freely if not. `ready`
    /// is given the open stack before, to see to its configuration.
    ///
    /// # Errors
    /// When somebody else has the lock (exit 3), an interrupted run left operations pending, or Pulumi cannot be run.
    pub async fn operate(
        &self,
        work: Work<'_>,
        operation: &Operation,
        command: &str,
        wait: Wait,
        ready: impl AsyncFnOnce(&Stack) -> Result<(), Failure>,
    ) -> Result<Outcome, Failure> {
        let project = work.settings.project()?;
        if !operation.changes_the_state() {
            let (backend, _gateway) = self.to_look_at(&project, work.settings).await?;
            let stack = work.open(backend).await?;
            ready(&stack).await?;
            return stack.run(operation, work.progress).await;
        }
        let session = self.begin(&project, command, wait, work.progress).await?;
        let run = async {
            self.nobody_else(&session).await?;
            // Whoever decides about pending operations by hand is not asked again.
            let decided = matches!(operation, Operation::Recover { .. });
            if !decided {
                self.go_on(&session, work).await?;
            }
            let stack = work.open(session.backend()).await?;
            ready(&stack).await?;
            if let Operation::Recover { import, forget } = operation {
                self.decide(&stack, import, *forget).await?;
            }
            stack.run_until(operation, session.lost(), work.progress).await
        };
        let outcome = session.watching(run).await;
        let ended = outcome.as_ref().map_or_else(|_: &Failure| Ended::plainly(false, None), Ended::of);
        match outcome {
            // What Pulumi said comes first: it is why the rest went wrong.
            Ok(outcome) if !outcome.succeeded() => {
                if let Err(failure) = session.end(Ok(()), &ended, work.progress).await {
                    work.progress.say(failure.to_string());
                }
                Ok(Outcome { next: Some(command.to_owned()), ..outcome })
            }
            outcome => session.end(outcome, &ended, work.progress).await,
        }
    }

    /// Sees to it that a session can begin to work: nobody else does, the state is not lost, and nothing is left of a run
    /// that was interrupted.
    ///
    /// # Errors
    /// When that is not so.
    pub(crate) async fn ready(&self, session: &Session<'_>, work: Work<'_>) -> Result<(), Failure> {
        self.nobody_else(session).await?;
        self.go_on(session, work).await
    }

    async fn nobody_else(&self, session: &Session<'_>) -> Result<(), Failure> {
        self.foreign(self.bucket(), session).await?;
        if session.had_a_state() { Ok(()) } else { self.refuse_lost(session.stack().project()).await }
    }

    /// Runs any other command of Pulumi's under the lock, with this terminal. Gives whether it succeeded.
    ///
    /// # Errors
    /// When somebody else has the lock (exit 3), or Pulumi cannot be run.
    pub async fn pulumi(&self, work: Work<'_>, arguments: &[String], wait: Wait) -> Result<bool, Failure> {
        let project = work.settings.project()?;
        let command = format!("{} -- {}", self.again("stackproof pulumi"), noted(arguments));
        let session = self.begin(&project, &command, wait, work.progress).await?;
        let run = async {
            self.foreign(self.bucket(), &session).await?;
            // `stack import` and `stack init` are ways to have one again.
            if !session.had_a_state() && arguments.first().is_none_or(|word| word != "stack") {
                self.refuse_lost(&project).await?;
            }
            let stack = work.open(session.backend()).await?;
            stack.by_hand(arguments, session.lost()).await
        };
        let succeeded = session.watching(run).await;
        let ended = Ended::plainly(matches!(succeeded, Ok(true)), None);
        session.end(succeeded, &ended, work.progress).await
    }

    /// A way to the state that nothing can be written through; where there is none yet, an empty one of this machine.
    async fn to_look_at(&self, project: &str, settings: &Settings) -> Result<(Backend, Option<Gateway>), Failure> {
        if !self.has(project).await? {
            self.refuse_lost(project).await?;
            return Ok((Backend::folder_with(&settings.folder.join("nothing-yet"), self.passphrase())?, None));
        }
        let stack = self.stack(project)?;
        let gateway = Gateway::open(self.bucket().clone(), &[stack], NoLease).await;
        let again = self.again("stackproof preview");
        let gateway = gateway.map_err(|error| unavailable("the state gateway cannot be opened", &error, &again))?;
        let backend = Backend::through(gateway.environment(), Gateway::unwanted(), self.passphrase()).existing(true);
        Ok((backend, Some(gateway)))
    }

    /// Finishes what an interrupted run left, as far as that can be known, and stops where it cannot: a run would make
    /// again what that one may have made.
    async fn go_on(&self, session: &Session<'_>, work: Work<'_>) -> Result<(), Failure> {
        let recovered = self.resolve(session, work).await?;
        for done in &recovered.done {
            work.progress.say(done);
        }
        if recovered.next.is_empty() {
            return Ok(());
        }
        let stack = session.stack().name();
        let pending = &recovered.unfinished;
        let told: Vec<String> = pending.iter().map(|one| format!("{} {}", one.operation, one.urn)).collect();
        Err(Failure::failed(format!("an interrupted run left {} of {stack} pending", operations(pending.len())))
            .because(told.join("\n"))
            .next(self.again_for("stackproof state recover", session.stack().project())))
    }
}

/// What is noted of a command for everybody to read, for ever: its name and the URNs it is about, and of flags the names.
/// Everything else may be a secret's value.
fn noted(arguments: &[String]) -> String {
    let is_a_name = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let (mut noted, mut names) = (Vec::new(), 0);
    for word in arguments {
        if word.starts_with('-') {
            noted.push(word.split('=').next().unwrap_or_default());
        } else if word.starts_with("urn:pulumi:") {
            noted.push(word);
        } else if names < 2 && is_a_name(word) {
            names += 1;
            noted.push(word);
        } else {
            names = 2;
            noted.push("…");
        }
    }
    noted.dedup_by(|word, before| *word == "…" && *before == "…");
    noted.join(" ")
}

pub(super) fn operations(count: usize) -> String {
    if count == 1 { "an operation".to_owned() } else { format!("{count} operations") }
}

/// Nothing may be written.
struct NoLease;

impl Permission for NoLease {
    fn valid_until(&self) -> Option<std::time::Instant> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_noted() {
        let of = |command: &str| noted(&command.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(
            of("--non-interactive config set --secret databasePassword hunter2"),
            "--non-interactive config set --secret …"
        );
        assert_eq!(of("up -c databasePassword=hunter2 --yes"), "up -c … --yes");
        assert_eq!(of("up --config=databasePassword=hunter2"), "up --config");
        assert_eq!(of("config set password hunter"), "config set …");
        assert_eq!(of("state delete urn:pulumi:dev::a::b::c"), "state delete urn:pulumi:dev::a::b::c");
        assert_eq!(of("stack export --file out.json"), "stack export --file …");
    }
}

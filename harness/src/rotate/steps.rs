//! One program's credentials, step by step, each followed by its row in the audit trail.

use stackproof_state::audit::Change;

use super::{Command, Rotated, Stage, Standing, What, journal::Journal, secrets::Secrets, verify};
use crate::{
    Failure, Progress,
    pulumi::{Operation, Stack},
    sovereign::{Ended, Home, Session, Work},
    stack::password,
};

/// The steps after which something stands elsewhere, in order.
pub(super) const STEPS: [Stage; 5] =
    [Stage::Created, Stage::Deployed, Stage::Verified, Stage::Disabled, Stage::Deleted];

/// Rotates credentials of the stack's own program.
pub(super) async fn of_the_stack(home: &Home, work: Work<'_>, command: Command<'_>) -> Result<Rotated, Failure> {
    let ours = [What::Database, What::ApiKeys];
    if !command.plan.includes(&ours) {
        return Ok(Rotated::default());
    }
    let project = work.settings.project()?;
    let session = home.begin(&project, command.said, command.wait, work.progress).await?;
    let mut changes = Vec::new();
    let run = async {
        home.ready(&session, work).await?;
        let stack = work.open(session.backend()).await?;
        super::align(home, &stack, &project).await?;
        command.plan.begin(home, work.progress).await?;
        let journal = Journal::new(home, &project);
        let standings = journal.unfinished(&ours).await?;
        let mut steps =
            Steps { home, work, session: &session, stack: &stack, journal, standings, changes: &mut changes };
        let evidence = steps.go(&STEPS).await?;
        Ok(Rotated { standings: steps.standings, evidence, ..Rotated::default() })
    };
    let rotated = session.watching(run).await;
    end(session, rotated, changes, work.progress).await
}

/// Ends a session of rotation, with its row.
pub(super) async fn end<T>(
    session: Session<'_>,
    done: Result<T, Failure>,
    changes: Vec<Change>,
    progress: &Progress,
) -> Result<T, Failure> {
    let ended = Ended { changes, ..Ended::plainly(done.is_ok(), None) };
    session.end(done, &ended, progress).await
}

/// Credentials of one program, under its lock.
pub(super) struct Steps<'a> {
    pub(super) home: &'a Home,
    pub(super) work: Work<'a>,
    pub(super) session: &'a Session<'a>,
    pub(super) stack: &'a Stack,
    pub(super) journal: Journal<'a>,
    pub(super) standings: Vec<Standing>,
    /// What Pulumi changed.
    pub(super) changes: &'a mut Vec<Change>,
}

impl Steps<'_> {
    /// Takes these steps for whatever has not taken them. Gives what the new credentials were seen at.
    pub(super) async fn go(&mut self, steps: &[Stage]) -> Result<Vec<String>, Failure> {
        let mut evidence = Vec::new();
        for stage in steps.iter().copied() {
            let behind: Vec<Standing> = self.standings.iter().copied().filter(|one| one.stage < stage).collect();
            if behind.is_empty() {
                continue;
            }
            match stage {
                Stage::Verified => match self.verify().await {
                    Ok(seen) => evidence = seen,
                    // The run itself writes with it: whoever comes next tries it again.
                    Err(failure) if self.of_the_foundation() => return Err(failure.next(self.again())),
                    Err(failure) => return Err(self.roll_back(&behind, failure).await),
                },
                Stage::Disabled => {
                    evidence = self.disable(&behind).await?;
                }
                _ => {
                    for one in &behind {
                        self.configure(one.at(stage)).await?;
                    }
                    self.up().await?;
                }
            }
            if stage == Stage::Deleted {
                evidence = self.verify().await?;
            }
            for one in behind {
                self.reached(one.at(stage)).await?;
            }
        }
        Ok(evidence)
    }

    /// Notes that a step was taken: from now on it need not be taken again.
    async fn reached(&mut self, standing: Standing) -> Result<(), Failure> {
        self.journal.note(standing).await?;
        for one in self.standings.iter_mut().filter(|one| one.what == standing.what) {
            *one = standing;
        }
        self.work.progress.say(standing.to_string());
        Ok(())
    }

    /// Writes into the configuration what a step means.
    async fn configure(&mut self, standing: Standing) -> Result<(), Failure> {
        let Some(setting) = standing.what.setting() else { return Ok(()) };
        let wanted = standing.setting();
        let there = self.stack.get(setting).await?.is_some_and(|there| there == wanted);
        // A user whom nobody signs in as gets the password before its turn, and one whom nobody is to sign in as again
        // gets one that nobody knows.
        let key = match standing.stage {
            Stage::Created if !there => standing.what.password(standing.to()),
            Stage::Deleted => standing.what.password(standing.from),
            Stage::RolledBack => standing.what.password(standing.to()),
            _ => None,
        };
        if let Some(key) = key
            && self.has_password(standing.what).await?
        {
            self.stack.set_secret(key, &password()).await?;
            if standing.what == What::Deployer && standing.stage == Stage::Created {
                // The lock's other user may use the lock before its login is told.
                self.up().await?;
                super::foundation::admit(self.home, self.stack, self.work.target).await?;
            }
        }
        self.stack.set_all(&[(setting, wanted)]).await
    }

    /// Whether a credential has a password at all: a serverless lock has none of its own.
    async fn has_password(&self, what: What) -> Result<bool, Failure> {
        Ok(what != What::Deployer || self.stack.get("lock.kind").await?.as_deref() == Some("managed"))
    }

    async fn up(&mut self) -> Result<(), Failure> {
        let outcome = self.stack.run_until(&Operation::Up, self.session.lost(), self.work.progress).await?;
        self.changes.extend(Ended::of(&outcome).changes);
        outcome.success().map(drop).map_err(|failure| failure.next(self.again()))
    }

    fn again(&self) -> String {
        format!("stackproof rotate {}: it goes on where it stopped", self.home.names().words())
    }

    fn of_the_foundation(&self) -> bool {
        self.standings.iter().any(|one| one.what == What::Deployer)
    }

    /// Disables the former versions, and looks whether anybody needs them after all: then they are enabled again.
    async fn disable(&self, these: &[Standing]) -> Result<Vec<String>, Failure> {
        let secrets = Secrets::new(self.work.target.api()?, self.home.names());
        let all = || these.iter().flat_map(|one| one.what.secrets());
        for secret in all() {
            secrets.disable_former(secret).await?;
        }
        let seen = self.verify().await;
        if seen.is_err() {
            for secret in all() {
                secrets.enable_former(secret).await?;
            }
        }
        seen
    }

    /// Looks for the new credentials where they are used.
    async fn verify(&self) -> Result<Vec<String>, Failure> {
        if self.of_the_foundation() {
            super::foundation::verify(self.home).await
        } else {
            self.verify_application().await
        }
    }

    async fn verify_application(&self) -> Result<Vec<String>, Failure> {
        let outputs = self.stack.outputs().await?;
        let path = self.stack.get("container.healthPath").await?;
        verify::application(self.work.target, &outputs, path.as_deref().unwrap_or("/health")).await
    }

    /// Has the former credentials used again, and takes the new ones away. Gives why.
    async fn roll_back(&mut self, these: &[Standing], why: Failure) -> Failure {
        self.work.progress.say(format!("{}; taking it back", why.what));
        match self.take_back(these).await {
            Ok(()) => Failure { what: format!("{}; the former credentials are in use again", why.what), ..why },
            Err(failure) => Failure {
                meaning: format!("{}\nit could not be taken back: {failure}", why.meaning),
                next: self.again(),
                ..why
            },
        }
    }

    async fn take_back(&mut self, these: &[Standing]) -> Result<(), Failure> {
        for one in these {
            if let Some(setting) = one.what.setting() {
                self.stack.set_all(&[(setting, one.at(Stage::Created).setting())]).await?;
            }
        }
        self.up().await?;
        for one in these {
            self.configure(one.at(Stage::RolledBack)).await?;
        }
        self.up().await?;
        for one in these {
            self.reached(one.at(Stage::RolledBack)).await?;
        }
        Ok(())
    }
}

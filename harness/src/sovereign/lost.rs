//! A state that is not there any more although there was one: noticed before anything is made a second time, and brought
//! back.

use stackproof_state::{audit::Filter, checkpoint, gateway::Leased, lock::Wait};

use super::{
    Ended, Home, Work,
    bootstrap::{self, PROJECT},
    recover::told,
    session::{self, Guarded, unavailable},
};
use crate::Failure;

/// How many of the last rows of the audit trail are looked at for whether there was a state.
const ROWS: u32 = 50;

/// What is gone.
#[derive(Debug)]
pub(super) enum Lost {
    /// The bucket, with all that was in it.
    Bucket,
    /// The state of this project.
    State(String),
}

impl Home {
    /// Stops before a command that would make everything a second time, where there was a state and is none.
    pub(super) async fn refuse_lost(&self, project: &str) -> Result<(), Failure> {
        match self.lost(project).await? {
            Some(lost) => Err(self.gone(&lost)),
            None => Ok(()),
        }
    }

    /// What a person is told of it.
    pub(super) fn gone(&self, lost: &Lost) -> Failure {
        let what = match lost {
            Lost::Bucket => format!("the bucket of the state is not there any more: {}", self.bucket().shown()),
            Lost::State(project) => {
                format!("the state of {project} is not there any more: {}", self.bucket().shown())
            }
        };
        Failure::failed(what)
            .because("what runs in the cloud is not hurt, but to go on without its state would make it a second time")
            .next(match lost {
                Lost::Bucket => self.again("stackproof state recover"),
                Lost::State(project) => self.again_for("stackproof state recover", project),
            })
    }

    /// A command about this stack.
    pub(super) fn again(&self, command: &str) -> String {
        format!("{command} {}", self.names().words())
    }

    /// A command about one state: this stack's, or its foundation's.
    pub(super) fn again_for(&self, command: &str, project: &str) -> String {
        let foundation = if project == PROJECT { " --foundation" } else { "" };
        format!("{}{foundation}", self.again(command))
    }

    /// What is gone of a project's state.
    pub(super) async fn lost(&self, project: &str) -> Result<Option<Lost>, Failure> {
        let again = self.again_for("stackproof state recover", project);
        let away = |error: &stackproof_state::bucket::Error| {
            unavailable("the bucket of the state cannot be used", &session::told(error), &again)
        };
        if !self.bucket().exists().await.map_err(|error| away(&error))? {
            return Ok(Some(Lost::Bucket));
        }
        if self.has(project).await? {
            return Ok(None);
        }
        let filter = Filter {
            project: Some(project.to_owned()),
            stack: Some(self.names().stack.clone()),
            last: Some(ROWS),
            ..Filter::default()
        };
        let rows = self.trail()?.list(&filter).await;
        let rows = rows.map_err(|error| unavailable("the audit trail cannot be read", &error, &again))?;
        for row in rows.iter().rev() {
            if row.after.is_some() {
                return Ok(Some(Lost::State(project.to_owned())));
            }
            // Who succeeded and left none has removed it. Who failed may not have been able to look.
            if row.before.is_some() && row.result == "succeeded" {
                return Ok(None);
            }
        }
        // The trail itself may be a new one.
        let copies = checkpoint::copies(self.backups(), &self.stack(project)?).await;
        let copies = copies.map_err(|error| unavailable("the backups cannot be listed", &error, &again))?;
        Ok((!copies.is_empty()).then(|| Lost::State(project.to_owned())))
    }

    /// Makes the bucket again where it is not there, and brings back the foundation's state and this project's: from the
    /// versions that the bucket has kept, or else from the backups. Tells what was done.
    pub(super) async fn bring_back(&self, work: Work<'_>, project: &str, wait: Wait) -> Result<Vec<String>, Failure> {
        let again = self.again("stackproof state recover");
        let mut done = Vec::new();
        if matches!(self.lost(project).await?, Some(Lost::Bucket)) {
            bootstrap::again(self, work).await?;
            done.push(format!("{} was made again, with the foundation's state in it", self.bucket().shown()));
        }
        let projects = if project == PROJECT { vec![PROJECT] } else { vec![PROJECT, project] };
        for project in projects {
            if self.lost(project).await?.is_none() {
                continue;
            }
            let session = self.begin(project, &again, wait, work.progress).await?;
            let writer = Leased::new(self.bucket().clone(), Guarded(session.guard()));
            let back = checkpoint::bring_back(self.bucket(), self.backups(), &writer, session.stack()).await;
            let back = back.map_err(|error| told(&error));
            let note = back.as_ref().ok().map(|back| format!("it was gone, and is {} again", back.from));
            let ended = Ended::plainly(back.is_ok(), note);
            let back = session.end(back, &ended, work.progress).await?;
            done.push(format!("the state of {project} is what {} was", back.from));
        }
        Ok(done)
    }
}

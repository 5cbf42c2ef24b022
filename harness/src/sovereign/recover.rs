//! Going on after a run that was killed.

use std::collections::BTreeMap;

use serde::Serialize;
use stackproof_state::{
    bucket::Bucket,
    checkpoint::{self, Checkpoint, PulumiLock, Restored, Unfinished, Verdict},
    gateway::Leased,
    lock::Wait,
};

use super::{
    Ended, Home, Session, Work,
    search::{Found, Search},
    session::Guarded,
};
use crate::{
    Exit, Failure, Progress,
    pulumi::{Operation, Outcome, Stack, taken_in},
};

/// What an interrupted run left, and what became of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Recovered {
    /// What was not there any more, if it was only looked for.
    pub lost: Option<String>,
    /// What was under way.
    pub unfinished: Vec<Unfinished>,
    /// What was done about it.
    pub done: Vec<String>,
    /// Pulumi's own locks that are not ours to remove.
    pub foreign: Vec<PulumiLock>,
    /// What a person has to do; empty where nothing is left to decide.
    pub next: Vec<String>,
}

/// What is to be done about operations that are pending.
#[derive(Default)]
pub(super) struct Plan {
    /// Import identifiers of what is there, by URN.
    pub(super) import: BTreeMap<String, String>,
    pub(super) done: Vec<String>,
    /// URNs of which nobody knows.
    pub(super) undecided: Vec<String>,
}

impl Home {
    /// Looks in the cloud for what an interrupted run was making, and takes it into the state: under the lock. With `act`
    /// unset it only tells what is pending.
    ///
    /// # Errors
    /// When somebody else has the lock, the cloud does not answer, or Pulumi's refresh fails.
    pub async fn recover(&self, work: Work<'_>, act: bool, wait: Wait) -> Result<Recovered, Failure> {
        let project = work.settings.project()?;
        let stack = self.stack(&project)?;
        let mut done = Vec::new();
        if let Some(lost) = self.lost(&project).await? {
            if !act {
                let failure = self.gone(&lost);
                return Ok(Recovered { lost: Some(failure.what), next: vec![failure.next], ..Recovered::default() });
            }
            done = self.bring_back(work, &project, wait).await?;
        }
        let look = checkpoint::recover(self.bucket(), &stack, &BTreeMap::new()).await.map_err(|error| told(&error))?;
        if !act || look.unfinished.is_empty() {
            let next = if look.unfinished.is_empty() { Vec::new() } else { self.steps(&project, look.steps) };
            return Ok(Recovered { unfinished: look.unfinished, done, foreign: look.locks, next, lost: None });
        }
        let command = self.again_for("stackproof state recover", &project);
        let session = self.begin(&project, &command, wait, work.progress).await?;
        let recovered = session.watching(self.resolve(&session, work)).await;
        let note = recovered.as_ref().ok().map(|recovered: &Recovered| recovered.done.join("; "));
        let ended = Ended::plainly(recovered.is_ok(), note);
        let mut recovered = session.end(recovered, &ended, work.progress).await?;
        recovered.done.splice(..0, done);
        Ok(recovered)
    }

    /// Takes into the state what a person has found in the cloud, by URN and identifier. What else was being made is
    /// forgotten if they say so.
    pub(super) async fn decide(&self, stack: &Stack, there: &[(String, String)], forget: bool) -> Result<(), Failure> {
        let there: BTreeMap<String, String> = there.iter().cloned().collect();
        let state = stack.export().await?;
        let pending = state["deployment"]["pending_operations"].as_array().into_iter().flatten();
        let creating = pending.filter(|operation| operation["type"] == "creating");
        let making: Vec<&str> = creating.filter_map(|operation| operation["resource"]["urn"].as_str()).collect();
        if let Some(urn) = there.keys().find(|urn| !making.contains(&urn.as_str())) {
            return Err(Failure::usage(format!("nothing is pending about {urn}"))
                .next(self.again("stackproof state recover --look")));
        }
        let open: Vec<&str> = making.into_iter().filter(|urn| !there.contains_key(*urn)).collect();
        if !open.is_empty() && !forget {
            return Err(Failure::usage("of some nothing is said")
                .because(format!(
                    "name them, or say with --clear-pending-creates that they are not there: {}",
                    open.join(", ")
                ))
                .next(self.again("stackproof state recover --look")));
        }
        stack.import_state(&taken_in(state, &there)).await
    }

    /// Steps as they are typed for this cloud.
    fn steps(&self, project: &str, steps: Vec<String>) -> Vec<String> {
        if project == super::bootstrap::PROJECT {
            let clear = self.again_for("stackproof pulumi", project);
            return vec![format!(
                "{clear} -- refresh --clear-pending-creates, once what is there of them is deleted in the console"
            )];
        }
        let (plain, words) = (format!("--stack {}", self.names().stack), self.names().words());
        steps.into_iter().map(|step| step.replace(&plain, &words)).collect()
    }

    /// Resolves what is pending, within a session.
    pub(super) async fn resolve(&self, session: &Session<'_>, work: Work<'_>) -> Result<Recovered, Failure> {
        let current = checkpoint::current(self.bucket(), session.stack()).await.map_err(|error| told(&error))?;
        let Some(current) = current.filter(|current| !current.checkpoint.pending().is_empty()) else {
            return Ok(Recovered::default());
        };
        let plan = plan(&current.checkpoint, work).await?;
        let guide = checkpoint::recover(self.bucket(), session.stack(), &plan.import).await;
        let guide = guide.map_err(|error| told(&error))?;
        if !plan.undecided.is_empty() {
            return Ok(Recovered {
                unfinished: guide.unfinished,
                done: plan.done,
                next: self.steps(session.stack().project(), guide.steps),
                ..Recovered::default()
            });
        }
        let copied = checkpoint::backup(self.bucket(), self.backups(), session.stack()).await;
        let copied = copied.map_err(|error| told(&error))?;
        let opened = work.open(session.backend()).await?;
        opened.import_state(&taken_in(opened.export().await?, &plan.import)).await?;
        let outcome = opened.run_until(&Operation::Refresh, session.lost(), work.progress).await?;
        Outcome { next: Some(session.command().to_owned()), ..outcome }.success()?;
        let mut done = vec![format!("the state was copied to {}{}", self.backups().shown(), copied.key)];
        done.extend(plan.done);
        Ok(Recovered { unfinished: guide.unfinished, done, ..Recovered::default() })
    }

    /// Makes a version the current state again.
    ///
    /// # Errors
    /// When somebody else has the lock, or the version is not whole, not there, or has operations pending.
    pub async fn restore(
        &self,
        project: &str,
        version: &str,
        reason: &str,
        accept_pending: bool,
        wait: Wait,
        progress: &Progress,
    ) -> Result<Restored, Failure> {
        let command = format!("{} {version}", self.again_for("stackproof state restore", project));
        let session = self.begin(project, &command, wait, progress).await?;
        let work = async {
            let history = checkpoint::history(self.bucket(), session.stack()).await?;
            let entry = history.find(version)?;
            let writer = Leased::new(self.bucket().clone(), Guarded(session.guard()));
            checkpoint::restore(self.bucket(), &writer, session.stack(), entry, accept_pending).await
        };
        let restored = work.await.map_err(|error: checkpoint::Error| told(&error));
        let copy = restored.as_ref().ok().and_then(|restored| restored.safety_copy.clone());
        let note = [Some(reason.to_owned()), copy.map(|copy| format!("safety copy {copy}"))];
        let note: Vec<String> = note.into_iter().flatten().filter(|text| !text.is_empty()).collect();
        let ended = Ended::plainly(restored.is_ok(), (!note.is_empty()).then(|| note.join("; ")));
        session.end(restored, &ended, progress).await
    }

    /// Whether the state can be relied on: parsed, whole, every secret decrypted.
    ///
    /// # Errors
    /// When there is none, or the bucket does not answer.
    pub async fn verify(&self, project: &str) -> Result<Verdict, Failure> {
        let stored = checkpoint::existing(self.bucket(), &self.stack(project)?).await.map_err(|error| told(&error))?;
        let passphrase = self.passphrase().to_owned();
        let verdict = tokio::task::spawn_blocking(move || checkpoint::verify(&stored.checkpoint, Some(&passphrase)));
        verdict.await.map_err(|error| Failure::environment("the state could not be looked through").because(error))
    }

    /// Pulumi's own locks of a stack: those of people who run it without stackproof.
    pub(super) async fn foreign(&self, bucket: &Bucket, session: &Session<'_>) -> Result<(), Failure> {
        let locks = checkpoint::locks(bucket, session.stack()).await.map_err(|error| told(&error))?;
        let Some(lock) = locks.first() else { return Ok(()) };
        let since = lock.since.map(|since| format!(" since {since}")).unwrap_or_default();
        Err(Failure::new(
            Exit::Locked,
            format!(
                "the stack is currently locked by {}@{} (pid {}){since}, by plain pulumi",
                lock.user, lock.host, lock.pid
            ),
        )
        .because(
            "plain pulumi does not know of the lock, the audit trail and the state gateway: wait until it has ended. \
             If its process is certainly gone, its lock file is all that is left of it",
        )
        .next(match lock.file() {
            Some(file) => {
                format!(
                    "{} --holder {file} --reason \"its process is gone\"",
                    self.again_for("stackproof lock break", session.stack().project())
                )
            }
            None => format!("delete {} from {}", lock.key, bucket.shown()),
        }))
    }
}

/// Looks in the cloud for what was under way.
pub(super) async fn plan(checkpoint: &Checkpoint, work: Work<'_>) -> Result<Plan, Failure> {
    let known = checkpoint.resources().iter().filter_map(|resource| resource.id.clone()).collect();
    let search = Search::new(work.target, known)?;
    let mut plan = Plan::default();
    for pending in checkpoint.pending() {
        let urn = &pending.resource.urn;
        let name = pending.resource.name();
        if pending.kind != "creating" {
            plan.done.push(format!("{name}: read anew"));
            continue;
        }
        // A component is of the program, and of no cloud.
        if !pending.resource.custom {
            continue;
        }
        match search.look(&pending.resource).await? {
            Found::There(id) => {
                plan.done.push(format!("{name} is there as {id}: taken into the state"));
                plan.import.insert(urn.clone(), id);
            }
            Found::Absent => plan.done.push(format!("{name} is not there: the next update makes it")),
            Found::Useless(what) => {
                plan.done.push(format!(
                    "{name}: {what} was removed, since nobody has its secret; the next update makes another"
                ));
            }
            Found::Unknown => plan.undecided.push(urn.clone()),
        }
    }
    Ok(plan)
}

/// What went wrong with a state, and the next command.
pub fn told(error: &checkpoint::Error) -> Failure {
    Failure::failed(error.to_string()).next(error.next())
}

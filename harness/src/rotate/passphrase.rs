//! The state's passphrase: every secret of both states, and of both configurations, encrypted anew.
//!
//! The new passphrase waits in a secret of its own until all is encrypted with it; whoever finds that secret goes on.
//! Of the former one the version is disabled, and kept until the next rotation: older versions of the state are
//! encrypted with it (`docs/runbooks/rotation.md`).

use std::{fs, path::PathBuf};

use stackproof_state::checkpoint;

use super::{Command, Rotated, Stage, Standing, What, journal::Journal, secrets::Secrets, steps::end};
use crate::{
    Failure, foundation,
    pulumi::Settings,
    sovereign::{Home, PASSPHRASE, Session, Work, bootstrap, vault::Vault},
};

/// Where the next passphrase waits.
const NEXT: &str = "state-passphrase-next";

/// Rotates it, with nobody at work.
pub(super) async fn of_the_state(home: &Home, work: Work<'_>, command: Command<'_>) -> Result<Rotated, Failure> {
    if !command.plan.includes(&[What::Passphrase]) {
        return Ok(Rotated::default());
    }
    let outer = home.begin(&work.settings.project()?, command.said, command.wait, work.progress).await?;
    let rotated = async {
        command.plan.begin(home, work.progress).await?;
        let inner = home.begin(bootstrap::PROJECT, command.said, command.wait, work.progress).await?;
        let rotated = outer.watching(inner.watching(take(home, work, &outer, &inner))).await;
        end(inner, rotated, Vec::new(), work.progress).await
    };
    let rotated = rotated.await;
    end(outer, rotated, Vec::new(), work.progress).await
}

async fn take(home: &Home, work: Work<'_>, outer: &Session<'_>, inner: &Session<'_>) -> Result<Rotated, Failure> {
    let settings = foundation::settings(work.settings)?;
    let own = Work { settings: &settings, ..work };
    let journal = Journal::new(home, bootstrap::PROJECT);
    let standings = journal.unfinished(&[What::Passphrase]).await?;
    let Some(mut standing) = standings.first().copied() else { return Ok(Rotated::default()) };
    home.ready(outer, work).await?;
    home.ready(inner, own).await?;
    let api = work.target.api()?;
    let (vault, secrets) = (Vault::new(&api, home.names()), Secrets::new(api.clone(), home.names()));
    let reached = async |standing: &mut Standing, stage: Stage| {
        *standing = standing.at(stage);
        journal.note(*standing).await?;
        work.progress.say(standing.to_string());
        Ok::<(), Failure>(())
    };
    if standing.stage < Stage::Created {
        if vault.read(NEXT).await?.is_none() {
            let next = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
            vault.keep(NEXT, "What the state's secrets are about to be encrypted with.", &next).await?;
        }
        reached(&mut standing, Stage::Created).await?;
    }
    if standing.stage < Stage::Deployed {
        let next = vault.read(NEXT).await?.ok_or_else(|| {
            Failure::failed("the passphrase that the rotation was begun with is not there any more")
                .because(format!("secret {} was deleted", home.names().named(NEXT)))
                .next("docs/runbooks/rotation.md")
        })?;
        for (session, work) in [(inner, own), (outer, work)] {
            encrypt(home, session, work, &next).await?;
            work.progress.say(format!("the state of {} is encrypted with the new passphrase", session.stack()));
        }
        if vault.read(PASSPHRASE).await?.as_deref() != Some(&next) {
            secrets.delete_disabled(PASSPHRASE).await?;
            secrets.add(PASSPHRASE, &next).await?;
        }
        reached(&mut standing, Stage::Deployed).await?;
    }
    let passphrase = vault.read(PASSPHRASE).await?.unwrap_or_default();
    let mut evidence = Vec::new();
    for session in [inner, outer] {
        if !opens(home, session, &passphrase).await? {
            return Err(Failure::failed(format!(
                "the state of {} does not open with the new passphrase",
                session.stack()
            ))
            .next("docs/runbooks/rotation.md"));
        }
        evidence.push(format!("every secret in the state of {} opens with the new passphrase", session.stack()));
    }
    if standing.stage < Stage::Verified {
        reached(&mut standing, Stage::Verified).await?;
    }
    if standing.stage < Stage::Disabled {
        secrets.disable_former(PASSPHRASE).await?;
        reached(&mut standing, Stage::Disabled).await?;
    }
    secrets.delete(NEXT).await?;
    reached(&mut standing, Stage::Deleted).await?;
    Ok(Rotated { standings: vec![standing], evidence, ..Rotated::default() })
}

/// Whether a state is encrypted with a passphrase. One that is not there is.
async fn opens(home: &Home, session: &Session<'_>, passphrase: &str) -> Result<bool, Failure> {
    let stored = checkpoint::current(home.bucket(), session.stack()).await;
    let Some(stored) = stored.map_err(|error| crate::sovereign::told(&error))? else { return Ok(true) };
    let passphrase = passphrase.to_owned();
    let looked = tokio::task::spawn_blocking(move || {
        let verdict = checkpoint::verify(&stored.checkpoint, Some(&passphrase));
        // None decrypted: it is the wrong one. Without a secret, what the state keeps of its key tells.
        let is_refused = verdict.findings.iter().any(|finding| finding.kind == "passphrase");
        verdict.decrypted.is_some_and(|decrypted| decrypted == verdict.secrets) || (verdict.secrets == 0 && !is_refused)
    });
    looked.await.map_err(|error| Failure::environment("the state could not be looked through").because(error))
}

/// Encrypts a project's configuration and state anew, unless that was done. A configuration that an interrupted run has
/// left half done is put back first.
async fn encrypt(home: &Home, session: &Session<'_>, work: Work<'_>, next: &str) -> Result<(), Failure> {
    let former = Former::of(work.settings);
    if checkpoint::current(home.bucket(), session.stack())
        .await
        .map_err(|error| crate::sovereign::told(&error))?
        .is_none()
    {
        return Ok(());
    }
    if opens(home, session, next).await? {
        return former.forget();
    }
    former.put_back()?;
    let stack = work.open(session.backend()).await?;
    former.keep()?;
    work.progress.say(format!("encrypting the state of {} anew", session.stack()));
    stack.change_passphrase(next).await?;
    former.forget()
}

/// The configuration as it was before, with its secrets encrypted as they were: beside it while it is being changed.
struct Former {
    file: PathBuf,
    copy: PathBuf,
}

impl Former {
    fn of(settings: &Settings) -> Self {
        let file = settings.configuration_file();
        Self { copy: file.with_extension("yaml.former"), file }
    }

    fn keep(&self) -> Result<(), Failure> {
        self.tell(fs::copy(&self.file, &self.copy).map(drop))
    }

    fn put_back(&self) -> Result<(), Failure> {
        if self.copy.exists() { self.tell(fs::rename(&self.copy, &self.file)) } else { Ok(()) }
    }

    fn forget(&self) -> Result<(), Failure> {
        match fs::remove_file(&self.copy) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => self.tell(Err(error)),
            _ => Ok(()),
        }
    }

    fn tell(&self, done: std::io::Result<()>) -> Result<(), Failure> {
        done.map_err(|error| Failure::environment(format!("{} cannot be used", self.copy.display())).because(error))
    }
}

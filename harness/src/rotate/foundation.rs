//! The deployers' own key and their login at the lock's database: what the state is written with, changed under both
//! locks of the stack.

use stackproof_state::{audit::Change, checkpoint};

use super::{
    Command, Rotated, Stage, What,
    journal::Journal,
    steps::{STEPS, Steps, end},
};
use crate::{
    Failure, foundation,
    pulumi::Stack,
    sovereign::{Ended, Home, Session, Work, bootstrap},
    target::Target,
};

/// The steps that are taken with the former key: none of them takes it away.
const WITH_THE_FORMER: [Stage; 2] = [Stage::Created, Stage::Deployed];

/// Rotates them. Gives the home as it is opened with the new ones.
pub(super) async fn of_the_deployers(
    home: Home,
    work: Work<'_>,
    command: Command<'_>,
) -> Result<(Home, Rotated), Failure> {
    if !command.plan.includes(&[What::Deployer]) {
        return Ok((home, Rotated::default()));
    }
    under_both(&home, work, &WITH_THE_FORMER, command).await?;
    // From here on with the new key: the former one is about to go, and everybody who waits in line reads anew.
    let found = Home::find(work.target, home.names().clone()).await?;
    let home =
        found.ok_or_else(|| Failure::failed("the state has no home any more").next("stackproof state verify"))?;
    let rotated = under_both(&home, work, &STEPS, command).await?;
    Ok((home, rotated))
}

/// Takes steps with nobody at work: neither on the stack nor on its foundation, whose runs would lose their key.
async fn under_both(home: &Home, work: Work<'_>, steps: &[Stage], command: Command<'_>) -> Result<Rotated, Failure> {
    let outer = home.begin(&work.settings.project()?, command.said, command.wait, work.progress).await?;
    let rotated = async {
        command.plan.begin(home, work.progress).await?;
        let inner = home.begin(bootstrap::PROJECT, command.said, command.wait, work.progress).await?;
        let mut changes = Vec::new();
        let rotated = inner.watching(take(home, work, &inner, steps, &mut changes)).await;
        end(inner, rotated, changes, work.progress).await
    };
    let rotated = rotated.await;
    let kept = Some("kept still while the deployers' key was rotated".to_owned());
    let ended = Ended::plainly(rotated.is_ok(), kept);
    outer.end(rotated, &ended, work.progress).await
}

async fn take(
    home: &Home,
    work: Work<'_>,
    session: &Session<'_>,
    steps: &[Stage],
    changes: &mut Vec<Change>,
) -> Result<Rotated, Failure> {
    let settings = foundation::settings(work.settings)?;
    let own = Work { settings: &settings, ..work };
    home.ready(session, own).await?;
    let opened = own.open(session.backend()).await?;
    foundation::place(&opened, work.settings).await?;
    super::align(home, &opened, bootstrap::PROJECT).await?;
    bootstrap::configure(&opened, own.target).await?;
    let journal = Journal::new(home, bootstrap::PROJECT);
    let standings = journal.unfinished(&[What::Deployer]).await?;
    let mut all = Steps { home, work: own, session, stack: &opened, journal, standings, changes };
    let evidence = all.go(steps).await?;
    Ok(Rotated { standings: all.standings, evidence, ..Rotated::default() })
}

/// Lets both of the lock's users use the lock.
pub(super) async fn admit(home: &Home, foundation: &Stack, target: &Target) -> Result<(), Failure> {
    let user = home.database().user();
    let user = user.strip_suffix("_alternate").unwrap_or(user);
    bootstrap::prepare(home, foundation, target, &[user, &format!("{user}_alternate")]).await
}

/// That this home works: it was opened with what Secret Manager gives everybody, and its lock is held.
pub(super) async fn verify(home: &Home) -> Result<Vec<String>, Failure> {
    let stack = home.stack(bootstrap::PROJECT)?;
    let read = checkpoint::existing(home.bucket(), &stack).await;
    read.map_err(|error| crate::sovereign::told(&error))?;
    Ok(vec![
        format!("the lock is held as {}", home.database().user()),
        format!("the state in {} is read with the key that Secret Manager gives", home.bucket().shown()),
    ])
}

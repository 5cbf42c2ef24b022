//! Rotation: every credential of a stack is replaced by a new one, while the application serves.
//!
//! A credential goes from one generation to the next in steps: the next is made and kept in Secret Manager, then it is
//! used, then it is seen in use, then the former is disabled, then deleted. After each step there is a row in the audit
//! trail ([`journal`]): it says where an interrupted rotation goes on, on whatever machine. What each position means is
//! the Pulumi program's business (`infra/stackproof_infra/rotation.py`), so that a preview is clean after every one.
//!
//! - [`Standing`]: where a credential stands.
//! - [`rotate`]: all of it, in order.
//! - [`align`]: a machine that was not there when it happened catches up.
//! - [`keys`]: which API keys end, and when.

mod align;
mod expiry;
mod foundation;
mod journal;
mod passphrase;
mod secrets;
mod standing;
mod steps;
mod verify;

use serde::Serialize;

use self::journal::Plan;
use crate::{
    Failure,
    sovereign::{Home, Wait, Work},
};

pub use align::align;
pub use expiry::{Key, WARNED, configured, keys};
pub use standing::{Stage, Standing, What};

/// What was rotated.
#[derive(Debug, Default, Serialize)]
pub struct Rotated {
    /// Where each credential stands now.
    pub standings: Vec<Standing>,
    /// Those that an earlier, interrupted run had begun.
    pub resumed: Vec<What>,
    /// What the new ones were seen at.
    pub evidence: Vec<String>,
}

impl Rotated {
    fn add(&mut self, other: Self) {
        self.standings.extend(other.standings);
        self.evidence.extend(other.evidence);
    }
}

/// Rotates these credentials of a stack. Where a rotation was interrupted, that one is finished instead, and nothing
/// else is begun.
///
/// # Errors
/// When somebody else has the lock (exit 3), the stack was never deployed, or a step fails: the next call goes on there.
/// A new credential that does not work is taken back.
pub async fn rotate(home: Home, work: Work<'_>, whats: &[What], command: &str, wait: Wait) -> Result<Rotated, Failure> {
    let project = work.settings.project()?;
    if !home.has(&project).await? {
        return Err(Failure::usage(format!("stack {} was never deployed", work.settings.name))
            .next(format!("stackproof up {}", home.names().words())));
    }
    let (plan, resumed) = Plan::new(&home, work.settings, whats).await?;
    if !resumed.is_empty() {
        let told: Vec<&str> = resumed.iter().map(|what| what.as_str()).collect();
        work.progress.say(format!("a rotation of {} was interrupted; finishing it", told.join(", ")));
    }
    let mut rotated = Rotated { resumed, ..Rotated::default() };
    let command = Command { plan: &plan, said: command, wait };
    rotated.add(steps::of_the_stack(&home, work, command).await?);
    let (home, done) = foundation::of_the_deployers(home, work, command).await?;
    rotated.add(done);
    rotated.add(passphrase::of_the_state(&home, work, command).await?);
    if rotated.standings.is_empty() {
        return Err(Failure::failed("somebody else has finished the rotation that was interrupted")
            .because("what was asked for here was not begun")
            .next(command.said));
    }
    Ok(rotated)
}

/// What was asked for, and how.
#[derive(Clone, Copy)]
struct Command<'a> {
    plan: &'a Plan,
    /// As the audit trail has it.
    said: &'a str,
    wait: Wait,
}

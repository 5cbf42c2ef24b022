//! Least privilege, derived: what every application called, the smallest permission sets that allow it, and what it
//! was granted beside.
//!
//! The local cloud tells what was called (`GET /iam` of its control API), Scaleway's public API what is granted. Neither
//! needs a key of the application's.

mod cover;
mod grants;
mod judge;

pub use cover::{Need, smallest};
pub use grants::{Grant, Holder, granted};
pub use judge::{Finding, FindingKind, Judged, Verdict, judge};

use crate::{Failure, target::Target};

/// Compares what every application called so far with what it is granted now.
///
/// # Errors
/// When the target tells no calls, or does not answer.
pub async fn check(target: &Target) -> Result<Verdict, Failure> {
    let control = target.control().ok_or_else(|| {
        Failure::usage("what was called is told by a local cloud only")
            .because("no other cloud tells what each principal called")
            .next("stackproof cloud start, then stackproof up and use what it deployed")
    })?;
    let holders = granted(&target.api()?).await?;
    Ok(judge(&control.permissions().await?, &holders))
}

//! The project's own stack: what its configuration needs before it can be deployed, and what
//! deploying it costs the local cloud.

use std::fmt;

use serde::Serialize;
use stackproof_cloud::control::Totals;

use crate::{Failure, acceptance::TargetName, pulumi::Stack, target::Target};

/// The secret values of the configuration.
const PASSWORDS: [&str; 2] = ["databasePassword", "databaseAdminPassword"];

/// Gives a stack the values that are nobody's to write down: secrets, and who deploys.
///
/// On a local cloud they are made up at the first call; for Scaleway they must have been set.
///
/// # Errors
/// When Pulumi refuses, or a value is missing that cannot be made up.
pub async fn configure(stack: &Stack, target: &Target) -> Result<(), Failure> {
    let set = stack.keys().await?;
    for key in PASSWORDS {
        if set.contains(key) {
            continue;
        }
        if target.name() == TargetName::Scaleway {
            return Err(Failure::usage(format!("{key} is not set"))
                .because("the database needs passwords of 8 to 128 characters of four kinds")
                .next(format!("pulumi config set --secret {key}")));
        }
        stack.set_secret(key, &password()).await?;
    }
    if !set.contains("deployers") {
        stack.set("deployers[0]", &deployer(target).await?).await?;
    }
    Ok(())
}

/// Who deploys, as bucket policies name it: whoever holds the API key of the environment.
async fn deployer(target: &Target) -> Result<String, Failure> {
    let access_key = &target.environment().credentials().access_key;
    let answer = target.api()?.get(&format!("/iam/v1alpha1/api-keys/{access_key}")).await?;
    let bearer = |kind: &str| Some(format!("{kind}:{}", answer.body.get(kind)?.as_str()?));
    bearer("user_id").or_else(|| bearer("application_id")).ok_or_else(|| {
        Failure::failed("the deployer's API key does not say whose it is")
            .because(format!("GET api-keys answered {}", answer.status))
            .next("pulumi config set --path 'deployers[0]' application_id:<id>")
    })
}

/// A password of the four kinds of characters a database asks for.
pub fn password() -> String {
    format!("Aa1!{}", uuid::Uuid::new_v4().simple())
}

/// What a deployment cost the local cloud.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Seconds of wall-clock time of the whole run.
    pub wall_seconds: f64,
    /// Requests the local cloud answered.
    pub requests: u64,
    /// Seconds in which the local cloud was answering at least one request.
    pub cloud_seconds: f64,
    /// `cloud_seconds` in `wall_seconds`, in percent.
    pub cloud_percent: f64,
    /// Seconds in which the cloud waited for databases and containers to be as asked.
    pub waiting_seconds: f64,
    /// Answers that made the client ask again later.
    pub not_ready: u64,
    /// Requests for routes the local cloud does not have.
    pub unknown_routes: u64,
}

impl Cost {
    /// The cost of a run of this many seconds, from the cloud's counts before and after it.
    pub fn between(before: &Totals, after: &Totals, wall_seconds: f64) -> Self {
        let cloud_seconds = after.busy_seconds - before.busy_seconds;
        Self {
            wall_seconds,
            requests: after.requests - before.requests,
            cloud_seconds,
            cloud_percent: 100.0 * cloud_seconds / wall_seconds.max(f64::MIN_POSITIVE),
            waiting_seconds: after.waiting_seconds - before.waiting_seconds,
            not_ready: after.not_ready - before.not_ready,
            unknown_routes: after.unknown_routes - before.unknown_routes,
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "local cloud: {} requests in {:.2} s, {:.1} % of {:.1} s, {:.1} s waiting for what runs behind it; {} polls \
             not ready, {} unknown routes",
            self.requests,
            self.cloud_seconds,
            self.cloud_percent,
            self.wall_seconds,
            self.waiting_seconds,
            self.not_ready,
            self.unknown_routes,
        )
    }
}

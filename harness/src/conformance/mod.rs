//! Conformance: the local cloud, judged by programs we did not write.
//!
//! The Terraform provider that the Pulumi provider bridges brings its own
//! acceptance tests: apply, refresh, a plan that must be empty, import, destroy,
//! checks through Scaleway's SDK. Here each of them runs in a process of its own
//! against a fresh local cloud.

mod build;
mod case;
mod expected;
mod fixtures;
mod limits;
mod operations;
mod page;
mod recording;
mod result;

use std::num::NonZero;
use std::path::PathBuf;

use futures::{StreamExt, stream};

use crate::{Failure, Progress, Workspace};

pub use expected::Expected;
pub use limits::limits;
pub use page::page;
pub use recording::{Difference, Replay, replay};
pub use result::{Case, Conformance, Product, Status};

/// What is asked of a run.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The products; all where none is named.
    pub products: Vec<String>,
    /// A regular expression of names of tests; all where there is none.
    pub run: Option<String>,
    /// Only the tests chosen to touch every resource type in a few minutes.
    pub subset: bool,
    /// By real host names through the gateway, without `SCW_API_URL`.
    pub gateway: bool,
}

/// Where the output of tests that failed is kept.
pub fn log_dir(workspace: &Workspace) -> PathBuf {
    workspace.private_dir().join("conformance")
}

/// Runs the provider's acceptance tests.
///
/// # Errors
/// When terraform or Go is missing, a test program cannot be built, or no test has such a name.
pub async fn run(workspace: &Workspace, asked: &Asked, progress: &Progress) -> Result<Conformance, Failure> {
    let expected = Expected::read(workspace)?;
    let terraform = case::Terraform::find()?;
    let pattern = asked.run.as_deref().unwrap_or(".");
    let pattern = regex::Regex::new(pattern).map_err(|error| {
        Failure::usage(format!("--run {pattern} is no regular expression"))
            .because(error)
            .next("stackproof conformance --run 'VPC_Basic|PrivateNetwork'")
    })?;
    let products = expected.products(&asked.products)?;
    let provider = build::Provider::find(workspace)?;
    let mut conformance = Conformance::new(provider.version(), &terraform.version);
    let mut planned = Vec::new();
    for product in products {
        let program = provider.tests_of(&product, progress)?;
        for name in program.list()? {
            if !pattern.is_match(&name) || (asked.subset && !expected.in_subset(&product, &name)) {
                continue;
            }
            match expected.not_applicable(&product, &name, &terraform.version) {
                Some(reason) => conformance.add(&product, Case::not_applicable(name, reason)),
                None => planned.push((product.clone(), program.clone(), name)),
            }
        }
    }
    if planned.is_empty() && conformance.is_empty() {
        return Err(Failure::usage("no acceptance test has such a name").next("stackproof conformance"));
    }
    let step = progress.step(format!("running {} acceptance tests of the provider", planned.len()));
    let workers = std::thread::available_parallelism().map_or(2, NonZero::get);
    let (total, logs) = (planned.len(), log_dir(workspace));
    let cases = planned.into_iter().map(|(product, program, name)| {
        let (terraform, logs) = (&terraform, &logs);
        async move {
            let case = case::run(&program, &name, terraform, asked.gateway, logs).await?;
            Ok::<_, Failure>((product, case))
        }
    });
    let mut running = stream::iter(cases).buffer_unordered(workers);
    let mut done = 0;
    while let Some(finished) = running.next().await {
        let (product, case) = finished?;
        done += 1;
        step.note(&format!("{done}/{total} {} {}", case.status, case.name));
        if case.status == Status::Failed {
            progress.say(format!("  failed {product} {}: {}", case.name, case.reason));
        }
        conformance.add(&product, case);
    }
    step.done();
    conformance.sort();
    Ok(conformance)
}

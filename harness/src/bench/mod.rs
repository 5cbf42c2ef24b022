//! `stackproof bench`: how fast the local cloud is, measured each time anew.
//!
//! Everything is measured from outside, as a client sees it, on a cloud as `stackproof cloud start` starts it: its
//! state kept on disk, everything running behind its API. What it is compared with is measured in the same run.

mod api;
mod behind;
mod load;
mod machine;
mod page;
mod process;
mod responder;
mod result;
mod subject;

pub use machine::Machine;
pub use page::page;
pub use responder::serve as serve_responder;
pub use result::{Benchmarks, Measured, Yardstick};

use subject::Subject;

use crate::{Failure, Progress, Workspace};

/// What is measured, in this order.
pub const IDS: [&str; 9] = ["start", "memory", "reads", "creates", "gateway", "iam", "database", "cold-start", "push"];

/// Measures what is asked for; everything where nothing is.
///
/// # Errors
/// When an id is unknown, the cloud does not start, or an answer is not what it has to be.
pub async fn run(workspace: &Workspace, only: &[String], progress: &Progress) -> Result<Benchmarks, Failure> {
    if let Some(unknown) = only.iter().find(|id| !IDS.contains(&id.as_str())) {
        return Err(Failure::usage(format!("nothing that is measured is called {unknown}"))
            .next(format!("stackproof bench --only {}", IDS.join(" "))));
    }
    let mut subject = None;
    let measured = all(&mut subject, workspace, only, progress).await;
    if let Some(subject) = subject {
        subject.stop().await?;
    }
    Ok(Benchmarks { schema: 1, machine: Machine::here(), results: measured? })
}

/// Measures one after the other; the cloud they share is started for the first that needs it.
async fn all(
    subject: &mut Option<Subject>,
    workspace: &Workspace,
    only: &[String],
    progress: &Progress,
) -> Result<Vec<Measured>, Failure> {
    let mut results = Vec::new();
    for id in IDS.into_iter().filter(|id| only.is_empty() || only.iter().any(|asked| asked == id)) {
        let step = progress.step(format!("measuring {id}"));
        let measured = match id {
            "start" => process::start().await?,
            "memory" => process::memory().await?,
            _ => {
                if subject.is_none() {
                    *subject = Some(Subject::start().await?);
                }
                let subject = subject.as_ref().ok_or_else(|| Failure::failed("the cloud is gone"))?;
                on(subject, id, workspace, progress).await?
            }
        };
        results.push(measured);
        step.done();
    }
    Ok(results)
}

async fn on(subject: &Subject, id: &str, workspace: &Workspace, progress: &Progress) -> Result<Measured, Failure> {
    match id {
        "reads" => api::reads(subject).await,
        "creates" => api::creates(subject).await,
        "gateway" => api::gateway(subject).await,
        "iam" => api::iam(subject).await,
        "database" => behind::database(subject).await,
        "cold-start" => behind::cold_start(subject, workspace, progress).await,
        _ => behind::push(subject).await,
    }
}

/// The one in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_not_moved_by_an_outlier() {
        assert!((median(vec![3.0, 1000.0, 1.0, 2.0, 4.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
    }

    #[tokio::test]
    async fn what_is_not_measured_is_named_with_what_is() {
        let workspace = Workspace { root: std::path::PathBuf::from("/nowhere") };
        let failure = run(&workspace, &["speed".to_owned()], &Progress::Silent).await.unwrap_err();
        assert!(failure.what.contains("speed") && failure.next.contains("cold-start"), "{failure}");
        assert_eq!(failure.exit, crate::Exit::Usage);
    }
}

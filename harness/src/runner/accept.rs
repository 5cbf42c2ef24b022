//! `stackproof accept`: every scenario on its targets, then the report.

use std::path::PathBuf;

use super::{Ended, Finished, Nextest, RunDir, Tools, conclude};
use crate::acceptance::TargetName;
use crate::{Failure, Progress, Workspace};

/// What is asked of an acceptance run.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// Whether the long proofs take part.
    pub full: bool,
    /// Where the scenarios run, one target after the other.
    pub targets: Vec<TargetName>,
    /// The ids to run; all where there is none.
    pub only: Vec<String>,
    /// Where the report goes.
    pub report: PathBuf,
}

/// Runs the scenarios and writes the report.
pub fn accept(asked: &Acceptance) -> Result<Finished, Failure> {
    let workspace = Workspace::find()?;
    let tools = Tools::ensure(&Progress::detect())?;
    let mut run = RunDir::begin(&workspace, asked.command(), &asked.targets)?;
    run.judge(&workspace, &tools)?;
    let mut nextest = Nextest::scenarios(&asked.only, asked.full);
    for target in &asked.targets {
        match nextest.run(&workspace, &tools, &run, *target, &target.to_string())? {
            // What failed is in the fragments and in nextest's own file.
            Ended::Passed | Ended::Failed => {}
            Ended::NotCompiled => {
                return Err(Failure::failed("the scenarios do not compile").next(nextest.command()));
            }
            Ended::NoneFound => {
                return Err(Failure::usage(format!("no scenario is named {}", asked.only.join(" or ")))
                    .next("list them: cargo nextest list --package stackproof-scenarios"));
            }
        }
        nextest = nextest.on_a_further_target();
    }
    run.finish()?;
    conclude(run.path(), &asked.report)
}

impl Acceptance {
    /// What a person types for the same.
    fn command(&self) -> String {
        let mut words = vec!["stackproof accept".to_owned()];
        if self.full {
            words.push("--full".into());
        }
        words.extend(self.targets.iter().map(|target| format!("--target {target}")));
        words.extend(self.only.iter().map(|id| format!("--only {id}")));
        words.join(" ")
    }
}

//! The end of a run: folding, writing, and the few lines a person reads.

use std::path::{Path, PathBuf};

use crate::acceptance::{Status, now};
use crate::report::{self, Folding, Inputs, Report, Verdict};
use crate::{Exit, Failure};

/// A run and its report.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The report.
    pub report: Report,
    /// Where it lies.
    pub directory: PathBuf,
    /// SHA-256 of its manifest: the number to write down or sign.
    pub manifest: String,
}

impl Finished {
    /// The exit code the verdict asks for.
    pub fn exit(&self) -> Exit {
        match self.report.verdict {
            Verdict::Accepted | Verdict::AcceptedWithGaps => Exit::Success,
            Verdict::Rejected => Exit::Failed,
        }
    }
}

/// Folds a run's directory and writes its report.
pub fn conclude(run: &Path, directory: &Path) -> Result<Finished, Failure> {
    let inputs = Inputs::read(run)?;
    let folding = Folding {
        at: now(),
        by: env!("CARGO_PKG_VERSION").into(),
        run: inputs.run.id.clone(),
        runner: inputs.run.runner.clone(),
    };
    let report = report::fold(&inputs, folding);
    let manifest = report::write(&report, run, directory)?;
    Ok(Finished { report, directory: directory.to_owned(), manifest })
}

/// What a person reads at the end.
pub fn summary(finished: &Finished) -> String {
    let report = &finished.report;
    let counts = &report.counts;
    let mut lines = vec![String::new(), report.verdict.to_string()];
    lines.extend(report.because.iter().map(|sentence| format!("  {sentence}")));
    lines.push(String::new());
    for (label, good, all, word) in [
        ("scenarios", counts.scenarios_passed, counts.scenarios - counts.scenarios_not_applicable, "passed"),
        ("requirements", counts.requirements_proven, counts.requirements, "proven"),
        ("budgets", counts.budgets_ok, counts.budgets, "hold"),
        ("other tests", counts.tests_passed, counts.tests, "passed"),
    ] {
        lines.push(format!("{label:<13}{good} of {all} {word}"));
    }
    lines.push(format!("{:<13}{}", "report", finished.directory.join("report.html").display()));
    for row in &report.scenarios {
        if matches!(row.status, Status::Failed | Status::Unfinished) {
            lines.push(format!("{:<13}{}", "next", row.rerun));
        }
    }
    lines.join("\n")
}

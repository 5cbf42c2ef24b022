//! A run's own directory: everything one `accept` or `verify` leaves behind.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;

use super::{Tools, judged};
use crate::acceptance::{TargetName, now, write_whole};
use crate::report::{Git, Inputs, Requirements, RunInfo, Runner, Stage, Subject};
use crate::{Failure, Workspace};

/// How many runs are kept, the newest.
const KEPT: usize = 10;

/// A run that goes on.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    info: RunInfo,
}

impl RunDir {
    /// Where a checkout keeps its runs.
    pub fn all(workspace: &Workspace) -> PathBuf {
        workspace.root.join(".stackproof/runs")
    }

    /// The newest run of a checkout.
    pub fn newest(workspace: &Workspace) -> Result<PathBuf, Failure> {
        runs(&Self::all(workspace))
            .pop()
            .ok_or_else(|| Failure::usage("there is no run to report on").next("make one: stackproof accept"))
    }

    /// Begins a run.
    pub fn begin(workspace: &Workspace, command: String, targets: &[TargetName]) -> Result<Self, Failure> {
        let all = Self::all(workspace);
        let moment = OffsetDateTime::now_utc()
            .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
            .map_err(|error| Failure::environment("the clock cannot be read").because(error))?;
        // Two runs of one second differ in their process.
        let id = format!("{moment}-{}", std::process::id());
        let info = RunInfo {
            id: id.clone(),
            command,
            targets: targets.to_vec(),
            started: now(),
            finished: String::new(),
            runner: Runner::here(),
            stages: Vec::new(),
        };
        let run = Self { path: all.join(id), info };
        let table = workspace.root.join(Requirements::PATH);
        let table = fs::read(&table)
            .map_err(|error| Failure::usage(format!("cannot read {}", table.display())).because(error))?;
        write_whole(&run.path.join(Inputs::REQUIREMENTS), &table)?;
        write_json(&run.path.join(Inputs::SUBJECT), &Subject::default())?;
        run.save()?;
        for old in runs(&all).iter().rev().skip(KEPT) {
            // Space is all that is lost where this fails, and the next run tries again.
            let _ = fs::remove_dir_all(old);
        }
        Ok(run)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// States what is judged.
    pub fn judge(&self, workspace: &Workspace, tools: &Tools) -> Result<(), Failure> {
        let subject = Subject {
            git: Git::of(&workspace.root),
            program: judged::program_digest(workspace),
            tools: tools.identities.clone(),
        };
        write_json(&self.path.join(Inputs::SUBJECT), &subject)
    }

    /// Where nextest's JUnit of this name belongs.
    pub fn junit(&self, name: &str) -> PathBuf {
        self.path.join(Inputs::TESTS).join(format!("{name}.xml"))
    }

    /// Records a check that ended.
    pub fn record(&mut self, stage: Stage) -> Result<(), Failure> {
        self.info.stages.push(stage);
        self.save()
    }

    /// Ends the run.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.info.finished = now();
        self.save()
    }

    fn save(&self) -> Result<(), Failure> {
        write_json(&self.path.join(Inputs::RUN), &self.info)
    }
}

/// The runs in a directory, oldest first: their names begin with their time.
fn runs(all: &Path) -> Vec<PathBuf> {
    let mut runs: Vec<PathBuf> = fs::read_dir(all)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join(Inputs::RUN).is_file())
        .collect();
    runs.sort();
    runs
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut json = serde_json::to_vec_pretty(value).map_err(|error| Failure::failed(error.to_string()))?;
    json.push(b'\n');
    write_whole(path, &json)
}

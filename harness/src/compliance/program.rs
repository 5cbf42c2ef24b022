//! What the programs ask for, judged before anything is made: by `stackproof_policy`, without a cloud.

use std::process::Command;
use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::{Catalog, Finding, LookedAt, Origin};
use crate::{Failure, Workspace, acceptance::TargetName, check, foundation, pulumi::Settings};

/// What the rules say of some programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Whether every rule holds.
    pub ok: bool,
    /// Each program of the stack.
    pub programs: Vec<Judged>,
    /// How many resources each rule has looked at, in all of them.
    pub rules: Vec<LookedAt>,
}

/// What the rules say of one program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Its project.
    pub project: String,
    /// The stack.
    pub stack: String,
    /// What breaks a rule.
    pub findings: Vec<Finding>,
    /// What would, had it no waiver.
    pub waived: Vec<Finding>,
}

/// What came of judging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The programs were judged.
    Judged(Judgement),
    /// A program does not run without a cloud, or its configuration is none: why.
    Unjudged(String),
}

/// Judges a stack's program and its foundation's, as their configurations stand. Nothing is contacted.
///
/// # Errors
/// When the rules or waivers cannot be used, or Python cannot be run.
pub fn judge(
    workspace: &Workspace,
    python: &Path,
    settings: &Settings,
    region: Option<&str>,
) -> Result<Verdict, Failure> {
    // A broken file of rules must not look like a program that cannot be judged.
    Catalog::read(workspace)?;
    super::Waivers::read(workspace)?;
    let mut command = Command::new(python);
    command.current_dir(workspace.infra()).args(["-m", "stackproof_policy", "--json", "--stack", &settings.name]);
    // Whatever whoever deploys adds, the rules do not depend on it.
    for key in check::supplied(TargetName::Local) {
        command.args(["--given", key]);
    }
    if let Some(region) = region {
        command.env("SCW_DEFAULT_REGION", region);
    }
    let foundation = foundation::settings(settings)?;
    let files = [settings, &foundation].into_iter().filter_map(Settings::configuration);
    let output = command.args(files).output();
    let output = output.map_err(|error| {
        Failure::environment("Python could not be run").because(error).next("stackproof doctor --install")
    })?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(2) => Ok(Verdict::Unjudged(said.trim().to_owned())),
        Some(0 | 1) => serde_json::from_slice(&output.stdout).map(Verdict::Judged).map_err(|error| {
            Failure::environment("the rules answered what is no verdict").because(format!("{error}\n{said}"))
        }),
        _ => Err(Failure::environment("the rules could not be run").because(said).next("stackproof doctor --install")),
    }
}

/// Judges what a deployment is about to ask for. Gives why that could not be judged, if so: then a preview has to, by the
/// same rules.
///
/// # Errors
/// When a rule is broken, the configuration is none, or the rules cannot be used.
pub fn before(
    workspace: &Workspace,
    python: &Path,
    settings: &Settings,
    region: &str,
) -> Result<Option<String>, Failure> {
    match judge(workspace, python, settings, Some(region))? {
        Verdict::Judged(judgement) => judgement.refuse(&Catalog::read(workspace)?, &settings.name).map(|()| None),
        Verdict::Unjudged(why) => {
            // What is wrong with a configuration is said in its own words.
            check::configuration(workspace, python, settings, check::supplied(TargetName::Local))?.refuse()?;
            Ok(Some(why))
        }
    }
}

impl Judgement {
    /// The verdict as a failure where a rule is broken.
    ///
    /// # Errors
    /// When there are findings: all of them, in one answer.
    pub fn refuse(&self, catalog: &Catalog, stack: &str) -> Result<(), Failure> {
        if self.ok {
            return Ok(());
        }
        let findings: Vec<&Finding> = self.programs.iter().flat_map(|program| &program.findings).collect();
        let count = if findings.len() == 1 { "a rule".to_owned() } else { format!("rules, {} times", findings.len()) };
        let lines: Vec<String> = findings.iter().map(|finding| finding.told(catalog)).collect();
        Err(Failure::failed(format!("stack {stack} breaks {count}; nothing was made"))
            .because(lines.join("\n"))
            .next(format!("mend the program or its configuration, then stackproof check --stack {stack}")))
    }

    /// How a live resource of this logical name came to break a rule.
    pub(super) fn origin(&self, rule: &str, logical: Option<&str>) -> Origin {
        let mut asked = self.programs.iter().flat_map(|program| program.findings.iter().chain(&program.waived));
        match logical {
            None => Origin::Foreign,
            Some(name) if asked.any(|finding| finding.rule == rule && finding.resource == name) => Origin::Program,
            Some(_) => Origin::Drift,
        }
    }

    /// Rules that had nothing to look at: none of the programs makes what they are about.
    pub fn idle(&self) -> Vec<&str> {
        self.rules.iter().filter(|rule| rule.looked_at == 0).map(|rule| rule.rule.as_str()).collect()
    }

    /// How many resources were looked at by how many rules, in words.
    pub fn told(&self) -> String {
        let counts: BTreeMap<&str, u64> = self.rules.iter().map(|rule| (rule.rule.as_str(), rule.looked_at)).collect();
        let waived: usize = self.programs.iter().map(|program| program.waived.len()).sum();
        let looks: u64 = counts.values().sum();
        format!("{} rules, {looks} looks at resources, {waived} waived", counts.len())
    }
}

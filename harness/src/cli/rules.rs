//! The part of `stackproof check` about rules: what the programs ask for, judged stack by stack.

use std::path::Path;

use owo_colors::OwoColorize;
use serde_json::{Value, json};
use stackproof::{
    Failure, Workspace,
    acceptance::TargetName,
    compliance::{
        Catalog,
        program::{self, Verdict},
    },
    pulumi::Settings,
};

/// The verdict on each stack whose configuration is good.
pub(super) struct Rules {
    catalog: Catalog,
    verdicts: Vec<(String, Verdict)>,
}

impl Rules {
    /// Judges these stacks.
    pub(super) fn judge<'a>(
        workspace: &Workspace,
        python: &Path,
        target: TargetName,
        stacks: impl Iterator<Item = &'a str>,
    ) -> Result<Self, Failure> {
        let judge = |stack: &str| {
            let verdict = program::judge(workspace, python, &Settings::of(workspace, stack, target), None)?;
            Ok((stack.to_owned(), verdict))
        };
        Ok(Self { catalog: Catalog::read(workspace)?, verdicts: stacks.map(judge).collect::<Result<_, Failure>>()? })
    }

    /// Whether every rule holds for all of them.
    pub(super) fn ok(&self) -> bool {
        self.verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Judged(judgement) if judgement.ok))
    }

    /// As JSON.
    pub(super) fn document(&self) -> Value {
        let entry = |(stack, verdict): &(String, Verdict)| match verdict {
            Verdict::Judged(judgement) => {
                json!({"stack": stack, "ok": judgement.ok, "programs": judgement.programs, "rules": judgement.rules,
                       "looked_at_nothing": judgement.idle()})
            }
            Verdict::Unjudged(why) => json!({"stack": stack, "ok": false, "unjudged": why}),
        };
        self.verdicts.iter().map(entry).collect()
    }

    /// As people read it.
    pub(super) fn show(&self) {
        for (stack, verdict) in &self.verdicts {
            match verdict {
                Verdict::Judged(judgement) => {
                    let told = judgement.told();
                    if judgement.ok {
                        anstream::println!("{:>5}  rules of {stack}: {told}", "ok".green());
                    } else {
                        anstream::println!("{:>5}  rules of {stack}: {told}", "wrong".red());
                    }
                    for finding in judgement.programs.iter().flat_map(|program| &program.findings) {
                        anstream::println!("         {}", finding.told(&self.catalog).replace('\n', "\n         "));
                    }
                    let idle = judgement.idle();
                    if !idle.is_empty() {
                        anstream::println!("         nothing in its programs is of concern to {}", idle.join(", "));
                    }
                }
                Verdict::Unjudged(why) => {
                    anstream::println!("{:>5}  rules of {stack}: not judged", "wrong".red());
                    anstream::println!("         {}", why.replace('\n', "\n         "));
                }
            }
        }
    }
}

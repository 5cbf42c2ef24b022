//! The report of a fixed run, as people read it; and what the fold makes of good and bad runs.

use super::*;
use crate::acceptance::{Budget, BudgetRule, Fragment, Status, Step, StepKind, TargetName};

fn step(kind: StepKind, sentence: &str) -> Step {
    Step {
        kind,
        sentence: sentence.into(),
        status: Status::Passed,
        when: "2025-11-08T09:00:01Z".into(),
        seconds: 0.25,
        expected: String::new(),
        seen: String::new(),
        how: String::new(),
        looks: 0,
        error: String::new(),
        next: String::new(),
        attachments: Vec::new(),
    }
}

fn fragment(id: &str, target: TargetName, status: Status) -> Fragment {
    let mut then = step(StepKind::Then, "history shows both changes, in order");
    then.status = if status == Status::Passed { Status::Passed } else { Status::Failed };
    then.expected = r#"is ["anna", "ben"]"#.into();
    then.seen = if status == Status::Passed { r#"["anna", "ben"]"# } else { r#"["ben"]"# }.into();
    then.how = "stackproof state history --json".into();
    then.looks = 3;
    let mut given = step(StepKind::Given, "a deployed stack");
    given.attachments.push(format!("evidence/{id}@{target}/01-up.json"));
    Fragment {
        schema: Fragment::SCHEMA.into(),
        id: id.into(),
        target,
        test: format!("{}_a_test", words::slug(id)),
        status,
        reason: match status {
            Status::Passed => String::new(),
            Status::NotApplicable => "not applicable on this target, because it cannot turn the clock".into(),
            _ => "history shows both changes, in order".into(),
        },
        started: "2025-11-08T09:00:00Z".into(),
        seconds: 12.5,
        steps: vec![given, step(StepKind::When, "two people change it at once"), then],
        budgets: vec![Budget::judge("SC-001", BudgetRule::AtMost, 12.5, 900.0, "s")],
        attachments: Vec::new(),
    }
}

/// A run with a table of two requirements; `evidence` proves the first, the second has none.
fn run(fragments: Vec<Fragment>) -> Inputs {
    let requirements = r#"
        ["US2.2"]
        title = "Concurrent changes are serialised"
        evidence = ["US2.2"]
        ["FR-006"]
        title = "Locks the state during concurrent changes"
        evidence = []
        planned = ["US2.2 under kill -9"]
    "#;
    Inputs {
        run: RunInfo {
            id: "20251108-090000".into(),
            command: "stackproof accept --target local".into(),
            targets: vec![TargetName::Local],
            started: "2025-11-08T09:00:00Z".into(),
            finished: "2025-11-08T09:00:20Z".into(),
            runner: Runner { platform: "linux x86_64".into(), processors: 2, ci: String::new() },
            stages: vec![Stage {
                name: "clippy".into(),
                command: "cargo clippy".into(),
                ok: true,
                seconds: 8.0,
                said: String::new(),
            }],
        },
        subject: Subject {
            git: Some(Git { commit: "0123456789abcdef0123456789abcdef01234567".into(), dirty: true }),
            program: "ab".repeat(32),
            tools: vec![Tool {
                name: "pulumi".into(),
                version: "3.259.0".into(),
                provenance: "built from pinned source".into(),
                digest: "cd".repeat(32),
            }],
        },
        requirements: Requirements::parse(requirements).unwrap(),
        fragments,
        tests: vec![test("stackproof", "lock::a_lease_ends", TestStatus::Passed)],
        missing_evidence: Vec::new(),
    }
}

fn test(binary: &str, name: &str, status: TestStatus) -> TestResult {
    TestResult { binary: binary.into(), name: name.into(), status, seconds: 0.01, output: String::new() }
}

fn folded(fragments: Vec<Fragment>) -> Report {
    let inputs = run(fragments);
    let folding = Folding {
        at: "2025-11-08T10:00:00Z".into(),
        by: "0.1.0".into(),
        run: inputs.run.id.clone(),
        runner: inputs.run.runner.clone(),
    };
    fold(&inputs, folding)
}

fn fixed() -> Report {
    folded(vec![
        fragment("US2.2", TargetName::Blind, Status::Passed),
        fragment("US2.2", TargetName::Local, Status::Failed),
        fragment("EC3", TargetName::Blind, Status::NotApplicable),
    ])
}

#[test]
fn the_report_in_markdown() {
    insta::assert_snapshot!(markdown::render(&fixed()));
}

#[test]
fn the_report_in_html() {
    let page = html::render(&fixed());
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    // One tag a line, without the style sheet: so that a reader of a changed snapshot sees what changed.
    insta::assert_snapshot!(format!("{head}{body}").replace("><", ">\n<"));
}

#[test]
fn the_report_in_junit() {
    insta::assert_snapshot!(String::from_utf8(junit::render(&fixed()).unwrap()).unwrap());
}

#[test]
fn the_report_in_json_reads_back() {
    let mut report = fixed();
    let read: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    report.tests[0].all.clear();
    assert_eq!(read, report);
}

#[test]
fn the_same_run_folds_to_the_same_bytes_apart_from_the_marked_block() {
    let inputs = run(vec![fragment("US2.2", TargetName::Local, Status::Passed)]);
    let [one, other] = ["one", "another"].map(|at| {
        let mut report = fold(&inputs, Folding { at: at.into(), ..Folding::default() });
        assert_eq!(report.folding.at, at);
        report.folding = Folding::default();
        (html::render(&report), markdown::render(&report), serde_json::to_string(&report).unwrap())
    });
    assert_eq!(one, other);
}

#[test]
fn scenarios_come_in_the_seed_s_order_whatever_order_they_ran_in() {
    let order: Vec<String> = fixed().scenarios.iter().map(|row| format!("{}@{}", row.id, row.target)).collect();
    assert_eq!(order, ["US2.2@local", "US2.2@blind", "EC3@blind"]);
}

#[test]
fn a_requirement_without_evidence_is_a_gap_and_never_an_acceptance() {
    let report = folded(vec![fragment("US2.2", TargetName::Local, Status::Passed)]);
    assert_eq!(report.verdict, Verdict::AcceptedWithGaps);
    assert_eq!(report.requirements.iter().map(|row| row.status).collect::<Vec<_>>(), [Proof::Proven, Proof::Gap]);
    assert_eq!(report.because, ["1 requirement without evidence yet"]);
}

#[test]
fn a_failure_on_one_target_fails_the_requirement_whatever_another_target_shows() {
    let report = fixed();
    assert_eq!((report.verdict, report.requirements[0].status), (Verdict::Rejected, Proof::Failed));
}

#[test]
fn evidence_that_took_no_part_is_not_a_proof() {
    let report = folded(vec![fragment("EC3", TargetName::Local, Status::Passed)]);
    assert_eq!(report.requirements[0].status, Proof::NotRun);
}

#[test]
fn a_run_that_shows_nothing_is_rejected() {
    let report = folded(Vec::new());
    assert_eq!(report.verdict, Verdict::Rejected);
    assert!(report.because[0].contains("nothing was shown"), "{:?}", report.because);
}

#[test]
fn a_test_that_fails_although_its_fragment_passed_is_not_lost() {
    let mut inputs = run(vec![fragment("US2.2", TargetName::Local, Status::Passed)]);
    inputs.tests.push(test("stackproof-scenarios::us2_state", "us2_2_a_test", TestStatus::Failed));
    let report = fold(&inputs, Folding::default());
    assert_eq!(report.verdict, Verdict::Rejected);
    assert_eq!(report.because[0], "test stackproof-scenarios::us2_state us2_2_a_test failed");
}

#[test]
fn missing_evidence_a_broken_budget_and_a_failed_check_each_reject() {
    let good = || run(vec![fragment("US2.2", TargetName::Local, Status::Passed)]);
    let mut missing = good();
    missing.missing_evidence.push("evidence/US2.2@local/01-up.json".into());
    let mut over = good();
    over.fragments[0].budgets[0] = Budget::judge("SC-001", BudgetRule::AtMost, 901.0, 900.0, "s");
    let mut check = good();
    check.run.stages[0].ok = false;
    for (inputs, reason) in [
        (missing, "evidence is missing: evidence/US2.2@local/01-up.json"),
        (over, "budget SC-001: 901 s, at most 900 s"),
        (check, "check clippy failed"),
    ] {
        let report = fold(&inputs, Folding::default());
        assert_eq!((report.verdict, report.because[0].as_str()), (Verdict::Rejected, reason));
    }
}

#[test]
fn the_page_fetches_nothing() {
    let page = html::render(&fixed());
    for outside in ["<script", "<link", "src=", "@import", "url("] {
        assert!(!page.replace("style-src 'unsafe-inline'", "").contains(outside), "{outside}");
    }
}

#[test]
fn a_report_replaces_a_report_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let (run, directory) = (place.path().join("run"), place.path().join("report"));
    let evidence = run.join("evidence/US2.2@local/01-up.json");
    crate::acceptance::write_whole(&evidence, b"{}").unwrap();
    let first = write(&fixed(), &run, &directory).unwrap();
    assert!(directory.join("evidence/US2.2@local/01-up.json").is_file());
    std::fs::remove_file(&evidence).unwrap();
    let second = write(&fixed(), &run, &directory).unwrap();
    assert!(!directory.join("evidence/US2.2@local/01-up.json").exists(), "nothing of the earlier report survives");
    assert_ne!(first, second);

    std::fs::remove_file(directory.join(Manifest::FILE)).unwrap();
    let failure = write(&fixed(), &run, &directory).unwrap_err();
    assert!(failure.what.ends_with("exists and is no report"), "{failure}");
}

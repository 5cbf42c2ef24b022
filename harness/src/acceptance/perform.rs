//! Runs a scenario's body and turns whatever happens into its fragment.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::{Fragment, Scenario, Status, Store, TargetName, print};
use crate::Failure;

/// Runs a scenario as a test: the test fails where the scenario does.
///
/// The target and the run come from the environment (`STACKPROOF_TARGET`,
/// `STACKPROOF_RUN`). A scenario that does not apply on the target passes as a
/// test; its evidence says why it shows nothing.
pub async fn accept(id: &str, body: impl AsyncFnOnce(&Scenario) -> Result<(), Failure>) {
    let by_hand = std::env::var_os(super::RUN_VARIABLE).is_none();
    let outcome = async {
        let scenario = Scenario::begin(id, &test_name(), TargetName::from_environment()?, Store::from_environment()?)?;
        perform(scenario, body).await
    };
    match outcome.await {
        Ok((fragment, store)) => {
            anstream::eprintln!("{}", print::scenario(&fragment));
            if by_hand {
                anstream::eprintln!("evidence: {}", store.root().display());
            }
            if matches!(fragment.status, Status::Failed | Status::Unfinished) {
                // Everything is said above; a panic of our own would only add its place in this file.
                std::panic::resume_unwind(Box::new(fragment.reason));
            }
        }
        Err(failure) => {
            anstream::eprintln!("error: {failure}");
            std::panic::resume_unwind(Box::new(failure.what));
        }
    }
}

/// Runs a scenario's body and answers what it leaves; a panic is a failed step like any other.
pub async fn perform(
    scenario: Scenario,
    body: impl AsyncFnOnce(&Scenario) -> Result<(), Failure>,
) -> Result<(Fragment, Store), Failure> {
    let outcome = AssertUnwindSafe(body(&scenario)).catch_unwind().await;
    scenario.finish(outcome.map_err(|panic| words_of(&*panic)))
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without words".into())
}

/// The name of the test that runs: nextest tells it, the test's thread carries it.
fn test_name() -> String {
    std::env::var("NEXTEST_TEST_NAME")
        .ok()
        .or_else(|| std::thread::current().name().map(ToOwned::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{Capability, Probe, StepKind, is};
    use super::*;

    struct Played {
        fragment: Fragment,
        store: Store,
        _directory: tempfile::TempDir,
    }

    async fn play(target: TargetName, body: impl AsyncFnOnce(&Scenario) -> Result<(), Failure>) -> Played {
        let directory = tempfile::tempdir().unwrap();
        let scenario = Scenario::begin("US9.9", "us9_9_a_test", target, Store::at(directory.path())).unwrap();
        let (fragment, store) = perform(scenario, body).await.unwrap();
        let written = std::fs::read(directory.path().join(format!("fragments/US9.9@{target}.json"))).unwrap();
        assert_eq!(serde_json::from_slice::<Fragment>(&written).unwrap(), fragment, "what is written is what is told");
        Played { fragment, store, _directory: directory }
    }

    #[tokio::test]
    async fn a_scenario_records_every_step_with_its_evidence() {
        let played = play(TargetName::Local, async |s| {
            let stack = s
                .given("a stack", async {
                    s.attach("plan.json", "{}")?;
                    Ok("demo")
                })
                .await?;
            s.when("it is deployed", async { Ok(()) }).await?;
            s.then("it has its name", Probe::new("stack name", async || Ok(stack.len())), is(4_usize)).await
        })
        .await;
        let [given, _, then] = &played.fragment.steps[..] else { panic!("three steps") };
        assert_eq!(played.fragment.status, Status::Passed);
        assert_eq!(given.attachments, ["evidence/US9.9@local/01-plan.json"]);
        assert_eq!((&*then.expected, &*then.seen, &*then.how, then.looks), ("is 4", "4", "stack name", 1));
    }

    #[tokio::test]
    async fn a_panic_fails_the_step_that_was_going_on() {
        let played =
            play(TargetName::Local, async |s| s.when("it breaks", async { panic!("by {}", "design") }).await).await;
        assert_eq!(played.fragment.status, Status::Failed);
        assert_eq!(played.fragment.steps[0].error, "panicked: by design");
    }

    #[tokio::test]
    async fn a_failure_between_two_steps_is_a_step_of_its_own() {
        let played = play(TargetName::Local, async |s| {
            s.when("it works", async { Ok(()) }).await?;
            Err(Failure::failed("no file").because("gone").next("look again"))
        })
        .await;
        let last = played.fragment.steps.last().unwrap();
        assert_eq!((last.kind, &*last.error, &*last.next), (StepKind::Between, "no file: gone", "look again"));
    }

    #[tokio::test]
    async fn a_scenario_without_a_then_at_its_end_shows_nothing() {
        let played = play(TargetName::Local, async |s| s.when("it works", async { Ok(()) }).await).await;
        assert_eq!(played.fragment.status, Status::Failed);
        assert!(played.fragment.reason.contains("without a then"), "{}", played.fragment.reason);
    }

    #[tokio::test]
    async fn what_the_target_cannot_do_is_not_applicable_and_says_why() {
        let body = async |s: &Scenario| {
            s.needs(Capability::Clock)?;
            s.then("time flies", Probe::fact("clock", 1), is(1)).await
        };
        let blind = play(TargetName::Blind, body).await.fragment;
        assert_eq!(blind.status, Status::NotApplicable);
        assert!(blind.reason.contains("because a blind target has no control API"), "{}", blind.reason);
        assert_eq!(play(TargetName::Local, body).await.fragment.status, Status::Passed);
    }

    #[tokio::test]
    async fn a_broken_budget_fails_a_scenario_whose_steps_all_pass() {
        let played = play(TargetName::Local, async |s| {
            s.budget("NFR-003", 5.1, 5.0, "s");
            s.then("it answers", Probe::fact("GET /", 200), is(200)).await
        })
        .await;
        assert_eq!(played.fragment.status, Status::Failed);
        assert_eq!(played.fragment.reason, "the budget NFR-003 does not hold");
    }

    #[tokio::test]
    async fn a_secret_reaches_no_evidence_even_when_it_becomes_known_late() {
        let played = play(TargetName::Local, async |s| {
            s.when("a key is made", async { s.attach("key.txt", "key: hunter2") }).await?;
            s.secret("hunter2");
            s.then("it is hunter2", Probe::fact("echo hunter2", "hunter2".to_owned()), is("hunter2")).await
        })
        .await;
        assert_eq!(played.store.evidence("evidence/US9.9@local/01-key.txt").unwrap(), b"key: [secret]");
        assert!(!serde_json::to_string(&played.fragment).unwrap().contains("hunter2"));
    }

    #[tokio::test]
    async fn a_long_sighting_is_shortened_and_attached_whole() {
        let long = "x".repeat(5000);
        let played =
            play(TargetName::Local, async |s| s.then("much", Probe::fact("cat", long.clone()), is("")).await).await;
        let step = &played.fragment.steps[0];
        assert!(step.seen.len() < 800 && step.seen.ends_with("(5002 characters, attached)"), "{}", step.seen);
        assert_eq!(played.store.evidence(&step.attachments[0]).unwrap().len(), 5002);
    }

    #[tokio::test]
    async fn a_second_scenario_of_the_same_id_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let begin = |test: &str| Scenario::begin("US9.9", test, TargetName::Local, Store::at(directory.path()));
        begin("us9_9_a_test").unwrap();
        begin("us9_9_a_test").expect("the same test may run again");
        let failure = begin("us9_9_another").err().unwrap();
        assert_eq!(failure.what, "two scenarios have the id US9.9");
    }

    #[tokio::test]
    async fn a_scenario_whose_process_dies_is_on_record_as_unfinished() {
        let directory = tempfile::tempdir().unwrap();
        let _scenario = Scenario::begin("US9.9", "t", TargetName::Local, Store::at(directory.path())).unwrap();
        let written = std::fs::read(directory.path().join("fragments/US9.9@local.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Fragment>(&written).unwrap().status, Status::Unfinished);
    }
}

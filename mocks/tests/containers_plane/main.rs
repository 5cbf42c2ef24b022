//! Serverless Containers that run: asked through the public API and their host names.
//!
//! This program is the containers' helper as well, as the `stackproof` program is: hence a `main` of its own.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod crons;
mod domains;
mod failures;
mod image;
mod metrics;
mod redeploy;
mod requests;
mod scaling;
mod scene;

use libtest_mimic::{Arguments, Trial};
use stackproof_planes::{containers::helper::run_if_asked, network::Driver};

/// A test by its path, run in a runtime of its own.
macro_rules! trials {
    ($($module:ident::$test:ident),* $(,)?) => {
        vec![$(Trial::test(concat!(stringify!($module), "::", stringify!($test)), || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on($module::$test());
            Ok(())
        })),*]
    };
}

fn main() {
    run_if_asked();
    let arguments = Arguments::from_args();
    let trials = trials![
        failures::an_image_that_is_not_there,
        failures::an_image_of_another_registry,
        failures::a_process_that_listens_elsewhere,
        failures::a_process_that_listens_to_itself,
        failures::a_process_that_ends_at_once,
        failures::a_process_that_needs_more_memory_than_it_may,
        failures::a_process_that_is_never_well,
        failures::an_image_for_another_machine,
        failures::a_command_that_is_not_there,
        failures::a_process_that_crashes_comes_back,
        failures::what_failed_runs_when_it_is_put_right,
        crons::a_schedule_calls_its_container,
        crons::a_schedule_that_was_changed_or_removed_calls_no_more,
        domains::a_domain_leads_to_its_container,
        requests::headers_are_added_and_others_pass,
        requests::one_that_takes_too_long_is_broken_off,
        requests::a_websocket_is_carried_both_ways,
        requests::http2_is_spoken_from_end_to_end,
        requests::plain_requests_are_sent_to_https,
        scaling::what_nobody_asks_sleeps_by_the_clouds_clock,
        scaling::there_are_as_many_as_requests_need,
        scaling::there_are_as_many_as_the_use_of_processors_needs,
        scaling::files_have_a_limit,
        metrics::what_happens_is_counted,
        redeploy::nothing_is_lost,
    ];
    let missing = tokio::runtime::Runtime::new().map(|runtime| runtime.block_on(Driver::detect()));
    let cannot = !nix::unistd::geteuid().is_root() || !matches!(missing, Ok(Driver::Namespaces));
    if cannot {
        assert!(
            std::env::var_os("STACKPROOF_NEEDS_NAMESPACES").is_none(),
            "STACKPROOF_NEEDS_NAMESPACES is set, and this machine has none, or this is not root"
        );
        eprintln!("IGNORED: no containers run on this machine");
    }
    let trials = trials.into_iter().map(|trial: Trial| trial.with_ignored_flag(cannot)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

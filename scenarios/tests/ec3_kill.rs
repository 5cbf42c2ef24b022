//! EC3 A run is killed at any moment of an update: the next `up` ends complete, nothing is made twice, nothing is lost.

use std::{
    fs,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use stackproof::{
    Failure,
    acceptance::{Capability, Probe, Scenario, accept, empty, is},
};
use stackproof_scenarios::{STACK, Team};

/// EC3, SC-003 Killed at a handful of moments, spread over the update.
#[tokio::test]
async fn ec3_kill_at_a_handful_of_moments() {
    accept("EC3-kill", async |s| killed(s, 4).await).await;
}

/// EC3, SC-003 The same at thirty.
#[tokio::test]
#[ignore = "a long proof: accept --full"]
async fn ec3_kill_30_moments() {
    accept("EC3-kill-30", async |s| killed(s, 30).await).await;
}

/// EC3, FR-006 The making of the state's home is killed at a handful of moments: the next `state init` ends it, and
/// nothing is there twice.
#[tokio::test]
async fn ec3_kill_init_at_a_handful_of_moments() {
    accept("EC3-kill-init", async |s| init_killed(s, 5).await).await;
}

async fn init_killed(s: &Scenario, times: u32) -> Result<(), Failure> {
    s.needs(Capability::Faults)?;
    let undisturbed = s.given("a team", Team::begins(s)).await?;
    let begun = Instant::now();
    s.given("it is known what a home has, and how long its making takes", up(&undisturbed, &["state", "init"])).await?;
    let (takes, wanted) = (begun.elapsed(), undisturbed.control()?.resources().await?);
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for number in 0..times {
        let team = Team::begins(s).await?.with_leases_of(Duration::from_secs(1));
        let moment = takes.mul_f64((f64::from(number) + 0.5) / f64::from(times));
        let mut run = team.begin("ada", &["state", "init"], &[])?;
        let ended = tokio::time::timeout(moment, run.wait()).await.is_ok();
        if let Some(pid) = run.id().and_then(|pid| i32::try_from(pid).ok()) {
            kill_all(pid);
        }
        Team::ended(run).await?;
        let next = team.on_the_stack("ada", &["state", "init"]).await?;
        let found = team.control()?.resources().await?;
        let kinds = wanted.as_object().into_iter().flatten();
        let differ = kinds.filter(|(kind, count)| found.get(kind) != Some(count));
        let mut problems: Vec<String> =
            differ.map(|(kind, count)| format!("{} of {kind} instead of {count}", found[kind])).collect();
        problems
            .extend((next.code != Some(0)).then(|| format!("state init ended with {:?}: {}", next.code, next.stderr)));
        table.push_str(&format!(
            "{:>6.2} of {:>6.2} s  {}  {}\n",
            moment.as_secs_f64(),
            takes.as_secs_f64(),
            if ended { "was over" } else { "killed  " },
            if problems.is_empty() { "whole" } else { "NOT WHOLE" },
        ));
        wrong.extend(problems.into_iter().map(|problem| format!("killed at {moment:?}: {problem}")));
    }
    s.attach("kills.txt", &table)?;
    let told = Probe::fact("state init, GET /resources", wrong);
    s.then("each time the next `state init` ends it, and nothing is there twice", told, empty()).await
}

/// Kills the whole of a run that makes, changes and deletes things, at so many moments of it.
async fn killed(s: &Scenario, times: u32) -> Result<(), Failure> {
    s.needs(Capability::Faults)?;
    let team = s.given("a team", Team::begins(s)).await?.with_leases_of(Duration::from_secs(1));
    s.given("its state has a home", up(&team, &["state", "init"])).await?;
    s.given("its stack is deployed", up(&team, &["up"])).await?;
    // Or hardly a kill would come while something is being made.
    s.given("making something takes its time", team.secrets_take_time(0, 400)).await?;
    next_round(&team, 0)?;
    let begun = Instant::now();
    s.given("it is known how long an update takes", up(&team, &["up"])).await?;
    let mut takes = begun.elapsed();

    let (mut table, mut wrong) = (String::new(), Vec::new());
    let (mut number, mut round, mut over, mut pending) = (0, 0, 0, 0);
    while number < times {
        round += 1;
        let secrets = next_round(&team, round)?;
        let moment = takes.mul_f64((f64::from(number) + 0.5) / f64::from(times));
        let begun = Instant::now();
        let mut run = team.begin("ada", &["up"], &[])?;
        // A moment is a time: what goes on then is what is tried.
        let ended = tokio::time::timeout(moment, run.wait()).await.is_ok();
        let pid = run.id().and_then(|pid| i32::try_from(pid).ok());
        if ended {
            // This machine is faster than it was: the same moment again, of a shorter update.
            takes = begun.elapsed();
            over += 1;
        } else {
            number += 1;
        }
        if let Some(pid) = pid {
            kill_all(pid);
        }
        let said = Team::ended(run).await?;
        if ended && said.code != Some(0) {
            wrong.push(format!("an update failed: {}", said.stderr));
        }
        let next = team.on_the_stack("grace", &["up", "--wait", "60s"]).await?;
        let found = team.secrets_in_the_cloud().await?;
        let mut problems = team.differences().await?;
        problems.extend((next.code != Some(0)).then(|| format!("up ended with {:?}: {}", next.code, next.stderr)));
        problems.extend((found != secrets).then(|| format!("{found} secrets instead of {secrets}")));
        let told = |words: &str| next.stderr.lines().filter(|line| line.contains(words)).count();
        let (taken, absent) = (told("taken into the state"), told("the next update makes it"));
        pending += taken + absent;
        let took_over = next.stderr.contains("tidying up after it");
        table.push_str(&format!(
            "{number:>3}  {:>6.2} of {:>6.2} s  {}  next up {:>6.2} s  took over: {took_over:<5}  pending and there: \
             {taken}, not there: {absent}  {}\n",
            moment.as_secs_f64(),
            takes.as_secs_f64(),
            if ended { "was over" } else { "killed  " },
            next.took.as_secs_f64(),
            if problems.is_empty() { "whole" } else { "NOT WHOLE" },
        ));
        wrong.extend(problems.into_iter().map(|problem| format!("killed at {moment:?}: {problem}")));
    }
    table.push_str(&format!("{number} killed, {over} were over before, {pending} resources were being made\n"));
    s.attach("kills.txt", &table)?;
    let told = Probe::fact("up, state show, lists of the APIs", wrong);
    s.then("each time the next `up` ends complete, nothing is there twice, nothing is lost", told, empty()).await?;
    let whole = up(&team, &["audit", "verify"]).await?;
    s.then("the audit trail is whole", Probe::fact("audit verify", whole.code), is(Some(0))).await
}

/// Has the next update make secrets or delete some, and change the others. Gives how many there will be.
fn next_round(team: &Team, number: u32) -> Result<usize, Failure> {
    let secrets = if number.is_multiple_of(2) { 7 } else { 2 };
    team.configure(STACK, &[("secrets", &secrets.to_string()), ("round", &number.to_string())])?;
    Ok(secrets)
}

async fn up(team: &Team, words: &[&str]) -> Result<stackproof_scenarios::Said, Failure> {
    team.on_the_stack("ada", words).await?.success()
}

/// Kills a process and all that it has started, as a machine that fails does.
fn kill_all(pid: i32) {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(&parent) = all.get(at) {
        all.extend(children(parent));
        at += 1;
    }
    for pid in all {
        // What has ended meanwhile need not be killed.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

fn children(parent: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()).collect()
}

//! The cloud's process: how soon it answers, and what it takes.

use std::{collections::BTreeSet, fs, time::Instant};

use super::{Measured, Yardstick, median, subject::Subject};
use crate::Failure;

/// How often a start is measured.
const STARTS: usize = 11;

const START: &str = "from the start of the process to its first answer";
const MEMORY: &str = "memory of an idle cloud, with all its processes";

/// The time from running `stackproof cloud serve`, as `cloud start` does, in a new folder to the answer of a first
/// request (the list of VPCs): the median of 11.
pub(super) async fn start() -> Result<Measured, Failure> {
    let mut took = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let subject = Subject::start().await?;
        let answered = first_answer(&subject).await;
        took.push(began.elapsed().as_secs_f64() * 1000.0);
        subject.stop().await?;
        answered?;
    }
    Ok(Measured::new("start", START, "ms", median(took)).has_to_be(Yardstick::AtMost(50.0)))
}

/// The resident memory of the cloud's process and of all that it started, after its first answer and before anything
/// was made, as the kernel tells it.
pub(super) async fn memory() -> Result<Measured, Failure> {
    let yardstick = Yardstick::AtMost(60.0);
    if !cfg!(target_os = "linux") {
        let why = "memory is read from /proc, which only Linux has";
        return Ok(Measured::not_here("memory", MEMORY, "MB", why).has_to_be(yardstick));
    }
    let subject = Subject::start().await?;
    let answered = first_answer(&subject).await;
    let resident: u64 = with_children(subject.process().ready().pid).into_iter().filter_map(resident).sum();
    subject.stop().await?;
    answered?;
    if resident == 0 {
        return Err(Failure::environment("the kernel does not tell how much memory the cloud takes"));
    }
    Ok(Measured::new("memory", MEMORY, "MB", resident as f64 / 1024.0).has_to_be(yardstick))
}

async fn first_answer(subject: &Subject) -> Result<(), Failure> {
    let api = subject.api()?;
    let path = api.regional("vpc/v2", "vpcs");
    let answer = api.get(&path).await?;
    if answer.status == 200 {
        return Ok(());
    }
    Err(Failure::failed(format!("GET {path} answered {}", answer.status)).because(answer.body))
}

/// A process and all that it started, and what those did.
fn with_children(first: u32) -> BTreeSet<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = processes
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, status(pid, "PPid:")?.parse().ok()?))
        })
        .collect();
    let mut found = BTreeSet::from([first]);
    while let Some((pid, _)) = parents.iter().find(|(pid, parent)| found.contains(parent) && !found.contains(pid)) {
        found.insert(*pid);
    }
    found
}

/// Resident memory in kilobytes.
fn resident(pid: u32) -> Option<u64> {
    status(pid, "VmRSS:")?.strip_suffix(" kB")?.trim().parse().ok()
}

fn status(pid: u32, field: &str) -> Option<String> {
    let told = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(told.lines().find_map(|line| line.strip_prefix(field))?.trim().to_owned())
}

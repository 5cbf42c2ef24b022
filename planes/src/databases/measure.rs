//! How much a server uses.

use std::{fs, path::Path, time::Duration};

use super::{
    files,
    sql::{MAIN, PLANE, Session, text},
    standby,
    sweep::TICKS,
};

/// What was measured of an instance. What cannot be told is left out: nothing runs, or the machine does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Which of two nodes serves: 0 or 1.
    pub node: usize,
    /// How many bytes the data takes.
    pub bytes: u64,
    /// How many clients are connected.
    pub connections: Option<u64>,
    /// For how long its processes have used a processor, those that ended too.
    pub busy: Option<Duration>,
    /// How many bytes of memory its processes use; what they share is counted once.
    pub memory: Option<u64>,
}

/// Measures an instance.
pub(super) async fn measure(home: &Path, sockets: &Path) -> Measure {
    let data = standby::current(home);
    let node = usize::from(data.ends_with("b"));
    let mut measure = Measure { node, connections: connections(sockets).await, ..Measure::default() };
    let looked = files::aside(move || {
        let bytes = files::bytes(&data);
        let told = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let first =
            told.lines().next().and_then(|line| line.trim().parse().ok()).filter(|_| measure.connections.is_some());
        Ok((bytes, first.map(processes)))
    });
    if let Ok((bytes, processes)) = looked.await {
        measure.bytes = bytes;
        measure.busy = processes.and_then(|(busy, _)| busy);
        measure.memory = processes.and_then(|(_, memory)| memory);
    }
    measure
}

async fn connections(sockets: &Path) -> Option<u64> {
    let session = Session::open(sockets, MAIN, "postgres").await.ok()?;
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> {}",
        text(PLANE)
    );
    session.column("counting connections", &query).await.ok()?.pop()?.parse().ok()
}

/// Processor and memory of a process and its children.
fn processes(first: u32) -> (Option<Duration>, Option<u64>) {
    let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    let all: Vec<u32> = std::iter::once(first).chain(children).collect();
    let ticks = all.iter().filter_map(|process| busy(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?));
    let memory =
        all.iter().filter_map(|process| share(&fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?));
    let sum = |all: Vec<u64>| (!all.is_empty()).then(|| all.iter().sum::<u64>());
    let ticks = sum(ticks.collect());
    (ticks.map(|ticks| Duration::from_millis(ticks * 1000 / TICKS)), sum(memory.collect()))
}

/// The ticks of a process and of its children that ended.
fn busy(stat: &str) -> Option<u64> {
    // After the name, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
}

/// The bytes that are a process's, of what it shares its share.
fn share(smaps: &str) -> Option<u64> {
    let line = smaps.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read() {
        let stat = "42 (a) name) S 1 42 42 0 -1 4194560 900 300 0 0 7 5 20 10 20 0 1 0 100 1000 200";
        assert_eq!(busy(stat), Some(42));
        assert_eq!(busy("nothing"), None);
        assert_eq!(share("5000-6000 ---p [rollup]\nRss:  900 kB\nPss:    300 kB\nPss_Dirty: 1 kB\n"), Some(307_200));
        let (used, memory) = processes(std::process::id());
        if cfg!(target_os = "linux") {
            assert!(used.is_some() && memory.is_some_and(|bytes| bytes > 100_000), "{used:?} {memory:?}");
        }
    }
}

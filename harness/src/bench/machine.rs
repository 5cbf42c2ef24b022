//! The machine a run measured on.

use serde::Serialize;

/// Where something was measured, and how what was measured had been built.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Operating system and architecture.
    pub platform: String,
    /// What the processors are.
    pub processor: String,
    /// How many of them.
    pub processors: usize,
    /// Memory in megabytes; 0 where it is not told.
    pub memory: u64,
    /// Processes that wanted to run, over the last minute, when the run ended; none where it is not told.
    pub load: Option<f64>,
    /// The profile this program was built with.
    pub profile: &'static str,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let told = |file: &str, name: &str| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name))?.split_once(':')?.1.trim().to_owned();
            Some(line)
        };
        let memory = told("/proc/meminfo", "MemTotal").and_then(|all| all.strip_suffix(" kB")?.parse::<u64>().ok());
        let load = std::fs::read_to_string("/proc/loadavg").ok();
        Self {
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processor: told("/proc/cpuinfo", "model name").unwrap_or_default(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory.unwrap_or(0) / 1024,
            load: load.and_then(|load| load.split_whitespace().next()?.parse().ok()),
            profile: if cfg!(debug_assertions) { "dev, its dependencies optimised" } else { "release" },
        }
    }

    /// In one line.
    pub fn shown(&self) -> String {
        let load = self.load.map(|load| format!(", load {load}")).unwrap_or_default();
        let (platform, processors, processor) = (&self.platform, self.processors, &self.processor);
        format!("{platform}, {processors} × {processor}, {} MB{load}; built with profile {}", self.memory, self.profile)
    }
}

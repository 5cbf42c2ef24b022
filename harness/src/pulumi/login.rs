//! Who deploys, as Pulumi's provider is told: by a file that goes with this process, not by variables.
//!
//! The engine keeps the inputs of a default provider in the state, and the provider takes `SCW_ACCESS_KEY` and
//! `SCW_SECRET_KEY` for such inputs: the deployer's key would stand there, readable for everybody who may read the
//! state. And all of the provider, the engine, the language host and the program would have it in their environments.
//! From a profile, of `SCW_CONFIG_PATH`, the provider takes it by itself, and nothing is kept.

use std::{io::Write, path::Path};

use serde_json::json;
use tempfile::NamedTempFile;
use tokio::process::Command;

use crate::{Failure, target::Environment};

/// What says who deploys, and what the file says instead. Those of AWS are for Pulumi's state in a bucket, which it
/// is led to otherwise.
const VARIABLES: [&str; 4] = ["SCW_ACCESS_KEY", "SCW_SECRET_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

/// A profile of the deployer's, for this user's eyes only, and gone when dropped.
pub(super) struct Login(NamedTempFile);

impl Login {
    /// Writes the profile of this environment's credentials into a folder.
    pub(super) fn write(folder: &Path, environment: &Environment) -> Result<Self, Failure> {
        let who = environment.credentials();
        // Every JSON document is one of YAML, which profiles are.
        let profile = json!({"access_key": who.access_key, "secret_key": who.secret_key}).to_string();
        let write = || -> std::io::Result<NamedTempFile> {
            // Temporary files are made with mode 0600.
            let mut file = tempfile::Builder::new().prefix("profile-").suffix(".yaml").tempfile_in(folder)?;
            file.write_all(profile.as_bytes())?;
            file.flush()?;
            Ok(file)
        };
        let file = write().map_err(|error| {
            Failure::environment(format!("{} cannot be used", folder.display()))
                .because(error)
                .next(format!("ls -ld {}", folder.display()))
        })?;
        Ok(Self(file))
    }

    /// What the profile's file is called.
    pub(super) fn file_name(&self) -> &str {
        self.0.path().file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Leads a command to the profile.
    pub(super) fn apply(&self, command: &mut Command) {
        for name in VARIABLES {
            command.env_remove(name);
        }
        command.env("SCW_CONFIG_PATH", self.0.path());
    }
}

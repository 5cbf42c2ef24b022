//! Targets: the cloud a stack is deployed to.
//!
//! Only a target knows whether its cloud is local or real, and how it is
//! reached. Everyone else gets an [`Environment`] for child processes, an
//! [`Api`] client, and asks for capabilities that only some targets have.

mod api;
mod cloud;
mod control;
mod database;
mod entrance;
mod environment;
mod handshake;
mod object;
mod way;
mod web;

use std::path::Path;

pub use api::{Api, ApiAnswer};
pub use cloud::{CloudHome, CloudProcess, Launch, Running, Stopped};
pub use control::{Attempt, Control, Trouble};
pub use database::Login;
pub use entrance::{Entrance, NoEntrance};
pub use environment::{Credentials, Environment};
pub use handshake::Tls;
pub use object::ObjectStorage;
pub use web::{Page, Web};

pub use cloud::program;

pub(crate) use cloud::write_private;

use stackproof_cloud::kernel::Profile;

use crate::{Failure, acceptance::TargetName};

/// A cloud to deploy to.
pub struct Target {
    name: TargetName,
    environment: Environment,
    control: Option<Control>,
    /// The cloud goes with the target that launched it.
    _process: Option<CloudProcess>,
}

impl Target {
    /// The target of this name for one scenario: a local cloud of its own below `folder`, in which time
    /// passes as `profile` says, or what the environment names.
    ///
    /// # Errors
    /// When the cloud cannot be started, or the environment lacks credentials.
    pub async fn for_scenario(name: TargetName, folder: &Path, profile: Profile) -> Result<Self, Failure> {
        let launch = |control| Launch { control, profile, planes: true, ..Launch::new(folder) };
        match name {
            TargetName::Local | TargetName::Gateway => {
                let process = CloudProcess::launch(&launch(true)).await?;
                let environment = process.environment(name == TargetName::Local);
                let control = process.control();
                Ok(Self { name, environment, control, _process: Some(process) })
            }
            TargetName::Blind => {
                let process = CloudProcess::launch(&launch(false)).await?;
                let variables = process.environment(false);
                // From here on this is the code path of a real project.
                let known = Self::from_environment(name, |variable| variables.get(variable).map(str::to_owned))?;
                Ok(Self { _process: Some(process), ..known })
            }
            TargetName::Scaleway => Self::from_environment(name, |variable| std::env::var(variable).ok()),
        }
    }

    /// The local cloud that `stackproof cloud start` started, reached as the name says.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn running(name: TargetName, home: &CloudHome) -> Result<Self, Failure> {
        if name == TargetName::Scaleway {
            return Self::from_environment(name, |variable| std::env::var(variable).ok());
        }
        let running = home.running().await?;
        Ok(Self {
            name,
            environment: running.environment(name == TargetName::Local),
            control: running.control(),
            _process: None,
        })
    }

    /// A cloud that is reached in this environment.
    pub(crate) fn known(name: TargetName, environment: Environment) -> Self {
        Self { name, environment, control: None, _process: None }
    }

    /// A cloud known by environment variables alone.
    ///
    /// # Errors
    /// When credentials are missing.
    pub fn from_environment(name: TargetName, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        Ok(Self { name, environment: Environment::from_variables(variable)?, control: None, _process: None })
    }

    /// The same cloud for somebody else: whoever has this key.
    #[must_use]
    pub fn seen_by(&self, access_key: &str, secret_key: &str) -> Self {
        let environment = self.environment.clone().with_key(access_key, secret_key);
        Self { name: self.name, environment, control: self.control.clone(), _process: None }
    }

    /// Its name.
    pub fn name(&self) -> TargetName {
        self.name
    }

    /// The environment of processes that are to use it.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Its control API, where it has one: faults, the clock, what it cost.
    pub fn control(&self) -> Option<&Control> {
        self.control.as_ref()
    }

    /// A client of its JSON API.
    ///
    /// # Errors
    /// When its certificate authority cannot be read.
    pub fn api(&self) -> Result<Api, Failure> {
        Api::new(&self.environment)
    }

    /// A client of what stacks on it serve on the web.
    ///
    /// # Errors
    /// When its certificate authority cannot be read.
    pub fn web(&self) -> Result<Web, Failure> {
        Web::new(&self.environment)
    }

    /// A client of its Object Storage.
    ///
    /// # Errors
    /// When its certificate authority cannot be read.
    pub fn object_storage(&self) -> Result<ObjectStorage, Failure> {
        ObjectStorage::new(&self.environment, None)
    }
}

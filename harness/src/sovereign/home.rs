//! Where a stack's state is, opened: its bucket, the bucket of its backups, the database of its lock, its passphrase.

use std::fmt;

use serde::Deserialize;
use stackproof_state::{
    bucket::{Access, Addressing, Bucket, Key},
    checkpoint,
    database::{Database, Trust},
    lock::{Lock, StackKey},
};

use super::{Names, vault::Vault};
use crate::{
    Failure,
    target::{Api, Target},
};

/// The secret of the passphrase that states are encrypted with.
pub(super) const PASSPHRASE: &str = "state-passphrase";
/// The secret of the key that the state is written with.
const KEY: &str = "deployers-key";
/// The secret of the login at a managed lock database.
const LOGIN: &str = "lock-login";

/// A stack's state, its lock and its secrets, as `infra/state` made them.
pub struct Home {
    names: Names,
    bucket: Bucket,
    backups: Bucket,
    database: Database,
    passphrase: String,
}

#[derive(Deserialize)]
struct DeployersKey {
    access_key: String,
    secret_key: String,
}

#[derive(Deserialize)]
struct Login {
    host: String,
    port: String,
    user: String,
    password: String,
    certificate: String,
    database: String,
}

impl Home {
    /// The home of a stack's state; none where nobody has made one.
    ///
    /// # Errors
    /// When Secret Manager does not answer or refuses, or what it holds makes no sense.
    pub async fn find(target: &Target, names: Names) -> Result<Option<Self>, Failure> {
        let api = target.api()?;
        let vault = Vault::new(&api, &names);
        let (Some(passphrase), Some(key)) = (vault.read(PASSPHRASE).await?, vault.read(KEY).await?) else {
            return Ok(None);
        };
        let key: DeployersKey = read(&names, KEY, &key)?;
        let login = match vault.read(LOGIN).await? {
            Some(login) => read(&names, LOGIN, &login)?,
            None => serverless(&api, &names, &key).await?,
        };
        let bucket = bucket(target, &names, &key, names.bucket(), &names.region)?;
        let region = region_of(target, &names, &key, &names.backup_bucket()).await?;
        let backups = self::bucket(target, &names, &key, names.backup_bucket(), &region)?;
        let database = database(target, &login)?;
        Ok(Some(Self { bucket, backups, database, passphrase, names }))
    }

    /// The names of everything.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The bucket of the state.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The bucket of its backups.
    pub fn backups(&self) -> &Bucket {
        &self.backups
    }

    /// The database of its lock and of the audit trail.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What the state's secrets are encrypted with.
    pub(crate) fn passphrase(&self) -> &str {
        &self.passphrase
    }

    /// The backend as others know it: without this run's gateway.
    pub fn backend(&self) -> String {
        format!("s3://{}?region={2}&endpoint=https://s3.{2}.scw.cloud", self.bucket.name(), (), self.names.region)
    }

    /// The stack of this project in the bucket.
    ///
    /// # Errors
    /// When the project has no name that Pulumi would take.
    pub fn stack(&self, project: &str) -> Result<checkpoint::Stack, Failure> {
        checkpoint::Stack::new(project, &self.names.stack).map_err(|error| Failure::usage(error.to_string()))
    }

    /// Its lock.
    ///
    /// # Errors
    /// As above.
    pub fn lock(&self, project: &str) -> Result<Lock, Failure> {
        let key = StackKey::new(&self.backend(), project, &self.names.stack);
        Ok(Lock::new(&self.database, key.map_err(|error| Failure::usage(error.to_string()))?))
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("bucket", &self.bucket.shown()).field("lock", &self.database).finish_non_exhaustive()
    }
}

fn read<T: serde::de::DeserializeOwned>(names: &Names, what: &str, text: &str) -> Result<T, Failure> {
    // Not with the parser's words: they may quote the secret.
    serde_json::from_str(text).map_err(|_| {
        Failure::failed(format!("secret {} does not say what it should", names.named(what)))
            .because("somebody else wrote it, or another version of stackproof did")
            .next(format!("stackproof state init --stack {}", names.stack))
    })
}

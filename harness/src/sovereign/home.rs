//! Where a stack's state is, opened: its bucket, the bucket of its backups, the database of its lock, its passphrase.

use std::{fmt, time::Duration};

use serde::Deserialize;
use stackproof_state::{
    bucket::{Access, Addressing, Bucket, Key},
    checkpoint,
    database::{Database, Trust},
    lock::{Lock, StackKey, Timing},
};

use super::{Names, vault::Vault};
use crate::{
    Failure,
    target::{Api, ObjectStorage, Target},
};

/// The secret of the passphrase that states are encrypted with.
pub(crate) const PASSPHRASE: &str = "state-passphrase";
/// The secret of the key that the state is written with.
const KEY: &str = "deployers-key";
/// The secret of the login at a managed lock database.
const LOGIN: &str = "lock-login";

/// A stack's state, its lock and its secrets, as `infra/state` made them.
pub struct Home {
    names: Names,
    bucket: Bucket,
    backups: Bucket,
    login: Login,
    database: Database,
    passphrase: String,
}

#[derive(Deserialize)]
struct DeployersKey {
    access_key: String,
    secret_key: String,
    backup_region: String,
}

#[derive(Clone, Deserialize)]
struct Login {
    host: String,
    port: String,
    user: String,
    password: String,
    /// Empty where the certificate is one that everybody trusts.
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
        let (passphrase, key, login) = futures::try_join!(vault.read(PASSPHRASE), vault.read(KEY), vault.read(LOGIN))?;
        let (Some(passphrase), Some(key), Some(login)) = (passphrase, key, login) else { return Ok(None) };
        let key: DeployersKey = read(&names, KEY, &key)?;
        let login: Login = read(&names, LOGIN, &login)?;
        let bucket = bucket(target, &names, &key, names.bucket(), &names.region)?;
        let backups = self::bucket(target, &names, &key, names.backup_bucket(), &key.backup_region)?;
        let database = database(target, &login)?;
        Ok(Some(Self { names, bucket, backups, login, database, passphrase }))
    }

    /// Object Storage as the deployers' application sees it, who alone may look into the state's buckets; none where there
    /// is no such key.
    ///
    /// # Errors
    /// When Secret Manager does not answer or refuses, or what it holds makes no sense.
    pub async fn storage(target: &Target, names: &Names) -> Result<Option<ObjectStorage>, Failure> {
        let api = target.api()?;
        let Some(key) = Vault::new(&api, names).read(KEY).await? else { return Ok(None) };
        let key: DeployersKey = read(names, KEY, &key)?;
        let storage = target.object_storage()?.in_project(&names.project);
        Ok(Some(storage.with_key(&key.access_key, &key.secret_key)))
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

    /// The same database, asked as somebody else.
    pub(super) fn database_as(&self, target: &Target, user: &str, password: &str) -> Result<Database, Failure> {
        let login = Login { user: user.to_owned(), password: password.to_owned(), ..self.login.clone() };
        database(target, &login)
    }

    /// Whether the state of this project's stack is in the bucket.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn has(&self, project: &str) -> Result<bool, Failure> {
        let again = self.again("stackproof state verify");
        Ok(super::session::version(&self.bucket, &self.stack(project)?, &again).await?.is_some())
    }

    /// What the state's secrets are encrypted with.
    pub(crate) fn passphrase(&self) -> &str {
        &self.passphrase
    }

    /// The backend as others know it: without this run's gateway.
    pub fn backend(&self) -> String {
        let region = &self.names.region;
        format!("s3://{}?region={region}&endpoint=https://s3.{region}.scw.cloud", self.bucket.name())
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
        let lock = Lock::new(&self.database, key.map_err(|error| Failure::usage(error.to_string()))?);
        Ok(lock.timing(Timing { ttl: lease()?, ..Timing::default() }))
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home")
            .field("bucket", &self.bucket.shown())
            .field("lock", &self.database)
            .finish_non_exhaustive()
    }
}

/// The environment variable that says for how long a lease is good without being renewed.
const LEASE_VARIABLE: &str = "STACKPROOF_LEASE";

/// For how long a lease is good without being renewed. Longer than Pulumi hangs on to one save, unless said otherwise.
fn lease() -> Result<Duration, Failure> {
    let Ok(text) = std::env::var(LEASE_VARIABLE) else { return Ok(Timing::default().ttl) };
    let lease = text.parse::<jiff::SignedDuration>().ok().and_then(|lease| Duration::try_from(lease).ok());
    lease.filter(|lease| *lease >= Duration::from_millis(500)).ok_or_else(|| {
        Failure::usage(format!("{LEASE_VARIABLE} is no time of at least 500ms")).next("unset it, or say 90s")
    })
}

fn bucket(target: &Target, names: &Names, key: &DeployersKey, bucket: String, region: &str) -> Result<Bucket, Failure> {
    let address = format!("https://s3.{region}.scw.cloud");
    let endpoint = address.parse();
    let endpoint = endpoint.map_err(|error| Failure::usage(format!("{region} is no region")).because(error))?;
    // The project is chosen by the access key's suffix.
    let key = Key::new(format!("{}@{}", key.access_key, names.project), key.secret_key.clone());
    let access = Access {
        endpoint,
        region: region.to_owned(),
        bucket,
        prefix: String::new(),
        addressing: Addressing::Path,
        key,
    };
    Ok(Bucket::new(Api::client(target.environment())?, access))
}

fn database(target: &Target, login: &Login) -> Result<Database, Failure> {
    let trust = match (login.certificate.as_str(), target.environment().get("SSL_CERT_FILE")) {
        ("", None) => Trust::System,
        ("", Some(path)) => Trust::Authority(std::fs::read_to_string(path).map_err(|error| {
            Failure::environment(format!("{path} cannot be read"))
                .because(error)
                .next("stackproof cloud stop && stackproof cloud start")
        })?),
        (certificate, _) => Trust::Authority(certificate.to_owned()),
    };
    let address = format!("postgres://{}@{}:{}/{}", login.user, login.host, login.port, login.database);
    Database::new(&address, Some(&login.password), trust)
        .map_err(|error| Failure::environment(error.to_string()).next("stackproof doctor"))
}

fn read<T: serde::de::DeserializeOwned>(names: &Names, what: &str, text: &str) -> Result<T, Failure> {
    // Not with the parser's words: they may quote the secret.
    serde_json::from_str(text).map_err(|_| {
        Failure::failed(format!("secret {} does not say what it should", names.named(what)))
            .because("somebody else wrote it, or another version of stackproof did")
            .next(format!("stackproof state init {}", names.words()))
    })
}

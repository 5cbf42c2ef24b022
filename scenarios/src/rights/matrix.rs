//! The matrix: what everybody may do, expected against seen.

use std::fmt;

use reqwest::Method;
use serde_json::json;
use stackproof::{
    Failure,
    target::{Api, Login, ObjectStorage, Web},
};

use super::{
    CLASSES, Class, Subject,
    class::{Storage, Way},
};
use crate::{Application, Deployment};

/// The identifier of nothing.
const NONE: &str = "00000000-0000-4000-8000-000000000000";

/// Something that is allowed and should not be, or the other way round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Who.
    pub subject: String,
    /// What.
    pub class: &'static str,
    /// Whether it is allowed.
    pub allowed: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let may = if self.allowed { "may, and should not" } else { "may not, and should" };
        write!(f, "{} {may}: {}", self.subject, self.class)
    }
}

/// What came of a policy that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// Who, and what was taken away or added.
    pub variant: String,
    /// The difference that showed it; none if nothing did.
    pub by: Option<Difference>,
}

/// A deployed stack whose principals are tried.
pub struct Rights<'a> {
    pub(super) of: &'a Deployment,
    pub(super) api: Api,
    pub(super) storage: ObjectStorage,
    web: Web,
    /// A bucket without a policy of its own: IAM alone decides about it.
    bucket: String,
    container: String,
    database: String,
}

impl<'a> Rights<'a> {
    /// Of this stack and its application. Makes a bucket to try things on.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn of(stack: &'a Deployment, application: &Application<'_>) -> Result<Self, Failure> {
        let target = stack.target();
        let (api, storage) = (target.api()?, target.object_storage()?.in_project(stack.project()));
        let bucket = stack.named("trial");
        let made = [storage.create_bucket(&bucket).await?, storage.put(&bucket, "kept", b"kept".to_vec()).await?];
        if made != [200, 200] {
            return Err(Failure::failed(format!("no bucket to try things on: {made:?}")));
        }
        let (container, database) = (application.url()?.to_owned(), application.serverless_endpoint()?.to_owned());
        Ok(Self { of: stack, api, storage, web: target.web()?, bucket, container, database })
    }

    /// Takes the bucket away again.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn clear(&self) -> Result<(), Failure> {
        for key in ["kept", "written"] {
            self.storage.delete(&self.bucket, key).await?;
        }
        match self.storage.delete_bucket(&self.bucket).await? {
            204 => Ok(()),
            status => Err(Failure::failed(format!("the bucket to try things on stays: {status}"))),
        }
    }

    /// Every class: what is expected and what is seen, as a table, and what differs.
    ///
    /// # Errors
    /// When something answers neither yes nor no.
    pub async fn matrix(&self, subjects: &[&Subject]) -> Result<(String, Vec<Difference>), Failure> {
        let (mut table, mut differences) = (String::new(), Vec::new());
        for subject in subjects {
            table.push_str(&format!("\n{}\n", subject.name));
            for class in CLASSES {
                let (expected, allowed) = (subject.expected.contains(&class.name), self.allows(subject, class).await?);
                let word = |allowed: bool| if allowed { "allowed" } else { "refused" };
                let mark = if expected == allowed { "" } else { "  <- differs" };
                table.push_str(&format!(
                    "  {:<34} expected {:<8} seen {:<8}{mark}\n",
                    class.name,
                    word(expected),
                    word(allowed)
                ));
                if expected != allowed {
                    differences.push(Difference { subject: subject.name.clone(), class: class.name, allowed });
                }
            }
        }
        Ok((table, differences))
    }

    /// Takes every permission set that a subject is granted away in turn.
    ///
    /// # Errors
    /// When the cloud refuses, or something answers neither yes nor no.
    pub async fn one_less(&self, subject: &Subject) -> Result<Vec<Caught>, Failure> {
        let mut caught = Vec::new();
        for set in subject.granted() {
            self.grant(subject, Some(&set), None).await?;
            // What it opened is looked at first.
            let by = self.difference(subject, |class| subject.expected.contains(&class.name)).await?;
            caught.push(Caught { variant: format!("{} without {set}", subject.name), by });
        }
        self.grant(subject, None, None).await?;
        Ok(caught)
    }

    /// Adds every permission set in turn that opens what a subject is not to do.
    ///
    /// # Errors
    /// As above.
    pub async fn one_more(&self, subject: &Subject) -> Result<Vec<Caught>, Failure> {
        let mut caught = Vec::new();
        let granted = subject.granted();
        for class in CLASSES.iter().filter(|class| !subject.expected.contains(&class.name)) {
            for set in class.opened_by.iter().filter(|set| !granted.iter().any(|held| held == *set)) {
                self.grant(subject, None, Some(set)).await?;
                let by = self.difference(subject, |other| other.name == class.name).await?;
                caught.push(Caught { variant: format!("{} with {set}", subject.name), by });
            }
        }
        self.grant(subject, None, None).await?;
        Ok(caught)
    }

    /// The first class that differs, those looked at first that `first` says.
    async fn difference(
        &self,
        subject: &Subject,
        first: impl Fn(&Class) -> bool,
    ) -> Result<Option<Difference>, Failure> {
        let (before, after): (Vec<&Class>, Vec<&Class>) = CLASSES.iter().partition(|class| first(class));
        for class in before.into_iter().chain(after) {
            let allowed = self.allows(subject, class).await?;
            if allowed != subject.expected.contains(&class.name) {
                return Ok(Some(Difference { subject: subject.name.clone(), class: class.name, allowed }));
            }
        }
        Ok(None)
    }

    async fn allows(&self, subject: &Subject, class: &Class) -> Result<bool, Failure> {
        match class.way {
            Way::Api(method, path) => {
                let path = path.replace("{region}", &self.api.credentials().region).replace("{none}", NONE);
                let path = path.replace("{project}", self.of.project());
                let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
                // A name that is no text: refused wherever something would be made by it.
                let body = (method != Method::GET && method != Method::DELETE).then(|| json!({"name": []}));
                let answer = subject.api.send(method.clone(), &path, body).await?;
                judged(answer.status, &format!("{method} {path}"), answer.body["type"] == "permissions_denied")
            }
            Way::Storage(operation) => self.allows_storage(subject, operation).await,
            Way::Registry(method) => {
                let namespace = self.of.named("registry");
                let region = &self.api.credentials().region;
                let digest = format!("sha256:{}", "0".repeat(64));
                let url = format!("https://rg.{region}.scw.cloud/v2/{namespace}/app/manifests/{digest}");
                let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
                let page = self.web.ask_with_password(method, &url, &subject.secret_key).await?;
                judged(page.status, &url, page.text.contains("DENIED"))
            }
            Way::Container => {
                let page = self.web.get_with_token(&self.container, &subject.secret_key).await?;
                judged(page.status, &self.container, true)
            }
            Way::Database => {
                let environment = self.of.target().environment();
                let login = Login::at_endpoint(environment, &self.database, &subject.id, &subject.secret_key)?;
                match login.query("SELECT 1").await {
                    Ok(_) => Ok(true),
                    Err(failure) if failure.meaning.contains("does not have permission") => Ok(false),
                    Err(failure) => Err(failure),
                }
            }
        }
    }

    async fn allows_storage(&self, subject: &Subject, operation: Storage) -> Result<bool, Failure> {
        let (storage, bucket) = (&subject.storage, self.bucket.as_str());
        let status = match operation {
            Storage::ReadBucket => storage.head_bucket(bucket).await?,
            Storage::MakeBucket => storage.create_bucket(bucket).await?,
            // It is not empty, and stays.
            Storage::DeleteBucket => storage.delete_bucket(bucket).await?,
            Storage::ReadPolicy => storage.bucket_policy(bucket).await?,
            Storage::Read => storage.get(bucket, "kept").await?.0,
            Storage::Write => storage.put(bucket, "written", b"written".to_vec()).await?,
            Storage::Delete => storage.delete(bucket, "written").await?,
        };
        judged(status, &format!("{operation:?} of {bucket}"), true)
    }
}

/// Whether a status says yes or no. A 403 says no where it is for lack of permissions; a failure of the cloud and a key
/// that it does not know say neither.
fn judged(status: u16, what: &str, denied: bool) -> Result<bool, Failure> {
    match status {
        403 if denied => Ok(false),
        401 | 403 | 500.. => {
            Err(Failure::failed(format!("{what} was answered {status}, which says nothing of permissions")))
        }
        _ => Ok(true),
    }
}

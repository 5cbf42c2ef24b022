//! A stack's credentials: where Secret Manager keeps them, who reads them, and where else they are looked for.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use stackproof::{
    Failure, Progress,
    acceptance::Scenario,
    foundation,
    image::{self, Source},
    scan::{Credential, Scan, described, stored},
    target::{Api, CloudHome, ObjectStorage},
};

use super::Deployment;

/// Who tries to read secrets.
pub struct Reader {
    id: String,
    api: Api,
}

/// Ends with whoever holds it.
struct Planted(Child);

impl Drop for Planted {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

impl Reader {
    /// The status of reading the value of a secret.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn reads(&self, secret: &str) -> Result<u16, Failure> {
        let path = format!("secrets/{secret}/versions/latest_enabled/access");
        Ok(self.api.get(&self.api.regional("secret-manager/v1beta1", &path)).await?.status)
    }

    /// The statuses of reading the values of all these secrets.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn reads_all(&self, secrets: &[(String, String)]) -> Result<Vec<(String, u16)>, Failure> {
        let mut told = Vec::new();
        for (name, id) in secrets {
            told.push((name.clone(), self.reads(id).await?));
        }
        Ok(told)
    }
}

impl Deployment {
    /// Names and identifiers of the secrets of a project.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn secrets(&self, project: &str) -> Result<Vec<(String, String)>, Failure> {
        let text = |secret: &Value, field: &str| secret[field].as_str().unwrap_or_default().to_owned();
        let secrets = described(&self.target.api()?, project).await?;
        let own = self.named("");
        let secrets = secrets.iter().filter(|secret| text(secret, "name").starts_with(&own));
        Ok(secrets.map(|secret| (text(secret, "name"), text(secret, "id"))).collect())
    }

    /// Every credential of the stack and of whoever deploys it, by name. They never reach the evidence.
    ///
    /// # Errors
    /// When one cannot be read.
    pub async fn credentials(&self, s: &Scenario, projects: &[&str]) -> Result<Vec<Credential>, Failure> {
        let mut all = Vec::new();
        for project in projects {
            all.extend(stored(&self.target.api()?, project).await?);
        }
        let kept = |name: &str, value: String| Credential::new(name, value);
        all.push(kept("the deployer's key", self.target.environment().credentials().secret_key.clone()));
        for key in ["databasePassword", "databaseAdminPassword"] {
            let value = self.stack.secret(key).await?;
            s.secret(&value);
            all.push(kept(key, value));
        }
        Ok(all)
    }

    /// The application, by the key that Secret Manager keeps for it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn reads_as_application(&self, s: &Scenario) -> Result<Reader, Failure> {
        let outputs = self.stack.outputs().await?;
        let id = outputs["application_key_secret_id"].as_str().unwrap_or_default();
        let id = id.rsplit('/').next().unwrap_or_default();
        let api = self.target.api()?;
        let path = format!("secrets/{id}/versions/latest_enabled/access");
        let answer = api.get(&api.regional("secret-manager/v1beta1", &path)).await?;
        let key = answer.body["data"].as_str().and_then(|data| STANDARD.decode(data).ok());
        let key = key.and_then(|key| String::from_utf8(key).ok());
        let key = key.ok_or_else(|| Failure::failed("the application has no key in Secret Manager"))?;
        s.secret(&key);
        Ok(Reader { id: String::new(), api: api.with_secret_key(&key) })
    }

    /// Another application of the organisation's with a key, and a policy of these permission sets in the stack's
    /// project; no policy where there are none.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn other_reader(&self, s: &Scenario, name: &str, permission_sets: &[&str]) -> Result<Reader, Failure> {
        let api = self.target.api()?;
        let organization = &api.credentials().organization_id;
        let name = self.named(name);
        let id = self.new_application(&name).await?;
        if !permission_sets.is_empty() {
            let rule = json!({"permission_set_names": permission_sets, "project_ids": [self.project]});
            let policy = json!({
                "name": name, "organization_id": organization, "application_id": id, "rules": [rule],
            });
            self.made("/iam/v1alpha1/policies", policy, "id").await?;
        }
        let key = self.made("/iam/v1alpha1/api-keys", json!({"application_id": id}), "secret_key").await?;
        s.secret(&key);
        Ok(Reader { id, api: api.with_secret_key(&key) })
    }

    /// Takes such an application away again, with its key and policy.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn dismiss_reader(&self, reader: &Reader) -> Result<(), Failure> {
        self.dismiss_application(&reader.id).await
    }

    /// An application of the organisation's, without a key or a policy. Returns its identifier.
    pub(super) async fn new_application(&self, name: &str) -> Result<String, Failure> {
        let organization = &self.target.environment().credentials().organization_id;
        self.made("/iam/v1alpha1/applications", json!({"name": name, "organization_id": organization}), "id").await
    }

    /// Takes an application away, with its keys and its policies.
    pub(super) async fn dismiss_application(&self, application: &str) -> Result<(), Failure> {
        let api = self.target.api()?;
        let organization = &api.credentials().organization_id;
        let path = format!("/iam/v1alpha1/policies?organization_id={organization}&application_ids={application}");
        let policies = api.get(&path).await?.body["policies"].as_array().cloned().unwrap_or_default();
        for policy in policies.iter().filter(|policy| policy["application_id"] == json!(application)) {
            let id = policy["id"].as_str().unwrap_or_default();
            self.gone(&format!("/iam/v1alpha1/policies/{id}")).await?;
        }
        self.gone(&format!("/iam/v1alpha1/applications/{application}")).await
    }

    /// Keeps a value in a secret that is encrypted under the stack's own key. Returns the secret's identifier, and
    /// the key that Scaleway tells of it.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn keeps_under_its_key(&self, s: &Scenario, value: &str) -> Result<(String, String), Failure> {
        s.secret(value);
        let api = self.target.api()?;
        let secret = json!({
            "name": self.named("under-key"), "project_id": self.project, "key_id": self.encryption_key().await?,
            "path": format!("/{}/{}", self.prefix, self.stack.name()),
        });
        let id = self.made(&api.regional("secret-manager/v1beta1", "secrets"), secret, "id").await?;
        let versions = api.regional("secret-manager/v1beta1", &format!("secrets/{id}/versions"));
        let answer = api.send(Method::POST, &versions, Some(json!({"data": STANDARD.encode(value)}))).await?;
        if answer.status != 200 {
            return Err(Failure::failed(format!("POST {versions}")).because(&answer.body["message"]));
        }
        let told = api.get(&api.regional("secret-manager/v1beta1", &format!("secrets/{id}"))).await?;
        Ok((id, told.body["key_id"].as_str().unwrap_or_default().to_owned()))
    }

    /// The identifier of the stack's key.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn encryption_key(&self) -> Result<String, Failure> {
        let outputs = self.stack.outputs().await?;
        let key = outputs["encryption_key_id"].as_str().and_then(|id| id.rsplit('/').next()).map(str::to_owned);
        key.ok_or_else(|| Failure::failed("the stack has no output encryption_key_id"))
    }

    /// Enables or disables the stack's key: `enable` or `disable`.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn switch_key(&self, how: &str) -> Result<(), Failure> {
        let path = format!("keys/{}/{how}", self.encryption_key().await?);
        let path = self.target.api()?.regional("key-manager/v1alpha1", &path);
        self.made(&path, json!({}), "id").await.map(drop)
    }

    /// Deletes a secret.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn delete_secret(&self, id: &str) -> Result<(), Failure> {
        self.gone(&self.target.api()?.regional("secret-manager/v1beta1", &format!("secrets/{id}"))).await
    }

    /// Looks for credentials in every place of this deployment where they must not be. `forked` is where the local
    /// cloud has written its state directory, if it has.
    ///
    /// # Errors
    /// When a place cannot be searched.
    pub async fn scan(&self, s: &Scenario, credentials: &[Credential], forked: Option<&Path>) -> Result<Scan, Failure> {
        let mut scan = Scan::new(credentials)?;
        scan.folder("state", &self.stack.settings().folder, &["plugins", self.stack.profile()])?;
        scan.bytes("outputs", "pulumi stack output", self.stack.shown_outputs().await?.as_bytes());
        scan.folder("report", s.folder(), &[])?;
        scan.bucket("buckets", &self.storage()?, &self.named("assets")).await?;
        let images = [self.stack.get("container.image").await?, self.canary_image().await?];
        for image in images.into_iter().flatten() {
            scan.image(&self.target, &image).await?;
        }
        if let Some(forked) = forked {
            scan.folder("cloud", forked, &[])?;
            let home = self.cloud_home()?;
            // Where the deployer's key is kept.
            scan.folder("logs", home.folder(), &["organization.json", "running.json"])?;
            if let Some(planes) = self.planes()? {
                scan.folder("planes", &planes, &[])?;
            }
        }
        // The application has its own in its environment, and nobody else's.
        let others = ["the deployer's key", "databaseAdminPassword"];
        scan.processes(|process, credential| {
            process.contained && !others.contains(&credential) && !credential.ends_with("-admin-password")
        })?;
        Ok(scan)
    }

    /// Plants a value in every place that is scanned, scans, and takes it away again. Returns the places where it
    /// was found.
    ///
    /// # Errors
    /// When a place cannot be written.
    pub async fn scan_for_canary(&self, s: &Scenario, forked: Option<&Path>) -> Result<Vec<String>, Failure> {
        let value = format!("canary-{}", uuid::Uuid::new_v4());
        let mut files = vec![self.stack.settings().folder.join("state/canary"), s.folder().join("canary")];
        if let Some(forked) = forked {
            files.push(forked.join("canary"));
            files.push(self.cloud_home()?.folder().join("canary"));
            files.extend(self.planes()?.map(|planes| planes.join("canary")));
        }
        let unusable = |error: std::io::Error| Failure::environment("no canary could be planted").because(error);
        for file in &files {
            fs::write(file, STANDARD.encode(format!("a line before\n{value}\n"))).map_err(unusable)?;
        }
        let child = Command::new("sleep").arg("600").env("CANARY", &value).spawn().map_err(unusable)?;
        let child = Planted(child);
        self.storage()?.put(&self.named("assets"), "canary", value.clone().into_bytes()).await?;
        let namespace = foundation::registry_namespace(&self.stack).await?;
        let reference = foundation::reference(&self.target, &namespace, "canary", "planted");
        let image = Source::of_program(value.as_bytes())?;
        image::push(&self.target, &image, &reference, &Progress::Silent).await?;
        let scan = self.scan(s, &[Credential::new("canary", &value)], forked).await?;
        drop(child);
        for file in &files {
            fs::remove_file(file).map_err(unusable)?;
        }
        let mut places: Vec<String> = scan.findings().into_iter().map(|finding| finding.place).collect();
        places.dedup();
        Ok(places)
    }

    /// Has the local cloud write its state directory; none where the target has no such thing.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn forked(&self) -> Result<Option<PathBuf>, Failure> {
        let Some(control) = self.target.control() else { return Ok(None) };
        let folder = self.folder.path().join("forked");
        control.fork(&folder).await?;
        Ok(Some(folder))
    }

    /// The canary's image, once it is planted.
    async fn canary_image(&self) -> Result<Option<String>, Failure> {
        let api = self.target.api()?;
        let path = format!("images?name=canary&project_id={}", self.project);
        let answer = api.get(&api.regional("registry/v1", &path)).await?;
        let planted = answer.body["images"].as_array().is_some_and(|images| !images.is_empty());
        let namespace = foundation::registry_namespace(&self.stack).await?;
        Ok(planted.then(|| foundation::reference(&self.target, &namespace, "canary", "planted").to_string()))
    }

    fn cloud_home(&self) -> Result<CloudHome, Failure> {
        CloudHome::at(&self.folder.path().join("cloud"))
    }

    /// The folder of what runs behind the local cloud, if anything does.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn planes(&self) -> Result<Option<PathBuf>, Failure> {
        Ok(Some(self.cloud_home()?.planes_dir(false)?).filter(|folder| folder.exists()))
    }

    fn storage(&self) -> Result<ObjectStorage, Failure> {
        Ok(self.target.object_storage()?.in_project(&self.project))
    }

    pub(super) async fn made(&self, path: &str, body: Value, field: &str) -> Result<String, Failure> {
        let answer = self.target.api()?.send(Method::POST, path, Some(body)).await?;
        let told = answer.body[field].as_str().map(str::to_owned);
        told.ok_or_else(|| Failure::failed(format!("POST {path} was refused")).because(&answer.body["message"]))
    }

    pub(super) async fn gone(&self, path: &str) -> Result<(), Failure> {
        let answer = self.target.api()?.send(Method::DELETE, path, None).await?;
        if answer.status == 204 { Ok(()) } else { Err(Failure::failed(format!("DELETE {path}")).because(answer.body)) }
    }
}

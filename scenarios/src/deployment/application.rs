//! The application that a stack runs, seen from outside; its database, seen from inside the private network.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use stackproof::{
    Failure,
    acceptance::Scenario,
    target::{Attempt, Login, Page, Tls},
};

use super::Deployment;

/// The application of a deployed stack.
pub struct Application<'a> {
    of: &'a Deployment,
    outputs: Value,
}

/// Who has an API key.
pub struct Principal {
    id: String,
    secret_key: String,
}

impl Deployment {
    /// The application, once the stack is up.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn application(&self) -> Result<Application<'_>, Failure> {
        Ok(Application { of: self, outputs: self.stack.outputs().await? })
    }

    /// The state that Scaleway's API tells of each service of the stack, as `kind/name: state`.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn health(&self) -> Result<Vec<String>, Failure> {
        let lists = [
            ("rdb/v1", "instances", "status"),
            ("serverless-sqldb/v1alpha1", "databases", "status"),
            ("containers/v1", "namespaces", "status"),
            ("containers/v1", "containers", "status"),
            ("registry/v1", "namespaces", "status"),
        ];
        let api = self.target.api()?;
        let mut told = Vec::new();
        for (product, list, field) in lists {
            let path = format!("{}?project_id={}&page_size=100", api.regional(product, list), self.project);
            let body = api.get(&path).await?.body;
            let items = body[list].as_array().ok_or_else(|| Failure::failed(format!("GET {path}")).because(&body))?;
            told.extend(items.iter().map(|item| {
                let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
                format!("{list}/{}: {}", text("name"), text(field))
            }));
        }
        Ok(told)
    }
}

impl Application<'_> {
    fn output(&self, name: &str) -> Result<&str, Failure> {
        let output = self.outputs[name].as_str();
        output.ok_or_else(|| Failure::failed(format!("the stack has no output {name}")))
    }

    /// Its public address.
    ///
    /// # Errors
    /// When the stack tells none.
    pub fn url(&self) -> Result<&str, Failure> {
        self.output("url")
    }

    /// Asks it for a page.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn get(&self, path: &str) -> Result<Page, Failure> {
        self.of.target.web()?.get(&format!("{}{path}", self.url()?)).await
    }

    /// Has it keep a note.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn note(&self, text: &str) -> Result<Page, Failure> {
        self.of.target.web()?.post(&format!("{}/notes", self.url()?), &json!({"text": text})).await
    }

    /// The texts of the notes it has.
    ///
    /// # Errors
    /// When it does not tell them.
    pub async fn notes(&self) -> Result<Vec<String>, Failure> {
        let page = self.get("/notes").await?;
        let notes = page.json();
        let notes = notes.as_array().ok_or_else(|| Failure::failed("no notes are told").because(page.text))?;
        Ok(notes.iter().filter_map(|note| note["text"].as_str()).map(str::to_owned).collect())
    }

    /// What the database says of the application's connection to it.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn connection(&self) -> Result<Value, Failure> {
        Ok(self.get("/database").await?.json())
    }

    /// How its host does TLS.
    ///
    /// # Errors
    /// When it does none that can be verified.
    pub async fn tls(&self) -> Result<Tls, Failure> {
        self.of.target.web()?.tls(&format!("{}/health", self.url()?)).await
    }

    /// Puts a file into the bucket, and asks the application for it as a browser does.
    ///
    /// # Errors
    /// When the bucket refuses it, or nobody answers.
    pub async fn asset(&self, name: &str, content: &str) -> Result<Page, Failure> {
        let bucket = self.output("bucket")?;
        let storage = self.of.target.object_storage()?.in_project(&self.of.project);
        storage.put(bucket, name, content.as_bytes().to_vec()).await?;
        let led = self.get(&format!("/assets/{name}")).await?;
        if led.location.is_empty() {
            return Ok(led);
        }
        self.of.target.web()?.get(&led.location).await
    }

    /// Puts a file into the bucket, and asks the private application for it as somebody does who has the caller's key.
    ///
    /// # Errors
    /// When the key is not there, the bucket refuses the file, or nobody leads to it.
    pub async fn asset_as_caller(&self, s: &Scenario) -> Result<Page, Failure> {
        let key = self.secret(&self.of.named("caller-key")).await?;
        s.secret(&key);
        let storage = self.of.target.object_storage()?.in_project(&self.of.project);
        storage.put(self.output("bucket")?, "called.txt", b"called".to_vec()).await?;
        let web = self.of.target.web()?;
        let led = web.get_with_token(&format!("{}/assets/called.txt", self.url()?), &key).await?;
        let page = web.get(&led.location).await?;
        if page.text == "called" {
            Ok(page)
        } else {
            Err(Failure::failed("the asset is not served").because(page.text))
        }
    }

    /// The value of a secret of the stack's, by its name.
    async fn secret(&self, name: &str) -> Result<String, Failure> {
        let api = self.of.target.api()?;
        let path = format!("secrets?name={name}&project_id={}", self.of.project);
        let listed = api.get(&api.regional("secret-manager/v1beta1", &path)).await?;
        let id = listed.body["secrets"][0]["id"].as_str().unwrap_or_default().to_owned();
        self.value(&id).await
    }

    /// Where its serverless database is.
    ///
    /// # Errors
    /// When the stack tells no endpoint.
    pub fn serverless_endpoint(&self) -> Result<&str, Failure> {
        self.output("serverless_database_endpoint")
    }

    /// Where its database is in the private network.
    ///
    /// # Errors
    /// When the database has no endpoint there.
    pub async fn database(&self) -> Result<SocketAddr, Failure> {
        let endpoints = self.endpoints().await?;
        let private = endpoints.iter().find(|endpoint| endpoint["private_network"].is_object());
        let at =
            private.and_then(|at| Some((at["ip"].as_str()?.parse().ok()?, u16::try_from(at["port"].as_u64()?).ok()?)));
        let (address, port) = at.ok_or_else(|| Failure::failed("the database has no private endpoint"))?;
        Ok(SocketAddr::new(address, port))
    }

    /// The endpoints of its database.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn endpoints(&self) -> Result<Vec<Value>, Failure> {
        Ok(self.instance().await?["endpoints"].as_array().cloned().unwrap_or_default())
    }

    /// Its database, as Scaleway's API tells of it.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn instance(&self) -> Result<Value, Failure> {
        let api = self.of.target.api()?;
        let path = api.regional("rdb/v1", &format!("instances/{}", self.instance_id()?));
        Ok(api.get(&path).await?.body)
    }

    fn instance_id(&self) -> Result<&str, Failure> {
        let id = self.output("database_instance_id")?;
        Ok(id.rsplit('/').next().unwrap_or(id))
    }

    fn network_id(&self) -> Result<&str, Failure> {
        let id = self.output("private_network_id")?;
        Ok(id.rsplit('/').next().unwrap_or(id))
    }

    /// A login to its database as the application's own user, by the way that any client of this machine has.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn login(&self, s: &Scenario) -> Result<Login, Failure> {
        let at = self.database().await?;
        let password = self.password().await?;
        s.secret(&password);
        Ok(Login {
            host: at.ip().to_string(),
            through: None,
            port: at.port(),
            user: self.output("database_user")?.to_owned(),
            password,
            database: self.output("database_name")?.to_owned(),
            certificate: self.output("database_certificate")?.to_owned(),
            proxy: None,
        })
    }

    /// A login to its serverless database: as the application itself with its own key, or as somebody else.
    ///
    /// # Errors
    /// When the stack tells no endpoint.
    pub fn serverless_login(&self, s: &Scenario, other: Option<&Principal>) -> Result<Login, Failure> {
        let (user, key) = match other {
            Some(other) => (other.id.as_str(), other.secret_key.as_str()),
            None => (self.output("application_id")?, self.output("secret_key")?),
        };
        s.secret(key);
        Login::at_endpoint(self.of.target.environment(), self.output("serverless_database_endpoint")?, user, key)
    }

    /// Its serverless database, as Scaleway's API tells of it.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn serverless_database(&self) -> Result<Value, Failure> {
        let api = self.of.target.api()?;
        let id = self.output("serverless_database_id")?;
        let id = id.rsplit('/').next().unwrap_or(id);
        let path = api.regional("serverless-sqldb/v1alpha1", &format!("databases/{id}"));
        Ok(api.get(&path).await?.body)
    }

    /// An application of the organisation's that no policy is about, with an API key.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn stranger(&self, s: &Scenario) -> Result<Principal, Failure> {
        let id = self.of.new_application(&self.of.named("stranger")).await?;
        let secret_key = self.of.made("/iam/v1alpha1/api-keys", json!({"application_id": id}), "secret_key").await?;
        s.secret(&secret_key);
        Ok(Principal { id, secret_key })
    }

    /// Takes such an application away again, with its key.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn dismiss(&self, stranger: &Principal) -> Result<(), Failure> {
        self.of.dismiss_application(&stranger.id).await
    }

    /// The password of the application's database user, from Secret Manager.
    async fn password(&self) -> Result<String, Failure> {
        let id = self.output("database_password_secret_id")?;
        self.value(id.rsplit('/').next().unwrap_or(id)).await
    }

    /// The latest value of a secret.
    async fn value(&self, id: &str) -> Result<String, Failure> {
        let api = self.of.target.api()?;
        let path = api.regional("secret-manager/v1beta1", &format!("secrets/{id}/versions/latest_enabled/access"));
        let answer = api.get(&path).await?;
        let data = answer.body["data"].as_str().and_then(|data| STANDARD.decode(data).ok());
        let password = data.and_then(|data| String::from_utf8(data).ok());
        password.ok_or_else(|| Failure::failed(format!("GET {path} gave no secret: {}", answer.status)))
    }

    /// The same login, from inside the private network.
    ///
    /// # Errors
    /// When there is no way in.
    pub async fn login_from_inside(&self, s: &Scenario) -> Result<Login, Failure> {
        s.needs(stackproof::acceptance::Capability::Machines)?;
        let login = self.login(s).await?;
        let to = self.database().await?;
        let control = self.of.control()?;
        Ok(Login { through: Some(control.tunnel(self.network_id()?, to).await?), ..login })
    }

    /// Tries to reach the database from something that is in no private network of the stack.
    ///
    /// # Errors
    /// When that cannot be tried.
    pub async fn attempt_from_elsewhere(&self) -> Result<Attempt, Failure> {
        self.of.control()?.attempt(None, self.database().await?).await
    }

    /// Tries the same from inside the private network.
    ///
    /// # Errors
    /// When that cannot be tried.
    pub async fn attempt_from_inside(&self) -> Result<Attempt, Failure> {
        self.of.control()?.attempt(Some(self.network_id()?), self.database().await?).await
    }

    /// Kills the database's server, as a machine's failure would.
    ///
    /// # Errors
    /// When that cannot be done here.
    pub async fn kill_database(&self) -> Result<(), Failure> {
        self.of.control()?.kill_database(self.instance_id()?).await
    }
}

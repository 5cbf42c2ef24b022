//! Every credential of a team's stack, as it was at one time, and whether it still opens anything.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use stackproof::{
    Failure,
    acceptance::{Capability, Scenario},
    target::Login,
};

use crate::{STACK, Team};

/// The credentials of one time.
pub struct Credentials {
    outputs: Value,
    password: String,
    deployers: Value,
    lock: Value,
    passphrase: String,
}

impl Credentials {
    /// Those of now. None of them is ever shown.
    ///
    /// # Errors
    /// When the stack is not there, or Secret Manager does not tell.
    pub async fn of(team: &Team, s: &Scenario) -> Result<Self, Failure> {
        let words =
            ["pulumi", "--stack", STACK, "--target", "scaleway", "--", "stack", "output", "--json", "--show-secrets"];
        let outputs = team.run("ada", &words).await?.success()?.json()?;
        let json = |text: &str| serde_json::from_str::<Value>(text).map_err(|_| Failure::failed("a secret is no JSON"));
        let all = Self {
            password: secret(team, "database-password").await?,
            deployers: json(&secret(team, "deployers-key").await?)?,
            lock: json(&secret(team, "lock-login").await?)?,
            passphrase: secret(team, "state-passphrase").await?,
            outputs,
        };
        for value in [&all.password, all.output("secret_key")?, &all.passphrase] {
            s.secret(value);
        }
        for value in [&all.deployers["secret_key"], &all.lock["password"]] {
            s.secret(value.as_str().unwrap_or_default());
        }
        Ok(all)
    }

    /// Something that the stack tells.
    ///
    /// # Errors
    /// When it does not.
    pub fn output(&self, name: &str) -> Result<&str, Failure> {
        self.outputs[name].as_str().ok_or_else(|| Failure::failed(format!("the stack has no output {name}")))
    }

    /// What is no secret of them: the database's user, the public halves of the keys, the lock's user.
    ///
    /// # Errors
    /// When the stack does not tell.
    pub fn shown(&self) -> Result<[String; 4], Failure> {
        Ok([
            self.output("database_user")?.to_owned(),
            self.output("access_key")?.to_owned(),
            self.deployers["access_key"].as_str().unwrap_or_default().to_owned(),
            self.lock["user"].as_str().unwrap_or_default().to_owned(),
        ])
    }

    /// Whether the passphrase is another one.
    pub fn has_the_passphrase_of(&self, other: &Self) -> bool {
        self.passphrase == other.passphrase
    }

    /// What each of them is answered: `let in` or `refused`, by its name.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn tried(&self, team: &Team, s: &Scenario) -> Result<Vec<String>, Failure> {
        let mut tried = vec![format!("database: {}", self.at_the_database(team, s).await?)];
        tried.push(format!("api key: {}", at_the_api(team, self.output("secret_key")?).await?));
        let deployers = self.deployers["secret_key"].as_str().unwrap_or_default();
        tried.push(format!("deployers' key: {}", at_the_api(team, deployers).await?));
        tried.push(format!("lock: {}", self.at_the_lock().await));
        Ok(tried)
    }

    /// From inside the private network, with the password as the user of that time.
    async fn at_the_database(&self, team: &Team, s: &Scenario) -> Result<&'static str, Failure> {
        s.needs(Capability::Machines)?;
        let at: SocketAddr = self
            .output("database_endpoint")?
            .parse()
            .map_err(|error| Failure::failed("the database's endpoint is no address").because(error))?;
        let network = self.output("private_network_id")?;
        let network = network.rsplit('/').next().unwrap_or(network);
        let through = team.control()?.tunnel(network, at).await?;
        let login = Login {
            host: at.ip().to_string(),
            through: Some(through),
            port: at.port(),
            user: self.output("database_user")?.to_owned(),
            password: self.password.clone(),
            database: self.output("database_name")?.to_owned(),
            certificate: self.output("database_certificate")?.to_owned(),
            proxy: None,
        };
        answered(login.query("SELECT 1").await)
    }

    async fn at_the_lock(&self) -> &'static str {
        let text = |field: &str| self.lock[field].as_str().unwrap_or_default().to_owned();
        let login = Login {
            host: text("host"),
            through: None,
            port: text("port").parse().unwrap_or_default(),
            user: text("user"),
            password: text("password"),
            database: text("database"),
            certificate: text("certificate"),
            proxy: None,
        };
        answered(login.query("SELECT 1").await).unwrap_or("not answered")
    }
}

/// A login that is refused is an answer; one that nobody answers is none.
fn answered<T>(asked: Result<T, Failure>) -> Result<&'static str, Failure> {
    match asked {
        Ok(_) => Ok("let in"),
        Err(failure) if failure.meaning.contains("password authentication failed") => Ok("refused"),
        Err(failure) => Err(failure),
    }
}

/// Whether Scaleway knows a key: what it may not do is denied with another answer.
async fn at_the_api(team: &Team, secret_key: &str) -> Result<&'static str, Failure> {
    let api = team.target().api()?.with_secret_key(secret_key);
    let status = api.get("/iam/v1alpha1/api-keys?page_size=1").await?.status;
    Ok(if status == 401 { "refused" } else { "let in" })
}

/// The present value of a secret of the stack's.
async fn secret(team: &Team, what: &str) -> Result<String, Failure> {
    let (api, names) = (team.target().api()?, team.names(STACK)?);
    let query =
        format!("secret_path={}&secret_name={}&project_id={}", names.secrets(), names.named(what), names.project);
    let path =
        api.regional("secret-manager/v1beta1", &format!("secrets-by-path/versions/latest_enabled/access?{query}"));
    let answer = api.get(&path).await?;
    let data = answer.body["data"].as_str().and_then(|data| STANDARD.decode(data).ok());
    let text = data.and_then(|data| String::from_utf8(data).ok());
    text.ok_or_else(|| Failure::failed(format!("secret {what} was not told: {}", answer.status)))
}

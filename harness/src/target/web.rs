//! A client of what a stack serves on the web, with what TLS tells.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, redirect};
use serde_json::Value;

use super::{Environment, Tls, api::Api};
use crate::Failure;

/// How long an answer may take (NFR-011): a container may have to be started for it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client that goes the way and trusts the roots of a target.
#[derive(Clone)]
pub struct Web {
    environment: Environment,
    client: Client,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// Where a redirection leads; empty where it is none.
    pub location: String,
    /// The body as text.
    pub text: String,
}

impl Page {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Web {
    /// A client for this environment. Redirections are told, not followed.
    ///
    /// # Errors
    /// When the certificate authority of `SSL_CERT_FILE` cannot be read.
    pub fn new(environment: &Environment) -> Result<Self, Failure> {
        let client = build(environment)?;
        Ok(Self { environment: environment.clone(), client })
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn get(&self, url: &str) -> Result<Page, Failure> {
        self.send(self.client.get(url), url).await
    }

    /// Asks with a token in `X-Auth-Token`, as private containers want it.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn get_with_token(&self, url: &str, token: &str) -> Result<Page, Failure> {
        self.send(self.client.get(url).header("x-auth-token", token), url).await
    }

    /// Asks by a method and a password, as registries want it: any user name does.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn ask_with_password(&self, method: Method, url: &str, password: &str) -> Result<Page, Failure> {
        self.send(self.client.request(method, url).basic_auth("nologin", Some(password)), url).await
    }

    /// Sends JSON to a page.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn post(&self, url: &str, body: &Value) -> Result<Page, Failure> {
        self.send(self.client.post(url).json(body), url).await
    }

    async fn send(&self, request: RequestBuilder, url: &str) -> Result<Page, Failure> {
        let failed = |error: reqwest::Error| Failure::failed(format!("{url} did not answer")).because(error);
        let answer = request.send().await.map_err(failed)?;
        let location = answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned();
        Ok(Page { status: answer.status().as_u16(), location, text: answer.text().await.map_err(failed)? })
    }

    /// How the host of an address does TLS.
    ///
    /// # Errors
    /// When it does none that can be verified.
    pub async fn tls(&self, url: &str) -> Result<Tls, Failure> {
        super::handshake::of(&self.environment, url).await
    }
}

fn build(environment: &Environment) -> Result<Client, Failure> {
    let built = Api::builder(environment)?.timeout(TIMEOUT).redirect(redirect::Policy::none()).build();
    built.map_err(|error| Failure::environment(format!("no HTTP client could be made: {error}")))
}

//! A client of what a stack serves on the web, with what TLS tells.

use std::time::Duration;

use reqwest::{Client, Method, redirect, tls};
use serde_json::Value;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Environment, api::Api};
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

/// How a host does TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The versions it takes.
    pub versions: Vec<&'static str>,
    /// Who its certificate is for.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
}

impl Web {
    /// A client for this environment. Redirections are told, not followed.
    ///
    /// # Errors
    /// When the certificate authority of `SSL_CERT_FILE` cannot be read.
    pub fn new(environment: &Environment) -> Result<Self, Failure> {
        let client = build(environment, |builder| builder)?;
        Ok(Self { environment: environment.clone(), client })
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn get(&self, url: &str) -> Result<Page, Failure> {
        self.send(Method::GET, url, None).await
    }

    /// Sends JSON to a page.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn post(&self, url: &str, body: &Value) -> Result<Page, Failure> {
        self.send(Method::POST, url, Some(body)).await
    }

    async fn send(&self, method: Method, url: &str, body: Option<&Value>) -> Result<Page, Failure> {
        let failed = |error: reqwest::Error| Failure::failed(format!("{url} did not answer")).because(error);
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(failed)?;
        let location = answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned();
        Ok(Page { status: answer.status().as_u16(), location, text: answer.text().await.map_err(failed)? })
    }

    /// How the host of an address does TLS: each version is tried.
    ///
    /// # Errors
    /// When it does none at all.
    pub async fn tls(&self, url: &str) -> Result<Tls, Failure> {
        let mut versions = Vec::new();
        let mut certificate = None;
        for (name, version) in [("TLSv1.2", tls::Version::TLS_1_2), ("TLSv1.3", tls::Version::TLS_1_3)] {
            let client = build(&self.environment, |builder| {
                builder.tls_info(true).tls_version_min(version).tls_version_max(version)
            })?;
            if let Ok(answer) = client.get(url).send().await {
                versions.push(name);
                let info = answer.extensions().get::<tls::TlsInfo>();
                certificate = info.and_then(|info| info.peer_certificate().map(<[u8]>::to_vec)).or(certificate);
            }
        }
        let failed = || Failure::failed(format!("{url} does no TLS that can be verified"));
        let certificate = certificate.ok_or_else(failed)?;
        let (_, certificate) = X509Certificate::from_der(&certificate).map_err(|error| failed().because(error))?;
        let (subject, issuer) = (certificate.subject().to_string(), certificate.issuer().to_string());
        Ok(Tls { versions, subject, issuer })
    }
}

fn build(
    environment: &Environment,
    more: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<Client, Failure> {
    let builder = Api::builder(environment)?.timeout(TIMEOUT).redirect(redirect::Policy::none());
    more(builder).build().map_err(|error| Failure::environment(format!("no HTTP client could be made: {error}")))
}

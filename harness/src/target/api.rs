//! A client of Scaleway's JSON API, as any user could write it: probes look through it.

use std::{fs, time::Duration};

use reqwest::{Certificate, Client, ClientBuilder, Method, Proxy};
use serde_json::{Value, json};

use super::{Credentials, Environment};
use crate::Failure;

/// How long a request may take (NFR-017).
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of the JSON API of a target.
#[derive(Clone)]
pub struct Api {
    client: Client,
    base: String,
    credentials: Credentials,
}

/// What the API answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiAnswer {
    /// The status.
    pub status: u16,
    /// The JSON body; null when there was none.
    pub body: Value,
}

/// How many items a page of a list has: as many as the API gives at most.
const PAGE: usize = 100;

/// By which others know who asks.
const AGENT: &str = concat!("stackproof/", env!("CARGO_PKG_VERSION"));

impl Api {
    /// A client that reaches the API as a tool in this environment would.
    ///
    /// # Errors
    /// When the certificate authority of `SSL_CERT_FILE` cannot be read.
    pub fn new(environment: &Environment) -> Result<Self, Failure> {
        let client = Self::client(environment)?;
        let base = environment.get("SCW_API_URL").unwrap_or("https://api.scaleway.com").to_owned();
        Ok(Self { client, base, credentials: environment.credentials().clone() })
    }

    /// An HTTP client that goes the way and trusts the roots of this environment.
    pub(crate) fn client(environment: &Environment) -> Result<Client, Failure> {
        let client = Self::builder(environment)?.build();
        client.map_err(|error| Failure::environment(format!("no HTTP client could be made: {error}")))
    }

    /// What such a client is made of.
    pub(super) fn builder(environment: &Environment) -> Result<ClientBuilder, Failure> {
        let broken = |what: String| Failure::environment(what).next("stackproof cloud stop && stackproof cloud start");
        crate::tls::install();
        let mut builder = Client::builder().user_agent(AGENT).timeout(TIMEOUT).no_proxy();
        if let Some(proxy) = environment.get("HTTPS_PROXY") {
            builder = builder
                .proxy(Proxy::https(proxy).map_err(|error| broken(format!("HTTPS_PROXY is no address: {error}")))?);
        }
        if let Some(path) = environment.get("SSL_CERT_FILE") {
            let pem = fs::read(path).map_err(|error| broken(format!("{path} cannot be read: {error}")))?;
            let certificates = Certificate::from_pem_bundle(&pem);
            let certificates =
                certificates.map_err(|error| broken(format!("{path} holds no certificates: {error}")))?;
            builder = builder.tls_certs_only(certificates);
        }
        Ok(builder)
    }

    /// Who asks.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The same client with another secret key.
    #[must_use]
    pub fn with_secret_key(mut self, secret_key: &str) -> Self {
        self.credentials.secret_key = secret_key.to_owned();
        self
    }

    /// A path of a regional API: `/vpc/v2/regions/fr-par/vpcs` for `("vpc/v2", "vpcs")`.
    pub fn regional(&self, product: &str, rest: &str) -> String {
        format!("/{product}/regions/{}/{rest}", self.credentials.region)
    }

    /// GET.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn get(&self, path: &str) -> Result<ApiAnswer, Failure> {
        self.send(Method::GET, path, None).await
    }

    /// Every item of a list, page by page; or the answer that refused one of its pages. The path may have a query.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn all(&self, path: &str, field: &str) -> Result<Result<Vec<Value>, ApiAnswer>, Failure> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let (mut found, mut page) = (Vec::new(), 1);
        loop {
            let answer = self.get(&format!("{path}{mark}page={page}&page_size={PAGE}")).await?;
            let items = answer.body[field].as_array().filter(|_| answer.status == 200);
            let Some(items) = items else { return Ok(Err(answer)) };
            found.extend_from_slice(items);
            // A list that is not paged may be longer.
            let total = answer.body["total_count"].as_u64();
            if items.len() != PAGE || total.is_some_and(|total| found.len() as u64 >= total) {
                return Ok(Ok(found));
            }
            page += 1;
        }
    }

    /// Any method, with a JSON body.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<ApiAnswer, Failure> {
        let url = format!("{}{path}", self.base);
        let mut request =
            self.client.request(method.clone(), &url).header("X-Auth-Token", &self.credentials.secret_key);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let lost = |error: reqwest::Error| {
            Failure::failed(format!("{method} {url} was not answered")).because(error).next("stackproof cloud status")
        };
        let response = request.send().await.map_err(lost)?;
        let status = response.status().as_u16();
        let text = response.text().await.map_err(lost)?;
        let body =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or_else(|_| json!(text)) };
        Ok(ApiAnswer { status, body })
    }
}

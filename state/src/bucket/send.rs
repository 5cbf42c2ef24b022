//! One signed request.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response, StatusCode};
use time::OffsetDateTime;
use url::Url;

use super::{Access, Addressing, Bucket, Condition, Error, Key, xml};

/// How long a bucket may take for a whole answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// What stays as it is in a path: exactly what signatures leave.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What stays as it is in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A key as it stands in a path.
pub(crate) fn encoded(key: &str) -> String {
    utf8_percent_encode(key, PATH).to_string()
}

/// A request before it is signed. Keys are without the prefix.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) key: Option<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Ask {
    /// About the bucket itself.
    pub(crate) fn bucket(method: Method, query: &[(&str, &str)]) -> Self {
        let query = query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { method, key: None, query, headers: Vec::new(), body: Bytes::new() }
    }

    /// About an object.
    pub(crate) fn object(method: Method, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..Self::bucket(method, &[]) }
    }

    pub(crate) fn version(mut self, version: Option<&str>) -> Self {
        self.query.extend(version.map(|id| ("versionId".to_owned(), id.to_owned())));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn when(mut self, condition: &Condition) -> Self {
        self.headers.extend(condition.header().map(|(name, value)| (name.to_owned(), value)));
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// What it is about, for messages: no secrets, no address.
    pub(crate) fn what(&self, bucket: &Bucket) -> String {
        format!("{} {}{}", self.method, bucket.shown(), self.key.as_deref().unwrap_or_default())
    }
}

impl Bucket {
    /// Sends a request and returns the answer's head, whatever its status.
    pub(crate) async fn send(&self, ask: &Ask, within: Option<Duration>) -> Result<Response, Error> {
        let what = || ask.what(self);
        let url = address(&self.access, ask).map_err(|why| Error::Strange { what: what(), why })?;
        let signed = signature(&self.access.key, &self.access.region, ask, &url)
            .map_err(|why| Error::Strange { what: what(), why })?;
        let mut request = self.client.request(ask.method.clone(), url);
        if let Some(within) = within {
            request = request.timeout(within);
        }
        for (name, value) in ask.headers.iter().chain(&signed) {
            request = request.header(name, value);
        }
        // A method without content sends no length, as S3's clients do.
        if !ask.body.is_empty() || matches!(ask.method, Method::PUT | Method::POST) {
            request = request.body(ask.body.clone());
        }
        request.send().await.map_err(|error| Error::Unreachable { what: what(), why: told(error) })
    }

    /// The answer to a request that is either done or refused.
    pub(super) async fn done(&self, ask: &Ask) -> Result<Response, Error> {
        let response = self.send(ask, Some(ANSWER_WITHIN)).await?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(ask, response).await) }
    }

    /// The same; none where nothing is there.
    pub(super) async fn found(&self, ask: &Ask) -> Result<Option<Response>, Error> {
        let response = self.send(ask, Some(ANSWER_WITHIN)).await?;
        match response.status() {
            status if status.is_success() => Ok(Some(response)),
            // A delete marker asked for by its version answers 405.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => match self.refusal(ask, response).await {
                error if error.is_missing_bucket() => Err(error),
                _ => Ok(None),
            },
            _ => Err(self.refusal(ask, response).await),
        }
    }

    /// The text of an answer.
    pub(super) async fn text(&self, ask: &Ask) -> Result<String, Error> {
        let response = self.done(ask).await?;
        response.text().await.map_err(|error| Error::Unreachable { what: ask.what(self), why: told(error) })
    }

    /// The content of an answer.
    pub(super) async fn content(&self, ask: &Ask, response: Response) -> Result<Bytes, Error> {
        response.bytes().await.map_err(|error| Error::Unreachable { what: ask.what(self), why: told(error) })
    }

    /// Why an answer is none.
    pub(super) async fn refusal(&self, ask: &Ask, response: Response) -> Error {
        let (what, status) = (ask.what(self), response.status());
        let conditional = ask.headers.iter().any(|(name, _)| name == "if-match" || name == "if-none-match");
        let text = response.text().await.unwrap_or_default();
        let (code, message) = xml::error(&text);
        let missing = status == StatusCode::NOT_FOUND && code != "NoSuchBucket";
        if conditional && (status == StatusCode::PRECONDITION_FAILED || missing) {
            return Error::Changed { what };
        }
        let code = if code.is_empty() { status.canonical_reason().unwrap_or_default().to_owned() } else { code };
        Error::Refused { what, status: status.as_u16(), code, message }
    }
}

/// An error without its address, with its causes.
pub(crate) fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

fn address(access: &Access, ask: &Ask) -> Result<Url, String> {
    let mut url = access.endpoint.clone();
    let base = url.path().trim_end_matches('/').to_owned();
    let key = ask.key.as_ref().map(|key| encoded(&format!("{}{key}", access.prefix)));
    if key.as_deref().is_some_and(|key| key.split('/').any(|part| matches!(part, "." | ".."))) {
        return Err("a key with the path segment . or .. cannot be asked for".to_owned());
    }
    let key = key.unwrap_or_default();
    match access.addressing {
        Addressing::Path => url.set_path(&format!("{base}/{}/{key}", encoded(&access.bucket))),
        Addressing::VirtualHost => {
            let host = url.host_str().ok_or("the endpoint has no host")?;
            let host = format!("{}.{host}", access.bucket);
            url.set_host(Some(&host)).map_err(|error| format!("{host} is no host's name: {error}"))?;
            url.set_path(&format!("{base}/{key}"));
        }
    }
    // The bucket itself has no slash behind it.
    if ask.key.is_none() && access.addressing == Addressing::Path {
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
    }
    let query: Vec<String> = ask
        .query
        .iter()
        .map(|(name, value)| format!("{}={}", utf8_percent_encode(name, QUERY), utf8_percent_encode(value, QUERY)))
        .collect();
    url.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
    Ok(url)
}

/// How S3 wants to be signed: a path as it is written, and the digest of the body told.
pub(crate) fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}

fn signature(key: &Key, region: &str, ask: &Ask, url: &Url) -> Result<Vec<(String, String)>, String> {
    let identity = Credentials::new(&key.id, &key.secret, None, None, "stackproof").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(OffsetDateTime::now_utc().into())
        .settings(settings())
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let headers = ask.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let request = SignableRequest::new(ask.method.as_str(), url.as_str(), headers, SignableBody::Bytes(&ask.body))
        .map_err(|error| error.to_string())?;
    let (signed, _) = sign(request, &params).map_err(|error| error.to_string())?.into_parts();
    Ok(signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn access(endpoint: &str, addressing: Addressing, prefix: &str) -> Access {
        Access {
            endpoint: endpoint.parse().unwrap(),
            region: "fr-par".to_owned(),
            bucket: "state".to_owned(),
            prefix: prefix.to_owned(),
            addressing,
            key: Key::new("SCWEXAMPLE", "secret"),
        }
    }

    #[rstest]
    #[case::path(
        "https://s3.fr-par.scw.cloud",
        Addressing::Path,
        "",
        "https://s3.fr-par.scw.cloud/state/a/b%2Bc%20d.json"
    )]
    #[case::prefix(
        "http://127.0.0.1:9000",
        Addressing::Path,
        "team/",
        "http://127.0.0.1:9000/state/team/a/b%2Bc%20d.json"
    )]
    #[case::host(
        "https://s3.fr-par.scw.cloud",
        Addressing::VirtualHost,
        "",
        "https://state.s3.fr-par.scw.cloud/a/b%2Bc%20d.json"
    )]
    fn an_object_has_an_address(
        #[case] at: &str,
        #[case] how: Addressing,
        #[case] prefix: &str,
        #[case] expected: &str,
    ) {
        let ask = Ask::object(Method::GET, "a/b+c d.json");
        assert_eq!(address(&access(at, how, prefix), &ask).unwrap().as_str(), expected);
    }

    #[test]
    fn a_bucket_has_an_address_without_a_slash_behind() {
        let ask = Ask::bucket(Method::GET, &[("prefix", ".pulumi/a&b")]);
        let url = address(&access("http://127.0.0.1:9000", Addressing::Path, ""), &ask).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:9000/state?prefix=.pulumi%2Fa%26b");
    }

    #[test]
    fn a_key_that_climbs_out_is_not_asked_for() {
        let ask = Ask::object(Method::GET, "a/../../other/key");
        assert!(address(&access("http://127.0.0.1:9000", Addressing::Path, "team/"), &ask).is_err());
    }
}

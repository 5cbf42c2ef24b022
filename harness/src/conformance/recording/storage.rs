//! Requests to Object Storage, signed anew.

use std::collections::BTreeMap;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::{Client, Method, Url};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::cassette::Interaction;
use super::compare::{self, Known};
use crate::Failure;
use crate::target::{Api, Environment};

/// A client of a local cloud's Object Storage, by its real host names.
pub(super) struct Storage {
    client: Client,
    credentials: Credentials,
}

/// What was answered: a status, and the body's XML as JSON.
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Storage {
    /// One that goes the way of this environment, as its owner.
    pub(super) fn new(environment: &Environment) -> Result<Self, Failure> {
        let own = environment.credentials();
        let credentials = Credentials::new(&own.access_key, &own.secret_key, None, None, "recording");
        Ok(Self { client: Api::client(environment)?, credentials })
    }

    /// Asks a recorded request again, with our identifiers in its address and body. Nothing if it cannot be signed.
    pub(super) async fn ask(
        &self,
        method: &Method,
        address: &str,
        body: String,
        recorded: &Interaction,
        known: &mut Known,
    ) -> Result<Option<Seen>, Failure> {
        let Some(url) = Url::parse(address).ok() else { return Ok(None) };
        let Some(region) = url.host_str().and_then(region).map(str::to_owned) else { return Ok(None) };
        let mut headers: Vec<(String, String)> = recorded
            .request
            .headers
            .iter()
            .filter(|(name, _)| means_something(&name.to_lowercase()))
            .filter_map(|(name, values)| Some((name.to_lowercase(), values.first()?.clone())))
            .collect();
        headers.push(("host".into(), url.host_str().unwrap_or_default().to_owned()));
        let signed = if address.contains(compare::SIGNED) {
            Some(Vec::new())
        } else {
            self.signature(method, &url, &region, &headers, &body)
        };
        let Some(signed) = signed else { return Ok(None) };
        let mut request = self.client.request(method.clone(), url).body(body);
        for (name, value) in headers.iter().filter(|(name, _)| name != "host").chain(&signed) {
            request = request.header(name, value);
        }
        let broken = |error: reqwest::Error| {
            let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
            let causes: String = causes.map(|cause| format!(": {cause}")).collect();
            Failure::environment("the local cloud does not answer").because(format!("{error}{causes}"))
        };
        // As the SDK that was recorded: a request whose connection ended without an answer is sent again.
        let answer = match request.try_clone() {
            Some(again) => match request.send().await {
                Err(error) if error.is_request() => again.send().await,
                answered => answered,
            },
            None => request.send().await,
        };
        let answer = answer.map_err(broken)?;
        let status = answer.status().as_u16();
        let version = answer.headers().get("x-amz-version-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let (Some(theirs), Some(ours)) = (recorded.response.header("x-amz-version-id"), version) {
            known.insert(theirs.to_owned(), ours);
        }
        Ok(Some(Seen { status, body: xml(&answer.text().await.map_err(broken)?) }))
    }

    /// The headers that sign a request.
    fn signature(
        &self,
        method: &Method,
        url: &Url,
        region: &str,
        headers: &[(String, String)],
        body: &str,
    ) -> Option<Vec<(String, String)>> {
        let identity = self.credentials.clone().into();
        let mut settings = SigningSettings::default();
        // As S3 has it: a path is signed as it is written, and the digest of the body is told.
        settings.percent_encoding_mode = aws_sigv4::http_request::PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = aws_sigv4::http_request::UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = aws_sigv4::http_request::PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("s3")
            .time(OffsetDateTime::now_utc().into())
            .settings(settings)
            .build()
            .ok()?
            .into();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request =
            SignableRequest::new(method.as_str(), url.as_str(), headers, SignableBody::Bytes(body.as_bytes())).ok()?;
        let (signed, _) = sign(request, &params).ok()?.into_parts();
        Some(signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// `fr-par` of `bucket.s3.fr-par.scw.cloud`.
fn region(host: &str) -> Option<&str> {
    host.strip_suffix(".scw.cloud")?.rsplit_once("s3.").map(|(_, region)| region)
}

/// Whether a header says what is wanted, rather than who asked and when.
fn means_something(name: &str) -> bool {
    let of_signature = ["x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-trailer"];
    let conditions = ["content-type", "content-md5", "if-match", "if-none-match", "range", "content-encoding"];
    (name.starts_with("x-amz-") && !of_signature.contains(&name)) || conditions.contains(&name)
}

/// XML as JSON: an element without children is its text; with children, an object of lists by their names.
pub(super) fn xml(text: &str) -> Value {
    match roxmltree::Document::parse(text) {
        Ok(document) => value(document.root_element()),
        Err(_) => Value::Null,
    }
}

fn value(element: roxmltree::Node<'_, '_>) -> Value {
    let mut children: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for child in element.children().filter(roxmltree::Node::is_element) {
        children.entry(child.tag_name().name()).or_default().push(value(child));
    }
    if children.is_empty() {
        return Value::String(element.text().unwrap_or_default().to_owned());
    }
    let children = children.into_iter().map(|(name, values)| (name.to_owned(), Value::Array(values)));
    Value::Object(children.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn xml_is_told_by_names() {
        let told = xml("<Rules xmlns='x'><Rule><ID>a</ID></Rule><Rule><ID>b</ID></Rule><Empty/></Rules>");
        assert_eq!(told, json!({"Rule": [{"ID": ["a"]}, {"ID": ["b"]}], "Empty": [""]}));
        assert_eq!(xml("not XML"), Value::Null);
    }

    #[test]
    fn a_host_tells_its_region() {
        assert_eq!(region("a.bucket.s3.nl-ams.scw.cloud"), Some("nl-ams"));
        assert_eq!(region("s3.fr-par.scw.cloud"), Some("fr-par"));
        assert_eq!(region("api.scaleway.com"), None);
    }
}

//! Whether a request is this run's: AWS Signature Version 4 with a key made up for the run.
//!
//! `s3s`, which the local cloud uses, checks signatures inside of its own routing, where every
//! operation is a method with typed input. A gateway passes requests on as they are, so the same
//! signature is computed a second time with `aws-sigv4`, which signs for the bucket, too, and compared.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime, PrimitiveDateTime, macros::format_description};

use super::{chunked, refusal::Refusal};
use crate::bucket::Key;

/// How far a request's time may be from now: as S3 has it. Both are on this machine.
const SKEW: Duration = Duration::minutes(15);

/// The trailer that signs the others.
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// A key that is good for one run and one gateway.
pub(super) fn made_up() -> Key {
    let (id, secret): ([u8; 8], [u8; 32]) = (rand::random(), rand::random());
    Key::new(format!("STACKPROOF{}", hex::encode_upper(id)), hex::encode(secret))
}

/// What a signature covers of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// Its digest.
    Digest(String),
    /// Nothing.
    Unsigned,
    /// It comes in chunks, with checksums behind; nothing is signed.
    ChunksUnsigned,
    /// It comes in chunks, each signed; behind them there may be signed trailers.
    ChunksSigned { trailer: bool },
}

/// A request whose signature is good. Its content is yet to be checked.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) payload: Payload,
    signature: String,
    time: OffsetDateTime,
    region: String,
}

impl Payload {
    fn told(text: &str) -> Result<Self, Refusal> {
        Ok(match text {
            "UNSIGNED-PAYLOAD" => Self::Unsigned,
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Self::ChunksUnsigned,
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Self::ChunksSigned { trailer: false },
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Self::ChunksSigned { trailer: true },
            digest if digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Self::Digest(digest.to_ascii_lowercase())
            }
            other => return Err(Refusal::NotForwarded(format!("a content announced as {other:?}"))),
        })
    }
}

/// Checks who sent a request.
pub(super) fn check(key: &Key, parts: &Parts) -> Result<Signed, Refusal> {
    let bad = |why: &str| Refusal::NotSigned(why.to_owned());
    let text = header(&parts.headers, "authorization").ok_or_else(|| bad("it has no Authorization header"))?;
    let fields = text.strip_prefix("AWS4-HMAC-SHA256").ok_or_else(|| bad("it is not AWS Signature Version 4"))?;
    let field = |name: &str| {
        fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let scope: Vec<&str> = field("Credential").split('/').collect();
    let [id, date, region, "s3", "aws4_request"] = scope[..] else { return Err(bad("its credential is none of S3's")) };
    if id != key.id {
        return Err(bad("its access key is not the one made for this run"));
    }
    let stamp = header(&parts.headers, "x-amz-date").ok_or_else(|| bad("it has no X-Amz-Date"))?;
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = PrimitiveDateTime::parse(stamp, format).map_err(|_| bad("its X-Amz-Date is no time"))?.assume_utc();
    if !stamp.starts_with(date) || (OffsetDateTime::now_utc() - time).abs() > SKEW {
        return Err(bad("its time is not now"));
    }
    let announced = header(&parts.headers, "x-amz-content-sha256").ok_or_else(|| bad("it has no digest"))?;
    let payload = Payload::told(announced)?;
    let names: Vec<&str> = field("SignedHeaders").split(';').collect();
    // What decides what happens has to be signed: S3 asks for the same.
    let decides = |name: &&str| *name == "host" || name.starts_with("x-amz-") && *name != "x-amz-user-agent";
    let mut present = parts.headers.keys().map(http::HeaderName::as_str).filter(decides);
    if let Some(name) = present.find(|name| !names.contains(name)) {
        return Err(bad(&format!("its header {name} is not signed")));
    }
    let expected = signature(key, parts, &names, region, time, announced).map_err(|why| bad(&why))?;
    let given = field("Signature");
    // Digests are compared, so that the time it takes tells nothing.
    if Sha256::digest(&expected) != Sha256::digest(given) {
        return Err(bad("its signature is another one"));
    }
    Ok(Signed { payload, signature: expected, time, region: region.to_owned() })
}

/// A request's signature as this key would make it.
fn signature(
    key: &Key,
    parts: &Parts,
    names: &[&str],
    region: &str,
    time: OffsetDateTime,
    announced: &str,
) -> Result<String, String> {
    let mut settings = crate::bucket::settings();
    // Exactly what the sender signed, be it what is usually left out.
    settings.excluded_headers = None;
    let identity = Credentials::new(&key.id, &key.secret, None, None, "stackproof").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(time.into())
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let host = header(&parts.headers, "host").ok_or("it names no host")?;
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let url = format!("http://{host}{target}");
    let mut headers = Vec::with_capacity(names.len());
    for name in names {
        let mut values = Vec::new();
        for value in parts.headers.get_all(*name) {
            values.push(value.to_str().map_err(|_| format!("its header {name} is no text"))?);
        }
        if values.is_empty() {
            return Err(format!("its header {name} is signed and not there"));
        }
        headers.push((*name, values.join(",")));
    }
    let pairs = headers.iter().map(|(name, value)| (*name, value.as_str()));
    let body = SignableBody::Precomputed(announced.to_owned());
    let request = SignableRequest::new(parts.method.as_str(), url, pairs, body).map_err(|error| error.to_string())?;
    let (_, signature) = sign(request, &params).map_err(|error| error.to_string())?.into_parts();
    Ok(signature)
}

impl Signed {
    /// The content, once it is known to be what was signed, and the checksums that came behind it.
    pub(super) fn content(&self, key: &Key, body: Bytes) -> Result<(Bytes, Vec<(String, String)>), Refusal> {
        match &self.payload {
            Payload::Unsigned => Ok((body, Vec::new())),
            Payload::Digest(digest) => {
                if hex::encode(Sha256::digest(&body)) == *digest {
                    Ok((body, Vec::new()))
                } else {
                    Err(Refusal::Damaged("its SHA-256 is another one".to_owned()))
                }
            }
            Payload::ChunksUnsigned => {
                let chunks = chunked::read(&body).map_err(Refusal::Damaged)?;
                Ok((chunks.content(), chunks.trailers))
            }
            Payload::ChunksSigned { trailer } => {
                let chunks = chunked::read(&body).map_err(Refusal::Damaged)?;
                self.chunks(key, &chunks, *trailer)?;
                let trailers = chunks.trailers.iter().filter(|(name, _)| name != TRAILER_SIGNATURE).cloned();
                Ok((chunks.content(), trailers.collect()))
            }
        }
    }

    /// Each chunk is signed over the one before it, so that none can be left out or put elsewhere.
    fn chunks(&self, key: &Key, chunks: &chunked::Chunks, trailer: bool) -> Result<(), Refusal> {
        let wrong = |what: &str| Refusal::NotSigned(format!("the signature of {what} is another one"));
        let digest = |content: &[u8]| hex::encode(Sha256::digest(content));
        let mut running = self.signature.clone();
        for (content, given) in &chunks.all {
            running = self.next(key, "PAYLOAD", &running, &format!("{}\n{}", digest(b""), digest(content)))?;
            if given.as_deref() != Some(running.as_str()) {
                return Err(wrong("a chunk"));
            }
        }
        if trailer {
            let given = chunks.trailers.iter().find(|(name, _)| name == TRAILER_SIGNATURE);
            let signed = chunks.trailers.iter().filter(|(name, _)| name != TRAILER_SIGNATURE);
            let lines: String = signed.map(|(name, value)| format!("{name}:{value}\n")).collect();
            let expected = self.next(key, "TRAILER", &running, &digest(lines.as_bytes()))?;
            if given.map(|(_, value)| value) != Some(&expected) {
                return Err(wrong("the trailers"));
            }
        }
        Ok(())
    }

    /// The signature that follows another.
    fn next(&self, key: &Key, of: &str, running: &str, digests: &str) -> Result<String, Refusal> {
        let stamp = |format| self.time.format(format).map_err(|error| Refusal::NotSigned(error.to_string()));
        let date = stamp(format_description!("[year][month][day]"))?;
        let moment = stamp(format_description!("[year][month][day]T[hour][minute][second]Z"))?;
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let text = format!("AWS4-HMAC-SHA256-{of}\n{moment}\n{scope}\n{running}\n{digests}");
        let signing_key = v4::generate_signing_key(&key.secret, self.time.into(), &self.region, "s3");
        Ok(v4::calculate_signature(signing_key, text.as_bytes()))
    }
}

/// A header as a text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

//! The push itself, by the OCI Distribution API.

use std::{fs, io::Read, time::Duration};

use futures::{Stream, TryStreamExt as _, stream};
use oci_client::{
    Client, Reference,
    client::{Certificate, CertificateEncoding, ClientConfig},
    errors::OciDistributionError,
    secrets::RegistryAuth,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::source::{Blob, Source};
use crate::{
    Failure, Progress,
    target::{Environment, Target},
};

/// How long the registry may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// How much of a blob is read at once.
const PIECE: usize = 256 * 1024;

/// The user name of registries that ask for none (Scaleway's documentation).
pub(crate) const NO_LOGIN: &str = "nologin";

/// Pushes an image under this reference to the target's registry and returns where it is, by
/// digest. Blobs that are there already are not sent again.
///
/// # Errors
/// When the registry cannot be reached, refuses the login, or has no such namespace.
pub async fn push(
    target: &Target,
    source: &Source,
    reference: &Reference,
    progress: &Progress,
) -> Result<Reference, Failure> {
    let client = client(target.environment())?;
    let login = RegistryAuth::Basic(NO_LOGIN.into(), target.environment().credentials().secret_key.clone());
    client.store_auth_if_needed(reference.resolve_registry(), &login).await;
    let refused = |error: OciDistributionError| refused(reference, &error);
    let step = progress.step(format!("pushing {reference} ({})", megabytes(source.size())));
    let (mut sent, mut there) = (0, 0);
    for (number, blob) in source.blobs.iter().enumerate() {
        let size = megabytes(blob.part.size());
        step.note(&format!("blob {} of {}, {size}", number + 1, source.blobs.len()));
        if client.blob_exists(reference, &blob.digest).await.map_err(refused)? {
            there += 1;
            continue;
        }
        let pieces =
            pieces(blob).map_err(|error| Failure::failed(format!("{} cannot be read", blob.digest)).because(error))?;
        let sending = client.push_blob_stream(reference, pieces, &blob.digest, Some(blob.part.size()));
        sending.await.map_err(refused)?;
        sent += 1;
    }
    for (number, manifest) in source.manifests.iter().enumerate() {
        let last = number + 1 == source.manifests.len();
        // What an index names needs no tag.
        let place = if last { reference.clone() } else { by_digest(reference, &manifest.digest) };
        let kind = manifest.media_type.parse().map_err(|error| {
            Failure::usage(format!("{} is no type of a manifest", manifest.media_type)).because(error)
        })?;
        client.push_manifest_raw(&place, manifest.bytes.clone(), kind).await.map_err(refused)?;
    }
    step.done();
    progress.say(format!("{sent} blobs sent, {there} were there"));
    Ok(by_digest(reference, source.digest()))
}

fn by_digest(reference: &Reference, digest: &str) -> Reference {
    let (registry, repository) = (reference.registry().to_owned(), reference.repository().to_owned());
    Reference::with_digest(registry, repository, digest.to_owned())
}

/// A client that goes the way and trusts the roots of this environment.
pub(crate) fn client(environment: &Environment) -> Result<Client, Failure> {
    let broken = |what: String| Failure::environment(what).next("stackproof cloud stop && stackproof cloud start");
    crate::tls::install();
    let mut config = ClientConfig {
        https_proxy: environment.get("HTTPS_PROXY").map(str::to_owned),
        // One request a blob: what every registry takes.
        use_monolithic_push: true,
        connect_timeout: Some(SILENCE),
        read_timeout: Some(SILENCE),
        ..ClientConfig::default()
    };
    if let Some(path) = environment.get("SSL_CERT_FILE") {
        let pem = fs::read(path).map_err(|error| broken(format!("{path} cannot be read: {error}")))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| broken(format!("{path} holds no certificates: {error}")))?;
            let data = certificate.to_vec();
            config.tls_certs_only.push(Certificate { encoding: CertificateEncoding::Der, data });
        }
    }
    Client::try_from(config).map_err(|error| broken(format!("no client of the registry could be made: {error}")))
}

/// The bytes of a blob as they are read, away from the threads that wait for the network.
fn pieces(
    blob: &Blob,
) -> std::io::Result<impl Stream<Item = Result<bytes::Bytes, OciDistributionError>> + Send + 'static> {
    let reader = blob.part.open()?;
    Ok(stream::try_unfold(reader, |mut reader| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::new();
            reader.by_ref().take(PIECE as u64).read_to_end(&mut piece).map(|_| (piece, reader))
        });
        let (piece, reader) = read.await.map_err(std::io::Error::other)??;
        Ok::<_, std::io::Error>((!piece.is_empty()).then(|| (bytes::Bytes::from(piece), reader)))
    })
    .map_err(OciDistributionError::from))
}

fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.1} MB")
}

/// What a refusal of the registry means.
fn refused(reference: &Reference, error: &OciDistributionError) -> Failure {
    let namespace = reference.repository().split('/').next().unwrap_or_default();
    let status = match error {
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => Some(401),
        _ => None,
    };
    let failed = |what: String| Failure::failed(what);
    match status {
        Some(401) => failed(format!("{} does not accept the login", reference.registry()))
            .because("the password is SCW_SECRET_KEY; that key is unknown, or has expired")
            .next("stackproof cloud status, or export SCW_SECRET_KEY=… of a valid API key"),
        Some(403) => failed(format!("this API key may not push to the namespace {namespace}"))
            .because("a push needs ContainerRegistryFullAccess in the project of the namespace")
            .next("add that permission set to the policy of the key's owner, or push with another key"),
        Some(404) => failed(format!("there is no registry namespace {namespace} at {}", reference.registry()))
            .because("the namespace has to be made before an image is pushed to it; the state project makes it")
            .next("deploy the state project, or name another one with --namespace"),
        _ => failed(format!("{reference} could not be pushed")).because(error).next("stackproof cloud status"),
    }
}

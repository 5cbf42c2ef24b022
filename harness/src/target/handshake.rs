//! TLS, looked at: each version is tried, and the certificates are told.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_rustls::TlsConnector;
use url::Url;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Environment, way};
use crate::Failure;

/// How long a handshake may take (NFR-011).
const TIMEOUT: Duration = Duration::from_secs(10);

/// How a host does TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The versions it takes.
    pub versions: Vec<&'static str>,
    /// Who its certificates are for, its own first, each with who signed it.
    pub chain: Vec<String>,
}

/// Looks at the host of an address, with the roots and on the way of an environment.
///
/// # Errors
/// When it does no TLS that can be verified.
pub(super) async fn of(environment: &Environment, url: &str) -> Result<Tls, Failure> {
    let (mut tls, mut refused) = (Tls { versions: Vec::new(), chain: Vec::new() }, String::new());
    for (name, version) in [("TLSv1.2", &TLS12), ("TLSv1.3", &TLS13)] {
        let done = tokio::time::timeout(TIMEOUT, shake(environment, url, version)).await;
        match done.unwrap_or_else(|_| Err(format!("no answer in {} s", TIMEOUT.as_secs()))) {
            Ok(chain) => {
                tls.versions.push(name);
                tls.chain = chain;
            }
            Err(why) => refused = format!("{name}: {why}"),
        }
    }
    if tls.versions.is_empty() {
        return Err(Failure::failed(format!("{url} does no TLS that can be verified")).because(refused));
    }
    Ok(tls)
}

async fn shake(
    environment: &Environment,
    url: &str,
    version: &'static SupportedProtocolVersion,
) -> Result<Vec<String>, String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let host = url.host_str().ok_or("it names no host")?.to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config(environment, version)?));
    let stream = way::to(environment.get("HTTPS_PROXY"), &host, port).await?;
    let session = connector.connect(name, stream).await;
    let session = session.map_err(|error| error.to_string())?;
    chain(session.get_ref().1)
}

fn config(environment: &Environment, version: &'static SupportedProtocolVersion) -> Result<ClientConfig, String> {
    crate::tls::install();
    let builder = ClientConfig::builder_with_protocol_versions(&[version]);
    let Some(path) = environment.get("SSL_CERT_FILE") else {
        let builder = builder.with_platform_verifier().map_err(|error| error.to_string())?;
        return Ok(builder.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| format!("{path}: {error}"))? {
        let certificate = certificate.map_err(|error| format!("{path}: {error}"))?;
        roots.add(certificate).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn chain(session: &ClientConnection) -> Result<Vec<String>, String> {
    let certificates = session.peer_certificates().unwrap_or_default().iter().map(|certificate| {
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        Ok(format!("{} signed by {}", certificate.subject(), certificate.issuer()))
    });
    certificates.collect()
}

//! Whom to believe that it is the database.

use std::{net::IpAddr, sync::Arc};

use rustls::{ClientConfig, RootCertStore, client::WebPkiServerVerifier};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Error, Result};

/// Whom to believe that it is the database. The name in its certificate is always checked.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Who shows a certificate of this authority (PEM).
    Authority(String),
    /// Who shows a certificate this machine trusts.
    System,
    /// Whoever listens on this machine, without TLS. Other machines are not asked at all.
    PlainLoopback,
}

impl Trust {
    pub(super) fn tls(self, host: &str) -> Result<Option<MakeRustlsConnect>> {
        let wrong = |why: String| Error::Address(why);
        if matches!(self, Self::PlainLoopback) {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let here = host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
            return here.then_some(None).ok_or_else(|| wrong(format!("{host} may not be reached without TLS")));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?;
        let config = if let Self::Authority(pem) = self {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|error| wrong(format!("its authority is no PEM: {error}")))?;
                roots.add(certificate).map_err(|error| wrong(format!("its authority is no certificate: {error}")))?;
            }
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| wrong(format!("its authority cannot be used: {error}")))?;
            builder.with_webpki_verifier(verifier)
        } else {
            builder.with_platform_verifier().map_err(|error| wrong(error.to_string()))?
        };
        Ok(Some(MakeRustlsConnect::new(config.with_no_client_auth())))
    }
}

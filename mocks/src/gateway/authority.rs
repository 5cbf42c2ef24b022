//! The installation's own certificate authority.
//!
//! It lives in one directory, made at first use and loaded afterwards:
//!
//! - `authority.pem` (mode 0600): private key and certificate. One file, so
//!   that neither is ever there without the other;
//! - `ca.pem`: the certificate alone, for tools that add it to their own roots;
//! - `bundle.pem`: the machine's roots and this certificate, for tools that
//!   replace their roots by what `SSL_CERT_FILE` names.
//!
//! The certificate is constrained to Scaleway's domains: whoever gets hold of
//! the key cannot use it to pose as anybody else.

use std::{
    collections::{HashMap, VecDeque},
    env, fmt,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{self, Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use rustls::{ServerConfig, crypto::CryptoProvider};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use tempfile::Builder;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::hosts::SCALEWAY_DOMAINS;

/// How long a new authority is good for.
const VALIDITY: Duration = Duration::days(2 * 365);
/// An authority with less than this to go is replaced when it is next opened.
const MARGIN: Duration = Duration::days(30);
/// How far before its making an authority is valid, for machines whose clock is behind.
const BACKDATED: Duration = Duration::days(1);
/// How many hosts' certificates are kept; the oldest makes room.
const KEPT_HOSTS: usize = 256;

/// The first line of `authority.pem`, before the dates. The number changes with what
/// is in the certificate, so that an authority of an older form is replaced.
const HEADING: &str = "stackproof local authority, form 1, valid";
/// The line of `bundle.pem` below which the certificate of the authority stands.
const OURS_BELOW: &str = "# stackproof local authority, not one of the machine's roots:";

/// Where systems keep their roots as one file, in the order they are looked for.
const USUAL_ROOTS: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",                  // older Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",                            // openSUSE
    "/etc/pki/tls/cacert.pem",                           // OpenELEC
    "/etc/ssl/cert.pem",                                 // Alpine, macOS, BSD
];

/// An authority that cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// One of its files cannot be read or written.
    #[error("failed to {doing} {path}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
    /// A certificate cannot be made.
    #[error("failed to make a certificate for {name}")]
    Certificate {
        /// Whom the certificate was for.
        name: String,
        /// Why it did not work.
        source: rcgen::Error,
    },
    /// A certificate cannot be served.
    #[error("failed to set up TLS for {name}")]
    Tls {
        /// The host.
        name: String,
        /// Why it did not work.
        source: rustls::Error,
    },
}

/// The certificate authority of this installation, and the certificates it has made.
pub struct Authority {
    directory: PathBuf,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
    valid: Validity,
    provider: Arc<CryptoProvider>,
    hosts: Mutex<Hosts>,
}

/// From when to when certificates are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: OffsetDateTime,
    pub(super) until: OffsetDateTime,
}

/// What is kept of the hosts met so far, oldest first.
#[derive(Default)]
struct Hosts {
    configs: HashMap<String, Arc<ServerConfig>>,
    order: VecDeque<String>,
}

impl Authority {
    /// Opens the authority in this directory; makes it where there is none, or none that is usable.
    ///
    /// Processes that open the same new directory at once get the same authority.
    ///
    /// # Errors
    /// When its files cannot be read or written.
    pub fn open(directory: &Path) -> Result<Self, AuthorityError> {
        let roots = machine_roots(env::var_os("SSL_CERT_FILE").map(PathBuf::from));
        if roots.is_empty() {
            tracing::warn!(
                "no system roots found: processes started with the gateway's environment trust the local cloud only (hint: set SSL_CERT_FILE to a bundle of roots)"
            );
        }
        Self::open_at(directory, &roots, now())
    }

    fn open_at(directory: &Path, roots: &str, now: OffsetDateTime) -> Result<Self, AuthorityError> {
        // Children get the paths of these files and may run in other directories.
        let directory = &path::absolute(directory).map_err(failed_to("find", directory))?;
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed_to("create", directory))?;
        // Held until all three files are there. The system lets go of it if we are killed.
        let _lock = lock(&directory.join("authority.lock"))?;

        let kept = directory.join("authority.pem");
        let (heading_and_pem, key, valid) = match load(&kept, now)? {
            Some(loaded) => loaded,
            None => {
                let made = make(now)?;
                write(&kept, &made.0, 0o600)?;
                made
            }
        };
        let der =
            CertificateDer::from_pem_slice(heading_and_pem.as_bytes()).map_err(|_| AuthorityError::Certificate {
                name: kept.display().to_string(),
                source: rcgen::Error::CouldNotParseCertificate,
            })?;
        let certificate = certificate_part(&heading_and_pem).to_owned();
        let issuer = Issuer::from_ca_cert_der(&der, key)
            .map_err(|source| AuthorityError::Certificate { name: kept.display().to_string(), source })?;

        write(&directory.join("ca.pem"), &certificate, 0o644)?;
        let bundle = format!("{roots}{OURS_BELOW}\n{certificate}");
        write(&directory.join("bundle.pem"), &bundle, 0o644)?;
        Ok(Self {
            directory: directory.to_owned(),
            certificate,
            issuer,
            valid,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            hosts: Mutex::default(),
        })
    }

    /// The file with the authority's certificate alone.
    pub fn certificate_path(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// The file with the machine's roots and the authority's certificate.
    pub fn bundle_path(&self) -> PathBuf {
        self.directory.join("bundle.pem")
    }

    /// The authority's certificate as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// TLS as this host speaks it: a certificate of its own, made at the first call. What is spoken inside is decided
    /// then, too.
    pub(super) fn server_config(&self, host: &str, speaks: Speaks) -> Result<Arc<ServerConfig>, AuthorityError> {
        // Making one takes a fraction of a millisecond, less than a second one made beside it.
        let mut hosts = self.hosts.lock();
        if let Some(config) = hosts.configs.get(host) {
            return Ok(config.clone());
        }
        let config = Arc::new(self.certify(host, speaks)?);
        if hosts.order.len() == KEPT_HOSTS
            && let Some(oldest) = hosts.order.pop_front()
        {
            hosts.configs.remove(&oldest);
        }
        hosts.order.push_back(host.to_owned());
        hosts.configs.insert(host.to_owned(), config.clone());
        Ok(config)
    }

    /// A certificate of its own for a host that others than the gateway answer for, and its key, both as PEM.
    pub(crate) fn certificate(&self, host: &str) -> Result<(String, String), AuthorityError> {
        let (certificate, key) = sign(host, &self.issuer, self.valid)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn certify(&self, host: &str, speaks: Speaks) -> Result<ServerConfig, AuthorityError> {
        certify(host, &self.issuer, self.valid, &self.provider, speaks)
    }

    /// When its certificates are good.
    pub(super) fn valid(&self) -> Validity {
        self.valid
    }

    /// What computes its TLS.
    pub(super) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }
}

/// What is spoken inside of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP/1.1 only: see docs/limits.md.
    Http1,
    /// HTTP/2, too.
    Http2,
}

/// A certificate for this host, signed by this issuer, and its key.
fn sign(host: &str, issuer: &Issuer<'_, KeyPair>, valid: Validity) -> Result<(Certificate, KeyPair), AuthorityError> {
    let certificate_error = |source| AuthorityError::Certificate { name: host.to_owned(), source };
    let mut params = CertificateParams::new([host.to_owned()]).map_err(certificate_error)?;
    // Not the host: a common name ends at 64 characters, and no client reads it any more.
    params.distinguished_name = named("stackproof local cloud");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Python's strict verification asks for it.
    params.use_authority_key_identifier_extension = true;
    // As long as the authority itself, so no running gateway outlives a certificate it keeps;
    // under the 825 days macOS allows.
    params.not_before = valid.from;
    params.not_after = valid.until;
    // A key a host: the serial number is derived from it and must not repeat.
    let key = KeyPair::generate().map_err(certificate_error)?;
    let certificate = params.signed_by(&key, issuer).map_err(certificate_error)?;
    Ok((certificate, key))
}

/// TLS with a certificate for this host, signed by this issuer.
pub(super) fn certify(
    host: &str,
    issuer: &Issuer<'_, KeyPair>,
    valid: Validity,
    provider: &Arc<CryptoProvider>,
    speaks: Speaks,
) -> Result<ServerConfig, AuthorityError> {
    let (certificate, key) = sign(host, issuer, valid)?;
    let tls_error = |source| AuthorityError::Tls { name: host.to_owned(), source };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key)
        .map_err(tls_error)?;
    config.alpn_protocols = match speaks {
        Speaks::Http1 => vec![b"http/1.1".to_vec()],
        Speaks::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(config)
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("directory", &self.directory)
            .field("valid", &self.valid)
            .finish_non_exhaustive()
    }
}

/// The wall clock's time, not the cloud's: clients judge a certificate's dates by theirs.
fn now() -> OffsetDateTime {
    // Certificates carry whole seconds.
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now)
}

pub(super) fn failed_to(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuthorityError {
    let path = path.to_owned();
    move |source| AuthorityError::File { doing, path, source }
}

fn lock(path: &Path) -> Result<File, AuthorityError> {
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed_to("open", path))?;
    file.lock().map_err(failed_to("lock", path))?;
    Ok(file)
}

/// Writes a file whole or not at all, and leaves it alone where it says this already.
pub(super) fn write(path: &Path, content: &str, mode: u32) -> Result<(), AuthorityError> {
    if fs::read(path).is_ok_and(|present| present == content.as_bytes()) {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)
        .map_err(failed_to("write", path))?;
    file.write_all(content.as_bytes()).map_err(failed_to("write", path))?;
    file.as_file().sync_all().map_err(failed_to("write", path))?;
    file.persist(path).map_err(|error| failed_to("write", path)(error.error))?;
    Ok(())
}

pub(super) fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// A constraint to these domains and what is below them.
pub(super) fn only(domains: &[&str]) -> NameConstraints {
    NameConstraints {
        permitted_subtrees: domains.iter().map(|domain| GeneralSubtree::DnsName((*domain).to_owned())).collect(),
        // A constraint on names says nothing about addresses.
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
        ],
    }
}

type Kept = (String, KeyPair, Validity);

/// Makes an authority: what to keep of it, its key, and its dates.
fn make(now: OffsetDateTime) -> Result<Kept, AuthorityError> {
    let certificate_error = |source| AuthorityError::Certificate { name: "the local authority".to_owned(), source };
    let valid = Validity { from: now - BACKDATED, until: now + VALIDITY };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(certificate_error)?;
    // Two installations' authorities can meet in one bundle: they must not share a name.
    let mark = hex::encode(&key.der_bytes()[1..5]);
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("stackproof local authority {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(only(&SCALEWAY_DOMAINS));
    params.not_before = valid.from;
    params.not_after = valid.until;
    let certificate = params.self_signed(&key).map_err(certificate_error)?;
    let date = |date: OffsetDateTime| date.format(&Rfc3339).unwrap_or_default();
    let kept =
        format!("{HEADING} {} {}\n{}{}", date(valid.from), date(valid.until), key.serialize_pem(), certificate.pem(),);
    Ok((kept, key, valid))
}

/// The authority kept in this file, unless there is none or it has to be replaced.
fn load(path: &Path, now: OffsetDateTime) -> Result<Option<Kept>, AuthorityError> {
    let kept = match fs::read_to_string(path) {
        Ok(kept) => kept,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed_to("read", path)(error)),
    };
    let mode = fs::metadata(path).map_err(failed_to("read", path))?.permissions().mode();
    let replaced = |why: &str| {
        tracing::warn!(path = %path.display(), why, "making a new local authority; restart the local clouds that run");
        Ok(None)
    };
    if mode & 0o077 != 0 {
        return replaced("others could read its key");
    }
    let Some((key, valid)) = parse(&kept) else {
        return replaced("it is damaged or of an older form");
    };
    if now < valid.from || valid.until - now < MARGIN {
        return replaced("it has expired or is about to");
    }
    Ok(Some((kept, key, valid)))
}

fn parse(kept: &str) -> Option<(KeyPair, Validity)> {
    let (heading, pem) = kept.split_once('\n')?;
    let (from, until) = heading.strip_prefix(HEADING)?.trim().split_once(' ')?;
    let valid = Validity {
        from: OffsetDateTime::parse(from, &Rfc3339).ok()?,
        until: OffsetDateTime::parse(until, &Rfc3339).ok()?,
    };
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).ok()?;
    Some((key, valid))
}

fn certificate_part(kept: &str) -> &str {
    kept.find("-----BEGIN CERTIFICATE-----").map_or("", |start| &kept[start..])
}

/// The machine's roots as PEM: those of the file named by its environment, else of the usual places.
fn machine_roots(named: Option<PathBuf>) -> String {
    named.into_iter().chain(USUAL_ROOTS.map(PathBuf::from)).find_map(|path| roots_in(&path)).unwrap_or_default()
}

/// The roots in this file, without those of a local authority: the environment of a process
/// that itself runs behind a gateway names a bundle, and bundles must not grow by that.
fn roots_in(path: &Path) -> Option<String> {
    let bundle = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
    let roots = bundle.split_once(OURS_BELOW).map_or(bundle.as_str(), |(roots, _)| roots);
    if !roots.contains("-----BEGIN ") {
        return None;
    }
    Some(format!("{}\n", roots.trim_end()))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustls::{ClientConfig, RootCertStore};
    use tempfile::TempDir;
    use time::macros::datetime;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    const MADE: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
    const ROOTS: &str = "-----BEGIN CERTIFICATE-----\nthe machine's\n-----END CERTIFICATE-----\n";

    fn open(directory: &TempDir, now: OffsetDateTime) -> Authority {
        Authority::open_at(directory.path(), ROOTS, now).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn it_is_made_once_and_loaded_afterwards() {
        let directory = TempDir::new().unwrap();
        let first = open(&directory, MADE);
        let second = open(&directory, MADE + Duration::days(300));
        assert_eq!(first.certificate_pem(), second.certificate_pem());
        assert_eq!(first.valid, second.valid);
        assert_eq!(first.issuer.key().serialize_der(), second.issuer.key().serialize_der());
    }

    #[test]
    fn only_the_owner_can_read_the_key() {
        let directory = TempDir::new().unwrap();
        let own = directory.path().join("new");
        Authority::open_at(&own, ROOTS, MADE).unwrap();
        assert_eq!(mode(&own), 0o700);
        assert_eq!(mode(&own.join("authority.pem")), 0o600);
        for public in ["ca.pem", "bundle.pem"] {
            assert!(!fs::read_to_string(own.join(public)).unwrap().contains("PRIVATE KEY"));
        }
    }

    #[test]
    fn a_key_that_others_could_read_is_replaced() {
        let directory = TempDir::new().unwrap();
        let first = open(&directory, MADE);
        let kept = directory.path().join("authority.pem");
        fs::set_permissions(&kept, Permissions::from_mode(0o644)).unwrap();
        let second = open(&directory, MADE);
        assert_ne!(first.certificate_pem(), second.certificate_pem());
        assert_eq!(mode(&kept), 0o600);
    }

    #[test]
    fn one_about_to_expire_is_replaced() {
        let directory = TempDir::new().unwrap();
        let first = open(&directory, MADE);
        let still_good = open(&directory, MADE + VALIDITY - MARGIN);
        assert_eq!(first.certificate_pem(), still_good.certificate_pem());
        let second = open(&directory, MADE + VALIDITY - MARGIN + Duration::SECOND);
        assert_ne!(first.certificate_pem(), second.certificate_pem());
        assert_eq!(fs::read_to_string(directory.path().join("ca.pem")).unwrap(), second.certificate_pem());
    }

    #[test]
    fn one_from_the_future_is_replaced() {
        let directory = TempDir::new().unwrap();
        let first = open(&directory, MADE);
        let second = open(&directory, MADE - Duration::days(2));
        assert_ne!(first.certificate_pem(), second.certificate_pem());
    }

    #[test]
    fn a_damaged_one_is_replaced() {
        let directory = TempDir::new().unwrap();
        let kept = directory.path().join("authority.pem");
        for damage in ["", "nonsense", HEADING] {
            write(&kept, damage, 0o600).unwrap();
            open(&directory, MADE);
            assert!(parse(&fs::read_to_string(&kept).unwrap()).is_some());
        }
    }

    #[test]
    fn processes_that_race_get_the_same_one() {
        let directory = TempDir::new().unwrap();
        let path = directory.path();
        let certificates: Vec<String> = thread::scope(|scope| {
            let racers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Authority::open_at(path, ROOTS, MADE).unwrap())).collect();
            racers.into_iter().map(|racer| racer.join().unwrap().certificate_pem().to_owned()).collect()
        });
        assert!(certificates.iter().all(|one| *one == certificates[0]));
    }

    #[test]
    fn the_bundle_is_the_machines_roots_and_ours() {
        let directory = TempDir::new().unwrap();
        let authority = open(&directory, MADE);
        let bundle = fs::read_to_string(authority.bundle_path()).unwrap();
        assert!(bundle.starts_with(ROOTS));
        assert!(bundle.ends_with(authority.certificate_pem()));
    }

    #[test]
    fn a_gateway_behind_a_gateway_does_not_trust_the_outer_one() {
        let directory = TempDir::new().unwrap();
        let outer = open(&directory, MADE);
        assert_eq!(machine_roots(Some(outer.bundle_path())), ROOTS);
    }

    #[test]
    fn a_file_without_roots_is_passed_over() {
        let directory = TempDir::new().unwrap();
        let empty = directory.path().join("empty.pem");
        write(&empty, "", 0o644).unwrap();
        assert_eq!(roots_in(&empty), None);
        assert_eq!(roots_in(&directory.path().join("missing.pem")), None);
    }

    /// What a client that trusts the authority makes of the certificate for this host.
    async fn visit(authority: &Authority, host: &'static str) -> io::Result<()> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(authority.provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (near, far) = tokio::io::duplex(4096);
        let server = TlsAcceptor::from(authority.server_config(host, Speaks::Http1).unwrap());
        let (client, _) = tokio::join!(
            TlsConnector::from(Arc::new(client)).connect(host.try_into().unwrap(), near),
            server.accept(far)
        );
        client.map(drop)
    }

    #[tokio::test]
    async fn its_certificates_are_good_for_scaleways_hosts_alone() {
        let directory = TempDir::new().unwrap();
        let authority = Authority::open(directory.path()).unwrap();
        for ours in ["api.scaleway.com", "a.b.s3.fr-par.scw.cloud", "scw.cloud"] {
            visit(&authority, ours).await.unwrap();
        }
        for foreign in ["example.org", "notscaleway.com", "127.0.0.1"] {
            let refusal = visit(&authority, foreign).await.unwrap_err();
            assert!(refusal.to_string().contains("NameConstraintViolation"), "{foreign}: {refusal}");
        }
    }

    #[test]
    fn a_host_keeps_its_certificate_until_many_others_came() {
        let directory = TempDir::new().unwrap();
        let authority = open(&directory, MADE);
        let first = authority.server_config("api.scaleway.com", Speaks::Http1).unwrap();
        assert!(Arc::ptr_eq(&first, &authority.server_config("api.scaleway.com", Speaks::Http1).unwrap()));
        for n in 0..KEPT_HOSTS {
            authority.server_config(&format!("b{n}.s3.fr-par.scw.cloud"), Speaks::Http1).unwrap();
        }
        let hosts = authority.hosts.lock();
        assert_eq!(hosts.configs.len(), KEPT_HOSTS);
        assert_eq!(hosts.order.len(), KEPT_HOSTS);
        assert!(!hosts.configs.contains_key("api.scaleway.com"));
    }
}

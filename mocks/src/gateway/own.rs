//! Host names of users' own that lead to containers.
//!
//! The installation's [`Authority`] cannot sign for them: it is constrained to Scaleway's domains, and stays so. Each
//! name has an authority of its own, which is constrained to that name, signs one certificate, and whose key is gone
//! then: whoever trusts it trusts nobody else with anything. They are trusted by who reads this cloud's own bundle, the
//! installation's with them added, which is what a cloud with such names gives to its tools.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData};
use rustls::ServerConfig;

use super::{
    Authority, AuthorityError,
    authority::{Speaks, certify, failed_to, only, write},
};

/// The names of one cloud.
pub struct OwnNames {
    authority: Arc<Authority>,
    bundle: PathBuf,
    known: Mutex<BTreeMap<String, Own>>,
}

struct Own {
    tls: Arc<ServerConfig>,
    root: String,
}

impl OwnNames {
    /// No names yet; the bundle will be a file in this folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(authority: &Arc<Authority>, folder: &Path) -> Result<Self, AuthorityError> {
        fs::create_dir_all(folder).map_err(failed_to("create", folder))?;
        let folder = std::path::absolute(folder).map_err(failed_to("find", folder))?;
        let bundle = folder.join("bundle.pem");
        let names = Self { authority: Arc::clone(authority), bundle, known: Mutex::default() };
        names.keep(&BTreeMap::new())?;
        Ok(names)
    }

    /// The file with the roots to trust: the installation's bundle, and those of the names.
    pub fn bundle_path(&self) -> &Path {
        &self.bundle
    }

    /// Makes these the names there are.
    ///
    /// # Errors
    /// When a certificate cannot be made, or the bundle not be written.
    pub fn set(&self, names: &BTreeSet<String>) -> Result<(), AuthorityError> {
        let mut known = self.known.lock();
        if known.keys().eq(names.iter()) {
            return Ok(());
        }
        known.retain(|name, _| names.contains(name));
        for name in names {
            if !known.contains_key(name) {
                known.insert(name.clone(), self.make(name)?);
            }
        }
        self.keep(&known)
    }

    /// Whether a host is one of them.
    pub(super) fn has(&self, host: &str) -> bool {
        self.known.lock().contains_key(host)
    }

    /// TLS as one of them speaks it.
    pub(super) fn tls(&self, host: &str) -> Option<Arc<ServerConfig>> {
        self.known.lock().get(host).map(|own| Arc::clone(&own.tls))
    }

    /// An authority for one name, and what it signed.
    fn make(&self, name: &str) -> Result<Own, AuthorityError> {
        let failed = |source| AuthorityError::Certificate { name: name.to_owned(), source };
        let valid = self.authority.valid();
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = super::authority::named("stackproof local authority for one name");
        // Not the name itself, which may be too long for it; but no two may be called the same.
        params.distinguished_name.push(DnType::OrganizationName, hex::encode(&key.der_bytes()[1..9]));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.name_constraints = Some(only(&[name]));
        params.not_before = valid.from;
        params.not_after = valid.until;
        let root = params.self_signed(&key).map_err(failed)?;
        let issuer = Issuer::from_ca_cert_der(root.der(), key).map_err(failed)?;
        let tls = certify(name, &issuer, valid, self.authority.provider(), Speaks::Http2)?;
        Ok(Own { tls: Arc::new(tls), root: root.pem() })
    }

    fn keep(&self, known: &BTreeMap<String, Own>) -> Result<(), AuthorityError> {
        let of_all = self.authority.bundle_path();
        let mut bundle = fs::read_to_string(&of_all).map_err(failed_to("read", &of_all))?;
        bundle.extend(known.values().map(|own| own.root.as_str()));
        write(&self.bundle, &bundle, 0o644)
    }
}

impl std::fmt::Debug for OwnNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnNames").field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use x509_parser::{extensions::GeneralName, pem::Pem};

    use super::*;

    #[test]
    fn each_name_has_a_root_that_is_good_for_nothing_else_and_goes_with_it() {
        let folder = TempDir::new().unwrap();
        let authority = Arc::new(Authority::open(&folder.path().join("authority")).unwrap());
        let names = OwnNames::open(&authority, &folder.path().join("cloud")).unwrap();
        let bundle = || fs::read_to_string(names.bundle_path()).unwrap();
        let of_all = fs::read_to_string(authority.bundle_path()).unwrap();
        assert_eq!(bundle(), of_all);
        let set = |list: &[&str]| names.set(&list.iter().map(|&name| name.to_owned()).collect()).unwrap();
        set(&["shop.example.com", "www.example.org"]);
        assert!(names.has("shop.example.com") && names.tls("www.example.org").is_some());
        assert!(!names.has("example.com") && names.tls("x.shop.example.com").is_none());
        let added = bundle().strip_prefix(&of_all).unwrap().to_owned();
        let roots: Vec<Pem> = Pem::iter_from_buffer(added.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(roots.len(), 2);
        let root = roots[0].parse_x509().unwrap();
        let permitted = root.name_constraints().unwrap().unwrap().value.permitted_subtrees.clone().unwrap();
        assert!(matches!(permitted[..], [ref one] if one.base == GeneralName::DNSName("shop.example.com")));
        set(&["shop.example.com"]);
        assert!(!names.has("www.example.org") && bundle().len() < of_all.len() + added.len());
        set(&[]);
        assert_eq!(bundle(), of_all);
    }
}

//! Whom a container trusts besides the roots of its image: the authority that signs for the hosts it can reach.
//!
//! At Scaleway those hosts have certificates that any image's roots verify. Here they have not, so the authority's
//! certificate is put where programs look.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{Refused, helper::step};

/// Where images of the usual distributions keep their roots. A link among them is followed.
const ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine, distroless
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",                  // older Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",                            // openSUSE
    "/etc/ssl/cert.pem",                                 // Alpine's libressl
];
/// A file of the authority alone: nobody else's hosts are reached.
pub(super) const FILE: &str = "/etc/stackproof.pem";
/// Variables that name a file of roots, for programs that bring their own, and images that have none.
pub(super) const VARIABLES: [&str; 5] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
];

/// Adds certificates to the roots of the container that this process is in.
pub(super) fn add(certificates: &str) -> Result<(), Refused> {
    let mut had = Vec::new();
    for path in ROOTS {
        match append(Path::new(path), certificates, &mut had) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(step(format!("adding to the roots in {path}")))?,
        }
    }
    Ok(())
}

/// Appends to a file that is there, once where several names lead to it.
fn append(path: &Path, certificates: &str, had: &mut Vec<PathBuf>) -> io::Result<()> {
    let real = fs::canonicalize(path)?;
    // An image says what its links lead to: not anywhere.
    let image = ["/etc", "/usr", "/var"].iter().any(|folder| real.starts_with(folder)) && real.is_file();
    if image && !had.contains(&real) {
        write!(OpenOptions::new().append(true).open(&real)?, "\n{certificates}")?;
        had.push(real);
    }
    Ok(())
}

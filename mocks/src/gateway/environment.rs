//! What a tool's environment must say, and must not say, to go through the gateway.

use std::{net::SocketAddr, path::Path, process::Command};

/// Changes to the environment of a child process that lead it through the gateway.
///
/// A tool can still be configured past it, and Go programs on macOS trust the
/// system's keychain alone; see `docs/limits.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Variables to set, with their values.
    pub set: Vec<(String, String)>,
    /// Variables to remove: with them the others do not work.
    pub unset: Vec<String>,
}

/// Hosts that are asked directly: the Pulumi engine, the language host and the plugins
/// speak gRPC with one another on 127.0.0.1.
const DIRECT: &str = "127.0.0.1,localhost,::1";

/// Variables that name a file of trusted roots. All get the bundle: the machine's roots
/// and ours, since what they name replaces the tool's own roots.
const ROOTS: [&str; 9] = [
    "SSL_CERT_FILE",       // Go (Pulumi, the provider, Terraform, scw) but for macOS; OpenSSL, rustls
    "REQUESTS_CA_BUNDLE",  // Python requests
    "CURL_CA_BUNDLE",      // curl; the second choice of requests
    "NODE_EXTRA_CA_CERTS", // Node, where it adds to the roots compiled in
    "GIT_SSL_CAINFO",      // git
    "PIP_CERT",            // pip
    "HTTPLIB2_CA_CERTS",   // Python httplib2
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", // gRPC's C core
    "NIX_SSL_CERT_FILE",   // programs built by Nix, which read it before SSL_CERT_FILE
];

impl Environment {
    pub(super) fn new(address: SocketAddr, bundle: &Path) -> Self {
        let proxy = format!("http://{address}");
        let bundle = bundle.display().to_string();
        let mut set = vec![
            ("HTTPS_PROXY".to_owned(), proxy.clone()),
            ("HTTP_PROXY".to_owned(), proxy),
            // Both spellings: gRPC's C core reads the lower-case one only, Go and requests either.
            ("NO_PROXY".to_owned(), DIRECT.to_owned()),
            ("no_proxy".to_owned(), DIRECT.to_owned()),
            // Without it Node's own fetch, and so Scaleway's JavaScript SDK, knows no proxy.
            ("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned()),
        ];
        set.extend(ROOTS.map(|name| (name.to_owned(), bundle.clone())));
        let unset = [
            // With any value the provider's buckets fail at once ("unable to add custom RootCAs
            // HTTPClient"), and in Pulumi's S3 backend it overrides SSL_CERT_FILE.
            "AWS_CA_BUNDLE",
            // gRPC's C core, in Python's language host, sends its calls to the engine on 127.0.0.1
            // through a lower-case proxy; and the lower-case names win over ours in curl and Python.
            "https_proxy",
            "http_proxy",
            // SSL_CERT_DIR stays: Go and OpenSSL read it beside SSL_CERT_FILE, not instead.
        ];
        Self { set, unset: unset.map(str::to_owned).to_vec() }
    }

    /// Changes the environment of a command not started yet.
    pub fn apply(&self, command: &mut Command) {
        for name in &self.unset {
            command.env_remove(name);
        }
        for (name, value) in &self.set {
            command.env(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, ffi::OsStr};

    use tempfile::TempDir;

    use super::*;

    fn environment(directory: &TempDir) -> Environment {
        Environment::new(SocketAddr::from(([127, 0, 0, 1], 4321)), &directory.path().join("bundle.pem"))
    }

    #[test]
    fn nothing_is_both_set_and_removed_or_set_twice() {
        let environment = environment(&TempDir::new().unwrap());
        let names: BTreeSet<_> = environment.set.iter().map(|(name, _)| name).chain(&environment.unset).collect();
        assert_eq!(names.len(), environment.set.len() + environment.unset.len());
    }

    #[test]
    fn a_command_gets_the_proxy_and_loses_what_breaks_it() {
        let directory = TempDir::new().unwrap();
        let mut command = Command::new("true");
        command.env("AWS_CA_BUNDLE", "/elsewhere.pem");
        environment(&directory).apply(&mut command);
        let value = |name: &str| {
            command
                .get_envs()
                .find(|(key, _)| *key == OsStr::new(name))
                .map(|(_, value)| value.map(|value| value.to_string_lossy().into_owned()))
        };
        assert_eq!(value("HTTPS_PROXY"), Some(Some("http://127.0.0.1:4321".to_owned())));
        assert_eq!(value("no_proxy"), Some(Some(DIRECT.to_owned())));
        let bundle = directory.path().join("bundle.pem").display().to_string();
        assert_eq!(value("SSL_CERT_FILE"), Some(Some(bundle)));
        for removed in ["AWS_CA_BUNDLE", "https_proxy", "http_proxy"] {
            assert_eq!(value(removed), Some(None), "{removed} must be removed");
        }
    }
}

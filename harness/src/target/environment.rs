//! What a process needs in its environment to use a cloud, and must not have.

use std::collections::BTreeMap;

use tokio::process::Command;

use crate::Failure;

/// Who deploys: an API key and its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `SCW_ACCESS_KEY`.
    pub access_key: String,
    /// `SCW_SECRET_KEY`.
    pub secret_key: String,
    /// `SCW_DEFAULT_ORGANIZATION_ID`.
    pub organization_id: String,
    /// `SCW_DEFAULT_PROJECT_ID`.
    pub project_id: String,
    /// `SCW_DEFAULT_REGION`.
    pub region: String,
    /// `SCW_DEFAULT_ZONE`.
    pub zone: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("project_id", &self.project_id)
            .finish_non_exhaustive()
    }
}

/// Environment variables for child processes.
#[derive(Clone, Debug)]
pub struct Environment {
    credentials: Credentials,
    set: BTreeMap<String, String>,
    unset: Vec<String>,
}

/// Variables that lead tools to another cloud, another account or another trust than meant: never
/// inherited (provider: environment beats configuration; `AWS_CA_BUNDLE` makes its S3 client fail). Nor is the root key
/// of local clouds' states.
const NEVER_INHERITED: [&str; 19] = [
    stackproof_cloud::kernel::ROOT_KEY_VARIABLE,
    "AWS_CA_BUNDLE",
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_SESSION_TOKEN",
    "SCW_API_URL",
    "SCW_PROFILE",
    "SCW_INSECURE",
    "SCW_TOKEN",
    "SCW_ORGANIZATION",
    "SCW_ORGANIZATION_ID",
    "SCW_REGION",
    "SCW_TLSVERIFY",
    "SCW_S3_ENDPOINT",
    "https_proxy",
    "http_proxy",
    "HTTPS_PROXY",
    "HTTP_PROXY",
];

/// What leads through a proxy.
const PROXY: [&str; 5] = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "no_proxy", "NODE_USE_ENV_PROXY"];

/// What is taken over from the environment of a cloud that is known by nothing else.
const ROUTE: [&str; 10] = [
    "SCW_API_URL",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
];

impl Environment {
    /// An environment with these credentials and variables.
    pub fn new(credentials: Credentials, route: BTreeMap<String, String>, unset: Vec<String>) -> Self {
        let mut set = route;
        let mut put = |name: &str, value: &str| set.insert(name.to_owned(), value.to_owned());
        put("SCW_ACCESS_KEY", &credentials.access_key);
        put("SCW_SECRET_KEY", &credentials.secret_key);
        put("SCW_DEFAULT_ORGANIZATION_ID", &credentials.organization_id);
        put("SCW_DEFAULT_PROJECT_ID", &credentials.project_id);
        put("SCW_DEFAULT_REGION", &credentials.region);
        put("SCW_DEFAULT_ZONE", &credentials.zone);
        // A configuration file left in the home folder would be merged in silently.
        put("SCW_CONFIG_PATH", "/dev/null");
        put("AWS_ACCESS_KEY_ID", &credentials.access_key);
        put("AWS_SECRET_ACCESS_KEY", &credentials.secret_key);
        put("AWS_REGION", &credentials.region);
        put("AWS_EC2_METADATA_DISABLED", "true");
        put("AWS_CONFIG_FILE", "/dev/null");
        put("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        // Scaleway answers no checksums that the SDK of Pulumi's state backend would take; it warns at every read.
        put("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required");
        Self { credentials, set, unset }
    }

    /// The environment that these variables describe.
    ///
    /// # Errors
    /// Naming every credential that is missing.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let mut missing = Vec::new();
        let mut must = |name: &'static str| {
            variable(name).filter(|value| !value.is_empty()).unwrap_or_else(|| {
                missing.push(name);
                String::new()
            })
        };
        let credentials = Credentials {
            access_key: must("SCW_ACCESS_KEY"),
            secret_key: must("SCW_SECRET_KEY"),
            organization_id: must("SCW_DEFAULT_ORGANIZATION_ID"),
            project_id: must("SCW_DEFAULT_PROJECT_ID"),
            region: variable("SCW_DEFAULT_REGION").unwrap_or_else(|| "fr-par".into()),
            zone: variable("SCW_DEFAULT_ZONE").unwrap_or_else(|| "fr-par-1".into()),
        };
        if !missing.is_empty() {
            return Err(Failure::usage(format!("{} is not set", missing.join(", ")))
                .because("this target is reached with the credentials in the environment")
                .next(format!("export {}=…, from an API key of the ephemeral project", missing[0])));
        }
        let route = ROUTE.into_iter().filter_map(|name| Some((name.to_owned(), variable(name)?))).collect();
        Ok(Self::new(credentials, route, Vec::new()))
    }

    /// The same with another API key.
    #[must_use]
    pub fn with_key(self, access_key: &str, secret_key: &str) -> Self {
        let (access_key, secret_key) = (access_key.to_owned(), secret_key.to_owned());
        Self::new(Credentials { access_key, secret_key, ..self.credentials }, self.set, self.unset)
    }

    /// The same for a network in which host names lead where they have to: without a proxy.
    #[must_use]
    pub fn without_proxy(mut self) -> Self {
        self.set.retain(|name, _| !PROXY.contains(&name.as_str()));
        self.unset.extend(PROXY.map(str::to_owned));
        self
    }

    /// Who deploys.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.set.get(name).map(String::as_str)
    }

    /// All variables.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Puts a command into this environment.
    pub fn apply(&self, command: &mut Command) {
        self.apply_std(command.as_std_mut());
    }

    /// Puts a command of the standard library into this environment.
    pub fn apply_std(&self, command: &mut std::process::Command) {
        for name in NEVER_INHERITED.into_iter().chain(self.unset.iter().map(String::as_str)) {
            command.env_remove(name);
        }
        command.envs(&self.set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_credential_is_named_at_once() {
        let failure =
            Environment::from_variables(|name| (name == "SCW_ACCESS_KEY").then(|| "SCWX".into())).unwrap_err();
        assert_eq!(failure.what, "SCW_SECRET_KEY, SCW_DEFAULT_ORGANIZATION_ID, SCW_DEFAULT_PROJECT_ID is not set");
        assert_eq!(failure.exit, crate::Exit::Usage);
    }

    #[test]
    fn without_a_proxy_nothing_leads_to_one_and_the_roots_stay() {
        let set = ["HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE"].map(|name| (name.to_owned(), "x".to_owned()));
        let credentials = |_: &str| Some("x".to_owned());
        let credentials = Environment::from_variables(credentials).unwrap().credentials().clone();
        let environment = Environment::new(credentials, set.into(), Vec::new()).without_proxy();
        let mut command = std::process::Command::new("true");
        environment.apply_std(&mut command);
        let value = |name: &str| command.get_envs().find(|(key, _)| *key == name).map(|(_, value)| value.is_some());
        assert_eq!(["HTTPS_PROXY", "no_proxy", "NO_PROXY"].map(value), [Some(false); 3]);
        assert_eq!(value("SSL_CERT_FILE"), Some(true));
    }

    #[test]
    fn secrets_are_not_shown_when_an_environment_is_printed() {
        let credentials = Credentials {
            access_key: "SCWA".into(),
            secret_key: "hush".into(),
            organization_id: "o".into(),
            project_id: "p".into(),
            region: "fr-par".into(),
            zone: "fr-par-1".into(),
        };
        assert!(!format!("{credentials:?}").contains("hush"));
    }
}

//! Which stack, in one spelling.

use std::fmt;

use url::Url;

/// A stack: where its state is, and its name. Two spellings of one place are one key; the text is compared whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackKey {
    backend: String,
    project: String,
    stack: String,
}

/// Why a text does not name a stack.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// The backend is none that is known here.
    #[error(
        "{0:?} is no backend that can be locked: expected s3://bucket/prefix?endpoint=host&region=name or file:///folder"
    )]
    Backend(String),
    /// A name is empty, or has line breaks or the like.
    #[error("{0:?} is no name of a {1}")]
    Name(String, &'static str),
}

impl StackKey {
    /// From the backend as Pulumi is told it, the project and the stack.
    pub fn new(backend: &str, project: &str, stack: &str) -> Result<Self, KeyError> {
        for (name, what) in [(project, "project"), (stack, "stack")] {
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(KeyError::Name(name.to_owned(), what));
            }
        }
        let backend = canonical(backend).ok_or_else(|| KeyError::Backend(masked(backend)))?;
        Ok(Self { backend, project: project.to_owned(), stack: stack.to_owned() })
    }

    /// Where the state is: endpoint, bucket and prefix.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The project.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The stack.
    pub fn stack(&self) -> &str {
        &self.stack
    }
}

impl fmt::Display for StackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} in {}", self.project, self.stack, self.backend)
    }
}

/// A backend in one spelling: `s3://endpoint/bucket/prefix` or `file:///folder`, without parameters.
pub fn canonical_backend(backend: &str) -> Result<String, KeyError> {
    canonical(backend).ok_or_else(|| KeyError::Backend(masked(backend)))
}

fn canonical(backend: &str) -> Option<String> {
    let url = Url::parse(backend).ok()?;
    let path = || url.path().split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    match url.scheme() {
        "file" => Some(format!("file:///{}", path())),
        "s3" => {
            let bucket = url.host_str().filter(|bucket| !bucket.is_empty())?;
            let parameter = |name: &str| {
                let found = url.query_pairs().find(|(key, value)| key == name && !value.is_empty());
                found.map(|(_, value)| value.into_owned())
            };
            let endpoint = match (parameter("endpoint"), parameter("region")) {
                (Some(endpoint), _) => host(&endpoint)?,
                (None, Some(region)) => format!("s3.{region}.amazonaws.com"),
                (None, None) => "s3.amazonaws.com".to_owned(),
            };
            Some(format!("s3://{endpoint}/{bucket}/{}", path()).trim_end_matches('/').to_owned())
        }
        _ => None,
    }
}

/// Host and port of an endpoint, however it is written.
fn host(endpoint: &str) -> Option<String> {
    let url = if endpoint.contains("://") { Url::parse(endpoint) } else { Url::parse(&format!("https://{endpoint}")) };
    let url = url.ok()?;
    let host = url.host_str()?.to_ascii_lowercase();
    // The usual port is left out by then.
    Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

/// Without what may be a secret.
fn masked(backend: &str) -> String {
    match Url::parse(backend) {
        Ok(url) => format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()),
        Err(_) => backend.split(['?', '@']).next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_place_are_one_key() {
        let one = StackKey::new("s3://state/team?endpoint=s3.fr-par.scw.cloud&region=fr-par", "shop", "prod").unwrap();
        for same in [
            "s3://state/team/?region=fr-par&endpoint=https://s3.fr-par.scw.cloud&s3ForcePathStyle=true",
            "s3://state//team?endpoint=https%3A%2F%2FS3.fr-par.scw.cloud:443/&awssdk=v2",
        ] {
            assert_eq!(StackKey::new(same, "shop", "prod").unwrap(), one, "{same}");
        }
        assert_eq!(one.to_string(), "shop/prod in s3://s3.fr-par.scw.cloud/state/team");
    }

    #[test]
    fn different_places_are_different_keys() {
        let keys: std::collections::BTreeSet<_> = [
            "s3://state?endpoint=s3.fr-par.scw.cloud",
            "s3://state/team?endpoint=s3.fr-par.scw.cloud",
            "s3://state?endpoint=s3.nl-ams.scw.cloud",
            "s3://state?endpoint=http://127.0.0.1:9000",
            "s3://state?region=fr-par",
            "s3://state",
            "file:///state",
        ]
        .map(|backend| StackKey::new(backend, "shop", "prod").unwrap())
        .into();
        assert_eq!(keys.len(), 7, "{keys:?}");
    }

    #[test]
    fn what_names_no_stack_is_refused_without_its_secrets() {
        for wrong in ["", "state", "https://app.pulumi.com", "s3://", "s3://state?endpoint=:::"] {
            assert!(matches!(StackKey::new(wrong, "shop", "prod"), Err(KeyError::Backend(_))), "{wrong}");
        }
        let told = StackKey::new("gs://ada:hunter2@state?token=hunter2", "shop", "prod").unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
        assert!(StackKey::new("s3://state", "shop", "").is_err() && StackKey::new("s3://state", "a\nb", "x").is_err());
    }
}

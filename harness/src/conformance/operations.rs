//! Which operations Scaleway's API has: those of the official SDK for Go, read from its sources.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::Failure;

/// An operation of the API: `GET /vpc/v2/regions/{region}/vpcs/{vpc_id}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Operation {
    pub(super) path: String,
    pub(super) method: String,
}

impl Operation {
    /// One of ours.
    pub(super) fn of(method: &str, path: &str) -> Self {
        Self { path: path.to_owned(), method: method.to_owned() }
    }

    /// The operation whatever its parameters are called.
    pub(super) fn shape(&self) -> Self {
        let parts = self.path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
        Self { path: parts.collect::<Vec<_>>().join("/"), method: self.method.clone() }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Reads them from the SDK's folder.
///
/// # Errors
/// When a source cannot be read, or none has an operation.
pub(super) fn operations(sdk: &Path) -> Result<BTreeSet<Operation>, Failure> {
    let mut found = BTreeSet::new();
    for file in sources(&sdk.join("api"))? {
        let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&file, error))?;
        found.extend(operations_of(&text));
    }
    if found.is_empty() {
        return Err(Failure::environment(format!("{} has no operation of the API", sdk.display()))
            .because("the SDK's sources are written in another way than before"));
    }
    Ok(found)
}

/// The SDK's requests: `Method: "GET",` and on the next line a `Path:` of texts and parameters.
fn operations_of(text: &str) -> Vec<Operation> {
    let (Ok(request), Ok(param)) = (
        Regex::new(r#"Method:\s*"(\w+)",\s*\n\s*Path:\s*(.+),\n"#),
        Regex::new(r#""\s*\+\s*fmt\.Sprint\((?:req\.)?(\w+)\)\s*\+\s*""#),
    ) else {
        return Vec::new();
    };
    let path = |source: &str| {
        let named = param.replace_all(source, |found: &regex::Captures<'_>| format!("{{{}}}", snake(&found[1])));
        named.trim_matches('"').to_owned()
    };
    request.captures_iter(text).map(|found| Operation::of(&found[1], &path(&found[2]))).collect()
}

/// `InstanceID` is `instance_id` in the API.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    let mut small = false;
    for letter in name.chars() {
        if letter.is_uppercase() && small {
            snake.push('_');
        }
        small = letter.is_lowercase() || letter.is_ascii_digit();
        snake.extend(letter.to_lowercase());
    }
    snake
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "go") {
            found.push(path);
        }
    }
    Ok(found)
}

fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    Failure::environment(format!("{} cannot be read", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_from_the_sdks_requests() {
        let source = "scwReq := &scw.ScalewayRequest{\n\t\tMethod: \"DELETE\",\n\t\tPath:   \"/rdb/v1/regions/\" + \
                      fmt.Sprint(req.Region) + \"/backups/\" + fmt.Sprint(req.DatabaseBackupID) + \"\",\n\t}";
        let found = operations_of(source);
        assert_eq!(found, [Operation::of("DELETE", "/rdb/v1/regions/{region}/backups/{database_backup_id}")]);
        let shape = Operation::of("DELETE", "/rdb/v1/regions/{}/backups/{}");
        assert_eq!(found[0].shape(), shape);
    }
}

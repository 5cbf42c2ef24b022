//! What the provider's acceptance tests expect to be there: the account they are run in, and files they upload.

use std::path::Path;

use stackproof_cloud::services::{Member, Organization};

use super::build::Tests;
use crate::Failure;

/// The organisation of the provider's own test account: tests name it, and its default project.
pub(super) const ORGANIZATION: &str = "105bdce1-64c0-48ab-899d-868455867ecf";

/// Members of it whom tests name. The second is looked up by address.
const MEMBERS: [(&str, &str); 3] = [
    ("ef29ce05-3f2b-4fa0-a259-d76110850d57", "first-member@example.com"),
    ("84d20ae1-9650-419a-ab74-7ab09b6262e0", "developer-tools-team@scaleway.com"),
    ("88b4dde1-f3d4-478a-a281-784d53399a30", "third-member@example.com"),
];

/// The test account, or one like it under another identifier.
pub(super) fn organization(id: Option<String>) -> Organization {
    Organization {
        id: id.unwrap_or_else(|| ORGANIZATION.to_owned()),
        members: MEMBERS.map(|(id, email)| Member { id: id.into(), email: email.into() }).into(),
        ..Organization::from_seed(0)
    }
}

/// Whether an identifier is one of the account's own, or of Scaleway's prepared alerts.
pub(super) fn is_told(id: &str) -> bool {
    id == ORGANIZATION || MEMBERS.iter().any(|(member, _)| *member == id)
}

/// Puts a state directory's organisation into place.
pub(super) fn settle(folder: &Path, organization: &Organization) -> Result<(), Failure> {
    let json = serde_json::to_vec(organization)
        .map_err(|error| Failure::environment("the organisation cannot be written").because(error))?;
    crate::target::write_private(&folder.join("organization.json"), &json)
}

/// Copies the files that a product's tests upload to the folder they run in.
pub(super) fn lay(tests: &Tests, folder: &Path) -> Result<(), Failure> {
    let from = tests.sources.join("testfixture");
    let broken =
        |error: std::io::Error| Failure::environment(format!("{} cannot be copied", from.display())).because(error);
    if !from.is_dir() {
        return Ok(());
    }
    let to = folder.join("testfixture");
    std::fs::create_dir_all(&to).map_err(broken)?;
    for entry in std::fs::read_dir(&from).map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if entry.file_type().map_err(broken)?.is_file() {
            // Read and written rather than copied: sources of modules are read-only.
            let content = std::fs::read(entry.path()).map_err(broken)?;
            std::fs::write(to.join(entry.file_name()), content).map_err(broken)?;
        }
    }
    Ok(())
}

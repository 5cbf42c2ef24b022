//! What is judged: what exactly is in the checkout.

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::Workspace;

/// Endings of the files that make the infrastructure program what it is.
const PROGRAM: [&str; 4] = ["py", "yaml", "toml", "txt"];

/// SHA-256 over the names and bytes of the infrastructure program's files.
pub fn program_digest(workspace: &Workspace) -> String {
    let infra = workspace.infra();
    let hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".") || name == "__pycache__";
    let walk = WalkDir::new(&infra).sort_by_file_name().into_iter();
    let mut digest = Sha256::new();
    let mut files = 0;
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name())).flatten() {
        let path = entry.path();
        let belongs = path.extension().is_some_and(|ending| PROGRAM.iter().any(|known| ending == *known));
        if entry.file_type().is_file()
            && belongs
            && let Ok(bytes) = std::fs::read(path)
        {
            let name = path.strip_prefix(&infra).unwrap_or(path).to_string_lossy();
            // Lengths keep two files from passing for one.
            digest.update(format!("{name}\n{}\n", bytes.len()));
            digest.update(&bytes);
            files += 1;
        }
    }
    if files == 0 { String::new() } else { hex::encode(digest.finalize()) }
}

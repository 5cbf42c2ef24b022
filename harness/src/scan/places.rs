//! Places that are files or objects.

use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use super::Scan;
use crate::{Failure, target::ObjectStorage};

/// What to do about a credential in a place.
pub(super) fn next(place: &str) -> &'static str {
    match place {
        "state" | "outputs" => "mark the value as secret in infra/ (pulumi.Output.secret), then stackproof up",
        "processes" => {
            "stackproof cloud stop && stackproof cloud start, and give it to the process that needs it alone"
        }
        "images" => "build the image without it, stackproof image push, and replace the credential",
        "cloud" => "stackproof cloud stop && stackproof cloud reset, and replace the credential",
        _ => "remove the file, and replace the credential",
    }
}

impl Scan {
    /// Searches every file below a folder, but for files and folders of these names.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read: what is not searched is not free of findings.
    pub fn folder(&mut self, place: &str, folder: &Path, but: &[&str]) -> Result<(), Failure> {
        let unreadable = |error: &dyn std::fmt::Display| {
            Failure::environment(format!("{} cannot be searched", folder.display()))
                .because(error)
                .next(format!("ls -lR {}", folder.display()))
        };
        let wanted = |entry: &DirEntry| entry.depth() == 0 || !but.iter().any(|name| entry.file_name() == *name);
        for entry in WalkDir::new(folder).into_iter().filter_entry(wanted) {
            let entry = match entry {
                Ok(entry) => entry,
                // Gone while the folder was read.
                Err(error) if error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound) => {
                    if error.depth() == 0 {
                        return Err(unreadable(&error));
                    }
                    continue;
                }
                Err(error) => return Err(unreadable(&error)),
            };
            if !entry.file_type().is_file() {
                continue;
            }
            match std::fs::read(entry.path()) {
                Ok(bytes) => self.bytes(place, &entry.path().display().to_string(), &bytes),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
        Ok(())
    }

    /// Searches every object of a bucket.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn bucket(&mut self, place: &str, storage: &ObjectStorage, bucket: &str) -> Result<(), Failure> {
        for key in storage.keys(bucket).await? {
            let (status, content) = storage.get(bucket, &key).await?;
            if status != 200 {
                return Err(Failure::failed(format!("{bucket}/{key} cannot be searched: {status}"))
                    .next("stackproof check, or another API key"));
            }
            self.bytes(place, &format!("{bucket}/{key}"), &content);
        }
        Ok(())
    }
}

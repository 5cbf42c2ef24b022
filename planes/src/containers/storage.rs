//! How many bytes of files a container has written.
//!
//! They are in the uppermost layer of its files, which is a folder of the machine. Nothing tells when it grows, so it
//! is looked at from time to time, as Kubernetes does with a pod's ephemeral storage.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, time::Duration};

use tokio::time::MissedTickBehavior;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);
/// What a block is, wherever files are counted in blocks.
const BLOCK: u64 = 512;

/// Waits until the files in a folder take more than this; gives how much.
pub(super) async fn over(folder: &Path, limit: u64) -> u64 {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let folder = folder.to_owned();
        let taken = tokio::task::spawn_blocking(move || taken(&folder)).await.unwrap_or(0);
        if taken > limit {
            return taken;
        }
    }
}

/// How much room the files in a folder take. What vanishes meanwhile takes none.
fn taken(folder: &Path) -> u64 {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::debug!(folder = %folder.display(), %error, "a container's files cannot be counted");
            }
            return 0;
        }
    };
    let entries = entries.filter_map(Result::ok);
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, data)| data.blocks() * BLOCK + if data.is_dir() { taken(&path) } else { 0 })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_folders_counts_and_what_is_not_there_does_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(taken(&folder.path().join("nowhere")), 0);
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        let empty = taken(folder.path());
        fs::write(folder.path().join("a/b/c"), vec![1; 1 << 20]).unwrap();
        let written = taken(folder.path()) - empty;
        assert!((1 << 20..2 << 20).contains(&written), "{written}");
    }
}

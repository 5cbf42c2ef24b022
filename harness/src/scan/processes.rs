//! Arguments and environments of processes (proc(5): `cmdline`, `environ`).

use std::{fs, io, path::Path};

use super::Scan;
use crate::Failure;

/// A process of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// Its program's name.
    pub name: String,
    /// Whether it lives in another mount namespace than this process: a container, or a command of `cloud exec`.
    pub contained: bool,
}

impl Scan {
    /// Searches arguments and environments of all processes but this one. `needs` says which process needs which
    /// credential (by name) in its environment; nobody needs one in its arguments, which every user can read.
    ///
    /// Processes of other users are searched as far as this one may.
    ///
    /// # Errors
    /// When there is no `/proc`.
    pub fn processes(&mut self, needs: impl Fn(&Process, &str) -> bool) -> Result<(), Failure> {
        let unreadable = |error: io::Error| {
            Failure::environment("processes cannot be searched on this machine").because(error).next("ls /proc")
        };
        let own = fs::read_link("/proc/self/ns/mnt").map_err(unreadable)?;
        for entry in fs::read_dir("/proc").map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let id = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            let Some(id) = id.filter(|id| *id != std::process::id()) else { continue };
            let folder = entry.path();
            // One that ended in the meantime has neither.
            let Ok(arguments) = fs::read(folder.join("cmdline")) else { continue };
            let process = Process {
                id,
                name: name(&folder),
                contained: fs::read_link(folder.join("ns/mnt")).is_ok_and(|it| it != own),
            };
            let at = |what: &str| format!("{what} of process {id} ({})", process.name);
            self.bytes("processes", &at("arguments"), &arguments);
            if let Ok(environment) = fs::read(folder.join("environ")) {
                self.bytes_but("processes", &at("environment"), &environment, |credential| needs(&process, credential));
            }
        }
        Ok(())
    }
}

fn name(folder: &Path) -> String {
    fs::read_to_string(folder.join("comm")).map(|name| name.trim().to_owned()).unwrap_or_default()
}

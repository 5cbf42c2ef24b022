//! Where the checkout lies that holds the stack (`infra/`) and the pinned tools
//! (`tools/`).

use std::path::{Path, PathBuf};

use crate::Failure;

/// The environment variable that names the checkout outright.
pub const ROOT_VARIABLE: &str = "STACKPROOF_ROOT";

/// A checkout of stackproof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its top folder.
    pub root: PathBuf,
}

impl Workspace {
    /// The checkout `STACKPROOF_ROOT` names, else the one the current folder lies in.
    pub fn find() -> Result<Self, Failure> {
        if let Some(root) = std::env::var_os(ROOT_VARIABLE).filter(|root| !root.is_empty()) {
            let root = PathBuf::from(root);
            return Self::at(&root).ok_or_else(|| {
                Failure::usage(format!("{ROOT_VARIABLE} names {}, which is no checkout of stackproof", root.display()))
                    .because("neither infra/Pulumi.yaml nor tools/ with harness/ is in it")
                    .next(format!("unset {ROOT_VARIABLE}, or set it to the checkout's top folder"))
            });
        }
        let here = std::env::current_dir()
            .map_err(|error| Failure::usage(format!("the current folder cannot be read: {error}")))?;
        Self::around(&here).ok_or_else(|| {
            Failure::usage(format!("no checkout of stackproof at or above {}", here.display()))
                .because("the stack (infra/) and the pinned tools (tools/) are read from it")
                .next(format!("cd into the checkout, or set {ROOT_VARIABLE} to it"))
        })
    }

    /// The checkout this folder lies in.
    pub fn around(folder: &Path) -> Option<Self> {
        folder.ancestors().find_map(Self::at)
    }

    fn at(folder: &Path) -> Option<Self> {
        let stack = folder.join("infra/Pulumi.yaml").is_file();
        let sources = folder.join("tools").is_dir() && folder.join("harness/Cargo.toml").is_file();
        (stack || sources).then(|| Self { root: folder.to_owned() })
    }

    /// The Pulumi project of the stack.
    pub fn infra(&self) -> PathBuf {
        self.root.join("infra")
    }

    /// The programs that call the cloud with other clients than Pulumi.
    pub fn clients(&self) -> PathBuf {
        self.root.join("scenarios/clients")
    }

    /// The stacks the program has a configuration for: `dev` for `Pulumi.dev.yaml`, sorted.
    ///
    /// # Errors
    /// When the program's folder cannot be read.
    pub fn stacks(&self) -> Result<Vec<String>, Failure> {
        let infra = self.infra();
        let entries = std::fs::read_dir(&infra)
            .map_err(|error| Failure::usage(format!("{} cannot be read", infra.display())).because(error))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let stack = |name: String| Some(name.strip_prefix("Pulumi.")?.strip_suffix(".yaml")?.to_owned());
        let mut stacks: Vec<String> = names.filter_map(stack).collect();
        stacks.sort();
        Ok(stacks)
    }

    /// What this machine keeps of its own: never committed, for this user's eyes.
    pub fn private_dir(&self) -> PathBuf {
        self.root.join(".stackproof")
    }

    /// The local cloud of this checkout.
    pub fn cloud_dir(&self) -> PathBuf {
        self.private_dir().join("cloud")
    }

    /// The pinned tools.
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_found_from_any_folder_below_it() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("infra/components/network");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(root.path().join("infra/Pulumi.yaml"), "name: stack").unwrap();
        assert_eq!(Workspace::around(&deep).unwrap().root, root.path());
    }

    #[test]
    fn some_other_folder_is_no_checkout() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("tools")).unwrap();
        assert_eq!(Workspace::around(root.path()), None);
    }
}

//! Temporary.
#![allow(missing_docs)]
use crate::{Failure, Progress};
use std::path::{Path, PathBuf};
#[derive(Clone, Debug)]
pub struct Tool {
    pub path: PathBuf,
}
#[derive(Clone, Debug)]
pub struct Toolchain {
    pub pulumi: Tool,
}
impl Toolchain {
    pub fn ensure(_: &Progress) -> Result<Self, Failure> {
        Ok(Self { pulumi: Tool { path: "/tmp/tb/bin/pulumi".into() } })
    }
    pub fn environment(&self, home: &Path) -> Vec<(String, String)> {
        let plugins = home.join("plugins");
        std::fs::create_dir_all(&plugins).unwrap();
        let _ = std::os::unix::fs::symlink("/tmp/tb/prov", plugins.join("resource-scaleway-v1.55.1"));
        vec![
            ("PULUMI_HOME".into(), home.display().to_string()),
            ("PULUMI_SKIP_UPDATE_CHECK".into(), "1".into()),
            ("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION".into(), "true".into()),
            ("PATH".into(), format!("/tmp/tb/bin:/tmp/v/bin:{}", std::env::var("PATH").unwrap())),
        ]
    }
}

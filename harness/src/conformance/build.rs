//! The provider's acceptance tests as programs, one a product, built from the pinned module.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::toolchain::GoModule;
use crate::{Failure, Progress, Workspace};

/// The module whose tests they are.
const MODULE: &str = "github.com/scaleway/terraform-provider-scaleway/v2";

/// The SDK that it asks Scaleway's API by.
const SDK: &str = "github.com/scaleway/scaleway-sdk-go";

/// The provider's pinned module.
pub(super) struct Provider {
    module: GoModule,
    version: String,
}

/// The acceptance tests of one product.
#[derive(Clone, Debug)]
pub(super) struct Tests {
    pub(super) product: String,
    pub(super) program: PathBuf,
    /// The folder of the provider's sources they come from.
    pub(super) sources: PathBuf,
}

impl Provider {
    /// Finds the module and its version in the pinned sources.
    pub(super) fn find(workspace: &Workspace) -> Result<Self, Failure> {
        let folder = workspace.tools().join("provider");
        let module = GoModule::at(&folder, "the provider's acceptance tests")?;
        let sources = std::fs::read_to_string(folder.join("go.mod")).map_err(|error| {
            Failure::environment("tools/provider/go.mod cannot be read").because(error).next("git checkout -- tools")
        })?;
        let version = sources.lines().find_map(|line| line.trim().strip_prefix(MODULE)?.trim().strip_prefix('v'));
        let version = version.map(|version| version.split_whitespace().next().unwrap_or(version).to_owned());
        let version = version.ok_or_else(|| {
            Failure::environment(format!("tools/provider/go.mod does not require {MODULE}"))
                .next("git checkout -- tools")
        })?;
        Ok(Self { module, version })
    }

    /// The provider's version.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Where its sources lie, with the recordings of its tests.
    pub(super) fn sources(&self) -> Result<PathBuf, Failure> {
        self.module.sources_of(MODULE)
    }

    /// Where the sources of the SDK lie.
    pub(super) fn sdk(&self) -> Result<PathBuf, Failure> {
        self.module.sources_of(SDK)
    }

    /// The test program of a product, built if it is not there yet.
    pub(super) fn tests_of(&self, product: &str, progress: &Progress) -> Result<Tests, Failure> {
        let package = format!("{MODULE}/internal/services/{product}");
        let what = format!("building the provider's acceptance tests of {product}");
        let name = format!("conformance-{product}");
        let program = self.module.test_program(&name, &self.version, &package, &what, progress)?;
        let sources = self.sources()?.join("internal/services").join(product);
        Ok(Tests { product: product.to_owned(), program, sources })
    }
}

impl Tests {
    /// The names of its acceptance tests.
    pub(super) fn list(&self) -> Result<Vec<String>, Failure> {
        let failed = |why: String| {
            Failure::environment(format!("the acceptance tests of {} cannot be listed", self.product)).because(why)
        };
        let mut command = Command::new(&self.program);
        command.args(["-test.list", "^TestAcc"]).current_dir(self.program.parent().unwrap_or(Path::new(".")));
        let output = command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter(|line| line.starts_with("TestAcc")).map(str::to_owned).collect())
    }
}

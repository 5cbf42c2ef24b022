//! A state that was lost, and taken up again from what there is in the cloud.

use stackproof::{
    Failure, Progress,
    acceptance::Scenario,
    pulumi::{Change, Operation, Stack, import_file},
};

use super::{Deployment, updates};

/// What came of taking existing resources into a state.
pub struct Adopted {
    /// Logical names of what was taken, sorted.
    pub imported: Vec<String>,
    /// What a preview of the program would change in it, as `resource.property` or `operation resource`.
    pub different: Vec<String>,
}

impl Deployment {
    /// Takes everything that this stack made into an empty state of the same stack, as after a state was lost.
    ///
    /// # Errors
    /// When the import fails.
    pub async fn adopted(&self, s: &Scenario) -> Result<Adopted, Failure> {
        let settings = self.stack.settings().with_empty_state(&self.folder.path().join("adopted"))?;
        let other = Stack::open(settings, self.toolchain.clone(), &self.target).await?;
        let list = import_file(&self.stack.export().await?)?;
        let file = self.folder.path().join("adopt.json");
        std::fs::write(&file, list.to_string())
            .map_err(|error| Failure::environment("no scratch file").because(error))?;
        s.attach("adopt.json", format!("{list:#}"))?;
        let import = other.run(&Operation::Import { file }, &Progress::Silent).await?;
        s.attach("pulumi-import.txt", format!("{}{}", import.stdout, import.stderr))?;
        let import = import.success()?;
        let taken = |change: &&Change| change.op == "import";
        let mut imported: Vec<String> =
            import.events.changes.iter().filter(taken).map(|change| change.name().to_owned()).collect();
        imported.sort();
        let preview = Operation::Preview { refresh: false, expect_no_changes: false };
        let preview = other.run(&preview, &Progress::Silent).await?;
        s.attach("pulumi-preview-adopted.txt", format!("{}{}", preview.stdout, preview.stderr))?;
        Ok(Adopted { imported, different: updates(&preview.success()?) })
    }
}

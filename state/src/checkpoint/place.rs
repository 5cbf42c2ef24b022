//! Where Pulumi keeps what of a stack (its self-managed backend, layout version 1).

use std::fmt;

use super::Compression;

/// A stack of a project, as Pulumi's self-managed backend names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stack {
    project: String,
    name: String,
}

/// A name that no project or stack can have.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no name of a project or stack: letters, digits, '-', '_' and '.' make one, up to 100 of them")]
pub struct NotAName(String);

/// What a key in the bucket is to a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The current checkpoint, in one of its forms.
    Checkpoint,
    /// Anything else of the stack: history, backups, locks, tags, former checkpoints.
    Other,
}

impl Stack {
    /// A stack by its project's and its own name.
    ///
    /// # Errors
    /// When Pulumi would not take one of the names.
    pub fn new(project: impl Into<String>, name: impl Into<String>) -> Result<Self, NotAName> {
        let (project, name) = (project.into(), name.into());
        for text in [&project, &name] {
            let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            // Only dots would climb out of the folder.
            if !fits || text.is_empty() || text.len() > 100 || text.chars().all(|c| c == '.') {
                return Err(NotAName(text.clone()));
            }
        }
        Ok(Self { project, name })
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The stack's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key of the current checkpoint in one of its forms.
    #[must_use]
    pub fn checkpoint(&self, compression: Compression) -> String {
        format!(".pulumi/stacks/{}/{}.json{}", self.project, self.name, compression.suffix())
    }

    /// The keys that the current checkpoint can have.
    pub(crate) fn checkpoints(&self) -> [String; 3] {
        Compression::ALL.map(|compression| self.checkpoint(compression))
    }

    /// Where its checkpoints lie, those of other stacks with the same beginning, too.
    pub(crate) fn checkpoints_prefix(&self) -> String {
        format!(".pulumi/stacks/{}/{}.json", self.project, self.name)
    }

    /// The folder of its updates.
    pub(crate) fn history(&self) -> String {
        format!(".pulumi/history/{}/{}/", self.project, self.name)
    }

    /// The folder of Pulumi's own copies.
    pub(crate) fn backups(&self) -> String {
        format!(".pulumi/backups/{}/{}/", self.project, self.name)
    }

    /// The folder of Pulumi's own locks.
    pub(crate) fn locks(&self) -> String {
        format!(".pulumi/locks/organization/{}/{}/", self.project, self.name)
    }

    /// The folder of the copies that a restore makes first. Not among Pulumi's, which it may list or delete.
    pub(crate) fn safety(&self) -> String {
        format!(".stackproof/safety/{}/{}/", self.project, self.name)
    }

    /// What a key is to this stack; none if it is not this stack's.
    pub(crate) fn part(&self, key: &str) -> Option<Part> {
        let folders = [self.history(), self.backups(), self.locks()];
        if folders.iter().any(|folder| key.strip_prefix(folder.as_str()).is_some_and(|rest| !rest.is_empty())) {
            return Some(Part::Other);
        }
        let rest = key.strip_prefix(&format!(".pulumi/stacks/{}/{}", self.project, self.name))?;
        if rest == ".pulumi-tags" {
            return Some(Part::Other);
        }
        // A stack may be called `dev.json`, too, so what follows has to be one of Pulumi's endings.
        let rest = rest.strip_prefix(".json")?;
        let packed = [Compression::Gzip, Compression::Zstd].iter().find_map(|form| rest.strip_prefix(form.suffix()));
        match packed.unwrap_or(rest) {
            "" => Some(Part::Checkpoint),
            ".bak" => Some(Part::Other),
            // Every checkpoint is kept, where Pulumi is told to: by its moment.
            end => end
                .strip_prefix('.')
                .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
                .map(|_| Part::Other),
        }
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "organization/{}/{}", self.project, self.name)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain(".pulumi/stacks/shop/dev.json", Some(Part::Checkpoint))]
    #[case::gzip(".pulumi/stacks/shop/dev.json.gz", Some(Part::Checkpoint))]
    #[case::zstd(".pulumi/stacks/shop/dev.json.zst", Some(Part::Checkpoint))]
    #[case::former(".pulumi/stacks/shop/dev.json.gz.bak", Some(Part::Other))]
    #[case::retained(".pulumi/stacks/shop/dev.json.1767225600000000000", Some(Part::Other))]
    #[case::retained_gzip(".pulumi/stacks/shop/dev.json.gz.1767225600000000000", Some(Part::Other))]
    #[case::tags(".pulumi/stacks/shop/dev.pulumi-tags", Some(Part::Other))]
    #[case::history(".pulumi/history/shop/dev/dev-1.history.json", Some(Part::Other))]
    #[case::backup(".pulumi/backups/shop/dev/dev.1.json", Some(Part::Other))]
    #[case::lock(".pulumi/locks/organization/shop/dev/a.json", Some(Part::Other))]
    #[case::other_stack(".pulumi/stacks/shop/dev2.json", None)]
    #[case::stack_with_a_longer_name(".pulumi/stacks/shop/dev.json.json", None)]
    #[case::other_project(".pulumi/stacks/shop2/dev.json", None)]
    #[case::folder_itself(".pulumi/locks/organization/shop/dev/", None)]
    #[case::elsewhere("assets/logo.png", None)]
    fn a_key_belongs_to_a_stack_or_not(#[case] key: &str, #[case] expected: Option<Part>) {
        assert_eq!(Stack::new("shop", "dev").unwrap().part(key), expected);
    }

    #[rstest]
    #[case("", "dev")]
    #[case("shop", "..")]
    #[case("shop", "a/b")]
    #[case("sh op", "dev")]
    fn a_name_that_would_climb_out_is_none(#[case] project: &str, #[case] name: &str) {
        assert!(Stack::new(project, name).is_err());
    }
}

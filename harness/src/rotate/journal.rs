//! Where every credential stands, kept as rows of the audit trail: not on the disk of a machine that may be another's
//! turn next, and changed by nobody unseen.

use std::collections::BTreeMap;

use stackproof_state::audit::Filter;
use tokio::sync::OnceCell;

use super::{Stage, Standing, What};
use crate::{
    Failure, Progress, foundation,
    pulumi::Settings,
    sovereign::{Home, bootstrap},
};

/// The generation that a configuration says is in use: where the audit trail is younger than the credential.
fn configured(settings: &Settings, what: What) -> u32 {
    let text = std::fs::read_to_string(settings.configuration_file()).ok();
    let document = text.and_then(|text| serde_saphyr::from_str::<serde_json::Value>(&text).ok());
    let found = document.and_then(|document| {
        let (section, key) = what.setting()?.split_once('.')?;
        let said = document["config"].get(format!("{}:{section}", settings.project().ok()?))?.get(key)?.as_str()?;
        said.split('+').next()?.strip_prefix('v')?.parse().ok()
    });
    found.unwrap_or(1)
}

/// The command of the rows that say where something stands.
const COMMAND: &str = "stackproof rotate";

/// The rows of one project of a stack.
pub(super) struct Journal<'a> {
    home: &'a Home,
    project: String,
}

impl<'a> Journal<'a> {
    pub(super) fn new(home: &'a Home, project: &str) -> Self {
        Self { home, project: project.to_owned() }
    }

    /// Where everything stands that was ever rotated.
    pub(super) async fn standings(&self) -> Result<BTreeMap<What, Standing>, Failure> {
        let stack = Some(self.home.names().stack.clone());
        let filter = Filter { project: Some(self.project.clone()), stack, ..Filter::default() };
        let rows = self.home.trail()?.list(&filter).await.map_err(|error| {
            Failure::environment("the audit trail cannot be read").because(error).next("docs/runbooks/lock-database.md")
        })?;
        let notes = rows.into_iter().filter(|row| row.command == COMMAND).filter_map(|row| row.note);
        let standings = notes.filter_map(|note| note.parse().ok());
        // Oldest first: the last one counts.
        Ok(standings.map(|standing: Standing| (standing.what, standing)).collect())
    }

    /// Adds a row.
    pub(super) async fn note(&self, standing: Standing) -> Result<(), Failure> {
        self.home.note(&self.project, COMMAND, &standing.to_string()).await
    }

    /// Those of these whose rotation has begun and not ended.
    pub(super) async fn unfinished(&self, ours: &[What]) -> Result<Vec<Standing>, Failure> {
        let known = self.standings().await?;
        Ok(ours.iter().filter_map(|what| known.get(what)).filter(|standing| !standing.is_over()).copied().collect())
    }

    /// Notes that these are to be rotated, from where they stand.
    async fn begin(
        &self,
        these: &[What],
        resumed: &[What],
        settings: &Settings,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let known = self.standings().await?;
        for what in these {
            let begun = match known.get(what) {
                Some(standing) if !standing.is_over() => continue,
                // Somebody else has finished it while this one waited for the lock.
                Some(_) if resumed.contains(what) => continue,
                Some(last) => Standing::begin(*what, last.present()),
                None => Standing::begin(*what, configured(settings, *what)),
            };
            self.note(begun).await?;
            progress.say(begun.to_string());
        }
        Ok(())
    }
}

/// What one call is to do: finish what was interrupted, or else rotate what is wanted.
pub(super) struct Plan {
    wanted: Vec<What>,
    /// Those of them that were interrupted.
    resumed: Vec<What>,
    project: String,
    settings: Settings,
    begun: OnceCell<()>,
}

impl Plan {
    /// Looks what there is to do. Gives what was interrupted, too.
    pub(super) async fn new(home: &Home, settings: &Settings, wanted: &[What]) -> Result<(Self, Vec<What>), Failure> {
        let project = settings.project()?;
        let mut unfinished = Vec::new();
        for of in [project.as_str(), bootstrap::PROJECT] {
            unfinished.extend(Journal::new(home, of).unfinished(&What::ALL).await?);
        }
        let resumed: Vec<What> = unfinished.iter().map(|standing| standing.what).collect();
        // Where no more was done than to say so, it is as good as not begun.
        let only_said = unfinished.iter().all(|standing| standing.stage == Stage::Begun);
        let mut all = resumed.clone();
        if only_said {
            all.extend(wanted.iter().filter(|what| !resumed.contains(what)));
        }
        let (settings, begun) = (settings.clone(), OnceCell::new());
        Ok((Self { wanted: all, resumed: resumed.clone(), project, settings, begun }, resumed))
    }

    /// Whether these are part of it.
    pub(super) fn includes(&self, any: &[What]) -> bool {
        self.wanted.iter().any(|what| any.contains(what))
    }

    /// Notes that all of it is begun, at the first call: whoever finds it interrupted finishes all of it. To be called
    /// with the stack's lock, which every rotation takes first.
    pub(super) async fn begin(&self, home: &Home, progress: &Progress) -> Result<(), Failure> {
        let begin = async || {
            let (deep, own): (Vec<What>, Vec<What>) = self.wanted.iter().partition(|what| what.is_the_foundations());
            Journal::new(home, &self.project).begin(&own, &self.resumed, &self.settings, progress).await?;
            let foundation = foundation::settings(&self.settings)?;
            Journal::new(home, bootstrap::PROJECT).begin(&deep, &self.resumed, &foundation, progress).await
        };
        self.begun.get_or_try_init(begin).await.map(|_| ())
    }
}

//! Whether somebody may do something: asked at every door, answered in one place, and remembered.
//!
//! What the permission sets of a caller allow is a product's business (`services::iam`), given here as a function. A
//! denial says who, what, where, and what would have allowed it: in the log and to the control API, never to the
//! caller, who is answered as Scaleway answers. What everybody called is counted, since the least that a principal
//! needs follows from it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    str::FromStr,
    sync::Arc,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Caller, Record, Tables, Within, rfc3339};

/// How many denials are remembered.
const DENIALS_KEPT: usize = 1_000;

/// Of how many projects a principal's calls of one action are counted: whoever asks can name any.
const PROJECTS_KEPT: usize = 64;

tokio::task_local! {
    /// What the request being answered was denied, for whoever counts requests.
    static DENIED: RefCell<Option<Denial>>;
}

/// Answers a request, and tells what it was denied.
pub async fn watched<T>(answering: impl Future<Output = T>) -> (T, Option<Denial>) {
    DENIED
        .scope(RefCell::new(None), async {
            let answer = answering.await;
            (answer, DENIED.with(RefCell::take))
        })
        .await
}

/// What is done with what nothing allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// It is refused.
    #[default]
    Enforce,
    /// It is let through, and told as a denial that would have been.
    Soft,
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Soft { "soft" } else { "enforce" })
    }
}

impl FromStr for Enforcement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "enforce" => Ok(Self::Enforce),
            "soft" => Ok(Self::Soft),
            _ => Err("expected enforce or soft".into()),
        }
    }
}

/// What is done: the method and path of a route, or a protocol and what it calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Action(pub &'static str, pub &'static str);

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

/// The permission sets that allow something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowing([&'static [&'static str]; 3]);

impl Allowing {
    /// These sets.
    pub const fn new(sets: &'static [&'static str]) -> Self {
        Self([sets, &[], &[]])
    }

    /// These ones as well.
    #[must_use]
    pub fn and(mut self, sets: &'static [&'static str]) -> Self {
        if let Some(free) = self.0.iter_mut().find(|part| part.is_empty()) {
            *free = sets;
        }
        self
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.0.into_iter().flatten().copied()
    }

    /// Whether this set is one of them.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|part| part.contains(&name))
    }
}

/// The question of whether somebody may do something.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// What.
    pub action: Action,
    /// What allows it.
    pub allowing: Allowing,
    /// Where.
    pub within: Within<'a>,
    /// With what: kind, key and record; none where it is not there yet, or one of many.
    pub about: Option<(&'a str, &'a str, &'a Record)>,
    /// When.
    pub now: OffsetDateTime,
}

/// Says whether what a caller holds allows it.
pub type Authorize = fn(&Tables, &Asking<'_>) -> bool;

/// What was denied, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Denial {
    /// When, on the cloud's clock.
    pub at: String,
    /// `user` or `application`.
    pub principal: String,
    /// Its identifier.
    pub principal_id: String,
    /// What people call it.
    pub principal_name: String,
    /// What it wanted to do.
    pub action: String,
    /// With what, as far as it is known.
    pub resource: String,
    /// In which project; none: in the organisation.
    pub project_id: Option<String>,
    /// The permission sets any of which would have allowed it there.
    pub allowed_by: Vec<String>,
    /// Whether it was refused, or let through all the same.
    pub enforced: bool,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { principal, principal_id, principal_name, action, .. } = self;
        write!(f, "{principal} {principal_name} ({principal_id}) may not {action}")?;
        if !self.resource.is_empty() {
            write!(f, " on {}", self.resource)?;
        }
        match &self.project_id {
            Some(project) => write!(f, " in project {project}")?,
            None => f.write_str(" in the organisation")?,
        }
        write!(f, ": any of {} allows it there", self.allowed_by.join(", "))?;
        if self.enforced { Ok(()) } else { f.write_str("; it was let through") }
    }
}

/// What a principal called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// `user` or `application`.
    pub principal: String,
    /// Its identifier.
    pub principal_id: String,
    /// What people called it when it came first.
    pub principal_name: String,
    /// What it did, and where.
    pub calls: Vec<ObservedCall>,
}

/// One thing that a principal did in one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedCall {
    /// What.
    pub action: String,
    /// In which project; none: in the organisation.
    pub project_id: Option<String>,
    /// The permission sets that allow it.
    pub allowed_by: Vec<String>,
    /// How often it was allowed.
    pub allowed: u64,
    /// How often nothing allowed it.
    pub denied: u64,
}

struct Seen {
    kind: String,
    name: String,
    actions: HashMap<Action, (Allowing, Vec<Tally>)>,
}

struct Tally {
    project: Option<String>,
    allowed: u64,
    denied: u64,
}

/// Decides, and remembers.
pub struct Guard {
    authorize: Authorize,
    enforcement: Enforcement,
    seen: Mutex<HashMap<String, Seen>>,
    denials: Mutex<VecDeque<Denial>>,
}

impl Guard {
    /// One that decides by this function.
    pub fn new(authorize: Authorize, enforcement: Enforcement) -> Arc<Self> {
        Arc::new(Self { authorize, enforcement, seen: Mutex::default(), denials: Mutex::default() })
    }

    /// What is done with what nothing allows.
    pub fn enforcement(&self) -> Enforcement {
        self.enforcement
    }

    /// Whether what the caller holds allows it. Nothing is remembered: for those who try one thing after another.
    pub fn allows(&self, tables: &Tables, asking: &Asking<'_>) -> bool {
        (self.authorize)(tables, asking)
    }

    /// Whether the caller is let do it.
    pub fn admits(&self, tables: &Tables, asking: &Asking<'_>) -> bool {
        let allowed = self.allows(tables, asking);
        self.lets(tables, asking, allowed)
    }

    /// Remembers what was decided, and gives whether the caller is let do it.
    pub fn lets(&self, tables: &Tables, asking: &Asking<'_>, allowed: bool) -> bool {
        self.count(tables, asking, allowed);
        if allowed {
            return true;
        }
        let enforced = self.enforcement == Enforcement::Enforce;
        let denial = denial(tables, asking, enforced);
        tracing::warn!("{denial}");
        // Outside of a request, such as a login to a database, nobody asks for it.
        let _nobody = DENIED.try_with(|denied| denied.replace(Some(denial.clone())));
        let mut denials = self.denials.lock();
        denials.push_back(denial);
        if denials.len() > DENIALS_KEPT {
            denials.pop_front();
        }
        !enforced
    }

    fn count(&self, tables: &Tables, asking: &Asking<'_>, allowed: bool) {
        let (kind, id) = (&asking.caller.principal.0, &asking.caller.principal.1);
        let mut seen = self.seen.lock();
        if !seen.contains_key(id) {
            let first = Seen { kind: kind.clone(), name: name_of(tables, asking.caller), actions: HashMap::new() };
            seen.insert(id.clone(), first);
        }
        let Some(seen) = seen.get_mut(id) else { return };
        let (_, tallies) = seen.actions.entry(asking.action).or_insert((asking.allowing, Vec::new()));
        let project = asking.within.project();
        let place = tallies.iter().position(|tally| tally.project.as_deref() == project);
        let place = place.unwrap_or_else(|| {
            if tallies.len() < PROJECTS_KEPT {
                tallies.push(Tally { project: project.map(str::to_owned), allowed: 0, denied: 0 });
            }
            tallies.len() - 1
        });
        if let Some(tally) = tallies.get_mut(place) {
            tally.allowed += u64::from(allowed);
            tally.denied += u64::from(!allowed);
        }
    }

    /// What was denied, the oldest first.
    pub fn denials(&self) -> Vec<Denial> {
        self.denials.lock().iter().cloned().collect()
    }

    /// What everybody called, those who are gone included.
    pub fn observed(&self) -> Vec<Observed> {
        let seen = self.seen.lock();
        let by_id: BTreeMap<&String, &Seen> = seen.iter().collect();
        by_id.into_iter().map(|(id, seen)| seen.observed(id)).collect()
    }

    /// Forgets what was called and denied so far.
    pub fn forget(&self) {
        self.seen.lock().clear();
        self.denials.lock().clear();
    }
}

impl Seen {
    fn observed(&self, id: &str) -> Observed {
        let by_action: BTreeMap<&Action, &(Allowing, Vec<Tally>)> = self.actions.iter().collect();
        let calls = by_action.into_iter().flat_map(|(action, (allowing, tallies))| {
            tallies.iter().map(move |tally| ObservedCall {
                action: action.to_string(),
                project_id: tally.project.clone(),
                allowed_by: allowing.names().map(str::to_owned).collect(),
                allowed: tally.allowed,
                denied: tally.denied,
            })
        });
        Observed {
            principal: self.kind.clone(),
            principal_id: id.to_owned(),
            principal_name: self.name.clone(),
            calls: calls.collect(),
        }
    }
}

fn name_of(tables: &Tables, caller: &Caller) -> String {
    let (kind, id) = &caller.principal;
    let record = tables.get(&format!("iam.{kind}"), id);
    let names = record.into_iter().flat_map(|record| ["name", "username"].map(|field| record.text(field)));
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned()
}

fn denial(tables: &Tables, asking: &Asking<'_>, enforced: bool) -> Denial {
    let (principal, principal_id) = asking.caller.principal.clone();
    Denial {
        at: rfc3339(asking.now),
        principal,
        principal_id,
        principal_name: name_of(tables, asking.caller),
        action: asking.action.to_string(),
        resource: asking.about.map(|(kind, key, _)| format!("{kind} {key}")).unwrap_or_default(),
        project_id: asking.within.project().map(str::to_owned),
        allowed_by: asking.allowing.names().map(str::to_owned).collect(),
        enforced,
    }
}

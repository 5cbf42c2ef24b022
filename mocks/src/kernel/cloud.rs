//! The cloud: a store, a catalogue, and the one way from a request to an answer.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    About, Access, Act, Action, Answer, Asking, AuditEntry, AuditLog, Call, Caller, Catalogue, Cause, Guard, Look,
    Operation, Origin, Profile, Record, Refusal, Resource, Route, Shape, Store, Tables, Transaction, Work, described,
    operate, view,
};

/// What a permission is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within<'a> {
    /// The resources of this project.
    Project(&'a str),
    /// What belongs to the organisation as a whole.
    Organization,
}

impl<'a> Within<'a> {
    /// The project, if it is one.
    pub fn project(self) -> Option<&'a str> {
        match self {
            Self::Project(project) => Some(project),
            Self::Organization => None,
        }
    }
}

/// What a request names: its kind, key and record.
type Named<'t> = (&'static str, String, &'t Arc<Record>);

/// The cloud's control plane, without HTTP.
pub struct Cloud {
    store: Arc<Store>,
    catalogue: Catalogue,
    guard: Arc<Guard>,
    audit: AuditLog,
}

/// What a request is about, as it was before it was answered.
pub struct Observation {
    project_id: Option<String>,
    /// Kind, key and record of what the path or the body names.
    named: Option<(&'static str, String, Arc<Record>)>,
}

impl Cloud {
    /// A cloud of these products over this store, where this guard says who may do what.
    pub fn new(store: Arc<Store>, catalogue: Catalogue, guard: Arc<Guard>) -> Self {
        Self { store, catalogue, guard, audit: AuditLog::default() }
    }

    /// Who decides about permissions.
    pub fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// The store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The declared resources.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Who asked for what.
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    fn look<'a>(&'a self, tables: &'a Tables, resource: &'a Resource, call: &'a Call) -> Look<'a> {
        let now = self.store.clock().now();
        let behind = self.store.behind();
        Look { tables, catalogue: &self.catalogue, call, resource, now, audit: &self.audit, behind }
    }

    /// What is to be known of a request for the audit log before it is answered; none where it has no
    /// place there: it changes nothing and reveals no secret.
    pub fn observe(&self, resource: &Resource, route: &Route, call: &Call) -> Option<Observation> {
        (route.operation.access() == Access::Write).then(|| {
            self.store.read(|tables| {
                let named = self.named(tables, resource, call);
                let project_id = self.project(tables, resource, call, named.as_ref());
                let named = named.map(|(kind, key, record)| (kind, key, Arc::clone(record)));
                Observation { project_id, named }
            })
        })
    }

    /// What a request was about, once it has been answered.
    pub fn concerned(
        &self,
        observed: &Observation,
        resource: &Resource,
        call: &Call,
        answer: Option<&Answer>,
    ) -> (Option<String>, Vec<About>) {
        let resource = self.catalogue.stored(resource);
        let fresh = match answer.and_then(Answer::body) {
            Some(body)
                if call.params.iter().all(|(_, it)| body.get("id").and_then(Value::as_str) != Some(it.as_str())) =>
            {
                let own = match resource.shape() {
                    Shape::Collection => body.contains_key("id"),
                    Shape::Named(field) => body.contains_key(field),
                    _ => false,
                };
                own.then_some(body)
            }
            _ => None,
        };
        let id = |body: &Map<String, Value>| {
            let parent = resource.parent().and_then(|parent| self.catalogue.get(parent));
            let own =
                if let (Shape::Named(field), None) = (resource.shape(), resource.parent()) { field } else { "id" };
            let named = [Some(own.to_owned()), parent.map(Resource::reference)];
            let told = named.iter().flatten().find_map(|field| body.get(field).and_then(Value::as_str));
            told.or(call.ids().first().copied()).unwrap_or_default().to_owned()
        };
        let about = match (fresh, &observed.named) {
            (Some(body), named) if named.as_ref().is_none_or(|(kind, ..)| *kind != resource.kind) => {
                Some(About { kind: resource.kind, id: id(body), body: described(body), deleted_at: None })
            }
            (_, Some((kind, key, before))) => {
                let after = self.store.read(|tables| tables.get(kind, key).cloned());
                let gone = after.is_none().then(|| self.store.clock().now());
                let record = after.as_ref().unwrap_or(before);
                Some(About { kind, id: id(&record.body), body: described(&record.body), deleted_at: gone })
            }
            _ => None,
        };
        (observed.project_id.clone(), about.into_iter().collect())
    }

    /// The work that takes long and has to be done before this request is answered, if there is any.
    /// Whoever does it puts what it gives into the call.
    ///
    /// # Errors
    /// Why the request is refused.
    pub fn prepare(&self, resource: &Resource, route: &Route, call: &Call) -> Result<Option<Work>, Refusal> {
        let Some(prepare) = resource.prepared.filter(|_| route.operation.access() == Access::Write) else {
            return Ok(None);
        };
        self.store.read(|tables| {
            // Allowed, it comes again with the change itself.
            if !self.allows(tables, resource, route, call) {
                self.permit(tables, resource, route, call)?;
            }
            prepare(&self.look(tables, resource, call), route)
        })
    }

    /// Answers a request for a route of a resource.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn answer(&self, resource: &Resource, route: &Route, call: &Call) -> Result<Answer, Refusal> {
        let answered = if resource.is_view() {
            self.answer_to(resource, route, &view::seen_through(resource, call))
        } else {
            self.answer_to(resource, route, call)
        };
        answered.map_err(|refusal| resource.in_its_words(refusal))
    }

    fn answer_to(&self, resource: &Resource, route: &Route, call: &Call) -> Result<Answer, Refusal> {
        let catalogue = &self.catalogue;
        let stored = catalogue.stored(resource);
        if route.operation.access() == Access::Read {
            return self.store.read(|tables| match route.operation {
                Operation::List => {
                    let readable = self.readable_projects(tables, resource, route, call)?;
                    operate::list(&self.look(tables, stored, call), |project| readable.contains(&project))
                        .map(Answer::Ok)
                }
                _ => {
                    self.permit(tables, resource, route, call)?;
                    match route.operation {
                        Operation::Look(run) => run(&self.look(tables, resource, call)).map(Answer::Ok),
                        _ => operate::get(&self.look(tables, stored, call)),
                    }
                }
            });
        }
        // What an item was when it was deleted is part of the answer; otherwise the answer shows
        // the item as it is once everything that takes no time has happened.
        let (answer, key) = self.store.write(|tx| {
            self.permit(tx.tables(), resource, route, call)?;
            let carried_over = view::carried_over(&mut Act { tx, catalogue, call, resource }, route)?;
            let call = carried_over.as_ref().unwrap_or(call);
            let mut act = Act { tx, catalogue, call, resource: stored };
            Ok::<_, Refusal>(match route.operation {
                Operation::Create => (None, operate::create(&mut act)?),
                Operation::Update => (None, operate::update(&mut act)?),
                Operation::Replace => (None, operate::replace(&mut act)?),
                Operation::Act(run) => {
                    act.resource = resource;
                    (Some(run(&mut act)?), String::new())
                }
                _ => (Some(operate::delete(&mut act)?), String::new()),
            })
        })?;
        self.settle()?;
        Ok(answer.unwrap_or_else(|| self.shown(stored, &key, call)))
    }

    /// Where nothing takes time, an answer waits for what runs behind the API, and tells of it as it is then.
    pub async fn awaited(&self, resource: &Resource, route: &Route, call: &Call, answer: Answer) -> Answer {
        let Some(behind) = self.store.behind() else { return answer };
        let passes = self.store.clock().profile() != Profile::Instant || route.operation.access() == Access::Read;
        if passes || !behind.concerns(resource.kind) {
            return answer;
        }
        let told = answer.body().and_then(|body| body.get("id")?.as_str());
        let named =
            call.body.iter().filter(|(field, _)| field.ends_with("_id")).filter_map(|(_, value)| value.as_str());
        let keys: Vec<String> = call.ids().into_iter().chain(told).chain(named).map(str::to_owned).collect();
        behind.reached(&keys).await;
        // What was held up goes on now: whoever let it may not have come to it yet.
        if let Err(refusal) = self.settle() {
            tracing::error!(%refusal, "a passage could not be written; it is tried again with the next change");
        }
        let (Some(id), stored) = (told, self.catalogue.stored(resource)) else { return answer };
        let now =
            self.store.read(|tables| Some(self.catalogue.answer(stored.kind, tables.get(stored.kind, id)?, call)));
        let status = |answer: &Answer| answer.body().and_then(|body| body.get("status").cloned());
        // What is shown only once stays shown where nothing has happened.
        match now {
            Some(now) if status(&now) != status(&answer) => now,
            _ => answer,
        }
    }

    /// Changes a record on behalf of what runs behind the API. `change` says what happened, or that nothing did.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn report(
        &self,
        kind: &str,
        key: &str,
        change: impl FnOnce(&mut Record) -> Option<&'static str>,
    ) -> Result<(), Refusal> {
        self.store.write::<(), Refusal>(|tx| {
            let Some(mut record) = tx.get(kind, key).map(|record| Record::clone(record)) else { return Ok(()) };
            if let Some(what) = change(&mut record) {
                let state = self.catalogue.state_of(kind, &record).map(str::to_owned);
                tx.put(kind, key, record);
                tx.event(kind, key, what, state.as_deref());
            }
            Ok(())
        })?;
        self.settle()
    }

    /// Brings every passage whose time has come to its end.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn settle(&self) -> Result<(), Refusal> {
        let call = Call {
            caller: Caller {
                principal: ("system".into(), String::new()),
                organization_id: String::new(),
                default_project_id: String::new(),
                access_key: String::new(),
                origin: Origin::default(),
            },
            params: Vec::new(),
            query: Vec::new(),
            body: serde_json::Map::new(),
            prepared: Value::Null,
            view: None,
        };
        let mut happened = Vec::new();
        self.store.settle(|tx, kind, key, passage| {
            happened.extend(self.scheduled(tx, kind, key));
            operate::arrive(tx, &self.catalogue, kind, key, passage, &call);
        })?;
        for entry in happened {
            self.audit.add(entry);
        }
        Ok(())
    }

    /// What the audit log tells of a passage that was scheduled in a settled resource's life, such as a key's
    /// rotation. The way from one state to another is part of the request that began it.
    fn scheduled(&self, tx: &Transaction<'_>, kind: &str, key: &str) -> Option<AuditEntry> {
        let (tables, record) = (tx.tables(), tx.get(kind, key)?);
        self.catalogue.refuse_in_passage(kind, key, record).ok()?;
        let kind = self.catalogue.get(kind)?.kind;
        let project_id = self.catalogue.project_of(tables, kind, key, record);
        let project = project_id.as_ref().and_then(|project| tables.get("account.project", project));
        let organization = [Some(record), project].into_iter().flatten().find_map(|record| {
            let organization = record.text_or_hidden("organization_id");
            (!organization.is_empty()).then(|| organization.to_owned())
        });
        let id = if record.text("id").is_empty() { key } else { record.text("id") };
        let about = About { kind, id: id.to_owned(), body: described(&record.body), deleted_at: None };
        Some(AuditEntry {
            number: 0,
            at: tx.now(),
            organization_id: organization?,
            project_id,
            locality: ["zone", "region"].iter().map(|place| record.text(place)).collect(),
            kind,
            cause: Cause::Schedule,
            about: vec![about],
        })
    }

    /// The projects of which the caller may list this; refused if there is none. What belongs to the
    /// organisation as a whole is listed whole or not at all.
    fn readable_projects<'t>(
        &self,
        tables: &'t Tables,
        resource: &Resource,
        route: &Route,
        call: &Call,
    ) -> Result<Vec<&'t str>, Refusal> {
        if !self.catalogue.is_in_project(self.catalogue.stored(resource)) {
            return self.permit(tables, resource, route, call).map(|()| Vec::new());
        }
        let about = self.named(tables, resource, call).map(|named| self.catalogue.root_of(tables, named));
        let asking = |project| self.asking(resource, route, call, Within::Project(project), about.as_ref());
        let projects = || tables.all("account.project").map(|(id, _)| id);
        let readable: Vec<&str> = projects().filter(|project| self.guard.allows(tables, &asking(project))).collect();
        // What is told of is the project that was asked for, of many the one that is asked for by saying none.
        let asked = call.query("project_id").unwrap_or(&call.caller.default_project_id);
        let told = readable.iter().copied().find(|project| *project == asked).or(readable.first().copied());
        let told = told.unwrap_or(asked);
        if self.guard.lets(tables, &asking(told), !readable.is_empty()) {
            let own = |id: &&str| {
                let project = tables.get("account.project", id);
                project.is_some_and(|project| project.text("organization_id") == call.caller.organization_id)
            };
            return Ok(if readable.is_empty() { projects().filter(own).collect() } else { readable });
        }
        Err(denied(resource, route.access()))
    }

    fn shown(&self, resource: &Resource, key: &str, call: &Call) -> Answer {
        self.store.read(|tables| match tables.get(resource.kind, key) {
            Some(record) => self.catalogue.answer(resource.kind, record, call),
            None => Answer::Ok(Value::Null),
        })
    }

    /// Whether the caller may do this to what the request names, or would make.
    fn permit(&self, tables: &Tables, resource: &Resource, route: &Route, call: &Call) -> Result<(), Refusal> {
        let decide = |asking: &Asking<'_>| self.guard.admits(tables, asking);
        if self.asked(tables, resource, route, call, decide) { Ok(()) } else { Err(denied(resource, route.access())) }
    }

    /// The same, of which nobody is told.
    fn allows(&self, tables: &Tables, resource: &Resource, route: &Route, call: &Call) -> bool {
        self.asked(tables, resource, route, call, |asking| self.guard.allows(tables, asking))
    }

    fn asked(
        &self,
        tables: &Tables,
        resource: &Resource,
        route: &Route,
        call: &Call,
        decide: impl FnOnce(&Asking<'_>) -> bool,
    ) -> bool {
        let named = self.named(tables, resource, call);
        let project = self.project(tables, resource, call, named.as_ref());
        // What lists by a function say is of the project that the query names.
        let said = call.query("project_id").filter(|_| call.ids().is_empty() && route.access() == Access::Read);
        let project = said.or(project.as_deref()).filter(|_| project.is_some());
        let within = project.map_or(Within::Organization, Within::Project);
        let about = named.map(|named| self.catalogue.root_of(tables, named));
        decide(&self.asking(resource, route, call, within, about.as_ref()))
    }

    fn asking<'a>(
        &self,
        resource: &Resource,
        route: &Route,
        call: &'a Call,
        within: Within<'a>,
        about: Option<&'a Named<'a>>,
    ) -> Asking<'a> {
        Asking {
            caller: &call.caller,
            action: Action(route.method, route.path),
            allowing: self.catalogue.allowed_by(resource, route),
            within,
            about: about.map(|(kind, key, record)| (*kind, key.as_str(), record.as_ref())),
            now: self.store.clock().now(),
        }
    }

    /// The project of what the request names: the item, its parent, the project it asks for, or that
    /// of what it refers to.
    fn project(&self, tables: &Tables, resource: &Resource, call: &Call, named: Option<&Named<'_>>) -> Option<String> {
        let resource = self.catalogue.stored(resource);
        if let Some((kind, key, record)) = named {
            return self.catalogue.project_of(tables, kind, key, record);
        }
        if resource.is_of_project() {
            return Some(call.project().to_owned());
        }
        // What is made under a parent that the body names: `POST /containers {namespace_id}`.
        let mut referred = resource.declared_fields().iter().filter(|_| self.catalogue.is_in_project(resource));
        let referred = referred.find_map(|field| {
            let kind = field.refers.as_ref()?.kind;
            let key = call.text(field.name)?;
            self.catalogue.project_of(tables, kind, key, tables.get(kind, key)?)
        });
        if referred.is_some() || self.catalogue.is_of_organization(resource) {
            return referred;
        }
        // What a project has one of, and what is found by a path, is of the project that the request says.
        let said = call.text("project_id").or_else(|| call.query("project_id"));
        let said = said.unwrap_or(&call.caller.default_project_id);
        tables.get("account.project", said).map(|_| said.to_owned())
    }

    /// What the request names: the item or an ancestor of it.
    fn named<'t>(&self, tables: &'t Tables, resource: &Resource, call: &Call) -> Option<Named<'t>> {
        let resource = self.catalogue.stored(resource);
        let ids = call.ids();
        let kinds = std::iter::successors(Some(resource), |resource| self.catalogue.get(resource.parent()?));
        for kind in kinds {
            for length in (1..=ids.len()).rev() {
                let key = ids[..length].join("/");
                if let Some(record) = tables.get(kind.kind, &key) {
                    return Some((kind.kind, key, record));
                }
            }
        }
        // The parent may be named in the body or in the query: the instance of a backup.
        let referred = resource.parent().and_then(|parent| {
            let parent = self.catalogue.get(parent)?;
            let field = parent.reference();
            let key = call.text(&field).or_else(|| call.query(&field))?;
            Some((parent.kind, key.to_owned(), tables.get(parent.kind, key)?))
        });
        referred.or_else(|| {
            let (kind, key) = resource.found.and_then(|find| find(tables, call))?;
            let record = tables.get(kind, &key)?;
            Some((kind, key, record))
        })
    }
}

fn denied(resource: &Resource, access: Access) -> Refusal {
    let action = if access == Access::Read { "read" } else { "write" };
    Refusal::PermissionsDenied { resource: resource.called.to_owned(), action: action.to_owned() }
}

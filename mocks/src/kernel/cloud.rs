//! The cloud: a store, a catalogue, and the one way from a request to an answer.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Access, Act, Answer, Call, Caller, Catalogue, Look, Operation, Refusal, Resource, Route, Store, Tables, operate,
};

/// What a permission is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within<'a> {
    /// The resources of this project.
    Project(&'a str),
    /// What belongs to the organisation as a whole.
    Organization,
}

/// Says whether a caller holds one of these permission sets there.
pub type Authorize = fn(&Tables, &Caller, &mut dyn Iterator<Item = &'static str>, Within<'_>) -> bool;

/// The cloud's control plane, without HTTP.
pub struct Cloud {
    store: Arc<Store>,
    catalogue: Catalogue,
    authorize: Authorize,
}

impl Cloud {
    /// A cloud of these products over this store.
    pub fn new(store: Arc<Store>, catalogue: Catalogue, authorize: Authorize) -> Self {
        Self { store, catalogue, authorize }
    }

    /// The store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The declared resources.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Answers a request for a route of a resource.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn answer(&self, resource: &Resource, route: &Route, call: &Call) -> Result<Answer, Refusal> {
        let catalogue = &self.catalogue;
        if route.operation.access() == Access::Read {
            return self.store.read(|tables| {
                let look = Look { tables, catalogue, call, resource };
                match route.operation {
                    Operation::List => {
                        let readable = self.readable_projects(tables, resource, call)?;
                        operate::list(&look, |project| readable.contains(&project))
                    }
                    _ => {
                        self.permit(tables, resource, Access::Read, call)?;
                        if let Operation::Look(run) = route.operation { run(&look) } else { operate::get(&look) }
                    }
                }
                .map(Answer::Ok)
            });
        }
        // What an item was when it was deleted is part of the answer; otherwise the answer shows
        // the item as it is once everything that takes no time has happened.
        let (answer, key) = self.store.write(|tx| {
            self.permit(tx.tables(), resource, route.access(), call)?;
            let mut act = Act { tx, catalogue, call, resource };
            Ok::<_, Refusal>(match route.operation {
                Operation::Create => (None, operate::create(&mut act)?),
                Operation::Update => (None, operate::update(&mut act)?),
                Operation::Replace => (None, operate::replace(&mut act)?),
                Operation::Act(run) => (Some(run(&mut act)?), String::new()),
                _ => (Some(operate::delete(&mut act)?), String::new()),
            })
        })?;
        self.settle()?;
        Ok(answer.unwrap_or_else(|| self.shown(resource, &key)))
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
            },
            params: Vec::new(),
            query: Vec::new(),
            body: serde_json::Map::new(),
        };
        Ok(self
            .store
            .settle(|tx, kind, key, passage| operate::arrive(tx, &self.catalogue, kind, key, passage, &call))?)
    }

    /// The projects of which the caller may list this; refused if there is none. What belongs to the
    /// organisation as a whole is listed whole or not at all.
    fn readable_projects<'t>(
        &self,
        tables: &'t Tables,
        resource: &Resource,
        call: &Call,
    ) -> Result<Vec<&'t str>, Refusal> {
        if !self.catalogue.is_in_project(resource) {
            return self.permit(tables, resource, Access::Read, call).map(|()| Vec::new());
        }
        let projects = tables.all("account.project").map(|(id, _)| id);
        let readable: Vec<&str> = projects
            .filter(|project| self.may(tables, resource, Access::Read, call, Within::Project(project)))
            .collect();
        if readable.is_empty() {
            return Err(denied(resource, Access::Read));
        }
        Ok(readable)
    }

    fn shown(&self, resource: &Resource, key: &str) -> Answer {
        self.store.read(|tables| match tables.get(resource.kind, key) {
            Some(record) => Answer::record(record),
            None => Answer::Ok(Value::Null),
        })
    }

    /// Whether the caller may do this to what the request names, or would make.
    fn permit(&self, tables: &Tables, resource: &Resource, access: Access, call: &Call) -> Result<(), Refusal> {
        let asked = if access == Access::Read { call.query("project_id").map(str::to_owned) } else { None };
        let project = self.project(tables, resource, call).map(|project| match asked {
            // What lists by a function say is of the project that the query names.
            Some(asked) if call.ids().is_empty() => asked,
            _ => project,
        });
        let within = project.as_deref().map_or(Within::Organization, Within::Project);
        if self.may(tables, resource, access, call, within) {
            return Ok(());
        }
        Err(denied(resource, access))
    }

    fn may(&self, tables: &Tables, resource: &Resource, access: Access, call: &Call, within: Within<'_>) -> bool {
        (self.authorize)(tables, &call.caller, &mut resource.allowed_by(access), within)
    }

    /// The project of what the request names: the item, its parent, the project it asks for, or that
    /// of what it refers to.
    fn project(&self, tables: &Tables, resource: &Resource, call: &Call) -> Option<String> {
        let ids = call.ids();
        let kinds = std::iter::successors(Some(resource), |resource| self.catalogue.get(resource.parent()?));
        for kind in kinds {
            for length in (1..=ids.len()).rev() {
                let key = ids[..length].join("/");
                if let Some(record) = tables.get(kind.kind, &key) {
                    return self.catalogue.project_of(tables, kind.kind, &key, record);
                }
            }
        }
        // The parent may be named in the body or in the query: the instance of a backup.
        if let Some(parent) = resource.parent().and_then(|parent| self.catalogue.get(parent))
            && let field = format!("{}_id", parent.called)
            && let Some(key) = call.text(&field).or_else(|| call.query(&field))
            && let Some(record) = tables.get(parent.kind, key)
        {
            return self.catalogue.project_of(tables, parent.kind, key, record);
        }
        if resource.is_of_project() {
            return Some(call.project().to_owned());
        }
        // What is made under a parent that the body names: `POST /containers {namespace_id}`.
        resource.declared_fields().iter().filter(|_| self.catalogue.is_in_project(resource)).find_map(|field| {
            let kind = field.refers.as_ref()?.kind;
            let key = call.text(field.name)?;
            self.catalogue.project_of(tables, kind, key, tables.get(kind, key)?)
        })
    }
}

fn denied(resource: &Resource, access: Access) -> Refusal {
    let action = if access == Access::Read { "read" } else { "write" };
    Refusal::PermissionsDenied { resource: resource.called.to_owned(), action: action.to_owned() }
}

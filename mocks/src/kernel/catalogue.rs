//! All declared resources, and what follows from knowing them all.

use std::{collections::HashMap, sync::Arc};

use super::{Allowing, Call, Product, Record, Refusal, Resource, Route, Scope, Tables};

/// All products and their resources.
pub struct Catalogue {
    products: Vec<Product>,
    /// Kind to product and resource.
    kinds: HashMap<&'static str, (usize, usize)>,
    /// Kind to the kinds and fields that hold it.
    held_by: HashMap<&'static str, Vec<(&'static str, &'static str)>>,
    /// Kind to the kinds that belong to it.
    owns: HashMap<&'static str, Vec<&'static str>>,
}

impl Catalogue {
    /// The catalogue of these products.
    ///
    /// # Errors
    /// What is wrong with the declarations: a kind declared twice, a reference or a parent that
    /// is not declared, a route without permission sets.
    pub fn new(products: Vec<Product>) -> Result<Self, String> {
        let mut kinds = HashMap::new();
        for (p, product) in products.iter().enumerate() {
            for (r, resource) in product.resources.iter().enumerate() {
                if kinds.insert(resource.kind, (p, r)).is_some() {
                    return Err(format!("{} is declared twice", resource.kind));
                }
                if let Some(name) = resource.unknown_route() {
                    return Err(format!(
                        "{} has no route {name} to be allowed by other permission sets",
                        resource.kind
                    ));
                }
                if let Some(route) =
                    resource.all_routes().iter().find(|it| resource.allowed_by(it).names().next().is_none())
                {
                    return Err(format!("{} declares no permission sets for {route:?}", resource.kind));
                }
            }
        }
        let mut catalogue = Self { products, kinds, held_by: HashMap::new(), owns: HashMap::new() };
        let (mut held_by, mut owns): (HashMap<_, Vec<_>>, HashMap<_, Vec<_>>) = Default::default();
        for resource in catalogue.resources() {
            for field in &resource.fields {
                if let Some(reference) = &field.refers {
                    if catalogue.get(reference.kind).is_none() {
                        return Err(format!("{} refers to {}, which is not declared", resource.kind, reference.kind));
                    }
                    if reference.holds {
                        held_by.entry(reference.kind).or_default().push((resource.kind, field.name));
                    }
                }
            }
            if let Some(fault) = resource.view_fault(&catalogue) {
                return Err(fault);
            }
            if let Some(parent) = resource.parent {
                if catalogue.get(parent).is_none() {
                    return Err(format!("{} is under {parent}, which is not declared", resource.kind));
                }
                owns.entry(parent).or_default().push(resource.kind);
            }
        }
        (catalogue.held_by, catalogue.owns) = (held_by, owns);
        Ok(catalogue)
    }

    /// The products.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// All resources.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.products.iter().flat_map(|product| &product.resources)
    }

    /// The resource of this kind.
    pub fn get(&self, kind: &str) -> Option<&Resource> {
        self.kinds.get(kind).map(|&(p, r)| &self.products[p].resources[r])
    }

    /// The kinds and fields that forbid deleting what they name.
    pub(super) fn held_by(&self, kind: &str) -> &[(&'static str, &'static str)] {
        self.held_by.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The kinds that go with a resource of this kind.
    pub(super) fn owns(&self, kind: &str) -> &[&'static str] {
        self.owns.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The record of this kind and key, if it is in the request's region and the caller's organisation.
    ///
    /// # Errors
    /// Not found, in the words of the resource.
    pub fn find<'t>(&self, tables: &'t Tables, kind: &str, key: &str, call: &Call) -> Result<&'t Arc<Record>, Refusal> {
        let resource = self.view_in(kind, call).map(|(view, _)| view).or_else(|| self.get(kind));
        let missing = || match resource {
            Some(resource) if resource.denied_when_absent => {
                Refusal::PermissionsDenied { resource: String::new(), action: String::new() }
            }
            _ => {
                let called = resource.map_or(kind, |resource| resource.called);
                Refusal::not_found(called, key.rsplit('/').next().unwrap_or(key))
            }
        };
        let record = tables.get(kind, key).ok_or_else(missing)?;
        if self.is_visible(tables, kind, key, record, call) { Ok(record) } else { Err(missing()) }
    }

    /// Whether a record is in the request's region and zone and the caller's organisation.
    pub(super) fn is_visible(&self, tables: &Tables, kind: &str, key: &str, record: &Record, call: &Call) -> bool {
        let (owner, at) = self.owner(tables, kind, key, record);
        let same = |field: &str, value: Option<&str>| match (at.body.get(field).and_then(|it| it.as_str()), value) {
            (Some(there), Some(asked)) => there == asked,
            _ => true,
        };
        self.is_in_view(kind, record, call)
            && owner.is_none_or(|owner| owner == call.caller.organization_id)
            && same("region", call.param("region"))
            && same("zone", call.param("zone"))
    }

    /// The organisation a record belongs to, and the record that says so: its own or an ancestor's.
    fn owner<'t>(
        &self,
        tables: &'t Tables,
        kind: &str,
        key: &str,
        record: &'t Record,
    ) -> (Option<&'t str>, &'t Record) {
        if let Some(organization) = record.body.get("organization_id").or(record.hidden.get("organization_id")) {
            return (organization.as_str(), record);
        }
        let parent = self.get(kind).and_then(|resource| resource.parent);
        let parent_key = self.parent_key(kind, key, record);
        match parent.zip(parent_key.as_deref()).and_then(|(kind, key)| Some((kind, key, tables.get(kind, key)?))) {
            Some((parent, parent_key, parent_record)) => self.owner(tables, parent, parent_key, parent_record),
            None => (None, record),
        }
    }

    /// The project a record belongs to: its own or an ancestor's.
    pub fn project_of(&self, tables: &Tables, kind: &str, key: &str, record: &Record) -> Option<String> {
        if let Some(project) = record.body.get("project_id").or(record.hidden.get("project_id")) {
            return project.as_str().map(str::to_owned);
        }
        let parent = self.get(kind)?.parent?;
        let parent_key = self.parent_key(kind, key, record)?;
        self.project_of(tables, parent, &parent_key, tables.get(parent, &parent_key)?)
    }

    /// Whether resources of this type belong to projects, by themselves or through their parents.
    pub(super) fn is_in_project(&self, resource: &Resource) -> bool {
        match resource.scope {
            Scope::Project => true,
            Scope::Organization => false,
            Scope::Parent => {
                resource.parent.and_then(|parent| self.get(parent)).is_some_and(|parent| self.is_in_project(parent))
            }
        }
    }

    /// Whether resources of this type are the organisation's, by themselves or through their parents. What is neither a
    /// project's nor the organisation's is about the project that a request names.
    pub(super) fn is_of_organization(&self, resource: &Resource) -> bool {
        match resource.scope {
            Scope::Project => false,
            Scope::Organization => true,
            Scope::Parent => {
                let parent = resource.parent.and_then(|parent| self.get(parent));
                parent.is_some_and(|parent| self.is_of_organization(parent))
            }
        }
    }

    /// The permission sets that allow a route. Those for all products hold what the products' own hold.
    pub fn allowed_by(&self, resource: &Resource, route: &Route) -> Allowing {
        let allowing = resource.allowed_by(route);
        if self.is_of_organization(resource) {
            return allowing;
        }
        let reads = allowing.names().any(|name| name.ends_with("ReadOnly"));
        allowing.and(if reads { &["AllProductsReadOnly", "AllProductsFullAccess"] } else { &["AllProductsFullAccess"] })
    }

    /// What a record belongs to in the end: kind, key and record of its furthest ancestor.
    pub(super) fn root_of<'t>(
        &self,
        tables: &'t Tables,
        (kind, key, record): (&'static str, String, &'t Arc<Record>),
    ) -> (&'static str, String, &'t Arc<Record>) {
        let parent = self.get(kind).and_then(|resource| resource.parent);
        let parent_key = self.parent_key(kind, &key, record);
        match parent.zip(parent_key).and_then(|(kind, key)| tables.get(kind, &key).map(|record| (kind, key, record))) {
            Some(parent) => self.root_of(tables, parent),
            None => (kind, key, record),
        }
    }

    /// The key of the resource that this one belongs to.
    fn parent_key(&self, kind: &str, key: &str, record: &Record) -> Option<String> {
        let resource = self.get(kind)?;
        let parent = self.get(resource.parent?)?;
        if resource.scope == Scope::Parent && resource.identified {
            return Some(record.text_or_hidden(&parent.reference()).to_owned());
        }
        Some(key.rsplit_once('/').map_or(key, |(parent, _)| parent).to_owned())
    }

    /// The state of a record whose kind has states.
    pub fn state_of<'r>(&self, kind: &str, record: &'r Record) -> Option<&'r str> {
        let states = self.get(kind)?.states.as_ref()?;
        record.body.get(states.field)?.as_str()
    }

    fn is_settled(&self, kind: &str, state: &str) -> bool {
        self.get(kind).and_then(|resource| resource.states.as_ref()).is_some_and(|states| states.is_settled(state))
    }

    /// Refuses what needs a settled resource while it is on its way between two states. What a
    /// settled one has scheduled for later, such as its end, is no such way.
    ///
    /// # Errors
    /// In a transient state.
    pub fn refuse_in_passage(&self, kind: &str, key: &str, record: &Record) -> Result<(), Refusal> {
        match (self.state_of(kind, record), &record.next) {
            (Some(state), Some(_)) if !self.is_settled(kind, state) => Err(Refusal::TransientState {
                resource: self.get(kind).map_or(kind, |resource| resource.called).to_owned(),
                id: key.to_owned(),
                state: state.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

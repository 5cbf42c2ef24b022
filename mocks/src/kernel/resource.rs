//! Resource types as plain declared values.
//!
//! One declaration gives routes, validation, defaults, pages, filters,
//! references, states, permissions, quota, events, documentation and tests.
//! Behaviour that does not fit is a named function beside the table
//! ([`Resource::act`], [`Resource::look`], [`Resource::made`]), never a new word.

use std::{fmt, time::Duration};

use serde_json::Value;

use super::{Act, Allowing, Answer, Call, Field, Look, Making, Record, Refusal, Tables, View};

/// A product: a folder of `services/`.
pub struct Product {
    /// The name in paths and tables, such as `rdb`.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Its resource types.
    pub resources: Vec<Resource>,
}

/// A function beside a table that is called while a resource is made or changed.
pub type OnMaking = fn(&mut Making<'_, '_>) -> Result<(), Refusal>;

/// A function beside a table that is called before a resource is deleted; gets its key.
pub type OnDelete = fn(&mut Act<'_, '_>, &str) -> Result<(), Refusal>;

/// A function beside a table that finds what a request is about, where neither path nor reference names it: its kind and
/// key.
pub type OnFinding = fn(&Tables, &Call) -> Option<(&'static str, String)>;

/// Work that takes long, such as making an RSA key. It is done while nobody waits for the store.
pub type Work = Box<dyn FnOnce() -> Result<Value, Refusal> + Send>;

/// A function beside a table that says what work comes before a route's change.
pub type OnPreparing = fn(&Look<'_>, &Route) -> Result<Option<Work>, Refusal>;

/// The four shapes of Scaleway's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Many, each with an identifier of its own: `…/vpcs/{vpc_id}`.
    Collection,
    /// Many under a parent, told apart by a field of theirs: `…/databases/{name}`.
    Named(&'static str),
    /// One per parent: `…/settings`.
    Singleton,
    /// A list that is replaced whole, one per parent: `PUT …/acls {rules: […]}`.
    WholeList(&'static str),
}

/// Whose a resource is, and which of the fields `organization_id`, `project_id`, `region` and
/// `zone` its answers carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A project's.
    Project,
    /// The organisation's.
    Organization,
    /// Its parent's.
    Parent,
}

/// The states a resource passes through.
#[derive(Clone)]
pub struct States {
    pub(super) field: &'static str,
    pub(super) creating: (&'static str, Duration, &'static str),
    pub(super) deleting: Option<(&'static str, Duration)>,
    pub(super) transient: Vec<&'static str>,
}

/// States told in the field `status`: after creation through `through` for `lasts` to `settled`.
pub fn states(through: &'static str, lasts: Duration, settled: &'static str) -> States {
    let transient = if through == settled { vec![] } else { vec![through] };
    States { field: "status", creating: (through, lasts, settled), deleting: None, transient }
}

impl States {
    /// The state is told in another field.
    #[must_use]
    pub fn told_in(mut self, field: &'static str) -> Self {
        self.field = field;
        self
    }

    /// Deletion passes through this state for this long.
    #[must_use]
    pub fn deleting(mut self, through: &'static str, lasts: Duration) -> Self {
        self.deleting = Some((through, lasts));
        self.transient.push(through);
        self
    }

    /// Further states that it only passes through.
    #[must_use]
    pub fn passing(mut self, states: &[&'static str]) -> Self {
        self.transient.extend(states);
        self
    }

    /// Whether a resource in this state is on its way to another one.
    pub(super) fn is_settled(&self, state: &str) -> bool {
        state == self.creating.2
    }
}

/// Read or write: which of a resource's permission sets a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Changes nothing.
    Read,
    /// Changes something.
    Write,
}

/// What a route does.
#[derive(Clone, Copy)]
pub enum Operation {
    /// POST on the collection.
    Create,
    /// GET on the item.
    Get,
    /// GET on the collection.
    List,
    /// PATCH on the item.
    Update,
    /// DELETE on the item.
    Delete,
    /// PUT on a whole list or a singleton.
    Replace,
    /// A function that changes something.
    Act(fn(&mut Act<'_, '_>) -> Result<Answer, Refusal>),
    /// A function that only looks.
    Look(fn(&Look<'_>) -> Result<Value, Refusal>),
}

impl Operation {
    /// Whether it changes something.
    pub fn access(self) -> Access {
        match self {
            Self::Get | Self::List | Self::Look(_) => Access::Read,
            _ => Access::Write,
        }
    }
}

/// A route of a resource.
#[derive(Clone, Copy)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The path, parameters in braces.
    pub path: &'static str,
    /// What it does.
    pub operation: Operation,
    /// The permission sets that allow it, where they are not those of the resource's reading or writing.
    pub(super) sets: Option<&'static [&'static str]>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Route {
    /// Which of the resource's permission sets it needs. A GET needs the right to read, even where
    /// reading changes something: a secret that expires once it is accessed.
    pub fn access(&self) -> Access {
        if self.method == "GET" { Access::Read } else { self.operation.access() }
    }

    /// Whether it makes one, as POST on a collection does.
    pub fn is_create(&self) -> bool {
        matches!(self.operation, Operation::Create)
    }
}

/// A resource type.
pub struct Resource {
    /// The product and the name, such as `rdb.instance`; unique.
    pub kind: &'static str,
    /// The name in error bodies, such as `instance`.
    pub called: &'static str,
    pub(super) item: &'static str,
    pub(super) collection: &'static str,
    pub(super) shape: Shape,
    pub(super) scope: Scope,
    pub(super) parent: Option<&'static str>,
    pub(super) fields: Vec<Field>,
    pub(super) states: Option<States>,
    pub(super) listed: &'static str,
    pub(super) filters: &'static [&'static str],
    pub(super) order: &'static [&'static str],
    /// Permission sets that allow reading, then writing.
    pub(super) permissions: (&'static [&'static str], &'static [&'static str]),
    /// Routes that other sets allow: their names, and the sets.
    pub(super) allowing: Vec<(&'static [&'static str], &'static [&'static str])>,
    pub(super) quota: Option<u64>,
    pub(super) unique: Option<&'static str>,
    pub(super) routes: Vec<Route>,
    pub(super) without: &'static [&'static str],
    pub(super) prepared: Option<OnPreparing>,
    pub(super) found: Option<OnFinding>,
    pub(super) made: Option<OnMaking>,
    pub(super) updated: Option<OnMaking>,
    pub(super) settled: Option<OnMaking>,
    pub(super) deleted: Option<OnDelete>,
    pub(super) listed_if: Option<fn(&Record, &Call) -> bool>,
    pub(super) identified: bool,
    pub(super) denied_when_absent: bool,
    pub(super) timed: bool,
    pub(super) view: Option<View>,
}

impl Resource {
    /// A resource type, `kind` being the product and the name: `vpc.private_network`.
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            called: kind.split_once('.').map_or(kind, |(_, name)| name),
            item: "",
            collection: "",
            shape: Shape::Collection,
            scope: Scope::Project,
            parent: None,
            fields: Vec::new(),
            states: None,
            listed: "",
            filters: &[],
            order: &["created_at"],
            permissions: (&[], &[]),
            allowing: Vec::new(),
            quota: None,
            unique: None,
            routes: Vec::new(),
            without: &[],
            prepared: None,
            found: None,
            made: None,
            updated: None,
            settled: None,
            deleted: None,
            listed_if: None,
            identified: true,
            denied_when_absent: false,
            timed: true,
            view: None,
        }
    }

    /// The path of one of them: `…/vpcs/{vpc_id}`. For singletons and whole lists, the path itself.
    #[must_use]
    pub fn at(mut self, path: &'static str) -> Self {
        self.item = path;
        self.collection = path.rsplit_once('/').map_or(path, |(collection, _)| collection);
        self.listed = self.collection.rsplit('/').next().unwrap_or_default();
        self
    }

    /// The name in error bodies, where it is not the kind's.
    #[must_use]
    pub fn called(mut self, name: &'static str) -> Self {
        self.called = name;
        self
    }

    /// The field by which others name one: `instance_id`.
    pub(super) fn reference(&self) -> String {
        format!("{}_id", self.called.to_lowercase())
    }

    /// The key of the list in answers, where it is not the path's last word.
    #[must_use]
    pub fn listed_as(mut self, key: &'static str) -> Self {
        self.listed = key;
        self
    }

    /// Told apart by this field, under the parent.
    #[must_use]
    pub fn named_by(mut self, field: &'static str) -> Self {
        self.shape = Shape::Named(field);
        self.scope = Scope::Parent;
        (self.identified, self.timed) = (false, false);
        self.order = &["name"];
        self
    }

    /// One per parent.
    #[must_use]
    pub fn singleton(mut self) -> Self {
        self.shape = Shape::Singleton;
        self.scope = Scope::Parent;
        (self.identified, self.timed) = (false, false);
        self
    }

    /// A list under this key that is replaced whole, one per parent.
    #[must_use]
    pub fn whole_list(mut self, key: &'static str) -> Self {
        self.shape = Shape::WholeList(key);
        self.scope = Scope::Parent;
        self.listed = key;
        (self.identified, self.timed) = (false, false);
        self
    }

    /// Belongs to a resource of this kind, the one named by the path's last parameter before its
    /// own: goes with it, and is only there while it is.
    #[must_use]
    pub fn under(mut self, parent: &'static str) -> Self {
        self.parent = Some(parent);
        self
    }

    /// The organisation's, not a project's.
    #[must_use]
    pub fn of_organization(mut self) -> Self {
        self.scope = Scope::Organization;
        self
    }

    /// Carries no fields of its owner: whose it is follows from its parent.
    #[must_use]
    pub fn of_parent(mut self) -> Self {
        self.scope = Scope::Parent;
        self
    }

    /// Its fields.
    #[must_use]
    pub fn fields(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.fields = fields.into_iter().collect();
        self
    }

    /// Its states.
    #[must_use]
    pub fn states(mut self, states: States) -> Self {
        self.states = Some(states);
        self
    }

    /// The query parameters that filter its list: `tags` asks for all of the tags given, `name`
    /// for a part of the name, others for the same value.
    #[must_use]
    pub fn filters(mut self, filters: &'static [&'static str]) -> Self {
        self.filters = filters;
        self
    }

    /// The fields its list can be ordered by; the first one is the default, from the greatest down
    /// where it ends in `_desc`.
    #[must_use]
    pub fn order(mut self, fields: &'static [&'static str]) -> Self {
        self.order = fields;
        self
    }

    /// The permission sets that allow reading it, and those that allow writing (and reading) it.
    #[must_use]
    pub fn permissions(mut self, read: &'static [&'static str], write: &'static [&'static str]) -> Self {
        self.permissions = (read, write);
        self
    }

    /// The permission sets that allow these routes, in the place of those that allow reading or writing: usual routes
    /// by their names as in [`Resource::without`], others by the last word of their paths.
    #[must_use]
    pub fn allowing(mut self, routes: &'static [&'static str], sets: &'static [&'static str]) -> Self {
        self.allowing.push((routes, sets));
        self
    }

    /// How many a project may have.
    #[must_use]
    pub fn quota(mut self, most: u64) -> Self {
        self.quota = Some(most);
        self
    }

    /// No two of a project (or organisation) may have the same value of this field.
    #[must_use]
    pub fn unique(mut self, field: &'static str) -> Self {
        self.unique = Some(field);
        self
    }

    /// Some of the usual routes do not exist: methods of the item, or `LIST`, or `POST`.
    #[must_use]
    pub fn without(mut self, routes: &'static [&'static str]) -> Self {
        self.without = routes;
        self
    }

    /// Another route, or one in the place of a usual one, that changes something.
    #[must_use]
    pub fn act(
        mut self,
        method: &'static str,
        path: &'static str,
        run: fn(&mut Act<'_, '_>) -> Result<Answer, Refusal>,
    ) -> Self {
        self.routes.push(Route { method, path, operation: Operation::Act(run), sets: None });
        self
    }

    /// Another route, or one in the place of a usual one, that only looks.
    #[must_use]
    pub fn look(mut self, path: &'static str, run: fn(&Look<'_>) -> Result<Value, Refusal>) -> Self {
        self.routes.push(Route { method: "GET", path, operation: Operation::Look(run), sets: None });
        self
    }

    /// Answers say when it was made and last updated, though it has no identifier of its own.
    #[must_use]
    pub fn timed(mut self) -> Self {
        self.timed = true;
        self
    }

    /// Answers do not say when it was made, though it has an identifier of its own.
    #[must_use]
    pub fn untimed(mut self) -> Self {
        self.timed = false;
        self
    }

    /// One that is not there is refused as one that may not be seen: with `permissions_denied`.
    #[must_use]
    pub fn denied_when_absent(mut self) -> Self {
        self.denied_when_absent = true;
        self
    }

    /// Lists show only those for which this holds.
    #[must_use]
    pub fn listed_if(mut self, shown: fn(&Record, &Call) -> bool) -> Self {
        self.listed_if = Some(shown);
        self
    }

    /// What a request is about that says it otherwise than by path or reference.
    #[must_use]
    pub fn found_by(mut self, find: OnFinding) -> Self {
        self.found = Some(find);
        self
    }

    /// Work that takes long and comes before a change; what it gives is in the call as `prepared`.
    #[must_use]
    pub fn prepared(mut self, run: OnPreparing) -> Self {
        self.prepared = Some(run);
        self
    }

    /// What else happens when one is made, before it is written.
    #[must_use]
    pub fn made(mut self, run: OnMaking) -> Self {
        self.made = Some(run);
        self
    }

    /// What else happens when one is updated, before it is written.
    #[must_use]
    pub fn updated(mut self, run: OnMaking) -> Self {
        self.updated = Some(run);
        self
    }

    /// What else happens when one reaches its settled state.
    #[must_use]
    pub fn settled(mut self, run: OnMaking) -> Self {
        self.settled = Some(run);
        self
    }

    /// What else happens, or forbids it, when one is to be deleted; gets its key.
    #[must_use]
    pub fn deleted(mut self, run: OnDelete) -> Self {
        self.deleted = Some(run);
        self
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its fields, in the order they were declared.
    pub fn declared_fields(&self) -> &[Field] {
        &self.fields
    }

    /// The kind it belongs to.
    pub fn parent(&self) -> Option<&'static str> {
        self.parent
    }

    /// Whether it belongs to a project, by itself or through what it is under.
    pub(super) fn is_of_project(&self) -> bool {
        self.scope == Scope::Project
    }

    /// The permission sets that allow a route, without those that hold for all products.
    pub(super) fn allowed_by(&self, route: &Route) -> Allowing {
        let (read, write) = self.permissions;
        match (route.sets, route.access()) {
            (Some(sets), _) => Allowing::new(sets),
            (None, Access::Read) => Allowing::new(read).and(write),
            (None, Access::Write) => Allowing::new(write),
        }
    }

    /// A name of [`Resource::allowing`] that no route has.
    pub(super) fn unknown_route(&self) -> Option<&'static str> {
        let routes = self.all_routes();
        let known = |name: &str| routes.iter().any(|route| self.usual_name(route) == name || last_word(route) == name);
        self.allowing.iter().flat_map(|(names, _)| *names).copied().find(|name| !known(name))
    }

    /// All routes: the usual ones of its shape, those of its own in their place.
    pub fn all_routes(&self) -> Vec<Route> {
        let usual = self.usual_routes();
        let own =
            |usual: &Route| self.routes.iter().any(|route| route.method == usual.method && route.path == usual.path);
        let mut routes: Vec<Route> = usual
            .into_iter()
            .filter(|(name, route)| !self.without.contains(name) && !own(route))
            .map(|(_, route)| route)
            .collect();
        routes.extend(&self.routes);
        for route in &mut routes {
            let (usual, last) = (self.usual_name(route), last_word(route));
            let named = self.allowing.iter().find(|(names, _)| names.contains(&usual) || names.contains(&last));
            route.sets = named.map(|(_, sets)| *sets);
        }
        routes
    }

    /// The routes that follow from its shape, by their names.
    fn usual_routes(&self) -> Vec<(&'static str, Route)> {
        let route = |method, path, operation| Route { method, path, operation, sets: None };
        let (item, collection) = (self.item, self.collection);
        match self.shape {
            Shape::Collection | Shape::Named(_) => vec![
                ("POST", route("POST", collection, Operation::Create)),
                ("LIST", route("GET", collection, Operation::List)),
                ("GET", route("GET", item, Operation::Get)),
                ("PATCH", route("PATCH", item, Operation::Update)),
                ("DELETE", route("DELETE", item, Operation::Delete)),
            ],
            Shape::Singleton => vec![
                ("GET", route("GET", item, Operation::Get)),
                ("PATCH", route("PATCH", item, Operation::Update)),
                ("PUT", route("PUT", item, Operation::Replace)),
            ],
            Shape::WholeList(_) => {
                vec![("GET", route("GET", item, Operation::List)), ("PUT", route("PUT", item, Operation::Replace))]
            }
        }
    }

    /// The name of the usual route that is at the same place; empty where there is none.
    fn usual_name(&self, route: &Route) -> &'static str {
        let same = |usual: &Route| (usual.method, usual.path) == (route.method, route.path);
        self.usual_routes().into_iter().find(|(_, usual)| same(usual)).map_or("", |(name, _)| name)
    }
}

/// The last word of a route's path; empty where it ends in a parameter.
fn last_word(route: &Route) -> &'static str {
    route.path.rsplit('/').next().filter(|word| !word.starts_with('{')).unwrap_or_default()
}

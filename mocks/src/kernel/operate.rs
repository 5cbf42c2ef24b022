//! What the usual routes do, once for all resources.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Act, Answer, ArgumentFault, Call, Catalogue, Look, Making, Passage, Reason, Record, Refusal, Resource, Scope,
    Shape, Transaction,
    field::{Field, Origin, read_fields},
    resource::States,
    rfc3339,
};

/// The key of the item that the path names, or for singletons and whole lists that of the parent.
pub(super) fn key(resource: &Resource, catalogue: &Catalogue, call: &Call) -> Result<String, Refusal> {
    let ids = call.ids();
    let under = match resource.shape {
        Shape::Collection => return Ok(ids.last().copied().unwrap_or_default().to_owned()),
        Shape::Named(_) => return Ok(ids.join("/")),
        Shape::Singleton | Shape::WholeList(_) => ids.last().copied(),
    };
    // The policy of `PUT /rules {policy_id, …}` and `GET /rules?policy_id=` is not in the path.
    let parent = resource.parent.and_then(|parent| catalogue.get(parent));
    let field = parent.map(Resource::reference).unwrap_or_default();
    under
        .or_else(|| call.text(&field))
        .or_else(|| call.query(&field))
        .map(str::to_owned)
        .ok_or_else(|| Refusal::argument(&field, Reason::Required, format!("{field} is required")))
}

/// POST on a collection. Returns the key.
pub(super) fn create(act: &mut Act<'_, '_>) -> Result<String, Refusal> {
    let (resource, catalogue, call) = (act.resource, act.catalogue, act.call);
    let mut faults = Vec::new();
    let input = read_fields(&resource.fields, &call.body, "", true, &mut faults);
    if !faults.is_empty() {
        return Err(Refusal::InvalidArguments(faults));
    }
    let parent_key = call.ids().join("/");
    if let (Some(parent), false) = (resource.parent, parent_key.is_empty()) {
        act.find(parent, &parent_key)?;
    }
    check_references(act, &input)?;
    let mut record = Record::default();
    let mut key = String::new();
    if resource.identified {
        key = act.tx.ids().uuid();
        record.body.insert("id".into(), key.clone().into());
    }
    if let Shape::Named(field) = resource.shape {
        let name = input.get(field).map(plain).unwrap_or_default();
        if !name.is_empty() {
            key = format!("{parent_key}/{name}");
        }
    }
    own(act, &mut record)?;
    check_quota(act, &record)?;
    check_unique(act, &record, &input)?;
    for field in resource.fields.iter().filter(|field| field.is_input()) {
        set_input(&mut record, field, input.get(field.name).cloned().unwrap_or(Value::Null));
    }
    let now = rfc3339(act.tx.now());
    if resource.timed {
        record.body.insert("created_at".into(), now.clone().into());
        record.body.insert("updated_at".into(), now.into());
    }
    if let Some(states) = &resource.states {
        enter(act.tx, &mut record, states);
    }
    let mut making = Making { tx: act.tx, catalogue, call, key: &key, record: &mut record, input: &input };
    for field in &resource.fields {
        if let Origin::Computed(compute) = field.origin {
            let value = compute(&mut making)?;
            making.set(field.name, value);
        }
    }
    if let Some(made) = resource.made {
        made(&mut making)?;
    }
    if let Some(made) = catalogue.view_in(resource.kind, call).and_then(|(view, _)| view.made) {
        made(&mut making)?;
    }
    if let Shape::Named(field) = resource.shape {
        // The name may have been computed: a version's number, an access key.
        let name = record.body.get(field).map(plain).unwrap_or_default();
        key = if parent_key.is_empty() { name } else { format!("{parent_key}/{name}") };
    }
    if act.tx.get(resource.kind, &key).is_some() {
        let field = if let Shape::Named(field) = resource.shape { field } else { "id" };
        return Err(Refusal::argument(field, Reason::Constraint, "already exists"));
    }
    let state = catalogue.state_of(resource.kind, &record).map(str::to_owned);
    act.tx.put(resource.kind, &key, record);
    act.tx.event(resource.kind, &key, "created", state.as_deref());
    Ok(key)
}

/// GET on an item. A singleton that was never written shows its defaults.
pub(super) fn get(look: &Look<'_>) -> Result<Answer, Refusal> {
    let key = key(look.resource, look.catalogue, look.call)?;
    if look.resource.shape == Shape::Singleton {
        if let Some(parent) = look.resource.parent {
            look.find(parent, &key)?;
        }
        if look.tables.get(look.resource.kind, &key).is_none() {
            return Ok(Answer::Ok(Value::Object(defaults(look.resource))));
        }
    }
    let kind = look.resource.kind;
    Ok(look.catalogue.answer(kind, look.find(kind, &key)?, look.call))
}

/// GET on a collection or a whole list. `allowed` tells whether the caller may see a record of this project.
pub(super) fn list(look: &Look<'_>, allowed: impl Fn(&str) -> bool) -> Result<Value, Refusal> {
    let (resource, call) = (look.resource, look.call);
    let shown = look.catalogue.view_in(resource.kind, call).map_or(resource, |(view, _)| view);
    let page = super::page::Page::of(call)?;
    if let Shape::WholeList(field) = resource.shape {
        let key = key(resource, look.catalogue, call)?;
        if let Some(parent) = resource.parent {
            look.find(parent, &key)?;
        }
        let items = look.tables.get(resource.kind, &key).and_then(|record| record.body.get(field)?.as_array().cloned());
        return Ok(page.answer(resource.listed, items.unwrap_or_default()));
    }
    let parent_key = call.ids().join("/");
    if let (Some(parent), false) = (resource.parent, parent_key.is_empty()) {
        look.find(parent, &parent_key)?;
    }
    let of_parent = resource.parent.and_then(|parent| look.catalogue.get(parent)).filter(|_| !parent_key.is_empty());
    let (prefix, belongs) = match (resource.shape, of_parent) {
        (Shape::Named(_), Some(_)) => (format!("{parent_key}/"), None),
        (Shape::Collection, Some(parent)) => (String::new(), Some(parent.reference())),
        _ => (String::new(), None),
    };
    // What belongs to a parent does not tell its project, but can be asked for by it.
    let asked = |project: &str| call.query("project_id").is_none_or(|asked| asked == project);
    let mut items: Vec<&Record> = look
        .tables
        .under(resource.kind, &prefix, None)
        .filter(|(key, record)| {
            look.catalogue.is_visible(look.tables, resource.kind, key, record, call)
                && belongs.as_ref().is_none_or(|field| record.text_or_hidden(field) == parent_key)
                && resource.listed_if.is_none_or(|shown| shown(record, call))
                && super::page::matches(shown, record, call)
                && look
                    .catalogue
                    .project_of(look.tables, resource.kind, key, record)
                    .is_none_or(|project| allowed(&project) && asked(&project))
        })
        .map(|(_, record)| record.as_ref())
        .collect();
    super::page::sort(resource, &mut items, call)?;
    Ok(page.answer_records(shown.listed, &items, |record| look.catalogue.told(resource.kind, record, call)))
}

/// PATCH on an item. Returns its key.
pub(super) fn update(act: &mut Act<'_, '_>) -> Result<String, Refusal> {
    let (resource, catalogue, call) = (act.resource, act.catalogue, act.call);
    let key = key(resource, catalogue, call)?;
    if resource.shape == Shape::Singleton && act.tx.get(resource.kind, &key).is_none() {
        if let Some(parent) = resource.parent {
            act.find(parent, &key)?;
        }
        act.tx.put(resource.kind, &key, Record { body: defaults(resource), ..Record::default() });
    }
    let mut record = Record::clone(&*act.find_settled(resource.kind, &key)?);
    let mut faults = Vec::new();
    let input = read_fields(&resource.fields, &call.body, "", false, &mut faults);
    for field in resource.fields.iter().filter(|field| field.fixed) {
        let now = record.body.get(field.name).or(record.hidden.get(field.name));
        if input.get(field.name).is_some_and(|new| Some(new) != now) {
            faults.push(ArgumentFault::new(
                field.name,
                Reason::Constraint,
                format!("{} cannot be changed", field.name),
            ));
        }
    }
    if !faults.is_empty() {
        return Err(Refusal::InvalidArguments(faults));
    }
    check_references(act, &input)?;
    for field in resource.fields.iter().filter(|field| field.is_input()) {
        if let Some(value) = input.get(field.name) {
            set_input(&mut record, field, value.clone());
        }
    }
    let view = catalogue.view_in(resource.kind, call).and_then(|(view, _)| view.updated);
    for updated in [resource.updated, view].into_iter().flatten() {
        updated(&mut Making { tx: act.tx, catalogue, call, key: &key, record: &mut record, input: &input })?;
    }
    act.change(resource.kind, &key, record, "updated");
    Ok(key)
}

/// PUT on a whole list or a singleton. Returns the key.
pub(super) fn replace(act: &mut Act<'_, '_>) -> Result<String, Refusal> {
    let (resource, catalogue, call) = (act.resource, act.catalogue, act.call);
    let key = key(resource, catalogue, call)?;
    if let Some(parent) = resource.parent {
        act.find_settled(parent, &key)?;
    }
    let mut faults = Vec::new();
    let mut record = act.tx.get(resource.kind, &key).map(|record| Record::clone(record)).unwrap_or_default();
    let input = match resource.shape {
        Shape::WholeList(field) => {
            let list = super::field::optional(field).objects(resource.fields.iter().cloned());
            read_fields(&[list], &call.body, "", true, &mut faults)
        }
        _ => read_fields(&resource.fields, &call.body, "", true, &mut faults),
    };
    if !faults.is_empty() {
        return Err(Refusal::InvalidArguments(faults));
    }
    record.body.extend(input.clone());
    if let Some(made) = resource.made {
        made(&mut Making { tx: act.tx, catalogue, call, key: &key, record: &mut record, input: &input })?;
    }
    act.change(resource.kind, &key, record, "updated");
    Ok(key)
}

/// DELETE on an item: refused while something holds it.
pub(super) fn delete(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (resource, catalogue) = (act.resource, act.catalogue);
    let key = key(resource, catalogue, act.call)?;
    let mut record = Record::clone(&*act.find_settled(resource.kind, &key)?);
    for (holder, field) in catalogue.held_by(resource.kind) {
        let held = act.tx.tables().all(holder).find(|(_, record)| record.text(field) == key);
        if let Some((id, _)) = held {
            let holder = catalogue.get(holder).map_or(*holder, |holder| holder.called);
            return Err(Refusal::Precondition {
                precondition: "resource_still_in_use",
                help: format!("{} is still in use by {holder} {id}", resource.called),
            });
        }
    }
    if let Some(deleted) = resource.deleted {
        deleted(act, &key)?;
    }
    let Some((through, lasts)) = resource.states.as_ref().and_then(|states| states.deleting) else {
        erase(act.tx, catalogue, resource.kind, &key);
        return Ok(Answer::NoContent);
    };
    let field = resource.states.as_ref().map_or("status", |states| states.field);
    record.body.insert(field.into(), through.into());
    record.next = Some(Passage { to: None, due: act.tx.now() + act.tx.lasts(lasts) });
    let answer = act.told(resource.kind, &record);
    act.change(resource.kind, &key, record, "state");
    Ok(answer)
}

/// Removes a record and everything that belongs to it.
pub(super) fn erase(tx: &mut Transaction<'_>, catalogue: &Catalogue, kind: &str, key: &str) {
    for owned in catalogue.owns(kind) {
        let Some(resource) = catalogue.get(owned) else {
            continue;
        };
        let keys: Vec<String> = match resource.shape {
            Shape::Singleton | Shape::WholeList(_) => vec![key.to_owned()],
            Shape::Named(_) => {
                tx.tables().under(owned, &format!("{key}/"), None).map(|(key, _)| key.to_owned()).collect()
            }
            Shape::Collection => {
                let field = catalogue.get(kind).map(Resource::reference).unwrap_or_default();
                tx.tables()
                    .all(owned)
                    .filter(|(_, record)| record.text_or_hidden(&field) == key)
                    .map(|(key, _)| key.to_owned())
                    .collect()
            }
        };
        for owned_key in keys {
            erase(tx, catalogue, owned, &owned_key);
        }
    }
    if tx.get(kind, key).is_some() {
        tx.remove(kind, key);
        tx.event(kind, key, "deleted", None);
    }
}

/// A passage has come to its end.
pub(super) fn arrive(
    tx: &mut Transaction<'_>,
    catalogue: &Catalogue,
    kind: &str,
    key: &str,
    passage: Passage,
    call: &Call,
) {
    let Some(state) = passage.to else {
        erase(tx, catalogue, kind, key);
        return;
    };
    let (Some(resource), Some(mut record)) =
        (catalogue.get(kind), tx.get(kind, key).map(|record| Record::clone(record)))
    else {
        return;
    };
    record.next = None;
    let Some(states) = &resource.states else {
        return;
    };
    record.body.insert(states.field.into(), state.clone().into());
    if let Some(settled) = resource.settled.filter(|_| states.is_settled(&state)) {
        let input = Map::new();
        let mut making = Making { tx, catalogue, call, key, record: &mut record, input: &input };
        if let Err(refusal) = settled(&mut making) {
            tracing::error!(kind, key, %refusal, "a resource could not settle");
            record.body.insert(states.field.into(), "error".into());
        }
    }
    // It may have settled in another state than it was meant for.
    let state = record.text(states.field).to_owned();
    tx.put(kind, key, record);
    tx.event(kind, key, "state", Some(&state));
}

/// Enters the first state, with the passage to the settled one scheduled.
fn enter(tx: &mut Transaction<'_>, record: &mut Record, states: &States) {
    let (through, lasts, settled) = states.creating;
    record.body.insert(states.field.into(), through.into());
    if through != settled {
        record.next = Some(Passage { to: Some(settled.to_owned()), due: tx.now() + tx.lasts(lasts) });
    }
}

/// Whose it is: `organization_id`, `project_id`, `region`, `zone`.
fn own(act: &mut Act<'_, '_>, record: &mut Record) -> Result<(), Refusal> {
    let call = act.call;
    let caller = &call.caller;
    let called = act.resource.called;
    let denied = || Refusal::PermissionsDenied { resource: called.to_owned(), action: "write".into() };
    match act.resource.scope {
        Scope::Parent => return Ok(()),
        Scope::Organization => {
            if call.text("organization_id").is_some_and(|asked| asked != caller.organization_id) {
                return Err(denied());
            }
        }
        Scope::Project => {
            let project = call.project();
            let known = act.tx.get("account.project", project);
            if known.is_none_or(|project| project.text("organization_id") != caller.organization_id) {
                return Err(denied());
            }
            record.body.insert("project_id".into(), project.into());
        }
    }
    record.body.insert("organization_id".into(), caller.organization_id.clone().into());
    for place in ["region", "zone"] {
        if let Some(value) = call.param(place) {
            record.body.insert(place.into(), value.into());
        }
    }
    Ok(())
}

fn check_references(act: &Act<'_, '_>, input: &Map<String, Value>) -> Result<(), Refusal> {
    for field in &act.resource.fields {
        let Some(reference) = &field.refers else {
            continue;
        };
        if let Some(id) = input.get(field.name).and_then(Value::as_str).filter(|id| !id.is_empty()) {
            act.find(reference.kind, id)?;
        }
    }
    Ok(())
}

fn check_quota(act: &Act<'_, '_>, record: &Record) -> Result<(), Refusal> {
    let Some(quota) = act.resource.quota else {
        return Ok(());
    };
    let current = act.tx.tables().count(act.resource.kind, record.text("project_id"));
    if current < quota {
        return Ok(());
    }
    Err(Refusal::QuotaExceeded { resource: act.resource.kind.replace('.', "_"), quota, current })
}

fn check_unique(act: &Act<'_, '_>, record: &Record, input: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(field) = act.resource.unique else {
        return Ok(());
    };
    let value = input.get(field).map(plain).unwrap_or_default();
    let mine = |other: &Record| {
        ["project_id", "organization_id", "region"].iter().all(|owner| other.text(owner) == record.text(owner))
    };
    if act.tx.tables().all(act.resource.kind).any(|(_, other)| other.text(field) == value && mine(other)) {
        return Err(Refusal::argument(field, Reason::Constraint, format!("{value} already exists")));
    }
    Ok(())
}

/// Puts a value where it belongs: into the answer, or out of sight.
fn set_input(record: &mut Record, field: &Field, value: Value) {
    let cleared = field.refers.is_some() && value.as_str() == Some("");
    let value = if cleared { Value::Null } else { value };
    let place = if field.input_only { &mut record.hidden } else { &mut record.body };
    place.insert(field.name.to_owned(), value);
}

fn defaults(resource: &Resource) -> Map<String, Value> {
    let shown = |field: &&Field| field.is_input() && !field.input_only;
    let defaults: BTreeMap<_, _> =
        resource.fields.iter().filter(shown).map(|field| (field.name.to_owned(), field.default.clone())).collect();
    defaults.into_iter().collect()
}

/// A value as part of a key.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => json!(other).to_string(),
    }
}

//! One kind of record in two shapes: what another version of an API makes of it.
//!
//! A view is a resource type with paths, fields and rules of its own, but without
//! records. A request for it is checked in its own words and then carried out as
//! one for the kind that it shows; the answer is told in its own words again.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Act, Answer, ArgumentFault, Call, Catalogue, Operation, Record, Refusal, Resource, Route, Shape,
    field::{Field, Origin, is_absent, read_fields},
};

/// A function that says in the words of the kind shown what goes beyond single fields; it gets what was said in
/// those of the view.
pub type OnSaying = fn(&mut Act<'_, '_>, &Map<String, Value>, &mut Map<String, Value>) -> Result<(), Refusal>;

/// A function that tells a field of an answer; none leaves the field out.
pub type Tell = fn(&Record) -> Option<Value>;

/// What makes a resource type a view.
#[derive(Clone, Copy)]
pub struct View {
    /// The kind it shows.
    pub(super) of: &'static str,
    shows: fn(&Record) -> bool,
    says: Option<OnSaying>,
    states: &'static [(&'static str, &'static str)],
}

/// Through which view a request was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Viewed {
    /// The view's kind.
    pub kind: &'static str,
    /// What the request said, checked, without what it left out.
    pub said: Map<String, Value>,
}

/// Where the field of a view is in a record, unless it is there under its own name.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    name: Option<&'static str>,
    times: u64,
    told: Option<Tell>,
}

/// A field of a view's answers that follows from the record.
pub fn told(name: &'static str, tell: Tell) -> Field {
    let field = Field::new(name, Origin::Told);
    field.told(tell)
}

impl Field {
    /// Of a view: it is kept under this name.
    #[must_use]
    pub fn kept_as(self, name: &'static str) -> Self {
        self.kept_in(name, 1)
    }

    /// Of a view: it is kept under this name, in a unit this many times smaller.
    #[must_use]
    pub fn kept_in(mut self, name: &'static str, times: u64) -> Self {
        let told = self.kept.and_then(|kept| kept.told);
        self.kept = Some(Kept { name: Some(name), times: times.max(1), told });
        self
    }

    /// Of a view: it is told by this function. Unless it also says how it is kept, the view has to say it.
    #[must_use]
    pub fn told(mut self, tell: Tell) -> Self {
        let kept = self.kept.unwrap_or(Kept { name: None, times: 1, told: None });
        self.kept = Some(Kept { told: Some(tell), ..kept });
        self
    }

    /// The name it is kept under; none where a function has to say it.
    fn kept_name(&self) -> Option<&'static str> {
        match &self.kept {
            None => Some(self.name),
            Some(kept) => kept.name,
        }
    }

    fn tell(&self, record: &Record) -> Option<Value> {
        if let Some(tell) = self.kept.and_then(|kept| kept.told) {
            return tell(record);
        }
        let value = record.body.get(self.kept_name()?).cloned().unwrap_or_default();
        let times = self.kept.map_or(1, |kept| kept.times);
        Some(value.as_u64().filter(|_| times > 1).map_or(value, |number| (number / times).into()))
    }

    fn say(&self, value: &Value, body: &mut Map<String, Value>) {
        let times = self.kept.map_or(1, |kept| kept.times);
        if let Some(name) = self.kept_name() {
            let scaled = value.as_u64().filter(|_| times > 1).map(|number| number.saturating_mul(times).into());
            body.insert(name.to_owned(), scaled.unwrap_or_else(|| value.clone()));
        }
    }
}

impl Resource {
    /// It has no records: it shows those of this kind, under another path and in other words.
    #[must_use]
    pub fn view_of(mut self, kind: &'static str) -> Self {
        self.view = Some(View { of: kind, shows: |_| true, says: None, states: &[] });
        self
    }

    /// Of a view: it shows only those for which this holds.
    #[must_use]
    pub fn showing(mut self, shows: fn(&Record) -> bool) -> Self {
        self.view = self.view.map(|view| View { shows, ..view });
        self
    }

    /// Of a view: what else is to be said to the kind it shows.
    #[must_use]
    pub fn saying(mut self, says: OnSaying) -> Self {
        self.view = self.view.map(|view| View { says: Some(says), ..view });
        self
    }

    /// Of a view: states that it calls otherwise than the kind it shows.
    #[must_use]
    pub fn calling(mut self, states: &'static [(&'static str, &'static str)]) -> Self {
        self.view = self.view.map(|view| View { states, ..view });
        self
    }

    /// Whether it has no records of its own.
    pub fn is_view(&self) -> bool {
        self.view.is_some()
    }

    /// What is wrong with its declaration as a view.
    pub(super) fn view_fault(&self, catalogue: &Catalogue) -> Option<String> {
        let shown = catalogue.get(self.view?.of);
        let simple = |resource: &Self| resource.shape == Shape::Collection && resource.prepared.is_none();
        let fits = shown.is_some_and(|shown| !shown.is_view() && simple(shown) && simple(self));
        (!fits).then(|| format!("{} cannot be a view", self.kind))
    }

    /// A refusal of the kind it shows, in the words of the view.
    pub(super) fn in_its_words(&self, refusal: Refusal) -> Refusal {
        let Some(view) = self.view else {
            return refusal;
        };
        match refusal {
            Refusal::InvalidArguments(faults) => {
                Refusal::InvalidArguments(faults.into_iter().map(|fault| self.renamed(fault)).collect())
            }
            Refusal::TransientState { resource, id, state } => {
                Refusal::TransientState { resource, id, state: view.calls(&state).to_owned() }
            }
            other => other,
        }
    }

    fn renamed(&self, fault: ArgumentFault) -> ArgumentFault {
        let (kept, rest) =
            fault.argument.split_once('.').map_or((fault.argument.as_str(), None), |(a, b)| (a, Some(b)));
        let own = self.fields.iter().find(|field| field.name == kept);
        let field = own.or_else(|| self.fields.iter().find(|field| field.kept_name() == Some(kept)));
        let name = field.map_or(kept, |field| field.name);
        let argument = rest.map_or_else(|| name.to_owned(), |rest| format!("{name}.{rest}"));
        ArgumentFault { argument, ..fault }
    }
}

impl View {
    fn calls<'s>(&self, state: &'s str) -> &'s str {
        self.states.iter().find(|(kept, _)| *kept == state).map_or(state, |(_, called)| called)
    }
}

impl Catalogue {
    /// The resource type that has the records: itself, unless it is a view.
    pub fn stored<'a>(&'a self, resource: &'a Resource) -> &'a Resource {
        resource.view.and_then(|view| self.get(view.of)).unwrap_or(resource)
    }

    /// The view of this kind that a request was made through.
    pub(super) fn view_in(&self, kind: &str, call: &Call) -> Option<(&Resource, View)> {
        let resource = self.get(call.view.as_ref()?.kind)?;
        let view = resource.view.filter(|view| view.of == kind)?;
        Some((resource, view))
    }

    /// Whether a request can see this record at all: a view may not show every one.
    pub(super) fn is_in_view(&self, kind: &str, record: &Record, call: &Call) -> bool {
        self.view_in(kind, call).is_none_or(|(_, view)| (view.shows)(record))
    }

    /// The answer that tells of a record.
    pub(super) fn answer(&self, kind: &str, record: &Arc<Record>, call: &Call) -> Answer {
        match self.view_in(kind, call) {
            Some(_) => Answer::Ok(self.told(kind, record, call)),
            None => Answer::Kept(Arc::clone(record)),
        }
    }

    /// A record in the shape that the request asks for.
    pub fn told(&self, kind: &str, record: &Record, call: &Call) -> Value {
        let Some((resource, view)) = self.view_in(kind, call) else {
            return Value::Object(record.body.clone());
        };
        let times: &[&str] = if resource.timed { &["created_at", "updated_at"] } else { &[] };
        let owner = ["id", "organization_id", "project_id", "region", "zone"];
        let mut body: Map<String, Value> = owner
            .iter()
            .chain(times)
            .filter_map(|name| Some(((*name).to_owned(), record.body.get(*name)?.clone())))
            .collect();
        if let Some(states) = self.get(kind).and_then(|stored| stored.states.as_ref()) {
            body.insert(states.field.to_owned(), view.calls(record.text(states.field)).into());
        }
        for field in resource.fields.iter().filter(|field| !field.input_only) {
            if let Some(value) = field.tell(record) {
                body.insert(field.name.to_owned(), value);
            }
        }
        Value::Object(body)
    }

    /// Whether a client that reads this state has to ask again.
    pub fn is_transient(&self, resource: &Resource, body: &Map<String, Value>) -> bool {
        let Some(states) = &self.stored(resource).states else {
            return false;
        };
        let calls = |state| resource.view.map_or(state, |view| view.calls(state));
        let state = body.get(states.field).and_then(Value::as_str);
        state.is_some_and(|state| states.transient.iter().any(|transient| calls(transient) == state))
    }
}

/// The request as the kind shown is asked, checked in the words of the view it was made through.
///
/// # Errors
/// What is wrong with its fields, or why it cannot be said.
pub(super) fn carried_over(act: &mut Act<'_, '_>, route: &Route) -> Result<Option<Call>, Refusal> {
    let (resource, call) = (act.resource, act.call);
    let Some(view) = resource.view else {
        return Ok(None);
    };
    let mut viewed = seen_through(resource, call);
    if !matches!(route.operation, Operation::Create | Operation::Update) {
        return Ok(Some(viewed));
    }
    let mut faults = Vec::new();
    let mut said = read_fields(&resource.fields, &call.body, "", route.is_create(), &mut faults);
    if !faults.is_empty() {
        return Err(Refusal::InvalidArguments(faults));
    }
    // What is left out is for the kind shown to decide.
    said.retain(|name, _| call.body.get(name).is_some_and(|value| !is_absent(value)));
    let owner = ["organization_id", "project_id"].into_iter();
    let mut body: Map<String, Value> =
        owner.filter_map(|name| Some((name.to_owned(), call.body.get(name)?.clone()))).collect();
    for field in &resource.fields {
        if let Some(value) = said.get(field.name) {
            field.say(value, &mut body);
        }
    }
    let seen = Call { view: viewed.view.clone(), ..call.clone() };
    if let Some(says) = view.says {
        says(&mut Act { tx: act.tx, catalogue: act.catalogue, call: &seen, resource }, &said, &mut body)?;
    }
    viewed.body = body;
    viewed.view = Some(Viewed { kind: resource.kind, said });
    Ok(Some(viewed))
}

/// The request, marked with the view it was made through.
pub(super) fn seen_through(resource: &Resource, call: &Call) -> Call {
    let view = resource.is_view().then(|| Viewed { kind: resource.kind, said: Map::new() });
    Call { view, ..call.clone() }
}

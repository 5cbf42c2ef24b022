//! One request, without HTTP: who asks, for what, and what functions beside the
//! tables get to see of it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{AuditLog, Behind, Catalogue, Passage, Record, Refusal, Resource, Tables, Transaction, Viewed, rfc3339};

/// Where a request came from, as conditions of IAM rules know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The address.
    pub ip: IpAddr,
    /// What program it says it is.
    pub user_agent: String,
}

impl Default for Origin {
    /// The listeners are on this machine; only a server that says otherwise knows other callers.
    fn default() -> Self {
        Self { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), user_agent: String::new() }
    }
}

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `user` or `application`, and its identifier.
    pub principal: (String, String),
    /// The organisation it belongs to.
    pub organization_id: String,
    /// The project its requests are about when they name none.
    pub default_project_id: String,
    /// The access key it used.
    pub access_key: String,
    /// Where its request came from.
    pub origin: Origin,
}

/// A request as the kernel sees it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who asks.
    pub caller: Caller,
    /// The values of the path's parameters, in the path's order.
    pub params: Vec<(String, String)>,
    /// The query, in its order.
    pub query: Vec<(String, String)>,
    /// The JSON object of the body; empty when there is none.
    pub body: Map<String, Value>,
    /// What long work gave that was done before the change began; null when there was none.
    pub prepared: Value,
    /// The view it was made through; none when it is for a resource type that has records.
    pub view: Option<Viewed>,
}

impl Call {
    /// A parameter of the path.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(param, _)| param == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query; the SDKs' `unknown_*` and empty values count as absent.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.queries(name).next()
    }

    /// All values of a parameter of the query.
    pub fn queries<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = name.to_owned();
        self.query
            .iter()
            .filter(move |(param, value)| *param == name && !value.is_empty() && !value.starts_with("unknown_"))
            .map(|(_, value)| value.as_str())
    }

    /// Whether a parameter of the query that may be given several times, such as `user_ids`,
    /// names this value. A query that does not say it asks for all.
    pub fn asks_for(&self, name: &str, value: &str) -> bool {
        let mut asked = self.queries(name).peekable();
        asked.peek().is_none() || asked.any(|asked| asked == value)
    }

    /// A text of the body; absent, `null` and empty all give none.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The path's parameters that name something, not a region or zone.
    pub fn ids(&self) -> Vec<&str> {
        self.params
            .iter()
            .filter(|(name, _)| name != "region" && name != "zone")
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The project the request is about.
    pub fn project(&self) -> &str {
        self.text("project_id").unwrap_or(&self.caller.default_project_id)
    }
}

/// What a request is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// 200 with this JSON.
    Ok(Value),
    /// 200 with the body of this record.
    Kept(Arc<Record>),
    /// 204 without a body.
    NoContent,
}

impl Answer {
    /// The JSON object that is answered, if it is one.
    pub fn body(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Ok(body) => body.as_object(),
            Self::Kept(record) => Some(&record.body),
            Self::NoContent => None,
        }
    }

    /// 200 with a record's body.
    pub fn record(record: &Record) -> Self {
        Self::Ok(Value::Object(record.body.clone()))
    }
}

/// What a function that only looks gets.
pub struct Look<'a> {
    /// All records.
    pub tables: &'a Tables,
    /// The declared resources.
    pub catalogue: &'a Catalogue,
    /// The request.
    pub call: &'a Call,
    /// The resource whose route it is.
    pub resource: &'a Resource,
    /// What time it is.
    pub now: OffsetDateTime,
    /// Who asked for what so far.
    pub audit: &'a AuditLog,
    /// What runs behind the API, if anything does.
    pub behind: Option<Arc<dyn Behind>>,
}

impl<'a> Look<'a> {
    /// The record of this kind and key, if the caller may know of it.
    ///
    /// # Errors
    /// Not found.
    pub fn find(&self, kind: &str, key: &str) -> Result<&'a Arc<Record>, Refusal> {
        self.catalogue.find(self.tables, kind, key, self.call)
    }

    /// The page that the request asks for of a list that is not one of records: under `key`, with
    /// `total_count`. The items come in the order they are in, or in the other one when
    /// `order_by` ends in `_desc`.
    ///
    /// # Errors
    /// `page` or `page_size` is no number in its range.
    pub fn page(&self, key: &str, mut items: Vec<Value>) -> Result<Value, Refusal> {
        if self.call.query("order_by").is_some_and(|order| order.ends_with("_desc")) {
            items.reverse();
        }
        Ok(super::page::Page::of(self.call)?.answer(key, items))
    }
}

/// What a function that changes something gets.
pub struct Act<'a, 't> {
    /// The transaction.
    pub tx: &'a mut Transaction<'t>,
    /// The declared resources.
    pub catalogue: &'a Catalogue,
    /// The request.
    pub call: &'a Call,
    /// The resource whose route it is.
    pub resource: &'a Resource,
}

impl Act<'_, '_> {
    /// The record of this kind and key, if the caller may know of it.
    ///
    /// # Errors
    /// Not found.
    pub fn find(&self, kind: &str, key: &str) -> Result<Arc<Record>, Refusal> {
        self.catalogue.find(self.tx.tables(), kind, key, self.call).cloned()
    }

    /// The record, if it is in no passage between two states.
    ///
    /// # Errors
    /// Not found; in a transient state.
    pub fn find_settled(&self, kind: &str, key: &str) -> Result<Arc<Record>, Refusal> {
        let record = self.find(kind, key)?;
        self.catalogue.refuse_in_passage(kind, key, &record)?;
        Ok(record)
    }

    /// 200 with a record, in the shape that the request asks for.
    pub fn told(&self, kind: &str, record: &Record) -> Answer {
        Answer::Ok(self.catalogue.told(kind, record, self.call))
    }

    /// Writes a changed record and leaves an event of that name.
    pub fn change(&mut self, kind: &str, key: &str, mut record: Record, what: &str) -> Record {
        if record.body.contains_key("updated_at") {
            record.body.insert("updated_at".into(), rfc3339(self.tx.now()).into());
        }
        let state = self.catalogue.state_of(kind, &record).map(str::to_owned);
        self.tx.put(kind, key, record.clone());
        self.tx.event(kind, key, what, state.as_deref());
        record
    }

    /// Sends a record through a state for as long as that takes, back to its settled one.
    pub fn pass_through(&mut self, kind: &str, record: &mut Record, through: &str, lasts: Duration) {
        let Some(states) = self.catalogue.get(kind).and_then(|resource| resource.states.as_ref()) else {
            return;
        };
        record.body.insert(states.field.into(), through.into());
        record.next =
            Some(Passage { to: Some(states.creating.2.to_owned()), due: self.tx.now() + self.tx.lasts(lasts) });
    }

    /// Makes a resource of this kind as if it had been asked for with this body: for resources
    /// that come along with others. Returns its key.
    ///
    /// # Errors
    /// What creating it refuses with.
    pub fn create(&mut self, kind: &str, call: &Call) -> Result<String, Refusal> {
        let catalogue = self.catalogue;
        let resource =
            catalogue.get(kind).ok_or_else(|| Refusal::Internal(format!("no resource {kind} is declared")))?;
        super::operate::create(&mut Act { tx: self.tx, catalogue, call, resource })
    }

    /// Deletes a resource at once, with all that belongs to it.
    pub fn erase(&mut self, kind: &str, key: &str) {
        super::operate::erase(self.tx, self.catalogue, kind, key);
    }
}

/// A resource in the making (or changing), before it is written.
pub struct Making<'a, 't> {
    /// The transaction.
    pub tx: &'a mut Transaction<'t>,
    /// The declared resources.
    pub catalogue: &'a Catalogue,
    /// The request.
    pub call: &'a Call,
    /// Its key in the store.
    pub key: &'a str,
    /// The record as it is so far.
    pub record: &'a mut Record,
    /// What the request said, checked, with defaults: also what is never answered.
    pub input: &'a Map<String, Value>,
}

impl Making<'_, '_> {
    /// A field of the answer so far, or of the request.
    pub fn text(&self, field: &str) -> &str {
        self.record
            .body
            .get(field)
            .or_else(|| self.input.get(field))
            .or_else(|| self.record.hidden.get(field))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Sets a field of the answer.
    pub fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.record.body.insert(field.to_owned(), value.into());
    }

    /// The same as an [`Act`], to find, make and erase other resources.
    pub fn act<R>(
        &mut self,
        kind: &str,
        run: impl FnOnce(&mut Act<'_, '_>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let catalogue = self.catalogue;
        let resource =
            catalogue.get(kind).ok_or_else(|| Refusal::Internal(format!("no resource {kind} is declared")))?;
        run(&mut Act { tx: self.tx, catalogue, call: self.call, resource })
    }
}

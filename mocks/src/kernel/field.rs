//! Fields: what a request may say of a resource, and what the answer says.

use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{ArgumentFault, Making, Reason, Refusal, is_uuid, view::Kept};

/// A function that computes a field of a resource in the making.
pub type Compute = fn(&mut Making<'_, '_>) -> Result<Value, Refusal>;

/// A rule beyond a field's form; it returns what would be right.
pub type Rule = fn(&Value) -> Result<(), String>;

/// A field of a resource.
#[derive(Clone)]
pub struct Field {
    pub(super) name: &'static str,
    pub(super) origin: Origin,
    pub(super) form: Form,
    pub(super) default: Value,
    pub(super) fixed: bool,
    pub(super) input_only: bool,
    pub(super) refers: Option<Reference>,
    pub(super) check: Option<Rule>,
    /// Of a view: where it is in the records of the kind shown.
    pub(super) kept: Option<Kept>,
}

/// Where a field's value comes from.
#[derive(Clone)]
pub(super) enum Origin {
    /// The request must say it.
    Required,
    /// The request may say it; else the default holds.
    Optional,
    /// The cloud computes it when the resource is made.
    Computed(Compute),
    /// Of a view: it follows from the record each time it is told.
    Told,
}

/// A field that names another resource.
#[derive(Clone)]
pub(super) struct Reference {
    /// The kind of the resource named.
    pub(super) kind: &'static str,
    /// Whether the resource named cannot be deleted while this one is there.
    pub(super) holds: bool,
}

/// The form a value must have.
#[derive(Clone)]
pub(super) enum Form {
    Text(RangeInclusive<usize>),
    Flag,
    Integer(RangeInclusive<i64>),
    Strings,
    OneOf(fn() -> Vec<&'static str>),
    Uuid,
    Cidr,
    Time,
    TextMap,
    AnyObject,
    Object(Vec<Field>),
    Objects(Vec<Field>),
}

/// A field the request must have.
pub fn required(name: &'static str) -> Field {
    Field::new(name, Origin::Required)
}

/// A field the request may have.
pub fn optional(name: &'static str) -> Field {
    Field::new(name, Origin::Optional)
}

/// A field of the answer that the cloud computes when the resource is made.
pub fn computed(name: &'static str, compute: Compute) -> Field {
    Field::new(name, Origin::Computed(compute))
}

impl Field {
    pub(super) fn new(name: &'static str, origin: Origin) -> Self {
        Self {
            name,
            origin,
            form: Form::Text(0..=65_536),
            default: Value::Null,
            fixed: false,
            input_only: false,
            refers: None,
            check: None,
            kept: None,
        }
    }

    /// A text of this many characters.
    #[must_use]
    pub fn text(mut self, length: RangeInclusive<usize>) -> Self {
        self.form = Form::Text(length);
        if matches!(self.origin, Origin::Optional) && self.default.is_null() {
            self.default = json!("");
        }
        self
    }

    /// True or false; false by default.
    #[must_use]
    pub fn flag(mut self) -> Self {
        self.form = Form::Flag;
        self.default = json!(false);
        self
    }

    /// A whole number in this range.
    #[must_use]
    pub fn integer(mut self, range: RangeInclusive<i64>) -> Self {
        self.form = Form::Integer(range);
        self.default = json!(0);
        self
    }

    /// A number of bytes.
    #[must_use]
    pub fn bytes(self) -> Self {
        self.integer(0..=i64::MAX)
    }

    /// A list of texts; empty by default.
    #[must_use]
    pub fn strings(mut self) -> Self {
        self.form = Form::Strings;
        self.default = json!([]);
        self
    }

    /// A map of texts; empty by default.
    #[must_use]
    pub fn text_map(mut self) -> Self {
        self.form = Form::TextMap;
        self.default = json!({});
        self
    }

    /// An object of which nothing is known: whatever JSON its user says; empty by default.
    #[must_use]
    pub fn any_object(mut self) -> Self {
        self.form = Form::AnyObject;
        self.default = json!({});
        self
    }

    /// One of these words.
    #[must_use]
    pub fn one_of(mut self, words: fn() -> Vec<&'static str>) -> Self {
        self.form = Form::OneOf(words);
        self
    }

    /// A UUID.
    #[must_use]
    pub fn uuid(mut self) -> Self {
        self.form = Form::Uuid;
        self
    }

    /// An IP network such as `10.0.0.0/24`; host bits are kept.
    #[must_use]
    pub fn cidr(mut self) -> Self {
        self.form = Form::Cidr;
        self
    }

    /// A time in RFC 3339.
    #[must_use]
    pub fn time(mut self) -> Self {
        self.form = Form::Time;
        self
    }

    /// An object of these fields.
    #[must_use]
    pub fn object(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.form = Form::Object(fields.into_iter().collect());
        self
    }

    /// A list of objects of these fields; empty by default.
    #[must_use]
    pub fn objects(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.form = Form::Objects(fields.into_iter().collect());
        self.default = json!([]);
        self
    }

    /// The value when the request has none.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = value.into();
        self
    }

    /// May not be changed once the resource is made.
    #[must_use]
    pub fn fixed(mut self) -> Self {
        self.fixed = true;
        self
    }

    /// Taken, but never answered.
    #[must_use]
    pub fn input_only(mut self) -> Self {
        self.input_only = true;
        self
    }

    /// Names a resource of this kind, which must exist.
    #[must_use]
    pub fn refers_to(mut self, kind: &'static str) -> Self {
        self.form = Form::Uuid;
        self.refers = Some(Reference { kind, holds: false });
        self
    }

    /// Names a resource of this kind, which must exist and cannot be deleted while it is named.
    #[must_use]
    pub fn holds(mut self, kind: &'static str) -> Self {
        self.form = Form::Uuid;
        self.refers = Some(Reference { kind, holds: true });
        self
    }

    /// A further rule; it returns what would be right.
    #[must_use]
    pub fn check(mut self, rule: Rule) -> Self {
        self.check = Some(rule);
        self
    }

    /// The field's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.form, Form::Strings | Form::Objects(_))
    }

    /// What a person reads of the field in the documentation.
    pub fn describe(&self) -> String {
        let form = match &self.form {
            Form::Text(_) => "text".to_owned(),
            Form::Flag => "boolean".to_owned(),
            Form::Integer(_) => "integer".to_owned(),
            Form::Strings => "list of texts".to_owned(),
            Form::OneOf(words) => format!("one of {} words", words().len()),
            Form::Uuid => self.refers.as_ref().map_or("UUID".to_owned(), |refers| format!("id of {}", refers.kind)),
            Form::Cidr => "CIDR".to_owned(),
            Form::Time => "time".to_owned(),
            Form::TextMap => "map of texts".to_owned(),
            Form::AnyObject | Form::Object(_) => "object".to_owned(),
            Form::Objects(_) => "list of objects".to_owned(),
        };
        match &self.origin {
            Origin::Required => format!("{form}, required"),
            Origin::Optional => form,
            Origin::Computed(_) | Origin::Told => "computed".to_owned(),
        }
    }

    /// Reads the field's value out of a request, reporting what is wrong with it.
    /// `None`: the request does not say it.
    pub(super) fn read(
        &self,
        request: &Map<String, Value>,
        prefix: &str,
        faults: &mut Vec<ArgumentFault>,
    ) -> Option<Value> {
        let value = request.get(self.name).filter(|value| !is_absent(value))?;
        let path = if prefix.is_empty() { self.name.to_owned() } else { format!("{prefix}.{}", self.name) };
        match self.form.take(value, &path, faults) {
            Err(help) => {
                let reason = if self.form.has_shape_of(value) { Reason::Constraint } else { Reason::Format };
                faults.push(ArgumentFault::new(path, reason, help));
                None
            }
            Ok(value) => match self.check.map(|rule| rule(&value)) {
                Some(Err(help)) => {
                    faults.push(ArgumentFault::new(path, Reason::Constraint, help));
                    None
                }
                _ => Some(value),
            },
        }
    }

    pub(super) fn is_input(&self) -> bool {
        matches!(self.origin, Origin::Required | Origin::Optional)
    }
}

/// Reads all input fields of a request. `whole` demands the required ones and fills in defaults.
pub(super) fn read_fields(
    fields: &[Field],
    request: &Map<String, Value>,
    prefix: &str,
    whole: bool,
    faults: &mut Vec<ArgumentFault>,
) -> Map<String, Value> {
    let mut values = Map::new();
    for field in fields.iter().filter(|field| field.is_input()) {
        let before = faults.len();
        let value = field.read(request, prefix, faults);
        let faulty = faults.len() > before;
        match (value, &field.origin) {
            (Some(value), _) => {
                values.insert(field.name.to_owned(), value);
            }
            (None, Origin::Required) if whole && !faulty => {
                let path = if prefix.is_empty() { field.name.to_owned() } else { format!("{prefix}.{}", field.name) };
                faults.push(ArgumentFault::new(path, Reason::Required, format!("{} is required", field.name)));
            }
            (None, _) if whole => {
                values.insert(field.name.to_owned(), field.default.clone());
            }
            (None, _) => {}
        }
    }
    values
}

/// `null` and the SDKs' `unknown_*` words both mean that nothing was said.
pub(super) fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.starts_with("unknown_"),
        _ => false,
    }
}

impl Form {
    fn has_shape_of(&self, value: &Value) -> bool {
        match self {
            Self::Text(_) | Self::OneOf(_) => value.is_string(),
            Self::Integer(_) => value.is_i64() || value.is_u64(),
            _ => false,
        }
    }

    /// The value in this form, or what would be right. Faults inside objects are reported one by one.
    fn take(&self, value: &Value, path: &str, faults: &mut Vec<ArgumentFault>) -> Result<Value, String> {
        let kept = || Ok(value.clone());
        match self {
            Self::Text(length) => match value.as_str() {
                Some(text) if text.contains('\0') => Err("must not contain a NUL character".into()),
                Some(text) if length.contains(&text.chars().count()) => kept(),
                Some(_) => Err(format!("must have {} to {} characters", length.start(), length.end())),
                None => Err("must be a text".into()),
            },
            Self::Flag => {
                if value.is_boolean() {
                    kept()
                } else {
                    Err("must be true or false".into())
                }
            }
            Self::Integer(range) => match value.as_i64() {
                Some(number) if range.contains(&number) => kept(),
                Some(_) => Err(format!("must be {} to {}", range.start(), range.end())),
                None => Err("must be a whole number".into()),
            },
            Self::Strings => match value.as_array() {
                Some(items) if items.iter().all(Value::is_string) => kept(),
                _ => Err("must be a list of texts".into()),
            },
            Self::TextMap => match value.as_object() {
                Some(items) if items.values().all(Value::is_string) => kept(),
                _ => Err("must be a map of texts".into()),
            },
            Self::AnyObject => {
                if value.is_object() {
                    kept()
                } else {
                    Err("must be an object".into())
                }
            }
            Self::OneOf(words) => match value.as_str() {
                Some(word) if words().contains(&word) => kept(),
                Some(_) => Err(format!("must be one of {}", words().join(", "))),
                None => Err("must be a text".into()),
            },
            // An empty text clears a reference in an update.
            Self::Uuid => match value.as_str() {
                Some(text) if text.is_empty() || is_uuid(text) => kept(),
                _ => Err("must be a UUID".into()),
            },
            Self::Cidr => match value.as_str().map(str::parse::<IpNet>) {
                Some(Ok(_)) => kept(),
                _ => Err("must be an IP network such as 10.0.0.0/24".into()),
            },
            // Answered in UTC, whatever it was asked in (recorded); years from 10000 on have no such form.
            Self::Time => match value
                .as_str()
                .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
                .and_then(|at| at.checked_to_offset(time::UtcOffset::UTC))
            {
                Some(at) => Ok(super::rfc3339(at).into()),
                None => Err("must be a time in RFC 3339, such as 2026-05-21T13:09:10Z".into()),
            },
            Self::Object(fields) => match value.as_object() {
                Some(object) => Ok(Value::Object(read_fields(fields, object, path, true, faults))),
                None => Err("must be an object".into()),
            },
            Self::Objects(fields) => match value.as_array() {
                Some(items) => items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| match item.as_object() {
                        Some(object) => {
                            Ok(Value::Object(read_fields(fields, object, &format!("{path}.{index}"), true, faults)))
                        }
                        None => Err("must be a list of objects".to_owned()),
                    })
                    .collect(),
                None => Err("must be a list of objects".into()),
            },
        }
    }
}

//! Lists: pages, filters, order.
//!
//! `page` counts from 1; `page_size` is 50 unless asked for, at most 100. The
//! SDKs stop at `ceil(total_count / length of the first page)`.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::{Call, Reason, Record, Refusal, Resource, by_time};

const DEFAULT_SIZE: usize = 50;
const MOST: usize = 100;

/// Which part of a list is asked for.
pub(super) struct Page {
    number: usize,
    size: usize,
}

impl Page {
    pub(super) fn of(call: &Call) -> Result<Self, Refusal> {
        let number = |name: &str, otherwise: usize, most: usize| match call.query(name) {
            None => Ok(otherwise),
            Some(text) => match text.parse() {
                Ok(number) if (1..=most).contains(&number) => Ok(number),
                _ => Err(Refusal::argument(name, Reason::Constraint, format!("must be a number from 1 to {most}"))),
            },
        };
        Ok(Self { number: number("page", 1, usize::MAX)?, size: number("page_size", DEFAULT_SIZE, MOST)? })
    }

    pub(super) fn answer(&self, key: &str, items: Vec<Value>) -> Value {
        let total = items.len();
        let from = self.size.saturating_mul(self.number - 1);
        let items: Vec<Value> = items.into_iter().skip(from).take(self.size).collect();
        json!({ key: items, "total_count": total })
    }

    pub(super) fn answer_records(&self, key: &str, records: &[&Record], told: impl Fn(&Record) -> Value) -> Value {
        let from = self.size.saturating_mul(self.number - 1);
        let items: Vec<Value> = records.iter().skip(from).take(self.size).map(|record| told(record)).collect();
        json!({ key: items, "total_count": records.len() })
    }
}

/// Whether a record passes the request's filters.
pub(super) fn matches(resource: &Resource, record: &Record, call: &Call) -> bool {
    let owner = ["project_id", "organization_id"].iter().all(|field| match record.body.get(*field) {
        Some(value) => call.query(field).is_none_or(|asked| value.as_str() == Some(asked)),
        None => true,
    });
    owner && resource.filters.iter().all(|filter| passes(filter, record, call))
}

fn passes(filter: &str, record: &Record, call: &Call) -> bool {
    let (field, asked) = (filter, call.queries(filter).collect::<Vec<_>>());
    if asked.is_empty() {
        return true;
    }
    match record.body.get(field) {
        Some(Value::Array(values)) => {
            asked.iter().all(|asked| values.iter().any(|value| value.as_str() == Some(asked)))
        }
        Some(Value::String(text)) if field == "name" => asked.iter().any(|asked| text.contains(asked)),
        Some(Value::String(text)) => asked.contains(&text.as_str()),
        Some(Value::Null) | None => false,
        Some(other) => asked.contains(&other.to_string().as_str()),
    }
}

/// Sorts by the request's `order_by`, such as `name_desc`.
pub(super) fn sort(resource: &Resource, records: &mut [&Record], call: &Call) -> Result<(), Refusal> {
    let default = resource.order.first().copied().unwrap_or("created_at");
    let (field, descending) = match call.query("order_by") {
        None => (default.trim_end_matches("_desc"), default.ends_with("_desc")),
        Some(order) => order
            .strip_suffix("_asc")
            .map(|field| (field, false))
            .or_else(|| order.strip_suffix("_desc").map(|field| (field, true)))
            .filter(|(field, _)| resource.order.contains(field) || *field == "created_at")
            .ok_or_else(|| {
                let allowed: Vec<_> =
                    resource.order.iter().flat_map(|field| [format!("{field}_asc"), format!("{field}_desc")]).collect();
                Refusal::argument("order_by", Reason::Constraint, format!("must be one of {}", allowed.join(", ")))
            })?,
    };
    // A resource's own name may stand before the field's: `policy_name` of a policy.
    let own = field.strip_prefix(resource.called).and_then(|rest| rest.strip_prefix('_'));
    let field = own.unwrap_or(field);
    let compare = |a: &&Record, b: &&Record| match (a.body.get(field), b.body.get(field)) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        _ if field.ends_with("_at") => by_time(a.text_or_hidden(field), b.text_or_hidden(field)),
        _ => a.text_or_hidden(field).cmp(b.text_or_hidden(field)),
    };
    records.sort_by(|a, b| {
        let order = compare(a, b);
        if descending { order.reverse() } else { order }
    });
    Ok(())
}

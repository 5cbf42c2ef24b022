//! Conditions of rules: expressions of the Common Expression Language.
//!
//! Documented ("Understanding policy conditions", validated 2026-07-13): they know `request.ip`, `request.time`,
//! `request.user_agent`, and of the products that take part `resource.name`, `resource.id` and `resource.locality`, which
//! are absent where a request is about no single resource, as in lists. Syntax is checked when a rule is made, and
//! nothing else. One that cannot be evaluated is not met.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use cel::{
    Context, Env, Program, Value,
    common::types::{CelBool, CelString},
};
use chrono::{DateTime, FixedOffset};
use ipnet::IpNet;
use parking_lot::RwLock;
use serde_json::Value as Json;

use crate::kernel::{Asking, Record};

/// How many compiled expressions are kept; then all are forgotten, and compiled anew as they are needed.
const KEPT: usize = 1_000;

/// The products whose resources conditions can tell apart (documented), and where their resources are.
const PRODUCTS: [&str; 3] = ["iam.", "key_manager.", "secret."];

/// The standard functions and macros, and Scaleway's own.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut language = Env::stdlib();
    let added = cel::add_overload!(language, fn in_ip_range: (CelString, CelString) -> CelBool,
        name = "inIpRange", id = "in_ip_range_string_string");
    if let Err(error) = added {
        tracing::error!(%error, "conditions do not know inIpRange");
    }
    Arc::new(language)
});

/// Whether an address is in a network; nothing is in what is none.
fn in_ip_range(ip: &CelString<'_>, subnet: &CelString<'_>) -> CelBool {
    let (ip, subnet) = (ip.inner().parse::<IpAddr>(), subnet.inner().parse::<IpNet>());
    CelBool::from(matches!((ip, subnet), (Ok(ip), Ok(subnet)) if subnet.contains(&ip)))
}

static COMPILED: LazyLock<RwLock<HashMap<String, Arc<Program>>>> = LazyLock::new(RwLock::default);

fn compile(expression: &str) -> Result<Program, String> {
    LANGUAGE.compile(expression).map_err(|errors| {
        let first = errors.errors.first().map(|error| error.msg.clone()).unwrap_or_default();
        format!("is no expression of the Common Expression Language: {first}")
    })
}

/// Whether an expression is one; an empty one is none, and no fault.
pub(super) fn check(expression: &str) -> Result<(), String> {
    if expression.is_empty() { Ok(()) } else { compile(expression).map(drop) }
}

/// Whether a condition is met.
pub(super) fn holds(expression: &str, asking: &Asking<'_>) -> bool {
    let known = COMPILED.read().get(expression).cloned();
    let program = match known {
        Some(program) => program,
        None => {
            let Ok(program) = compile(expression).map(Arc::new) else { return false };
            let mut compiled = COMPILED.write();
            if compiled.len() >= KEPT {
                compiled.clear();
            }
            compiled.insert(expression.to_owned(), Arc::clone(&program));
            program
        }
    };
    let mut context = Context::with_env(Arc::clone(&LANGUAGE));
    context.add_variable_from_value("request", request(asking));
    context.add_variable_from_value("resource", resource(asking));
    program.execute(&context) == Ok(Value::Bool(true))
}

fn request(asking: &Asking<'_>) -> HashMap<String, Value> {
    let origin = &asking.caller.origin;
    let mut request = HashMap::from([
        ("ip".to_owned(), origin.ip.to_string().into()),
        ("user_agent".to_owned(), origin.user_agent.as_str().into()),
    ]);
    if let Some(now) = moment(asking) {
        request.insert("time".to_owned(), Value::Timestamp(now));
    }
    request
}

fn moment(asking: &Asking<'_>) -> Option<DateTime<FixedOffset>> {
    DateTime::from_timestamp(asking.now.unix_timestamp(), asking.now.nanosecond()).map(|now| now.fixed_offset())
}

/// What is told of the resource that a request is about.
fn resource(asking: &Asking<'_>) -> HashMap<String, Value> {
    let Some((kind, key, record)) = asking.about else { return HashMap::new() };
    if !PRODUCTS.iter().any(|product| kind.starts_with(product)) {
        return HashMap::new();
    }
    let locality = ["zone", "region"].into_iter().map(|place| record.text(place)).find(|place| !place.is_empty());
    HashMap::from([
        ("id".to_owned(), key.into()),
        ("name".to_owned(), name(kind, record).into()),
        ("locality".to_owned(), locality.unwrap_or("global").into()),
    ])
}

/// A secret's name has its folder before it (documented).
fn name(kind: &str, record: &Record) -> String {
    let fields = ["name", "username", "description"];
    let name = fields.into_iter().map(|field| record.text(field)).find(|name| !name.is_empty()).unwrap_or_default();
    let path = record.body.get("path").and_then(Json::as_str).filter(|_| kind == "secret.secret");
    match path {
        Some(path) => format!("{}/{name}", path.trim_end_matches('/')),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::kernel::{Action, Allowing, Caller, Origin, Within};

    fn met(expression: &str, about: Option<(&str, &Record)>) -> bool {
        let caller = Caller {
            principal: ("application".into(), "a".into()),
            organization_id: String::new(),
            default_project_id: String::new(),
            access_key: String::new(),
            origin: Origin { ip: [203, 0, 113, 7].into(), user_agent: "pulumi/3.259 terraform/".into() },
        };
        let asking = Asking {
            caller: &caller,
            action: Action("GET", "/x"),
            allowing: Allowing::new(&["X"]),
            within: Within::Organization,
            about: about.map(|(kind, record)| (kind, "the-key", record)),
            // A Friday; in Paris it is two hours later.
            now: datetime!(2026-07-10 15:30:00 UTC),
        };
        assert_eq!(check(expression), Ok(()), "{expression}");
        holds(expression, &asking)
    }

    #[test]
    fn the_documented_examples_mean_what_is_documented() {
        for (expression, expected) in [
            (r#"request.user_agent.contains("terraform/")"#, true),
            (r#"request.user_agent.contains("curl")"#, false),
            ("request.time.getDayOfWeek() != 0 && request.time.getDayOfWeek() != 6", true),
            ("request.time.getDayOfWeek() == 0 || request.time.getDayOfWeek() == 6", false),
            (r#"request.time.getHours("Europe/Paris") < 17"#, false),
            ("request.time.getHours() < 17", true),
            ("request.ip == '203.0.113.7'", true),
            ("inIpRange(request.ip, '203.0.113.0/24')", true),
            ("inIpRange(request.ip, '10.0.0.0/8')", false),
            ("inIpRange(request.ip, 'nonsense')", false),
            (r#"request.time < timestamp("2026-07-10T15:31:00Z")"#, true),
            ("!(request.time.getFullYear() < 2020)", true),
        ] {
            assert_eq!(met(expression, None), expected, "{expression}");
        }
    }

    #[test]
    fn a_secrets_name_has_its_folder() {
        let secret = Record::of(&json!({"name": "one", "path": "/folder", "region": "fr-par"}));
        let top = Record::of(&json!({"name": "one", "path": "/", "region": "fr-par"}));
        assert!(met(r#"resource.name.startsWith("/folder/")"#, Some(("secret.secret", &secret))));
        assert!(met(r#"resource.name == "/one""#, Some(("secret.secret", &top))));
        assert!(met(r#"resource.locality.startsWith("fr-par")"#, Some(("secret.secret", &top))));
        assert!(met(r#"resource.id == "the-key""#, Some(("key_manager.key", &top))));
    }

    #[test]
    fn what_is_about_no_single_resource_meets_no_condition_on_it() {
        assert!(!met(r#"resource.name.startsWith("/folder/")"#, None));
        assert!(met(r#"resource.name.startsWith("/folder/") || !has(resource.id)"#, None));
    }

    #[test]
    fn only_the_documented_products_tell_their_resources_apart() {
        let bucket = Record::of(&json!({"name": "one"}));
        assert!(!met(r#"resource.name == "one""#, Some(("object.bucket", &bucket))));
        let group = Record::of(&json!({"name": "one"}));
        assert!(met(r#"resource.name == "one" && resource.locality == "global""#, Some(("iam.group", &group))));
    }

    #[test]
    fn what_cannot_be_evaluated_is_not_met() {
        for expression in
            ["request.nothing == 1", "nobody", "1 / 0 == 1", "request.ip", "request.time == 'x'", "1 == 'a'"]
        {
            assert!(!met(expression, None), "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let deep = format!("{}1{}", "(".repeat(2000), ")".repeat(2000));
        let brackets = "[".repeat(4000);
        for expression in ["request.ip ==", "&&", "a b", "'open", "request.ip == \"x", &deep, &brackets, "\0", "((("] {
            assert!(check(expression).is_err(), "{}", expression.chars().take(20).collect::<String>());
        }
    }
}

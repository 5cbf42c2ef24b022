//! Ten thousand requests made up by chance: none may make the cloud panic or fail.

mod support;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use support::Fixture;

const REQUESTS: u32 = 10_000;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,20}".prop_map(Value::from),
        Just(json!("fr-par")),
        Just(json!("10.0.0.0/8")),
        Just(json!("db-dev-s")),
        Just(json!("PostgreSQL-16")),
        Just(json!("00000000-0000-4000-8000-000000000000")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,12}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

#[test]
fn no_request_makes_the_cloud_panic_or_fail() {
    let fixture = Fixture::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let resources: Vec<_> = fixture.cloud.catalogue().resources().collect();
    let routes: Vec<(&str, &str, Vec<&str>)> = resources
        .iter()
        .flat_map(|resource| {
            let fields: Vec<&str> = resource.declared_fields().iter().map(|field| field.name()).collect();
            resource.all_routes().into_iter().map(move |route| (route.method, route.path, fields.clone()))
        })
        .collect();
    // Identifiers that exist, so that requests get past the first look-up.
    let known: Vec<String> = fixture.cloud.store().read(|tables| {
        resources.iter().flat_map(|resource| tables.all(resource.kind).map(|(key, _)| key.to_owned())).collect()
    });
    let strategy = (
        0..routes.len(),
        prop::collection::vec(prop_oneof![Just(None), "[^#?]{1,12}".prop_map(Some)], 4),
        prop::collection::vec(value(), 24),
        prop::collection::vec(any::<prop::sample::Index>(), 4),
        prop_oneof![Just(String::new()), "[a-z_]{1,10}=[^#&]{0,10}".prop_map(|query| format!("?{query}"))],
        any::<bool>(),
    );
    let mut runner = TestRunner::new(Config { cases: REQUESTS, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&strategy, |(route, segments, values, picks, query, whole)| {
        let (method, path, fields) = &routes[route];
        let mut number = 0;
        let path: Vec<String> = path
            .split('/')
            .map(|segment| match segment.strip_prefix('{') {
                Some("region}") => "fr-par".to_owned(),
                Some(_) => {
                    number += 1;
                    let known = picks[number % 4].get(&known).clone();
                    let text = segments[number % 4].clone().unwrap_or(known);
                    percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string()
                }
                None => segment.to_owned(),
            })
            .collect();
        let query =
            percent_encoding::utf8_percent_encode(&query, percent_encoding::CONTROLS).to_string().replace(' ', "+");
        let uri = format!("{}{query}", path.join("/"));
        if uri.parse::<http::Uri>().is_err() {
            return Ok(());
        }
        let body: serde_json::Map<String, Value> = fields
            .iter()
            .zip(values)
            .filter(|(_, value)| whole || !value.is_null())
            .map(|(field, value)| ((*field).to_owned(), value))
            .collect();
        let answer = runtime.block_on(fixture.send(method, &uri, Value::Object(body)));
        let declared = answer.status < 500 || (answer.status == 501 && answer.body["type"] == "not_implemented");
        prop_assert!(declared, "{} {} answered {} {}", method, uri, answer.status, answer.body);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

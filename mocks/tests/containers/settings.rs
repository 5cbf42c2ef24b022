//! What a container is told, and what it answers.

use proptest::{prelude::*, test_runner::Config};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    fixture::{CONTAINERS, NAMESPACES, TOKENS, TRIGGERS, container, item, namespace, patch, with},
    support::{Fixture, faulty},
};

#[tokio::test]
async fn a_container_has_the_recorded_defaults() {
    let fixture = Fixture::new();
    let mut made = container(&fixture, json!({})).await;
    for unforeseen in ["id", "namespace_id", "created_at", "updated_at", "public_endpoint"] {
        assert!(made.as_object_mut().unwrap().remove(unforeseen).unwrap().is_string(), "{unforeseen}");
    }
    let expected = json!({
        "name": "web", "image": "nginx:alpine", "description": "", "tags": [], "status": "ready", "error_message": "",
        "min_scale": 0, "max_scale": 5, "memory_limit_bytes": 2_048_000_000_u64, "mvcpu_limit": 1000,
        "local_storage_limit_bytes": 1_000_000_000, "timeout": "300s", "privacy": "public", "protocol": "http1",
        "port": 8080, "https_connections_only": false, "sandbox": "v2", "command": [], "args": [],
        "scaling_option": {"concurrent_requests_threshold": 50}, "startup_probe": null,
        "liveness_probe": {"failure_threshold": 30, "interval": "10s", "timeout": "1s", "tcp": {}},
        "environment_variables": {}, "secret_environment_variables": {}, "region": "fr-par",
    });
    assert_eq!(made, expected);
}

#[rstest]
#[case::short("tf-acctest-basic", "tfacctestbasic")]
#[case::cut_at_twenty("tf-acctest-private-network", "tfacctestprivatenetw")]
#[case::upper_case("My_Shop.2", "myshop2")]
#[tokio::test]
async fn an_endpoint_is_made_of_the_namespace_s_name_and_identifier(#[case] name: &str, #[case] start: &str) {
    let fixture = Fixture::new();
    let namespace = fixture.make(NAMESPACES, json!({"name": name})).await;
    let made = fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), json!({"name": "web-1"}))).await.body;
    let expected = format!("https://{start}{}-web-1.functions.fnc.fr-par.scw.cloud", &namespace[..8]);
    assert_eq!(made["public_endpoint"], expected);
}

#[rstest]
#[case::name_in_upper_case(json!({"name": "Web"}), "name")]
#[case::name_ends_with_a_dash(json!({"name": "web-"}), "name")]
#[case::name_fills_more_than_a_label(json!({"name": "w".repeat(35)}), "name")]
#[case::too_little_memory(json!({"memory_limit_bytes": 127_999_999}), "memory_limit_bytes")]
#[case::too_much_memory(json!({"memory_limit_bytes": 12_228_000_001_u64}), "memory_limit_bytes")]
#[case::too_little_cpu(json!({"mvcpu_limit": 69}), "mvcpu_limit")]
#[case::too_much_cpu(json!({"mvcpu_limit": 6001}), "mvcpu_limit")]
#[case::too_much_storage(json!({"local_storage_limit_bytes": 25_165_824_001_u64}), "local_storage_limit_bytes")]
#[case::scale_too_large(json!({"max_scale": 51}), "max_scale")]
#[case::scale_of_nothing(json!({"max_scale": 0}), "max_scale")]
#[case::scale_upside_down(json!({"min_scale": 3, "max_scale": 2}), "min_scale")]
#[case::min_scale_above_the_default(json!({"min_scale": 6}), "min_scale")]
#[case::no_port(json!({"port": 0}), "port")]
#[case::port_too_large(json!({"port": 65_536}), "port")]
#[case::port_taken(json!({"port": 9090}), "port")]
#[case::timeout_too_short(json!({"timeout": "9.999s"}), "timeout")]
#[case::timeout_too_long(json!({"timeout": "3601s"}), "timeout")]
#[case::timeout_without_unit(json!({"timeout": "300"}), "timeout")]
#[case::no_such_privacy(json!({"privacy": "secret"}), "privacy")]
#[case::no_such_protocol(json!({"protocol": "h3"}), "protocol")]
#[case::no_such_sandbox(json!({"sandbox": "v3"}), "sandbox")]
#[case::two_thresholds(json!({"scaling_option": {"cpu_usage_threshold": 5, "memory_usage_threshold": 5}}), "scaling_option")]
#[case::too_many_requests(json!({"scaling_option": {"concurrent_requests_threshold": 81}}), "scaling_option.concurrent_requests_threshold")]
#[case::more_than_all_cpu(json!({"scaling_option": {"cpu_usage_threshold": 101}}), "scaling_option.cpu_usage_threshold")]
#[case::probe_without_a_way(json!({"liveness_probe": {"interval": "5s"}}), "liveness_probe")]
#[case::probe_of_two_ways(json!({"startup_probe": {"tcp": {}, "http": {"path": "/"}}}), "startup_probe")]
#[case::probe_without_slash(json!({"startup_probe": {"http": {"path": "up"}}}), "startup_probe.http.path")]
#[case::probe_all_the_time(json!({"liveness_probe": {"tcp": {}, "interval": "0s"}}), "liveness_probe.interval")]
#[case::variable_with_a_space(json!({"environment_variables": {"A B": "x"}}), "environment_variables")]
#[case::variable_starts_with_a_digit(json!({"environment_variables": {"1ST": "x"}}), "environment_variables")]
#[case::variable_reserved(json!({"environment_variables": {"PORT": "80"}}), "environment_variables")]
#[case::secret_reserved(json!({"secret_environment_variables": {"SCW_SECRET": "x"}}), "secret_environment_variables")]
#[case::value_too_long(json!({"environment_variables": {"A": "x".repeat(1001)}}), "environment_variables")]
#[case::secret_too_long(json!({"secret_environment_variables": {"A": "x".repeat(65_537)}}), "secret_environment_variables")]
#[tokio::test]
async fn a_container_out_of_bounds_is_refused_by_create_and_change(#[case] settings: Value, #[case] argument: &str) {
    let fixture = Fixture::new();
    let namespace = namespace(&fixture).await;
    let refused = fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), settings.clone())).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec![argument.to_owned()]), "{}", refused.body);
    if settings.get("name").is_some() || argument == "liveness_probe" {
        return;
    }
    let made = fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), json!({}))).await.body;
    let refused = fixture.send("PATCH", &item(CONTAINERS, &made), settings).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec![argument.to_owned()]), "{}", refused.body);
    assert_eq!(fixture.get(&item(CONTAINERS, &made)).await.body, made, "a refused change changed something");
}

#[tokio::test]
async fn too_many_variables_are_refused() {
    let fixture = Fixture::new();
    let variables = |number: usize| -> Value {
        (0..number).map(|number| (format!("V{number}"), json!(""))).collect::<serde_json::Map<_, _>>().into()
    };
    let make = async |name: &str, number| {
        fixture.post(NAMESPACES, json!({"name": name, "environment_variables": variables(number)})).await
    };
    assert_eq!(make("full", 100).await.status, 200);
    assert_eq!(faulty(&make("over", 101).await), ["environment_variables"]);
}

/// Trap: create and answer say `https_connections_only`, a change `https_connection_only`.
#[tokio::test]
async fn https_is_required_by_another_name_in_a_change() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({"https_connections_only": true, "https_connection_only": false})).await;
    let path = item(CONTAINERS, &made);
    assert_eq!(made["https_connections_only"], true);
    assert_eq!(made.get("https_connection_only"), None);
    assert_eq!(patch(&fixture, &path, json!({"https_connections_only": false})).await["https_connections_only"], true);
    assert_eq!(patch(&fixture, &path, json!({"https_connection_only": false})).await["https_connections_only"], false);
    let untouched = patch(&fixture, &path, json!({"description": "d"})).await;
    assert_eq!((&untouched["https_connections_only"], untouched.get("https_connection_only")), (&json!(false), None));
}

/// Trap: the SDK sends unset enums as `unknown_*`, in each change.
#[tokio::test]
async fn unknown_words_and_nulls_change_nothing() {
    let fixture = Fixture::new();
    let settings = json!({"privacy": "private", "protocol": "h2c", "sandbox": "v1", "tags": ["a"], "port": 5000});
    let made = container(&fixture, settings).await;
    let sent = json!({
        "privacy": "unknown_privacy", "protocol": "unknown_protocol", "sandbox": "unknown_sandbox", "tags": null,
        "port": null, "environment_variables": null, "command": null, "liveness_probe": null,
    });
    let mut changed = patch(&fixture, &item(CONTAINERS, &made), sent.clone()).await;
    changed["updated_at"] = made["updated_at"].clone();
    assert_eq!(changed, made);
    let defaults = container_in(&fixture, &made["namespace_id"], with(json!({"name": "other"}), sent)).await;
    assert_eq!(
        (&defaults["privacy"], &defaults["protocol"], &defaults["sandbox"]),
        (&json!("public"), &json!("http1"), &json!("v2"))
    );
}

async fn container_in(fixture: &Fixture, namespace: &Value, mut body: Value) -> Value {
    body["namespace_id"] = namespace.clone();
    body["name"] = json!("other");
    let answer = fixture.post(CONTAINERS, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[tokio::test]
async fn probes_and_thresholds_show_only_what_was_chosen() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({"timeout": "360.000000000s"})).await;
    assert_eq!(made["timeout"], "360s");
    let path = item(CONTAINERS, &made);
    let change = json!({
        "liveness_probe": {"failure_threshold": 40, "interval": "12.000000000s", "timeout": "1.000000000s", "http": {"path": "/up"}},
        "startup_probe": {"failure_threshold": null, "interval": "2s", "timeout": null, "tcp": {}},
        "scaling_option": {"cpu_usage_threshold": 72},
    });
    let changed = patch(&fixture, &path, change).await;
    let expected = json!({"failure_threshold": 40, "interval": "12s", "timeout": "1s", "http": {"path": "/up"}});
    assert_eq!(changed["liveness_probe"], expected);
    let expected = json!({"failure_threshold": 30, "interval": "2s", "timeout": "1s", "tcp": {}});
    assert_eq!(changed["startup_probe"], expected);
    assert_eq!(changed["scaling_option"], json!({"cpu_usage_threshold": 72}));
    let changed = patch(&fixture, &path, json!({"startup_probe": {"interval": "3s"}, "scaling_option": {}})).await;
    let expected = json!({"failure_threshold": 30, "interval": "3s", "timeout": "1s", "tcp": {}});
    assert_eq!(changed["startup_probe"], expected);
    assert_eq!(changed["scaling_option"], json!({"cpu_usage_threshold": 72}));
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[0-9]{0,25}[.]?[0-9]{0,11}s?".prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!("00000000-0000-4000-8000-000000000000")),
    ];
    let key = prop_oneof![
        "[a-z_]{0,9}",
        prop::sample::select(vec!["tcp", "http", "path", "interval", "timeout", "schedule", "cpu_usage_threshold"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    /// The random requests of `tests/generated.rs` meet no containers; these do.
    #[test]
    fn no_change_makes_the_cloud_fail(values in prop::collection::vec(anything(), 32), kind in 0..4_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(async {
            let fixture = Fixture::new();
            let made = container(&fixture, json!({})).await;
            let cron = json!({"schedule": "@daily", "timezone": "UTC"});
            let trigger = json!({"container_id": made["id"], "name": "t", "cron_config": cron});
            let trigger = fixture.post(TRIGGERS, trigger).await.body;
            let (kind, method, path) = [
                ("container", "PATCH", item(CONTAINERS, &made)),
                ("trigger", "PATCH", item(TRIGGERS, &trigger)),
                ("namespace", "PATCH", format!("{NAMESPACES}/{}", made["namespace_id"].as_str().unwrap())),
                ("token", "POST", TOKENS.to_owned()),
            ][kind].clone();
            let resource = fixture.cloud.catalogue().get(&format!("containers.{kind}")).unwrap();
            let names = resource.declared_fields().iter().map(|field| field.name().to_owned());
            let body: serde_json::Map<String, Value> = names.zip(values).collect();
            fixture.send(method, &path, body.into()).await
        });
        prop_assert!(answer.status < 500, "{} {}", answer.status, answer.body);
    }
}

//! Whose a container is: names, lists, rights, quota.

use serde_json::{Value, json};

use crate::{
    fixture::{CONTAINERS, DOMAINS, NAMESPACES, TOKENS, TRIGGERS, container, item, namespace, with},
    support::{Fixture, faulty},
};

#[tokio::test]
async fn names_are_unique_in_their_project_and_namespace() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    assert_eq!(faulty(&fixture.post(NAMESPACES, json!({"name": "shop"})).await), ["name"]);
    let again = with(json!({"namespace_id": made["namespace_id"]}), json!({}));
    assert_eq!(faulty(&fixture.post(CONTAINERS, again.clone()).await), ["name"]);
    let other = fixture.make(NAMESPACES, json!({"name": "other"})).await;
    assert_eq!(fixture.post(CONTAINERS, with(json!({"namespace_id": other}), json!({}))).await.status, 200);
    assert_eq!(fixture.send("DELETE", &item(CONTAINERS, &made), Value::Null).await.status, 200);
    assert_eq!(fixture.post(CONTAINERS, again).await.status, 200);
}

#[tokio::test]
async fn lists_are_asked_for_by_project_namespace_and_container() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    let project = fixture.make("/account/v3/projects", json!({"name": "other"})).await;
    let elsewhere = fixture.make(NAMESPACES, json!({"name": "elsewhere", "project_id": project})).await;
    let other = fixture.post(CONTAINERS, with(json!({"namespace_id": elsewhere}), json!({"name": "api"}))).await.body;
    for (container, hostname) in [(&made, "one.example.com"), (&other, "two.example.com")] {
        let id = &container["id"];
        fixture.make(DOMAINS, json!({"container_id": id, "hostname": hostname})).await;
        let cron = json!({"schedule": "@daily", "timezone": "UTC"});
        fixture.make(TRIGGERS, json!({"container_id": id, "name": "t", "cron_config": cron})).await;
        assert_eq!(fixture.post(TOKENS, json!({"container_id": id})).await.status, 200);
    }
    let count =
        async |path: &str, query: String| fixture.get(&format!("{path}?{query}")).await.body["total_count"].clone();
    let (namespace, id) = (made["namespace_id"].as_str().unwrap(), made["id"].as_str().unwrap());
    for path in [CONTAINERS, DOMAINS, TRIGGERS, TOKENS] {
        assert_eq!(count(path, String::new()).await, 2, "{path}");
        assert_eq!(count(path, format!("project_id={project}")).await, 1, "{path}");
        assert_eq!(count(path, format!("project_id={namespace}")).await, 0, "{path}");
        if path != TOKENS {
            assert_eq!(count(path, format!("namespace_id={namespace}")).await, 1, "{path}");
        }
        if path != CONTAINERS {
            assert_eq!(count(path, format!("container_id={id}")).await, 1, "{path}");
        }
    }
    assert_eq!(count(CONTAINERS, "name=api".into()).await, 1);
    // Recorded: namespaces are not told apart by name.
    assert_eq!(count(NAMESPACES, "name=nothing-like-it".into()).await, 2);
    assert_eq!(count(TRIGGERS, "trigger_type=unknown_source_type".into()).await, 2);
    assert_eq!(count(TRIGGERS, "trigger_type=sqs".into()).await, 0);
    let domains = fixture.get(&format!("{DOMAINS}?order_by=hostname_desc")).await.body;
    assert_eq!(domains["domains"][0]["hostname"], "two.example.com");
}

#[tokio::test]
async fn a_right_in_the_namespace_s_project_is_a_right_to_its_containers() {
    let fixture = Fixture::new();
    let project = fixture.make("/account/v3/projects", json!({"name": "mine"})).await;
    let mine = fixture.make(NAMESPACES, json!({"name": "mine", "project_id": project})).await;
    let theirs = namespace(&fixture).await;
    let application = fixture.make("/iam/v1alpha1/applications", json!({"name": "app"})).await;
    let rule = json!({"permission_set_names": ["ContainersFullAccess"], "project_ids": [project]});
    fixture.make("/iam/v1alpha1/policies", json!({"name": "p", "application_id": application, "rules": [rule]})).await;
    let key = fixture.post("/iam/v1alpha1/api-keys", json!({"application_id": application})).await.body;
    let key = key["secret_key"].as_str().unwrap().to_owned();
    let post =
        async |path: &str, body: Value| fixture.send_raw("POST", path, &key, body.to_string().into_bytes()).await;
    let made = post(CONTAINERS, with(json!({"namespace_id": mine}), json!({}))).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(post(TOKENS, json!({"container_id": made.body["id"]})).await.status, 200);
    assert_eq!(post(TOKENS, json!({"namespace_id": mine})).await.status, 200);
    for (path, body) in
        [(CONTAINERS, with(json!({"namespace_id": theirs}), json!({}))), (TOKENS, json!({"namespace_id": theirs}))]
    {
        let refused = post(path, body).await;
        assert_eq!((refused.status, &refused.body["type"]), (403, &json!("permissions_denied")));
    }
}

#[tokio::test]
async fn an_organisation_s_containers_have_their_memory_in_common() {
    let fixture = Fixture::new();
    let namespace = namespace(&fixture).await;
    let make = async |name: String| {
        let large = json!({"name": name, "memory_limit_bytes": 12_000_000_000_u64, "max_scale": 50});
        fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), large)).await
    };
    let first = make("first".into()).await;
    assert_eq!(first.status, 200);
    let refused = make("second".into()).await;
    assert_eq!((refused.status, &refused.body["type"]), (403, &json!("quotas_exceeded")));
    fixture.send("DELETE", &item(CONTAINERS, &first.body), Value::Null).await;
    assert_eq!(make("second".into()).await.status, 200);
}

//! Projects as clients meet them.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use rstest::rstest;
use serde_json::{Value, json};
use support::{Fixture, faulty};

const PROJECTS: &str = "/account/v3/projects";

#[rstest]
#[case::network("/vpc/v2/regions/fr-par/private-networks", json!({}))]
#[case::secret("/secret-manager/v1beta1/regions/nl-ams/secrets", json!({"name": "s"}))]
#[case::database("/rdb/v1/regions/fr-par/instances", json!({"name": "d", "engine": "PostgreSQL-16", "node_type": "db-dev-s"}))]
#[tokio::test]
async fn a_project_goes_only_when_it_is_empty(#[case] collection: &str, #[case] mut body: Value) {
    let fixture = Fixture::new();
    let project = fixture.make(PROJECTS, json!({"name": "staging"})).await;
    body["project_id"] = json!(project);
    let inside = fixture.make(collection, body).await;
    let path = format!("{PROJECTS}/{project}");
    let refused = fixture.send("DELETE", &path, Value::Null).await;
    assert_eq!((refused.status, &refused.body["precondition"]), (412, &json!("resource_not_usable")));
    fixture.send("DELETE", &format!("{collection}/{inside}"), Value::Null).await;
    // A secret is only scheduled for deletion now: it goes with the project.
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(fixture.get(&path).await.status, 404);
    let vpcs = fixture.get(&format!("/vpc/v2/regions/fr-par/vpcs?project_id={project}")).await;
    assert_eq!(vpcs.body["total_count"], 0);
}

#[tokio::test]
async fn the_default_project_stays() {
    let fixture = Fixture::new();
    let path = format!("{PROJECTS}/{}", fixture.organization.id);
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 412);
    assert_eq!(fixture.get(&path).await.body["name"], "default");
}

#[tokio::test]
async fn a_project_says_what_it_is_for() {
    let fixture = Fixture::new();
    let path = format!("{PROJECTS}/{}", fixture.make(PROJECTS, json!({"name": "staging"})).await);
    let unknown = json!({"architecture_type": "unknown_architecture_type"});
    assert_eq!(fixture.get(&path).await.body["qualification"], unknown);
    let use_case = json!({"architecture_type": "object_storage", "archive_data": {"sub_use_case": "backup"}});
    let told = fixture.post(&format!("{path}/project-qualification"), json!({"qualification": use_case})).await;
    assert_eq!((told.status, &told.body["qualification"]), (200, &use_case));
    assert_eq!(fixture.get(&path).await.body["qualification"], use_case);
    let nothing = fixture.post(&format!("{path}/project-qualification"), json!({})).await;
    assert_eq!((nothing.status, faulty(&nothing)), (400, vec!["qualification".to_owned()]));
}

#[tokio::test]
async fn projects_are_listed_by_identifier() {
    let fixture = Fixture::new();
    let ids = [fixture.make(PROJECTS, json!({"name": "a"})).await, fixture.make(PROJECTS, json!({"name": "b"})).await];
    fixture.make(PROJECTS, json!({"name": "c"})).await;
    let list = fixture.get(&format!("{PROJECTS}?project_ids={}&project_ids={}", ids[0], ids[1])).await.body;
    let listed: Vec<&str> = list["projects"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(listed, ["a", "b"]);
}

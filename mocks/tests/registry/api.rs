//! Namespaces, images and tags as the JSON API tells them.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::scene::{IMAGES, NAMESPACES, Scene, TAGS};

#[rstest]
#[case::capitals("Team")]
#[case::underscore("my_team")]
#[case::dot("my.team")]
#[case::slash("my/team")]
#[case::dash_first("-team")]
#[case::dash_last("team-")]
#[case::empty("")]
#[tokio::test]
async fn a_namespace_has_a_name_that_can_stand_in_a_reference(#[case] name: &str) {
    let (status, body) = Scene::at(None).await.api(Method::POST, NAMESPACES, json!({"name": name})).await;
    assert_eq!((status, body["details"][0]["argument_name"].as_str()), (400, Some("name")), "{body}");
}

#[tokio::test]
async fn a_name_is_taken_in_its_region_for_everybody() {
    let scene = Scene::new().await;
    let (status, body) = scene.api(Method::POST, NAMESPACES, json!({"name": "team"})).await;
    assert_eq!((status, body["type"].as_str()), (400, Some("invalid_arguments")));
    let elsewhere = scene.make(&NAMESPACES.replace("fr-par", "nl-ams"), json!({"name": "team"})).await;
    assert_eq!(elsewhere["endpoint"], "rg.nl-ams.scw.cloud/team");
    let project = scene.make("/account/v3/projects", json!({"name": "other"})).await["id"].clone();
    let (status, _) = scene.api(Method::POST, NAMESPACES, json!({"name": "team", "project_id": project})).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn an_update_keeps_the_name_and_tells_the_rest() {
    let scene = Scene::new().await;
    let id = scene.get(NAMESPACES).await["namespaces"][0]["id"].as_str().unwrap().to_owned();
    let update = json!({"description": "ours", "is_public": true});
    let (status, body) = scene.api(Method::PATCH, &format!("{NAMESPACES}/{id}"), update).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&body["description"], &body["is_public"], &body["name"]),
        (&json!("ours"), &json!(true), &json!("team"))
    );
}

#[rstest]
#[case::by_name("?name=app", &["app"])]
#[case::by_part_of_a_name("?name=ap", &[])]
#[case::by_name_descending("?order_by=name_desc", &["web", "app"])]
#[case::by_project("?project_id={organization}", &["app", "web"])]
#[case::by_another_project("?project_id=00000000-0000-4000-8000-000000000000", &[])]
#[case::by_organization("?organization_id={organization}", &["app", "web"])]
#[case::by_namespace("?namespace_id={namespace}", &["app", "web"])]
#[case::by_another_namespace("?namespace_id=00000000-0000-4000-8000-000000000000", &[])]
#[tokio::test]
async fn images_are_found(#[case] query: &str, #[case] expected: &[&str]) {
    let scene = Scene::new().await;
    scene.push("team/app:v1", b"layer").await;
    scene.push("team/web:v1", b"layer").await;
    let namespace = scene.get(NAMESPACES).await["namespaces"][0]["id"].as_str().unwrap().to_owned();
    let query = query.replace("{organization}", &scene.organization.id).replace("{namespace}", &namespace);
    let found = scene.get(&format!("{IMAGES}{query}")).await;
    let names: Vec<&str> =
        found["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap()).collect();
    assert_eq!(names, expected);
    assert_eq!(found["total_count"], expected.len());
    assert_eq!(scene.get(&IMAGES.replace("fr-par", "nl-ams")).await["total_count"], 0);
}

async fn first(scene: &Scene, path: &str, list: &str) -> Value {
    scene.get(path).await[list][0].clone()
}

#[tokio::test]
async fn tags_belong_to_their_image() {
    let scene = Scene::new().await;
    scene.push("team/app:v1", b"layer").await;
    scene.push("team/app:v2", b"layer").await;
    scene.push("team/web:v3", b"layer").await;
    let image = first(&scene, &format!("{IMAGES}?name=app"), "images").await;
    assert_eq!(image["tags"], json!(["v1", "v2"]));
    let tags = format!("{IMAGES}/{}/tags", image["id"].as_str().unwrap());
    assert_eq!(scene.get(&tags).await["total_count"], 2);
    let tag = first(&scene, &format!("{tags}?name=v2"), "tags").await;
    assert_eq!((tag["name"].as_str(), &tag["image_id"]), (Some("v2"), &image["id"]));
    assert_eq!(scene.get(&format!("{TAGS}/{}", tag["id"].as_str().unwrap())).await, tag);
    let unknown = format!("{IMAGES}/00000000-0000-4000-8000-000000000000/tags");
    assert_eq!(scene.api(Method::GET, &unknown, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_deleted_tag_is_gone_but_its_manifest_can_be_pulled_by_digest() {
    let scene = Scene::new().await;
    let digest = scene.push("team/app:v1", b"layer").await;
    let image = first(&scene, IMAGES, "images").await;
    let tag = first(&scene, &format!("{IMAGES}/{}/tags", image["id"].as_str().unwrap()), "tags").await;
    let item = format!("{TAGS}/{}", tag["id"].as_str().unwrap());
    let (status, deleted) = scene.api(Method::DELETE, &item, Value::Null).await;
    assert_eq!((status, deleted["status"].as_str()), (200, Some("deleting")));
    assert_eq!(scene.api(Method::GET, &item, Value::Null).await.0, 404);
    let image = first(&scene, IMAGES, "images").await;
    assert_eq!((&image["tags"], &image["size"]), (&json!([]), &json!(0)));
    let status = async |reference: &str| {
        let path = format!("team/app/manifests/{reference}");
        scene.request(Method::GET, &path).send().await.unwrap().status().as_u16()
    };
    assert_eq!((status("v1").await, status(&digest).await), (404, 200));
}

#[tokio::test]
async fn a_deleted_image_takes_its_tags_and_contents_with_it() {
    let scene = Scene::new().await;
    let digest = scene.push("team/app:v1", b"layer").await;
    scene.push("team/web:v1", b"other").await;
    let image = first(&scene, &format!("{IMAGES}?name=app"), "images").await;
    let tag = first(&scene, &format!("{IMAGES}/{}/tags", image["id"].as_str().unwrap()), "tags").await;
    let item = format!("{IMAGES}/{}", image["id"].as_str().unwrap());
    let (status, deleted) = scene.api(Method::DELETE, &item, Value::Null).await;
    assert_eq!((status, deleted["status"].as_str()), (200, Some("deleting")));
    for path in [item, format!("{TAGS}/{}", tag["id"].as_str().unwrap())] {
        assert_eq!(scene.api(Method::GET, &path, Value::Null).await.0, 404, "{path}");
    }
    let pulled = scene.request(Method::GET, &format!("team/app/manifests/{digest}")).send().await.unwrap();
    assert_eq!(pulled.status(), 404);
    let namespace = first(&scene, NAMESPACES, "namespaces").await;
    assert_eq!((&namespace["image_count"], &namespace["size"]), (&json!(1), &json!(5)));
}

/// The provider does not ask whether a namespace is empty: it waits until it is gone.
#[tokio::test]
async fn a_namespace_is_deleted_with_its_images_and_its_name_is_free_again() {
    let scene = Scene::new().await;
    scene.push("team/app:v1", b"layer").await;
    let namespace = first(&scene, NAMESPACES, "namespaces").await;
    let item = format!("{NAMESPACES}/{}", namespace["id"].as_str().unwrap());
    let (status, deleted) = scene.api(Method::DELETE, &item, Value::Null).await;
    assert_eq!((status, deleted["status"].as_str()), (200, Some("deleting")));
    assert_eq!(scene.api(Method::GET, &item, Value::Null).await.0, 404);
    assert_eq!(scene.get(IMAGES).await["total_count"], 0);
    scene.make(NAMESPACES, json!({"name": "team"})).await;
    let pulled = scene.request(Method::GET, "team/app/manifests/v1").send().await.unwrap();
    assert_eq!(pulled.status(), 404);
}

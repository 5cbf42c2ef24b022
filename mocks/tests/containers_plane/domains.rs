//! Domains of users' own.

use reqwest::Method;
use serde_json::{Value, json};

use crate::scene::Scene;

const DOMAINS: &str = "/containers/v1/regions/fr-par/domains";

pub(crate) async fn a_domain_leads_to_its_container() {
    let scene = Scene::new().await;
    let container = scene.container(json!({})).await;
    let domain = json!({"container_id": container.id, "hostname": "Shop.example.com"});
    let domain = scene.make(DOMAINS, domain).await;
    assert_eq!(domain["status"], "ready");
    // As a tool would that is started now: with what the cloud's environment names as roots.
    let client = scene.client_of_environment();
    let told = client.get("https://shop.example.com/echo").send().await.unwrap().text().await.unwrap();
    assert!(told.contains("host: shop.example.com\n"), "{told}");
    let plain = client.get("http://shop.example.com/health").send().await.unwrap();
    assert_eq!(plain.text().await.unwrap(), "well");
    assert_eq!(client.get(format!("{}/health", container.url)).send().await.unwrap().status(), 200);
    // Other names stay others'.
    client.get("https://www.example.com/").send().await.unwrap_err();
    let path = format!("{DOMAINS}/{}", domain["id"].as_str().unwrap());
    assert_eq!(scene.api(Method::DELETE, &path, Value::Null).await.0, 200);
    client.get("https://shop.example.com/echo").send().await.unwrap_err();
    scene.end().await;
}

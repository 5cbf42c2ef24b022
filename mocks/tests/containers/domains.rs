//! Domains.

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    fixture::{CONTAINERS, DOMAINS, container, item, patch},
    support::{Fixture, faulty},
};

#[tokio::test]
async fn a_domain_tells_no_region_and_leads_to_one_container() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    let body = json!({"container_id": made["id"], "hostname": "shop.example.com", "tags": null});
    let domain = fixture.post(DOMAINS, body.clone()).await.body;
    let mut fields: Vec<&String> = domain.as_object().unwrap().keys().collect();
    fields.sort();
    let expected = ["container_id", "created_at", "error_message", "hostname", "id", "status", "tags", "updated_at"];
    assert_eq!(fields, expected);
    assert_eq!(faulty(&fixture.post(DOMAINS, body).await), ["hostname"]);
    assert_eq!(patch(&fixture, &item(DOMAINS, &domain), json!({"tags": ["t"]})).await["tags"], json!(["t"]));
    assert_eq!(fixture.send("DELETE", &item(CONTAINERS, &made), Value::Null).await.status, 200);
    let gone = fixture.get(&item(DOMAINS, &domain)).await;
    assert_eq!((gone.status, &gone.body["resource"]), (404, &json!("domain")));
}

#[rstest]
#[case("localhost")]
#[case("shop..example.com")]
#[case("-shop.example.com")]
#[case("shop.example.com/path")]
#[case("*.example.com")]
#[tokio::test]
async fn a_domain_is_a_host_name(#[case] hostname: &str) {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    let refused = fixture.post(DOMAINS, json!({"container_id": made["id"], "hostname": hostname})).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec!["hostname".to_owned()]));
}

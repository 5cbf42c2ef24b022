//! A cloud without listeners: requests go straight to the API's door.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

use std::sync::Arc;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use stackproof_cloud::{
    api::Api,
    kernel::{Catalogue, Clock, Cloud, Enforcement, Guard, Options, Product, Profile, Store},
    services::{self, Organization},
};

/// A cloud, its API and its owner.
pub struct Fixture {
    pub api: Api,
    pub cloud: Arc<Cloud>,
    pub organization: Organization,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Fixture {
    /// A cloud of all products in which nothing takes time.
    pub fn new() -> Self {
        Self::with(services::products(), Profile::Instant)
    }

    pub fn with(products: Vec<Product>, profile: Profile) -> Self {
        Self::made(products, profile, Enforcement::Enforce)
    }

    /// A cloud of all products that does this with what IAM does not allow.
    pub fn with_enforcement(enforcement: Enforcement) -> Self {
        Self::made(services::products(), Profile::Instant, enforcement)
    }

    fn made(products: Vec<Product>, profile: Profile, enforcement: Enforcement) -> Self {
        let options = Options { seed: Some(1), ..Options::default() };
        let store = Arc::new(Store::open(&options, Clock::new(profile)).unwrap());
        let organization = Organization::from_seed(1);
        services::seed(&store, &organization).unwrap();
        let catalogue = Catalogue::new(products).unwrap();
        let guard = Guard::new(services::iam::authorize, enforcement);
        let cloud = Arc::new(Cloud::new(store, catalogue, guard));
        Self { api: Api::new(Arc::clone(&cloud)).unwrap(), cloud, organization }
    }

    /// A request of the owner's.
    pub async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send_raw(method, path, &self.organization.secret_key, body.into_bytes()).await
    }

    /// A request with any token and body.
    pub async fn send_raw(&self, method: &str, path: &str, token: &str, body: Vec<u8>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        let response = self.api.handle(request.body(Body::from(body)).unwrap()).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, body).await
    }

    /// Makes something and returns its identifier.
    pub async fn make(&self, path: &str, body: Value) -> String {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 200, "POST {path}: {}", answer.body);
        answer.body["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Makes a VPC with a private network of 10.1.0.0/24 and returns both identifiers.
    pub async fn network(&self) -> (String, String) {
        let vpc = self.make("/vpc/v2/regions/fr-par/vpcs", serde_json::json!({})).await;
        let body = serde_json::json!({"vpc_id": vpc, "subnets": ["10.1.0.0/24"]});
        let network = self.make("/vpc/v2/regions/fr-par/private-networks", body).await;
        (vpc, network)
    }
}

/// The names of a refusal's faulty arguments.
pub fn faulty(answer: &Answer) -> Vec<String> {
    let details = answer.body["details"].as_array().cloned().unwrap_or_default();
    details.iter().map(|fault| fault["argument_name"].as_str().unwrap_or_default().to_owned()).collect()
}

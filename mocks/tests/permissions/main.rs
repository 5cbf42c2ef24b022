//! Who may do what: by which permission sets, under which conditions, and what is told of a denial.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod hostile;
#[path = "../support/mod.rs"]
mod support;

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{
    kernel::{Catalogue, Enforcement, Product, Profile, Resource, required},
    services,
};
use support::{Answer, Fixture, faulty};

const IAM: &str = "/iam/v1alpha1";
const SECRETS: &str = "/secret-manager/v1beta1/regions/fr-par/secrets";
const KEYS: &str = "/key-manager/v1alpha1/regions/fr-par/keys";

/// An application that holds these sets in the first project, under this condition. Returns its secret key.
async fn holder(fixture: &Fixture, sets: &[&str], condition: &str) -> String {
    let app = fixture.make(&format!("{IAM}/applications"), json!({"name": format!("a{}", sets.join(""))})).await;
    let project = &fixture.organization.id;
    let rule = json!({"permission_set_names": sets, "project_ids": [project], "condition": condition});
    let rules = if sets.is_empty() { json!([]) } else { json!([rule]) };
    fixture.make(&format!("{IAM}/policies"), json!({"name": "p", "application_id": app, "rules": rules})).await;
    let key = fixture.post(&format!("{IAM}/api-keys"), json!({"application_id": app})).await.body;
    key["secret_key"].as_str().unwrap().to_owned()
}

async fn asked(fixture: &Fixture, key: &str, request: &str) -> Answer {
    let (method, path) = request.split_once(' ').unwrap();
    let body = if method == "GET" || method == "DELETE" { Vec::new() } else { b"{}".to_vec() };
    fixture.send_raw(method, path, key, body).await
}

/// A secret with a value and a key; their paths.
async fn kept(fixture: &Fixture) -> (String, String) {
    let secret = fixture.make(SECRETS, json!({"name": "one", "path": "/app"})).await;
    fixture.post(&format!("{SECRETS}/{secret}/versions"), json!({"data": "c2VjcmV0"})).await;
    let key = fixture.make(KEYS, json!({"usage": {"symmetric_encryption": "aes_256_gcm"}})).await;
    (format!("{SECRETS}/{secret}"), format!("{KEYS}/{key}"))
}

/// What tells finer sets apart: the set, what it allows, and what it does not.
#[rstest]
#[case::metadata("SecretManagerReadOnly", "GET {secret}", "GET {secret}/versions/1/access")]
#[case::lists("SecretManagerReadOnly", "GET {secrets}", "PATCH {secret}")]
#[case::values("SecretManagerSecretAccess", "GET {secret}/versions/1/access", "GET {secret}")]
#[case::values_by_path(
    "SecretManagerSecretAccess",
    "GET /secret-manager/v1beta1/regions/fr-par/secrets-by-path/versions/1/access?secret_name=one&secret_path=/app",
    "POST {secrets}"
)]
#[case::creating("SecretManagerSecretCreate", "POST {secret}/versions", "PATCH {secret}")]
#[case::editing("SecretManagerSecretWrite", "POST {secret}/versions/1/disable", "DELETE {secret}")]
#[case::deleting("SecretManagerSecretDelete", "DELETE {secret}", "POST {secret}/restore")]
#[case::restoring("SecretManagerSecretRestore", "POST {secret}/restore", "DELETE {secret}")]
#[case::encrypting("KeyManagerKeyEncrypt", "POST {key}/encrypt", "POST {key}/decrypt")]
#[case::data_keys("KeyManagerKeyEncrypt", "POST {key}/generate-data-key", "GET {key}")]
#[case::decrypting("KeyManagerKeyDecrypt", "POST {key}/decrypt", "POST {key}/encrypt")]
#[case::signing("KeyManagerKeySign", "POST {key}/sign", "POST {key}/verify")]
#[case::verifying("KeyManagerKeyVerify", "POST {key}/verify", "POST {key}/sign")]
#[case::writing_keys("KeyManagerKeyWrite", "POST {key}/rotate", "DELETE {key}")]
#[case::making_keys("KeyManagerKeyCreate", "POST {keys}", "PATCH {key}")]
#[case::reading_keys("KeyManagerReadOnly", "GET {key}/public-key", "POST {key}/encrypt")]
#[case::all_reading("AllProductsReadOnly", "GET {secret}", "GET {secret}/versions/1/access")]
#[case::everything("AllProductsFullAccess", "GET {secret}/versions/1/access", "GET /iam/v1alpha1/applications")]
#[case::networks(
    "PrivateNetworksReadOnly",
    "GET /vpc/v2/regions/fr-par/private-networks",
    "GET /vpc/v2/regions/fr-par/vpcs"
)]
#[case::a_projects_own(
    "ObservabilityReadOnly",
    "GET /cockpit/v1/grafana",
    "POST /cockpit/v1/grafana/sync-data-sources"
)]
#[tokio::test]
async fn a_permission_set_allows_what_is_documented_and_no_more(
    #[case] set: &str,
    #[case] allowed: &str,
    #[case] denied: &str,
) {
    let fixture = Fixture::new();
    let (secret, key) = kept(&fixture).await;
    let fill = |request: &str| {
        let request = request.replace("{secrets}", SECRETS).replace("{keys}", KEYS);
        request.replace("{secret}", &secret).replace("{key}", &key)
    };
    let holder = holder(&fixture, &[set], "").await;
    let refused = asked(&fixture, &holder, &fill(denied)).await;
    assert_eq!((refused.status, &refused.body["type"]), (403, &json!("permissions_denied")), "{denied}");
    let answer = asked(&fixture, &holder, &fill(allowed)).await;
    assert_ne!(answer.status, 403, "{allowed}: {}", answer.body);
    assert!(answer.status < 500, "{}", answer.body);
}

/// What is organisation-wide for all products does not reach IAM's rules: nobody can grant himself more by it.
#[tokio::test]
async fn all_products_do_not_include_iam() {
    let fixture = Fixture::new();
    let app = fixture.make(&format!("{IAM}/applications"), json!({"name": "a"})).await;
    let rule = json!({"permission_set_names": ["AllProductsFullAccess"], "organization_id": fixture.organization.id});
    let policy = json!({"name": "p", "application_id": app, "rules": [rule]});
    let policy = fixture.make(&format!("{IAM}/policies"), policy).await;
    let key = fixture.post(&format!("{IAM}/api-keys"), json!({"application_id": app})).await.body;
    let key = key["secret_key"].as_str().unwrap();
    let body = json!({"policy_id": policy, "rules": []}).to_string().into_bytes();
    assert_eq!(fixture.send_raw("PUT", &format!("{IAM}/rules"), key, body).await.status, 403);
    assert_eq!(asked(&fixture, key, &format!("GET {IAM}/rules?policy_id={policy}")).await.status, 403);
    assert_eq!(asked(&fixture, key, &format!("GET {SECRETS}")).await.status, 200);
}

#[rstest]
#[case::met("request.user_agent == '' && request.ip == '127.0.0.1'", 200)]
#[case::not_met("request.user_agent.contains('terraform/')", 403)]
#[case::not_evaluable("request.nothing == 1", 403)]
#[case::the_folder("resource.name.startsWith('/app/')", 200)]
#[case::another_folder("resource.name.startsWith('/other/')", 403)]
#[case::time("request.time.getFullYear() > 2000", 200)]
#[tokio::test]
async fn a_rule_grants_where_its_condition_is_met(#[case] condition: &str, #[case] status: u16) {
    let fixture = Fixture::new();
    let (secret, _) = kept(&fixture).await;
    let key = holder(&fixture, &["SecretManagerReadOnly"], condition).await;
    assert_eq!(asked(&fixture, &key, &format!("GET {secret}")).await.status, status);
    assert_eq!(asked(&fixture, &key, &format!("GET {secret}/versions")).await.status, status);
}

#[tokio::test]
async fn a_list_meets_no_condition_on_a_resource_unless_it_says_so() {
    let fixture = Fixture::new();
    kept(&fixture).await;
    let strict = holder(&fixture, &["SecretManagerReadOnly"], "resource.name.startsWith('/app/')").await;
    assert_eq!(asked(&fixture, &strict, &format!("GET {SECRETS}")).await.status, 403);
    let condition = "resource.name.startsWith('/app/') || !has(resource.id)";
    let lists = holder(&fixture, &["SecretManagerReadOnly"], condition).await;
    assert_eq!(asked(&fixture, &lists, &format!("GET {SECRETS}")).await.status, 200);
}

#[rstest]
#[case("request.ip ==")]
#[case("((((")]
#[case("a b c")]
#[tokio::test]
async fn a_condition_that_is_no_expression_is_refused(#[case] condition: &str) {
    let fixture = Fixture::new();
    let sets = json!(["VPCReadOnly"]);
    let rule = json!({"permission_set_names": sets, "project_ids": [fixture.organization.id], "condition": condition});
    let policy = json!({"name": "p", "no_principal": true, "rules": [rule]});
    let answer = fixture.post(&format!("{IAM}/policies"), policy).await;
    assert_eq!((answer.status, faulty(&answer)), (400, vec!["rules.0.condition".to_owned()]));
}

#[tokio::test]
async fn a_denial_explains_itself_to_the_one_who_runs_the_cloud_and_to_nobody_else() {
    let fixture = Fixture::new();
    let (secret, _) = kept(&fixture).await;
    let key = holder(&fixture, &["SecretManagerReadOnly"], "").await;
    let answer = asked(&fixture, &key, &format!("GET {secret}/versions/1/access")).await;
    let details = json!([{"action": "read", "resource": "version"}]);
    let expected = json!({"details": details, "message": "insufficient permissions", "type": "permissions_denied"});
    assert_eq!((answer.status, answer.body), (403, expected));
    let denials = fixture.cloud.guard().denials();
    let [denial] = &denials[..] else { panic!("{denials:?}") };
    assert_eq!((denial.principal.as_str(), denial.principal_name.as_str()), ("application", "aSecretManagerReadOnly"));
    assert_eq!(denial.allowed_by, ["SecretManagerSecretAccess", "SecretManagerFullAccess", "AllProductsFullAccess"]);
    assert_eq!(denial.project_id.as_ref(), Some(&fixture.organization.id));
    assert!(denial.enforced && denial.resource.starts_with("secret.secret "), "{denial}");
    let told = denial.to_string();
    assert!(told.contains("may not GET /secret-manager/") && !told.contains(&key), "{told}");
}

#[tokio::test]
async fn softly_what_is_not_allowed_is_let_through_and_told() {
    let fixture = Fixture::with_enforcement(Enforcement::Soft);
    let (secret, _) = kept(&fixture).await;
    let key = holder(&fixture, &[], "").await;
    assert_eq!(asked(&fixture, &key, &format!("GET {secret}/versions/1/access")).await.status, 200);
    let listed = asked(&fixture, &key, &format!("GET {SECRETS}")).await;
    assert_eq!((listed.status, &listed.body["total_count"]), (200, &json!(1)));
    assert_eq!(asked(&fixture, "nobody's key", &format!("GET {SECRETS}")).await.status, 401);
    let denials = fixture.cloud.guard().denials();
    assert_eq!(denials.iter().map(|denial| denial.enforced).collect::<Vec<_>>(), [false, false]);
}

#[tokio::test]
async fn what_was_called_is_counted_by_principal_action_and_project() {
    let fixture = Fixture::new();
    let (secret, _) = kept(&fixture).await;
    let key = holder(&fixture, &["SecretManagerReadOnly"], "").await;
    fixture.cloud.guard().forget();
    for request in [format!("GET {secret}"), format!("GET {secret}"), format!("DELETE {secret}")] {
        asked(&fixture, &key, &request).await;
    }
    let observed = fixture.cloud.guard().observed();
    let [one] = &observed[..] else { panic!("{observed:?}") };
    let counts: Vec<(&str, u64, u64)> =
        one.calls.iter().map(|call| (call.action.split(' ').next().unwrap(), call.allowed, call.denied)).collect();
    assert_eq!(counts, [("DELETE", 0, 1), ("GET", 2, 0)]);
    assert!(one.calls.iter().all(|call| call.project_id.as_ref() == Some(&fixture.organization.id)));
    assert!(one.calls[1].allowed_by.contains(&"SecretManagerReadOnly".to_owned()));
}

fn product(resource: Resource) -> Vec<Product> {
    vec![Product { name: "tea", title: "Tea", resources: vec![resource] }]
}

/// A route that nothing allows is a mistake in a declaration, and no cloud starts with it.
#[test]
fn a_route_without_permission_sets_cannot_be_declared() {
    let tea = || Resource::new("tea.cup").at("/tea/v1/cups/{cup_id}").fields([required("name").text(1..=20)]);
    let fault = |resource| Catalogue::new(product(resource)).err().unwrap_or_default();
    assert_eq!(fault(tea()), "tea.cup declares no permission sets for POST /tea/v1/cups");
    assert_eq!(
        fault(tea().permissions(&["TeaReadOnly"], &[])),
        "tea.cup declares no permission sets for POST /tea/v1/cups"
    );
    let unknown = tea().permissions(&["TeaReadOnly"], &["TeaFullAccess"]).allowing(&["drink"], &["TeaDrink"]);
    assert!(fault(unknown).contains("no route drink"));
    let nothing = tea().permissions(&["TeaReadOnly"], &["TeaFullAccess"]).allowing(&["DELETE"], &[]);
    assert_eq!(fault(nothing), "tea.cup declares no permission sets for DELETE /tea/v1/cups/{cup_id}");
    assert_eq!(fault(tea().permissions(&["TeaReadOnly"], &["TeaFullAccess"])), "");
}

/// Every route of every product is allowed by somebody, and none by whoever holds nothing.
#[tokio::test]
async fn no_route_is_open_to_whoever_holds_nothing() {
    let fixture = Fixture::with(services::products(), Profile::Instant);
    let key = holder(&fixture, &[], "").await;
    let nothing = "00000000-0000-4000-8000-000000000000";
    let mut tried = 0;
    for resource in fixture.cloud.catalogue().resources() {
        for route in resource.all_routes() {
            let path: Vec<&str> = route
                .path
                .split('/')
                .map(|part| match part {
                    "{region}" => "fr-par",
                    "{zone}" => "fr-par-1",
                    part if part.starts_with('{') => nothing,
                    part => part,
                })
                .collect();
            let body = if route.method == "GET" { Vec::new() } else { b"{}".to_vec() };
            let answer = fixture.send_raw(route.method, &path.join("/"), &key, body).await;
            // What a whole list belongs to has to be said before it can be looked for.
            let unsaid = answer.status == 400 && route.path.ends_with("/rules");
            assert!(answer.status == 403 || unsaid, "{route:?} answered {}: {}", answer.status, answer.body);
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}

/// A value of a rule that is no text is no reason to fail.
#[tokio::test]
async fn a_rule_of_nonsense_is_refused() {
    let fixture = Fixture::new();
    for rules in
        [json!([1]), json!("x"), json!([{"permission_set_names": [1]}]), json!([{"condition": 1}]), Value::Bool(true)]
    {
        let policy = json!({"name": "p", "no_principal": true, "rules": rules});
        let answer = fixture.post(&format!("{IAM}/policies"), policy).await;
        assert_eq!(answer.status, 400, "{rules}: {}", answer.body);
    }
}

//! IAM as clients meet it: principals, groups, keys, policies.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};
use support::{Fixture, faulty};

const IAM: &str = "/iam/v1alpha1";
const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICJEoOOgQBLJPs4g/XcPTKT82NywNPpxeuA20FlOPlpO";
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDNo0uGxqTRVC+3eKSjlsf3zCnZ+kaCrSaMpaqVUT8jEZ9KAl3sPWEB2OpnPS04ipbpX9QDX6JQvWBmwSoFQ/tqPP6lmGcKpUhz8RSPIA8PmsFgZJdIV5pFQ6XHLKwcPHAwA+nnpx1ISlyQCMrNWyXxsoCZ5cMAW2AFU1VI3v0wCw==";

async fn application(fixture: &Fixture, name: &str) -> String {
    fixture.make(&format!("{IAM}/applications"), json!({"name": name})).await
}

async fn user(fixture: &Fixture, name: &str) -> String {
    let member = json!({"email": format!("{name}@example.com"), "username": name});
    fixture.make(&format!("{IAM}/users"), json!({"member": member})).await
}

#[rstest]
#[case::ed25519(ED25519, 256)]
#[case::rsa(RSA, 1024)]
#[tokio::test]
async fn an_ssh_key_loses_its_comment_and_gets_a_fingerprint(#[case] key: &str, #[case] bits: u32) {
    let fixture = Fixture::new();
    let body = json!({"name": "laptop", "public_key": format!("{key} me@laptop\n")});
    let made = fixture.post(&format!("{IAM}/ssh-keys"), body).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(made.body["public_key"], key);
    let fingerprint = made.body["fingerprint"].as_str().unwrap();
    assert!(fingerprint.starts_with(&format!("{bits} MD5:")), "{fingerprint}");
    assert!(fingerprint.ends_with(&format!("({})", key.split(' ').next().unwrap())), "{fingerprint}");
    let path = format!("{IAM}/ssh-keys/{}", made.body["id"].as_str().unwrap());
    assert_eq!(fixture.send("PATCH", &path, json!({"disabled": true})).await.body["disabled"], true);
    assert_eq!(fixture.get(&format!("{IAM}/ssh-keys?disabled=false")).await.body["total_count"], 0);
    assert_eq!(fixture.get(&format!("{IAM}/ssh-keys?name=lap")).await.body["total_count"], 1);
}

#[tokio::test]
async fn the_fingerprint_is_the_one_that_was_recorded() {
    let made = Fixture::new().post(&format!("{IAM}/ssh-keys"), json!({"public_key": ED25519})).await;
    assert_eq!(made.body["fingerprint"], "256 MD5:6b:cd:72:8a:ae:45:24:4b:2b:72:f6:d0:6a:8d:16:06 (ssh-ed25519)");
}

#[rstest]
#[case::nonsense("hello")]
#[case::another_type_inside(&ED25519.replacen("ssh-ed25519", "ssh-rsa", 1))]
#[case::cut_short("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==")]
#[tokio::test]
async fn what_is_no_public_key_is_refused(#[case] key: &str) {
    let answer = Fixture::new().post(&format!("{IAM}/ssh-keys"), json!({"public_key": key})).await;
    assert_eq!((answer.status, faulty(&answer)), (400, vec!["public_key".to_owned()]));
}

#[tokio::test]
async fn members_of_a_group_come_and_go() {
    let fixture = Fixture::new();
    let (app, other, person) =
        (application(&fixture, "a").await, application(&fixture, "b").await, user(&fixture, "ada").await);
    let group = fixture.make(&format!("{IAM}/groups"), json!({"name": "g"})).await;
    let path = format!("{IAM}/groups/{group}");
    let members = async |verb: &str, body: Value| {
        let answer = fixture.post(&format!("{path}/{verb}"), body).await;
        (answer.status, answer.body["user_ids"].clone(), answer.body["application_ids"].clone())
    };
    assert_eq!(members("add-member", json!({"application_id": app})).await, (200, json!([]), json!([app])));
    assert_eq!(members("add-member", json!({"application_id": app})).await, (200, json!([]), json!([app])));
    let more = json!({"application_ids": [other], "user_ids": [person]});
    assert_eq!(members("add-members", more).await, (200, json!([person]), json!([app, other])));
    assert_eq!(members("remove-member", json!({"application_id": app})).await, (200, json!([person]), json!([other])));
    let again = fixture.post(&format!("{path}/remove-member"), json!({"application_id": app})).await;
    assert_eq!((again.status, &again.body["resource"]), (404, &json!("")));
    let both = fixture.post(&format!("{path}/add-member"), json!({"application_id": app, "user_id": person})).await;
    assert_eq!((both.status, faulty(&both)), (400, vec!["member".to_owned()]));
    let whole =
        fixture.send("PUT", &format!("{path}/members"), json!({"user_ids": [], "application_ids": [app]})).await;
    assert_eq!((&whole.body["user_ids"], &whole.body["application_ids"]), (&json!([]), &json!([app])));
    let unknown = fixture.post(&format!("{path}/add-member"), json!({"user_id": group})).await;
    assert_eq!((unknown.status, &unknown.body["resource"]), (404, &json!("user")));
}

#[tokio::test]
async fn who_goes_leaves_groups_keys_and_policies() {
    let fixture = Fixture::new();
    let app = application(&fixture, "a").await;
    let group = fixture.make(&format!("{IAM}/groups"), json!({"name": "g"})).await;
    fixture.post(&format!("{IAM}/groups/{group}/add-member"), json!({"application_id": app})).await;
    let policy = fixture.make(&format!("{IAM}/policies"), json!({"name": "p", "application_id": app})).await;
    let key = fixture.post(&format!("{IAM}/api-keys"), json!({"application_id": app})).await.body;
    assert_eq!(fixture.get(&format!("{IAM}/applications/{app}")).await.body["nb_api_keys"], 1);
    assert_eq!(fixture.send("DELETE", &format!("{IAM}/applications/{app}"), Value::Null).await.status, 204);
    assert_eq!(fixture.get(&format!("{IAM}/groups/{group}")).await.body["application_ids"], json!([]));
    let policy = fixture.get(&format!("{IAM}/policies/{policy}")).await.body;
    assert_eq!((&policy["no_principal"], policy.get("application_id")), (&json!(true), None));
    let key = key["access_key"].as_str().unwrap();
    assert_eq!(fixture.get(&format!("{IAM}/api-keys/{key}")).await.status, 404);
}

#[tokio::test]
async fn a_member_is_answered_flat_and_can_be_renamed() {
    let fixture = Fixture::new();
    let member = json!({
        "email": "ada@example.com", "username": "ada", "password": "Str0ng-enough!", "first_name": "Ada",
        "last_name": "L", "phone_number": "", "locale": "",
    });
    let made = fixture.post(&format!("{IAM}/users"), json!({"tags": ["t"], "member": member})).await.body;
    assert_eq!(
        (&made["username"], &made["first_name"], &made["locale"]),
        (&json!("ada"), &json!("Ada"), &json!("en_US"))
    );
    assert_eq!((made.get("member"), made.get("password")), (None, None));
    let path = format!("{IAM}/users/{}", made["id"].as_str().unwrap());
    let changed =
        fixture.send("PATCH", &path, json!({"email": "a@example.org", "first_name": "", "locale": "fr_FR"})).await;
    assert_eq!((&changed.body["email"], &changed.body["first_name"]), (&json!("a@example.org"), &json!("")));
    let renamed = fixture.post(&format!("{path}/update-username"), json!({"username": "countess"})).await;
    assert_eq!(renamed.body["username"], "countess");
    let taken = fixture.post(&format!("{path}/update-username"), json!({"username": "owner"})).await;
    assert_eq!((taken.status, faulty(&taken)), (400, vec!["username".to_owned()]));
}

#[tokio::test]
async fn a_guest_is_invited_and_the_owner_stays() {
    let fixture = Fixture::new();
    let guest = fixture.post(&format!("{IAM}/users"), json!({"email": "guest@example.com"})).await.body;
    assert_eq!((&guest["status"], &guest["username"]), (&json!("invitation_pending"), &json!("guest@example.com")));
    let neither = fixture.post(&format!("{IAM}/users"), json!({"tags": []})).await;
    assert_eq!((neither.status, faulty(&neither)), (400, vec!["member".to_owned()]));
    let owner = format!("{IAM}/users/{}", fixture.organization.owner_id);
    assert_eq!(fixture.send("DELETE", &owner, Value::Null).await.status, 412);
}

#[rstest]
#[case::by_user("/iam/v1alpha1/users?user_ids={user}", 1)]
#[case::by_type("/iam/v1alpha1/users?type=owner", 1)]
#[case::unknown_type_is_none("/iam/v1alpha1/users?type=unknown_type", 2)]
#[case::by_application("/iam/v1alpha1/applications?application_ids={app}&application_ids={user}", 1)]
#[case::by_part_of_a_tag("/iam/v1alpha1/applications?tag=lu", 1)]
#[case::by_another_tag("/iam/v1alpha1/applications?tag=red", 0)]
#[case::keys_of_a_bearer("/iam/v1alpha1/api-keys?bearer_id={app}", 1)]
#[case::keys_of_applications("/iam/v1alpha1/api-keys?bearer_type=application", 1)]
#[case::keys_of_users("/iam/v1alpha1/api-keys?bearer_type=user", 1)]
#[case::groups_with_somebody("/iam/v1alpha1/groups?application_ids={app}", 1)]
#[case::groups_without_him("/iam/v1alpha1/groups?user_ids={user}", 0)]
#[case::policies_by_name("/iam/v1alpha1/policies?policy_name=pol&order_by=policy_name_asc", 1)]
#[case::policies_for_nobody("/iam/v1alpha1/policies?no_principal=true", 0)]
#[case::policies_of("/iam/v1alpha1/policies?application_ids={app}", 1)]
#[case::no_tokens("/iam/v1alpha1/jwts?audience_id={user}", 0)]
#[tokio::test]
async fn lists_show_what_was_asked_for(#[case] path: &str, #[case] found: u64) {
    let fixture = Fixture::new();
    let app = fixture.make(&format!("{IAM}/applications"), json!({"name": "a", "tags": ["blue"]})).await;
    let user = user(&fixture, "ada").await;
    let group = fixture.make(&format!("{IAM}/groups"), json!({"name": "g"})).await;
    fixture.post(&format!("{IAM}/groups/{group}/add-member"), json!({"application_id": app})).await;
    fixture.make(&format!("{IAM}/policies"), json!({"name": "policy", "application_id": app})).await;
    fixture.post(&format!("{IAM}/api-keys"), json!({"application_id": app})).await;
    let answer = fixture.get(&path.replace("{app}", &app).replace("{user}", &user)).await;
    assert_eq!((answer.status, answer.body["total_count"].as_u64()), (200, Some(found)), "{}", answer.body);
}

#[rstest]
#[case::unknown(json!(["VPCReadOnly", "MoonFullAccess"]), "project", Some("rules.0.permission_set_names"))]
#[case::none(json!([]), "project", Some("rules.0.permission_set_names"))]
#[case::two_scopes(json!(["VPCReadOnly", "IAMReadOnly"]), "organization", Some("rules.0.permission_set_names"))]
#[case::of_organization_for_a_project(json!(["IAMManager"]), "project", Some("rules.0.project_ids"))]
#[case::of_projects_for_all_projects(json!(["VPCReadOnly"]), "organization", None)]
#[case::of_projects_for_one(json!(["VPCReadOnly", "AllProductsReadOnly"]), "project", None)]
#[tokio::test]
async fn a_policy_names_permission_sets_that_exist(
    #[case] names: Value,
    #[case] scope: &str,
    #[case] fault: Option<&str>,
) {
    let fixture = Fixture::new();
    let id = &fixture.organization.id;
    let rule = match scope {
        "project" => json!({"permission_set_names": names, "project_ids": [id]}),
        _ => json!({"permission_set_names": names, "organization_id": id}),
    };
    let answer =
        fixture.post(&format!("{IAM}/policies"), json!({"name": "p", "no_principal": true, "rules": [rule]})).await;
    match fault {
        None => {
            assert_eq!(answer.status, 200, "{}", answer.body);
            let rules = fixture.get(&format!("{IAM}/rules?policy_id={}", answer.body["id"].as_str().unwrap())).await;
            assert_eq!(rules.body["rules"][0]["permission_sets_scope_type"], "projects");
        }
        Some(argument) => assert_eq!((answer.status, faulty(&answer)), (400, vec![argument.to_owned()])),
    }
}

async fn permission_sets(fixture: &Fixture) -> Vec<Value> {
    let mut sets = Vec::new();
    for page in 1..=3 {
        let path = format!("{IAM}/permission-sets?page={page}&page_size=100&order_by=name_asc");
        sets.extend(fixture.get(&path).await.body["permission_sets"].as_array().unwrap().clone());
    }
    sets
}

#[tokio::test]
async fn permission_sets_are_listed_by_name_with_identifiers_of_their_own() {
    let fixture = Fixture::new();
    let sets = permission_sets(&fixture).await;
    let total = fixture.get(&format!("{IAM}/permission-sets")).await.body["total_count"].as_u64().unwrap();
    assert_eq!(u64::try_from(sets.len()).unwrap(), total);
    let column = |field: &str| sets.iter().map(|set| set[field].as_str().unwrap()).collect::<Vec<_>>();
    assert!(column("name").is_sorted());
    let ids: std::collections::BTreeSet<_> = column("id").into_iter().collect();
    assert_eq!(ids.len(), sets.len());
    assert!(ids.iter().all(|id| stackproof_cloud::kernel::is_uuid(id)));
    let iam = sets.iter().find(|set| set["name"] == "IAMManager").unwrap();
    assert_eq!(iam["scope_type"], "organization");
}

/// A resource type that asks for a permission set no policy can name would be for its owner only.
#[tokio::test]
async fn every_permission_set_that_a_route_asks_for_exists() {
    let fixture = Fixture::with(services::products(), Profile::Instant);
    let sets = permission_sets(&fixture).await;
    for resource in fixture.cloud.catalogue().resources() {
        for route in resource.all_routes() {
            for name in fixture.cloud.catalogue().allowed_by(resource, &route).names() {
                assert!(sets.iter().any(|set| set["name"] == name), "{route:?} asks for {name}");
            }
        }
    }
}

#[tokio::test]
async fn members_named_in_the_seed_are_there_from_the_beginning() {
    let mut organization = services::Organization::from_seed(5);
    let id = "84d20ae1-9650-419a-ab74-7ab09b6262e0".to_owned();
    organization.members.push(services::Member { id: id.clone(), email: "dev@example.com".into() });
    let fixture = Fixture::new();
    services::seed(fixture.cloud.store(), &organization).unwrap();
    let path = format!("{IAM}/users/{id}");
    let answer = fixture.send_raw("GET", &path, &organization.secret_key, vec![]).await;
    assert_eq!((answer.status, &answer.body["username"]), (200, &json!("dev@example.com")));
    assert_eq!(fixture.get(&path).await.status, 404);
}

#[tokio::test]
async fn saml_is_complete_step_by_step() {
    let fixture = Fixture::new();
    let organization = &fixture.organization.id;
    let of_organization = format!("{IAM}/organizations/{organization}/saml");
    let off = fixture.get(&of_organization).await;
    assert_eq!((off.status, &off.body["resource"]), (404, &json!("organization_saml")));
    let made = fixture.post(&of_organization, json!({})).await.body;
    assert_eq!((&made["status"], made.get("organization_id")), (&json!("missing_certificate"), None));
    let id = made["id"].as_str().unwrap();
    let certificates = format!("{IAM}/saml/{id}/certificates");
    let wrong = fixture.post(&certificates, json!({"type": "signing", "content": "hello"})).await;
    assert_eq!((wrong.status, faulty(&wrong)), (400, vec!["content".to_owned()]));
    let pem = rcgen_certificate(&fixture).await;
    let added = fixture.post(&certificates, json!({"type": "signing", "content": pem})).await.body;
    assert_eq!((&added["origin"], &added["content"]), (&json!("identity_provider"), &json!(pem)));
    assert!(added["expires_at"].as_str().unwrap().ends_with('Z'));
    let status = async || fixture.get(&of_organization).await.body["status"].clone();
    assert_eq!(status().await, "missing_entity_id");
    let path = format!("{IAM}/saml/{id}");
    fixture.send("PATCH", &path, json!({"entity_id": "https://idp.example.com"})).await;
    assert_eq!(status().await, "missing_single_sign_on_url");
    fixture.send("PATCH", &path, json!({"single_sign_on_url": "https://idp.example.com/in"})).await;
    assert_eq!(status().await, "valid");
    let certificate = format!("{IAM}/saml-certificates/{}", added["id"].as_str().unwrap());
    assert_eq!(fixture.send("DELETE", &certificate, Value::Null).await.status, 204);
    assert_eq!(status().await, "missing_certificate");
    fixture.post(&certificates, json!({"type": "signing", "content": pem})).await;
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(fixture.get(&of_organization).await.status, 404);
    assert_eq!(fixture.get(&certificates).await.status, 404);
}

/// Some certificate: that of a database.
async fn rcgen_certificate(fixture: &Fixture) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let body = json!({"name": "d", "engine": "PostgreSQL-16", "node_type": "db-dev-s"});
    let id = fixture.make("/rdb/v1/regions/fr-par/instances", body).await;
    let file = fixture.get(&format!("/rdb/v1/regions/fr-par/instances/{id}/certificate")).await.body;
    String::from_utf8(STANDARD.decode(file["content"].as_str().unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn scim_tokens_are_told_once() {
    let fixture = Fixture::new();
    let of_organization = format!("{IAM}/organizations/{}/scim", fixture.organization.id);
    assert_eq!(fixture.get(&of_organization).await.body["resource"], "organization_scim");
    let scim = fixture.make(&of_organization, json!({})).await;
    assert_eq!(fixture.make(&of_organization, json!({})).await, scim, "there is one");
    let tokens = format!("{IAM}/scim/{scim}/tokens");
    let made = fixture.post(&tokens, Value::Null).await.body;
    assert!(made["bearer_token"].as_str().unwrap().len() > 64);
    let listed = fixture.get(&format!("{tokens}?order_by=created_at_asc")).await.body;
    assert_eq!((&listed["total_count"], &listed["scim_tokens"][0]), (&json!(1), &made["token"]));
    let token = format!("{IAM}/scim-tokens/{}", made["token"]["id"].as_str().unwrap());
    assert_eq!(fixture.send("DELETE", &token, Value::Null).await.status, 204);
    assert_eq!(fixture.get(&tokens).await.body["total_count"], 0);
    assert_eq!(fixture.send("DELETE", &format!("{IAM}/scim/{scim}"), Value::Null).await.status, 204);
    let other = fixture.post(&format!("{IAM}/organizations/{scim}/scim"), json!({})).await;
    assert_eq!((other.status, &other.body["resource"]), (404, &json!("organization")));
}

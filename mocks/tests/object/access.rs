//! Who may do what: keys, signatures, permission sets, policies, ACLs.

use aws_sdk_s3::types::{BucketCannedAcl, ObjectCannedAcl};
use axum::body::Body;
use http::Request;
use rstest::rstest;
use serde_json::json;

use crate::fixture::{Fixture, OWNER, OWNER_ID, READER, READER_ID, SECOND_PROJECT, STRANGER, Signed, code, refused};

const HOST: &str = "box.s3.fr-par.scw.cloud";

fn anonymous(method: &str, target: &str) -> Request<Body> {
    Request::builder().method(method).uri(target).header("host", HOST).body(Body::empty()).unwrap()
}

fn policy(principal: &serde_json::Value, actions: &[&str]) -> String {
    let statement = json!({"Sid": "one", "Effect": "Allow", "Principal": principal, "Action": actions, "Resource": ["box", "box/*"]});
    json!({"Version": "2023-04-17", "Id": "test", "Statement": [statement]}).to_string()
}

#[rstest]
#[case::wrong_secret("SCWOWNER000000000000", "guess", 0, "SignatureDoesNotMatch")]
#[case::unknown_key("SCWNOBODY00000000000", "guess", 0, "InvalidAccessKeyId")]
#[case::too_old(OWNER.0, OWNER.1, -16 * 60, "RequestTimeTooSkewed")]
#[case::too_new(OWNER.0, OWNER.1, 16 * 60, "RequestTimeTooSkewed")]
#[tokio::test]
async fn a_bad_signature_is_refused(#[case] key: &str, #[case] secret: &str, #[case] skew: i64, #[case] code: &str) {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    let mut request = Signed::new("GET", HOST, "/");
    (request.access_key, request.secret) = (key.into(), secret.into());
    request.at += time::Duration::seconds(skew);
    let answer = fixture.send(request.body("")).await;
    assert_eq!((answer.status, answer.element("Code")), (403, Some(code)), "{}", answer.body);
}

#[tokio::test]
async fn a_slightly_wrong_clock_and_both_forms_of_a_key_are_fine() {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    let mut request = Signed::new("GET", HOST, "/").header("accept-encoding", "identity");
    request.at -= time::Duration::minutes(14);
    request.access_key = format!("{}@{}", OWNER.0, crate::fixture::PROJECT);
    assert_eq!(fixture.send(request.body("")).await.status, 200);
    let mut other = Signed::new("GET", HOST, "/");
    other.access_key = format!("{}@{SECOND_PROJECT}", OWNER.0);
    let answer = fixture.send(other.body("")).await;
    assert_eq!(
        (answer.status, answer.element("Code")),
        (403, Some("AccessDenied")),
        "the bucket is of another project"
    );
}

#[tokio::test]
async fn permission_sets_decide_what_a_key_may_do() {
    let fixture = Fixture::new().await;
    let owner = fixture.with_bucket("box").await;
    owner.put_object().bucket("box").key("k").send().await.unwrap();
    let reader = fixture.client_of(READER.0, READER.1, "fr-par");
    reader.get_object().bucket("box").key("k").send().await.unwrap();
    reader.list_objects_v2().bucket("box").send().await.unwrap();
    assert_eq!(refused(reader.put_object().bucket("box").key("k").send().await), code("AccessDenied", 403));
    assert_eq!(refused(reader.delete_object().bucket("box").key("k").send().await), code("AccessDenied", 403));
    assert_eq!(refused(reader.delete_bucket().bucket("box").send().await), code("AccessDenied", 403));
    assert_eq!(refused(reader.create_bucket().bucket("new").send().await), code("AccessDenied", 403));
    assert_eq!(refused(reader.list_buckets().send().await), code("AccessDenied", 403));
    assert_eq!(refused(reader.get_bucket_policy().bucket("box").send().await), code("AccessDenied", 403));
    let stranger = fixture.client_of(STRANGER.0, STRANGER.1, "fr-par");
    assert_eq!(refused(stranger.get_object().bucket("box").key("k").send().await), code("AccessDenied", 403));
}

#[tokio::test]
async fn a_policy_allows_only_what_it_names_and_the_owner_keeps_the_policy() {
    let fixture = Fixture::new().await;
    let owner = fixture.with_bucket("box").await;
    owner.put_object().bucket("box").key("k").send().await.unwrap();
    let reader = fixture.client_of(READER.0, READER.1, "fr-par");
    let text = policy(&json!({"SCW": format!("application_id:{READER_ID}")}), &["s3:GetObject"]);
    owner.put_bucket_policy().bucket("box").policy(&text).send().await.unwrap();
    reader.get_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(refused(reader.list_objects_v2().bucket("box").send().await), code("AccessDenied", 403));
    assert_eq!(refused(owner.get_object().bucket("box").key("k").send().await), code("AccessDenied", 403));
    assert_eq!(fixture.send(anonymous("GET", "/k")).await.status, 403);
    assert_eq!(owner.get_bucket_policy().bucket("box").send().await.unwrap().policy(), Some(text.as_str()));

    let text =
        policy(&json!({"SCW": [format!("user_id:{OWNER_ID}"), format!("application_id:{READER_ID}")]}), &["s3:*"]);
    owner.put_bucket_policy().bucket("box").policy(text).send().await.unwrap();
    owner.get_object().bucket("box").key("k").send().await.unwrap();
    let put = reader.put_object().bucket("box").key("k").send().await;
    assert_eq!(refused(put), code("AccessDenied", 403), "IAM must allow it, too");

    owner.delete_bucket_policy().bucket("box").send().await.unwrap();
    owner.list_objects_v2().bucket("box").send().await.unwrap();
}

#[tokio::test]
async fn under_the_old_version_the_project_keeps_what_iam_gives_it() {
    let fixture = Fixture::new().await;
    let owner = fixture.with_bucket("box").await;
    let actions = ["s3:ListBucket", "s3:GetObject"];
    let text = policy(&json!({"SCW": "*"}), &actions).replace("2023-04-17", "2012-10-17");
    owner.put_bucket_policy().bucket("box").policy(&text).send().await.unwrap();
    owner.put_object().bucket("box").key("k").send().await.unwrap();
    owner.get_bucket_acl().bucket("box").send().await.unwrap();
    assert_eq!(fixture.send(anonymous("GET", "/k")).await.status, 200);
    assert_eq!(fixture.send(anonymous("PUT", "/k")).await.status, 403);
    let told = owner.get_bucket_policy().bucket("box").send().await.unwrap();
    let told: serde_json::Value = serde_json::from_str(told.policy().unwrap()).unwrap();
    assert_eq!(told["Statement"][0]["Action"], json!(["s3:GetObject", "s3:ListBucket"]), "recorded: in order");
}

#[tokio::test]
async fn a_policy_for_everybody_opens_the_bucket_and_a_denial_wins() {
    let fixture = Fixture::new().await;
    let owner = fixture.with_bucket("box").await;
    for key in ["public/k", "private/k"] {
        owner.put_object().bucket("box").key(key).body(b"hello".to_vec().into()).send().await.unwrap();
    }
    let text = json!({"Version": "2023-04-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "box/*"},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "box/private/*"},
    ]});
    owner.put_bucket_policy().bucket("box").policy(text.to_string()).send().await.unwrap();
    assert_eq!(fixture.send(anonymous("GET", "/public/k")).await.body, "hello");
    assert_eq!(fixture.send(anonymous("GET", "/private/k")).await.status, 403);
    assert_eq!(fixture.send(anonymous("GET", "/")).await.status, 403);
    let stranger = fixture.client_of(STRANGER.0, STRANGER.1, "fr-par");
    stranger.get_object().bucket("box").key("public/k").send().await.unwrap();
    assert_eq!(refused(owner.get_object().bucket("box").key("private/k").send().await), code("AccessDenied", 403));
}

#[tokio::test]
async fn objects_that_may_not_be_deleted_stay_when_many_are() {
    let fixture = Fixture::new().await;
    let owner = fixture.with_bucket("box").await;
    for key in ["a", "keep/b"] {
        owner.put_object().bucket("box").key(key).send().await.unwrap();
    }
    let everything = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": ["box", "box/*"]});
    let keep = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "box/keep/*"});
    let text = json!({"Version": "2023-04-17", "Statement": [everything, keep]}).to_string();
    owner.put_bucket_policy().bucket("box").policy(text).send().await.unwrap();
    let body = "<Delete><Object><Key>a</Key></Object><Object><Key>keep/b</Key></Object></Delete>";
    let answer = fixture.signed("POST", HOST, "/?delete", body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("<Deleted><Key>a</Key></Deleted>"), "{}", answer.body);
    assert_eq!(answer.element("Code"), Some("AccessDenied"));
    assert_eq!(owner.list_objects_v2().bucket("box").send().await.unwrap().contents().len(), 1);
}

#[tokio::test]
async fn a_malformed_policy_is_refused_and_the_old_one_stays() {
    let fixture = Fixture::new().await;
    let owner = fixture.with_bucket("box").await;
    let good = policy(&json!("*"), &["s3:GetObject"]);
    owner.put_bucket_policy().bucket("box").policy(&good).send().await.unwrap();
    let bad = policy(&json!("*"), &["s3:HeadObject"]);
    assert_eq!(refused(owner.put_bucket_policy().bucket("box").policy(bad).send().await), code("MalformedPolicy", 400));
    let told = fixture.signed("GET", HOST, "/?policy", "").await;
    assert_eq!((told.body.as_str(), told.header("content-type")), (good.as_str(), "text/plain; charset=utf-8"));
}

#[tokio::test]
async fn acls_open_objects_and_buckets_to_everybody() {
    let fixture = Fixture::new().await;
    let owner = fixture.with_bucket("box").await;
    let put = |key: &str, acl| owner.put_object().bucket("box").key(key).acl(acl).body(b"hello".to_vec().into()).send();
    put("open", ObjectCannedAcl::PublicRead).await.unwrap();
    put("closed", ObjectCannedAcl::Private).await.unwrap();
    assert_eq!(fixture.send(anonymous("GET", "/open")).await.body, "hello");
    let closed = fixture.send(anonymous("GET", "/closed")).await;
    assert_eq!((closed.status, closed.element("Code")), (403, Some("AccessDenied")));
    assert_eq!(fixture.send(anonymous("GET", "/")).await.status, 403);
    assert_eq!(fixture.send(anonymous("PUT", "/new")).await.status, 403);
    owner.put_bucket_acl().bucket("box").acl(BucketCannedAcl::PublicReadWrite).send().await.unwrap();
    assert_eq!(fixture.send(anonymous("GET", "/")).await.status, 200);
    assert_eq!(fixture.send(anonymous("PUT", "/new")).await.status, 200);
    assert_eq!(fixture.send(anonymous("GET", "/?tagging")).await.status, 403);
}

//! Versions, delete markers, and locks that keep versions from being deleted.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    primitives::{ByteStream, DateTime},
    types::{
        BucketVersioningStatus, DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold,
        ObjectLockLegalHoldStatus, ObjectLockRetention, ObjectLockRetentionMode, ObjectLockRule,
        VersioningConfiguration,
    },
};
use rstest::rstest;

use crate::fixture::{Fixture, code, refused};

const HOST: &str = "box.s3.fr-par.scw.cloud";

async fn set_versioning(client: &Client, status: BucketVersioningStatus) {
    let configuration = VersioningConfiguration::builder().status(status).build();
    client.put_bucket_versioning().bucket("box").versioning_configuration(configuration).send().await.unwrap();
}

async fn put(client: &Client, body: &'static str) -> Option<String> {
    let put = client.put_object().bucket("box").key("k").body(ByteStream::from_static(body.as_bytes()));
    put.send().await.unwrap().version_id().map(str::to_owned)
}

async fn get(client: &Client, version: Option<&str>) -> String {
    let get = client.get_object().bucket("box").key("k").set_version_id(version.map(Into::into));
    String::from_utf8(get.send().await.unwrap().body.collect().await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn versions_are_numbers_that_rise_and_each_can_be_read() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    assert_eq!(put(&client, "before").await, None);
    set_versioning(&client, BucketVersioningStatus::Enabled).await;
    let (first, second) = (put(&client, "first").await.unwrap(), put(&client, "second").await.unwrap());
    assert!(first.parse::<u64>().unwrap() < second.parse::<u64>().unwrap());
    assert_eq!(get(&client, None).await, "second");
    assert_eq!(get(&client, Some(&first)).await, "first");
    assert_eq!(get(&client, Some("null")).await, "before");
    set_versioning(&client, BucketVersioningStatus::Suspended).await;
    assert_eq!(put(&client, "after").await.as_deref(), Some("null"));
    assert_eq!(get(&client, Some("null")).await, "after");
    assert_eq!(get(&client, Some(&second)).await, "second");
    let listed = client.list_object_versions().bucket("box").send().await.unwrap();
    let ids: Vec<_> = listed.versions().iter().filter_map(|version| version.version_id()).collect();
    assert_eq!(ids, ["null", second.as_str(), first.as_str()]);
    assert_eq!(listed.versions().iter().filter(|version| version.is_latest() == Some(true)).count(), 1);
}

#[tokio::test]
async fn a_delete_marker_hides_the_object_until_it_is_deleted() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    set_versioning(&client, BucketVersioningStatus::Enabled).await;
    let version = put(&client, "hello").await.unwrap();
    let deleted = client.delete_object().bucket("box").key("k").send().await.unwrap();
    let marker = deleted.version_id().unwrap().to_owned();
    assert_eq!(deleted.delete_marker(), Some(true));
    let hidden = fixture.signed("GET", HOST, "/k", "").await;
    assert_eq!((hidden.status, hidden.element("Code")), (404, Some("NoSuchKey")));
    assert_eq!((hidden.header("x-amz-delete-marker"), hidden.header("x-amz-version-id")), ("true", marker.as_str()));
    let asked = fixture.signed("GET", HOST, &format!("/k?versionId={marker}"), "").await;
    assert_eq!((asked.status, asked.header("x-amz-delete-marker")), (405, "true"));
    let listed = client.list_object_versions().bucket("box").send().await.unwrap();
    assert_eq!((listed.versions().len(), listed.delete_markers().len()), (1, 1));
    assert_eq!(listed.delete_markers()[0].is_latest(), Some(true));
    assert!(client.list_objects_v2().bucket("box").send().await.unwrap().contents().is_empty());
    assert_eq!(refused(client.delete_bucket().bucket("box").send().await), code("BucketNotEmpty", 409));
    let gone = client.delete_object().bucket("box").key("k").version_id(&marker).send().await.unwrap();
    assert_eq!((gone.delete_marker(), gone.version_id()), (Some(true), Some(marker.as_str())));
    assert_eq!(get(&client, None).await, "hello");
    client.delete_object().bucket("box").key("k").version_id(&version).send().await.unwrap();
    client.delete_bucket().bucket("box").send().await.unwrap();
}

#[rstest]
#[case("nonsense", "InvalidArgument", 400)]
#[case("", "InvalidArgument", 400)]
#[case("123", "NoSuchVersion", 404)]
#[case("null", "NoSuchKey", 404)]
#[tokio::test]
async fn a_version_that_is_not_there_is_refused(#[case] id: &str, #[case] code: &str, #[case] status: u16) {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    set_versioning(&client, BucketVersioningStatus::Enabled).await;
    put(&client, "hello").await;
    let answer = fixture.signed("GET", HOST, &format!("/k?versionId={id}"), "").await;
    let code = if id == "null" { "NoSuchVersion" } else { code };
    assert_eq!((answer.status, answer.element("Code")), (status, Some(code)));
}

async fn locked() -> (Fixture, Client) {
    let fixture = Fixture::new().await;
    let client = fixture.client();
    client.create_bucket().bucket("box").object_lock_enabled_for_bucket(true).send().await.unwrap();
    (fixture, client)
}

#[tokio::test]
async fn a_retained_version_is_deleted_only_after_its_time_or_by_bypass() {
    let (fixture, client) = locked().await;
    assert_eq!(
        client.get_bucket_versioning().bucket("box").send().await.unwrap().status(),
        Some(&BucketVersioningStatus::Enabled)
    );
    let retention = |mode, seconds: i64| {
        let until = DateTime::from_secs(fixture.store.clock().now().unix_timestamp() + seconds);
        ObjectLockRetention::builder().mode(mode).retain_until_date(until).build()
    };
    for (mode, bypassed) in [(ObjectLockRetentionMode::Governance, true), (ObjectLockRetentionMode::Compliance, false)]
    {
        let version = put(&client, "hello").await.unwrap();
        let retain = |retention| {
            client.put_object_retention().bucket("box").key("k").version_id(&version).retention(retention).send()
        };
        retain(retention(mode.clone(), 3600)).await.unwrap();
        assert_eq!(refused(retain(retention(mode.clone(), 60)).await), code("AccessDenied", 403), "made shorter");
        retain(retention(mode.clone(), 7200)).await.unwrap();
        let told = client.get_object_retention().bucket("box").key("k").version_id(&version).send().await.unwrap();
        assert_eq!(told.retention().unwrap().mode(), Some(&mode));
        let delete = |bypass| {
            let delete = client.delete_object().bucket("box").key("k").version_id(&version);
            delete.set_bypass_governance_retention(bypass).send()
        };
        assert_eq!(refused(delete(None).await), code("AccessDenied", 403));
        assert_eq!(delete(Some(true)).await.is_ok(), bypassed);
        fixture.store.clock().advance(Duration::from_secs(8000));
        delete(None).await.unwrap();
    }
}

#[tokio::test]
async fn a_version_under_legal_hold_is_deleted_only_when_it_is_lifted() {
    let (_fixture, client) = locked().await;
    let version = put(&client, "hello").await.unwrap();
    let hold = |status| {
        let hold = ObjectLockLegalHold::builder().status(status).build();
        client.put_object_legal_hold().bucket("box").key("k").legal_hold(hold).send()
    };
    hold(ObjectLockLegalHoldStatus::On).await.unwrap();
    let told = client.get_object_legal_hold().bucket("box").key("k").send().await.unwrap();
    assert_eq!(told.legal_hold().unwrap().status(), Some(&ObjectLockLegalHoldStatus::On));
    let delete =
        || client.delete_object().bucket("box").key("k").version_id(&version).bypass_governance_retention(true).send();
    assert_eq!(refused(delete().await), code("AccessDenied", 403));
    hold(ObjectLockLegalHoldStatus::Off).await.unwrap();
    delete().await.unwrap();
}

#[tokio::test]
async fn new_objects_get_the_buckets_default_retention() {
    let (_fixture, client) = locked().await;
    let default = DefaultRetention::builder().mode(ObjectLockRetentionMode::Compliance).days(3).build();
    let with_rule = ObjectLockConfiguration::builder()
        .object_lock_enabled(ObjectLockEnabled::Enabled)
        .rule(ObjectLockRule::builder().default_retention(default).build())
        .build();
    client
        .put_object_lock_configuration()
        .bucket("box")
        .object_lock_configuration(with_rule.clone())
        .send()
        .await
        .unwrap();
    let told = client.get_object_lock_configuration().bucket("box").send().await.unwrap();
    assert_eq!(told.object_lock_configuration(), Some(&with_rule));
    put(&client, "hello").await;
    let head = client.head_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(head.object_lock_mode().unwrap().as_str(), "COMPLIANCE");
    let without = ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled).build();
    client.put_object_lock_configuration().bucket("box").object_lock_configuration(without).send().await.unwrap();
    put(&client, "again").await;
    assert!(client.head_object().bucket("box").key("k").send().await.unwrap().object_lock_mode().is_none());
}

#[tokio::test]
async fn a_bucket_without_object_lock_takes_no_locks() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    put(&client, "hello").await;
    let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On).build();
    let held = client.put_object_legal_hold().bucket("box").key("k").legal_hold(hold).send().await;
    assert_eq!(refused(held), code("InvalidRequest", 400));
    let configuration = ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled).build();
    let put =
        client.put_object_lock_configuration().bucket("box").object_lock_configuration(configuration).send().await;
    assert_eq!(refused(put), code("InvalidBucketState", 409));
}

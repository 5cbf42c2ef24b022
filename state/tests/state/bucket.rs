//! The client, against servers that we did not write for it.

use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleRule, LifecycleRuleFilter, NoncurrentVersionExpiration,
};
use futures::StreamExt as _;
use rstest::rstest;
use stackproof_state::bucket::{Bucket, Condition, ETag, Error, Versioning};

use crate::fixture::{Ground, Place, bucket};

#[rstest]
#[tokio::test]
async fn what_was_written_is_read_listed_copied_and_deleted(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    let bucket = ground.under("team/one");
    let key = "a folder/b+c=d&é.json";

    let written = bucket.put(key, "one".into(), &Condition::Always).await.unwrap();
    bucket.put(key, "two".into(), &Condition::Always).await.unwrap();
    bucket.copy(key, written.version.as_deref(), "copy").await.unwrap();
    ground.bucket.put("team/oneself", "elsewhere".into(), &Condition::Always).await.unwrap();

    assert_eq!(bucket.get(key, None).await.unwrap().unwrap().content, "two");
    assert_eq!(bucket.get("copy", None).await.unwrap().unwrap().content, "one");
    assert_eq!(bucket.get(key, written.version.as_deref()).await.unwrap().unwrap().head.etag, written.etag);
    let listed: Vec<_> = bucket.list("").await.unwrap().into_iter().map(|listed| (listed.key, listed.bytes)).collect();
    assert_eq!(listed, [(key.to_owned(), 3), ("copy".to_owned(), 3)]);

    bucket.delete(key, None).await.unwrap();
    assert!(bucket.get(key, None).await.unwrap().is_none());
    assert!(bucket.head(key).await.unwrap().is_none());
    let versions = bucket.versions("a folder/").await.unwrap();
    let told: Vec<_> = versions.iter().map(|version| (version.deleted, version.latest)).collect();
    assert_eq!(told, [(true, true), (false, false), (false, false)]);
    assert_eq!(versions[2].id, written.version.unwrap());
}

#[rstest]
#[tokio::test]
async fn a_condition_that_does_not_hold_writes_nothing(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    let bucket = &ground.bucket;
    let changed = |outcome: Result<_, Error>| matches!(outcome, Err(Error::Changed { .. }));

    let other = Condition::Is(ETag::new("0cc175b9c0f1b6a831c399e269772661"));
    assert!(changed(bucket.put("k", "x".into(), &other).await), "nothing is there");
    let one = bucket.put("k", "one".into(), &Condition::Absent).await.unwrap();
    assert!(changed(bucket.put("k", "x".into(), &Condition::Absent).await), "something is there");
    assert!(changed(bucket.put("k", "x".into(), &other).await), "something else is there");
    assert_eq!(bucket.get("k", None).await.unwrap().unwrap().content, "one");
    bucket.put("k", "two".into(), &Condition::Is(one.etag.clone())).await.unwrap();
    assert!(changed(bucket.put("k", "x".into(), &Condition::Is(one.etag)).await), "it was there before");
    assert_eq!(bucket.get("k", None).await.unwrap().unwrap().content, "two");
}

#[rstest]
#[tokio::test]
async fn more_than_a_page_is_listed_whole(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    let writes = (0..1005).map(|i| {
        let bucket = ground.bucket.clone();
        async move { bucket.put(&format!("many/{i:04}"), "x".into(), &Condition::Always).await.unwrap() }
    });
    let written: Vec<_> = futures::stream::iter(writes).buffer_unordered(16).collect().await;
    assert_eq!(written.len(), 1005);
    assert_eq!(ground.bucket.list("many/").await.unwrap().len(), 1005);
    assert_eq!(ground.bucket.versions("many/").await.unwrap().len(), 1005);
}

#[rstest]
#[tokio::test]
async fn versioning_and_lifecycle_are_told(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    assert_eq!(ground.bucket.versioning().await.unwrap(), Versioning::Enabled);
    assert!(ground.bucket.lifecycle().await.unwrap().is_empty());
    let rule = LifecycleRule::builder()
        .id("old")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(".pulumi/").build())
        .noncurrent_version_expiration(NoncurrentVersionExpiration::builder().noncurrent_days(30).build())
        .build()
        .unwrap();
    let lifecycle = BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
    let put = ground.sdk().put_bucket_lifecycle_configuration().bucket("state").lifecycle_configuration(lifecycle);
    put.send().await.unwrap();
    let rules = ground.bucket.lifecycle().await.unwrap();
    let told: Vec<_> = rules.iter().map(|rule| (rule.prefix.as_str(), rule.enabled, rule.old_versions_days)).collect();
    assert_eq!(told, [(".pulumi/", true, Some(30))]);
}

#[rstest]
#[tokio::test]
async fn a_failure_says_what_to_do(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    let gone = bucket(&ground.endpoint, "no-such-bucket", "", "SCWOWNER000000000000", "owner-secret");
    let error = gone.get("k", None).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { code, .. } if code == "NoSuchBucket"), "{error}");
    assert!(error.next().contains("state recover") && !error.is_transient());

    let wrong = bucket(&ground.endpoint, "state", "", "SCWOWNER000000000000", "another-secret");
    let error = wrong.get("k", None).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 403, .. }), "{error}");
    assert!(error.next().contains("access key"));

    let nobody: Bucket = bucket("http://127.0.0.1:1", "state", "", "id", "another-secret");
    let error = nobody.get("k", None).await.unwrap_err();
    assert!(error.is_transient() && !error.to_string().contains("another-secret"), "{error}");
}

//! What the gateway lets through, and what not: asked by an AWS SDK, as Pulumi asks by another.

use std::sync::atomic::Ordering;

use aws_sdk_s3::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use rstest::rstest;
use stackproof_state::{
    bucket::{Condition, Error},
    checkpoint::Compression,
    gateway::{Gateway, Log},
};

use crate::fixture::{Ground, Place, bucket, key, lease, run, sdk, stack, state, through};

/// Code, status and message of a refusal.
fn refused<T: std::fmt::Debug, E>(
    outcome: Result<T, SdkError<E, aws_sdk_s3::config::http::HttpResponse>>,
) -> (u16, String)
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let error = outcome.expect_err("it should be refused");
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let message = error.message().map_or_else(|| DisplayErrorContext(&error).to_string(), str::to_owned);
    (status, message)
}

async fn put(run: &Client, key: &str, content: impl Into<Vec<u8>>) -> Result<String, (u16, String)> {
    let body = ByteStream::from(content.into());
    match run.put_object().bucket("state").key(key).body(body).send().await {
        Ok(output) => Ok(output.e_tag.unwrap_or_default()),
        failed => Err(refused(failed)),
    }
}

fn writes(log: &Log) -> Vec<(&str, &str, u16, Option<&str>)> {
    let writes = log.requests.iter().filter(|request| request.write);
    writes.map(|request| (request.operation, request.key.as_str(), request.status, request.condition)).collect()
}

#[rstest]
#[tokio::test]
async fn a_run_reads_and_writes_its_stack(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let run = run(&gateway);
    let (key, copy) = (key(), format!("{}.bak", key()));

    put(&run, ".pulumi/meta.yaml", "version: 1").await.unwrap();
    put(&run, &key, "one").await.unwrap();
    let source = format!("state/{key}");
    run.copy_object().bucket("state").key(&copy).copy_source(source).send().await.unwrap();
    put(&run, &key, "two").await.unwrap();
    let read = run.get_object().bucket("state").key(&key).send().await.unwrap();
    assert_eq!(read.body.collect().await.unwrap().into_bytes(), "two");
    let listed = run.list_objects_v2().bucket("state").prefix(".pulumi/stacks/").send().await.unwrap();
    assert_eq!(listed.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), [&key, &copy]);
    run.delete_object().bucket("state").key(&key).send().await.unwrap();
    put(&run, &key, "three").await.unwrap();

    assert_eq!(ground.bucket.get(&copy, None).await.unwrap().unwrap().content, "one");
    assert_eq!(ground.content().await.unwrap(), "three");
    let log = gateway.close().await;
    assert_eq!(
        writes(&log),
        [
            ("PutObject", ".pulumi/meta.yaml", 200, None),
            ("PutObject", key.as_str(), 200, Some("if-none-match")),
            ("CopyObject", copy.as_str(), 200, None),
            ("PutObject", key.as_str(), 200, Some("if-match")),
            ("DeleteObject", key.as_str(), 204, Some("looked at before")),
            ("PutObject", key.as_str(), 200, Some("if-none-match")),
        ]
    );
    assert_eq!((log.writes, log.refused), (6, 0));
    assert!(log.bytes_written >= 21 && log.bytes_read >= 3);
    let told = serde_json::to_string(&log).unwrap();
    assert!(!told.contains("owner-secret") && !told.contains("Signature"), "{told}");
}

#[rstest]
#[tokio::test]
async fn a_large_state_goes_in_parts_under_the_same_condition(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let run = run(&gateway);
    let key = key();
    let whole: Vec<u8> = (0..6_000_000_u32).map(|i| (i % 251) as u8).collect();
    let upload = async || {
        let begun = run.create_multipart_upload().bucket("state").key(&key).send().await.unwrap();
        let id = begun.upload_id.unwrap();
        let mut parts = Vec::new();
        for (number, part) in (1..).zip(whole.chunks(5 << 20)) {
            let body = ByteStream::from(part.to_vec());
            let sent = run.upload_part().bucket("state").key(&key).upload_id(&id).part_number(number).body(body);
            let etag = sent.send().await.unwrap().e_tag.unwrap();
            parts.push(CompletedPart::builder().part_number(number).e_tag(etag).build());
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        run.complete_multipart_upload().bucket("state").key(&key).upload_id(&id).multipart_upload(parts).send().await
    };

    upload().await.unwrap();
    put(&run, &key, "small").await.unwrap();
    upload().await.unwrap();
    assert_eq!(ground.content().await.unwrap(), whole);

    ground.bucket.put(&key, "somebody else's".into(), &Condition::Always).await.unwrap();
    let (status, message) = refused(upload().await);
    assert_eq!(status, 403);
    assert!(message.contains("somebody else changed"), "{message}");
    assert_eq!(ground.content().await.unwrap(), "somebody else's");
    let log = gateway.close().await;
    let completed: Vec<_> =
        writes(&log).into_iter().filter(|write| write.0 == "CompleteMultipartUpload").map(|write| write.3).collect();
    assert_eq!(completed, [Some("if-none-match"), Some("if-match"), Some("if-match")]);
}

#[rstest]
#[tokio::test]
async fn what_somebody_else_wrote_is_never_overwritten(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let mut superseded = gateway.superseded();
    let run = run(&gateway);
    put(&run, &key(), "ours").await.unwrap();

    ground.bucket.put(&key(), "theirs".into(), &Condition::Always).await.unwrap();

    let (status, message) = put(&run, &key(), "ours again").await.unwrap_err();
    assert_eq!(status, 403);
    assert!(message.starts_with("stackproof: somebody else changed"), "{message}");
    assert_eq!(superseded.wait_for(Option::is_some).await.unwrap().as_ref().unwrap().key, key());
    let (_, message) = put(&run, ".pulumi/history/shop/dev/x.json", "nothing more").await.unwrap_err();
    assert!(message.contains("may not write any more"), "{message}");
    assert_eq!(ground.content().await.unwrap(), "theirs");
}

/// Pulumi looks before each write. A look must not make what is there the run's own.
#[rstest]
#[tokio::test]
async fn looking_at_what_somebody_else_wrote_does_not_make_it_ours(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    ground.write(Compression::None, &state(&[])).await;
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let run = run(&gateway);

    ground.bucket.put(&key(), "theirs".into(), &Condition::Always).await.unwrap();

    let read = run.get_object().bucket("state").key(key()).send().await.unwrap();
    assert_eq!(read.body.collect().await.unwrap().into_bytes(), "theirs", "reading is free");
    assert!(gateway.superseded().borrow().is_some(), "it is noticed as soon as it is seen");
    assert_eq!(put(&run, &key(), "ours").await.unwrap_err().0, 403);
    assert_eq!(refused(run.delete_object().bucket("state").key(key()).send().await).0, 403);
    assert_eq!(ground.content().await.unwrap(), "theirs");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_the_runs_own() {
    let ground = Ground::local().await;
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let run = run(&gateway);
    put(&run, &key(), "one").await.unwrap();

    ground.faults.lose_answers.store(1, Ordering::SeqCst);
    assert_eq!(put(&run, &key(), "two").await.unwrap_err().0, 503, "nobody knows");
    assert_eq!(ground.content().await.unwrap(), "two", "but it arrived");
    put(&run, &key(), "two").await.expect("the same again is what Pulumi does");

    ground.faults.lose_answers.store(1, Ordering::SeqCst);
    put(&run, &key(), "three").await.unwrap_err();
    put(&run, &key(), "four").await.expect("something newer follows on what arrived");

    ground.faults.lose_answers.store(1, Ordering::SeqCst);
    put(&run, &key(), "five").await.unwrap_err();
    assert!(run.head_object().bucket("state").key(key()).send().await.is_ok());
    assert!(gateway.superseded().borrow().is_none());
    put(&run, &key(), "six").await.unwrap();
    assert_eq!(ground.content().await.unwrap(), "six");
}

#[tokio::test]
async fn what_is_not_of_this_run_is_refused() {
    let ground = Ground::local().await;
    ground.sdk().create_bucket().bucket("other").send().await.unwrap();
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let own = run(&gateway);

    for key in [".pulumi/stacks/shop/prod.json", ".pulumi/locks/organization/shop/prod/x.json", "assets/logo.png"] {
        let (status, message) = put(&own, key, "x").await.unwrap_err();
        assert_eq!(status, 403);
        assert!(message.contains("lease of organization/shop/dev only"), "{message}");
    }
    let elsewhere = own.get_object().bucket("other").key("k").send().await;
    assert_eq!(refused(elsewhere).0, 403);
    assert_eq!(refused(own.list_buckets().send().await).0, 403);
    let stolen = own.copy_object().bucket("state").key(format!("{}.bak", key())).copy_source("other/k").send().await;
    assert_eq!(refused(stolen).0, 403);
    assert_eq!(refused(own.delete_bucket().bucket("state").send().await).0, 501);
    assert_eq!(refused(own.put_bucket_policy().bucket("state").policy("{}").send().await).0, 501);

    let at = format!("http://{}", gateway.address());
    let (id, _) = gateway.key();
    for stranger in [sdk(&at, id, "guessed"), sdk(&at, "SCWOWNER000000000000", "owner-secret")] {
        let (status, message) = put(&stranger, &key(), "x").await.unwrap_err();
        assert_eq!(status, 403);
        assert!(message.contains("not signed by this run"), "{message}");
    }
    let unsigned = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = unsigned.get(format!("{at}/state/{}", key())).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(ground.bucket.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_prefix_is_all_that_is_seen() {
    let ground = Ground::local().await;
    ground.bucket.put("elsewhere", "secret".into(), &Condition::Always).await.unwrap();
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.under("team"), &[stack()], permission).await.unwrap();
    let run = run(&gateway);

    put(&run, &format!("team/{}", key()), "ours").await.unwrap();
    assert_eq!(refused(run.get_object().bucket("state").key("elsewhere").send().await).0, 403);
    assert_eq!(refused(run.list_objects_v2().bucket("state").send().await).0, 403);
    let listed = run.list_objects_v2().bucket("state").prefix("team/").send().await.unwrap();
    assert_eq!(listed.contents().len(), 1);
    let backend = gateway.environment().into_iter().find(|(name, _)| *name == "PULUMI_BACKEND_URL").unwrap().1;
    assert!(backend.starts_with("s3://state/team?region=fr-par&endpoint=http://127.0.0.1:"), "{backend}");
}

#[tokio::test]
async fn without_the_lease_everything_can_be_read_and_nothing_written() {
    let ground = Ground::local().await;
    ground.write(Compression::None, &state(&[])).await;
    let (lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    lease.send_replace(None);
    let run = run(&gateway);

    assert!(run.get_object().bucket("state").key(key()).send().await.is_ok());
    for key in [key(), ".pulumi/locks/organization/shop/dev/x.json".to_owned()] {
        let (status, message) = put(&run, &key, "x").await.unwrap_err();
        assert_eq!(status, 403);
        assert!(message.starts_with("stackproof: the lease of this run is lost"), "{message}");
        assert_eq!(refused(run.delete_object().bucket("state").key(&key).send().await).0, 403);
        assert_eq!(refused(run.create_multipart_upload().bucket("state").key(&key).send().await).0, 403);
    }
    assert_eq!(ground.content().await.unwrap(), state(&[]).to_string());
}

#[tokio::test]
async fn the_bucket_down_is_told_as_such_and_harms_nothing() {
    let ground = Ground::local().await;
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    drop(ground);
    let (status, message) = put(&run(&gateway), &key(), "x").await.unwrap_err();
    assert_eq!(status, 503);
    assert!(message.contains("the bucket did not answer"), "{message}");
    assert!(gateway.superseded().borrow().is_none());
    let error = through(&gateway).get(&key(), None).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 503, .. }), "{error}");
    let nobody = bucket("http://127.0.0.1:1", "state", "", "id", "secret");
    let (_lease, permission) = lease();
    assert!(Gateway::open(nobody, &[stack()], permission).await.is_err());
}

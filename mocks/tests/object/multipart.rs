//! Uploads in parts.

use aws_sdk_s3::{
    Client,
    types::{ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart},
};
use rstest::rstest;

use crate::fixture::{Fixture, code, refused};

const FIVE_MIB: usize = 5 * 1024 * 1024;

async fn begin(client: &Client, key: &str) -> String {
    let created = client.create_multipart_upload().bucket("box").key(key).send().await.unwrap();
    created.upload_id().unwrap().to_owned()
}

async fn upload(client: &Client, key: &str, id: &str, number: i32, size: usize) -> CompletedPart {
    let part = client.upload_part().bucket("box").key(key).upload_id(id).part_number(number);
    let part = part.body(vec![number as u8; size].into()).send().await.unwrap();
    CompletedPart::builder().part_number(number).e_tag(part.e_tag().unwrap()).build()
}

fn of(parts: Vec<CompletedPart>) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts)).build()
}

#[tokio::test]
async fn parts_become_an_object() {
    let fixture = Fixture::in_files().await;
    let client = fixture.with_bucket("box").await;
    let id = begin(&client, "k").await;
    // In any order, and one of them twice.
    let last = upload(&client, "k", &id, 3, 10).await;
    upload(&client, "k", &id, 1, 17).await;
    let first = upload(&client, "k", &id, 1, FIVE_MIB).await;
    let listed = client.list_parts().bucket("box").key("k").upload_id(&id).max_parts(1).send().await.unwrap();
    assert_eq!(
        (listed.parts().len(), listed.next_part_number_marker(), listed.is_truncated()),
        (1, Some("1"), Some(true))
    );
    let rest = client.list_parts().bucket("box").key("k").upload_id(&id).part_number_marker("1").send().await.unwrap();
    assert_eq!(rest.parts()[0].part_number(), Some(3));
    let uploads = client.list_multipart_uploads().bucket("box").send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));
    let complete = || {
        let parts = of(vec![first.clone(), last.clone()]);
        client.complete_multipart_upload().bucket("box").key("k").upload_id(&id).multipart_upload(parts).send()
    };
    let done = complete().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""), "{:?}", done.e_tag());
    let got = client.get_object().bucket("box").key("k").send().await.unwrap();
    let bytes = got.body.collect().await.unwrap().to_vec();
    assert_eq!(bytes, [vec![1; FIVE_MIB], vec![3; 10]].concat());
    let across = client.get_object().bucket("box").key("k").range(format!("bytes={}-{}", FIVE_MIB - 2, FIVE_MIB + 1));
    assert_eq!(across.send().await.unwrap().body.collect().await.unwrap().to_vec(), [1, 1, 3, 3]);
    let part = client.get_object().bucket("box").key("k").part_number(2).send().await.unwrap();
    assert_eq!((part.parts_count(), part.content_length()), (Some(2), Some(10)));
    assert_eq!(refused(complete().await), code("NoSuchUpload", 404));
    assert!(client.list_multipart_uploads().bucket("box").send().await.unwrap().uploads().is_empty());
    // A copy is one object again, with an ETag of its bytes.
    let copy = client.copy_object().bucket("box").key("c").copy_source("box/k").send().await.unwrap();
    assert!(!copy.copy_object_result().unwrap().e_tag().unwrap().contains('-'));
}

#[tokio::test]
async fn a_part_is_copied_from_an_object() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    client.put_object().bucket("box").key("from").body(b"0123456789".to_vec().into()).send().await.unwrap();
    let id = begin(&client, "k").await;
    let copy = |range: &str| {
        let copy = client.upload_part_copy().bucket("box").key("k").upload_id(&id).part_number(1);
        copy.copy_source("box/from").copy_source_range(range).send()
    };
    assert_eq!(refused(copy("bytes=5-10").await), code("InvalidRange", 416));
    assert_eq!(refused(copy("5-7").await), code("InvalidArgument", 400));
    let copied = copy("bytes=2-5").await.unwrap();
    let part =
        CompletedPart::builder().part_number(1).e_tag(copied.copy_part_result().unwrap().e_tag().unwrap()).build();
    client
        .complete_multipart_upload()
        .bucket("box")
        .key("k")
        .upload_id(&id)
        .multipart_upload(of(vec![part]))
        .send()
        .await
        .unwrap();
    let got = client.get_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"2345");
}

#[tokio::test]
async fn parts_that_do_not_fit_are_refused_and_nothing_is_lost() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    let id = begin(&client, "k").await;
    let (one, two) = (upload(&client, "k", &id, 1, 10).await, upload(&client, "k", &id, 2, 10).await);
    let complete = |parts| {
        client.complete_multipart_upload().bucket("box").key("k").upload_id(&id).multipart_upload(of(parts)).send()
    };
    assert_eq!(refused(complete(vec![one.clone(), two.clone()]).await), code("EntityTooSmall", 400));
    assert_eq!(refused(complete(vec![two.clone(), one.clone()]).await), code("InvalidPartOrder", 400));
    let wrong = CompletedPart::builder().part_number(1).e_tag("\"0\"").build();
    assert_eq!(refused(complete(vec![wrong]).await), code("InvalidPart", 400));
    let missing = CompletedPart::builder().part_number(9).e_tag(two.e_tag().unwrap()).build();
    assert_eq!(refused(complete(vec![missing]).await), code("InvalidPart", 400));
    assert_eq!(refused(complete(vec![]).await), code("MalformedXML", 400));
    complete(vec![two]).await.unwrap();
    let too_high = client.upload_part().bucket("box").key("k").upload_id("x").part_number(1001).send().await;
    assert_eq!(refused(too_high), code("InvalidArgument", 400));
}

#[tokio::test]
async fn an_aborted_upload_is_gone_and_a_bucket_takes_unfinished_ones_with_it() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    let id = begin(&client, "k").await;
    upload(&client, "k", &id, 1, 10).await;
    client.abort_multipart_upload().bucket("box").key("k").upload_id(&id).send().await.unwrap();
    let listed = client.list_parts().bucket("box").key("k").upload_id(&id).send().await;
    assert_eq!(refused(listed), code("NoSuchUpload", 404));
    begin(&client, "unfinished").await;
    client.delete_bucket().bucket("box").send().await.unwrap();
    client.create_bucket().bucket("box").send().await.unwrap();
    assert!(client.list_multipart_uploads().bucket("box").send().await.unwrap().uploads().is_empty());
}

#[rstest]
#[case::of_the_parts(ChecksumAlgorithm::Sha256, ChecksumType::Composite)]
#[case::of_the_parts_again(ChecksumAlgorithm::Crc32, ChecksumType::Composite)]
#[case::of_the_bytes(ChecksumAlgorithm::Crc32, ChecksumType::FullObject)]
#[case::of_the_bytes_always(ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject)]
#[tokio::test]
async fn the_whole_has_the_checksum_asked_for(#[case] algorithm: ChecksumAlgorithm, #[case] kind: ChecksumType) {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    let created = client.create_multipart_upload().bucket("box").key("k");
    let created = created.checksum_algorithm(algorithm.clone()).checksum_type(kind.clone()).send().await.unwrap();
    let id = created.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, size) in [(1, FIVE_MIB), (2, 7)] {
        let part = client.upload_part().bucket("box").key("k").upload_id(id).part_number(number);
        let part =
            part.checksum_algorithm(algorithm.clone()).body(vec![number as u8; size].into()).send().await.unwrap();
        let done = CompletedPart::builder().part_number(number).e_tag(part.e_tag().unwrap());
        parts.push(done.set_checksum_sha256(part.checksum_sha256().map(Into::into)).build());
    }
    let done = client.complete_multipart_upload().bucket("box").key("k").upload_id(id).multipart_upload(of(parts));
    let done = done.send().await.unwrap();
    assert_eq!(done.checksum_type(), Some(&kind));
    let sums = [done.checksum_sha256(), done.checksum_crc32(), done.checksum_crc64_nvme()];
    let sum = sums.into_iter().flatten().next().unwrap();
    assert_eq!(sum.ends_with("-2"), kind == ChecksumType::Composite, "{sum}");
    let got = client.get_object().bucket("box").key("k").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec().len(), FIVE_MIB + 7, "the SDK checks the sum of the bytes");
}

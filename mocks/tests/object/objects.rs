//! Objects written, read, copied, tagged.

use aws_sdk_s3::{
    primitives::{ByteStream, DateTime},
    types::{
        ChecksumAlgorithm, ChecksumMode, Delete, MetadataDirective, ObjectCannedAcl, ObjectIdentifier, StorageClass,
    },
};
use rstest::rstest;

use crate::fixture::{Fixture, Signed, code, refused};

const HOST: &str = "box.s3.fr-par.scw.cloud";
const MD5_OF_HELLO: &str = "\"5d41402abc4b2a76b9719d911017c592\"";

#[tokio::test]
async fn an_object_is_told_as_it_was_written() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    let put = client
        .put_object()
        .bucket("box")
        .key("a b/ü+%.txt")
        .body(ByteStream::from_static(b"hello"))
        .content_type("text/plain")
        .content_disposition("inline")
        .cache_control("no-store")
        .content_language("en")
        .metadata("owner", "tëam")
        .storage_class(StorageClass::OnezoneIa)
        .tagging("k=v%20w")
        .send()
        .await
        .unwrap();
    assert_eq!(put.e_tag(), Some(MD5_OF_HELLO));
    assert_eq!(put.checksum_crc32(), Some("NhCmhg=="));
    assert_eq!(put.version_id(), None);
    let got =
        client.get_object().bucket("box").key("a b/ü+%.txt").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(got.e_tag(), Some(MD5_OF_HELLO));
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.content_disposition(), Some("inline"));
    assert_eq!(got.cache_control(), Some("no-store"));
    assert_eq!(got.content_language(), Some("en"));
    assert_eq!(got.content_encoding(), None);
    assert_eq!(got.storage_class(), Some(&StorageClass::OnezoneIa));
    assert_eq!(got.checksum_crc32(), Some("NhCmhg=="));
    assert_eq!(got.tag_count(), Some(1));
    assert_eq!(got.content_length(), Some(5));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
    let head = client.head_object().bucket("box").key("a b/ü+%.txt").send().await.unwrap();
    assert_eq!((head.content_length(), head.e_tag()), (Some(5), Some(MD5_OF_HELLO)));
    let missing = client.head_object().bucket("box").key("nothing").send().await.unwrap_err();
    assert!(missing.as_service_error().unwrap().is_not_found());
    assert_eq!(refused(client.get_object().bucket("box").key("nothing").send().await), code("NoSuchKey", 404));
}

#[rstest]
#[case::all("bytes=0-", 206, "0123456789", "bytes 0-9/10")]
#[case::a_part("bytes=2-4", 206, "234", "bytes 2-4/10")]
#[case::past_the_end("bytes=8-99", 206, "89", "bytes 8-9/10")]
#[case::the_last("bytes=-3", 206, "789", "bytes 7-9/10")]
#[case::beyond("bytes=10-", 416, "", "bytes */10")]
#[case::nothing("bytes=-0", 416, "", "bytes */10")]
#[tokio::test]
async fn a_range_is_cut_out(#[case] range: &str, #[case] status: u16, #[case] body: &str, #[case] told: &str) {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    fixture.signed("PUT", HOST, "/k", "0123456789").await;
    let answer = fixture.send(Signed::new("GET", HOST, "/k").header("range", range).body("")).await;
    assert_eq!((answer.status, answer.header("content-range")), (status, told));
    if status == 206 {
        assert_eq!(answer.body, body);
        assert_eq!(answer.header("content-length"), body.len().to_string());
    } else {
        assert_eq!(answer.element("Code"), Some("InvalidRange"));
    }
}

#[rstest]
#[case::same("if-match", MD5_OF_HELLO, 200)]
#[case::any("if-match", "*", 200)]
#[case::other("if-match", "\"0\"", 412)]
#[case::not_same("if-none-match", MD5_OF_HELLO, 304)]
#[case::not_other("if-none-match", "\"0\"", 200)]
#[case::long_ago("if-modified-since", "Thu, 01 Jan 2015 00:00:00 GMT", 200)]
#[case::lately("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT", 304)]
#[case::not_since_long_ago("if-unmodified-since", "Thu, 01 Jan 2015 00:00:00 GMT", 412)]
#[case::not_lately("if-unmodified-since", "Fri, 01 Jan 2100 00:00:00 GMT", 200)]
#[tokio::test]
async fn an_object_is_read_on_conditions(#[case] header: &str, #[case] value: &str, #[case] status: u16) {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    fixture.signed("PUT", HOST, "/k", "hello").await;
    let answer = fixture.send(Signed::new("GET", HOST, "/k").header(header, value).body("")).await;
    assert_eq!(answer.status, status, "{}", answer.body);
    if status == 304 {
        assert_eq!((answer.body.as_str(), answer.header("etag")), ("", MD5_OF_HELLO));
        assert!(!answer.header("last-modified").is_empty());
    }
}

#[tokio::test]
async fn an_object_is_written_on_conditions() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    let put = |if_match: Option<&str>, if_none_match: Option<&str>| {
        let put = client.put_object().bucket("box").key("k").body(ByteStream::from_static(b"hello"));
        put.set_if_match(if_match.map(Into::into)).set_if_none_match(if_none_match.map(Into::into)).send()
    };
    assert_eq!(refused(put(Some(MD5_OF_HELLO), None).await), code("NoSuchKey", 404));
    put(None, Some("*")).await.unwrap();
    assert_eq!(refused(put(None, Some("*")).await), code("PreconditionFailed", 412));
    assert_eq!(refused(put(Some("\"0\""), None).await), code("PreconditionFailed", 412));
    put(Some(MD5_OF_HELLO), None).await.unwrap();
    assert_eq!(refused(put(None, Some(MD5_OF_HELLO)).await), code("NotImplemented", 501));
}

#[tokio::test]
async fn of_many_writers_that_want_to_be_first_one_is() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    let writes = (0..20).map(|_| client.put_object().bucket("box").key("lock").if_none_match("*").send());
    let outcomes = futures::future::join_all(writes).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[rstest]
#[case::md5_of_something_else("content-md5", "XUFAKrxLKna5cZ2REBfFkg==", "BadDigest")]
#[case::no_md5("content-md5", "nonsense", "InvalidDigest")]
#[case::crc32("x-amz-checksum-crc32", "AAAAAA==", "BadDigest")]
#[case::sha256("x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "BadDigest")]
#[tokio::test]
async fn what_is_not_what_was_promised_is_refused(#[case] header: &str, #[case] value: &str, #[case] code: &str) {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    let answer = fixture.send(Signed::new("PUT", HOST, "/k").header(header, value).body("other")).await;
    assert_eq!((answer.status, answer.element("Code")), (400, Some(code)));
    assert_eq!(fixture.signed("GET", HOST, "/k", "").await.status, 404, "nothing was kept");
}

#[rstest]
#[case(ChecksumAlgorithm::Crc32)]
#[case(ChecksumAlgorithm::Crc32C)]
#[case(ChecksumAlgorithm::Crc64Nvme)]
#[case(ChecksumAlgorithm::Sha1)]
#[case(ChecksumAlgorithm::Sha256)]
#[tokio::test]
async fn every_checksum_is_computed_as_the_sdk_computes_it(#[case] algorithm: ChecksumAlgorithm) {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    let body = ByteStream::from(vec![9; 300_000]);
    client.put_object().bucket("box").key("k").checksum_algorithm(algorithm.clone()).body(body).send().await.unwrap();
    let got = client.get_object().bucket("box").key("k").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), vec![9; 300_000], "the SDK checks the sum");
    let listed = client.list_objects_v2().bucket("box").send().await.unwrap();
    assert_eq!(listed.contents()[0].checksum_algorithm(), [algorithm]);
}

/// What the provider sends for an object, and the checksum it sends behind it.
#[rstest]
#[case::right("sOO8/Q==", 200)]
#[case::wrong("AAAAAA==", 400)]
#[tokio::test]
async fn a_checksum_behind_the_body_is_checked(#[case] sum: &str, #[case] status: u16) {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    let mut request = Signed::new("PUT", HOST, "/k?x-id=PutObject")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "11")
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .header("accept-encoding", "identity");
    request.payload_hash = Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER".into());
    let body = format!("6\r\nhello \r\n5\r\nthere\r\n0\r\nx-amz-checksum-crc32:{sum}\r\n\r\n");
    // CRC-32 of "hello there".
    let sum_is_right = crc32fast::hash(b"hello there").to_be_bytes();
    use base64::Engine as _;
    let right = base64::prelude::BASE64_STANDARD.encode(sum_is_right);
    let body = if status == 200 { body.replace(sum, &right) } else { body };
    let answer = fixture.send(request.body(&body)).await;
    assert_eq!(answer.status, status, "{}", answer.body);
    if status == 200 {
        assert_eq!(answer.header("x-amz-checksum-crc32"), right);
        assert_eq!(answer.header("x-amz-checksum-type"), "FULL_OBJECT");
        let got = fixture.signed("GET", HOST, "/k", "").await;
        assert_eq!((got.body.as_str(), got.header("content-encoding")), ("hello there", ""));
    } else {
        assert_eq!(answer.element("Code"), Some("BadDigest"));
    }
}

#[tokio::test]
async fn a_copy_takes_the_metadata_along_unless_told_otherwise() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    let body = ByteStream::from_static(b"hello");
    client
        .put_object()
        .bucket("box")
        .key(".pulumi/a b.json")
        .body(body)
        .metadata("m", "1")
        .tagging("t=1")
        .send()
        .await
        .unwrap();
    // A literal slash, as Pulumi's state backend sends it.
    let copy = Signed::new("PUT", HOST, "/copy").header("x-amz-copy-source", "box/.pulumi/a%20b.json");
    let answer = fixture.send(copy.body("")).await;
    assert_eq!((answer.status, answer.element("ETag")), (200, Some(MD5_OF_HELLO)));
    let got = client.head_object().bucket("box").key("copy").send().await.unwrap();
    assert_eq!(got.metadata().unwrap().get("m").map(String::as_str), Some("1"));
    let replaced = client
        .copy_object()
        .bucket("box")
        .key("new")
        .copy_source("box/copy")
        .metadata_directive(MetadataDirective::Replace);
    replaced.content_type("text/css").send().await.unwrap();
    let got = client.head_object().bucket("box").key("new").send().await.unwrap();
    assert_eq!((got.content_type(), got.metadata().unwrap().len()), (Some("text/css"), 0));
    let tags = client.get_object_tagging().bucket("box").key("new").send().await.unwrap();
    assert_eq!(tags.tag_set()[0].key(), "t");
    let copy = |from: &str, to: &str| client.copy_object().bucket("box").key(to).copy_source(from).send();
    assert_eq!(refused(copy("box/copy", "copy").await), code("InvalidRequest", 400));
    assert_eq!(refused(copy("box/nothing", "x").await), code("NoSuchKey", 404));
    assert_eq!(refused(copy("nowhere/copy", "x").await), code("NoSuchBucket", 404));
}

#[tokio::test]
async fn many_objects_are_deleted_at_once_and_missing_ones_too() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    for key in ["a", "b", "c"] {
        client.put_object().bucket("box").key(key).send().await.unwrap();
    }
    let named = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().objects(named("a")).objects(named("b")).objects(named("z")).build().unwrap();
    let deleted = client.delete_objects().bucket("box").delete(delete).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (3, 0));
    let left = client.list_objects_v2().bucket("box").send().await.unwrap();
    assert_eq!(left.contents().len(), 1);
}

#[tokio::test]
async fn a_large_object_comes_back_from_files() {
    let fixture = Fixture::in_files().await;
    let client = fixture.with_bucket("box").await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    client.put_object().bucket("box").key("k").body(bytes.clone().into()).send().await.unwrap();
    let got = client.get_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), bytes);
    let part = client.get_object().bucket("box").key("k").range("bytes=1000000-1999999").send().await.unwrap();
    assert_eq!(part.body.collect().await.unwrap().to_vec(), bytes[1_000_000..2_000_000]);
}

#[tokio::test]
async fn an_object_with_a_customers_key_is_read_with_that_key_only() {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    let with_key = |method: &str, key: &str, md5: &str| {
        let request = Signed::new(method, HOST, "/k")
            .header("x-amz-server-side-encryption-customer-algorithm", "AES256")
            .header("x-amz-server-side-encryption-customer-key", key)
            .header("x-amz-server-side-encryption-customer-key-md5", md5);
        request.body(if method == "PUT" { "secret" } else { "" })
    };
    use base64::Engine as _;
    use md5::Digest as _;
    let encode = |bytes: &[u8]| base64::prelude::BASE64_STANDARD.encode(bytes);
    let (one, other) = ([1_u8; 32], [2_u8; 32]);
    let md5 = |key: &[u8]| encode(&md5::Md5::digest(key));
    let wrong = fixture.send(with_key("PUT", &encode(&one), &md5(&other))).await;
    assert_eq!((wrong.status, wrong.element("Code")), (400, Some("InvalidArgument")));
    assert_eq!(fixture.send(with_key("PUT", &encode(&one), &md5(&one))).await.status, 200);
    assert_eq!(fixture.signed("GET", HOST, "/k", "").await.status, 400);
    assert_eq!(fixture.send(with_key("GET", &encode(&other), &md5(&other))).await.status, 403);
    assert_eq!(fixture.send(with_key("GET", &encode(&one), &md5(&one))).await.body, "secret");
}

#[tokio::test]
async fn an_objects_tags_and_acl_are_kept() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    client.put_object().bucket("box").key("k").acl(ObjectCannedAcl::PublicRead).tagging("a=1").send().await.unwrap();
    let acl = client.get_object_acl().bucket("box").key("k").send().await.unwrap();
    assert_eq!(acl.grants().len(), 2);
    let acl = client.put_object_acl().bucket("box").key("k").acl(ObjectCannedAcl::Private).send().await;
    acl.unwrap();
    assert_eq!(client.get_object_acl().bucket("box").key("k").send().await.unwrap().grants().len(), 1);
    client.delete_object_tagging().bucket("box").key("k").send().await.unwrap();
    let tags = client.get_object_tagging().bucket("box").key("k").send().await.unwrap();
    assert!(tags.tag_set().is_empty());
    let twice = client.put_object().bucket("box").key("k").tagging("a=1&a=2").send().await;
    assert_eq!(refused(twice), code("InvalidArgument", 400));
    let class = client.put_object().bucket("box").key("k").storage_class(StorageClass::DeepArchive).send().await;
    assert_eq!(refused(class), code("InvalidStorageClass", 400));
}

#[tokio::test]
async fn a_presigned_address_works_until_it_expires() {
    use aws_sdk_s3::presigning::PresigningConfig;
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    client.put_object().bucket("box").key("k").body(ByteStream::from_static(b"hello")).send().await.unwrap();
    let fetch = async |seconds_ago: i64| {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let config = PresigningConfig::builder()
            .start_time(std::time::UNIX_EPOCH + std::time::Duration::from_secs((now - seconds_ago).unsigned_abs()))
            .expires_in(std::time::Duration::from_secs(60));
        let presigned = client.get_object().bucket("box").key("k").presigned(config.build().unwrap()).await.unwrap();
        reqwest_like(&fixture, presigned.uri()).await
    };
    assert_eq!(fetch(0).await, (200, "hello".to_owned()));
    assert_eq!(fetch(120).await.0, 403);
    let _ = DateTime::from_secs(0);
}

async fn reqwest_like(fixture: &Fixture, uri: &str) -> (u16, String) {
    let uri: http::Uri = uri.parse().unwrap();
    let host = uri.authority().unwrap().to_string();
    let target = uri.path_and_query().unwrap().to_string();
    let request = http::Request::get(target).header("host", host).body(axum::body::Body::empty()).unwrap();
    let answer = fixture.send(request).await;
    (answer.status, answer.body)
}

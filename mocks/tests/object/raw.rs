//! What no SDK would send.

use proptest::prelude::*;
use rstest::rstest;

use crate::fixture::{Fixture, Signed};

const HOST: &str = "box.s3.fr-par.scw.cloud";
const ENDPOINT: &str = "s3.fr-par.scw.cloud";

#[rstest]
#[case::path_style(ENDPOINT, "/box/k")]
#[case::virtual_host(HOST, "/k")]
#[case::a_port("box.s3.fr-par.scw.cloud:443", "/k")]
#[case::capitals("Box.S3.fr-par.scw.cloud", "/k")]
#[case::an_address("127.0.0.1:9000", "/box/k")]
#[case::localhost("localhost:9000", "/box/k")]
#[tokio::test]
async fn a_bucket_is_found_by_host_or_path(#[case] host: &str, #[case] target: &str) {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    fixture.signed("PUT", HOST, "/k", "hello").await;
    let answer = fixture.signed("GET", host, target, "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
}

#[tokio::test]
async fn a_bucket_with_dots_is_found_by_path_and_by_host() {
    let fixture = Fixture::new().await;
    fixture.with_bucket("a.b.c").await;
    fixture.signed("PUT", ENDPOINT, "/a.b.c/k", "hello").await;
    assert_eq!(fixture.signed("GET", "a.b.c.s3.fr-par.scw.cloud", "/k", "").await.body, "hello");
    assert_eq!(fixture.signed("GET", "a.b.c.s3.nl-ams.scw.cloud", "/k", "").await.status, 404);
}

#[rstest]
#[case::not_xml("PUT", "/?tagging", "{}", 400, "MalformedXML")]
#[case::cut_off("PUT", "/?tagging", "<Tagging><TagSet>", 400, "MalformedXML")]
#[case::empty("PUT", "/?tagging", "", 400, "MissingRequestBodyError")]
#[case::another_document("PUT", "/?cors", "<Tagging></Tagging>", 400, "MalformedXML")]
#[case::an_entity(
    "PUT",
    "/?tagging",
    "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><Tagging><TagSet><Tag><Key>&e;</Key><Value>v</Value></Tag></TagSet></Tagging>",
    400,
    "MalformedXML"
)]
#[case::no_rules("PUT", "/?lifecycle", "<LifecycleConfiguration></LifecycleConfiguration>", 400, "MalformedXML")]
#[case::a_wrong_status(
    "PUT",
    "/?versioning",
    "<VersioningConfiguration><Status>On</Status></VersioningConfiguration>",
    400,
    "IllegalVersioningConfigurationException"
)]
#[case::delete_nothing("POST", "/?delete", "<Delete></Delete>", 400, "MalformedXML")]
#[case::another_bodys_md5("PUT", "/?tagging&x-id=md5", "<Tagging><TagSet></TagSet></Tagging>", 400, "BadDigest")]
#[case::replication(
    "PUT",
    "/?replication",
    "<ReplicationConfiguration><Role>r</Role><Rule><Status>Enabled</Status><Destination><Bucket>b</Bucket></Destination></Rule></ReplicationConfiguration>",
    501,
    "NotImplemented"
)]
#[case::restore("POST", "/k?restore", "", 501, "NotImplemented")]
#[case::select("POST", "/k?select&select-type=2", "", 501, "NotImplemented")]
#[case::options("OPTIONS", "/k", "", 501, "NotImplemented")]
#[case::unknown_of_bucket("PUT", "/?teapot", "", 501, "NotImplemented")]
#[case::unknown_to_delete("DELETE", "/?object-lock", "", 501, "NotImplemented")]
#[case::unknown_of_object("DELETE", "/k?retention", "", 501, "NotImplemented")]
#[tokio::test]
async fn what_makes_no_sense_is_refused(
    #[case] method: &str,
    #[case] target: &str,
    #[case] body: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    fixture.signed("PUT", HOST, "/k", "hello").await;
    let mut request = Signed::new(method, HOST, target);
    if target.ends_with("md5") {
        request = request.header("content-md5", "XUFAKrxLKna5cZ2REBfFkg==");
    }
    let answer = fixture.send(request.body(body)).await;
    assert_eq!((answer.status, answer.element("Code")), (status, Some(code)), "{}", answer.body);
    assert_eq!(fixture.signed("GET", HOST, "/k", "").await.body, "hello", "everything is still there");
}

#[rstest]
#[case::up("/../../etc/passwd", 200)]
#[case::two_slashes("//k", 200)]
#[case::only_dots("/.", 200)]
#[case::nul("/a%00b", 400)]
#[case::not_utf8("/%ff", 400)]
#[case::too_long(&LONG, 400)]
#[tokio::test]
async fn a_key_is_a_name_and_no_path(#[case] target: &str, #[case] status: u16) {
    let fixture = Fixture::in_files().await;
    fixture.with_bucket("box").await;
    let put = fixture.signed("PUT", HOST, target, "hello").await;
    assert_eq!(put.status, status, "{}", put.body);
    if status == 200 {
        assert_eq!(fixture.signed("GET", HOST, target, "").await.body, "hello");
    }
}

const LONG: &str = {
    const BYTES: [u8; 1100] = {
        let mut bytes = [b'a'; 1100];
        bytes[0] = b'/';
        bytes
    };
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
};

#[tokio::test]
async fn an_oversized_document_is_refused() {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    let body = format!("<Tagging><!--{}--></Tagging>", " ".repeat(3 * 1024 * 1024));
    let answer = fixture.signed("PUT", HOST, "/?tagging", &body).await;
    assert_eq!((answer.status, answer.element("Code")), (400, Some("MaxMessageLengthExceeded")), "{}", answer.body);
}

#[tokio::test]
async fn an_object_announced_too_large_is_refused_before_it_comes() {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    let mut request = Signed::new("PUT", HOST, "/k");
    request.payload_hash = Some("UNSIGNED-PAYLOAD".into());
    let mut request = request.body("");
    request.headers_mut().insert("content-length", "6000000000".parse().unwrap());
    let answer = fixture.send(request).await;
    assert_eq!((answer.status, answer.element("Code")), (400, Some("EntityTooLarge")));
}

#[rstest]
#[case::another_hash(
    Some("0000000000000000000000000000000000000000000000000000000000000000"),
    false,
    "XAmzContentSHA256Mismatch",
    400
)]
#[case::no_hash(Some("nonsense"), false, "SignatureDoesNotMatch", 403)]
#[case::spoiled(None, true, "SignatureDoesNotMatch", 403)]
#[tokio::test]
async fn a_body_or_signature_that_was_changed_is_refused(
    #[case] hash: Option<&str>,
    #[case] spoil: bool,
    #[case] code: &str,
    #[case] status: u16,
) {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    let mut request = Signed::new("PUT", HOST, "/k");
    request.payload_hash = hash.map(Into::into);
    request.spoil = spoil;
    let answer = fixture.send(request.body("hello")).await;
    assert_eq!((answer.status, answer.element("Code")), (status, Some(code)), "{}", answer.body);
}

#[rstest]
#[case::version_two("AWS SCWOWNER000000000000:c2lnbmF0dXJl", "InvalidRequest")]
#[case::nonsense("Basic abc", "InvalidRequest")]
#[case::cut_off("AWS4-HMAC-SHA256 Credential=SCW", "InvalidRequest")]
#[tokio::test]
async fn other_authorizations_are_refused(#[case] authorization: &str, #[case] code: &str) {
    let fixture = Fixture::new().await;
    let request = http::Request::get("/").header("host", HOST).header("authorization", authorization);
    let answer = fixture.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.element("Code")), (400, Some(code)), "{}", answer.body);
}

#[tokio::test]
async fn a_form_upload_and_foreign_hosts_are_refused_without_a_panic() {
    let fixture = Fixture::new().await;
    let form = http::Request::post("/").header("host", HOST).header("content-type", "multipart/form-data; boundary=x");
    let answer = fixture.send(form.body(axum::body::Body::from("--x--")).unwrap()).await;
    assert_eq!((answer.status, answer.element("Code")), (501, Some("NotImplemented")));
    assert_eq!(fixture.signed("GET", "s3.us-east-1.scw.cloud", "/", "").await.status, 400);
    let nameless = http::Request::get("/").body(axum::body::Body::empty()).unwrap();
    assert_eq!(fixture.send(nameless).await.status, 403);
}

#[tokio::test]
async fn head_answers_have_no_body() {
    let fixture = Fixture::new().await;
    let answer = fixture.signed("HEAD", HOST, "/", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (404, ""));
    assert!(!answer.header("x-amz-request-id").is_empty());
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "acl",
            "versioning",
            "tagging",
            "lifecycle",
            "cors",
            "policy",
            "website",
            "encryption",
            "object-lock",
            "uploads",
            "versions",
            "delete",
            "retention",
            "legal-hold",
            "attributes",
            "location",
            "list-type=2",
            "uploadId=x",
            "partNumber=1",
            "partNumber=x",
            "versionId=null",
            "versionId=9999999999999999999",
            "max-keys=x",
            "max-keys=0",
            "prefix=%ff",
            "delimiter=",
            "encoding-type=url",
            "marker=%00",
            "notification",
            "logging",
            "session",
            "restore",
            "X-Amz-Signature=0",
            "torrent",
            "inventory",
            "key-marker=a",
            "version-id-marker=b",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z0-9%=]{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_request_causes_a_panic_or_an_undeclared_error(
        method in prop::sample::select(vec!["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]),
        path in "(/[a-zA-Z0-9.%/-]{0,12})",
        query in proptest::collection::vec(word(), 0..3),
        header in prop::sample::select(vec![
            ("range", "bytes=5-2"), ("if-match", "x y"), ("x-amz-copy-source", "box/k"), ("x-amz-copy-source", "%"),
            ("content-md5", "x"), ("x-amz-acl", "odd"), ("x-amz-storage-class", "odd"), ("x-amz-tagging", "a=b&&="),
            ("x-amz-object-lock-mode", "odd"), ("x-amz-checksum-crc32", "odd"), ("x-amz-grant-read", "odd"),
            ("x-amz-meta-a", "=?UTF-8?Q?=0A?="), ("if-modified-since", "odd"), ("x-amz-sdk-checksum-algorithm", "odd"),
            ("x-amz-bypass-governance-retention", "true"), ("x-amz-expected-bucket-owner", "odd"),
        ]),
        body in prop_oneof![Just(String::new()), "[<>/a-zA-Z&;]{0,40}", Just("<Tagging><TagSet></TagSet></Tagging>".to_owned())],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new().await;
            fixture.signed("PUT", HOST, "/", "").await;
            fixture.signed("PUT", HOST, "/k", "hello").await;
            let target = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
            if target.parse::<http::Uri>().is_ok() {
                let request = Signed::new(method, HOST, &target).header(header.0, header.1);
                let answer = fixture.send(request.body(&body)).await;
                assert!(answer.status < 500 || answer.status == 501, "{method} {target}: {} {}", answer.status, answer.body);
                if answer.status >= 400 && method != "HEAD" {
                    assert!(answer.element("Code").is_some(), "{method} {target}: {}", answer.body);
                }
            }
        });
    }
}

/// A signature is good for what it was made for and nothing else, and for a while only.
type Tamper = fn(&mut http::Request<axum::body::Body>);

#[tokio::test]
async fn a_signature_taken_from_another_request_opens_nothing() {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    fixture.signed("PUT", HOST, "/k", "hello").await;
    fixture.signed("PUT", HOST, "/other", "secret").await;
    let taken = || Signed::new("GET", HOST, "/k").body("");
    assert_eq!(fixture.send(taken()).await.status, 200);
    let tampered: [(&str, Tamper); 5] = [
        ("another object", |request| *request.uri_mut() = "/other".parse().expect("a path")),
        ("another method", |request| *request.method_mut() = http::Method::DELETE),
        ("another query", |request| *request.uri_mut() = "/k?acl".parse().expect("a path")),
        ("another host", |request| {
            request.headers_mut().insert("host", http::HeaderValue::from_static("bin.s3.fr-par.scw.cloud"));
        }),
        ("another time", |request| {
            request.headers_mut().insert("x-amz-date", http::HeaderValue::from_static("20200101T000000Z"));
        }),
    ];
    for (what, tamper) in tampered {
        let mut request = taken();
        tamper(&mut request);
        let answer = fixture.send(request).await;
        assert!(matches!(answer.status, 400 | 403 | 404), "{what}: {} {}", answer.status, answer.body);
    }
    let body = Signed::new("PUT", HOST, "/k").body("hello").map(|_| axum::body::Body::from("HELLO"));
    assert!((400..500).contains(&fixture.send(body).await.status), "another body");
    let mut old = Signed::new("GET", HOST, "/k");
    old.at -= time::Duration::hours(1);
    assert_eq!(fixture.send(old.body("")).await.status, 403, "replayed an hour later");
    assert_eq!(fixture.signed("GET", HOST, "/k", "").await.body, "hello", "nothing was changed");
}

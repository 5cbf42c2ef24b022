//! Buckets and their configuration.

use aws_sdk_s3::types::{
    BucketCannedAcl, BucketLocationConstraint, BucketVersioningStatus, CorsConfiguration, CorsRule,
    CreateBucketConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, Tag, Tagging, VersioningConfiguration,
};
use rstest::rstest;

use crate::fixture::{Fixture, OWNER, PROJECT, SECOND_PROJECT, STRANGER, code, refused};

const HOST: &str = "box.s3.fr-par.scw.cloud";

#[tokio::test]
async fn a_bucket_is_created_found_and_removed() {
    let fixture = Fixture::new().await;
    let client = fixture.client();
    let created = client.create_bucket().bucket("box").send().await.unwrap();
    assert_eq!(created.location(), Some("/box"));
    let head = client.head_bucket().bucket("box").send().await.unwrap();
    assert_eq!(head.bucket_region(), Some("fr-par"));
    assert_eq!(refused(client.create_bucket().bucket("box").send().await), code("BucketAlreadyOwnedByYou", 409));
    client.put_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(refused(client.delete_bucket().bucket("box").send().await), code("BucketNotEmpty", 409));
    client.delete_object().bucket("box").key("k").send().await.unwrap();
    client.delete_bucket().bucket("box").send().await.unwrap();
    assert_eq!(refused(client.list_objects_v2().bucket("box").send().await), code("NoSuchBucket", 404));
}

#[tokio::test]
async fn a_taken_name_is_refused_in_every_region_and_to_everybody() {
    let fixture = Fixture::new().await;
    fixture.with_bucket("taken").await;
    let amsterdam = fixture.client_of(OWNER.0, OWNER.1, "nl-ams");
    assert_eq!(refused(amsterdam.create_bucket().bucket("taken").send().await), code("BucketAlreadyOwnedByYou", 409));
    assert_eq!(refused(amsterdam.list_objects().bucket("taken").send().await), code("NoSuchBucket", 404));
    let stranger = fixture.client_of(STRANGER.0, STRANGER.1, "fr-par");
    assert_eq!(refused(stranger.create_bucket().bucket("taken").send().await), code("BucketAlreadyExists", 409));
    assert_eq!(refused(stranger.get_bucket_acl().bucket("taken").send().await), code("AccessDenied", 403));
}

#[tokio::test]
async fn a_location_constraint_is_the_endpoints_region_or_refused() {
    let fixture = Fixture::new().await;
    let client = fixture.client();
    let within = |region: &str| {
        CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region)).build()
    };
    client.create_bucket().bucket("box").create_bucket_configuration(within("fr-par")).send().await.unwrap();
    let location = client.get_bucket_location().bucket("box").send().await.unwrap();
    assert_eq!(location.location_constraint().unwrap().as_str(), "fr-par");
    let elsewhere = client.create_bucket().bucket("other").create_bucket_configuration(within("us-east-1"));
    assert_eq!(refused(elsewhere.send().await), code("InvalidLocationConstraint", 400));
}

#[rstest]
#[case::too_short("ab")]
#[case::capitals("Capital")]
#[case::underscore("under_score")]
#[case::an_address("192.168.1.1")]
#[case::two_dots("a..b")]
#[case::a_dash_at_the_end("ends-")]
#[case::too_long("a123456789012345678901234567890123456789012345678901234567890123")]
#[tokio::test]
async fn a_bad_bucket_name_is_refused(#[case] name: &str) {
    let answer = Fixture::new().await.signed("PUT", "s3.fr-par.scw.cloud", &format!("/{name}"), "").await;
    assert_eq!((answer.status, answer.element("Code")), (400, Some("InvalidBucketName")), "{}", answer.body);
}

#[tokio::test]
async fn buckets_are_listed_by_project_and_region() {
    let fixture = Fixture::new().await;
    let second = format!("{}@{SECOND_PROJECT}", OWNER.0);
    fixture.with_bucket("one").await;
    fixture.client_of(OWNER.0, OWNER.1, "nl-ams").create_bucket().bucket("two").send().await.unwrap();
    fixture.client_of(&second, OWNER.1, "fr-par").create_bucket().bucket("three").send().await.unwrap();
    for (key, region, expected) in
        [(OWNER.0, "fr-par", "one"), (OWNER.0, "nl-ams", "two"), (second.as_str(), "fr-par", "three")]
    {
        let listed = fixture.client_of(key, OWNER.1, region).list_buckets().send().await.unwrap();
        let names: Vec<_> = listed.buckets().iter().filter_map(|bucket| bucket.name()).collect();
        assert_eq!(names, [expected]);
    }
    let owned = fixture.client().list_buckets().send().await.unwrap();
    assert_eq!(owned.owner().unwrap().id(), Some(format!("{PROJECT}:{PROJECT}").as_str()));
    let foreign = fixture.client().head_bucket().bucket("three").send().await;
    assert_eq!(foreign.unwrap_err().raw_response().unwrap().status().as_u16(), 403);
}

#[rstest]
#[case(
    "object-lock",
    "ObjectLockConfigurationNotFoundError",
    "Object Lock configuration does not exist for this bucket"
)]
#[case("tagging", "NoSuchTagSet", "The TagSet does not exist")]
#[case("cors", "NoSuchCORSConfiguration", "The CORS configuration does not exist")]
#[case("lifecycle", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")]
#[case("policy", "NoSuchBucketPolicy", "The bucket policy does not exist")]
#[case("website", "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")]
#[case(
    "encryption",
    "ServerSideEncryptionConfigurationNotFoundError",
    "The server side encryption configuration was not found"
)]
#[tokio::test]
async fn what_is_not_configured_is_not_found(#[case] what: &str, #[case] code: &str, #[case] message: &str) {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    let answer = fixture.signed("GET", HOST, &format!("/?{what}"), "").await;
    assert_eq!((answer.status, answer.element("Code"), answer.element("Message")), (404, Some(code), Some(message)));
    for element in ["RequestId", "HostId", "Resource"] {
        assert!(answer.element(element).is_some(), "{element} in {}", answer.body);
    }
    assert_eq!(answer.header("x-amz-request-id"), answer.element("RequestId").unwrap());
    assert!(!answer.header("x-amz-id-2").is_empty());
    let nowhere = fixture.signed("GET", "none.s3.fr-par.scw.cloud", &format!("/?{what}"), "").await;
    assert_eq!((nowhere.status, nowhere.element("Code")), (404, Some("NoSuchBucket")));
    assert_eq!(nowhere.element("Message"), Some("The specified bucket does not exist"));
}

#[tokio::test]
async fn versioning_never_asked_for_is_an_empty_status() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    let answer = fixture.signed("GET", HOST, "/?versioning", "").await;
    assert!(answer.body.contains("<Status></Status>"), "{}", answer.body);
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket("box").versioning_configuration(enabled).send().await.unwrap();
    let told = client.get_bucket_versioning().bucket("box").send().await.unwrap();
    assert_eq!(told.status(), Some(&BucketVersioningStatus::Enabled));
}

#[tokio::test]
async fn the_lifecycle_is_told_as_it_was_sent() {
    let fixture = Fixture::new().await;
    fixture.with_bucket("box").await;
    let rules = concat!(
        "<Rule><Expiration><Days>30</Days><ExpiredObjectDeleteMarker>false</ExpiredObjectDeleteMarker></Expiration>",
        "<Filter></Filter><ID>a</ID><Status>Enabled</Status></Rule>",
        "<Rule><Filter><And><Prefix>p/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>",
        "<ID>b</ID><Status>Disabled</Status>",
        "<Transition><Days>5</Days><StorageClass>GLACIER</StorageClass></Transition></Rule>",
    );
    let sent = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
    let put = fixture.signed("PUT", HOST, "/?lifecycle", &sent).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let told = fixture.signed("GET", HOST, "/?lifecycle", "").await;
    assert!(told.body.contains(rules), "{}", told.body);
    let deleted = fixture.signed("DELETE", HOST, "/?lifecycle", "").await;
    assert_eq!(deleted.status, 204);
    assert_eq!(fixture.signed("GET", HOST, "/?lifecycle", "").await.status, 404);
    assert_eq!(fixture.signed("HEAD", HOST, "/", "").await.status, 200, "the bucket itself is still there");
}

#[tokio::test]
async fn cors_tags_website_and_encryption_are_told_as_they_were_sent() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;

    let rule = CorsRule::builder().allowed_methods("GET").allowed_origins("https://a.example").max_age_seconds(9);
    let cors = CorsConfiguration::builder().cors_rules(rule.build().unwrap()).build().unwrap();
    client.put_bucket_cors().bucket("box").cors_configuration(cors.clone()).send().await.unwrap();
    assert_eq!(client.get_bucket_cors().bucket("box").send().await.unwrap().cors_rules(), cors.cors_rules());
    client.delete_bucket_cors().bucket("box").send().await.unwrap();

    let tag = Tag::builder().key("team").value("a & b").build().unwrap();
    let tags = Tagging::builder().tag_set(tag.clone()).build().unwrap();
    client.put_bucket_tagging().bucket("box").tagging(tags).send().await.unwrap();
    assert_eq!(client.get_bucket_tagging().bucket("box").send().await.unwrap().tag_set(), [tag]);
    client
        .put_bucket_tagging()
        .bucket("box")
        .tagging(Tagging::builder().set_tag_set(Some(vec![])).build().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(refused(client.get_bucket_tagging().bucket("box").send().await), code("NoSuchTagSet", 404));

    let site = "<WebsiteConfiguration><ErrorDocument><Key>404.html</Key></ErrorDocument><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";
    assert_eq!(fixture.signed("PUT", HOST, "/?website", site).await.status, 200);
    let told = fixture.signed("GET", HOST, "/?website", "").await;
    assert!(told.body.contains("<Suffix>index.html</Suffix>") && told.body.contains("<Key>404.html</Key>"));

    let default = |algorithm, key: Option<&str>| {
        let default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(algorithm)
            .set_kms_master_key_id(key.map(Into::into));
        let rule =
            ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default.build().unwrap());
        let configuration = ServerSideEncryptionConfiguration::builder().rules(rule.build()).build().unwrap();
        client.put_bucket_encryption().bucket("box").server_side_encryption_configuration(configuration).send()
    };
    assert_eq!(refused(default(ServerSideEncryption::Aes256, Some("k")).await), code("InvalidArgument", 400));
    assert_eq!(refused(default(ServerSideEncryption::AwsKms, Some("k")).await), code("InvalidArgument", 400));
    default(ServerSideEncryption::Aes256, None).await.unwrap();
    let told = fixture.signed("GET", HOST, "/?encryption", "").await;
    assert!(told.body.contains("<BucketKeyEnabled>false</BucketKeyEnabled>"), "{}", told.body);
    let put = client.put_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(put.server_side_encryption(), Some(&ServerSideEncryption::Aes256));
}

#[tokio::test]
async fn the_acl_names_the_project_as_owner_and_canned_acls_are_kept() {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    let owner = format!("{PROJECT}:{PROJECT}");
    let told = fixture.signed("GET", HOST, "/?acl", "").await;
    assert_eq!(told.element("ID"), Some(owner.as_str()));
    assert!(
        told.body.contains("xsi:type=\"CanonicalUser\"") && told.body.contains("<Permission>FULL_CONTROL</Permission>")
    );
    client.put_bucket_acl().bucket("box").acl(BucketCannedAcl::PublicRead).send().await.unwrap();
    let acl = client.get_bucket_acl().bucket("box").send().await.unwrap();
    let group = acl.grants()[1].grantee().unwrap().uri();
    assert_eq!(group, Some("http://acs.amazonaws.com/groups/global/AllUsers"));
    let xml = format!(
        "<AccessControlPolicy xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><AccessControlList><Grant><Grantee xsi:type=\"CanonicalUser\"><ID>{owner}</ID></Grantee><Permission>READ</Permission></Grant></AccessControlList><Owner><ID>{owner}</ID></Owner></AccessControlPolicy>"
    );
    let put = fixture.signed("PUT", HOST, "/?acl", &xml).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let acl = client.get_bucket_acl().bucket("box").send().await.unwrap();
    assert_eq!(acl.grants().len(), 1);
    assert_eq!(acl.grants()[0].permission().unwrap().as_str(), "READ");
}

#[tokio::test]
async fn what_is_kept_is_there_again_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    use stackproof_cloud::kernel::{Blobs, Clock, Options, Profile, RootKey, Store};
    use std::sync::Arc;
    let root = Some(RootKey::random().unwrap());
    let options = Options { folder: Some(folder.path().into()), root, ..Options::default() };
    let open = || Arc::new(Store::open(&options, Clock::new(Profile::Instant)).unwrap());
    let blobs = |store: &Store| Blobs::in_folder(&folder.path().join("blobs"), store.key()).unwrap();
    {
        let store = open();
        let blobs = blobs(&store);
        let fixture = Fixture::over(store, blobs).await;
        let client = fixture.with_bucket("box").await;
        client.put_object().bucket("box").key("k").body(b"kept".to_vec().into()).send().await.unwrap();
        fixture.close().await;
    }
    let store = open();
    let blobs = blobs(&store);
    let fixture = Fixture::over(store, blobs).await;
    let got = fixture.client().get_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"kept");
}

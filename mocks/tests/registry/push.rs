//! Pushing and pulling: what arrives, and who may.

use oci_client::{Reference, secrets::RegistryAuth};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::scene::{HOST, IMAGES, MANIFEST, NAMESPACES, Scene, digest, header, manifest, refusal};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

fn reference(image: &str) -> Reference {
    format!("{HOST}/{image}").parse().unwrap()
}

#[tokio::test]
async fn a_pushed_image_is_in_the_api_and_comes_back_as_it_was() {
    let scene = Scene::new().await;
    let layer: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let digest = scene.push("team/app:v1", &layer).await;
    let media = vec!["application/vnd.oci.image.layer.v1.tar+gzip"];
    let pulled = scene.client().pull(&reference("team/app:v1"), &scene.login(), media).await.unwrap();
    assert_eq!(pulled.digest.as_deref(), Some(digest.as_str()));
    assert!(pulled.layers[0].data == layer, "the layer is another one");
    let image = scene.get(IMAGES).await["images"][0].clone();
    assert_eq!((&image["status"], &image["size"]), (&json!("ready"), &json!(layer.len())));
    assert_eq!(image["visibility"], "inherit");
    let tags = scene.get(&format!("{IMAGES}/{}/tags", image["id"].as_str().unwrap())).await;
    assert_eq!((&tags["tags"][0]["digest"], &tags["tags"][0]["status"]), (&json!(digest), &json!("ready")));
    let namespace = scene.get(NAMESPACES).await["namespaces"][0].clone();
    assert_eq!((&namespace["image_count"], &namespace["size"]), (&json!(1), &json!(layer.len())));
}

#[tokio::test]
async fn a_layer_in_two_tags_of_an_image_counts_once_and_in_two_images_twice() {
    let scene = Scene::new().await;
    for image in ["team/app:v1", "team/app:v2", "team/web:v1"] {
        scene.push(image, b"0123456789").await;
    }
    assert_eq!(scene.get(&format!("{IMAGES}?name=app")).await["images"][0]["size"], 10);
    assert_eq!(scene.get(NAMESPACES).await["namespaces"][0]["size"], 20);
}

#[tokio::test]
async fn a_tag_pushed_again_keeps_its_identifier_and_names_the_new_manifest() {
    let scene = Scene::new().await;
    let tag = async || {
        let image = scene.get(IMAGES).await["images"][0]["id"].as_str().unwrap().to_owned();
        scene.get(&format!("{IMAGES}/{image}/tags")).await["tags"][0].clone()
    };
    let old = scene.push("team/app:v1", b"old").await;
    let before = tag().await;
    let new = scene.push("team/app:v1", b"new").await;
    let after = tag().await;
    assert_ne!(old, new);
    assert_eq!((&before["digest"], &after["digest"]), (&json!(old), &json!(new)));
    assert_eq!(before["id"], after["id"]);
}

#[rstest]
#[case::oci(MANIFEST, INDEX)]
#[case::docker(DOCKER_MANIFEST, DOCKER_LIST)]
#[tokio::test]
async fn an_index_names_manifests_that_are_there(#[case] kind: &str, #[case] list: &str) {
    let scene = Scene::new().await;
    let mut children = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let config = format!("{{\"architecture\":\"{architecture}\",\"os\":\"linux\"}}").into_bytes();
        let mut child = manifest(&config, architecture.as_bytes());
        child["mediaType"] = json!(kind);
        let child = child.to_string().into_bytes();
        let descriptor = json!({
            "mediaType": kind, "digest": digest(&child), "size": child.len(),
            "platform": {"architecture": architecture, "os": "linux"},
        });
        children.push((config, architecture.as_bytes().to_vec(), child, descriptor));
    }
    let descriptors: Vec<&Value> = children.iter().map(|(.., descriptor)| descriptor).collect();
    let index = json!({"schemaVersion": 2, "mediaType": list, "manifests": descriptors}).to_string().into_bytes();
    let early = scene.put("team/app", "v1", list, &index).await;
    assert_eq!(refusal(early).await, (400, "MANIFEST_BLOB_UNKNOWN".into()));
    for (config, layer, child, _) in &children {
        scene.blob("team/app", config).await;
        scene.blob("team/app", layer).await;
        assert_eq!(scene.put("team/app", &digest(child), kind, child).await.status(), 201);
    }
    let put = scene.put("team/app", "v1", list, &index).await;
    assert_eq!((put.status().as_u16(), header(&put, "docker-content-digest")), (201, digest(&index)));
    let got = scene.request(Method::GET, "team/app/manifests/v1").send().await.unwrap();
    assert_eq!(header(&got, "content-type"), list);
    assert_eq!(got.bytes().await.unwrap(), index);
    let image = scene.get(IMAGES).await["images"][0].clone();
    assert_eq!((&image["tags"], &image["size"]), (&json!(["v1"]), &json!(10)));
}

#[tokio::test]
async fn head_tells_what_get_gives() {
    let scene = Scene::new().await;
    let manifest = scene.push("team/app:v1", b"layer").await;
    for (path, length, digest) in [
        ("team/app/manifests/v1".to_owned(), None, manifest),
        (format!("team/app/blobs/{}", digest(b"layer")), Some("5"), digest(b"layer")),
    ] {
        let head = scene.request(Method::HEAD, &path).send().await.unwrap();
        let get = scene.request(Method::GET, &path).send().await.unwrap();
        for name in ["content-length", "content-type", "docker-content-digest", "etag"] {
            assert_eq!(header(&head, name), header(&get, name), "{name} of {path}");
            assert_ne!(header(&head, name), "", "{name} of {path}");
        }
        assert_eq!(header(&head, "docker-content-digest"), digest);
        assert!(length.is_none_or(|length| header(&get, "content-length") == length));
    }
    let part = scene.request(Method::GET, &format!("team/app/blobs/{}", digest(b"layer")));
    let part = part.header("range", "bytes=1-2").send().await.unwrap();
    assert_eq!((part.status().as_u16(), header(&part, "content-range")), (206, "bytes 1-2/5".into()));
    assert_eq!(part.bytes().await.unwrap(), "ay");
}

#[rstest]
#[case::read_only(&["ContainerRegistryReadOnly"], 200, 403)]
#[case::full_access(&["ContainerRegistryFullAccess"], 200, 202)]
#[case::everything_to_read(&["AllProductsReadOnly"], 200, 403)]
#[case::something_else(&["ObjectStorageFullAccess"], 403, 403)]
#[case::nothing(&[], 403, 403)]
#[tokio::test]
async fn iam_decides_who_pulls_and_who_pushes(#[case] sets: &[&str], #[case] pull: u16, #[case] push: u16) {
    let scene = Scene::new().await;
    scene.push("team/app:v1", b"layer").await;
    let key = scene.key_with(sets).await;
    let status = async |method: Method, path: &str| {
        let request = scene.anonymous(method, path).basic_auth("anybody", Some(&key));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(Method::GET, "").await, 200, "a login needs a key, no permission");
    assert_eq!(status(Method::GET, "team/app/manifests/v1").await, pull);
    assert_eq!(status(Method::POST, "team/app/blobs/uploads/").await, push);
}

#[tokio::test]
async fn another_organisation_is_kept_out() {
    let scene = Scene::new().await;
    scene.push("team/app:v1", b"layer").await;
    let key = scene.stranger();
    for (method, path) in [(Method::GET, "team/app/manifests/v1"), (Method::POST, "team/app/blobs/uploads/")] {
        let answer = scene.anonymous(method, path).basic_auth("nologin", Some(&key)).send().await.unwrap();
        assert_eq!(refusal(answer).await, (403, "DENIED".into()));
    }
}

#[rstest]
#[case::private(false, "inherit", 401)]
#[case::public_namespace(true, "inherit", 200)]
#[case::private_image_of_a_public_namespace(true, "private", 401)]
#[case::public_image_of_a_private_namespace(false, "public", 200)]
#[tokio::test]
async fn what_is_public_is_pulled_without_login(#[case] public: bool, #[case] visibility: &str, #[case] status: u16) {
    let scene = Scene::new().await;
    scene.push("team/app:v1", b"layer").await;
    let id = async |path: &str, list: &str| scene.get(path).await[list][0]["id"].as_str().unwrap().to_owned();
    let namespace = format!("{NAMESPACES}/{}", id(NAMESPACES, "namespaces").await);
    assert_eq!(scene.api(Method::PATCH, &namespace, json!({"is_public": public})).await.0, 200);
    let image = format!("{IMAGES}/{}", id(IMAGES, "images").await);
    assert_eq!(scene.api(Method::PATCH, &image, json!({"visibility": visibility})).await.0, 200);
    for path in ["team/app/manifests/v1".to_owned(), format!("team/app/blobs/{}", digest(b"layer"))] {
        assert_eq!(scene.anonymous(Method::GET, &path).send().await.unwrap().status(), status, "{path}");
    }
    let push = scene.anonymous(Method::POST, "team/app/blobs/uploads/").send().await.unwrap();
    assert_eq!(push.status(), 401, "nobody pushes without login");
    if status == 200 {
        let media = vec!["application/vnd.oci.image.layer.v1.tar+gzip"];
        scene.client().pull(&reference("team/app:v1"), &RegistryAuth::Anonymous, media).await.unwrap();
    }
}

#[rstest]
#[case::no_login("", "")]
#[case::wrong_password("nologin", "11111111-1111-4111-8111-111111111111")]
#[case::access_key_alone("SCWXXXXXXXXXXXXXXXXX", "")]
#[tokio::test]
async fn a_login_needs_a_secret_key(#[case] user: &str, #[case] password: &str) {
    let scene = Scene::new().await;
    for path in ["", "team/app/manifests/v1"] {
        let mut request = scene.anonymous(Method::GET, path);
        if !user.is_empty() {
            request = request.basic_auth(user, Some(password));
        }
        let answer = request.send().await.unwrap();
        assert_eq!(header(&answer, "www-authenticate"), "Basic realm=\"rg.fr-par.scw.cloud\"");
        assert_eq!(header(&answer, "docker-distribution-api-version"), "registry/2.0");
        assert_eq!(refusal(answer).await, (401, "UNAUTHORIZED".into()));
    }
}

#[tokio::test]
async fn a_namespace_that_is_not_there_takes_no_push() {
    let scene = Scene::new().await;
    let answer = scene.request(Method::POST, "nobody/app/blobs/uploads/").send().await.unwrap();
    assert_eq!(refusal(answer).await, (404, "NAME_UNKNOWN".into()));
    let anonymous = scene.anonymous(Method::POST, "nobody/app/blobs/uploads/").send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}

#[rstest]
#[case::another_type(MANIFEST, |m: &mut Value| m["mediaType"] = json!(INDEX), "MANIFEST_INVALID")]
#[case::an_unknown_type("text/plain", |m: &mut Value| { m.as_object_mut().unwrap().remove("mediaType"); }, "MANIFEST_INVALID")]
#[case::schema_1(MANIFEST, |m: &mut Value| m["schemaVersion"] = json!(1), "MANIFEST_INVALID")]
#[case::no_layers(MANIFEST, |m: &mut Value| m["layers"] = json!("none"), "MANIFEST_INVALID")]
#[case::another_size(MANIFEST, |m: &mut Value| m["layers"][0]["size"] = json!(6), "MANIFEST_INVALID")]
#[case::a_layer_not_pushed(MANIFEST, |m: &mut Value| m["layers"][0]["digest"] = json!(digest(b"?")), "MANIFEST_BLOB_UNKNOWN")]
#[case::a_digest_that_is_none(MANIFEST, |m: &mut Value| m["config"]["digest"] = json!("sha256:zz"), "MANIFEST_INVALID")]
#[tokio::test]
async fn a_manifest_must_be_right(#[case] kind: &str, #[case] spoil: fn(&mut Value), #[case] code: &str) {
    let scene = Scene::new().await;
    scene.blob("team/app", b"{}").await;
    scene.blob("team/app", b"layer").await;
    let mut manifest = manifest(b"{}", b"layer");
    let good = scene.put("team/app", "good", MANIFEST, manifest.to_string().as_bytes()).await;
    assert_eq!(good.status(), 201);
    spoil(&mut manifest);
    let bad = scene.put("team/app", "bad", kind, manifest.to_string().as_bytes()).await;
    assert_eq!(refusal(bad).await, (400, code.into()));
    assert_eq!(scene.get(IMAGES).await["images"][0]["tags"], json!(["good"]));
}

#[tokio::test]
async fn a_manifest_under_another_digest_or_too_large_is_refused() {
    let scene = Scene::new().await;
    let refused = scene.put("team/app", &digest(b"another"), MANIFEST, b"{}").await;
    assert_eq!(refusal(refused).await, (400, "DIGEST_INVALID".into()));
    let refused = scene.put("team/app", "v1", MANIFEST, &vec![b' '; (4 << 20) + 1]).await;
    assert_eq!(refused.status(), 413);
    assert_eq!(scene.get(IMAGES).await["total_count"], 0);
}

#[rstest]
#[case::no_tag("GET", "team/app/manifests/v2", 404, "MANIFEST_UNKNOWN")]
#[case::no_manifest("DELETE", "team/app/manifests/v2", 404, "MANIFEST_UNKNOWN")]
#[case::no_image("GET", "team/web/tags/list", 404, "NAME_UNKNOWN")]
#[case::no_blob("GET", &format!("team/app/blobs/{}", digest(b"?")), 404, "BLOB_UNKNOWN")]
#[case::no_digest("GET", "team/app/blobs/sha256:abc", 400, "DIGEST_INVALID")]
#[case::sha_512("GET", &format!("team/app/blobs/sha512:{}", "a".repeat(128)), 400, "DIGEST_INVALID")]
#[case::no_name("GET", "team/App/tags/list", 400, "NAME_INVALID")]
#[case::no_upload("PATCH", "team/app/blobs/uploads/7", 404, "BLOB_UPLOAD_UNKNOWN")]
#[case::no_number("GET", "team/app/tags/list?n=few", 400, "UNSUPPORTED")]
#[case::no_path("GET", "_catalog", 404, "UNSUPPORTED")]
#[case::no_deletion_of_blobs("DELETE", &format!("team/app/blobs/{}", digest(b"layer")), 405, "UNSUPPORTED")]
#[tokio::test]
async fn errors_are_those_of_the_specification(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let scene = Scene::new().await;
    scene.push("team/app:v1", b"layer").await;
    let answer = scene.request(method.parse().unwrap(), path).send().await.unwrap();
    assert_eq!(refusal(answer).await, (status, code.into()));
}

#[tokio::test]
async fn tags_are_listed_page_by_page() {
    let scene = Scene::new().await;
    for tag in ["b", "a", "c"] {
        scene.push(&format!("team/app:{tag}"), b"layer").await;
    }
    let mut path = "team/app/tags/list?n=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let answer = scene.request(Method::GET, &path).send().await.unwrap();
        let link = header(&answer, "link");
        let page: Value = answer.json().await.unwrap();
        assert_eq!(page["name"], "team/app");
        seen.push(page["tags"].clone());
        let Some(next) = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")) else { break };
        path = next.to_owned();
    }
    assert_eq!(seen, [json!(["a", "b"]), json!(["c"])]);
    let list = scene.client().list_tags(&reference("team/app"), &scene.login(), Some(1), Some("b")).await.unwrap();
    assert_eq!(list.tags, ["c"]);
}

#[tokio::test]
async fn a_manifest_is_deleted_with_its_tags_and_a_tag_alone() {
    let scene = Scene::new().await;
    let digest = scene.push("team/app:v1", b"layer").await;
    scene.push("team/app:v2", b"layer").await;
    let delete = async |reference: &str| {
        let path = format!("team/app/manifests/{reference}");
        scene.request(Method::DELETE, &path).send().await.unwrap().status().as_u16()
    };
    assert_eq!(delete("v1").await, 202);
    assert_eq!(scene.get(IMAGES).await["images"][0]["tags"], json!(["v2"]));
    assert_eq!(delete(&digest).await, 202);
    assert_eq!(scene.get(IMAGES).await["images"][0]["tags"], json!([]));
    assert_eq!(delete(&digest).await, 404);
}

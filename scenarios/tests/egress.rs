//! What a container reaches: what one at Scaleway does, by the real names and with certificates it verifies; and nobody
//! else.
//!
//! It is asked by a program that knows nothing of the local cloud: this machine's curl, in an image of its own.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use reqwest::Method;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stackproof::{
    Progress,
    acceptance::TargetName,
    foundation,
    image::{self, Source},
    target::Target,
};
use stackproof_cloud::kernel::Profile;

const BUCKET: &str = "of-a-container";

#[tokio::test]
async fn a_container_reaches_scaleways_hosts_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("cloud");
    let target = Target::for_scenario(TargetName::Gateway, &home, Profile::Instant).await.unwrap();
    let missing = target.control().unwrap().missing().await.unwrap();
    if !missing.is_empty() {
        println!("SKIPPED: not provable on this machine: {}", missing.join("; "));
        return;
    }
    let storage = target.object_storage().unwrap();
    assert_eq!(storage.create_bucket(BUCKET).await.unwrap(), 200);
    assert_eq!(storage.put(BUCKET, "a.txt", b"an object".to_vec()).await.unwrap(), 200);
    let container = Container::deploy(&target, folder.path()).await;

    let fetched = container.curl(&["-sS", &presigned(&target, "a.txt")]).await;
    assert_eq!(fetched, (0, "an object".to_owned()));
    let token = format!("X-Auth-Token: {}", target.environment().credentials().secret_key);
    let buckets = "https://api.scaleway.com/registry/v1/regions/fr-par/namespaces";
    let (code, said) = container.curl(&["-sS", "-H", &token, buckets]).await;
    let listed: Value = serde_json::from_str(&said).unwrap_or_default();
    assert_eq!((code, &listed["namespaces"][0]["name"]), (0, &json!("egress")), "{said}");
    let plain = container.curl(&["-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://s3.fr-par.scw.cloud/"]).await;
    assert_eq!(plain, (0, "403".to_owned()));
    let registry = container.curl(&["-sS", "-o", "/dev/null", "-w", "%{http_code}", "https://rg.fr-par.scw.cloud/v2/"]);
    assert_eq!(registry.await, (0, "401".to_owned()));

    // curl's codes: 6 no such name, 7 no connection, 56 the proxy refuses.
    let gateway = target.environment().get("HTTPS_PROXY").unwrap().to_owned();
    for (args, expected) in [
        (vec!["https://example.com/"], 6),
        (vec!["https://192.0.2.1/"], 7),
        (vec![gateway.as_str()], 7),
        (vec!["-x", "http://api.scaleway.com:80", "https://example.com/"], 56),
        (vec!["-x", "http://api.scaleway.com:80", "-p", gateway.as_str()], 56),
    ] {
        let (code, said) = container.curl(&[["-sS", "--max-time", "5"].as_slice(), &args].concat()).await;
        assert_eq!(code, expected, "curl {args:?}: {said}");
    }
}

fn presigned(target: &Target, key: &str) -> String {
    let credentials = target.environment().credentials();
    let endpoint = "https://s3.fr-par.scw.cloud".parse().unwrap();
    let bucket = Bucket::new(endpoint, UrlStyle::VirtualHost, BUCKET, "fr-par").unwrap();
    let signer = Credentials::new(&credentials.access_key, &credentials.secret_key);
    bucket.get_object(Some(&signer), key).sign(Duration::from_secs(60)).to_string()
}

/// A container that runs curl as it is told.
struct Container<'a> {
    target: &'a Target,
    url: String,
}

impl<'a> Container<'a> {
    async fn deploy(target: &'a Target, folder: &Path) -> Self {
        let api = target.api().unwrap();
        let make = async |product: &str, list: &str, body: Value| {
            let answer = api.send(Method::POST, &api.regional(product, list), Some(body)).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.body);
            answer.body
        };
        make("registry/v1", "namespaces", json!({"name": "egress"})).await;
        let source = Source::open(&lay(folder)).unwrap();
        let reference = foundation::reference(target, "egress", "curl", "latest");
        let pushed = image::push(target, &source, &reference, &Progress::Silent).await.unwrap().to_string();
        let namespace = make("containers/v1", "namespaces", json!({"name": "egress"})).await;
        let body = json!({"name": "curl", "namespace_id": namespace["id"], "image": pushed, "min_scale": 1});
        let made = make("containers/v1", "containers", body).await;
        let path = api.regional("containers/v1", &format!("containers/{}", made["id"].as_str().unwrap()));
        let told = api.get(&path).await.unwrap().body;
        assert_eq!(told["status"], "ready", "{told}");
        Self { target, url: told["public_endpoint"].as_str().unwrap().to_owned() }
    }

    /// curl's exit code, and what it printed.
    async fn curl(&self, args: &[&str]) -> (i32, String) {
        let args: Vec<String> = args.iter().map(hex::encode).collect();
        let page = self.target.web().unwrap().get(&format!("{}/curl?{}", self.url, args.join("."))).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.text);
        let (code, said) = page.text.split_once('\n').unwrap();
        (code.parse().unwrap(), said.to_owned())
    }
}

/// Lays an image of the test's program and this machine's curl into a folder, as OCI images lie.
fn lay(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    fs::create_dir_all(&root).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/curl.rs");
    run(Command::new("rustc")
        .args(["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
        .args([root.join("app"), source]));
    let libraries = run(Command::new("ldd").arg("/usr/bin/curl"));
    let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    for file in libraries.chain(["/usr/bin/curl"]) {
        let there = root.join(file.trim_start_matches('/'));
        fs::create_dir_all(there.parent().unwrap()).unwrap();
        fs::copy(file, there).unwrap();
    }
    let archive = folder.join("layer.tar");
    run(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg("."));
    let layout = folder.join("layout");
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    let blob = |bytes: &[u8], kind: &str| {
        let digest = hex::encode(Sha256::digest(bytes));
        fs::write(layout.join("blobs/sha256").join(&digest), bytes).unwrap();
        json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let layer = blob(&fs::read(archive).unwrap(), "application/vnd.oci.image.layer.v1.tar");
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {"Entrypoint": ["/app"], "User": "65532:65532"},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
    let manifest = blob(manifest.to_string().as_bytes(), kind);
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(layout.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string()).unwrap();
    layout
}

fn run(command: &mut Command) -> String {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

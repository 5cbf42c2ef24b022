use serde_json::Value;

use super::*;

/// An image as the files of an OCI layout; the digest of its manifest.
fn layout() -> (Files, String) {
    let image = Source::of_program(b"a program").unwrap();
    let mut files = Files::default();
    for blob in &image.blobs {
        let mut bytes = Vec::new();
        blob.part.open().unwrap().read_to_end(&mut bytes).unwrap();
        files.add(place(&blob.digest).unwrap(), bytes);
    }
    let root = image.manifests.last().unwrap();
    files.add(place(&root.digest).unwrap(), root.bytes.clone());
    let entry = json!({"mediaType": root.media_type, "digest": root.digest, "size": root.bytes.len()});
    files.add("index.json", json!({"schemaVersion": 2, "manifests": [entry]}).to_string().into_bytes());
    (files, root.digest.clone())
}

fn refusal(files: Files) -> String {
    read(files).unwrap_err().what
}

#[test]
fn a_layout_is_the_image_that_was_written() {
    let (files, digest) = layout();
    let image = read(files).unwrap();
    assert_eq!((image.digest(), image.blobs.len()), (digest.as_str(), 2));
}

#[test]
fn an_image_of_one_program_is_the_same_each_time() {
    assert_eq!(Source::of_program(b"a program").unwrap().digest(), Source::of_program(b"a program").unwrap().digest());
}

#[test]
fn a_folder_and_its_archive_are_the_same_image() {
    let folder = tempfile::tempdir().unwrap();
    let image = Source::of_program(b"a program").unwrap();
    fs::create_dir_all(folder.path().join("image/blobs/sha256")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join("image").join(name), bytes).unwrap();
    for blob in &image.blobs {
        let mut bytes = Vec::new();
        blob.part.open().unwrap().read_to_end(&mut bytes).unwrap();
        write(&place(&blob.digest).unwrap(), &bytes);
    }
    let root = image.manifests.last().unwrap();
    write(&place(&root.digest).unwrap(), &root.bytes);
    let entry = json!({"mediaType": root.media_type, "digest": root.digest, "size": root.bytes.len()});
    write("index.json", json!({"schemaVersion": 2, "manifests": [entry]}).to_string().as_bytes());
    let archive = folder.path().join("image.tar");
    let mut builder = tar::Builder::new(fs::File::create(&archive).unwrap());
    builder.append_dir_all(".", folder.path().join("image")).unwrap();
    builder.finish().unwrap();
    let (one, other) = (Source::open(&folder.path().join("image")).unwrap(), Source::open(&archive).unwrap());
    assert_eq!((one.digest(), one.size()), (other.digest(), other.size()));
    assert_eq!(one.digest(), image.digest());
}

#[test]
fn an_older_docker_save_gets_a_manifest_of_its_own() {
    let mut files = Files::default();
    files.add("config.json", b"{}".to_vec());
    files.add("one/layer.tar", b"layer".to_vec());
    let saved = json!([{"Config": "config.json", "RepoTags": ["app:1"], "Layers": ["one/layer.tar", "one/layer.tar"]}]);
    files.add("manifest.json", saved.to_string().into_bytes());
    let image = read(files).unwrap();
    assert_eq!(image.blobs.len(), 2, "the same layer twice is sent once");
    let manifest: Value = serde_json::from_slice(&image.manifests[0].bytes).unwrap();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
    assert_eq!(manifest["config"]["digest"], digest(b"{}"));
}

#[test]
fn what_is_broken_is_named() {
    let (mut files, root) = layout();
    files.add(place(&root).unwrap(), b"{}".to_vec());
    assert!(refusal(files).contains("damaged"));
    let (mut files, _) = layout();
    files.add("index.json", br#"{"schemaVersion": 2, "manifests": []}"#.to_vec());
    assert_eq!(refusal(files), "it holds 0 images, not one");
    let (mut files, _) = layout();
    files.add("index.json", b"?".to_vec());
    assert!(refusal(files).starts_with("index.json cannot be read"));
    assert!(refusal(Files::default()).contains("neither index.json"));
}

#[test]
fn files_that_are_no_image_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    assert!(Source::open(&path).unwrap_err().what.ends_with("cannot be read"));
    fs::write(&path, [0x1f, 0x8b, 0, 0]).unwrap();
    assert!(Source::open(&path).unwrap_err().next.starts_with("gunzip"));
    fs::write(&path, "no archive, but long enough to be taken for one by its length alone").unwrap();
    assert!(Source::open(&path).unwrap_err().what.contains("no container image"));
}

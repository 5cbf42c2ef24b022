//! US3 Security and compliance: credentials are kept encrypted, read by whom they are for, and nowhere else.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use stackproof::{
    acceptance::{Probe, accept, empty, is, matches},
    scan::{Credential, Scan},
    target::{Api, CloudProcess, Launch, ObjectStorage},
};
use stackproof_scenarios::Setting;

/// US3.2, FR-005, FR-011 The stack's credentials are in Secret Manager, encrypted at rest; the application reads its
/// own, everybody else is refused; and they are nowhere else.
#[tokio::test]
async fn us3_2_secrets_are_encrypted_and_read_by_the_authorised_only() {
    accept("US3.2", async |s| {
        let setting = s.given("a target", Setting::instant(s)).await?;
        let operators = s.given("a project for operators alone", setting.new_project("operators")).await?;
        let project = setting.project().to_owned();
        let stack = s.given("a configured stack", setting.stack("proof", &project)).await?;
        s.given("operators keep theirs there", stack.configure(&[("operatorsProjectId", &operators)])).await?;
        let sets = ["ObjectStorageObjectsRead", "ServerlessSQLDatabaseReadWrite", "SecretManagerSecretAccess"];
        let sets = sets.iter().enumerate().map(|(place, set)| (format!("identity.permissionSets[{place}]"), *set));
        let sets: Vec<(String, &str)> = sets.collect();
        let sets: Vec<(&str, &str)> = sets.iter().map(|(key, set)| (key.as_str(), *set)).collect();
        s.given("an application that reads its secrets itself", stack.configure(&sets)).await?;
        s.given("it is deployed", stack.up(s)).await?;

        let stored = s.when("asking Secret Manager what it keeps", stack.secrets(&project)).await?;
        let names: Vec<&str> = stored.iter().map(|(name, _)| name.as_str()).collect();
        let expected = ["database-password", "application-key", "telemetry-token"];
        let has = |seen: &Vec<&str>| expected.iter().all(|own| seen.iter().any(|name| name.ends_with(own)));
        s.then(
            "every credential of the application is there",
            Probe::fact("GET …/secrets", names),
            matches("all", has),
        )
        .await?;
        let apart = stack.secrets(&operators).await?;
        s.then("and the administrator's in the operators' project", Probe::fact("GET …/secrets", apart.len()), is(1))
            .await?;

        let value = uuid::Uuid::new_v4().to_string();
        let under = stack.keeps_under_its_key(s, &value);
        let (secret, key) = s.when("a credential is kept under the stack's own key", under).await?;
        let own = stack.encryption_key().await?;
        s.then("Scaleway says under which key it is encrypted", Probe::fact("GET …/secrets/…", key), is(own)).await?;

        let application = stack.reads_as_application(s).await?;
        let own: Vec<_> = stored.iter().cloned().chain([("under-key".to_owned(), secret.clone())]).collect();
        let all_are = |status: u16| move |seen: &Vec<(String, u16)>| seen.iter().all(|(_, it)| *it == status);
        let read = Probe::new("GET …/access", async || application.reads_all(&own).await);
        s.then("the application reads what is its own", read, matches("200 for each", all_are(200))).await?;
        let read = Probe::new("GET …/access", async || application.reads_all(&apart).await).once();
        s.then("it is refused what is the operators'", read, matches("403 for each", all_are(403))).await?;
        let everything: Vec<_> = own.iter().chain(&apart).cloned().collect();
        let others: [(&str, &[&str]); 3] = [
            ("stranger", &[]),
            ("caller", &["ContainersPrivateAccess"]),
            ("metrics", &["ObservabilityReadOnly", "ObjectStorageReadOnly", "KeyManagerReadOnly"]),
        ];
        for (name, permission_sets) in others {
            let other = stack.other_reader(s, name, permission_sets).await?;
            let read = Probe::new("GET …/access", async || other.reads_all(&everything).await).once();
            s.then(
                &format!("another application, {name}, is refused each"),
                read,
                matches("403 for each", all_are(403)),
            )
            .await?;
            stack.dismiss_reader(&other).await?;
        }

        s.when("the key is disabled", stack.switch_key("disable")).await?;
        let read = Probe::new("GET …/access", async || application.reads(&secret).await);
        s.then("nobody reads what is encrypted under it, not even the application", read, is(412)).await?;
        s.when("the key is enabled again", stack.switch_key("enable")).await?;
        let read = Probe::new("GET …/access", async || application.reads(&secret).await);
        s.then("the application reads it again", read, is(200)).await?;

        let credentials = stack.credentials(s, &[&project, &operators]).await?;
        let forked = s.when("looking at what lies on disk", stack.forked()).await?;
        let scan = s.when("searching for all credentials", stack.scan(s, &credentials, forked.as_deref())).await?;
        s.attach("searched.json", serde_json::to_vec_pretty(scan.searched()).unwrap_or_default())?;
        let found: Vec<String> = scan.findings().iter().map(ToString::to_string).collect();
        s.then("they are nowhere else", Probe::fact("stackproof scan", found), empty()).await?;
        let places = s.when("planting a value in every place", stack.scan_for_canary(s, forked.as_deref())).await?;
        let mut expected = vec!["buckets", "images", "processes", "report", "state"];
        if forked.is_some() {
            expected.extend(["cloud", "logs"]);
            expected.extend(stack.planes()?.map(|_| "planes"));
            expected.sort_unstable();
        }
        s.then("the same search finds it in each", Probe::fact("stackproof scan", places), is(expected)).await?;
        s.when("the credential is deleted", stack.delete_secret(&secret)).await?;
        stack.is_taken_away(s).await
    })
    .await;
}

/// A value that is unlike any other.
fn canary(name: &str) -> Credential {
    Credential::new(name, value(name))
}

fn value(name: &str) -> String {
    format!("Canary-{name}-5f0c2d71e6")
}

/// What a request made.
async fn made(api: &Api, path: &str, body: Value) -> Value {
    let answer = api.send(Method::POST, path, Some(body)).await.unwrap();
    assert!(answer.status < 300, "POST {path}: {} {}", answer.status, answer.body);
    answer.body
}

/// Puts a value into every place of the cloud that keeps secrets; returns all that must not be readable.
async fn fill(api: &Api, storage: &ObjectStorage) -> Vec<Credential> {
    let regional = |product: &str, rest: &str| api.regional(product, rest);
    let secret = made(api, &regional("secret-manager/v1beta1", "secrets"), json!({"name": "s"})).await;
    let versions = format!("secrets/{}/versions", secret["id"].as_str().unwrap());
    let data = json!({"data": STANDARD.encode(value("secret"))});
    made(api, &regional("secret-manager/v1beta1", &versions), data).await;
    let key = made(api, &regional("key-manager/v1alpha1", "keys"), json!({"name": "k", "origin": "external"})).await;
    let import = format!("keys/{}/import-key-material", key["id"].as_str().unwrap());
    let material = json!({"key_material": STANDARD.encode(value("material"))});
    made(api, &regional("key-manager/v1alpha1", &import), material).await;
    let application = made(api, "/iam/v1alpha1/applications", json!({"name": "a"})).await;
    let owner = json!({"application_id": application["id"]});
    let api_key = made(api, "/iam/v1alpha1/api-keys", owner).await;
    let namespace = made(api, &regional("containers/v1", "namespaces"), json!({"name": "n"})).await;
    let container = json!({
        "name": "c", "namespace_id": namespace["id"], "image": "rg.fr-par.scw.cloud/n/app:1",
        "secret_environment_variables": {"PASSWORD": value("container")},
    });
    made(api, &regional("containers/v1", "containers"), container).await;
    let instance = json!({
        "name": "i", "engine": "PostgreSQL-15", "node_type": "DB-DEV-S", "user_name": "u",
        "password": format!("{}!A1", value("database")),
    });
    made(api, &regional("rdb/v1", "instances"), instance).await;
    assert_eq!(storage.create_bucket("canaries").await.unwrap(), 200);
    let object = value("object").repeat(10_000).into_bytes();
    assert_eq!(storage.put("canaries", "k", object).await.unwrap(), 200);
    vec![
        canary("secret"),
        canary("material"),
        Credential::new("api key", api_key["secret_key"].as_str().unwrap()),
        canary("container"),
        canary("database"),
        canary("object"),
        Credential::new("the owner's key", &api.credentials().secret_key),
    ]
}

fn search(folder: &Path, credentials: &[Credential]) -> Vec<String> {
    let mut scan = Scan::new(credentials).unwrap();
    scan.folder("cloud", folder, &[]).unwrap();
    scan.findings().into_iter().map(|finding| finding.credential).collect()
}

/// FR-011 Whoever has the local cloud's state directory, and not its root key, reads nothing in it.
#[tokio::test]
async fn nothing_can_be_read_in_the_state_directory() {
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch { keep: true, ..Launch::new(folder.path()) };
    let cloud = CloudProcess::launch(&launch).await.unwrap();
    let environment = cloud.environment(true);
    let api = Api::new(&environment).unwrap();
    let storage = ObjectStorage::new(&environment, Some(&cloud.ready().s3_url)).unwrap();
    let credentials = fill(&api, &storage).await;
    let (state, forked) = (folder.path().join("state"), folder.path().join("forked"));
    cloud.control().unwrap().fork(&forked).await.unwrap();
    cloud.stop().await.unwrap();

    for place in [&state, &forked] {
        assert!(std::fs::read_dir(place).unwrap().count() > 1, "there is something to be searched");
        assert_eq!(search(place, &credentials), [""; 0], "in {}", place.display());
        for name in ["secret", "object"] {
            std::fs::write(place.join("planted"), hex::encode(value(name))).unwrap();
            assert_eq!(search(place, &credentials), [name], "what is there is found");
        }
        std::fs::remove_file(place.join("planted")).unwrap();
    }

    // It is all there for whoever has the key, in the fork, too.
    for kept in [&state, &forked] {
        if *kept == forked {
            std::fs::remove_dir_all(&state).unwrap();
            std::fs::rename(&forked, &state).unwrap();
        }
        let cloud = CloudProcess::launch(&launch).await.unwrap();
        let environment = cloud.environment(true);
        let storage = ObjectStorage::new(&environment, Some(&cloud.ready().s3_url)).unwrap();
        let (status, object) = storage.get("canaries", "k").await.unwrap();
        assert_eq!((status, object.len()), (200, value("object").len() * 10_000));
        let api = Api::new(&environment).unwrap();
        let secrets = api.get(&api.regional("secret-manager/v1beta1", "secrets")).await.unwrap().body;
        let path = format!("secrets/{}/versions/1/access", secrets["secrets"][0]["id"].as_str().unwrap());
        let read = api.get(&api.regional("secret-manager/v1beta1", &path)).await.unwrap().body;
        assert_eq!(read["data"], STANDARD.encode(value("secret")));
        cloud.stop().await.unwrap();
    }
}

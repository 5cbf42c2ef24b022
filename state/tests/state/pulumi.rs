//! The real Pulumi CLI through the gateway, where one is given: `STACKPROOF_TEST_PULUMI=/path/to/pulumi`.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_state::{
    bucket::Condition,
    checkpoint::{Compression, existing, history, locks, restore, verify},
    gateway::{Gateway, Leased, stamp},
};
use tokio::process::Command;

use crate::fixture::{Ground, Place, key, lease, stack, state};

const PASSPHRASE: &str = "correct horse battery staple";

struct Pulumi {
    binary: PathBuf,
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Pulumi {
    fn new(gateway: &Gateway, form: Compression) -> Option<Self> {
        let Some(binary) = std::env::var_os("STACKPROOF_TEST_PULUMI") else {
            eprintln!("not run with Pulumi: STACKPROOF_TEST_PULUMI does not say where it is");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Pulumi.yaml"), "name: shop\nruntime: python\n").unwrap();
        let mut environment = gateway.environment();
        environment.extend([
            ("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE.to_owned()),
            ("PULUMI_SKIP_UPDATE_CHECK", "1".to_owned()),
            ("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true".to_owned()),
            ("PULUMI_HOME", folder.path().join("home").to_string_lossy().into_owned()),
            ("HOME", folder.path().to_string_lossy().into_owned()),
            ("PATH", "/usr/bin:/bin".to_owned()),
        ]);
        match form {
            Compression::None => {}
            Compression::Gzip => environment.push(("PULUMI_DIY_BACKEND_GZIP", "true".to_owned())),
            Compression::Zstd => environment.push(("PULUMI_DIY_BACKEND_ZSTD", "true".to_owned())),
        }
        Some(Self { binary: binary.into(), folder, environment })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--non-interactive").current_dir(self.path()).kill_on_drop(true);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.output().await.unwrap()
    }

    async fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "pulumi {arguments:?}: {out}{err}");
        out.into_owned()
    }

    /// A state with a secret that this passphrase encrypted.
    async fn secret_state(&self) -> Value {
        // The state keeps JSON, the configuration text: this text is JSON.
        self.done(&["config", "set", "--stack", "dev", "--secret", "token", "\"hunter2\""]).await;
        let settings = std::fs::read_to_string(self.path().join("Pulumi.dev.yaml")).unwrap();
        let value = |name: &str| {
            let line = settings.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
            line.trim().to_owned()
        };
        let mut state = state(&["a", "b"]);
        let latest = &mut state["checkpoint"]["latest"];
        latest["secrets_providers"] = json!({"type": "passphrase", "state": {"salt": value("encryptionsalt:")}});
        latest["resources"][1]["protect"] = true.into();
        latest["resources"][1]["inputs"]["token"] = json!({
            "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": value("secure:")
        });
        json!({"version": 3, "deployment": latest})
    }
}

#[rstest]
#[tokio::test]
async fn a_stack_lives_behind_the_gateway(
    #[values(Place::Local, Place::Minio)] place: Place,
    #[values(Compression::None, Compression::Gzip, Compression::Zstd)] form: Compression,
) {
    let Some(ground) = Ground::at(place).await else { return };
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let Some(pulumi) = Pulumi::new(&gateway, form) else { return };

    pulumi.done(&["stack", "init", "dev"]).await;
    let exported = pulumi.secret_state().await;
    let file = pulumi.path().join("state.json");
    std::fs::write(&file, exported.to_string()).unwrap();
    pulumi.done(&["stack", "import", "--stack", "dev", "--file", file.to_str().unwrap()]).await;

    let stored = existing(&ground.bucket, &stack()).await.unwrap();
    assert_eq!(stored.compression, form);
    let verdict = verify(&stored.checkpoint, Some(PASSPHRASE));
    assert_eq!(verdict.findings, []);
    assert_eq!((verdict.resources, verdict.secrets, verdict.decrypted), (3, 1, Some(1)));
    let wrong = verify(&stored.checkpoint, Some("another passphrase"));
    assert_eq!(wrong.findings[0].kind, "passphrase");

    let urn = "urn:pulumi:dev::shop::pulumi:pulumi:Stack$random:index:Pet::a";
    pulumi.done(&["state", "unprotect", "--stack", "dev", "--yes", urn]).await;
    pulumi.done(&["state", "delete", "--stack", "dev", "--yes", urn]).await;
    let told: Value = serde_json::from_str(&pulumi.done(&["stack", "export", "--stack", "dev"]).await).unwrap();
    assert_eq!(told["deployment"]["resources"].as_array().unwrap().len(), 2);

    // What it wrote three commands ago is brought back past the gateway: to Pulumi it is the state again.
    let entries = history(&ground.bucket, &stack()).await.unwrap();
    let before = entries.find("~2").unwrap();
    restore(&ground.bucket, &ground.bucket, &stack(), before, false).await.unwrap();
    let told: Value = serde_json::from_str(&pulumi.done(&["stack", "export", "--stack", "dev"]).await).unwrap();
    assert_eq!(told["deployment"]["resources"].as_array().unwrap().len(), 3);

    // To this gateway it is somebody else's doing.
    let refused = pulumi.run(&["stack", "rm", "--stack", "dev", "--yes", "--force"]).await;
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
    assert!(text.contains("stackproof: somebody else changed"), "{text}");
    assert!(locks(&ground.bucket, &stack()).await.unwrap().is_empty(), "not even a lock was made");
    let log = gateway.close().await;
    assert!(log.checkpoints >= 4 && log.refused >= 1);
    let odd: Vec<_> =
        log.requests.iter().filter(|request| request.refused.is_some_and(|why| why != "superseded")).collect();
    assert!(odd.is_empty(), "{odd:?}");

    // The next run goes on from there.
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let pulumi = Pulumi::new(&gateway, form).unwrap();
    pulumi.done(&["stack", "rm", "--stack", "dev", "--yes", "--force"]).await;
    assert!(ground.bucket.list(".pulumi/stacks/shop/").await.unwrap().iter().all(|left| left.key.ends_with(".bak")));
    let log = gateway.close().await;
    eprintln!(
        "{form:?}: stack rm took {} reads and {} writes, {} bytes in, {} out",
        log.reads, log.writes, log.bytes_written, log.bytes_read
    );
    assert_eq!(log.refused, 0);
}

#[rstest]
#[tokio::test]
async fn pulumi_reads_what_was_stamped(
    #[values(Compression::None, Compression::Gzip, Compression::Zstd)] form: Compression,
) {
    let ground = Ground::local().await;
    ground.write(form, &state(&["a"])).await;
    let (_lease, permission) = lease();
    let writer = Leased::new(ground.bucket.clone(), permission);
    stamp(&ground.bucket, &writer, &stack()).await.unwrap();
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let Some(pulumi) = Pulumi::new(&gateway, form) else { return };
    let told: Value = serde_json::from_str(&pulumi.done(&["stack", "export", "--stack", "dev"]).await).unwrap();
    assert_eq!(told["deployment"]["resources"].as_array().unwrap().len(), 2);
}

/// `stack init` takes any failed look at the state for a missing one, and writes an empty state.
#[tokio::test]
async fn a_state_that_is_there_is_never_replaced_by_an_empty_one() {
    let ground = Ground::local().await;
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let Some(pulumi) = Pulumi::new(&gateway, Compression::None) else { return };
    ground.bucket.put(".pulumi/meta.yaml", "version: 1\n".into(), &Condition::Always).await.unwrap();
    // It came after the gateway had looked, as another's would.
    ground.write(Compression::None, &state(&["a"])).await;
    let before = ground.content().await.unwrap();
    let refused = pulumi.run(&["stack", "init", "dev"]).await;
    assert!(!refused.status.success());
    assert_eq!(ground.content().await.unwrap(), before, "{}", key());
}

//! Containers, run for real from images made here.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod common;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use common::{image, namespaces};
use serde_json::json;
use stackproof_planes::{
    containers::{
        Check, Container, ContainerSpec, Ended, Error, Folder, Image, Limits, Logs, Refused, Runtime, Stream,
        Unhealthy, check, listening,
    },
    network::{Driver, Fabric, Member, MemberSpec},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Rig {
    folder: tempfile::TempDir,
    runtime: Arc<Runtime>,
    image: Image,
    fabric: Fabric,
}

async fn rig(change: serde_json::Value) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let (runtime, image) = image::runtime(folder.path(), change).await;
    Rig { folder, runtime, image, fabric: Fabric::new(Driver::Namespaces) }
}

impl Rig {
    async fn member(&self, id: &str) -> Arc<Member> {
        let spec = MemberSpec { id: id.to_owned(), attachments: Vec::new(), doors: true };
        self.fabric.set_member(spec).await.unwrap()
    }

    async fn start(&self, spec: ContainerSpec) -> Result<Container, Error> {
        let member = self.member(&spec.id).await;
        self.runtime.start(spec, &self.image, &member, Logs::default()).await
    }
}

fn spec(id: &str, args: &[&str]) -> ContainerSpec {
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    ContainerSpec { id: id.to_owned(), args, ..ContainerSpec::default() }
}

fn said(container: &Container, stream: Stream) -> Vec<String> {
    let lines = container.logs().lines().into_iter();
    lines.filter(|line| line.stream == stream).map(|line| line.text).collect()
}

async fn get(container: &Container, path: &str) -> String {
    let mut stream = container.connect(8080).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn it_runs_as_its_image_and_its_owner_say_and_sees_nothing_else() {
    namespaces!();
    let rig = rig(json!({})).await;
    let env = BTreeMap::from([("OVER".to_owned(), "owner".to_owned()), ("MORE".to_owned(), "a=b c".to_owned())]);
    let container = rig.start(ContainerSpec { env, ..spec("one", &["tell"]) }).await.unwrap();
    let exit = container.ended().await;
    assert_eq!(exit.ended, Ended::Code(0), "{:?}", container.logs().lines());
    let told = said(&container, Stream::Out);
    let has = |line: &str| assert!(told.iter().any(|told| told == line), "no {line:?} in {told:#?}");
    has("pid=1");
    has("uid=1000 1000 1000 1000");
    has("gid=1001 1001 1001 1001");
    has("groups=1001 1002");
    has("caps=0000000000000000");
    has("bound=0000000000000000");
    has("nonewprivs=1");
    has("cwd=/srv/data");
    has("hostname=one");
    has("resolv=nameserver 127.0.0.53");
    has("env FROM=image");
    has("env OVER=owner");
    has("env MORE=a=b c");
    has("env HOME=/home/web");
    has("root=bin,dev,etc,proc,srv,sys,tmp");
    has("links=lo,out0");
    has("tmp=Ok(())");
    assert!(told.iter().any(|line| line.starts_with("sysctl=Err(")), "a setting of the kernel can be changed");
    assert!(told.iter().filter(|line| line.starts_with("env ")).count() == 6, "{told:#?}");
}

#[tokio::test]
async fn it_trusts_whom_the_runtime_does_unless_its_image_says_otherwise() {
    namespaces!();
    let rig = rig(json!({"config": {"Env": ["CURL_CA_BUNDLE=/own.pem"]}})).await;
    let runtime = Runtime::open(&rig.folder.path().join("runtime"), image::helper()).await.unwrap();
    let runtime = runtime.trusting("an authority\n".to_owned());
    let env = [("REQUESTS_CA_BUNDLE".to_owned(), "/owner.pem".to_owned())].into();
    let tells = ContainerSpec { env, ..spec("tells", &["tell"]) };
    let roots = "/etc/ssl/certs/ca-certificates.crt";
    let reads = spec("reads", &["read", roots, "/etc/stackproof.pem"]);
    let mut told = Vec::new();
    for spec in [tells, reads] {
        let member = rig.member(&spec.id).await;
        let container = runtime.start(spec, &rig.image, &member, Logs::default()).await.unwrap();
        assert_eq!(container.ended().await.ended, Ended::Code(0), "{:?}", container.logs().lines());
        told.extend(said(&container, Stream::Out));
    }
    for line in [
        "env SSL_CERT_FILE=/etc/stackproof.pem",
        "env NODE_EXTRA_CA_CERTS=/etc/stackproof.pem",
        "env CURL_CA_BUNDLE=/own.pem",
        "env REQUESTS_CA_BUNDLE=/owner.pem",
        r#"/etc/ssl/certs/ca-certificates.crt: Ok("the world's roots\n\nan authority\n")"#,
        r#"/etc/stackproof.pem: Ok("an authority\n")"#,
    ] {
        assert!(told.iter().any(|told| told == line), "no {line:?} in {told:#?}");
    }
}

#[tokio::test]
async fn two_of_one_image_do_not_see_each_others_files() {
    namespaces!();
    let rig = rig(json!({})).await;
    let spec = |id: &str| ContainerSpec { env: [("PORT".to_owned(), "8080".to_owned())].into(), ..spec(id, &[]) };
    let (a, b) = (rig.start(spec("a")).await.unwrap(), rig.start(spec("b")).await.unwrap());
    for container in [&a, &b] {
        listening(container, 8080, Duration::from_secs(10)).await.unwrap();
    }
    assert!(get(&a, "/sicken").await.contains("Ok"));
    let health = Check::Http { path: "/health".to_owned() };
    let patience = Duration::from_secs(5);
    let sick = check(&a, 8080, &health, patience).await.unwrap_err();
    assert!(matches!(&sick, Unhealthy::Check(why) if why.contains("500")), "{sick}");
    check(&b, 8080, &health, patience).await.unwrap();
    check(&a, 8080, &Check::Tcp, patience).await.unwrap();
    let usage = b.usage().unwrap();
    assert!(usage.memory > 0 && usage.memory < 64 << 20, "{usage:?}");
    let began = std::time::Instant::now();
    assert_eq!(a.stop(Duration::from_secs(30)).await.ended, Ended::Signal(9));
    assert!(began.elapsed() < Duration::from_secs(10), "it was waited for though it handles no SIGTERM");
    let ended = check(&a, 8080, &Check::Tcp, patience).await.unwrap_err();
    assert!(matches!(ended, Unhealthy::Ended(_)));
    b.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn who_listens_in_the_wrong_place_is_told_so() {
    namespaces!();
    let rig = rig(json!({})).await;
    let env: BTreeMap<_, _> = [("PORT".to_owned(), "8080".to_owned()), ("LISTEN".to_owned(), "9090".to_owned())].into();
    let wrong = rig.start(ContainerSpec { env, ..spec("wrong", &[]) }).await.unwrap();
    let within = Duration::from_millis(600);
    assert_eq!(listening(&wrong, 8080, within).await, Err(Unhealthy::NotListening { port: 8080, within }));
    let env = [("PORT".to_owned(), "8080".to_owned())].into();
    let own = rig.start(ContainerSpec { env, ..spec("own", &["serve", "127.0.0.1"]) }).await.unwrap();
    assert_eq!(listening(&own, 8080, within).await, Err(Unhealthy::ListensToItself { port: 8080 }));
    let ends = rig.start(spec("ends", &["exit", "3"])).await.unwrap();
    let ended = listening(&ends, 8080, within).await.unwrap_err();
    assert_eq!(ended.to_string(), "the container does not run: it ended with code 3");
    for container in [wrong, own] {
        container.stop(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn each_end_has_its_reason() {
    namespaces!();
    let rig = rig(json!({})).await;
    let code = rig.start(spec("code", &["exit", "42"])).await.unwrap();
    assert_eq!(code.ended().await.to_string(), "it ended with code 42");
    let abort = rig.start(spec("abort", &["abort"])).await.unwrap();
    assert!(matches!(abort.ended().await.ended, Ended::Signal(_)));
    let limits = Limits { memory: Some(48 << 20), ..Limits::default() };
    let eats = rig.start(ContainerSpec { limits, ..spec("eats", &["eat"]) }).await.unwrap();
    let exit = eats.ended().await;
    assert!(exit.out_of_memory > 0, "{exit:?}");
    assert_eq!(exit.to_string(), "it was killed: out of memory");
    assert!(said(&eats, Stream::Out).iter().any(|line| line == "24 MiB"), "what it said before its end is kept");
}

#[tokio::test]
async fn limits_hold() {
    namespaces!();
    let rig = rig(json!({})).await;
    let limits = Limits { cpu: Some(200), ..Limits::default() };
    let spins = rig.start(ContainerSpec { limits, ..spec("spins", &["spin", "60000"]) }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (age, used) = (spins.age(), spins.usage().unwrap().cpu);
    assert!(used < age.mul_f64(0.35), "{used:?} of {age:?} with a fifth of a processor");
    assert!(used > Duration::from_millis(20), "{used:?} of {age:?}");
    spins.stop(Duration::ZERO).await;
    let limits = Limits { processes: Some(20), ..Limits::default() };
    let many = rig.start(ContainerSpec { limits, ..spec("many", &["multiply"]) }).await.unwrap();
    assert_eq!(many.ended().await.ended, Ended::Code(0));
    assert_eq!(said(&many, Stream::Out), ["threads 19"]);
}

#[tokio::test]
async fn what_cannot_run_says_why() {
    namespaces!();
    let rig = rig(json!({ "config": { "Entrypoint": ["nothing-here"] } })).await;
    let refused = |error: Error| match error {
        Error::Refused(refused) => refused,
        other => panic!("{other}"),
    };
    let missing = refused(rig.start(spec("a", &[])).await.map(drop).unwrap_err());
    assert_eq!(missing.to_string(), "exec not found: \"nothing-here\" is not in the image");
    let command = vec!["/etc/passwd".to_owned()];
    let not = refused(rig.start(ContainerSpec { command, ..spec("b", &[]) }).await.map(drop).unwrap_err());
    assert!(matches!(not, Refused::NotRunnable { .. }), "{not}");
    let who = image::add(&rig.runtime, rig.folder.path(), json!({ "config": { "User": "nobody-knows" } })).await;
    let member = rig.member("c").await;
    let unknown = rig.runtime.start(spec("c", &[]), &who, &member, Logs::default()).await;
    assert_eq!(refused(unknown.map(drop).unwrap_err()), Refused::NoUser { user: "nobody-knows".to_owned() });
    // What failed is gone: the name is free.
    let command = vec!["app".to_owned(), "exit".to_owned(), "0".to_owned()];
    let again = rig.start(ContainerSpec { command, ..spec("a", &[]) }).await.unwrap();
    assert_eq!(again.ended().await.ended, Ended::Code(0));
}

#[tokio::test]
async fn images_are_held_against_their_digests() {
    namespaces!();
    let rig = rig(json!({})).await;
    let layout = rig.folder.path().join("broken");
    let manifest = image::lay(&layout, json!({ "config": { "User": "0" } }));
    let told: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let layer = told["layers"][0]["digest"].as_str().unwrap().replace("sha256:", "");
    let path = layout.join("blobs/sha256").join(layer);
    let mut content = std::fs::read(&path).unwrap();
    let last = content.len() - 1;
    content[last] ^= 1;
    std::fs::write(&path, content).unwrap();
    let error = rig.runtime.add(manifest, Arc::new(Folder(layout.clone()))).await.unwrap_err();
    assert!(matches!(error, Error::Image(_)), "{error}");
    let other = image::lay(&layout, json!({ "architecture": "riscv64" }));
    let error = rig.runtime.add(other, Arc::new(Folder(layout))).await.unwrap_err().to_string();
    assert!(error.contains("it is for linux/riscv64"), "{error}");
    let kept = rig.runtime.image(&rig.image.digest).unwrap();
    assert_eq!(kept.digest, rig.image.digest);
    rig.runtime.forget(&kept.digest).unwrap();
    assert!(rig.runtime.image(&kept.digest).is_err());
}

#[tokio::test]
async fn logs_are_followed() {
    namespaces!();
    let rig = rig(json!({})).await;
    let logs = Logs::default();
    let (_, mut coming) = logs.follow();
    let member = rig.member("talks").await;
    let talks = rig.runtime.start(spec("talks", &["say", "one", "two"]), &rig.image, &member, logs).await.unwrap();
    let first = coming.recv().await.unwrap();
    assert_eq!(first.container, "talks");
    talks.ended().await;
    assert_eq!(said(&talks, Stream::Out), ["one", "two"]);
    assert_eq!(said(&talks, Stream::Err), ["!one", "!two"]);
}

/// The folders of the control groups of all containers of this runtime, as it noted them down.
fn groups(runtime: &Path) -> Vec<std::path::PathBuf> {
    let running = std::fs::read_dir(runtime.join("running")).unwrap();
    let noted = running.map(|entry| std::fs::read(entry.unwrap().path().join("made.json")).unwrap());
    let noted = noted.map(|made| serde_json::from_slice::<serde_json::Value>(&made).unwrap());
    let folders: Vec<_> = noted
        .flat_map(|made| made["folders"].as_array().unwrap().clone())
        .map(|folder| std::path::PathBuf::from(folder[1].as_str().unwrap()))
        .collect();
    assert!(!folders.is_empty() && folders.iter().all(|folder| folder.is_dir()), "{folders:?}");
    folders
}

/// Processes and folders of containers of this runtime.
fn left(runtime: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let running = std::fs::read_dir(runtime.join("running")).unwrap();
    found.extend(running.map(|entry| entry.unwrap().path().display().to_string()));
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(root) = std::fs::read_to_string(process.path().join("mountinfo")) else { continue };
        if root.contains(&*runtime.display().to_string()) {
            found.push(process.path().display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn nothing_is_left_of_a_container() {
    namespaces!();
    let rig = rig(json!({})).await;
    let runtime = rig.folder.path().join("runtime");
    let before = common::machine();
    let began = std::time::Instant::now();
    let container = rig.start(spec("gone", &["wait"])).await.unwrap();
    println!("a container started in {:?}", began.elapsed());
    assert_eq!(common::machine(), before, "its mounts are its own");
    assert!(!left(&runtime).is_empty());
    let groups = groups(&runtime);
    container.stop(Duration::from_secs(1)).await;
    assert_eq!(left(&runtime), Vec::<String>::new());
    assert!(!groups.iter().any(|group| group.exists()), "a control group is left: {groups:?}");
    // Dropped is as good as stopped.
    let container = rig.start(spec("dropped", &["wait"])).await.unwrap();
    let pid = container.pid();
    drop(container);
    let gone = async {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while Path::new(&format!("/proc/{pid}")).exists() || !left(&runtime).is_empty() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    assert_eq!(common::machine(), before);
}

/// Not a test of its own: what the next one kills.
#[tokio::test]
#[ignore = "started by another test"]
async fn owner() {
    let Some(folder) = std::env::var_os("STACKPROOF_TEST_OWNER") else { return };
    let (runtime, image) = image::runtime(Path::new(&folder), json!({})).await;
    let fabric = Fabric::new(Driver::Namespaces);
    let member = MemberSpec { id: "owned".to_owned(), attachments: Vec::new(), doors: true };
    let member = fabric.set_member(member).await.unwrap();
    let owned = runtime.start(spec("owned", &["wait"]), &image, &member, Logs::default()).await.unwrap();
    println!("\nowned {}", owned.pid());
    owned.ended().await;
}

/// A process that has one container, in a folder.
struct Owner {
    process: tokio::process::Child,
    folder: tempfile::TempDir,
    /// The first process of the container.
    owned: i32,
}

impl Owner {
    async fn start() -> Self {
        use tokio::io::AsyncBufReadExt;
        let folder = tempfile::tempdir().unwrap();
        let mut process = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["owner", "--exact", "--ignored", "--nocapture"])
            .env("STACKPROOF_TEST_OWNER", folder.path())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = tokio::io::BufReader::new(process.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next_line().await.unwrap().expect("the owner ended");
            if let Some(pid) = line.strip_prefix("owned ") {
                let owned = pid.parse().unwrap();
                return Self { process, folder, owned };
            }
        }
    }

    fn runtime(&self) -> std::path::PathBuf {
        self.folder.path().join("runtime")
    }
}

/// Something of a process's status; none: it is gone, or only its parent has not noticed yet.
fn status(pid: i32, key: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let of = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned());
    of("State:").filter(|state| !state.starts_with('Z')).and_then(|_| of(key))
}

async fn gone(pid: i32) -> bool {
    let gone = async {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while status(pid, "Pid:").is_some() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.is_ok()
}

#[tokio::test]
async fn a_killed_owner_takes_its_containers_with_it_and_the_rest_is_swept() {
    namespaces!();
    let before = common::machine();
    let mut owner = Owner::start().await;
    let namespaces = ["net", "mnt", "pid"].map(|kind| {
        let path = format!("/proc/{}/ns/{kind}", owner.owned);
        // Held open: else its number is given to the next one made, by another test.
        (kind, std::fs::read_link(&path).unwrap(), std::fs::File::open(&path).unwrap())
    });
    let groups = groups(&owner.runtime());
    owner.process.kill().await.unwrap();
    assert!(gone(owner.owned).await, "the container outlived its owner");
    assert!(!left(&owner.runtime()).is_empty(), "its folder is still there");
    drop(Runtime::open(&owner.runtime(), image::helper()).await.unwrap());
    assert_eq!(left(&owner.runtime()), Vec::<String>::new());
    assert!(!groups.iter().any(|group| group.exists()), "a control group is left: {groups:?}");
    assert_eq!(common::machine(), before);
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        for (kind, namespace, _held) in &namespaces {
            let held = std::fs::read_link(process.path().join("ns").join(kind)).is_ok_and(|found| found == *namespace);
            assert!(!held, "{} holds {namespace:?}", process.path().display());
        }
    }
}

#[tokio::test]
async fn a_container_that_outlives_its_owner_is_ended_when_the_folder_is_opened_anew() {
    namespaces!();
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    let mut owner = Owner::start().await;
    let helper: i32 = status(owner.owned, "PPid:").unwrap().parse().unwrap();
    // A helper that hangs does not notice its owner's end.
    kill(Pid::from_raw(helper), Signal::SIGSTOP).unwrap();
    let groups = groups(&owner.runtime());
    owner.process.kill().await.unwrap();
    assert!(status(owner.owned, "Pid:").is_some(), "it ended without the sweep");
    drop(Runtime::open(&owner.runtime(), image::helper()).await.unwrap());
    assert_eq!(status(owner.owned, "Pid:"), None);
    assert!(!groups.iter().any(|group| group.exists()), "a control group is left: {groups:?}");
    kill(Pid::from_raw(helper), Signal::SIGCONT).unwrap();
    assert!(gone(helper).await, "the helper stays");
    assert_eq!(left(&owner.runtime()), Vec::<String>::new());
}

#[tokio::test]
#[ignore = "started by another test, as nobody"]
async fn powerless() {
    let Some(folder) = std::env::var_os("STACKPROOF_TEST_POWERLESS") else { return };
    let Err(error) = Runtime::open(Path::new(&folder), image::helper()).await else { panic!("it was opened") };
    assert_eq!(
        error.to_string(),
        "containers are not supported on this machine: the right to make namespaces and control groups. Run the local \
         cloud on Linux as root, or where a Docker daemon answers."
    );
    let driver = Driver::detect().await;
    let isolation = driver.isolation();
    assert!(!isolation.provable);
    let missing = isolation.missing.unwrap();
    assert!(missing.starts_with("making a network namespace") && missing.contains("not permitted"), "{missing}");
    println!("\npowerless: {missing}");
}

#[tokio::test]
async fn without_the_right_to_it_is_told_what_is_missing() {
    namespaces!();
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    // The program as well has to be somewhere where nobody may look.
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [folder.path(), &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let done = tokio::process::Command::new(&program)
        .args(["powerless", "--exact", "--ignored", "--nocapture"])
        .env("STACKPROOF_TEST_POWERLESS", folder.path().join("runtime"))
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("powerless: "), "{said}{}", String::from_utf8_lossy(&done.stderr));
}

//! `stackproof cloud exec`: any tool finds the local cloud by Scaleway's real names, in a network of its own.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

use std::{
    fs,
    os::unix::{fs::symlink, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use stackproof::target::{Api, CloudHome, Control};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Longer than anything here takes; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(20);
const PASSWORD: &str = "Str0ng-enough!";

/// A local cloud that a person started, in a checkout of its own.
struct Cloud {
    root: TempDir,
    program: PathBuf,
    pid: u32,
    control: Control,
    api: Api,
}

impl Cloud {
    /// None where the machine has no networks of their own for commands.
    async fn start() -> Option<Self> {
        let root = tempfile::tempdir().unwrap();
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for part in ["infra", "tools", "harness", "scenarios"] {
            symlink(checkout.join(part), root.path().join(part)).unwrap();
        }
        let tests = std::env::current_exe().unwrap();
        let program = tests.parent().unwrap().parent().unwrap().join("stackproof");
        let started = command(&program, root.path()).args(["cloud", "start", "--in-memory"]).output().await.unwrap();
        assert!(started.status.success(), "{started:?}");
        let running = CloudHome::at(&root.path().join(".stackproof/cloud")).unwrap().running().await.unwrap();
        let (pid, control) = (running.ready().pid, running.control().unwrap());
        let api = Api::new(&running.environment(true)).unwrap();
        let cloud = Self { root, program, pid, control, api };
        let missing = cloud.control.missing().await.unwrap();
        if missing.is_empty() {
            return Some(cloud);
        }
        println!("SKIPPED: not provable on this machine: {}", missing.join("; "));
        None
    }

    /// `stackproof cloud exec OPTIONS -- COMMAND`.
    fn exec(&self, options: &[&str], run: &[&str]) -> Command {
        let mut command = command(&self.program, self.root.path());
        command.args(["cloud", "exec"]).args(options).arg("--").args(run);
        command
    }

    async fn run(&self, options: &[&str], run: &[&str]) -> Output {
        self.exec(options, run).output().await.unwrap()
    }

    async fn make(&self, path: &str, body: Value) -> Value {
        self.ask(Method::POST, path, body).await
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.api.send(method, path, Some(body)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// A database, and the file of its certificate.
    async fn database(&self, endpoints: Value) -> (Value, PathBuf) {
        let body = json!({
            "name": "main", "engine": "PostgreSQL-15", "node_type": "db-dev-s", "user_name": "app",
            "password": PASSWORD, "disable_backup": true, "init_endpoints": endpoints,
        });
        let made = self.make("/rdb/v1/regions/fr-par/instances", body).await;
        let path = format!("/rdb/v1/regions/fr-par/instances/{}", made["id"].as_str().unwrap());
        let instance = self.api.get(&path).await.unwrap().body;
        assert_eq!(instance["status"], "ready", "{instance}");
        let privilege = json!({"database_name": "rdb", "user_name": "app", "permission": "all"});
        self.ask(Method::PUT, &format!("{path}/privileges"), privilege).await;
        let certificate = self.api.get(&format!("{path}/certificate")).await.unwrap().body;
        let file = self.root.path().join(format!("{}.pem", made["id"].as_str().unwrap()));
        fs::write(&file, STANDARD.decode(certificate["content"].as_str().unwrap()).unwrap()).unwrap();
        (instance, file)
    }

    /// How many networks the cloud holds open.
    fn networks(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.pid)).unwrap().flatten();
        open.filter(|file| fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy().starts_with("net:["))).count()
    }

    async fn comes_back_to(&self, networks: usize) {
        until("the command's network is gone", || self.networks() == networks).await;
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        for end in ["stop", "reset"] {
            let mut command = std::process::Command::new(&self.program);
            command.args(["cloud", end]).env("STACKPROOF_ROOT", self.root.path());
            let _only_where_it_runs = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

fn command(program: &Path, root: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("STACKPROOF_ROOT", root).env("STACKPROOF_AUTHORITY", root.join("authority")).stdin(Stdio::null());
    command.kill_on_drop(true);
    command
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let looking = async {
        while !holds() {
            looks.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, looking).await.is_ok(), "not within {PATIENCE:?}: {what}");
}

fn said(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap().trim_end()
}

#[track_caller]
fn fine(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    said(output)
}

/// Begins a command and waits for its first line.
async fn begun(mut command: Command) -> (Child, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    tokio::time::timeout(PATIENCE, BufReader::new(out).read_line(&mut line)).await.unwrap().unwrap();
    (child, line.trim_end().to_owned())
}

fn signal(pid: &str, signal: &str) {
    let done = std::process::Command::new("kill").args([&format!("-{signal}"), pid]).status().unwrap();
    assert!(done.success());
}

#[tokio::test]
async fn curl_reaches_the_real_names_without_a_proxy_and_verifies_who_answers() {
    let Some(cloud) = Cloud::start().await else { return };
    let vpcs = "https://api.scaleway.com/vpc/v2/regions/fr-par/vpcs";
    let asked = cloud.run(&[], &["sh", "-c", &format!("curl -sS -H \"X-Auth-Token: $SCW_SECRET_KEY\" {vpcs}")]).await;
    let answer: Value = serde_json::from_str(fine(&asked)).unwrap();
    assert_eq!(answer["vpcs"][0]["name"], "default");
    assert!(asked.stderr.is_empty(), "{asked:?}");

    let proxies = cloud.run(&[], &["sh", "-c", "env | grep -i '^[a-z]*_proxy=' | grep -vi '^no_proxy='"]).await;
    assert_eq!(said(&proxies), "", "a proxy is still set");
    // Without any variable: names by libc, roots by the system's own file.
    let status = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{ssl_verify_result}"];
    for (url, expected) in [
        (vpcs, "401 0"),
        ("https://s3.fr-par.scw.cloud/", "403 0"),
        ("https://some.bucket.s3.fr-par.scw.cloud/", "404 0"),
        ("https://rg.fr-par.scw.cloud/v2/", "401 0"),
        ("http://s3.fr-par.scw.cloud/", "403 0"),
        ("https://nothing.scw.cloud/", "501 0"),
    ] {
        let asked = cloud.run(&[], &[["env", "-i"].as_slice(), &status, &[url]].concat()).await;
        let seen = fine(&asked);
        assert_eq!(seen, expected, "{url}");
    }
    // One in another, and the command that tells of the cloud.
    let program = cloud.program.display().to_string();
    let mut inner = [["", "cloud", "exec", "--"].as_slice(), &status, &["https://s3.fr-par.scw.cloud/"]].concat();
    inner[0] = &program;
    assert_eq!(fine(&cloud.run(&[], &inner).await), "403 0");
    let told = cloud.run(&[], &[&program, "cloud", "status", "--json"]).await;
    let told: Value = serde_json::from_str(fine(&told)).unwrap();
    assert_eq!(told["pid"], cloud.pid);
    let stranger = cloud.run(&[], &["curl", "-sS", "--cacert", "/dev/null", vpcs]).await;
    assert_eq!(stranger.status.code(), Some(77), "{stranger:?}");
}

#[tokio::test]
async fn psql_logs_in_by_a_databases_real_host_name_and_port() {
    let Some(cloud) = Cloud::start().await else { return };
    let (instance, certificate) = cloud.database(json!([{"load_balancer": {}}])).await;
    let host = format!("rw-{}.rdb.fr-par.scw.cloud", instance["id"].as_str().unwrap());
    let port = instance["endpoints"][0]["port"].as_u64().unwrap();
    let way = format!(
        "host={host} port={port} user=app dbname=rdb sslmode=verify-full connect_timeout=10 sslrootcert={}",
        certificate.display()
    );
    let question = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let psql = ["psql", &way, "-Atc", question];
    let asked = cloud.exec(&[], &psql).env("PGPASSWORD", PASSWORD).output().await.unwrap();
    assert_eq!(fine(&asked), "t");
    // What the API tells is an address of this machine: it is the same one there.
    let told = format!("host=127.0.0.1 port={port} user=app dbname=rdb sslmode=require connect_timeout=10");
    let asked = cloud.exec(&[], &["psql", &told, "-Atc", question]).env("PGPASSWORD", PASSWORD).output().await.unwrap();
    assert_eq!(fine(&asked), "t");
    let other = format!("host={host} port={} user=app dbname=rdb connect_timeout=3", if port == 1 { 2 } else { 1 });
    let asked = cloud.exec(&[], &["psql", &other, "-Atc", question]).output().await.unwrap();
    assert_eq!(asked.status.code(), Some(2), "another port of it answers: {asked:?}");
}

#[tokio::test]
async fn a_private_database_is_reached_from_its_network_only() {
    let Some(cloud) = Cloud::start().await else { return };
    let network =
        cloud.make("/vpc/v2/regions/fr-par/private-networks", json!({"name": "inner", "subnets": ["10.7.0.0/24"]}));
    let network = network.await;
    let id = network["id"].as_str().unwrap();
    let endpoint = json!({"private_network": {"private_network_id": id, "ipam_config": {}}});
    let (instance, certificate) = cloud.database(json!([endpoint])).await;
    let address = instance["endpoints"][0]["ip"].as_str().unwrap();
    let way = format!(
        "host={address} port=5432 user=app dbname=rdb sslmode=verify-full connect_timeout=5 sslrootcert={}",
        certificate.display()
    );
    let psql = ["psql", way.as_str(), "-Atc", "select 1"];
    for said in ["inner", id] {
        let asked = cloud.exec(&["--network", said], &psql).env("PGPASSWORD", PASSWORD).output().await.unwrap();
        assert_eq!(fine(&asked), "1", "--network {said}");
    }
    let asked = cloud.exec(&[], &psql).env("PGPASSWORD", PASSWORD).output().await.unwrap();
    assert_eq!(asked.status.code(), Some(2), "it is reached from elsewhere: {asked:?}");
    let refused = cloud.run(&["--network", "outer"], &["true"]).await;
    assert_eq!(refused.status.code(), Some(4));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("no private network \"outer\"; there are: inner"), "{why}");
}

#[tokio::test]
async fn exit_codes_signals_folder_and_input_are_the_commands_own() {
    let Some(cloud) = Cloud::start().await else { return };
    assert_eq!(cloud.run(&[], &["sh", "-c", "exit 7"]).await.status.code(), Some(7));
    let folder = cloud.root.path().canonicalize().unwrap();
    let here = cloud.exec(&[], &["pwd"]).current_dir(&folder).output().await.unwrap();
    assert_eq!(fine(&here), folder.display().to_string());

    let mut echo = cloud.exec(&[], &["cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut echo.stdin.take().unwrap(), b"through").await.unwrap();
    assert_eq!(fine(&echo.wait_with_output().await.unwrap()), "through");

    let traps = "trap 'kill $!; exit 9' TERM; sleep 60 & echo ready; wait";
    let (mut child, line) = begun(cloud.exec(&[], &["sh", "-c", traps])).await;
    assert_eq!(line, "ready");
    signal(&child.id().unwrap().to_string(), "TERM");
    assert_eq!(child.wait().await.unwrap().code(), Some(9));
    let (mut child, own) = begun(cloud.exec(&[], &["sh", "-c", "echo $$; exec sleep 60"])).await;
    assert_eq!(own, child.id().unwrap().to_string(), "the command is another process");
    signal(&own, "INT");
    assert_eq!(child.wait().await.unwrap().signal(), Some(2));
    assert_eq!(cloud.run(&[], &["/nowhere/at-all"]).await.status.code(), Some(4));
}

#[tokio::test]
async fn nothing_is_left_of_a_commands_network_however_either_side_ends() {
    let Some(cloud) = Cloud::start().await else { return };
    let machine = || {
        let links = std::process::Command::new("ip").args(["-o", "link"]).output().unwrap().stdout;
        let own = fs::read_to_string("/proc/self/mounts").unwrap();
        let ours = own.lines().filter(|line| line.contains(" /etc/") || line.contains("stackproof")).count();
        (String::from_utf8(links).unwrap().lines().count(), ours)
    };
    let (before, untouched) = (cloud.networks(), machine());
    fine(&cloud.run(&[], &["true"]).await);
    cloud.comes_back_to(before).await;
    let (mut child, _) = begun(cloud.exec(&[], &["sh", "-c", "echo ready; exec sleep 60"])).await;
    assert!(cloud.networks() > before);
    assert_eq!(machine(), untouched, "while it runs");
    child.kill().await.unwrap();
    cloud.comes_back_to(before).await;

    // What a command leaves running keeps its network, and no longer.
    let (mut child, left) = begun(cloud.exec(&[], &["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"])).await;
    child.wait().await.unwrap();
    assert!(cloud.networks() > before, "its network went with the shell");
    signal(&left, "KILL");
    cloud.comes_back_to(before).await;

    // It closes what it inherits, as sudo does: its network stays as long as itself.
    let closes = "for fd in /proc/self/fd/*; do fd=${fd##*/}; [ $fd -gt 2 ] && eval \"exec $fd>&-\"; done; \
                  curl -s -o /dev/null https://s3.fr-par.scw.cloud/ && echo reached; exec sleep 60";
    let (mut child, reached) = begun(cloud.exec(&[], &["bash", "-c", closes])).await;
    assert_eq!(reached, "reached");
    child.kill().await.unwrap();
    cloud.comes_back_to(before).await;

    let (mut child, _) = begun(cloud.exec(&[], &["sh", "-c", "echo ready; exec sleep 60"])).await;
    signal(&cloud.pid.to_string(), "KILL");
    until("the cloud is gone", || !Path::new(&format!("/proc/{}/exe", cloud.pid)).exists()).await;
    assert_eq!(child.try_wait().unwrap(), None, "the command went with the cloud");
    child.kill().await.unwrap();
    assert_eq!(machine(), untouched, "and after");
}

#[tokio::test]
async fn a_command_without_a_network_of_its_own_is_led_by_variables_and_told_so_once() {
    let Some(cloud) = Cloud::start().await else { return };
    let machine = fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    let tell = ["sh", "-c", "readlink /proc/self/ns/net; echo $HTTPS_PROXY"];
    let proxied = cloud.run(&["--proxy"], &tell).await;
    let lines: Vec<&str> = fine(&proxied).lines().collect();
    assert_eq!(lines[0], machine);
    assert!(lines[1].starts_with("http://127.0.0.1:"), "{lines:?}");
    assert!(proxied.stderr.is_empty(), "{proxied:?}");
    let own = cloud.run(&[], &tell).await;
    assert_ne!(fine(&own).lines().next().unwrap(), machine);

    // Root that may not mount, as in many a container.
    let exec = cloud.exec(&[], &tell);
    let mut lesser = command(Path::new("setpriv"), cloud.root.path());
    lesser.args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]).arg(exec.as_std().get_program());
    let lesser = lesser.args(exec.as_std().get_args()).output().await.unwrap();
    let lines: Vec<&str> = fine(&lesser).lines().collect();
    assert!(lines[0] == machine && lines[1].starts_with("http://127.0.0.1:"), "{lines:?}");
    let told = String::from_utf8_lossy(&lesser.stderr).into_owned();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("psql") && told.contains("mounts of its own are refused: EPERM"), "{told}");
}

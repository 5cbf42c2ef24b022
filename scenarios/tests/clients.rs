//! The local cloud answers programs that know nothing of it: Scaleway's SDKs and its CLI, unmodified, each driven
//! by a program in `scenarios/clients/` that would do the same on Scaleway.
//!
//! Each runs twice: with `SCW_API_URL`, and by Scaleway's own host names through the gateway.

use std::path::{Path, PathBuf};

use stackproof::target::{CloudProcess, Environment, Launch};
use stackproof::toolchain::Clients;
use stackproof::{Progress, Workspace};
use tokio::process::Command;

/// How requests for the JSON API find the local cloud; Object Storage always goes through the gateway.
#[derive(Clone, Copy)]
enum Way {
    Direct,
    Gateway,
}

#[tokio::test]
async fn the_python_sdk_and_boto3_lead_all_resources_through_their_lives() {
    play(Way::Direct, |clients, _| python(clients, "python")).await;
}

#[tokio::test]
async fn the_python_sdk_and_boto3_do_so_through_the_gateway() {
    play(Way::Gateway, |clients, _| python(clients, "python")).await;
}

#[tokio::test]
async fn the_javascript_sdk_leads_all_resources_through_their_lives() {
    play(Way::Direct, javascript).await;
}

#[tokio::test]
async fn the_javascript_sdk_does_so_through_the_gateway() {
    play(Way::Gateway, javascript).await;
}

#[tokio::test]
async fn the_scw_command_leads_all_resources_through_their_lives() {
    play(Way::Direct, |clients, _| scw(clients)).await;
}

#[tokio::test]
async fn the_scw_command_does_so_through_the_gateway() {
    play(Way::Gateway, |clients, _| scw(clients)).await;
}

/// Runs a client against a cloud of its own and shows what it says where it fails.
async fn play(way: Way, client: impl FnOnce(&Clients, &Path) -> Command) {
    let clients = Clients::ensure(&Progress::detect()).expect("the clients can be installed");
    let folder = tempfile::tempdir().expect("there is a place for files");
    let cloud = CloudProcess::launch(&Launch::new(&folder.path().join("cloud"))).await.expect("a local cloud starts");
    let environment: Environment = cloud.environment(matches!(way, Way::Direct));
    let mut command = client(&clients, folder.path());
    environment.apply(&mut command);
    // A home of its own: nothing the user keeps there may say whose cloud is meant.
    command.env("HOME", folder.path()).kill_on_drop(true);
    let output = command.output().await.expect("the client starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the client ended with {}\n{said}\n{complaints}", output.status);
    let line = said.lines().last().unwrap_or_default();
    assert!(line.ends_with(" passed, 0 failed") && !line.starts_with("0 "), "it does not say what it did: {said}");
    println!("{said}");
}

fn python(clients: &Clients, program: &str) -> Command {
    let mut command = Command::new(&clients.python.path);
    command.arg("-B").arg(sources().join(program));
    command
}

fn scw(clients: &Clients) -> Command {
    let mut command = python(clients, "scw");
    command.env("SCW", &clients.scw.path);
    command
}

/// The packages are found from where the program lies: it is laid beside them, in a folder of this test.
fn javascript(clients: &Clients, folder: &Path) -> Command {
    let program = folder.join("javascript");
    std::fs::create_dir(&program).expect("a folder can be made");
    for entry in std::fs::read_dir(sources().join("javascript")).expect("the program is there").flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "js" || ending == "json") {
            std::fs::copy(entry.path(), program.join(entry.file_name())).expect("a file can be copied");
        }
    }
    std::os::unix::fs::symlink(clients.javascript.join("node_modules"), program.join("node_modules"))
        .expect("a link can be made");
    let mut command = Command::new(&clients.node.path);
    command.arg(program.join("main.js"));
    command
}

fn sources() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Workspace::around(here).expect("the tests lie in a checkout").clients()
}

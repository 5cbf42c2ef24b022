//! Servers in containers of a Docker daemon, from images that are made of what this machine has: nothing is pulled.
//!
//! `STACKPROOF_TEST_SERVERS=docker` asks for it; else servers are processes of this machine.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use bollard::{
    API_DEFAULT_VERSION, Docker, body_full,
    errors::Error,
    models::{ContainerCreateBody, HostConfig, PortBinding},
    query_parameters::{
        CreateContainerOptionsBuilder, CreateImageOptionsBuilder, KillContainerOptionsBuilder,
        ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
        UploadToContainerOptionsBuilder,
    },
};
use futures::TryStreamExt as _;

/// The label that says which process a container belongs to.
const OWNER: &str = "stackproof.test";
/// How long an answer of the daemon may take, in seconds.
const PATIENCE: u64 = 120;

/// How many ports are tried: another process may take one before it is used.
const PORTS: usize = 5;

/// Whether servers are to run in containers.
pub(crate) fn is_asked_for() -> bool {
    std::env::var("STACKPROOF_TEST_SERVERS").is_ok_and(|servers| servers == "docker")
}

fn daemon() -> Docker {
    let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    let socket = host.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    Docker::connect_with_unix(&socket, PATIENCE, API_DEFAULT_VERSION).unwrap()
}

/// What to run.
pub(crate) struct Server<'a> {
    /// Its programs, the first of which is the name of its image, and folders they need.
    pub(crate) programs: &'a [&'a Path],
    pub(crate) folders: &'a [&'a Path],
    pub(crate) command: &'a [&'a str],
    pub(crate) variables: &'a [(&'a str, &'a str)],
    /// Files of its own, below `/conf`.
    pub(crate) files: &'a [(&'a str, &'a str)],
    pub(crate) port: u16,
}

/// The user that servers run as; `/data` and `/conf` are its own.
const USER: u32 = 999;

/// A server in a container, which goes when this is dropped.
pub(crate) struct Container {
    name: String,
    /// Where it is reached, also after it was started again.
    pub(crate) at: SocketAddr,
}

impl Container {
    /// Starts one. It may not listen yet.
    pub(crate) async fn start(server: &Server<'_>) -> Self {
        let daemon = daemon();
        sweep(&daemon).await;
        let image = image(&daemon, server).await;
        let mut left = PORTS;
        loop {
            left -= 1;
            match Self::published(&daemon, server, &image).await {
                Err(error) if left > 0 => eprintln!("another port is tried: {error}"),
                started => return started.unwrap(),
            }
        }
    }

    /// Starts one at a port that is free now.
    async fn published(daemon: &Docker, server: &Server<'_>, image: &str) -> Result<Self, Error> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let published = PortBinding { host_ip: Some(free.ip().to_string()), host_port: Some(free.port().to_string()) };
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            user: Some(USER.to_string()),
            cmd: Some(server.command.iter().map(|&word| word.to_owned()).collect()),
            env: Some(server.variables.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            exposed_ports: Some(vec![format!("{}/tcp", server.port)]),
            labels: Some(HashMap::from([(OWNER.to_owned(), std::process::id().to_string())])),
            host_config: Some(HostConfig {
                port_bindings: Some(HashMap::from([(format!("{}/tcp", server.port), Some(vec![published]))])),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let name = format!("stackproof-test-{}", uuid::Uuid::new_v4().simple());
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        daemon.create_container(Some(options), body).await?;
        let container = Self { name, at: free };
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let files = body_full(files(server.files).into());
        daemon.upload_to_container(&container.name, Some(options), files).await?;
        daemon.start_container(&container.name, None::<StartContainerOptions>).await?;
        Ok(container)
    }

    /// Kills it.
    pub(crate) async fn kill(&self) {
        let options = KillContainerOptionsBuilder::default().signal("KILL").build();
        daemon().kill_container(&self.name, Some(options)).await.unwrap();
    }

    /// Starts it again.
    pub(crate) async fn again(&self) {
        daemon().start_container(&self.name, None::<StartContainerOptions>).await.unwrap();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let name = self.name.clone();
        // Not in the runtime of the test, which may be ending.
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(remove(&daemon(), &name));
        });
        let _told_by_the_next_sweep = removed.join();
    }
}

async fn remove(daemon: &Docker, name: &str) {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    // Another sweep may have been first.
    let _ = daemon.remove_container(name, Some(options)).await;
}

/// Removes what a process left that was killed.
async fn sweep(daemon: &Docker) {
    let filters = HashMap::from([("label".to_owned(), vec![OWNER.to_owned()])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    for container in daemon.list_containers(Some(options)).await.unwrap() {
        let owner = container.labels.unwrap_or_default().remove(OWNER).unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            remove(daemon, &container.id.unwrap_or_default()).await;
        }
    }
}

/// The image of a server, made where the daemon does not have it.
async fn image(daemon: &Docker, server: &Server<'_>) -> String {
    let program = std::fs::metadata(server.programs[0]).unwrap();
    let name = format!("stackproof-test/{}", server.programs[0].file_name().unwrap().to_str().unwrap());
    let tag = format!("{:x}-{:x}", program.size(), program.mtime());
    let image = format!("{name}:{tag}");
    if daemon.inspect_image(&image).await.is_err() {
        let options = CreateImageOptionsBuilder::default().from_src("-").repo(&name).tag(&tag).build();
        let made = daemon.create_image(Some(options), Some(body_full(system(server).into())), None);
        made.try_collect::<Vec<_>>().await.unwrap();
    }
    image
}

/// A root folder with these programs, what they are linked with, and a shell.
fn system(server: &Server<'_>) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (folder, mode) in [("tmp", 0o1777), ("data", 0o700), ("conf", 0o700), ("etc", 0o755)] {
        archive.append_data(&mut header(tar::EntryType::Directory, mode, 0), folder, std::io::empty()).unwrap();
    }
    let people = format!("root:x:0:0::/:/bin/sh\nserver:x:{USER}:{USER}::/data:/bin/sh\n");
    let mut file = header(tar::EntryType::Regular, 0o644, people.len() as u64);
    archive.append_data(&mut file, "etc/passwd", people.as_bytes()).unwrap();
    let shell = Path::new("/bin/sh");
    let programs: Vec<&Path> = server.programs.iter().copied().chain([shell]).collect();
    let mut files: Vec<PathBuf> = programs.iter().flat_map(|program| linked(program)).collect();
    files.extend(programs.iter().map(|program| program.to_path_buf()));
    files.sort();
    files.dedup();
    files.retain(|file| !server.folders.iter().any(|folder| file.starts_with(folder)));
    for file in files {
        archive.append_path_with_name(&file, file.strip_prefix("/").unwrap()).unwrap();
    }
    for folder in server.folders.iter().filter(|folder| folder.exists()) {
        archive.append_dir_all(folder.strip_prefix("/").unwrap(), folder).unwrap();
    }
    archive.into_inner().unwrap()
}

/// The libraries that a program is linked with, and what loads them.
fn linked(program: &Path) -> Vec<PathBuf> {
    let told = Command::new("ldd").arg(program).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let words = told.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    words.map(PathBuf::from).collect()
}

fn files(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = header(tar::EntryType::Regular, 0o600, content.len() as u64);
        archive.append_data(&mut header, Path::new("conf").join(name), content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Of something that belongs to the server's user.
fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(u64::from(USER));
    header.set_gid(u64::from(USER));
    header.set_mtime(0);
    header
}

//! Containers and private networks of a Docker daemon.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod common;

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bollard::{
    API_DEFAULT_VERSION, Docker,
    query_parameters::{
        InspectContainerOptions, ListContainersOptionsBuilder, ListImagesOptions, ListNetworksOptionsBuilder,
    },
};
use common::{dockerd::with_docker, image, network};
use serde_json::json;
use stackproof_planes::{
    containers::{
        Check, Container, ContainerSpec, Ended, Engine, Error, Folder, Health, Image, Limits, Logs, Refused, ScaleBy,
        Service, ServiceSpec, ServiceState, ServiceStatus, Stream, Unattached, listening,
    },
    docker::{Containers, Daemon, MARK, Networks},
    network::{Attachment, Driver, Fabric, MemberSpec},
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_secs(30);

struct Rig {
    folder: TempDir,
    socket: String,
    fabric: Arc<Fabric>,
    engine: Arc<dyn Engine>,
    image: Image,
}

async fn rig(socket: &str) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let (fabric, engine) = open(socket, &folder.path().join("cloud")).await;
    let layout = folder.path().join("layout");
    let manifest = image::lay(&layout, json!({}));
    let image = engine.add(manifest, Arc::new(Folder(layout))).await.unwrap();
    Rig { folder, socket: socket.to_owned(), fabric, engine, image }
}

async fn open(socket: &str, folder: &Path) -> (Arc<Fabric>, Arc<dyn Engine>) {
    let daemon = Arc::new(Daemon::at(socket, folder).await.unwrap());
    let networks = Arc::new(Networks::open(daemon).await.unwrap());
    let engine = Arc::new(Containers::open(&folder.join("containers"), Arc::clone(&networks)).unwrap());
    (Arc::new(Fabric::of_docker(networks)), engine)
}

impl Rig {
    async fn start_on(&self, spec: ContainerSpec, on: &[(&str, &str)]) -> Result<Container, Error> {
        let attachment = |(network, address): &(&str, &str)| Attachment {
            network: (*network).to_owned(),
            addresses: vec![address.parse().unwrap()],
        };
        let attachments = on.iter().map(attachment).collect();
        let member = MemberSpec { id: spec.id.clone(), attachments, doors: true };
        let member = self.fabric.set_member(member).await.unwrap();
        self.engine.start(spec, &self.image, &member, Logs::default()).await
    }

    async fn start(&self, spec: ContainerSpec) -> Result<Container, Error> {
        self.start_on(spec, &[]).await
    }

    /// One that answers requests.
    async fn serve(&self, id: &str, on: &[(&str, &str)]) -> Container {
        let env = [("PORT".to_owned(), "8080".to_owned())].into();
        let spec = ContainerSpec { env, ports: vec![8080], ..spec(id, &[]) };
        let container = self.start_on(spec, on).await.unwrap();
        listening(&container, 8080, PATIENCE).await.unwrap();
        container
    }

    async fn client(&self) -> Docker {
        let client = Docker::connect_with_unix(&self.socket, 60, API_DEFAULT_VERSION).unwrap();
        client.negotiate_version().await.unwrap()
    }

    fn mark(&self) -> String {
        self.fabric.docker().unwrap().daemon().mark().to_owned()
    }

    /// The name of a container at the daemon.
    fn name(&self, id: &str) -> String {
        format!("stackproof-{}-{id}", self.mark())
    }

    /// What the daemon has of this cloud: containers, networks, images.
    async fn has(&self) -> (usize, usize, usize) {
        let (client, mark) = (self.client().await, self.mark());
        let ours: HashMap<&str, Vec<String>> = [("label", vec![format!("{MARK}={mark}")])].into();
        let options = ListContainersOptionsBuilder::default().all(true).filters(&ours).build();
        let containers = client.list_containers(Some(options)).await.unwrap().len();
        let options = ListNetworksOptionsBuilder::default().filters(&ours).build();
        let networks = client.list_networks(Some(options)).await.unwrap().len();
        let images = client.list_images(None::<ListImagesOptions>).await.unwrap();
        let tags = images.iter().flat_map(|image| &image.repo_tags);
        (containers, networks, tags.filter(|tag| tag.contains(&mark)).count())
    }

    /// Ends everything; nothing may be left of it.
    async fn close(&self) {
        self.fabric.docker().unwrap().close().await.unwrap();
        assert_eq!(self.has().await, (0, 0, 0));
    }
}

fn spec(id: &str, args: &[&str]) -> ContainerSpec {
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    ContainerSpec { id: id.to_owned(), args, ..ContainerSpec::default() }
}

fn said(logs: &Logs, stream: Stream) -> Vec<String> {
    logs.lines().into_iter().filter(|line| line.stream == stream).map(|line| line.text).collect()
}

async fn over(mut stream: tokio::net::TcpStream, path: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("no answer"))?;
    Ok(body.to_owned())
}

async fn get(container: &Container, path: &str) -> String {
    over(container.connect(8080).await.unwrap(), path).await.unwrap()
}

/// What comes of connecting from inside a container: its answer, or none in time.
async fn attempt(from: &Container, to: &str) -> String {
    let tried = tokio::time::timeout(Duration::from_secs(3), get(from, &format!("/get?{to}"))).await;
    tried.unwrap_or_else(|_| "no answer".to_owned())
}

#[test]
fn it_runs_as_its_image_and_its_owner_say() {
    with_docker(|socket| async move {
        let rig = rig(&socket).await;
        assert!(matches!(rig.fabric.driver(), Driver::Docker { daemon } if daemon.contains(&socket)));
        let env = BTreeMap::from([("OVER".to_owned(), "owner".to_owned()), ("MORE".to_owned(), "a=b c".to_owned())]);
        let container = rig.start(ContainerSpec { env, ..spec("one", &["tell"]) }).await.unwrap();
        let exit = container.ended().await;
        assert_eq!(exit.ended, Ended::Code(0), "{:?}", container.logs().lines());
        let told = said(container.logs(), Stream::Out);
        let has = |line: &str| assert!(told.iter().any(|told| told == line), "no {line:?} in {told:#?}");
        has("pid=1");
        has("uid=1000 1000 1000 1000");
        has("gid=1001 1001 1001 1001");
        has("caps=0000000000000000");
        has("bound=0000000000000000");
        has("nonewprivs=1");
        has("cwd=/srv/data");
        has("hostname=one");
        has("env FROM=image");
        has("env OVER=owner");
        has("env MORE=a=b c");

        let said_both = rig.start(spec("two", &["say", "first", "last"])).await.unwrap();
        said_both.ended().await;
        assert_eq!(said(said_both.logs(), Stream::Out), ["first", "last"]);
        assert_eq!(said(said_both.logs(), Stream::Err), ["!first", "!last"]);
        let seven = rig.start(spec("three", &["exit", "7"])).await.unwrap();
        assert_eq!(seven.ended().await.ended, Ended::Code(7));
        let aborted = rig.start(spec("four", &["abort"])).await.unwrap();
        // As the first process it is not sent its own SIGABRT, and ends by what comes next.
        let aborted = aborted.ended().await.ended;
        assert!(matches!(aborted, Ended::Signal(6 | 11)), "{aborted:?}");
        assert_eq!(rig.has().await.0, 0, "a container that has ended is left");

        let command = vec!["nope".to_owned()];
        let refused = rig.start(ContainerSpec { command, ..spec("five", &[]) }).await.map(drop).unwrap_err();
        assert!(matches!(&refused, Error::Refused(Refused::NotFound { program }) if program == "nope"), "{refused}");
        assert_eq!(rig.has().await.0, 0, "a container that was refused is left");
        rig.close().await;
    });
}

#[test]
fn limits_hold_and_what_is_used_is_told() {
    with_docker(|socket| async move {
        let rig = rig(&socket).await;
        let limits = Limits { memory: Some(32 << 20), cpu: Some(500), processes: Some(20), storage: None };
        let eats = rig.start(ContainerSpec { limits, ..spec("eats", &["eat"]) }).await.unwrap();
        let exit = eats.ended().await;
        assert_eq!(exit.to_string(), "it was killed: out of memory");
        let multiplies = rig.start(ContainerSpec { limits, ..spec("multiplies", &["multiply"]) }).await.unwrap();
        multiplies.ended().await;
        let threads: u32 = said(multiplies.logs(), Stream::Out)[0].strip_prefix("threads ").unwrap().parse().unwrap();
        assert!(threads < 20, "{threads} threads");

        let serves = rig.serve("serves", &[]).await;
        let told = async {
            let mut looks = tokio::time::interval(Duration::from_millis(50));
            loop {
                looks.tick().await;
                if let Ok(usage) = serves.usage() {
                    return usage;
                }
            }
        };
        let usage = tokio::time::timeout(PATIENCE, told).await.unwrap();
        assert!(usage.memory > 0 && usage.memory < 64 << 20 && usage.cpu > Duration::ZERO, "{usage:?}");
        // It handles no signal: it is ended when its time is over.
        assert_eq!(serves.stop(Duration::from_millis(100)).await.ended, Ended::Signal(9));
        rig.close().await;
    });
}

#[test]
fn a_service_crashes_comes_back_and_leaves_nothing() {
    with_docker(|socket| async move {
        let rig = rig(&socket).await;
        let places = Arc::new(Unattached(Arc::clone(&rig.fabric)));
        let spec = ServiceSpec {
            id: "web".to_owned(),
            image: rig.image.digest.clone(),
            command: Vec::new(),
            args: Vec::new(),
            env: [("VERSION".to_owned(), "1".to_owned())].into(),
            port: 8080,
            min: 1,
            max: 1,
            concurrency: 10,
            scale_by: ScaleBy::Requests,
            limits: Limits::default(),
            health: Some(Health {
                check: Check::Http { path: "/health".to_owned() },
                interval: Duration::from_secs(1),
                timeout: Duration::from_secs(1),
                failures: 3,
            }),
            startup: None,
            start_within: PATIENCE,
            idle: Duration::from_secs(5),
            spare: Duration::from_secs(5),
            grace: Duration::from_millis(200),
        };
        let service = Service::start(Arc::clone(&rig.engine), places, spec.clone());
        assert_eq!(service.settled().await.state, ServiceState::Ready);
        let ask = async |path: &str| {
            let connection = service.dial().await.unwrap();
            over(connection.stream, path).await
        };
        assert_eq!(ask("/version").await.unwrap(), "1");
        ask("/crash").await.unwrap_err();
        let mut status = service.status();
        let mut reached = async |what: fn(&ServiceStatus) -> bool| {
            let found = tokio::time::timeout(PATIENCE, status.wait_for(what)).await;
            found.unwrap_or_else(|_| panic!("it stays {:?}", service.status().borrow())).unwrap().clone()
        };
        let failed = reached(|status| matches!(status.state, ServiceState::Error { .. })).await;
        assert!(
            matches!(&failed.state, ServiceState::Error { message } if message.contains("it ended with code 7")),
            "{failed:?}"
        );
        reached(|status| status.state == ServiceState::Ready && status.ready == 1).await;
        assert_eq!(ask("/version").await.unwrap(), "1");
        // The next version takes over.
        service.update(ServiceSpec { env: [("VERSION".to_owned(), "2".to_owned())].into(), ..spec });
        service.settled().await;
        assert_eq!(ask("/version").await.unwrap(), "2");
        assert!(service.logs().lines().iter().filter(|line| line.text == "listening on 8080").count() >= 3);
        service.stop().await;
        assert_eq!(rig.has().await.0, 0, "a container is left");
        rig.close().await;
    });
}

#[test]
fn a_container_reaches_those_of_its_networks_and_no_others() {
    with_docker(|socket| async move {
        let rig = rig(&socket).await;
        let names = |name: &str, address: &str| [(name.to_owned(), vec![address.parse::<IpAddr>().unwrap()])].into();
        for (id, range, router, name, address) in [
            ("front", "10.213.0.0/24", "10.213.0.1", "web.front.internal", "10.213.0.20"),
            ("back", "10.213.1.0/24", "10.213.1.1", "store.back.internal", "10.213.1.20"),
        ] {
            let spec = network(id, "vpc", &[(range, router)]);
            let spec = stackproof_planes::network::NetworkSpec { names: names(name, address), ..spec };
            rig.fabric.set_network(spec).await.unwrap();
        }
        let web = rig.serve("web", &[("front", "10.213.0.20")]).await;
        let both = rig.serve("both", &[("front", "10.213.0.21"), ("back", "10.213.1.21")]).await;
        let store = rig.serve("store", &[("back", "10.213.1.20")]).await;
        let none = rig.serve("none", &[]).await;

        assert_eq!(attempt(&both, "10.213.0.20:8080").await, "connected");
        assert_eq!(attempt(&both, "10.213.1.20:8080").await, "connected");
        assert_eq!(attempt(&both, "store.back.internal:8080").await, "connected", "by name");
        assert_eq!(attempt(&web, "10.213.0.21:8080").await, "connected");
        for (from, to) in [
            (&web, "10.213.1.20:8080"),
            (&web, "10.213.1.21:8080"),
            (&store, "10.213.0.20:8080"),
            (&none, "10.213.0.20:8080"),
            (&none, "10.213.1.20:8080"),
            (&none, "web.front.internal:8080"),
        ] {
            let answer = attempt(from, to).await;
            assert_ne!(answer, "connected", "{} reaches {to}", from.id());
        }
        // Nor by the network through which they are asked.
        let client = rig.client().await;
        let told = client.inspect_container(&rig.name("store"), None::<InspectContainerOptions>).await.unwrap();
        let networks = told.network_settings.unwrap().networks.unwrap();
        let entry = networks[&rig.name("entry")].ip_address.clone().unwrap();
        assert_ne!(attempt(&web, &format!("{entry}:8080")).await, "connected");
        // It is not said to be more than that.
        let isolation = rig.fabric.driver().isolation();
        assert!(!isolation.provable && !isolation.holds.is_empty() && !isolation.open.is_empty());

        let used = rig.fabric.remove_network("back").await.unwrap_err();
        assert!(used.to_string().contains("is still used by"), "{used}");
        for container in [web, both, store, none] {
            container.stop(Duration::ZERO).await;
            rig.fabric.remove_member(container.id()).await.unwrap();
        }
        rig.fabric.remove_network("back").await.unwrap();
        rig.close().await;
    });
}

#[test]
fn a_server_of_this_machine_is_reached_at_its_private_address() {
    with_docker(|socket| async move {
        let rig = rig(&socket).await;
        rig.fabric.set_network(network("back", "vpc", &[("10.213.2.0/24", "10.213.2.1")])).await.unwrap();
        rig.fabric.set_network(network("other", "vpc", &[("10.213.3.0/24", "10.213.3.1")])).await.unwrap();
        // There before the server is: it is taken off its network and put on again.
        let inside = rig.serve("inside", &[("back", "10.213.2.20")]).await;
        let outside = rig.serve("outside", &[("other", "10.213.3.20")]).await;
        let server = |id: &str, address: &str| {
            let at = Attachment { network: "back".to_owned(), addresses: vec![address.parse().unwrap()] };
            rig.fabric.set_server(MemberSpec { id: id.to_owned(), attachments: vec![at], doors: false })
        };
        let member = server("database", "10.213.2.5").await.unwrap();
        let address: IpAddr = "10.213.2.5".parse().unwrap();
        if std::env::var_os("DOCKER_HOST").is_some() && member.addresses.is_empty() {
            println!("SKIPPED: not provable here: the daemon's networks are not this machine's");
            return rig.close().await;
        }
        assert_eq!(member.addresses, [address]);
        let listener = member.place.listen(SocketAddr::new(address, 5432)).await.unwrap();
        let (answer, taken) = tokio::join!(attempt(&inside, "10.213.2.5:5432"), listener.accept());
        assert_eq!(answer, "connected");
        assert_eq!(taken.unwrap().1.ip(), "10.213.2.20".parse::<IpAddr>().unwrap(), "who asks is seen");
        // From elsewhere the port is reached, but never from an address that a database would let in.
        let (_, taken) = tokio::join!(attempt(&outside, "10.213.2.5:5432"), async {
            tokio::time::timeout(Duration::from_secs(3), listener.accept()).await
        });
        if let Ok(taken) = taken {
            let from = taken.unwrap().1.ip().to_string();
            assert!(!from.starts_with("10.213."), "it comes from {from}");
        }
        // The same again is the same; a second server of the network has no address of its own.
        assert_eq!(server("database", "10.213.2.5").await.unwrap().addresses, [address]);
        assert!(server("second", "10.213.2.6").await.unwrap().addresses.is_empty());
        inside.stop(Duration::ZERO).await;
        outside.stop(Duration::ZERO).await;
        rig.close().await;
    });
}

#[test]
fn what_an_unclean_end_left_is_removed_and_nothing_of_anybody_else() {
    with_docker(|socket| async move {
        let (rig, other) = (rig(&socket).await, rig(&socket).await);
        rig.fabric.set_network(network("n", "vpc", &[("10.213.4.0/24", "10.213.4.1")])).await.unwrap();
        let left = rig.serve("left", &[("n", "10.213.4.20")]).await;
        let kept = other.serve("kept", &[]).await;
        assert_eq!(rig.has().await, (1, 2, 1));
        // Another cloud cannot have the same range; it is told so.
        other.fabric.set_network(network("n", "vpc", &[("10.213.4.0/25", "10.213.4.1")])).await.unwrap();
        let at = Attachment { network: "n".to_owned(), addresses: vec!["10.213.4.21".parse().unwrap()] };
        let member = MemberSpec { id: "more".to_owned(), attachments: vec![at], doors: true };
        let refused = other.fabric.set_member(member).await.map(drop).unwrap_err().to_string();
        assert!(refused.contains("overlaps") && refused.contains("give this one another range"), "{refused}");

        // As a process that is killed: it neither stops its containers nor waits for them.
        let (_fabric, _engine) = open(&socket, &rig.folder.path().join("cloud")).await;
        assert_eq!(rig.has().await, (0, 0, 0));
        assert!(matches!(left.ended().await.ended, Ended::Signal(9) | Ended::Lost(_)));
        assert_eq!(get(&kept, "/health").await, "well");
        // One that nobody holds any more ends.
        drop(kept);
        let gone = async {
            let mut looks = tokio::time::interval(Duration::from_millis(50));
            while other.has().await.0 > 0 {
                looks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap();
        other.close().await;
    });
}

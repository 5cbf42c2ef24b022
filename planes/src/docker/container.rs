//! One container at a daemon.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bollard::{
    container::LogOutput,
    errors::Error as Refusal,
    models::{
        ContainerCreateBody, ContainerInspectResponse, ContainerStatsResponse, EndpointSettings, HostConfig,
        HostConfigLogConfig, NetworkConnectRequest, NetworkingConfig, PortBinding,
    },
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptions,
        KillContainerOptionsBuilder, StartContainerOptions, StatsOptionsBuilder, WaitContainerOptions,
    },
};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{mpsc, watch},
};

use super::{Daemon, Error as Said, Networks};
use crate::containers::{
    Container, ContainerSpec, Ended, Error, Exit, Inside, Logs, Refused, Result, Stream as Channel, Usage,
};

/// How long a proxy in front of a port may take to close a connection that nobody takes. It takes every one first.
const CLOSES: Duration = Duration::from_millis(100);
/// How much a container may say before it is read.
const PIPE: usize = 64 << 10;
const SIGKILL: i32 = nix::libc::SIGKILL;

type Output = Pin<Box<dyn Stream<Item = std::result::Result<LogOutput, Refusal>> + Send>>;

/// What the daemon tells of a container.
struct Daemons {
    pid: i32,
    /// Where its ports are published.
    ports: HashMap<u16, SocketAddr>,
    /// What it used last.
    usage: Arc<Mutex<Option<Usage>>>,
}

pub(super) async fn start(
    networks: &Networks,
    entry: &str,
    member: &str,
    spec: ContainerSpec,
    image: String,
    logs: Logs,
) -> Result<Container> {
    let daemon = networks.daemon();
    let name = daemon.name(&spec.id);
    let began = begin(networks, entry, member, &spec, image, &name).await;
    let (output, told) = match began {
        Ok(began) => began,
        Err(error) => {
            daemon.remove_container(&name).await?;
            return Err(error);
        }
    };
    let usage = Arc::new(Mutex::new(None));
    let inside = Daemons {
        pid: told.state.as_ref().and_then(|state| state.pid).and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0),
        ports: published(&told),
        usage: Arc::clone(&usage),
    };
    let (ask, asked) = mpsc::unbounded_channel();
    let (tell, exit) = watch::channel(None);
    let watching = Watching { daemon: Arc::clone(daemon), id: spec.id.clone(), name, usage };
    tokio::spawn(watching.run(output, logs.clone(), asked, tell));
    Ok(Container::new(spec.id, Box::new(inside), logs, ask, exit))
}

/// Creates it, puts it on its networks, listens to what it says, and starts it.
async fn begin(
    networks: &Networks,
    entry: &str,
    member: &str,
    spec: &ContainerSpec,
    image: String,
    name: &str,
) -> Result<(Output, ContainerInspectResponse)> {
    let client = networks.daemon().client();
    let (seats, names) = networks.seats(member).await?;
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    let body = body(networks.daemon(), entry, spec, image, names);
    let step = |what: &str| format!("{what} container {}", spec.id);
    client.create_container(Some(options), body).await.map_err(Said::said(step("creating")))?;
    for seat in seats {
        let request = NetworkConnectRequest { container: name.to_owned(), endpoint_config: Some(seat.endpoint) };
        let on = client.connect_network(&seat.network, request).await;
        on.map_err(Said::said(format!("putting container {} on network {}", spec.id, seat.network)))?;
    }
    // Before it is started, so that its first word is not missed.
    let options = AttachContainerOptionsBuilder::default().stream(true).stdout(true).stderr(true).build();
    let attached = client.attach_container(name, Some(options)).await.map_err(Said::said(step("listening to")))?;
    let started = client.start_container(name, None::<StartContainerOptions>).await;
    started.map_err(|error| refused(error, spec))?;
    let told = client.inspect_container(name, None::<InspectContainerOptions>).await;
    Ok((attached.output, told.map_err(Said::said(step("looking at")))?))
}

/// What is to be run. What the image says besides, the daemon knows.
fn body(
    daemon: &Daemon,
    entry: &str,
    spec: &ContainerSpec,
    image: String,
    names: Vec<(String, IpAddr)>,
) -> ContainerCreateBody {
    let given = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let ports: Vec<String> = spec.ports.iter().map(|port| format!("{port}/tcp")).collect();
    // Any port of this machine that is free.
    let here = PortBinding { host_ip: Some(Ipv4Addr::LOCALHOST.to_string()), host_port: Some(String::new()) };
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let memory = spec.limits.memory.map(number);
    ContainerCreateBody {
        hostname: Some(spec.id.clone()),
        image: Some(image),
        entrypoint: given(&spec.command),
        cmd: given(&spec.args),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        exposed_ports: Some(ports.clone()),
        labels: Some(daemon.labels()),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some([(entry.to_owned(), EndpointSettings::default())].into()),
        }),
        host_config: Some(HostConfig {
            network_mode: Some(entry.to_owned()),
            port_bindings: Some(ports.into_iter().map(|port| (port, Some(vec![here.clone()]))).collect()),
            memory,
            // Nothing is swapped out.
            memory_swap: memory,
            nano_cpus: spec.limits.cpu.map(|cpu| i64::from(cpu) * 1_000_000),
            pids_limit: spec.limits.processes.map(i64::from),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            // Names of elsewhere are not this container's to know: nobody answers there, and that is not waited for.
            dns: Some(vec![Ipv4Addr::LOCALHOST.to_string()]),
            dns_options: Some(vec!["timeout:1".to_owned(), "attempts:1".to_owned()]),
            extra_hosts: Some(names.into_iter().map(|(name, to)| format!("{name}:{to}")).collect()),
            // What it says is kept here.
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Why it was not started, in the words used for those of this machine.
fn refused(error: Refusal, spec: &ContainerSpec) -> Error {
    let said = error.to_string();
    let program = || {
        // The first that is quoted after the word.
        let quoted = said.split_once("exec: ").and_then(|(_, rest)| rest.split('"').nth(1));
        quoted.map(|quoted| quoted.trim_end_matches('\\').to_owned()).unwrap_or_default()
    };
    if said.contains("executable file not found") || (said.contains("exec: ") && said.contains("no such file")) {
        return Refused::NotFound { program: program() }.into();
    }
    if said.contains("exec: ") && said.contains("permission denied") {
        return Refused::NotRunnable { program: program(), reason: "permission denied".to_owned() }.into();
    }
    if let Some((_, user)) = said.split_once("unable to find user ") {
        return Refused::NoUser { user: user.split(':').next().unwrap_or_default().to_owned() }.into();
    }
    Said::said(format!("starting container {}", spec.id))(error).into()
}

fn published(told: &ContainerInspectResponse) -> HashMap<u16, SocketAddr> {
    let ports = told.network_settings.as_ref().and_then(|settings| settings.ports.as_ref());
    let each = ports.into_iter().flatten().filter_map(|(port, bindings)| {
        let port = port.strip_suffix("/tcp")?.parse().ok()?;
        let here = bindings.as_ref()?.first()?.host_port.as_ref()?.parse().ok()?;
        Some((port, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), here)))
    });
    each.collect()
}

#[async_trait::async_trait]
impl Inside for Daemons {
    fn pid(&self) -> i32 {
        self.pid
    }

    fn address(&self, port: u16) -> SocketAddr {
        self.ports.get(&port).copied().unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
    }

    async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let to = self.ports.get(&port).ok_or_else(|| io::Error::other(format!("port {port} is not published")))?;
        TcpStream::connect(to).await
    }

    /// Docker's proxy takes any connection, and closes those that nobody in the container takes.
    async fn listens(&self, port: u16) -> bool {
        let Ok(stream) = self.connect(port).await else { return false };
        match tokio::time::timeout(CLOSES, stream.peek(&mut [0])).await {
            Ok(Ok(said)) => said > 0,
            Ok(Err(_)) => false,
            Err(_) => true,
        }
    }

    /// That is not seen from out here.
    async fn connect_itself(&self, _: u16) -> bool {
        false
    }

    fn usage(&self) -> Result<Usage> {
        let known = *self.usage.lock();
        known.ok_or_else(|| Error::machine("what it uses")(io::Error::other("Docker has not told yet")))
    }

    /// They may be on another machine.
    fn written(&self) -> Option<PathBuf> {
        None
    }

    /// What it handles is not seen from out here: it is given the time.
    fn heeds(&self, _: i32) -> bool {
        true
    }
}

/// What watches over a container, until nothing is left of it.
struct Watching {
    daemon: Arc<Daemon>,
    id: String,
    name: String,
    usage: Arc<Mutex<Option<Usage>>>,
}

impl Watching {
    async fn run(
        self,
        output: Output,
        logs: Logs,
        mut asked: mpsc::UnboundedReceiver<i32>,
        tell: watch::Sender<Option<Exit>>,
    ) {
        let reading = tokio::spawn(read(output, logs, self.id.clone()));
        let client = self.daemon.client();
        let mut waited = Box::pin(client.wait_container(&self.name, None::<WaitContainerOptions>));
        let options = StatsOptionsBuilder::default().stream(true).build();
        let mut measured = Box::pin(client.stats(&self.name, Some(options)).fuse());
        let mut held = true;
        let lost = loop {
            tokio::select! {
                signal = asked.recv(), if held => {
                    held = signal.is_some();
                    // Nobody holds it any more: it ends.
                    self.kill(signal.unwrap_or(SIGKILL)).await;
                }
                ended = waited.next() => break match ended {
                    // With a code other than 0, which is told below.
                    Some(Ok(_) | Err(Refusal::DockerContainerWaitError { .. })) => None,
                    Some(Err(error)) => Some(error.to_string()),
                    None => Some("Docker does not tell how it ended".to_owned()),
                },
                Some(told) = measured.next() => match told {
                    Ok(told) => if let Some(used) = used(&told) {
                        *self.usage.lock() = Some(used);
                    },
                    Err(error) => tracing::debug!(container = self.id, %error, "what it uses is not told"),
                },
            }
        };
        let exit = match lost {
            Some(lost) => Exit { ended: Ended::Lost(lost), out_of_memory: 0, cpu: self.spent() },
            None => self.exit().await,
        };
        if let Err(error) = self.daemon.remove_container(&self.name).await {
            tracing::error!(container = self.id, %error, "something is left of a container");
        }
        if let Err(error) = reading.await {
            tracing::warn!(container = self.id, %error, "what a container said was not read to its end");
        }
        tell.send_replace(Some(exit));
    }

    async fn kill(&self, signal: i32) {
        let options = KillContainerOptionsBuilder::default().signal(&signal.to_string()).build();
        if let Err(error) = self.daemon.client().kill_container(&self.name, Some(options)).await {
            // It has ended, which will be noticed.
            tracing::debug!(container = self.id, signal, %error, "a container took no signal");
        }
    }

    async fn exit(&self) -> Exit {
        let told = self.daemon.client().inspect_container(&self.name, None::<InspectContainerOptions>).await;
        let state = match told {
            Ok(told) => told.state.unwrap_or_default(),
            Err(error) => {
                return Exit { ended: Ended::Lost(error.to_string()), out_of_memory: 0, cpu: self.spent() };
            }
        };
        let code = state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1);
        // Docker, as a shell does, tells a signal by a code; it is taken for one.
        let ended = if (129..=128 + 64).contains(&code) { Ended::Signal(code - 128) } else { Ended::Code(code) };
        Exit { ended, out_of_memory: u64::from(state.oom_killed == Some(true)), cpu: self.spent() }
    }

    /// How long it was on processors, as far as that was told: not for what ended before the first time.
    fn spent(&self) -> Duration {
        self.usage.lock().map_or(Duration::ZERO, |usage| usage.cpu)
    }
}

/// What it uses, of what it is told; none: nothing yet, or nothing any more.
fn used(told: &ContainerStatsResponse) -> Option<Usage> {
    let memory = told.memory_stats.as_ref()?;
    let all = memory.usage?;
    let part = |name: &str| memory.stats.as_ref().and_then(|stats| stats.get(name).copied());
    let inactive = part("total_inactive_file").or_else(|| part("inactive_file")).unwrap_or(0);
    let cpu = told.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    Some(Usage { memory: all.saturating_sub(inactive), cpu: Duration::from_nanos(cpu) })
}

/// Keeps what it says, to its end.
async fn read(mut output: Output, logs: Logs, id: String) {
    let (mut out, from_out) = tokio::io::duplex(PIPE);
    let (mut err, from_err) = tokio::io::duplex(PIPE);
    let pour = async move {
        while let Some(said) = output.next().await {
            let poured = match said {
                Ok(LogOutput::StdErr { message }) => err.write_all(&message).await,
                Ok(said) => out.write_all(said.as_ref()).await,
                Err(error) => Err(io::Error::other(error)),
            };
            if let Err(error) = poured {
                return tracing::warn!(%error, "what a container says cannot be read any more");
            }
        }
    };
    let (to_out, to_err) = (logs.clone(), logs);
    tokio::join!(pour, to_out.read(id.clone(), Channel::Out, from_out), to_err.read(id, Channel::Err, from_err));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> Refusal {
        Refusal::DockerResponseServerError { status_code: 400, message: message.to_owned() }
    }

    #[test]
    fn why_it_was_not_started_is_told_in_our_words() {
        let spec = ContainerSpec { id: "web".to_owned(), ..ContainerSpec::default() };
        let told = |message: &str| refused(said(message), &spec).to_string();
        assert_eq!(
            told("OCI runtime create failed: exec: \"nope\": executable file not found in $PATH: unknown"),
            "exec not found: \"nope\" is not in the image"
        );
        assert_eq!(
            told("starting container process caused: exec: \"/etc/passwd\": permission denied: unknown"),
            "\"/etc/passwd\" cannot be run: permission denied"
        );
        assert_eq!(told("unable to find user bob: no matching entries in passwd file"), "no user \"bob\" in the image");
        assert!(told("out of disk").starts_with("starting container web: Docker: "));
    }
}

//! `stackproof cloud`: the local cloud, started, stopped, looked at, used.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stackproof::{
    Failure, Workspace,
    target::{CloudHome, Control, Launch, Stopped, Trouble},
};
use stackproof_cloud::{
    gateway,
    kernel::{Durability, Enforcement, Profile},
    planes,
    server::{Config, Server},
};
use stackproof_planes::network::Choice;
use tokio::{
    io::AsyncReadExt,
    signal::unix::{SignalKind, signal},
};

use super::exec;

/// The variable that chooses how networks and containers are had.
pub(super) const CHOICE: &str = "STACKPROOF_PLANES";

/// What to do with the local cloud.
#[derive(Subcommand)]
pub(crate) enum Cloud {
    /// Start it in the background.
    Start {
        /// How time passes: instant, realistic or manual.
        #[arg(long, default_value_t = Profile::Instant)]
        profile: Profile,
        /// Keep nothing on disk.
        #[arg(long)]
        in_memory: bool,
        /// How networks and containers are had: native, docker, loopback, or automatic for the best there is.
        #[arg(long, env = CHOICE, default_value = "automatic")]
        driver: Choice,
        /// What is done with what IAM does not allow: enforce refuses it, soft lets it through and tells of it.
        #[arg(long, default_value_t)]
        iam: Enforcement,
    },
    /// Stop it.
    Stop,
    /// Tell where it is and what it has been asked.
    Status {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Forget all it knows; it must be stopped.
    Reset,
    /// Run a command against it: `stackproof cloud exec -- bash`.
    Exec(exec::Exec),
    /// Be the local cloud, in the foreground.
    #[command(hide = true)]
    Serve(Serve),
}

/// How to be the local cloud.
#[derive(Args)]
pub(crate) struct Serve {
    #[arg(long)]
    home: PathBuf,
    #[arg(long, default_value_t = Profile::Instant)]
    profile: Profile,
    /// Keep the state on disk.
    #[arg(long)]
    keep: bool,
    /// Answer a change only when the disk has it.
    #[arg(long)]
    durable: bool,
    #[arg(long)]
    no_control: bool,
    /// Run databases, containers and networks behind the API.
    #[arg(long)]
    planes: bool,
    #[arg(long, env = CHOICE, default_value = "automatic")]
    driver: Choice,
    #[arg(long, default_value_t)]
    iam: Enforcement,
    /// End when standard input does: with the process that started it.
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Runs it.
pub(crate) async fn run(command: Cloud) -> Result<(), Failure> {
    if let Cloud::Serve(serve) = command {
        return be_the_cloud(serve).await;
    }
    let home = CloudHome::at(&Workspace::find()?.cloud_dir())?;
    match command {
        Cloud::Start { profile, in_memory, driver, iam } => {
            let launch = Launch { profile, keep: !in_memory, driver, enforcement: iam, ..Launch::new(home.folder()) };
            start(&home, launch).await
        }
        Cloud::Stop => {
            match home.stop().await? {
                Stopped::InOrder(pid) => anstream::println!("The local cloud (process {pid}) has stopped."),
                Stopped::Swept => {
                    anstream::println!("The local cloud had ended without cleaning up; what it left has been removed.");
                }
            }
            Ok(())
        }
        Cloud::Status { json } => status(&home, json).await,
        Cloud::Reset => {
            home.reset().await?;
            anstream::println!("The local cloud has forgotten everything.");
            Ok(())
        }
        Cloud::Exec(command) => exec::run(&home, command).await,
        Cloud::Serve(_) => Ok(()),
    }
}

async fn start(home: &CloudHome, launch: Launch) -> Result<(), Failure> {
    let soft = launch.enforcement == Enforcement::Soft;
    let running = home.start_as(launch).await?;
    let ready = running.ready();
    anstream::println!("The local cloud runs as process {}.", ready.pid);
    anstream::println!("  API      {}", ready.api_url);
    anstream::println!("  gateway  {} (for api.scaleway.com and *.scw.cloud)", ready.gateway_url);
    if let Some(control) = &ready.control_url {
        anstream::println!("  control  {control}");
    }
    if soft {
        anstream::println!(
            "  IAM      soft: what it does not allow is let through, and told by stackproof cloud status"
        );
    }
    anstream::println!("Use it: stackproof cloud exec -- bash");
    Ok(())
}

async fn status(home: &CloudHome, json: bool) -> Result<(), Failure> {
    let running = home.running().await?;
    let ready = running.ready();
    let control = running.control().ok_or_else(|| Failure::environment("the local cloud has no control API"))?;
    let (totals, resources, now) = (control.totals().await?, control.resources().await?, control.now().await?);
    let troubles = control.troubles().await?;
    let denials = control.denials().await?;
    if json {
        let document = serde_json::json!({
            "pid": ready.pid, "api_url": ready.api_url, "s3_url": ready.s3_url, "gateway_url": ready.gateway_url,
            "control_url": ready.control_url, "profile": ready.profile, "now": now, "traffic": totals,
            "resources": resources, "troubles": troubles, "denials": denials,
        });
        anstream::println!("{document:#}");
        return Ok(());
    }
    anstream::println!("process   {}, profile {}, its clock shows {now}", ready.pid, ready.profile);
    anstream::println!("API       {}", ready.api_url);
    anstream::println!("gateway   {}", ready.gateway_url);
    anstream::println!(
        "requests  {} ({:.1} ms busy), {} not ready, {} unknown routes, {} failures of its own",
        totals.requests,
        totals.busy_seconds * 1000.0,
        totals.not_ready,
        totals.unknown_routes,
        totals.server_errors,
    );
    for (route, count) in &totals.missing {
        anstream::println!("          {count} × {route} is not implemented");
    }
    // The last ones: the control API and cloud.log have all.
    for denial in denials.iter().rev().take(5).rev() {
        anstream::println!("denied    {denial}");
    }
    for (kind, count) in resources.as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0)) {
        anstream::println!("{count:>9} {kind}");
    }
    tell(&control, &troubles);
    Ok(())
}

/// Says what does not run, why, and where to look on.
pub(super) fn tell(control: &Control, troubles: &[Trouble]) {
    for trouble in troubles {
        let Trouble { kind, id, name, reason } = trouble;
        anstream::println!("{kind} {name} does not run: {}", reason.replace('\n', "\n          "));
        anstream::println!("          what it said: curl {}", control.logs_url(id));
    }
}

async fn be_the_cloud(serve: Serve) -> Result<(), Failure> {
    let home = CloudHome::at(&serve.home)?;
    // To the very end of this process: whoever waits for that waits for the lock.
    Box::leak(Box::new(home.hold().await?));
    let config = config(&serve, &home)?;
    stackproof::tls::install();
    // Standard error is the cloud's log file. s3s reports every refusal as an error of its own.
    let filter = tracing_subscriber::EnvFilter::new("warn,s3s=off");
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let failed = |error: &dyn std::fmt::Display| Failure::environment("the local cloud cannot start").because(error);
    // Asked now: its folder may be gone when the cloud ends.
    let behind = if serve.planes && !serve.keep { Some(home.planes_dir(false)?) } else { None };
    let server = Server::start(config).await.map_err(|error| failed(&error))?;
    let line = serde_json::to_string(server.ready()).map_err(|error| failed(&error))?;
    println!("{line}");
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| failed(&error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| failed(&error))?;
    let parent = async {
        if !serve.until_stdin_closes {
            return std::future::pending().await;
        }
        let mut nothing = [0; 16];
        while tokio::io::stdin().read(&mut nothing).await.is_ok_and(|read| read > 0) {}
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = parent => {}
    }
    server.stop().await;
    if let Some(folder) = behind {
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, folder = %folder.display(), "what ran behind the API left something");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whatever this machine can run.
fn everything(home: &CloudHome, kept: bool, driver: Choice) -> Result<planes::Config, Failure> {
    let helper = std::env::current_exe();
    Ok(planes::Config::Everything {
        folder: home.planes_dir(kept)?,
        cache: CloudHome::planes_cache()?,
        helper: helper.map_err(|error| Failure::environment("this program's file is not known").because(error))?,
        driver,
    })
}

fn config(serve: &Serve, home: &CloudHome) -> Result<Config, Failure> {
    Ok(Config {
        state_dir: serve.keep.then(|| home.state_dir()),
        durability: if serve.durable { Durability::Disk } else { Durability::Process },
        profile: serve.profile,
        seed: None,
        organization: home.organization()?,
        authority_dir: CloudHome::authority_dir()?,
        ports: [0; 4],
        control: !serve.no_control,
        enforcement: serve.iam,
        foreign: gateway::Foreign::Tunnel,
        planes: if serve.planes { everything(home, serve.keep, serve.driver)? } else { planes::Config::Nothing },
    })
}

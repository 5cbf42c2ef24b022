//! The files a server reads: its settings, who may connect, its certificate.

use std::{
    fmt::Write as _,
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::{Engine, Error, InstanceSpec, Result, engine::SUPERUSER};

/// What one server may take of this machine's memory for its pages.
const SHARED_BUFFERS: &str = "16MB";

/// Where and how a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listening {
    /// On which addresses.
    pub(super) addresses: Vec<IpAddr>,
    /// On which port.
    pub(super) port: u16,
}

/// Writes all of them into an instance's folder.
pub(super) fn write(engine: &Engine, home: &Path, spec: &InstanceSpec, listening: &Listening) -> Result<()> {
    let files = [
        ("postgresql.conf", settings(home, spec, listening)),
        ("pg_hba.conf", access(spec)),
        ("server.crt", spec.certificate.clone()),
        ("server.key", spec.key.clone()),
    ];
    for (name, content) in files {
        let (path, making) = (home.join(name), home.join(format!("{name}.new")));
        let step = || Error::machine(format!("writing {}", path.display()));
        fs::write(&making, content).map_err(step())?;
        fs::set_permissions(&making, fs::Permissions::from_mode(0o600)).map_err(step())?;
        engine.give(&making)?;
        fs::rename(&making, &path).map_err(step())?;
    }
    Ok(())
}

/// The settings: the instance's own first, so that what keeps it apart from others wins.
fn settings(home: &Path, spec: &InstanceSpec, listening: &Listening) -> String {
    let mut text = String::new();
    let mut set = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name} = '{}'", value.replace('\\', "\\\\").replace('\'', "''"));
    };
    for (name, value) in &spec.settings {
        set(name, value);
    }
    let addresses: Vec<String> = listening.addresses.iter().map(ToString::to_string).collect();
    let home = home.display();
    set("listen_addresses", &addresses.join(","));
    set("port", &listening.port.to_string());
    set("max_connections", &spec.max_connections.to_string());
    set("shared_buffers", SHARED_BUFFERS);
    set("unix_socket_directories", &format!("{home}/socket"));
    set("unix_socket_permissions", "0700");
    set("hba_file", &format!("{home}/pg_hba.conf"));
    set("ssl", "on");
    set("ssl_cert_file", &format!("{home}/server.crt"));
    set("ssl_key_file", &format!("{home}/server.key"));
    set("ssl_min_protocol_version", "TLSv1.2");
    set("password_encryption", "scram-sha-256");
    set("wal_level", "replica");
    set("cluster_name", &spec.id);
    set("lc_messages", "C");
    set("log_timezone", "UTC");
    set("logging_collector", "off");
    set("log_destination", "stderr");
    set("log_statement", "none");
    text
}

/// Who may connect from where. What comes to the public endpoint is carried to the server's own loopback address;
/// what comes from anywhere else is on one of its private networks.
fn access(spec: &InstanceSpec) -> String {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let public = spec.public.is_some() && spec.allowed.iter().any(|allowed| allowed.contains(&here));
    let mut lines = vec![
        format!("local all {SUPERUSER} trust"),
        format!("local replication {SUPERUSER} trust"),
        "local all all reject".to_owned(),
        format!("host all {SUPERUSER} all reject"),
    ];
    if public {
        lines.push(format!("hostssl all all {here}/32 scram-sha-256"));
    } else if !spec.private.is_empty() || spec.public.is_some() {
        lines.push(format!("host all all {here}/32 reject"));
    }
    lines.push("hostssl all all all scram-sha-256".to_owned());
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> InstanceSpec {
        InstanceSpec {
            id: "one".into(),
            certificate: String::new(),
            key: String::new(),
            settings: [("work_mem".to_owned(), "it's".to_owned()), ("ssl".to_owned(), "off".to_owned())].into(),
            users: Vec::new(),
            databases: Vec::new(),
            privileges: Vec::new(),
            allowed: vec!["127.0.0.0/8".parse().unwrap()],
            public: Some(0),
            private: Vec::new(),
            port: 5432,
            max_connections: 20,
            restarts: 0,
            made_of: None,
        }
    }

    #[test]
    fn what_keeps_instances_apart_wins_over_settings() {
        let listening = Listening { addresses: vec!["127.0.0.1".parse().unwrap()], port: 5432 };
        let text = settings(Path::new("/home"), &spec(), &listening);
        assert!(text.contains("work_mem = 'it''s'"), "{text}");
        assert_eq!(text.lines().rfind(|line| line.starts_with("ssl = ")), Some("ssl = 'on'"));
    }

    #[test]
    fn the_public_way_in_is_open_to_who_is_allowed_only() {
        assert!(access(&spec()).contains("hostssl all all 127.0.0.1/32 scram-sha-256"));
        let closed = InstanceSpec { allowed: vec!["192.0.2.0/24".parse().unwrap()], ..spec() };
        assert!(access(&closed).contains("host all all 127.0.0.1/32 reject"));
    }
}

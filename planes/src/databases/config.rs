//! The files a server is configured with.

use std::{collections::BTreeMap, fmt::Write, net::IpAddr, path::Path};

use super::{
    Instance,
    sql::{PLANE, name},
};

/// Settings by name.
pub(super) type Settings = BTreeMap<String, String>;

/// Where an instance does not say; small, so that many fit on a machine.
const DEFAULTS: &[(&str, &str)] = &[
    ("autovacuum_max_workers", "2"),
    ("max_parallel_workers", "2"),
    ("max_wal_size", "128MB"),
    ("max_worker_processes", "4"),
    ("min_wal_size", "8MB"),
    ("shared_buffers", "8MB"),
    ("wal_buffers", "256kB"),
    ("wal_level", "replica"),
];

/// Never an instance's to say.
const OURS: &[(&str, &str)] = &[
    ("archive_mode", "off"),
    ("cluster_name", ""),
    ("dynamic_shared_memory_type", "mmap"),
    ("fsync", "off"),
    ("hot_standby", "on"),
    ("huge_pages", "off"),
    ("lc_messages", "C"),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
    ("max_replication_slots", "10"),
    ("max_wal_senders", "10"),
    ("password_encryption", "scram-sha-256"),
    ("ssl", "on"),
    ("ssl_min_protocol_version", "TLSv1.2"),
    ("unix_socket_permissions", "0700"),
    ("wal_keep_size", "128MB"),
    ("wal_receiver_timeout", "10s"),
    ("wal_retrieve_retry_interval", "100ms"),
    ("wal_sender_timeout", "10s"),
];

/// Others that would lead away from the files and addresses chosen here, or run programs.
const RESERVED: &[&str] = &[
    "archive_cleanup_command",
    "archive_command",
    "archive_library",
    "bonjour",
    "bonjour_name",
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "include",
    "include_dir",
    "include_if_exists",
    "krb_server_keyfile",
    "listen_addresses",
    "local_preload_libraries",
    "port",
    "primary_conninfo",
    "primary_slot_name",
    "promote_trigger_file",
    "recovery_end_command",
    "restore_command",
    "ssl_ca_file",
    "ssl_cert_file",
    "ssl_crl_dir",
    "ssl_crl_file",
    "ssl_dh_params_file",
    "ssl_key_file",
    "ssl_passphrase_command",
    "synchronous_standby_names",
    "unix_socket_directories",
    "unix_socket_group",
];

/// Whether the plane decides that setting itself.
pub(super) fn reserved(name: &str) -> bool {
    RESERVED.contains(&name) || OURS.iter().any(|(ours, _)| *ours == name)
}

/// What a server is told beside its instance's settings.
pub(super) struct Part<'a> {
    /// Where its instance's certificate and key are.
    pub(super) home: &'a Path,
    pub(super) sockets: &'a Path,
    pub(super) listens: &'a [IpAddr],
    pub(super) port: u16,
    /// From where it follows another: the folder of sockets, and as whom.
    pub(super) follows: Option<(&'a Path, &'a str)>,
    /// The standby without which no commit is acknowledged.
    pub(super) waits_for: Option<&'a str>,
}

/// All settings of a server. `good` are those of the instance that make sense.
pub(super) fn settings(instance: &Instance, good: &Settings, part: &Part<'_>) -> Settings {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut all: Settings = DEFAULTS.iter().map(owned).collect();
    all.insert("max_connections".to_owned(), instance.max_connections.max(5).to_string());
    all.extend(good.clone());
    all.extend(OURS.iter().map(owned));
    let mut set = |name: &str, value: String| all.insert(name.to_owned(), value);
    set("ssl_cert_file", part.home.join("tls.crt").display().to_string());
    set("ssl_key_file", part.home.join("tls.key").display().to_string());
    set("unix_socket_directories", part.sockets.display().to_string());
    set("port", part.port.to_string());
    set("listen_addresses", part.listens.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    if let Some((sockets, name)) = part.follows {
        let from = sockets.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
        set(
            "primary_conninfo",
            format!("host='{from}' port={} user={PLANE} application_name={name}", super::sql::MAIN),
        );
    }
    if let Some(standby) = part.waits_for {
        set("synchronous_standby_names", format!("FIRST 1 ({standby})"));
    }
    all
}

/// `postgresql.conf`.
pub(super) fn file(settings: &Settings) -> String {
    settings.iter().fold(String::new(), |mut file, (name, value)| {
        let value = value.replace('\\', "\\\\").replace('\'', "''");
        // Writing to a string does not fail.
        let _ = writeln!(file, "{name} = '{value}'");
        file
    })
}

/// `pg_hba.conf`: who may connect from where.
pub(super) fn access(instance: &Instance) -> String {
    let mut file = format!("local all {PLANE} trust\nlocal replication {PLANE} trust\n");
    // Quoted, a name is never one of the words that mean several.
    for (database, role) in instance
        .databases
        .iter()
        .flat_map(|database| instance.local_roles.iter().map(move |role| (name(&database.name), name(&role.name))))
    {
        let _ = writeln!(file, "local {database} {role} trust");
        let _ = writeln!(file, "host {database} {role} all reject");
    }
    let _ = write!(file, "local all all reject\nhost all {PLANE} all reject\nhost replication all all reject\n");
    for network in &instance.acl {
        let _ = writeln!(file, "hostssl all all {} scram-sha-256", network.trunc());
    }
    file + "host all all all reject\n"
}

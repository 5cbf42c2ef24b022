//! What is inside of a server: users, databases, privileges.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use tokio_postgres::{Client, NoTls};
use tokio_util::task::AbortOnDropHandle;

use super::{Error, InstanceSpec, Permission, Result, engine::SUPERUSER, server::socket};

/// The database that administration uses; every cluster has it.
const ADMINISTRATION: &str = "postgres";
/// Databases and roles that come with every cluster.
const OWN_DATABASES: [&str; 3] = ["postgres", "template0", "template1"];

/// A connection as the superuser; it ends when this is dropped.
pub(super) struct Session {
    pub(super) client: Client,
    _connection: AbortOnDropHandle<()>,
}

impl Session {
    pub(super) async fn open(home: &Path, database: &str) -> Result<Self> {
        let step = format!("connecting to database {database}");
        let (client, connection) = socket(home, database).connect(NoTls).await.map_err(Error::database(step))?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an administrator's connection ended");
            }
        });
        Ok(Self { client, _connection: AbortOnDropHandle::new(task) })
    }

    async fn run(&self, step: &str, statements: &str) -> Result<()> {
        self.client.batch_execute(statements).await.map_err(Error::database(step))
    }

    async fn names(&self, step: &str, question: &str) -> Result<BTreeSet<String>> {
        let rows = self.client.query(question, &[]).await.map_err(Error::database(step))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

/// Whether a setting in the server's files takes effect only when it starts.
///
/// The server is asked what it would make of the files as they are now (`pg_file_settings`), not what it made of them:
/// it reads them again some time after it is told to.
pub(super) async fn waits_for_restart(home: &Path) -> Result<bool> {
    let session = Session::open(home, ADMINISTRATION).await?;
    let step = "asking which settings wait for a restart";
    let question = "SELECT name FROM pg_file_settings WHERE error = 'setting could not be applied'";
    Ok(!session.names(step, question).await?.is_empty())
}

/// Brings users, databases and privileges to what is wanted.
pub(super) async fn bring_about(home: &Path, before: Option<&InstanceSpec>, spec: &InstanceSpec) -> Result<()> {
    let inside = |spec: &InstanceSpec| (spec.users.clone(), spec.databases.clone(), spec.privileges.clone());
    if before.is_some_and(|before| inside(before) == inside(spec)) {
        return Ok(());
    }
    let session = Session::open(home, ADMINISTRATION).await?;
    users(&session, spec).await?;
    databases(&session, spec).await?;
    for database in &spec.databases {
        privileges(home, spec, database).await?;
    }
    no_other_users(home, &session, spec).await
}

async fn roles(session: &Session) -> Result<BTreeSet<String>> {
    let question = format!("SELECT rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' AND rolname <> '{SUPERUSER}'");
    session.names("listing the users", &question).await
}

async fn users(session: &Session, spec: &InstanceSpec) -> Result<()> {
    let there = roles(session).await?;
    for user in &spec.users {
        let (verb, name) = (if there.contains(&user.name) { "ALTER" } else { "CREATE" }, name(&user.name));
        let may = if user.admin { "CREATEROLE CREATEDB" } else { "NOCREATEROLE NOCREATEDB" };
        let password = text(&user.verifier);
        let statement = format!("{verb} ROLE {name} LOGIN {may} PASSWORD {password}");
        session.run(&format!("making user {}", user.name), &statement).await?;
    }
    Ok(())
}

async fn databases(session: &Session, spec: &InstanceSpec) -> Result<()> {
    let there = session.names("listing the databases", "SELECT datname FROM pg_database").await?;
    for database in spec.databases.iter().filter(|database| !there.contains(*database)) {
        let step = format!("making database {database}");
        let name = name(database);
        session.run(&step, &format!("CREATE DATABASE {name} OWNER {SUPERUSER}")).await?;
        session.run(&step, &format!("REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC")).await?;
    }
    for gone in there.iter().filter(|name| !spec.databases.contains(name) && !OWN_DATABASES.contains(&name.as_str())) {
        let step = format!("removing database {gone}");
        session.run(&step, &format!("DROP DATABASE {} WITH (FORCE)", name(gone))).await?;
    }
    Ok(())
}

/// What users may do in one database. Tables that one of them makes later are for the others, too.
async fn privileges(home: &Path, spec: &InstanceSpec, database: &str) -> Result<()> {
    let session = Session::open(home, database).await?;
    let mut wanted: BTreeMap<&str, Permission> =
        spec.users.iter().filter(|user| user.admin).map(|user| (user.name.as_str(), Permission::All)).collect();
    for privilege in spec.privileges.iter().filter(|privilege| privilege.database == database) {
        if spec.users.iter().any(|user| user.name == privilege.user) {
            wanted.insert(&privilege.user, privilege.permission);
        }
    }
    let makers: Vec<String> = wanted
        .iter()
        .filter(|(_, permission)| matches!(permission, Permission::All | Permission::Custom))
        .map(|(user, _)| name(user))
        .chain([SUPERUSER.to_owned()])
        .collect();
    for (user, permission) in &wanted {
        let (who, database) = (name(user), name(database));
        let tables = match permission {
            Permission::Custom => continue,
            Permission::None => None,
            Permission::ReadOnly => Some("SELECT"),
            Permission::ReadWrite => Some("SELECT, INSERT, UPDATE, DELETE"),
            Permission::All => Some("ALL"),
        };
        let mut statements = vec![
            format!("REVOKE ALL ON DATABASE {database} FROM {who}"),
            format!("REVOKE ALL ON SCHEMA public FROM {who}"),
            format!("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {who}"),
            format!("REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {who}"),
        ];
        for maker in &makers {
            let from = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {maker} IN SCHEMA public");
            statements.push(format!("{from} REVOKE ALL ON TABLES FROM {who}"));
            statements.push(format!("{from} REVOKE ALL ON SEQUENCES FROM {who}"));
        }
        if let Some(tables) = tables {
            let all = *permission == Permission::All;
            let (on_database, on_schema) = if all { ("ALL", "ALL") } else { ("CONNECT, TEMPORARY", "USAGE") };
            let sequences = if *permission == Permission::ReadOnly { "SELECT" } else { "USAGE, SELECT, UPDATE" };
            statements.extend([
                format!("GRANT {on_database} ON DATABASE {database} TO {who}"),
                format!("GRANT {on_schema} ON SCHEMA public TO {who}"),
                format!("GRANT {tables} ON ALL TABLES IN SCHEMA public TO {who}"),
                format!("GRANT {sequences} ON ALL SEQUENCES IN SCHEMA public TO {who}"),
            ]);
            for maker in &makers {
                let from = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {maker} IN SCHEMA public");
                statements.push(format!("{from} GRANT {tables} ON TABLES TO {who}"));
                statements.push(format!("{from} GRANT {sequences} ON SEQUENCES TO {who}"));
            }
        }
        let together = format!("BEGIN; {}; COMMIT", statements.join("; "));
        session.run(&format!("setting what {user} may do"), &together).await?;
    }
    Ok(())
}

/// Users that are not wanted any more go; what they made stays, as the instance's own.
async fn no_other_users(home: &Path, session: &Session, spec: &InstanceSpec) -> Result<()> {
    let gone = roles(session).await?.into_iter().filter(|role| !spec.users.iter().any(|user| user.name == *role));
    for role in gone {
        let (step, who) = (format!("removing user {role}"), name(&role));
        for database in spec.databases.iter().map(String::as_str).chain([ADMINISTRATION]) {
            let inside = Session::open(home, database).await?;
            inside.run(&step, &format!("REASSIGN OWNED BY {who} TO {SUPERUSER}; DROP OWNED BY {who}")).await?;
        }
        session.run(&step, &format!("DROP ROLE {who}")).await?;
    }
    Ok(())
}

/// A name, as SQL takes it.
fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text, as SQL takes it.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

//! Users, databases and privileges: wanted against actual, made equal.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    Database, Error, Instance, LocalRole, Permission, Privilege, Result, User,
    engine::Account,
    files,
    sql::{MAIN, PLANE, Session, check_name, name, text},
};

/// What was made here, so that what others made with SQL is left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    users: BTreeSet<String>,
    pub(super) databases: BTreeSet<String>,
    privileges: Vec<Privilege>,
    /// Whose tables the privileges reach.
    reach: BTreeSet<String>,
}

impl Made {
    pub(super) fn read(home: &Path) -> Self {
        let read = std::fs::read(home.join("made.json")).ok();
        read.and_then(|read| serde_json::from_slice(&read).ok()).unwrap_or_default()
    }

    fn write(&self, home: &Path, account: &Account) -> Result<()> {
        let text = serde_json::to_string(self).map_err(|error| Error::Wrong(error.to_string()))?;
        files::write(&home.join("made.json"), &text, account).map(drop)
    }

    /// Grants everything anew at the next turn: a database's content was replaced.
    pub(super) fn forget_privileges(home: &Path, account: &Account, database: &str) -> Result<()> {
        let mut made = Self::read(home);
        made.privileges.retain(|privilege| privilege.database != database);
        made.write(home, account)
    }
}

/// Problems by what they are about.
type Problems = BTreeMap<String, String>;

struct Work<'a> {
    sockets: &'a Path,
    session: Session,
    made: Made,
    problems: Problems,
}

/// Makes it so. What one user or database makes impossible does not hold up the others.
pub(super) async fn apply(
    wanted: &Instance,
    before: Option<&Instance>,
    home: &Path,
    sockets: &Path,
    account: &Account,
) -> Result<Problems> {
    let session = Session::open(sockets, MAIN, "postgres").await?;
    let mut work = Work { sockets, session, made: Made::read(home), problems: Problems::new() };
    let roles: BTreeSet<String> =
        work.session.column("listing users", "SELECT rolname FROM pg_roles").await?.into_iter().collect();
    for user in &wanted.users {
        if before.is_some_and(|before| before.users.contains(user)) && roles.contains(&user.name) {
            continue;
        }
        let done = work.user(user, roles.contains(&user.name)).await;
        work.note(format!("user {}", user.name), done);
    }
    for role in &wanted.local_roles {
        let done = work.local_role(role, roles.contains(&role.name)).await;
        work.note(format!("role {}", role.name), done);
    }
    let listed = "SELECT datname, pg_get_userbyid(datdba) FROM pg_database";
    let databases: BTreeMap<String, String> = work
        .session
        .rows("listing databases", listed)
        .await?
        .into_iter()
        .filter_map(|row| <[_; 2]>::try_from(row).ok())
        .filter_map(|[name, owner]| Some((name?, owner?)))
        .collect();
    for database in &wanted.databases {
        let done = work.database(database, databases.get(&database.name)).await;
        work.note(format!("database {}", database.name), done);
    }
    work.made.write(home, account)?;
    let done = work.let_in(wanted).await;
    work.note("logins".to_owned(), done);
    work.privileges(wanted).await;
    work.remove(wanted).await;
    work.made.write(home, account)?;
    Ok(work.problems)
}

impl Work<'_> {
    fn note(&mut self, about: String, done: Result<()>) {
        if let Err(error) = done {
            self.problems.insert(about, error.to_string());
        }
    }

    async fn user(&mut self, user: &User, there: bool) -> Result<()> {
        check_name("user", &user.name)?;
        let verifier = verifier(&user.password.0);
        let rights = if user.admin { "CREATEROLE CREATEDB" } else { "NOCREATEROLE NOCREATEDB" };
        let verb = if there { "ALTER" } else { "CREATE" };
        let role = name(&user.name);
        let statement = format!("{verb} ROLE {role} LOGIN NOSUPERUSER {rights} PASSWORD {}", text(&verifier));
        self.session.run(&format!("making user {:?}", user.name), &statement).await?;
        self.made.users.insert(user.name.clone());
        Ok(())
    }

    async fn local_role(&mut self, role: &LocalRole, there: bool) -> Result<()> {
        check_name("role", &role.name)?;
        let (quoted, step) = (name(&role.name), format!("making role {:?}", role.name));
        if !there {
            let made = format!("CREATE ROLE {quoted} LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB");
            self.session.run(&step, &made).await?;
        }
        let granted: Vec<String> = role.member_of.iter().map(|of| format!("GRANT {} TO {quoted}", name(of))).collect();
        self.session.run(&step, &granted.join(";\n")).await
    }

    /// Lets the local roles into the databases. One that owns a database could make temporary tables there.
    async fn let_in(&self, wanted: &Instance) -> Result<()> {
        let pairs =
            wanted.databases.iter().flat_map(|database| wanted.local_roles.iter().map(move |role| (database, role)));
        let statements = pairs.map(|(database, role)| {
            let (database, role) = (name(&database.name), name(&role.name));
            format!(
                "GRANT CONNECT ON DATABASE {database} TO {role};\nREVOKE TEMPORARY ON DATABASE {database} FROM {role}"
            )
        });
        let statements: Vec<String> = statements.collect();
        if statements.is_empty() {
            return Ok(());
        }
        self.session.run("letting roles into databases", &statements.join(";\n")).await
    }

    async fn database(&mut self, database: &Database, owner: Option<&String>) -> Result<()> {
        check_name("database", &database.name)?;
        let (quoted, step) = (name(&database.name), format!("making database {:?}", database.name));
        let wanted = database.owner.as_deref().unwrap_or(PLANE);
        match owner {
            None => {
                self.session.run(&step, &format!("CREATE DATABASE {quoted} OWNER {}", name(wanted))).await?;
                self.made.databases.insert(database.name.clone());
                let closed = format!("REVOKE CONNECT, TEMPORARY ON DATABASE {quoted} FROM PUBLIC");
                self.session.run(&step, &closed).await?;
            }
            Some(owner) if owner != wanted && database.owner.is_some() => {
                self.session.run(&step, &format!("ALTER DATABASE {quoted} OWNER TO {}", name(wanted))).await?;
            }
            Some(_) => {}
        }
        self.made.databases.insert(database.name.clone());
        Ok(())
    }

    /// Grants what changed, and everything when somebody came whose tables are to be reached.
    async fn privileges(&mut self, wanted: &Instance) {
        let reach: BTreeSet<String> = wanted.users.iter().map(|user| user.name.clone()).collect();
        let came = !reach.is_subset(&self.made.reach);
        let gone: Vec<Privilege> = self.made.privileges.iter().filter(|had| still(wanted, had)).cloned().collect();
        for mut privilege in gone {
            self.made.privileges.retain(|had| *had != privilege);
            privilege.permission = Permission::None;
            let done = self.grant(&privilege, &reach).await;
            self.note(format!("privilege {} on {}", privilege.user, privilege.database), done);
        }
        for privilege in &wanted.privileges {
            if privilege.permission == Permission::Custom || (!came && self.made.privileges.contains(privilege)) {
                continue;
            }
            let done = self.grant(privilege, &reach).await;
            self.made.privileges.retain(|had| (&had.database, &had.user) != (&privilege.database, &privilege.user));
            if done.is_ok() {
                self.made.privileges.push(privilege.clone());
            }
            self.note(format!("privilege {} on {}", privilege.user, privilege.database), done);
        }
        self.made.reach = reach;
    }

    async fn grant(&self, privilege: &Privilege, reach: &BTreeSet<String>) -> Result<()> {
        let Privilege { database, user, permission } = privilege;
        let step = format!("setting what {user:?} may do in {database:?}");
        let inside = Session::open(self.sockets, MAIN, database).await?;
        let schemas = "SELECT nspname FROM pg_namespace \
                       WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'";
        let schemas = inside.column(&step, schemas).await?;
        let there: BTreeSet<String> = inside.column(&step, "SELECT rolname FROM pg_roles").await?.into_iter().collect();
        let makers: Vec<String> = reach.intersection(&there).map(|maker| name(maker)).collect();
        inside.run(&step, &statements(database, user, *permission, &schemas, &makers)).await
    }

    /// Removes what was made here and is no longer wanted.
    async fn remove(&mut self, wanted: &Instance) {
        let databases: Vec<String> = self.made.databases.iter().cloned().collect();
        for database in databases.iter().filter(|name| !wanted.databases.iter().any(|wanted| wanted.name == **name)) {
            let dropped = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", name(database));
            let done = self.session.run(&format!("removing database {database:?}"), &dropped).await;
            if done.is_ok() {
                self.made.databases.remove(database);
            }
            self.note(format!("database {database}"), done);
        }
        let users: Vec<String> = self.made.users.iter().cloned().collect();
        for user in users.iter().filter(|name| !wanted.users.iter().any(|wanted| wanted.name == **name)) {
            let done = self.remove_user(user).await;
            if done.is_ok() {
                self.made.users.remove(user);
            }
            self.note(format!("user {user}"), done);
        }
    }

    /// What the user owned goes to its database's owner, or to nobody.
    async fn remove_user(&self, user: &str) -> Result<()> {
        let (role, step) = (name(user), format!("removing user {user:?}"));
        if self
            .session
            .column(&step, &format!("SELECT 1 FROM pg_roles WHERE rolname = {}", text(user)))
            .await?
            .is_empty()
        {
            return Ok(());
        }
        self.session.run(&step, &format!("ALTER ROLE {role} NOLOGIN")).await?;
        let ended =
            format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = {}", text(user));
        self.session.run(&step, &ended).await?;
        let query = format!(
            "SELECT datname, CASE WHEN pg_get_userbyid(datdba) = {0} THEN {1} ELSE pg_get_userbyid(datdba) END \
             FROM pg_database WHERE datallowconn AND NOT datistemplate",
            text(user),
            text(PLANE)
        );
        for row in self.session.rows(&step, &query).await? {
            let [Some(database), Some(heir)] = row.as_slice() else { continue };
            let inside = Session::open(self.sockets, MAIN, database).await?;
            inside.run(&step, &format!("REASSIGN OWNED BY {role} TO {}; DROP OWNED BY {role}", name(heir))).await?;
        }
        self.session.run(&step, &format!("DROP ROLE {role}")).await
    }
}

/// Whether something granted is to be taken back: its user and database are still wanted, it is not.
fn still(wanted: &Instance, had: &Privilege) -> bool {
    wanted.users.iter().any(|user| user.name == had.user)
        && wanted.databases.iter().any(|database| database.name == had.database)
        && !wanted
            .privileges
            .iter()
            .any(|privilege| (&privilege.database, &privilege.user) == (&had.database, &had.user))
}

/// Takes everything back, then grants. `makers` are quoted already.
fn statements(database: &str, user: &str, permission: Permission, schemas: &[String], makers: &[String]) -> String {
    let (database, user) = (name(database), name(user));
    let (on_database, on_schema, on_tables, on_sequences) = match permission {
        Permission::Readonly => ("CONNECT", "USAGE", "SELECT", "SELECT"),
        Permission::Readwrite => {
            ("CONNECT, TEMPORARY", "USAGE", "SELECT, INSERT, UPDATE, DELETE", "SELECT, USAGE, UPDATE")
        }
        Permission::All => ("ALL", "ALL", "ALL", "ALL"),
        Permission::None | Permission::Custom => ("", "", "", ""),
    };
    let mut all = vec![format!("REVOKE ALL ON DATABASE {database} FROM {user}")];
    let mut grant = |rights: &str, prefix: &str, on: &str| {
        if !rights.is_empty() {
            all.push(format!("{prefix}GRANT {rights} ON {on} TO {user}"));
        }
    };
    grant(on_database, "", &format!("DATABASE {database}"));
    for schema in schemas {
        let schema = name(schema);
        let objects = [
            (on_schema, format!("SCHEMA {schema}")),
            (on_tables, format!("ALL TABLES IN SCHEMA {schema}")),
            (on_sequences, format!("ALL SEQUENCES IN SCHEMA {schema}")),
        ];
        for (rights, on) in objects {
            all.push(format!("REVOKE ALL ON {on} FROM {user}"));
            if !rights.is_empty() {
                all.push(format!("GRANT {rights} ON {on} TO {user}"));
            }
        }
        for maker in makers.iter().filter(|maker| **maker != user) {
            let prefix = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {maker} IN SCHEMA {schema} ");
            for (rights, on) in [(on_tables, "TABLES"), (on_sequences, "SEQUENCES")] {
                all.push(format!("{prefix}REVOKE ALL ON {on} FROM {user}"));
                if !rights.is_empty() {
                    all.push(format!("{prefix}GRANT {rights} ON {on} TO {user}"));
                }
            }
        }
    }
    all.join(";\n")
}

/// What the server verifies a password by: the password's own verifier, or what was given where that is one already.
fn verifier(password: &str) -> String {
    if password.starts_with("SCRAM-SHA-256$") {
        return password.to_owned();
    }
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}

//! Tables, functions and rights: made by the owner, again and again without harm.

use tokio_postgres::Client;

use super::{Database, Error, Result, session::Session};

mod migrations {
    refinery::embed_migrations!("migrations");
}

/// Where it is noted what was done.
const TABLE: &str = "stackproof.migration";
/// Who prepares takes this advisory lock of the database: rights of one table that two change at once are an error
/// there ("tuple concurrently updated"), not a wait.
const TURN: &str =
    "begin; set local lock_timeout = '1min'; select pg_advisory_xact_lock(hashtext('stackproof.prepare'))";

impl Database {
    /// Makes tables and functions, or brings them up to date, and lets these users deploy: they may call the functions
    /// and read, and nothing else. The users have to be there.
    pub async fn prepare(&self, deployers: &[&str]) -> Result<()> {
        // Held by a transaction of its own, which a pooler leaves on one connection.
        let turn = Session::open(self).await?;
        turn.client.batch_execute(TURN).await.map_err(|error| self.failed("waiting for our turn", &error))?;
        let mut session = Session::open(self).await?;
        self.migrate(&mut session.client).await?;
        for deployer in deployers {
            self.admit(&session.client, deployer).await?;
        }
        turn.client.batch_execute("commit").await.map_err(|error| self.failed("ending our turn", &error))
    }

    async fn migrate(&self, client: &mut Client) -> Result<()> {
        let schema = "create schema if not exists stackproof";
        client.batch_execute(schema).await.map_err(|error| self.failed("making the schema", &error))?;
        let mut runner = migrations::migrations::runner();
        runner.set_migration_table_name(TABLE);
        runner.run_async(client).await.map_err(|error| {
            // The server's own words lie one below.
            let said = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
            match said {
                Some(said) => self.failed("preparing", said),
                None => Error::Server {
                    at: self.at.clone(),
                    step: "preparing".to_owned(),
                    why: error.to_string(),
                    again: false,
                },
            }
        })?;
        // Functions are everybody's, unless that is taken back.
        let closed = "revoke all on schema stackproof from public; \
            revoke all on all tables in schema stackproof from public; \
            revoke all on all functions in schema stackproof from public";
        client.batch_execute(closed).await.map_err(|error| self.failed("closing the schema", &error))
    }

    async fn admit(&self, client: &Client, deployer: &str) -> Result<()> {
        let role = quoted(deployer);
        // What a managed database may have granted on all tables is taken back.
        let mut rights = format!(
            "begin; \
             revoke all on all tables in schema stackproof from {role}; \
             revoke all on all functions in schema stackproof from {role}; \
             revoke all on schema stackproof from {role}; \
             grant usage on schema stackproof to {role}; \
             grant select on all tables in schema stackproof to {role}; "
        );
        // Those that run with the owner's rights, on the database's clock.
        let listed = "select p.oid::regprocedure::text from pg_catalog.pg_proc p \
            where p.pronamespace = 'stackproof'::regnamespace and p.prosecdef";
        let functions = client.query_typed(listed, &[]).await;
        for row in functions.map_err(|error| self.failed("listing the functions", &error))? {
            let function: String = row.try_get(0).map_err(|error| self.failed("listing the functions", &error))?;
            rights.push_str(&format!("grant execute on function {function} to {role}; "));
        }
        rights.push_str("commit");
        let step = format!("making {deployer:?} a deployer");
        if let Err(error) = client.batch_execute(&rights).await {
            // So that the connection is good for what comes next.
            client.batch_execute("rollback").await.map_err(|error| self.failed(&step, &error))?;
            return Err(self.failed(&step, &error));
        }
        Ok(())
    }

    fn failed(&self, step: &str, error: &tokio_postgres::Error) -> Error {
        Error::of(&self.at, step, error)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

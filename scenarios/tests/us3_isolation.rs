//! US3 Security and compliance: what must not be reachable is not.

use stackproof::{
    Failure,
    acceptance::{Capability, Probe, accept, contains, empty, is, matches},
    target::{Attempt, Login},
};
use stackproof_scenarios::Deployment;

/// What a login says: the rows' first column, or why not.
async fn says(login: &Login, query: &str) -> Result<String, Failure> {
    Ok(match login.query(query).await {
        Ok(rows) => rows.into_iter().filter_map(|row| row.into_iter().next()).collect::<Vec<_>>().join(", "),
        Err(failure) => format!("refused: {failure}"),
    })
}

/// US3.3, FR-007, FR-011 The database is reached from its private network only, by TLS only, and by nobody else: shown
/// by attempts, not by configuration.
#[tokio::test]
async fn us3_3_the_database_is_reached_from_its_private_network_only() {
    accept("US3.3", async |s| {
        s.needs(Capability::Machines)?;
        let stack = s.given("a configured stack", Deployment::that_runs(s)).await?;
        s.given("it is deployed", stack.up(s)).await?;
        let application = stack.application().await?;
        s.given("the application has kept a note", application.note("between us")).await?;

        let public = Probe::new("GET …/instances/…", async || {
            let endpoints = application.endpoints().await?;
            Ok(endpoints.into_iter().filter(|at| at["load_balancer"].is_object()).collect::<Vec<_>>())
        });
        s.then("the database has no public endpoint", public, empty()).await?;
        let inside = s.when("a client is in its private network", application.login_from_inside(s)).await?;
        let rows = Probe::new("psql sslmode=verify-full", async || says(&inside, "SELECT text FROM notes").await);
        s.then("it reads what the application has written, the certificate verified", rows, is("between us")).await?;
        let tls = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let version = Probe::new(tls, async || says(&inside, tls).await);
        s.then("the connection is by TLS", version, contains("TLSv1.3")).await?;
        let reached = Probe::new("connect", async || application.attempt_from_inside().await);
        s.then("a packet from inside arrives", reached, is(Attempt::Connected)).await?;

        let refused = |attempt: &Attempt| matches!(attempt, Attempt::Refused(_));
        let foreign = Probe::new("connect", async || application.attempt_from_elsewhere().await);
        s.then("one from a container of nobody's network does not", foreign, matches("refused", refused)).await?;
        let outside = s.when("a client is on the host, outside of all networks", application.login(s)).await?;
        let login = Probe::new("psql", async || says(&outside, "SELECT 1").await).once();
        s.then("it cannot log in", login, contains("refused")).await?;
        stack.is_taken_away(s).await
    })
    .await;
}

//! US1 Deploy managed infrastructure: the application that a deployed stack runs.

use serde_json::json;
use stackproof::{
    Failure,
    acceptance::{Capability, Probe, accept, contains, empty, includes, is, matches},
    target::Login,
};
use stackproof_scenarios::Deployment;

/// US1.2 After `up` every service says that it is well, and so does the application that depends on them.
#[tokio::test]
async fn us1_2_all_services_are_healthy() {
    accept("US1.2", async |s| {
        let stack = s.given("a configured stack", Deployment::that_runs(s)).await?;
        s.given("it is deployed", stack.up(s)).await?;
        let unwell = Probe::new("GET …/instances, …/containers, …", async || {
            let told = stack.health().await?;
            Ok(told.into_iter().filter(|state| !state.ends_with(": ready")).collect::<Vec<_>>())
        });
        s.then("no service tells another state than ready", unwell, empty()).await?;
        let application = stack.application().await?;
        let health = Probe::new("GET /health", async || Ok(application.get("/health").await?.json()));
        s.then(
            "the application and its database are well",
            health,
            is(json!({"status": "ok", "database": "available"})),
        )
        .await?;
        stack.is_taken_away(s).await
    })
    .await;
}

/// US1.3 The application answers at its public address over TLS, keeps what it is told in its managed database, and
/// serves its assets from the bucket.
#[tokio::test]
async fn us1_3_the_application_answers_and_uses_its_database() {
    accept("US1.3", async |s| {
        let stack = s.given("a configured stack", Deployment::that_runs(s)).await?;
        s.given("it is deployed", stack.up(s)).await?;
        let application = stack.application().await?;
        let front = Probe::new(application.url()?, async || Ok(application.get("/").await?.status));
        s.then("it answers at its public address", front, is(200)).await?;
        let tls = s.when("looking at how it does TLS", application.tls()).await?;
        s.attach("tls.txt", format!("{tls:#?}"))?;
        s.then("it speaks TLS 1.3", Probe::fact("a handshake of each version", tls.versions), includes(["TLSv1.3"]))
            .await?;

        let kept = s.when("having it keep a note", application.note("proof")).await?;
        s.then("it says that it has", Probe::fact("POST /notes", kept.status), is(201)).await?;
        let notes = Probe::new("GET /notes", async || application.notes().await);
        s.then("the note is there", notes, includes(["proof"])).await?;
        let connection = Probe::new("GET /database", async || Ok(application.connection().await?.to_string()));
        s.then("its connection to the database is by TLS", connection, contains("TLSv1.3")).await?;
        let asset = s.when("putting a file into the bucket and asking for it", application.asset("a.txt", "an asset"));
        let asset = asset.await?;
        s.then("the file is served", Probe::fact("GET /assets/a.txt", asset.text), is("an asset")).await?;
        stack.is_taken_away(s).await
    })
    .await;
}

/// US1.3 What becomes of the application when its database dies: it says so, loses nothing, and goes on.
#[tokio::test]
async fn us1_3_failure_a_dead_database_is_noticed_and_nothing_is_lost() {
    accept("US1.3-failure", async |s| {
        s.needs(Capability::Machines)?;
        let stack = s.given("a configured stack", Deployment::that_runs(s)).await?;
        s.given("it is deployed", stack.up(s)).await?;
        let application = stack.application().await?;
        for number in 0..5 {
            s.given("a note is kept", application.note(&format!("note {number}"))).await?;
        }
        s.when("killing the database's server", application.kill_database()).await?;
        let healthy = matches("200 with all notes", |seen: &(u16, usize)| *seen == (200, 5));
        let back = Probe::new("GET /, GET /notes", async || {
            Ok((application.get("/").await?.status, application.notes().await.map_or(0, |notes| notes.len())))
        });
        s.then("the application is there again with every acknowledged note", back, healthy).await?;
        let ready = Probe::new("GET …/instances/…", async || {
            Ok(application.instance().await?["status"].as_str().unwrap_or_default().to_owned())
        });
        s.then("Scaleway's API says that the database is ready again", ready, is("ready")).await?;
        stack.is_taken_away(s).await
    })
    .await;
}

/// What a login says: the rows' first column, or why not.
async fn says(login: &Login, query: &str) -> Result<String, Failure> {
    Ok(match login.query(query).await {
        Ok(rows) => rows.into_iter().filter_map(|row| row.into_iter().next()).collect::<Vec<_>>().join(", "),
        Err(failure) => format!("refused: {}", failure.meaning),
    })
}

/// US1.2, FR-002 The serverless database keeps what the application writes, with IAM's credentials and its certificate
/// verified, and lets nobody else in.
#[tokio::test]
async fn us1_2_the_serverless_database_is_written_by_whom_iam_says() {
    accept("US1.2-serverless", async |s| {
        let stack = s.given("a configured stack", Deployment::that_runs(s)).await?;
        s.given("it is deployed", stack.up(s)).await?;
        let application = stack.application().await?;
        let login = application.serverless_login(s, None)?;
        let written = login.query("CREATE TABLE notes (text text); INSERT INTO notes VALUES ('proof')");
        s.when("the application writes with its API key, the certificate verified", written).await?;
        let rows = Probe::new("SELECT text FROM notes", async || says(&login, "SELECT text FROM notes").await);
        s.then("another connection reads it", rows, is("proof")).await?;
        let started = Probe::new("GET …/databases/…", async || {
            Ok(application.serverless_database().await?["started"].as_bool().unwrap_or_default())
        });
        s.then("Scaleway's API says that the database runs", started, is(true)).await?;

        let stranger = s.given("an application that no policy is about", application.stranger(s)).await?;
        let foreign = application.serverless_login(s, Some(&stranger))?;
        let refused =
            Probe::new("SELECT text FROM notes", async || says(&foreign, "SELECT text FROM notes").await).once();
        s.then("it may not log in", refused, contains("does not have permission to access database")).await?;
        s.when("the stranger goes", application.dismiss(&stranger)).await?;
        let gone = Probe::new("SELECT text FROM notes", async || says(&foreign, "SELECT text FROM notes").await).once();
        s.then("its key is worth nothing any more", gone, contains("password authentication failed")).await?;
        stack.is_taken_away(s).await
    })
    .await;
}

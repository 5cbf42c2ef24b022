//! EC4 Credentials of services and of IAM are rotated, while the application serves.

use std::time::Duration;

use serde_json::Value;
use stackproof::{
    Failure,
    acceptance::{Probe, Scenario, accept, contains, empty, includes, is, matches},
};
use stackproof_scenarios::{Credentials, Load, STACK, Said, Tally, Team};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

/// Requests a second, all the while.
const RATE: u32 = 50;
/// The asset that is fetched.
const ASSET: &str = "asset.txt";
/// What a rotation says once it has taken a step. It is killed at the first of each that it has not been killed at yet.
const STEPS: [&str; 5] = [": begun", ": created", ": deployed", ": verified", ": disabled"];
const WHATS: [&str; 4] = ["database", "api-keys", "deployer", "passphrase"];

/// EC4 Every credential is replaced by a new one; nobody who uses the application notices; the old ones are refused.
#[tokio::test]
async fn ec4_credentials_are_rotated_while_the_application_serves() {
    accept("EC4", async |s| {
        let team = deployed(s, None).await?;
        let before = Credentials::of(&team, s).await?;
        let tried = before.tried(&team, s).await?;
        s.then("every credential is let in", Probe::fact("each tried", others(&tried, "let in")), empty()).await?;
        let load = s.given("50 requests a second are made of the application", under_load(&team, &before)).await?;
        let rotate = ["rotate", "--what", "all"];
        let rotated = s.when("every credential is rotated", team.on_the_stack("ada", &rotate)).await?;
        s.attach("rotate.txt", format!("{}{}", rotated.stderr, rotated.stdout))?;
        let tally = load.end().await?;
        s.attach("load.txt", format!("{tally:#?}"))?;
        s.then("the rotation succeeds", Probe::fact("stackproof rotate --what all", rotated.code), is(Some(0))).await?;
        served(s, &tally).await?;
        replaced(s, &team, &before).await?;
        let rows = rows(&team).await?;
        s.attach("audit.json", format!("{rows:#}"))?;
        let complete = WHATS.map(|what| format!("{what} v1 to v2: deleted"));
        s.then("the audit trail says so", Probe::fact("stackproof audit list", notes(&rows)), includes(complete))
            .await?;
        is_whole(s, &team).await
    })
    .await;
}

/// EC4 A rotation that is killed after any step goes on at the next call, and ends complete; all the while the
/// application serves.
#[tokio::test]
#[ignore = "twenty kills: accept --full"]
async fn ec4_a_killed_rotation_goes_on_where_it_was() {
    accept("EC4-killed", async |s| {
        let team = deployed(s, Some(Duration::from_secs(5))).await?;
        let before = Credentials::of(&team, s).await?;
        let load = s.given("50 requests a second are made of the application", under_load(&team, &before)).await?;
        let steps = steps();
        s.when("it is killed while it makes the next API key", kill_while_making(&team, &before)).await?;
        let mut killed = Vec::new();
        while let Some(at) = s.when("it is killed after the next step", kill_at(&team, &steps, &killed)).await? {
            killed.push(at);
        }
        s.attach("killed.txt", killed.join("\n"))?;
        let tally = load.end().await?;
        s.attach("load.txt", format!("{tally:#?}"))?;
        let every = [": created", ": deployed", ": verified", ": disabled"];
        let of_each = every.iter().all(|step| killed.iter().any(|at| at.ends_with(step)));
        s.then("it was killed after each kind of step", Probe::fact("kill -9", of_each), is(true)).await?;
        served(s, &tally).await?;
        replaced(s, &team, &before).await?;
        let rows = rows(&team).await?;
        s.attach("audit.json", format!("{rows:#}"))?;
        let complete = WHATS.map(|what| format!("{what} v1 to v2: deleted"));
        s.then("it is complete", Probe::fact("stackproof audit list", notes(&rows)), includes(complete)).await?;
        is_whole(s, &team).await
    })
    .await;
}

/// EC4 A new credential that is not seen to work is taken back, and the former one is in use again.
#[tokio::test]
async fn ec4_what_does_not_work_is_taken_back() {
    accept("EC4-taken-back", async |s| {
        let team = deployed(s, None).await?;
        s.given("its health cannot be asked any more", asked_at(&team, "/nowhere")).await?;
        let before = Credentials::of(&team, s).await?;
        let rotate = ["rotate", "--what", "api-keys"];
        let rotated = s.when("the API key is rotated", team.on_the_stack("ada", &rotate)).await?;
        s.attach("rotate.txt", format!("{}{}", rotated.stderr, rotated.stdout))?;
        s.then("that fails", Probe::fact("stackproof rotate", rotated.code), is(Some(1))).await?;
        let said = Probe::fact("stackproof rotate", rotated.stderr);
        s.then("and says what became of it", said, contains("the former credentials are in use again")).await?;
        let after = Credentials::of(&team, s).await?;
        let same = Probe::fact("old and new", after.shown()?);
        s.then("the credentials are those of before", same, is(before.shown()?)).await?;
        let tried = before.tried(&team, s).await?;
        s.then("each is let in", Probe::fact("each tried", others(&tried, "let in")), empty()).await?;
        let preview = team.on_the_stack("ada", &["preview", "--refresh", "--expect-no-changes"]).await?;
        s.then("a preview is clean", Probe::fact("stackproof preview --refresh", preview.code), is(Some(0))).await?;

        s.when("its health can be asked again", asked_at(&team, "/health")).await?;
        let again = s.when("the API key is rotated again", team.on_the_stack("ada", &rotate)).await?;
        s.then("that succeeds", Probe::fact("stackproof rotate", again.code), is(Some(0))).await?;
        let notes = notes(&rows(&team).await?);
        let expected = ["api-keys v1 to v2: rolled back", "api-keys v1 to v2: deleted"];
        s.then("the audit trail has both", Probe::fact("stackproof audit list", notes), includes(expected)).await?;

        let end = (OffsetDateTime::now_utc() + Duration::from_secs(10 * 24 * 3600)).format(&Rfc3339);
        let end = end.map_err(|error| Failure::failed("no time can be written").because(error))?;
        s.given("keys that end in ten days", set(&team, "identity.keyExpiresAt", &end)).await?;
        for command in ["doctor", "check"] {
            let said = team.on_the_stack("ada", &[command, "--json"]).await?.json()?;
            s.attach(&format!("{command}.json"), format!("{:#}", said["keys"]))?;
            let warned = said["keys"][0]["days"].as_i64();
            s.then(&format!("{command} warns of it"), Probe::fact(command, warned), is(Some(9))).await?;
        }
        Ok(())
    })
    .await;
}

/// Has the application's health asked elsewhere.
async fn asked_at(team: &Team, path: &str) -> Result<(), Failure> {
    set(team, "container.healthPath", path).await
}

/// Changes the configuration, and deploys that.
async fn set(team: &Team, key: &str, value: &str) -> Result<(), Failure> {
    let set = ["--", "config", "set", "--path", key, value];
    let words = [&["pulumi", "--stack", STACK, "--target", "scaleway"], &set[..]].concat();
    team.run("ada", &words).await?.success()?;
    run(team, &["up"]).await.map(drop)
}

/// A team whose whole stack runs, with an asset in its bucket.
async fn deployed(s: &Scenario, lease: Option<Duration>) -> Result<Team, Failure> {
    let team = s.given("a team", Team::begins_with_the_whole_stack(s)).await?;
    let team = match lease {
        Some(lease) => team.with_leases_of(lease),
        None => team,
    };
    s.given("its state has a home", run(&team, &["state", "init"])).await?;
    s.given("its stack is configured", team.prepares_the_whole_stack()).await?;
    s.given("its stack is deployed", run(&team, &["up"])).await?;
    Ok(team)
}

async fn run(team: &Team, words: &[&str]) -> Result<Said, Failure> {
    team.on_the_stack("ada", words).await?.success()
}

async fn under_load(team: &Team, credentials: &Credentials) -> Result<Load, Failure> {
    let storage = team.target().object_storage()?.in_project(&team.names(STACK)?.project);
    storage.put(credentials.output("bucket")?, ASSET, b"an asset".to_vec()).await?;
    let (web, url) = (team.target().web()?, credentials.output("url")?);
    // The first request wakes it.
    web.get(&format!("{url}/health")).await?;
    Ok(Load::begin(web, url, ASSET, RATE))
}

/// Nobody who used the application noticed anything.
async fn served(s: &Scenario, tally: &Tally) -> Result<(), Failure> {
    let failed = Probe::fact("every answer", tally.failed.clone());
    s.then("no request failed", failed, empty()).await?;
    let (rate, kinds) = (tally.rate(), tally.answered.len());
    let enough = matches("50 a second of three kinds", |seen: &(f64, usize)| seen.0 >= 49.0 && seen.1 == 3);
    s.then("and there were as many as there should be", Probe::fact("requests", (rate, kinds)), enough).await?;
    s.budget("EC4 slowest answer while credentials are rotated", tally.slowest, 30.0, "s");
    Ok(())
}

/// The old ones are refused, the new ones are in use.
async fn replaced(s: &Scenario, team: &Team, before: &Credentials) -> Result<(), Failure> {
    let after = Credentials::of(team, s).await?;
    let (old, new) = (before.shown()?, after.shown()?);
    let same: Vec<&String> = old.iter().filter(|one| new.contains(one)).collect();
    s.then("none of the credentials is the same", Probe::fact("old and new", same), empty()).await?;
    let passphrase = after.has_the_passphrase_of(before);
    s.then("neither is the passphrase", Probe::fact("old and new", passphrase), is(false)).await?;
    let tried = before.tried(team, s).await?;
    s.then("every old one is refused", Probe::fact("each tried", others(&tried, "refused")), empty()).await?;
    let tried = after.tried(team, s).await?;
    s.then("every new one is let in", Probe::fact("each tried", others(&tried, "let in")), empty()).await?;
    let (web, url) = (team.target().web()?, after.output("url")?);
    let user = Probe::new("GET /database", async || {
        Ok(web.get(&format!("{url}/database")).await?.json()["user"].as_str().unwrap_or_default().to_owned())
    });
    s.then("the application is signed in as the new user", user, is(after.output("database_user")?)).await?;
    let key = after.output("access_key")?;
    let signed = Probe::new("GET /assets/…", async || {
        Ok(web.get(&format!("{url}/assets/{ASSET}")).await?.location.contains(key))
    });
    s.then("and signs with the new key", signed, is(true)).await
}

/// State and program say the same.
async fn is_whole(s: &Scenario, team: &Team) -> Result<(), Failure> {
    let preview = team.on_the_stack("ada", &["preview", "--refresh", "--expect-no-changes"]).await?;
    s.attach("preview.txt", format!("{}{}", preview.stdout, preview.stderr))?;
    s.then("a preview is clean", Probe::fact("stackproof preview --refresh", preview.code), is(Some(0))).await?;
    for words in [&["state", "verify"][..], &["state", "verify", "--foundation"], &["audit", "verify"]] {
        let said = team.on_the_stack("ada", words).await?;
        s.then(&format!("{} finds nothing", words.join(" ")), Probe::fact(words.join(" "), said.code), is(Some(0)))
            .await?;
    }
    Ok(())
}

/// The lines at which it is killed: each step of each credential, and while and after each state is encrypted anew.
fn steps() -> Vec<String> {
    let taken = WHATS.iter().flat_map(|what| STEPS.iter().map(move |step| format!("{what} v1 to v2{step}")));
    let states = ["stackproof-foundation", "stackproof-infra"].map(|project| format!("organization/{project}/{STACK}"));
    let encrypted = states.iter().flat_map(|state| {
        [
            format!("encrypting the state of {state} anew"),
            format!("the state of {state} is encrypted with the new passphrase"),
        ]
    });
    taken.chain(encrypted).collect()
}

/// Rotates until the application has another API key, which no state knows yet or only just does, and kills it then.
async fn kill_while_making(team: &Team, before: &Credentials) -> Result<(), Failure> {
    let words = ["rotate", "--what", "all", "--stack", STACK, "--target", "scaleway"];
    let (mut child, api) = (team.start("ada", &words)?, team.target().api()?);
    let path = format!("/iam/v1alpha1/api-keys?bearer_id={}&page_size=100", before.output("application_id")?);
    loop {
        let keys = api.get(&path).await?.body["api_keys"].as_array().map_or(0, Vec::len);
        if keys > 1 {
            return child.kill().await.map_err(|error| Failure::environment("it is not killed").because(error));
        }
        let ended = child.try_wait().map_err(|error| Failure::environment("the rotation was lost").because(error))?;
        if let Some(status) = ended {
            return Err(Failure::failed(format!("the rotation ended before it made a key: {status}")));
        }
    }
}

/// Rotates until it says one of these lines that it was not killed at yet, and kills it then. Gives the line; none: it
/// went to its end.
async fn kill_at(team: &Team, steps: &[String], killed: &[String]) -> Result<Option<String>, Failure> {
    // What an earlier one began is finished, and nothing else is begun.
    let words = ["rotate", "--what", "all", "--wait", "2m", "--stack", STACK, "--target", "scaleway"];
    let lost = |error: std::io::Error| Failure::environment("the rotation was lost").because(error);
    let mut child = team.start("ada", &words)?;
    let stderr = child.stderr.take().ok_or_else(|| Failure::environment("it says nothing"))?;
    let (mut lines, mut said) = (BufReader::new(stderr).lines(), String::new());
    while let Some(line) = lines.next_line().await.map_err(lost)? {
        if steps.contains(&line) && !killed.contains(&line) {
            child.kill().await.map_err(lost)?;
            return Ok(Some(line));
        }
        said.push_str(&line);
        said.push('\n');
    }
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut said).await.map_err(lost)?;
    }
    let status = child.wait().await.map_err(lost)?;
    if status.success() { Ok(None) } else { Err(Failure::failed("the rotation failed").because(said)) }
}

/// Those that were answered otherwise.
fn others(tried: &[String], expected: &str) -> Vec<String> {
    tried.iter().filter(|one| !one.ends_with(expected)).cloned().collect()
}

/// The rows of the audit trail, of the stack and of its foundation.
async fn rows(team: &Team) -> Result<Value, Failure> {
    Ok(run(team, &["audit", "list", "--json", "--last", "1000", "--all"]).await?.json()?["rows"].take())
}

fn notes(rows: &Value) -> Vec<String> {
    let rows = rows.as_array().into_iter().flatten();
    rows.filter_map(|row| row["note"].as_str()).map(str::to_owned).collect()
}

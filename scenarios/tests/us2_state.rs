//! US2 Sovereign state: a team's state in its own bucket, behind a lock, with a history.

use serde_json::{Value, json};
use stackproof::{
    Failure,
    acceptance::{Probe, Scenario, accept, contains, empty, includes, is, matches},
};
use stackproof_scenarios::{STACK, Said, Team};

/// How many deploy at once, where that is no long proof.
const A_HANDFUL: usize = 5;

/// US2.1, FR-003, FR-012 The state is in the team's own bucket: versioned, encrypted, and nobody's but the deployers'.
#[tokio::test]
async fn us2_1_the_state_is_in_a_bucket_of_the_teams_own() {
    accept("US2.1", async |s| {
        let team = s.given("a team without a state", Team::begins(s)).await?;
        let refused = s.when("somebody deploys", team.on_the_stack("ada", &["up"])).await?;
        s.then("they are told what to do first", Probe::fact("up", refused.stderr), contains("stackproof state init"))
            .await?;
        let init = s.when("they do that", run(&team, "ada", &["state", "init"])).await?;
        s.attach("state-init.txt", init.stderr.clone())?;
        s.when("they deploy", run(&team, "ada", &["up"])).await?;
        let home = team.home(STACK).await?;

        let keys = Probe::new("list of the bucket", async || {
            let listed = home.bucket().list(".pulumi/stacks/").await.map_err(lost)?;
            Ok(listed.into_iter().map(|object| object.key).collect::<Vec<_>>())
        });
        let expected = [format!(".pulumi/stacks/small/{STACK}.json")];
        s.then("the state is in the bucket", keys, includes(expected)).await?;
        let policy = team.policy().await?;
        s.attach("bucket-policy.json", format!("{policy:#}"))?;
        let application = team.application().await?;
        let named = Probe::fact("GET ?policy, as read back", principals(&policy));
        s.then("its policy names the deployers' application and nobody else", named, is(vec![application])).await?;
        let versioned = Probe::new("GET ?versioning", async || {
            Ok(json!(home.bucket().versioning().await.map_err(lost)?).as_str().unwrap_or_default().to_owned())
        });
        s.then("it keeps versions", versioned, is("enabled".to_owned())).await?;
        let owner =
            Probe::new("GET of the state with the owner's own key", async || team.status_of_the_state(true).await);
        s.then("even the owner's own key is refused", owner, is(403)).await?;
        let stranger = Probe::new("GET of the state without a key", async || team.status_of_the_state(false).await);
        s.then("and so is everybody without one", stranger, is(403)).await?;
        let again = s.when("the foundation is laid again", run(&team, "ada", &["state", "init"])).await?;
        s.then("nothing changes", Probe::fact("state init", again.code), is(Some(0))).await?;
        let size = run(&team, "ada", &["state", "size", "--json"]).await?.json()?;
        let bytes = size["bytes"].as_f64().unwrap_or(f64::MAX);
        s.budget("NFR-006 state, history and backups", bytes / 1e6, 1000.0, "MB");
        Ok(())
    })
    .await;
}

/// US2.2, FR-006, NFR-001, NFR-008 Everybody deploys at once: one after the other, in the order they came, none lost.
#[tokio::test]
async fn us2_2_concurrent_changes_are_serialised() {
    accept("US2.2", async |s| queue(s, A_HANDFUL).await).await;
}

/// SC-002 The same with fifty.
#[tokio::test]
#[ignore = "a long proof: accept --full"]
async fn sc_002_fifty_deploy_at_once() {
    accept("SC-002", async |s| queue(s, 50).await).await;
}

async fn queue(s: &Scenario, count: usize) -> Result<(), Failure> {
    let team = s.given("a team", Team::begins(s)).await?;
    s.given("its state has a home", run(&team, "ada", &["state", "init"])).await?;
    s.given("the stack is deployed", run(&team, "ada", &["up"])).await?;
    let hold = ["lock", "hold", "--reason", "so that all are there before the first goes"];
    let hold = s.given("maintenance goes on", run(&team, "ada", &hold)).await?;
    let token = hold.stdout.trim().rsplit('=').next().unwrap_or_default().to_owned();

    let impatient = s.when("somebody deploys who will not wait", team.on_the_stack("eve", &["up"])).await?;
    let told = (impatient.code, impatient.stderr.contains("the stack is currently locked by"));
    s.then("they are told who has the lock", Probe::fact("up", told), is((Some(3), true))).await?;

    let mut waiting = Vec::new();
    for number in 0..count {
        let who = format!("person-{number:02}");
        let round = ["up", "--wait", "20m", "--stack", STACK, "--target", "scaleway"];
        waiting.push(tokio::spawn(team.start(&who, &round)?.wait_with_output()));
        // In line, in this order.
        let line = Probe::new("lock status", async || Ok(team.line().await?.len()));
        s.then(&format!("{who} stands in line"), line, is(number + 1)).await?;
    }
    let status = run(&team, "ada", &["lock", "status"]).await?;
    s.attach("lock-status.txt", status.stdout)?;
    let release = ["lock", "release", "--token", &token];
    s.when("the maintenance ends", run(&team, "ada", &release)).await?;
    let mut failed = Vec::new();
    for one in waiting {
        let output = one.await.map_err(|error| Failure::failed("a deployment was lost").because(error))?;
        let output = output.map_err(|error| Failure::failed("a deployment was lost").because(error))?;
        if !output.status.success() {
            failed.push(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    s.then("every deployment completes", Probe::fact("exit codes", failed), empty()).await?;

    let rows = team.rows().await?;
    s.attach("audit.json", format!("{rows:#}"))?;
    s.attach("timeline.txt", timeline(&rows))?;
    let order: Vec<String> = ups(&rows)
        .filter_map(|row| row["who"].as_str())
        .filter(|who| who.starts_with("person-"))
        .map(str::to_owned)
        .collect();
    let expected: Vec<String> = (0..count).map(|number| format!("person-{number:02}")).collect();
    s.then(
        "in the order they came, each with its row in the audit trail",
        Probe::fact("audit list", order),
        is(expected),
    )
    .await?;
    let verified = run(&team, "ada", &["audit", "verify"]).await?;
    s.attach("audit-verify.txt", verified.stdout.clone())?;
    s.then("the audit trail is whole", Probe::fact("audit verify", verified.code), is(Some(0))).await?;
    let history = run(&team, "ada", &["state", "history", "--json"]).await?.json()?;
    let entries = history["versions"].as_array().into_iter().flatten();
    let with_version = entries.filter(|entry| entry["version"]["completes"] == json!(true)).count();
    // A deployment that had nothing to change writes no version, but is in Pulumi's history all the same.
    let without = history["without_version"].as_array().map_or(0, Vec::len);
    let told = Probe::fact("state history", with_version + without);
    s.then("and its entry in the history", told, is(count + 1)).await?;
    let whole = run(&team, "ada", &["state", "verify"]).await?;
    s.then("the state is whole", Probe::fact("state verify", whole.code), is(Some(0))).await
}

/// US2.2 Stacks that share nothing do not wait for each other.
#[tokio::test]
async fn us2_2_apart_stacks_do_not_wait_for_each_other() {
    accept("US2.2-apart", async |s| {
        let team = s.given("a team", Team::begins(s)).await?;
        let stacks = ["one", "two", "three"];
        for stack in stacks {
            team.add_stack(stack)?;
            let init = ["state", "init", "--stack", stack, "--target", "scaleway"];
            s.given(&format!("stack {stack} has a home"), async { team.run("ada", &init).await?.success() }).await?;
        }
        let deployments = stacks.map(|stack| {
            let team = &team;
            async move { team.run("ada", &["up", "--json", "--stack", stack, "--target", "scaleway"]).await?.success() }
        });
        s.when("all three are deployed at once", futures::future::try_join_all(deployments)).await?;
        let mut spans = Vec::new();
        for stack in stacks {
            let list = ["audit", "list", "--json", "--stack", stack, "--target", "scaleway"];
            let rows = team.run("ada", &list).await?.success()?.json()?;
            let row = ups(&rows["rows"]).next().cloned().unwrap_or_default();
            spans.push(span(&row).ok_or_else(|| Failure::failed("an audit row without a time").because(&row))?);
        }
        let latest_start = spans.iter().map(|(from, _)| *from).max().unwrap_or_default();
        let first_end = spans.iter().map(|(_, to)| *to).min().unwrap_or_default();
        s.then(
            "all three were under way at one moment",
            Probe::fact("audit list, in ms", (latest_start, first_end)),
            matches("the last begins before the first ends", |(start, end): &(i128, i128)| start < end),
        )
        .await
    })
    .await;
}

/// US2.3, FR-012, SC-004 Earlier states are there, can be compared, and be had back.
#[tokio::test]
async fn us2_3_earlier_states_can_be_restored() {
    accept("US2.3", async |s| {
        let team = s.given("a team", Team::begins(s)).await?;
        s.given("its state has a home", run(&team, "ada", &["state", "init"])).await?;
        team.configure(STACK, &[("secrets", "1")])?;
        s.given("a first deployment", run(&team, "ada", &["up"])).await?;
        team.configure(STACK, &[("secrets", "3"), ("hidden", "a secret of the team")])?;
        s.given("a second one, by somebody else, with more", run(&team, "grace", &["up"])).await?;

        let history = run(&team, "ada", &["state", "history", "--json"]).await?.json()?;
        s.attach("history.json", format!("{history:#}"))?;
        let who = audited(&history);
        s.then(
            "the history tells who made which version",
            Probe::fact("state history", who),
            includes(["ada".to_owned(), "grace".to_owned()]),
        )
        .await?;
        let first = version_of(&history, "ada")?;
        let diff = run(&team, "ada", &["state", "diff", &first, "~0", "--json"]).await?.json()?;
        s.attach("diff.json", format!("{diff:#}"))?;
        let added: Vec<String> = names(&diff["added"]);
        s.then(
            "a comparison shows what was added",
            Probe::fact("state diff", added),
            is(vec!["secret-1".to_owned(), "secret-2".to_owned()]),
        )
        .await?;
        s.then(
            "and shows no secret",
            Probe::fact("state diff", diff.to_string()),
            matches("not there", |text: &String| !text.contains("a secret of the team")),
        )
        .await?;

        let backup = s.when("the state is backed up", run(&team, "ada", &["state", "backup", "--json"])).await?;
        s.attach("backup.json", backup.stdout)?;
        let restore = ["state", "restore", &first, "--reason", "to show that it can be had back", "--json"];
        let restored = s.when("the first version is restored", run(&team, "grace", &restore)).await?;
        s.attach("restore.json", restored.stdout)?;
        let left = run(&team, "ada", &["state", "diff", &first, "~0", "--json"]).await?.json()?;
        let nothing =
            Probe::fact("state diff", [&left["added"], &left["removed"], &left["changed"]].map(Value::to_string));
        s.then("the state is what it was", nothing, is(["[]", "[]", "[]"].map(str::to_owned))).await?;
        let whole = run(&team, "ada", &["state", "verify", "--json"]).await?.json()?;
        s.then(
            "it is whole, and every secret can be decrypted",
            Probe::fact("state verify", whole["findings"].to_string()),
            is("[]".to_owned()),
        )
        .await?;
        let rows = team.rows().await?;
        let row = rows.as_array().and_then(|rows| rows.last()).cloned().unwrap_or_default();
        s.then(
            "the audit trail says who restored what, and why",
            Probe::fact("audit list", row.to_string()),
            contains("to show that it can be had back"),
        )
        .await
    })
    .await;
}

/// A command that has to succeed, on the shared stack.
async fn run(team: &Team, who: &str, words: &[&str]) -> Result<Said, Failure> {
    team.on_the_stack(who, words).await?.success()
}

fn lost(error: impl std::fmt::Display) -> Failure {
    Failure::failed("the bucket did not answer").because(error)
}

/// Whom a bucket's policy names.
fn principals(policy: &Value) -> Vec<String> {
    let statements = policy["Statement"].as_array().into_iter().flatten();
    let mut all: Vec<String> = statements
        .flat_map(|statement| statement["Principal"]["SCW"].as_array().into_iter().flatten())
        .filter_map(|principal| principal.as_str().map(str::to_owned))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Rows of deployments.
fn ups(rows: &Value) -> impl Iterator<Item = &Value> {
    let up = |row: &&Value| row["command"].as_str().is_some_and(|command| command.starts_with("stackproof up"));
    rows.as_array().into_iter().flatten().filter(up)
}

/// From when to when a row's command ran, in milliseconds.
fn span(row: &Value) -> Option<(i128, i128)> {
    let at = time::OffsetDateTime::parse(row["at"].as_str()?, &time::format_description::well_known::Rfc3339).ok()?;
    let to = at.unix_timestamp_nanos() / 1_000_000;
    Some((to - i128::from(row["milliseconds"].as_i64()?), to))
}

/// The lock's timeline, drawn: a line a command.
fn timeline(rows: &Value) -> String {
    let spans: Vec<(String, i128, i128)> = ups(rows)
        .filter_map(|row| {
            let (from, to) = span(row)?;
            Some((row["who"].as_str()?.to_owned(), from, to))
        })
        .collect();
    let begin = spans.iter().map(|(_, from, _)| *from).min().unwrap_or_default();
    let end = spans.iter().map(|(_, _, to)| *to).max().unwrap_or_default();
    let width = (end - begin).max(1);
    let column = |at: i128| usize::try_from((at - begin) * 80 / width).unwrap_or_default();
    let line = |(who, from, to): &(String, i128, i128)| {
        let (from_column, to_column) = (column(*from), column(*to).max(column(*from) + 1));
        let (before, bar) = (" ".repeat(from_column), "█".repeat(to_column - from_column));
        format!("{who:<12} {before}{bar} {:.2} s to {:.2} s\n", (from - begin) as f64 / 1e3, (to - begin) as f64 / 1e3)
    };
    spans.iter().map(line).collect()
}

/// Who made the versions that are known in the audit trail.
fn audited(history: &Value) -> Vec<String> {
    let versions = history["versions"].as_array().into_iter().flatten();
    versions.filter_map(|version| version["audit"]["who"].as_str().map(str::to_owned)).collect()
}

fn version_of(history: &Value, who: &str) -> Result<String, Failure> {
    let mut versions = history["versions"].as_array().into_iter().flatten();
    let found = versions.find(|version| version["audit"]["who"] == who);
    let id = found.and_then(|version| version["version"]["id"].as_str());
    id.map(str::to_owned).ok_or_else(|| Failure::failed(format!("no version of {who}'s")).because(history))
}

fn names(list: &Value) -> Vec<String> {
    let urns = list.as_array().into_iter().flatten().filter_map(|item| item["urn"].as_str());
    urns.map(|urn| urn.rsplit("::").next().unwrap_or(urn).to_owned()).collect()
}

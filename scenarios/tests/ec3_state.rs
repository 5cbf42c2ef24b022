//! EC3 The state's bucket becomes unavailable, and what else can befall a state: each time a run ends complete, or where
//! the one command that it prints goes on; nothing is made twice, nothing is lost.

use std::time::Duration;

use stackproof::{
    Failure,
    acceptance::{Capability, Probe, Scenario, accept, contains, empty, is, matches},
};
use stackproof_scenarios::{Answer, STACK, Said, Team};

/// Writes of the current checkpoint: Pulumi names its operations behind the key.
const CHECKPOINT: &str = ".pulumi/stacks/small/shared.json?*";

/// EC3, NFR-012 The bucket does not answer: before an update, for a moment, from the middle on, at the end.
#[tokio::test]
async fn ec3_the_state_bucket_is_unavailable() {
    accept("EC3", async |s| {
        let team = deployed(s, Team::begins(s).await?).await?;

        s.given("the bucket does not answer", team.bucket_is_away()).await?;
        team.configure(STACK, &[("secrets", "2")])?;
        let before = s.when("somebody deploys", team.on_the_stack("ada", &["up"])).await?;
        s.attach("before.txt", before.stderr.clone())?;
        s.then("they are told", Probe::fact("up", before.stderr.clone()), contains("the bucket of the state")).await?;
        s.then("nothing was begun", Probe::fact("exit code", before.code), is(Some(4))).await?;
        let made = Probe::new("list of secrets", async || team.secrets_in_the_cloud().await).once();
        s.then("nothing was made", made, is(1_usize)).await?;
        goes_on(s, &team, "the bucket answers again", &before, 2).await?;

        let moment = team.bucket_answers(Answer::Unavailable, Some("PUT"), CHECKPOINT, 1, Some(2)).await?;
        team.configure(STACK, &[("secrets", "3")])?;
        s.when("it fails for a moment in the middle of an update", run(&team, "ada", &["up"])).await?;
        let hits = Probe::fact("fault list", team.hits(moment).await?);
        s.then("it did, and the update is complete all the same", hits, is(2_u64)).await?;
        team.all_is_well().await?;
        whole(s, &team, 3).await?;

        let middle = team.bucket_answers(Answer::Unavailable, Some("PUT"), CHECKPOINT, 1, None).await?;
        team.configure(STACK, &[("secrets", "4")])?;
        let during = s
            .when("it stays away from the middle of an update on", async {
                let up = team.begin("grace", &["up"], &[])?;
                hit(&team, middle).await?;
                team.bucket_is_away().await?;
                Team::ended(up).await
            })
            .await?;
        s.attach("during.txt", during.stderr.clone())?;
        s.then("the update fails", Probe::fact("exit code", during.code), is(Some(1))).await?;
        goes_on(s, &team, "the bucket answers again", &during, 4).await?;

        team.bucket_answers(Answer::Unavailable, None, ".pulumi/history/*", 0, None).await?;
        team.bucket_answers(Answer::Unavailable, Some("DELETE"), ".pulumi/locks/*", 0, None).await?;
        team.configure(STACK, &[("secrets", "5")])?;
        let end = s.when("it fails at the end of an update", team.on_the_stack("ada", &["up"])).await?;
        s.attach("end.txt", end.stderr.clone())?;
        s.then("that is not hidden", Probe::fact("exit code", end.code), is(Some(1))).await?;
        goes_on(s, &team, "the bucket answers again", &end, 5).await
    })
    .await;
}

/// EC3, FR-012, NFR-012 What the bucket held is deleted, then the bucket itself: it all comes back, from the versions
/// that the bucket has kept or from the backups.
#[tokio::test]
async fn ec3_lost_the_bucket_is_emptied_and_deleted() {
    accept("EC3-lost", async |s| {
        let team = deployed(s, Team::begins(s).await?).await?;

        s.given("everything in the bucket is deleted", team.empty_the_bucket(false)).await?;
        let emptied = s.when("somebody deploys", team.on_the_stack("ada", &["up"])).await?;
        s.then("they are stopped", Probe::fact("up", emptied.stderr.clone()), contains("is not there any more"))
            .await?;
        let back = s.when("they run the command that it prints", follow(&team, "ada", &emptied)).await?;
        s.attach("emptied.txt", back.stdout.clone())?;
        unchanged(s, &team, 1).await?;

        s.given("the bucket is deleted, with all its versions", team.delete_the_bucket()).await?;
        let deleted = s.when("somebody deploys", team.on_the_stack("grace", &["up"])).await?;
        s.then("they are stopped", Probe::fact("up", deleted.stderr.clone()), contains("is not there any more"))
            .await?;
        let back = s.when("they run the command that it prints", follow(&team, "grace", &deleted)).await?;
        s.attach("deleted.txt", back.stdout.clone())?;
        unchanged(s, &team, 1).await?;
        let policy = team.policy().await?;
        let names_deployers = Probe::fact("GET ?policy", policy.to_string());
        s.then("the bucket is the deployers' again", names_deployers, contains(team.application().await?)).await?;
        let init = s.when("the foundation is laid again", run(&team, "ada", &["state", "init"])).await?;
        s.then("nothing of it is missing", Probe::fact("state init", init.code), is(Some(0))).await
    })
    .await;
}

/// EC3, NFR-012 The lock's database is away: before an update, for a moment, for longer than the lease.
#[tokio::test]
async fn ec3_lock_the_database_is_down() {
    accept("EC3-lock", async |s| {
        s.needs(Capability::Machines)?;
        let team = Team::begins(s).await?.with_leases_of(Duration::from_secs(6));
        let team = deployed(s, team).await?;
        let instance = team.lock_instance().await?;

        s.given("the lock's database lets nobody in", team.lock_lets_in(false)).await?;
        team.configure(STACK, &[("secrets", "2")])?;
        let before = s.when("somebody deploys", team.on_the_stack("ada", &["up"])).await?;
        s.attach("before.txt", before.stderr.clone())?;
        s.then("they are told", Probe::fact("up", before.stderr.clone()), contains("the lock database")).await?;
        s.then("nothing was begun", Probe::fact("exit code", before.code), is(Some(4))).await?;
        s.given("it lets them in again", team.lock_lets_in(true)).await?;
        goes_on(s, &team, "it does", &before, 2).await?;

        let slow = team.secrets_take_time(0, 2500).await?;
        team.configure(STACK, &[("secrets", "3")])?;
        s.when("its server is killed in the middle of an update", async {
            let up = team.begin("ada", &["up"], &[])?;
            hit(&team, slow).await?;
            team.control()?.kill_database(&instance).await?;
            Team::ended(up).await?.success()
        })
        .await?;
        team.all_is_well().await?;
        whole(s, &team, 3).await?;

        let slow = team.secrets_take_time(0, 9000).await?;
        team.configure(STACK, &[("secrets", "5")])?;
        let during = s
            .when("it is away for longer than the lease lasts", async {
                let up = team.begin("grace", &["up"], &[])?;
                hit(&team, slow).await?;
                team.lock_lets_in(false).await?;
                team.control()?.kill_database(&instance).await?;
                Team::ended(up).await
            })
            .await?;
        s.attach("during.txt", during.stderr.clone())?;
        s.then("the update is stopped", Probe::fact("up", during.stderr.clone()), contains("the lease was lost"))
            .await?;
        team.lock_lets_in(true).await?;
        let free = Probe::new("lock status", async || {
            Ok(run(&team, "ada", &["lock", "status", "--json"]).await?.json()?["run"].is_null())
        });
        s.then("its lease runs out", free, is(true)).await?;
        goes_on(s, &team, "the database is back", &during, 5).await?;
        let rows = team.rows().await?;
        s.attach("audit.json", format!("{rows:#}"))?;
        let noted = rows.as_array().into_iter().flatten().any(|row| row["result"] == "lease_lost");
        s.then("the audit trail knows of the run that was stopped", Probe::fact("audit list", noted), is(true)).await
    })
    .await;
}

/// EC3, NFR-012 The person's key ends in the middle of an update, then the state's.
#[tokio::test]
async fn ec3_credentials_end_in_the_middle_of_an_update() {
    accept("EC3-credentials", async |s| {
        let team = deployed(s, Team::begins(s).await?).await?;

        let key = s.given("somebody has a key of their own", team.another_key()).await?;
        s.secret(&key.secret_key);
        let slow = team.secrets_take_time(1, 1500).await?;
        team.configure(STACK, &[("secrets", "4")])?;
        let ended = s
            .when("it ends while they deploy", async {
                let up = team.begin("grace", &["up"], &key.variables())?;
                hit(&team, slow).await?;
                team.end_key(&key).await?;
                Team::ended(up).await
            })
            .await?;
        s.attach("own-key.txt", ended.stderr.clone())?;
        s.then("the update fails", Probe::fact("exit code", ended.code), is(Some(1))).await?;
        goes_on(s, &team, "they have another key", &ended, 4).await?;

        let refused = team.bucket_answers(Answer::KeyRefused, Some("PUT"), CHECKPOINT, 1, None).await?;
        team.configure(STACK, &[("secrets", "6")])?;
        let ended = s
            .when("the bucket refuses the state's key from the middle of an update on", async {
                let up = team.begin("grace", &["up"], &[])?;
                hit(&team, refused).await?;
                team.bucket_answers(Answer::KeyRefused, None, "*", 0, None).await?;
                Team::ended(up).await
            })
            .await?;
        s.attach("state-key.txt", ended.stderr.clone())?;
        s.then("the update fails", Probe::fact("exit code", ended.code), is(Some(1))).await?;
        goes_on(s, &team, "the key is good again", &ended, 6).await
    })
    .await;
}

/// EC3, NFR-012 Somebody ran plain Pulumi, and its lock file is there.
#[tokio::test]
async fn ec3_plain_pulumi_has_left_a_lock_file() {
    accept("EC3-plain", async |s| {
        let team = deployed(s, Team::begins(s).await?).await?;
        let file = s.given("plain pulumi has locked the stack", team.plain_pulumi_locks()).await?;
        team.configure(STACK, &[("secrets", "2")])?;
        let refused = s.when("somebody deploys", team.on_the_stack("ada", &["up"])).await?;
        s.attach("refused.txt", refused.stderr.clone())?;
        let who = Probe::fact("up", refused.stderr.clone());
        s.then("they are told by whom", who, contains("currently locked by mallory@elsewhere")).await?;
        s.then("and who waits for whom is clear", Probe::fact("exit code", refused.code), is(Some(3))).await?;
        let there = Probe::new("HEAD of the lock file", async || team.is_in_the_bucket(&file).await).once();
        s.then("the lock file was not touched", there, is(true)).await?;
        s.when("its process is certainly gone, and the printed command is run", follow(&team, "ada", &refused)).await?;
        let gone = Probe::new("HEAD of the lock file", async || team.is_in_the_bucket(&file).await).once();
        s.then("the lock file is gone", gone, is(false)).await?;
        s.when("they deploy", run(&team, "ada", &["up"])).await?;
        whole(s, &team, 2).await?;
        let rows = team.rows().await?.to_string();
        s.then("the audit trail tells of it", Probe::fact("audit list", rows), contains("lock break --holder")).await
    })
    .await;
}

/// EC3 Two machines whose clocks differ by 16 minutes deploy at once.
#[tokio::test]
async fn ec3_clocks_of_two_machines_differ() {
    accept("EC3-clocks", async |s| {
        let team = deployed(s, Team::begins(s).await?.with_leases_of(Duration::from_secs(6))).await?;
        let slow = team.secrets_take_time(0, 1500).await?;
        team.configure(STACK, &[("secrets", "3")])?;
        let (ahead, behind) = s
            .when("one machine deploys whose clock is 8 minutes ahead, and one that is 8 behind", async {
                let ahead = team.begin("ada", &["up"], &team.clock(s, 480)?)?;
                hit(&team, slow).await?;
                let behind = team.begin("grace", &["up", "--wait", "2m"], &team.clock(s, -480)?)?;
                let (ahead, behind) = tokio::try_join!(Team::ended(ahead), Team::ended(behind))?;
                Ok((ahead.success()?, behind.success()?))
            })
            .await?;
        s.attach("ahead.txt", ahead.stderr)?;
        let waited = Probe::fact("up --wait", behind.stderr);
        s.then("the second waited for the first", waited, contains("waiting for the lock")).await?;
        team.all_is_well().await?;
        whole(s, &team, 3).await?;
        let rows = team.rows().await?;
        s.attach("audit.json", format!("{rows:#}"))?;
        let ups: Vec<String> = rows
            .as_array()
            .into_iter()
            .flatten()
            .filter(|row| row["command"].as_str().is_some_and(|command| command.starts_with("stackproof up")))
            .filter_map(|row| row["who"].as_str().map(str::to_owned))
            .collect();
        s.then("the audit trail has them in order", Probe::fact("audit list", ups), is(["ada", "ada", "grace"]))
            .await?;
        let verified = run(&team, "ada", &["audit", "verify"]).await?;
        s.then("and is whole", Probe::fact("audit verify", verified.code), is(Some(0))).await
    })
    .await;
}

/// A team whose stack is deployed, with one secret.
async fn deployed(s: &Scenario, team: Team) -> Result<Team, Failure> {
    s.needs(Capability::Faults)?;
    team.configure(STACK, &[("secrets", "1")])?;
    s.given("a team's state has a home", run(&team, "ada", &["state", "init"])).await?;
    s.given("its stack is deployed", run(&team, "ada", &["up"])).await?;
    Ok(team)
}

/// The trouble is over, and the one command that was printed goes on from there.
async fn goes_on(s: &Scenario, team: &Team, over: &str, said: &Said, secrets: usize) -> Result<(), Failure> {
    s.when(over, team.all_is_well()).await?;
    let next = said.next()?.join(" ");
    let went = s.when(&format!("the printed command is run: stackproof {next}"), follow(team, "ada", said)).await?;
    s.attach("went-on.txt", format!("{}{}", went.stderr, went.stdout))?;
    whole(s, team, secrets).await
}

/// State and cloud agree, and all is there that the program says.
async fn whole(s: &Scenario, team: &Team, secrets: usize) -> Result<(), Failure> {
    let differences = Probe::new("state show, lists of the APIs", async || team.differences().await).once();
    s.then("nothing is there twice, nothing is lost", differences, empty()).await?;
    let all = Probe::new("list of secrets", async || team.secrets_in_the_cloud().await).once();
    s.then("all is there that the program says", all, is(secrets)).await
}

/// The same, and a deployment has nothing to do.
async fn unchanged(s: &Scenario, team: &Team, secrets: usize) -> Result<(), Failure> {
    whole(s, team, secrets).await?;
    let again = run(team, "ada", &["up", "--json"]).await?.json()?;
    let summary = again["outcome"]["events"]["summary"].clone();
    let same = |seen: &serde_json::Value| seen.as_object().is_some_and(|all| all.keys().all(|key| key == "same"));
    s.then("an update changes nothing", Probe::fact("up", summary), matches("same only", same)).await
}

/// A command that has to succeed, on the shared stack.
async fn run(team: &Team, who: &str, words: &[&str]) -> Result<Said, Failure> {
    team.on_the_stack(who, words).await?.success()
}

/// The command that another one printed, which has to succeed.
async fn follow(team: &Team, who: &str, said: &Said) -> Result<Said, Failure> {
    team.follow(who, said).await?.success()
}

/// Waits until a fault has hit.
async fn hit(team: &Team, fault: u64) -> Result<(), Failure> {
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    while team.hits(fault).await? == 0 {
        if tokio::time::Instant::now() > until {
            return Err(Failure::failed("the update came to nothing that the scenario waits for"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

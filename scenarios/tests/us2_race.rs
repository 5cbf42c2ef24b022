//! US2.2 Two who deploy at once, with Pulumi's own lock and with ours: an experiment that anybody can repeat.

use std::sync::Arc;

use serde_json::json;
use stackproof::{
    Failure, Progress, Toolchain, Workspace,
    acceptance::{Probe, Scenario, TargetName, accept, is},
    pulumi::{Backend, Operation, Outcome, Settings, Stack},
    target::Target,
};
use stackproof_cloud::{
    control::{Fault, Verdict},
    kernel::Profile,
};
use stackproof_scenarios::{STACK, Team};

/// How often two start at once.
const ROUNDS: u32 = 10;

/// The bucket of plain Pulumi's state.
const BUCKET: &str = "plain-pulumi-state";

/// What came of the rounds.
#[derive(Default, Debug)]
struct Tally {
    both_complete: u32,
    one_fails: u32,
    both_fail: u32,
    /// After both had ended, a lock was left that nobody holds.
    stuck: u32,
}

impl Tally {
    fn count(&mut self, complete: usize, stuck: bool) {
        match complete {
            2 => self.both_complete += 1,
            1 => self.one_fails += 1,
            _ => self.both_fail += 1,
        }
        self.stuck += u32::from(stuck);
    }
}

/// US2.2 Pulumi's lock on an S3 backend is a list, a write and a list: of two who come at once one fails, or both. Ours
/// lets both through, one after the other.
#[tokio::test]
#[ignore = "a long proof: accept --full"]
async fn us2_2_race_two_deploy_at_once() {
    accept("US2.2-race", async |s| {
        let plain = s.when("two deploy at once with plain pulumi, again and again", plain(s)).await?;
        let killed = s.when("a run of plain pulumi is killed, and another begins", plain_killed(s)).await?;
        let ours = s.when("two deploy at once with stackproof up --wait, as often", ours(s)).await?;
        let table = json!({
            "rounds": ROUNDS,
            "pulumi": {"both complete": plain.both_complete, "one fails": plain.one_fails,
                       "both fail": plain.both_fail, "stuck": plain.stuck,
                       "the next run after a kill -9": if killed { "refused until somebody deletes the lock" } else { "runs" }},
            "stackproof": {"both complete": ours.both_complete, "one fails": ours.one_fails,
                           "both fail": ours.both_fail, "stuck": ours.stuck},
        });
        s.attach("race.json", format!("{table:#}"))?;
        let told = Probe::fact("exit codes", ours.both_complete);
        s.then("with stackproof every deployment completes", told, is(ROUNDS)).await?;
        let told = Probe::fact("exit codes", plain.both_complete < ROUNDS);
        s.then("with plain pulumi not every one does", told, is(true)).await?;
        s.then("and a run that was killed stops the next", Probe::fact("exit code", killed), is(true)).await
    })
    .await;
}

/// Plain Pulumi on the bucket of a cloud.
struct Plain {
    folder: tempfile::TempDir,
    target: Arc<Target>,
    toolchain: Toolchain,
}

impl Plain {
    async fn begins(s: &Scenario) -> Result<Self, Failure> {
        if s.target() == TargetName::Scaleway {
            return Err(s.does_not_apply("the experiment would leave locks in a real bucket"));
        }
        let folder = tempfile::tempdir().map_err(|error| Failure::environment("no scratch folder").because(error))?;
        let target = Target::for_scenario(s.target(), &folder.path().join("cloud"), Profile::Instant).await?;
        target.object_storage()?.create_bucket(BUCKET).await?;
        Ok(Self { folder, target: Arc::new(target), toolchain: Toolchain::ensure(&Progress::Silent)? })
    }

    /// One of the racers, in a place of its own.
    async fn racer(&self, name: &str) -> Result<Stack, Failure> {
        let who = self.target.environment().credentials();
        let address =
            format!("s3://{BUCKET}?region={0}&endpoint=https://s3.{0}.scw.cloud&s3ForcePathStyle=true", who.region);
        let variables = vec![
            ("PULUMI_BACKEND_URL", address),
            ("AWS_ACCESS_KEY_ID", who.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", who.secret_key.clone()),
        ];
        let backend = Backend::through(variables, &[], "a passphrase of the experiment");
        let program = Workspace::find()?.root.join("scenarios/programs/small");
        let settings = Settings { name: STACK.to_owned(), program, folder: self.folder.path().join(name) };
        let stack = Stack::open_in(settings, backend, self.toolchain.clone(), &self.target).await?;
        stack.set("prefix", "race").await?;
        Ok(stack)
    }

    /// Deletes whatever locks are left; gives whether there were any.
    async fn sweep(&self, stack: &Stack) -> Result<bool, Failure> {
        // Pulumi's own way out.
        let look = stack.run(&Operation::Refresh, &Progress::Silent).await?;
        let stuck = !look.succeeded() && said(&look).contains("currently locked");
        if stuck {
            stack.by_hand(&["cancel".to_owned(), "--yes".to_owned()], std::future::pending()).await?;
        }
        Ok(stuck)
    }
}

fn said(outcome: &Outcome) -> String {
    let told = outcome.events.diagnostics.iter().map(|diagnostic| diagnostic.message.as_str());
    [outcome.stdout.as_str(), outcome.stderr.as_str()].into_iter().chain(told).collect::<Vec<_>>().join("\n")
}

async fn plain(s: &Scenario) -> Result<Tally, Failure> {
    let plain = Plain::begins(s).await?;
    let (one, two) = (plain.racer("one").await?, plain.racer("two").await?);
    let mut tally = Tally::default();
    for round in 0..ROUNDS {
        for stack in [&one, &two] {
            stack.set("round", &round.to_string()).await?;
        }
        let (up, silent) = (Operation::Up, Progress::Silent);
        let (first, second) = tokio::try_join!(one.run(&up, &silent), two.run(&up, &silent))?;
        let complete = [&first, &second].into_iter().filter(|outcome| outcome.succeeded()).count();
        let stuck = plain.sweep(&one).await?;
        tally.count(complete, stuck);
    }
    Ok(tally)
}

/// Whether a run that was killed stops the next.
async fn plain_killed(s: &Scenario) -> Result<bool, Failure> {
    let plain = Plain::begins(s).await?;
    let stack = plain.racer("one").await?;
    let control = plain.target.control().ok_or_else(|| s.does_not_apply("this target has no control API"))?;
    let path = "/secret-manager/v1beta1/regions/*/secrets".to_owned();
    let verdict = Verdict::Delay { milliseconds: 5000 };
    let slow = control.add_fault(&Fault { method: Some("POST".into()), path, after: 0, times: None, verdict }).await?;
    let up = stack.run(&Operation::Up, &Progress::Silent);
    let begun = async {
        // It makes something, so it has the lock.
        while !control.faults().await?.iter().any(|fault| fault.id == slow && fault.hits > 0) {
            tokio::task::yield_now().await;
        }
        Ok::<_, Failure>(())
    };
    tokio::select! {
        _ = up => return Err(Failure::failed("the run was over before it could be killed")),
        begun = begun => begun?,
    }
    control.clear_faults().await?;
    // Dropped, it is killed.
    plain.sweep(&stack).await
}

async fn ours(s: &Scenario) -> Result<Tally, Failure> {
    let team = Team::begins(s).await?;
    team.on_the_stack("ada", &["state", "init"]).await?.success()?;
    let mut tally = Tally::default();
    for round in 0..ROUNDS {
        team.configure(STACK, &[("round", &round.to_string())])?;
        let up = ["up", "--wait", "5m"];
        let (first, second) = tokio::try_join!(team.on_the_stack("ada", &up), team.on_the_stack("grace", &up))?;
        let complete = [&first, &second].into_iter().filter(|said| said.code == Some(0)).count();
        let status = team.on_the_stack("ada", &["lock", "status", "--json"]).await?.success()?.json()?;
        tally.count(complete, !status["run"].is_null());
    }
    Ok(tally)
}

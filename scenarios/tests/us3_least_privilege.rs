//! US3 Security and compliance: each service has the permissions it needs, and no other.

use std::collections::BTreeSet;

use stackproof::{
    Failure,
    acceptance::{Capability, Probe, Scenario, accept, at_least, empty, includes, is},
    privilege::{self, Holder, granted, judge},
};
use stackproof_scenarios::{CLASSES, Caught, Deployment, Rights, Subject, Team};

/// What the application may do: read assets, and keep tables in its serverless database, which it can see.
const APPLICATION: &[&str] = &["Object Storage: read objects", "Serverless SQL: read", "Serverless SQL: log in"];

/// Who calls the application may do that.
const CALLER: &[&str] = &["Containers: call a private one"];

/// Who writes the state may make, keep and take away its buckets, and log in to the lock's serverless database: IAM
/// grants that by project.
const DEPLOYERS: &[&str] = &[
    "Object Storage: read buckets",
    "Object Storage: make buckets",
    "Object Storage: delete buckets",
    "Object Storage: bucket policies",
    "Object Storage: read objects",
    "Object Storage: write objects",
    "Object Storage: delete objects",
    "Serverless SQL: read",
    "Serverless SQL: log in",
];

/// The people who deploy get key and passphrase from Secret Manager.
const DEPLOYING: &[&str] = &["Secret Manager: read metadata", "Secret Manager: read values"];

/// The people who watch over the stack see how everything is, and no contents.
const OPERATORS: &[&str] = &[
    "Cockpit: read",
    "Container Registry: pull",
    "Container Registry: read",
    "Containers: read",
    "IPAM: read",
    "Key Manager: read",
    "Managed databases: read",
    "Object Storage: read buckets",
    "Private networks: read",
    "Secret Manager: read metadata",
    "VPC: read",
];

/// What the deployers' application uses when its buckets go, and not before.
const OF_THE_END: &str = "ObjectStorageBucketsDelete";

/// Everybody of the stack whose rights a policy says, and a stranger.
async fn everybody(s: &Scenario, rights: &Rights<'_>) -> Result<Vec<Subject>, Failure> {
    Ok(vec![
        rights.application(s, "application", APPLICATION).await?,
        rights.application(s, "caller", CALLER).await?,
        rights.application(s, "deployers", DEPLOYERS).await?,
        rights.member(s, "deployers", DEPLOYING).await?,
        rights.member(s, "operators", OPERATORS).await?,
        rights.stranger(s).await?,
    ])
}

/// The variants that nothing showed.
fn unnoticed(caught: &[Caught]) -> Vec<String> {
    caught.iter().filter(|caught| caught.by.is_none()).map(|caught| caught.variant.clone()).collect()
}

fn told(caught: &[Caught]) -> String {
    let line = |caught: &Caught| match &caught.by {
        Some(by) => format!("{}: {by}\n", caught.variant),
        None => format!("{}: nothing shows it\n", caught.variant),
    };
    caught.iter().map(line).collect()
}

/// US3.1, FR-004 Every principal of the deployed stack is tried on every class of action of every product, and may do
/// exactly what it is for; a permission set too few or too many is noticed; and what the applications were seen to call
/// needs all that they are granted.
#[tokio::test]
async fn us3_1_each_service_has_only_the_permissions_it_needs() {
    accept("US3.1", async |s| {
        let stack = s.given("a configured stack", Deployment::that_runs(s)).await?;
        s.given("its container is private", stack.configure(&[("container.private", "true")])).await?;
        s.given("it is deployed", stack.up(s)).await?;
        let application = stack.application().await?;
        let rights = s.given("a bucket to try things on", Rights::of(&stack, &application)).await?;
        let subjects = s.given("a key of every principal", everybody(s, &rights)).await?;
        let all: Vec<&Subject> = subjects.iter().collect();

        let (table, differences) =
            s.when("trying everybody on everything, with a key of their own", rights.matrix(&all)).await?;
        s.attach("matrix.txt", &table)?;
        let tried = format!("{} principals on {} classes of actions", all.len(), CLASSES.len());
        let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
        s.then("everybody may do exactly what is expected", Probe::fact(tried, differences), empty()).await?;

        let less = s.when("taking each permission set away in turn", async {
            let mut less = Vec::new();
            for subject in &all {
                less.extend(rights.one_less(subject).await?);
            }
            Ok(less)
        });
        let less = less.await?;
        s.attach("one-less.txt", told(&less))?;
        let how = format!("{} variants", less.len());
        s.then("a permission set too few is noticed", Probe::fact(&*how, unnoticed(&less)), empty()).await?;
        s.then("each that is granted was tried", Probe::fact(how, less.len()), at_least(20)).await?;

        let more = s.when("adding each other one in turn", async {
            let mut more = Vec::new();
            for subject in &all {
                more.extend(rights.one_more(subject).await?);
            }
            Ok(more)
        });
        let more = more.await?;
        s.attach("one-more.txt", told(&more))?;
        let how = format!("{} variants", more.len());
        s.then("a permission set too many is noticed", Probe::fact(&*how, unnoticed(&more)), empty()).await?;
        s.then("each that opens something was tried", Probe::fact(how, more.len()), at_least(200)).await?;

        s.when("everybody's keys go", async {
            for subject in &all {
                rights.dismiss(subject).await?;
            }
            rights.clear().await
        })
        .await?;
        stack.is_taken_away(s).await
    })
    .await;
}

/// FR-004 What the applications call while they are used, and how it compares with what they are granted.
#[tokio::test]
async fn us3_1_observed_what_the_applications_call_needs_all_that_they_are_granted() {
    accept("US3.1-observed", async |s| {
        s.needs(Capability::Inspection)?;
        let stack = s.given("a configured stack", Deployment::that_runs(s)).await?;
        s.given("its container is private", stack.configure(&[("container.private", "true")])).await?;
        s.given("it is deployed", stack.up(s)).await?;
        let application = stack.application().await?;
        s.when("somebody with the caller's key asks for an asset", application.asset_as_caller(s)).await?;
        let login = application.serverless_login(s, None)?;
        s.when("the application works in its serverless database", login.query("CREATE TABLE t (n int)")).await?;

        let target = stack.target();
        let control = target.control().ok_or_else(|| Failure::environment("this target has no control API"))?;
        let called = s.when("looking at what was called", control.permissions()).await?;
        let holders: Vec<Holder> = granted(&target.api()?).await?;
        let own: BTreeSet<String> = ["application", "caller"].iter().map(|name| stack.named(name)).collect();
        let holders: Vec<Holder> = holders.into_iter().filter(|holder| own.contains(&holder.name)).collect();
        let verdict = judge(&called, &holders);
        s.attach("least-privilege.txt", verdict.to_string())?;
        let judged = Probe::fact("stackproof check --iam", verdict.applications.len());
        s.then("every application of the stack is judged", judged, at_least(2_usize)).await?;
        let findings: Vec<String> = verdict.findings.iter().map(ToString::to_string).collect();
        s.then("nobody holds more or less than was needed", Probe::fact("stackproof check --iam", findings), empty())
            .await?;
        let deployers = granted(&target.api()?).await?;
        let deployers: Vec<Holder> =
            deployers.into_iter().filter(|holder| holder.name == stack.named("deployers")).collect();
        stack.is_taken_away(s).await?;
        let verdict = judge(&control.permissions().await?, &deployers);
        s.attach("deployers.txt", verdict.to_string())?;
        let needed = verdict.applications.into_iter().flat_map(|application| application.needed);
        let needed: Vec<String> = needed.map(|grant| grant.permission_set).collect();
        let needed = Probe::fact("stackproof check --iam", needed);
        s.then("the deployers' application needs to delete buckets", needed, includes([OF_THE_END])).await
    })
    .await;
}

/// FR-004 Whoever writes a team's state needs all that it is granted: but for what takes the state's buckets away,
/// everything is used until the stack is up.
#[tokio::test]
async fn us3_1_deployers_who_writes_the_state_needs_all_that_it_is_granted() {
    accept("US3.1-deployers", async |s| {
        s.needs(Capability::Inspection)?;
        let team = s.given("a team without a state", Team::begins(s)).await?;
        s.when("its state gets a home", async { team.on_the_stack("ada", &["state", "init"]).await?.success() })
            .await?;
        s.when("the stack is deployed", async { team.on_the_stack("ada", &["up"]).await?.success() }).await?;
        let verdict = privilege::check(team.target()).await?;
        s.attach("least-privilege.txt", verdict.to_string())?;
        let findings = verdict.findings.iter().map(|finding| finding.permission_set.clone());
        let findings: Vec<String> = findings.collect();
        let expected = vec![OF_THE_END.to_owned()];
        s.then("only that is unused", Probe::fact("stackproof check --iam", findings), is(expected)).await
    })
    .await;
}

/// FR-004 A pipeline whose key has what `check --iam` says that a deployment needs, and no more, deploys the stack and
/// takes it away.
#[tokio::test]
async fn us3_1_pipeline_what_a_deployment_is_said_to_need_is_enough() {
    accept("US3.1-pipeline", async |s| {
        s.needs(Capability::Inspection)?;
        let stack = s.given("a configured stack", Deployment::configured(s)).await?;
        let pipeline = s.given("a pipeline that is to deploy it", stack.pipeline(s)).await?;
        let needed = s.given("somebody has deployed it and taken it away", stack.needed(s)).await?;
        s.given("the pipeline may do that, and nothing else", stack.grant(&pipeline, &needed)).await?;
        let its = stack.by(&pipeline).await?;
        s.when("it deploys", its.up(s)).await?;
        let (differences, _) = its.differences(s).await?;
        s.then("everything is there", Probe::fact("pulumi preview --refresh", differences), empty()).await?;
        s.when("it takes everything away", its.destroy(s)).await?;
        let verdict = stack.permissions().await?;
        s.attach("least-privilege.txt", verdict.to_string())?;
        let of_it = verdict.findings.iter().filter(|finding| finding.application == pipeline.name());
        let of_it: Vec<String> = of_it.map(ToString::to_string).collect();
        s.then("it needed all of it", Probe::fact("stackproof check --iam", of_it), empty()).await?;
        stack.dismiss_pipeline(&pipeline).await?;
        stack.is_taken_away(s).await
    })
    .await;
}

/// US3.1 A pipeline whose key lacks one of the permission sets that it needs is refused, and told which.
#[tokio::test]
async fn us3_1_lack_a_deployment_that_may_too_little_is_told_what_is_missing() {
    accept("US3.1-lack", async |s| {
        s.needs(Capability::Inspection)?;
        let stack = s.given("a configured stack", Deployment::configured(s)).await?;
        let pipeline = s.given("a pipeline that is to deploy it", stack.pipeline(s)).await?;
        let needed = s.given("somebody has deployed it and taken it away", stack.needed(s)).await?;
        let its = stack.by(&pipeline).await?;
        // One of the first, one of the middle, one of the last of the alphabet.
        for place in [1, needed.len() / 2, needed.len() - 2] {
            let mut granted = needed.clone();
            let missing = granted.remove(place).permission_set;
            s.given(&format!("it may all that it needs but {missing}"), stack.grant(&pipeline, &granted)).await?;
            stack.forget_calls().await?;
            let done = s.when("it deploys", its.attempt(s)).await?;
            s.then("it is refused", Probe::fact("pulumi up", done), is(false)).await?;
            // It ends at the first refusal, for which less may be enough than for all that there are.
            let told = s.when("it is granted what is told to be missing, until it goes on", async {
                let (mut told, mut done) = (Vec::new(), false);
                while !done {
                    let lacks = stack.lacks(&pipeline).await?;
                    if lacks.is_empty() || told.len() > granted.len() {
                        break;
                    }
                    granted.extend(lacks.iter().cloned());
                    told.extend(lacks.into_iter().map(|grant| grant.permission_set));
                    stack.grant(&pipeline, &granted).await?;
                    stack.forget_calls().await?;
                    done = its.attempt(s).await?;
                }
                Ok((told, done))
            });
            let (told, done) = told.await?;
            s.attach("told.txt", format!("without {missing}: {}\n", told.join(", ")))?;
            s.then("what was told is enough", Probe::fact("pulumi up", done), is(true)).await?;
            stack.destroy(s).await?;
        }
        stack.dismiss_pipeline(&pipeline).await?;
        stack.is_taken_away(s).await
    })
    .await;
}

/// US3.1 What a team configures too much or too little is noticed after a real `up` as well.
#[tokio::test]
async fn us3_1_up_a_stack_that_grants_too_much_or_too_little_is_noticed() {
    /// Beside the first of its sets, what the application is granted; and what has to be noticed.
    const SAMPLES: [(&[&str], &str); 3] = [
        (&[], "application may not, and should: Serverless SQL: read"),
        (
            &["ServerlessSQLDatabaseReadWrite", "KeyManagerKeyDecrypt"],
            "application may, and should not: Key Manager: decrypt",
        ),
        (
            &["ServerlessSQLDatabaseReadWrite", "SecretManagerSecretAccess"],
            "application may, and should not: Secret Manager: read values",
        ),
    ];
    accept("US3.1-up", async |s| {
        let stack = s.given("a configured stack", Deployment::that_runs(s)).await?;
        for (sets, noticed) in SAMPLES {
            let granted = ["ObjectStorageObjectsRead"].into_iter().chain(sets.iter().copied()).enumerate();
            let granted: Vec<(String, &str)> =
                granted.map(|(place, set)| (format!("identity.permissionSets[{place}]"), set)).collect();
            let values: Vec<(&str, &str)> = granted.iter().map(|(key, set)| (key.as_str(), *set)).collect();
            s.given(&format!("beside reading objects it grants {sets:?}"), stack.configure(&values)).await?;
            s.when("it is deployed", stack.up(s)).await?;
            let application = stack.application().await?;
            let rights = Rights::of(&stack, &application).await?;
            let subject = rights.application(s, "application", APPLICATION).await?;
            let (table, differences) = rights.matrix(&[&subject]).await?;
            s.attach("matrix.txt", table)?;
            let seen: Vec<String> = differences.iter().map(ToString::to_string).collect();
            s.then("that is noticed", Probe::fact("the matrix", seen), includes([noticed])).await?;
            rights.dismiss(&subject).await?;
            rights.clear().await?;
        }
        stack.is_taken_away(s).await
    })
    .await;
}

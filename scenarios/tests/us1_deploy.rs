//! US1 Deploy managed infrastructure.
//! Infrastructure developers deploy a complete application stack using Scaleway's managed services
//! through Pulumi, without managing the infrastructure underneath.

use stackproof::Failure;
use stackproof::acceptance::{Probe, Scenario, accept, contains, empty, includes, is};
use stackproof_scenarios::{Deployment, Setting, updates};

/// One property of every resource type that can be updated in place: a value of the configuration, and the
/// one input of the one resource that it changes. What cannot: a database and a token are replaced by any
/// change, the bucket's encryption is policy, a user's password is in its secret and in the container too.
const UPDATES: [(&str, &str, &[&str]); 19] = [
    ("network.vpcTags[0]", "reviewed", &["network-vpc.tags"]),
    ("network.privateNetworkTags[0]", "reviewed", &["network-private.tags"]),
    ("database.backupRetentionDays", "9", &["database-instance.backupScheduleRetention"]),
    ("database.permission", "readwrite", &["database-privilege.permission"]),
    ("serverlessDatabase.maxCpu", "3", &["serverless-database.maxCpu"]),
    ("storage.noncurrentExpirationDays", "11", &["assets-bucket.lifecycleRules"]),
    ("storage.readers[0]", "user_id:77777777-7777-4777-8777-777777777777", &["assets-policy.policy"]),
    (
        "credentials.databaseDescription",
        "What the application signs in with.",
        &["database-password-secret.description"],
    ),
    ("credentials.databaseNote", "The first one.", &["database-password-version.description"]),
    ("encryption.description", "Encrypts what the application keeps.", &["encryption-key.description"]),
    ("container.namespaceDescription", "What serves the shop.", &["web-namespace.description"]),
    ("container.description", "The shop.", &["web-container.description"]),
    ("container.cron.description", "Cleans up at night.", &["web-trigger.description"]),
    (
        "observability.retentionDays",
        "31",
        &[
            "observability-logs.retentionDays",
            "observability-metrics.retentionDays",
            "observability-traces.retentionDays",
        ],
    ),
    ("observability.contacts[0]", "operations@example.com", &["observability-alerts.contactPoints"]),
    ("identity.description", "The application, renamed for its users.", &["application-application.description"]),
    ("identity.policyDescription", "What the shop may do.", &["application-policy.description"]),
    ("identity.keyDescription", "The shop's key.", &["application-api-key.description"]),
    ("operators[0]", PERSON, &["operators-group.userIds"]),
];

/// Stands for whoever deploys, where that is a person.
const PERSON: &str = "<the person who deploys>";

/// What no API tells, and an import therefore cannot know: canned access lists, passwords, the values of secrets
/// (a container's are hashes), which of the prepared alerts a stack asked for, whose a trigger is (provider 2.81).
const NEVER_TOLD: [&str; 11] = [
    "assets-bucket.acl",
    "assets-bucket.forceDestroy",
    "database-instance.password",
    "database-user.password",
    "encryption-key.unprotected",
    "observability-alerts.preconfiguredAlertIds",
    "replace application-key-version",
    "replace database-password-version",
    "replace telemetry-token-version",
    "replace web-trigger",
    "web-container.secretEnvironmentVariables",
];

/// US1.1 `up` creates everything, finds nothing more to do, updates in place what is changed, and takes away
/// all it made.
#[tokio::test]
async fn us1_1_up_creates_everything() {
    accept("US1.1", async |s| {
        let setting = Setting::instant(s).await?;
        if let Some(start) = setting.fastest_start().await? {
            s.budget("local cloud: start to first answer, best of 5", start.as_secs_f64() * 1000.0, 50.0, "ms");
        }
        let project = setting.project().to_owned();
        let stack =
            s.given("a Pulumi project with the Scaleway provider configured", setting.stack("proof", &project)).await?;

        let (up, cost) = s.when("running pulumi up", stack.up(s)).await?;
        s.then("nothing failed", Probe::fact("the engine's events", failed(&up)), empty()).await?;
        let there =
            Probe::new("GET …/instances, …/vpcs, …/containers, …", async || Ok(stack.inventory().await?.all()));
        s.then("everything is there, asked of Scaleway's own API", there, includes(expected(&stack))).await?;
        let (differences, preview_seconds) =
            s.when("running a second preview, refreshed", stack.differences(s)).await?;
        s.then("it finds nothing to do", Probe::fact("the engine's events", differences), empty()).await?;
        let drifted = s.when("running pulumi refresh", stack.drifted(s)).await?;
        s.then("it takes nothing over", Probe::fact("the engine's events", drifted), empty()).await?;

        let updates = updates_of(&stack).await?;
        let values: Vec<(&str, &str)> = updates.iter().map(|(key, value, _)| (*key, value.as_str())).collect();
        stack.configure(&values).await?;
        let (update, _) =
            s.when("changing one property of every resource type and running pulumi up", stack.up(s)).await?;
        s.then(
            "exactly these are updated, in place",
            told(&update),
            is(sorted(updates.iter().flat_map(|row| row.2.iter().copied()))),
        )
        .await?;
        s.then("a preview after the updates finds nothing to do", clean(&stack, s), empty()).await?;

        let adopted = s.when("importing everything into an empty state of the same stack", stack.adopted(s)).await?;
        let missing = stack.identifiers().await?.len() - adopted.imported.len();
        s.then("nothing is missing in it", Probe::fact("the engine's events", missing), is(0)).await?;
        let different = Probe::fact("pulumi preview", adopted.different);
        s.then("a preview of it differs only in what no API tells", different, is(sorted(NEVER_TOLD))).await?;

        let destroyed = s.when("running pulumi destroy", stack.destroy(s)).await?;
        let destroy_seconds = destroyed.seconds;
        s.then("it says so", Probe::fact("pulumi destroy", destroyed.stdout), contains("deleted")).await?;
        s.when("taking its foundation away too", stack.destroy_foundation()).await?;
        let left = Probe::new("GET …/instances, …/vpcs, …", async || Ok(stack.inventory().await?.leftovers()));
        s.then("nothing is left but what Scaleway itself keeps", left, empty()).await?;

        if let Some(cost) = cost {
            s.budget("local cloud: share of an up's time", cost.cloud_percent, 5.0, "%");
            s.budget("local cloud: polls answered 'not ready'", cost.not_ready as f64, 0.0, "polls");
            s.budget("local cloud: unknown routes", cost.unknown_routes as f64, 0.0, "routes");
            s.budget("up of the whole stack", up.seconds, 20.0, "s");
            s.budget("second preview, refreshed", preview_seconds, 5.0, "s");
            s.budget("destroy of the whole stack", destroy_seconds, 15.0, "s");
        }
        Ok(())
    })
    .await;
}

/// SC-001, NFR-002: with everything taking as long as it does at Scaleway, a stack is up in ten minutes.
#[tokio::test]
#[ignore = "takes as long as Scaleway does: accept --full"]
async fn nfr_002_a_stack_deploys_in_under_ten_minutes() {
    accept("NFR-002", async |s| {
        let setting = s.given("a project at Scaleway's own pace", Setting::realistic(s)).await?;
        let project = setting.project().to_owned();
        let stack = setting.stack("proof", &project).await?;
        let (up, _) = s.when("running pulumi up", stack.up(s)).await?;
        s.then("nothing failed", Probe::fact("the engine's events", failed(&up)), empty()).await?;
        s.budget("NFR-002 up of the whole stack, realistic", up.seconds, 600.0, "s");
        s.budget("SC-001 up of the whole stack, realistic", up.seconds, 900.0, "s");
        s.then("a preview finds nothing to do", clean(&stack, s), empty()).await?;
        s.when("running pulumi destroy, of the foundation too", gone(&stack, s)).await?;
        let left = Probe::new("GET …/instances, …/vpcs, …", async || Ok(stack.inventory().await?.leftovers()));
        s.then("nothing is left but what Scaleway itself keeps", left, empty()).await
    })
    .await;
}

/// US1.1, one at a time: each setting changes exactly the one property it names.
#[tokio::test]
#[ignore = "one pulumi up for each resource type: accept --full"]
async fn us1_1_each_setting_changes_one_property() {
    accept("US1.1-settings", async |s| {
        let stack = s.given("a deployed stack", deployed(s)).await?;
        // A nested property that the provider computes (a trigger's headers) is unknown from its creation to a refresh.
        s.given("it was refreshed", stack.drifted(s)).await?;
        for (key, value, inputs) in updates_of(&stack).await? {
            let work = async {
                stack.configure(&[(key, &value)]).await?;
                stack.up(s).await
            };
            let (update, _) = s.when(&format!("changing {key} and running pulumi up"), work).await?;
            s.then("exactly that is updated", told(&update), is(sorted(inputs.iter().copied()))).await?;
        }
        stack.is_taken_away(s).await
    })
    .await;
}

async fn gone(stack: &Deployment, s: &Scenario) -> Result<(), Failure> {
    stack.destroy(s).await?;
    stack.destroy_foundation().await
}

async fn deployed(s: &Scenario) -> Result<Deployment, Failure> {
    let stack = Deployment::configured(s).await?;
    stack.up(s).await?;
    Ok(stack)
}

/// [`UPDATES`], with whoever deploys in the place of [`PERSON`], and without that row where it is no person.
async fn updates_of(stack: &Deployment) -> Result<Vec<(&'static str, String, &'static [&'static str])>, Failure> {
    let person = stack.person().await?;
    let value = |value: &str| if value == PERSON { person.clone() } else { Some(value.to_owned()) };
    Ok(UPDATES.into_iter().filter_map(|(key, given, inputs)| Some((key, value(given)?, inputs))).collect())
}

/// What has to be there: list and component.
fn expected(stack: &Deployment) -> Vec<String> {
    [
        ("vpcs", "network"),
        ("private-networks", "network-private"),
        ("instances", "database"),
        ("databases", "serverless"),
        ("buckets", "assets"),
        ("keys", "encryption"),
        ("namespaces", "registry"),
        ("namespaces", "web"),
        ("secrets", "database-password"),
        ("secrets", "application-key"),
        ("secrets", "telemetry-token"),
        ("data-sources", "observability-metrics"),
        ("data-sources", "observability-logs"),
        ("data-sources", "observability-traces"),
        ("tokens", "observability"),
        ("applications", "application"),
        ("groups", "operators"),
        ("policies", "application"),
        ("policies", "operators"),
    ]
    .map(|(list, component)| format!("{list}/{}", stack.named(component)))
    .into_iter()
    // Their names need not tell them from those of other namespaces.
    .chain(["containers/web".to_owned(), "triggers/web-schedule".to_owned()])
    .collect()
}

fn clean<'a>(stack: &'a Deployment, s: &'a Scenario) -> Probe<'a, Vec<String>> {
    Probe::new("pulumi preview --refresh --expect-no-changes", async || Ok(stack.differences(s).await?.0)).once()
}

fn told(outcome: &stackproof::pulumi::Outcome) -> Probe<'static, Vec<String>> {
    Probe::fact("the engine's events", updates(outcome))
}

fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    names.sort();
    names
}

fn failed(outcome: &stackproof::pulumi::Outcome) -> Vec<String> {
    outcome.events.failed.iter().map(|change| change.name().to_owned()).collect()
}

//! US1 Deploy managed infrastructure.
//! Infrastructure developers deploy a complete application stack using Scaleway's managed services
//! through Pulumi, without managing the infrastructure underneath.

use stackproof::acceptance::{Probe, accept, contains, empty, includes, is};
use stackproof_scenarios::{Deployment, changed};

/// What one value of the configuration changes: exactly these resources.
const UPDATES: [(&str, &str, &[&str]); 5] = [
    ("network.vpcTags[0]", "reviewed", &["network-vpc"]),
    ("database.backupRetentionDays", "9", &["database-instance"]),
    ("storage.noncurrentExpirationDays", "11", &["assets-bucket"]),
    ("credentials.databaseDescription", "What the application signs in with.", &["database-password-secret"]),
    ("identity.description", "The application, renamed for its users.", &["application-application"]),
];

/// US1.1 `up` creates everything. So far the slice: network, database, bucket, secrets, identity.
#[tokio::test]
async fn us1_1_up_creates_everything() {
    accept("US1.1", async |s| {
        let stack =
            s.given("a Pulumi project with the Scaleway provider configured", Deployment::configured(s)).await?;

        let (up, cost) = s.when("running pulumi up", stack.up(s)).await?;
        s.then("nothing failed", Probe::fact("the engine's events", failed(&up)), empty()).await?;
        let there = Probe::new("GET …/instances, …/vpcs, …/private-networks, …", async || {
            Ok(stack.inventory().await?.all())
        });
        let expected = [
            format!("vpcs/{}", stack.named("network")),
            format!("private-networks/{}", stack.named("network-private")),
            format!("instances/{}", stack.named("database")),
            format!("secrets/{}", stack.named("database-password")),
            format!("secrets/{}", stack.named("application-key")),
            format!("applications/{}", stack.named("application")),
            format!("policies/{}", stack.named("application")),
            format!("buckets/{}", stack.named("assets")),
        ];
        s.then(
            "the cloud has the network, the database, the bucket, the secrets and the identity",
            there,
            includes(expected),
        )
        .await?;
        s.then("a second preview, refreshed, finds nothing to do", differences(&stack, s), empty()).await?;
        if let Some(cost) = cost {
            s.budget("local cloud: share of an up's time", cost.cloud_percent, 5.0, "%");
            s.budget("local cloud: polls answered 'not ready'", cost.not_ready as f64, 0.0, "polls");
            s.budget("local cloud: unknown routes", cost.unknown_routes as f64, 0.0, "routes");
        }

        for (key, value, resources) in UPDATES {
            let work = async {
                stack.configure(key, value).await?;
                stack.up(s).await
            };
            let (update, _) = s.when(&format!("changing {key} and running pulumi up"), work).await?;
            s.then(
                "exactly that is updated",
                Probe::fact("the engine's events", changed(&update)),
                is(resources.to_vec()),
            )
            .await?;
        }
        s.then("a preview after the updates finds nothing to do", differences(&stack, s), empty()).await?;

        let adopted = ["network-vpc", "assets-bucket", "database-instance"];
        let imported = s
            .when(
                "importing the VPC, the bucket and the database into another stack",
                stack.import_elsewhere(s, &adopted),
            )
            .await?;
        s.then("all three are in its state", Probe::fact("the engine's events", imported), is(adopted.to_vec()))
            .await?;

        let destroyed = s.when("running pulumi destroy", stack.destroy(s)).await?;
        s.then("it says so", Probe::fact("pulumi destroy", destroyed.stdout), contains("deleted")).await?;
        let left = Probe::new("GET …/instances, …/vpcs, …", async || Ok(stack.inventory().await?.leftovers()));
        s.then("nothing is left but what Scaleway itself keeps", left, empty()).await
    })
    .await;
}

fn differences<'a>(stack: &'a Deployment, s: &'a stackproof::acceptance::Scenario) -> Probe<'a, Vec<String>> {
    Probe::new("pulumi preview --refresh --expect-no-changes", async || stack.differences(s).await).once()
}

fn failed(outcome: &stackproof::pulumi::Outcome) -> Vec<String> {
    outcome.events.failed.iter().map(|change| change.name().to_owned()).collect()
}

//! SC-008, FR-009: environments are configurations of the same components.

use std::collections::BTreeSet;

use stackproof::acceptance::{Probe, accept, empty, includes};
use stackproof_scenarios::{Deployment, Setting};

/// Two environments of one team, deployed at the same time from the same code into two projects.
#[tokio::test]
async fn sc_008_two_environments_share_the_code_and_nothing_else() {
    accept("SC-008", async |s| {
        let setting = s.given("one organisation", Setting::instant(s)).await?;
        let (one, other) = (setting.new_project("dev").await?, setting.new_project("prod").await?);
        let dev = s.given("the configuration of dev, in a project of its own", setting.stack("dev", &one)).await?;
        let prod = s.given("that of prod, in another project", setting.stack("prod", &other)).await?;

        let both = async { futures::try_join!(dev.up(s), prod.up(s)) };
        s.when("running pulumi up for both at once", both).await?;
        s.then("dev is there, in its project", list(&dev), includes(own(&dev))).await?;
        s.then("prod is there, in its project", list(&prod), includes(own(&prod))).await?;
        let shared = Probe::new("pulumi stack export", async || {
            let identifiers: BTreeSet<String> = dev.identifiers().await?.into_iter().collect();
            Ok(prod.identifiers().await?.into_iter().filter(|id| identifiers.contains(id)).collect::<Vec<_>>())
        });
        s.then("no resource is in both", shared, empty()).await?;
        let strangers = Probe::new("GET …/instances, …/vpcs, … of dev's project", async || {
            Ok(dev
                .inventory()
                .await?
                .leftovers()
                .into_iter()
                .filter(|name| name.contains("-prod-"))
                .collect::<Vec<_>>())
        });
        s.then("nothing of prod is in dev's project", strangers, empty()).await?;

        s.when("running pulumi destroy for dev", async {
            dev.destroy(s).await.map(drop)?;
            dev.destroy_foundation().await
        })
        .await?;
        let gone = Probe::new("GET …/instances, …/vpcs, …", async || Ok(dev.inventory().await?.leftovers()));
        s.then("nothing of dev is left", gone, empty()).await?;
        let untouched =
            Probe::new("pulumi preview --refresh --expect-no-changes", async || Ok(prod.differences(s).await?.0));
        s.then("prod is untouched", untouched.once(), empty()).await?;

        s.when("running pulumi destroy for prod", async {
            prod.destroy(s).await.map(drop)?;
            prod.destroy_foundation().await
        })
        .await?;
        let gone = Probe::new("GET …/instances, …/vpcs, …", async || Ok(prod.inventory().await?.leftovers()));
        s.then("nothing of prod is left", gone, empty()).await?;
        let emptied = async { futures::try_join!(setting.delete_project(&one), setting.delete_project(&other)) };
        s.when("deleting both projects, which Scaleway refuses while anything is in them", emptied).await?;
        let remaining = Probe::new("GET …/projects", async || {
            Ok(setting.projects().await?.into_iter().filter(|id| *id == one || *id == other).collect::<Vec<_>>())
        });
        s.then("neither is there any more", remaining, empty()).await
    })
    .await;
}

fn list(stack: &Deployment) -> Probe<'_, Vec<String>> {
    Probe::new("GET …/instances, …/vpcs, …", async || Ok(stack.inventory().await?.all()))
}

fn own(stack: &Deployment) -> Vec<String> {
    vec![
        format!("vpcs/{}", stack.named("network")),
        format!("instances/{}", stack.named("database")),
        format!("buckets/{}", stack.named("assets")),
    ]
}

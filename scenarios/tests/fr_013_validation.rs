//! FR-013: a configuration is judged before anything is contacted, and all that is wrong with it is said at once.

use stackproof::acceptance::{Probe, accept, contains, is};
use stackproof_scenarios::Setting;

/// What is wrong with a configuration: the key, its value in YAML, and the key that the fault names.
const FAULTS: [(&str, &str); 5] = [
    ("prefix", "Has Capitals"),
    ("network.cidr", "10.0.0.0/40"),
    ("database.backupRetentionDays", "0"),
    ("database.nodeType", "huge"),
    ("storage.noncurrentExpirationDays", "-1"),
];

/// Every fault in one answer, and not one request.
#[tokio::test]
async fn fr_013_a_bad_configuration_is_refused_before_anything_is_contacted() {
    accept("FR-013", async |s| {
        let setting = Setting::instant(s).await?;
        let project = setting.project().to_owned();
        let stack = setting.stack("proof", &project).await?;
        s.given(&format!("a configuration with {} faults", FAULTS.len()), stack.configure(&FAULTS)).await?;
        let before = stack.requests().await?;

        let refused = s.when("running pulumi up", stack.refused(s)).await?;
        let said: Vec<String> =
            refused.events.diagnostics.iter().map(|diagnostic| diagnostic.message.clone()).collect();
        let said = said.join("\n");
        for (key, _) in FAULTS {
            s.then(&format!("it names {key}"), Probe::fact("what the program says", said.clone()), contains(key))
                .await?;
        }
        s.then("all in one answer", Probe::fact("what the program says", said.clone()), contains("5 faults")).await?;
        if let (Some(before), Some(after)) = (before, stack.requests().await?) {
            s.then("Scaleway was not asked anything", Probe::fact("requests", after - before), is(0)).await?;
        }
        Ok(())
    })
    .await;
}

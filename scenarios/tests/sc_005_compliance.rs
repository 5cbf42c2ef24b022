//! SC-005: security configurations pass automated compliance checks for 100 % of deployments. One that does not is stopped
//! before anything is made; a change behind Pulumi's back is found in what is there.

use stackproof::acceptance::{Probe, accept, contains, empty, is};
use stackproof_scenarios::{Checkout, Deployment};

/// What is planted into a checkout: a sentence, the file, what stands there, what takes its place, and what `up` then says:
/// the rule with its resource, and how to fix it.
const PLANTED: [(&str, &str, &str, &str, &str, &str); 4] = [
    (
        "a program whose buckets forget",
        "infra/stackproof_infra/components/storage.py",
        "BucketVersioningArgs(enabled=True)",
        "BucketVersioningArgs(enabled=False)",
        "bucket-versioned  assets-bucket: versioning is not on",
        "fix: Set versioning=BucketVersioningArgs(enabled=True).",
    ),
    (
        "a program whose application may do everything",
        "infra/__main__.py",
        "permission_sets=settings.identity.permission_sets,",
        "permission_sets=(*settings.identity.permission_sets, \"AllProductsFullAccess\"),",
        "least-privilege  application-policy: it grants AllProductsFullAccess",
        "fix: Grant the sets of the products that are used",
    ),
    (
        "a configuration with an API key that has ended",
        "infra/Pulumi.dev.yaml",
        "  stackproof-infra:encryption:",
        "  stackproof-infra:identity:\n    keyExpiresAt: 2020-01-01T00:00:00Z\n  stackproof-infra:encryption:",
        "api-key-age  application-api-key: it has ended",
        "fix: stackproof rotate --stack dev --target scaleway --what api-keys",
    ),
    (
        "a waiver that has run out",
        "infra/policy/waivers.toml",
        "expires = 2027-12-31",
        "expires = 2020-12-31",
        "waiver-valid  database-private for lock-instance: it ran out on 2020-12-31; platform lead answers for it",
        "fix: Mend the entry in infra/policy/waivers.toml",
    ),
];

/// The real command, on a cloud on which nothing was made: neither the foundation nor the stack.
#[tokio::test]
async fn sc_005_what_breaks_a_rule_is_stopped_before_anything_is_made() {
    accept("SC-005", async |s| {
        for (sentence, file, old, new, rule, fix) in PLANTED {
            let checkout = s.given("a checkout of its own", Checkout::copied(s)).await?;
            s.given(sentence, async { checkout.change(file, old, new) }).await?;
            let before = checkout.requests().await?;

            let up = checkout.run(&["up", "--stack", "dev", "--target", "scaleway"]);
            let said = s.when("running stackproof up", up).await?;
            let words = |text: &str| Probe::fact("what stackproof up says", text.to_owned());
            s.then("it ends with exit code 1", Probe::fact("exit code", said.code), is(Some(1))).await?;
            s.then("it says that nothing was made", words(&said.stderr), contains("nothing was made")).await?;
            s.then("it names the rule, the resource and what is wrong", words(&said.stderr), contains(rule)).await?;
            s.then("it says how to fix it", words(&said.stderr), contains(fix)).await?;
            let next = "next: mend the program or its configuration, then stackproof check --stack dev";
            s.then("it says what to run next", words(&said.stderr), contains(next)).await?;
            if let (Some(before), Some(after)) = (before, checkout.requests().await?) {
                s.then("Scaleway was not asked anything", Probe::fact("requests", after - before), is(0)).await?;
            }
        }
        Ok(())
    })
    .await;
}

/// What is there is judged through the public API, whoever made it.
#[tokio::test]
async fn sc_005_a_change_behind_pulumis_back_is_found_and_put_right() {
    accept("SC-005-live", async |s| {
        let stack = s.given("a configured stack", Deployment::configured(s)).await?;
        for environment in ["dev", "staging", "prod"] {
            let judged =
                Probe::new(format!("stackproof check --stack {environment}"), async || stack.judged(environment));
            s.then(&format!("{environment} keeps every rule before it is made"), judged.once(), empty()).await?;
        }
        s.given("it is deployed", stack.up(s)).await?;
        let found = || Probe::new("stackproof compliance", async || stack.compliance(s).await);
        s.then("what is there keeps every rule", found(), empty()).await?;

        s.when("somebody gives the database a public endpoint", stack.open_the_database()).await?;
        let opened = [format!("database-private database {}", stack.named("database"))];
        s.then("that is found", found(), is(opened.to_vec())).await?;
        s.when("the endpoint is taken away", stack.close_the_database()).await?;
        s.then("every rule holds again", found(), empty()).await?;

        let policy = s.when("somebody grants the application everything", stack.grant_everything()).await?;
        let granted = [format!("least-privilege policy {}", stack.named("help"))];
        s.then("that is found", found(), is(granted.to_vec())).await?;
        s.when("the policy is taken away", stack.revoke(&policy)).await?;

        s.when("somebody switches the bucket's versioning off", stack.forget_versions()).await?;
        let suspended = [format!("bucket-versioned bucket {}", stack.named("assets"))];
        s.then("that is found", found(), is(suspended.to_vec())).await?;
        s.when("running stackproof refresh and up", stack.put_right(s)).await?;
        s.then("every rule holds again", found(), empty()).await?;

        let change = [("database.backupRetentionDays", "1")];
        s.given("a change to the configuration that breaks a rule", stack.configure(&change)).await?;
        let refused = s.when("running pulumi up with the policy pack", stack.refused(s)).await?;
        let rules: Vec<String> = refused.events.violations.iter().map(|broken| broken.rule.clone()).collect();
        s.then("the engine stops at the rule", Probe::fact("policy events", rules), is(["database-backups"])).await?;
        s.then("what is there keeps every rule as before", found(), empty()).await?;

        stack.is_taken_away(s).await
    })
    .await;
}

use jiff::civil::date;
use rstest::rstest;
use serde_json::{Value, json};

use super::{
    super::{Origin, Waivers, catalog::tests::ours},
    seen::Seen,
    *,
};

const IMAGE: &str = "rg.fr-par.scw.cloud/acme/shop@sha256:00";

fn now() -> Timestamp {
    date(2026, 11, 29).at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp()
}

fn seen(kind: &'static str, body: Value) -> Seen {
    let tags = vec!["stack:dev".to_owned(), format!("urn:pulumi:dev::p::t::web-{kind}")];
    Seen { kind, region: "fr-par".to_owned(), name: format!("acme-dev-{kind}"), tags, body }
}

fn database() -> Value {
    json!({
        "encryption": {"enabled": true},
        "endpoints": [{"private_network": {"private_network_id": "1"}, "port": 5432}],
        "acls": [{"ip": "0.0.0.0/0"}],
        "users": [{"name": "administrator", "is_admin": true}, {"name": "app", "is_admin": false}],
        "backup_schedule": {"disabled": false, "frequency": 24, "retention": 7},
        "backup_same_region": false,
    })
}

fn bucket() -> Value {
    json!({"versioning": "Enabled", "encryption": "AES256", "opened_to": [], "has_policy": true, "strangers": []})
}

fn container() -> Value {
    json!({"https_connections_only": true, "private_network_id": "1", "image": IMAGE,
           "environment_variables": {"ACCESS_KEY": "SCW"}})
}

/// One of each kind, as the stack makes it.
fn well() -> Vec<Seen> {
    vec![
        seen("database", database()),
        seen("serverless-database", json!({})),
        seen("bucket", bucket()),
        seen("container", container()),
        seen("namespace", json!({"environment_variables": {}})),
        seen("registry", json!({"is_public": false})),
        seen("network", json!({})),
        seen("policy", json!({"rules": [{"permission_set_names": ["SecretManagerReadOnly"], "project_ids": ["1"]}]})),
        seen("token", json!({"scopes": ["write_only_logs"]})),
        seen("source", json!({"retention_days": 30})),
        seen(
            "key",
            json!({"usage": {"symmetric_encryption": "aes_256_gcm"},
                           "rotation_policy": {"rotation_period": "7776000s"}}),
        ),
        seen("api-key", json!({"created_at": "2026-11-01T00:00:00Z", "expires_at": null})),
        seen(
            "secret",
            json!({"versions": [
                {"revision": 1, "status": "enabled", "created_at": "2020-01-01T00:00:00Z"},
                {"revision": 2, "status": "enabled", "created_at": "2026-11-01T00:00:00Z"},
                {"revision": 3, "status": "disabled", "created_at": "2020-01-01T00:00:00Z"},
            ]}),
        ),
    ]
}

fn findings(seen: &[Seen], waivers: &Waivers) -> Report {
    judge(seen, Vec::new(), Rules { catalog: &ours(), waivers, asked: None }, now())
}

/// What is found when one value of one resource is another.
fn planted(kind: &str, pointer: &str, value: Value) -> Vec<(String, String)> {
    let mut all = well();
    let one = all.iter_mut().find(|one| one.kind == kind).unwrap();
    let (above, last) = pointer.rsplit_once('/').unwrap();
    match (one.body.pointer_mut(above).unwrap(), last.parse::<usize>()) {
        (Value::Array(items), Ok(at)) => items[at] = value,
        (other, _) => other[last] = value,
    }
    let report = findings(&all, &Waivers::default());
    assert!(!report.ok && report.findings.iter().all(|finding| finding.resource == format!("{kind} acme-dev-{kind}")));
    report.findings.into_iter().map(|finding| (finding.rule, finding.found)).collect()
}

#[test]
fn the_rules_and_the_checks_of_what_is_live_are_the_same() {
    fits(&ours()).unwrap();
    let mut less = ours();
    less.rules.retain(|rule| rule.id != "tagged");
    assert!(fits(&less).unwrap_err().meaning.contains("there is no rule tagged"));
    let mut more = ours();
    more.rules[0].live = vec!["bucket".to_owned()];
    assert!(fits(&more).unwrap_err().meaning.contains("rule scaleway-only has no check"));
    more.rules[0].live = vec!["server".to_owned()];
    assert!(fits(&more).unwrap_err().meaning.contains("looks at server, which is no kind of resource"));
}

#[test]
fn what_the_stack_makes_keeps_every_rule_and_every_rule_looks_at_something() {
    let waivers = Waivers::parse(include_str!("../../../../infra/policy/waivers.toml")).unwrap();
    let report = findings(&well(), &waivers);
    assert_eq!(report.findings, []);
    assert!(report.ok);
    let idle: Vec<_> = report.rules.iter().filter(|rule| rule.looked_at == 0).collect();
    assert_eq!(idle, Vec::<&LookedAt>::new());
}

#[rstest]
#[case("database-encrypted", "database", "/encryption/enabled", json!(false), "its disk is not encrypted")]
#[case("database-backups", "database", "/backup_schedule/disabled", json!(true), "its backups are off")]
#[case("database-backups", "database", "/backup_schedule/retention", json!(2), "backups are kept for 2 days, not 3")]
#[case("database-backups", "database", "/backup_schedule/frequency", json!(48), "a backup every 48 hours, not 24")]
#[case("database-backups", "database", "/backup_same_region", json!(true), "its backups rest in its own region")]
#[case("database-user", "database", "/users/1", json!({"name": "app", "is_admin": true}), "its user app administers it")]
#[case("bucket-encrypted", "bucket", "/encryption", Value::Null, "it has no default encryption")]
#[case("bucket-versioned", "bucket", "/versioning", json!("Suspended"), "versioning is suspended")]
#[case("bucket-versioned", "bucket", "/versioning", Value::Null, "versioning was never on")]
#[case("bucket-closed", "bucket", "/opened_to", json!(["AllUsers"]), "its ACL opens it to everybody")]
#[case("bucket-closed", "bucket", "/strangers", json!(["Readers"]), "statement Readers of its policy allows everybody")]
#[case("bucket-closed", "bucket", "/has_policy", json!(false),
       "it has no policy, and so is open to every key of the project")]
#[case("container-https-only", "container", "/https_connections_only", json!(false), "it answers HTTP in the clear")]
#[case("container-in-network", "container", "/private_network_id", Value::Null, "it is in no private network")]
#[case("container-image", "container", "/image", json!("rg.fr-par.scw.cloud/acme/shop:1"),
       "its image is named by a tag, not by its digest")]
#[case("container-image", "container", "/image", json!("docker.io/shop@sha256:00"), "its image comes from docker.io")]
#[case("no-plain-credentials", "container", "/environment_variables/db_password", json!("x"),
       "its variable db_password is in the clear")]
#[case("no-plain-credentials", "namespace", "/environment_variables/A_TOKEN", json!("x"),
       "its variable A_TOKEN is in the clear")]
#[case("registry-private", "registry", "/is_public", json!(true), "everybody may pull from it")]
#[case("least-privilege", "policy", "/rules/0/permission_set_names", json!(["AllProductsFullAccess"]),
       "it grants AllProductsFullAccess")]
#[case(
    "least-privilege",
    "policy",
    "/rules/0/project_ids",
    Value::Null,
    "a rule of it names no projects, and so holds in all"
)]
#[case("telemetry-token", "token", "/scopes", json!(["write_only_logs", "read_only_logs"]),
       "its scope read_only_logs is on")]
#[case("telemetry-retention", "source", "/retention_days", json!(7), "it keeps for 7 days, not 30")]
#[case("key-rotation", "key", "/rotation_policy", Value::Null, "it does not rotate")]
#[case("key-rotation", "key", "/rotation_policy/rotation_period", json!("34560000s"),
       "it rotates every 400 days, not 365")]
#[case("api-key-age", "api-key", "/created_at", json!("2026-01-01T00:00:00Z"),
       "it has no end, and is 332 days old, more than 180")]
#[case("api-key-age", "api-key", "/expires_at", json!("2026-11-28T00:00:00Z"), "it has ended: 2026-11-28T00:00:00Z")]
#[case("api-key-age", "api-key", "/expires_at", json!("2027-11-28T00:00:00Z"),
       "it ends on 2027-11-28T00:00:00Z, in more than 180 days")]
#[case("secret-age", "secret", "/versions/1/created_at", json!("2026-01-01T00:00:00Z"),
       "what it holds is 332 days old, more than 180")]
fn a_planted_change_is_found_and_nothing_else_is(
    #[case] rule: &str,
    #[case] kind: &str,
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] found: &str,
) {
    assert_eq!(planted(kind, pointer, value), [(rule.to_owned(), found.to_owned())]);
}

#[test]
fn a_public_endpoint_is_found_and_then_its_list_matters() {
    let public = json!({"load_balancer": {}, "ip": "51.1.2.3", "port": 20000});
    let both = planted("database", "/endpoints", json!([database()["endpoints"][0], public]));
    let found = [
        ("database-private", "it has a public endpoint, 51.1.2.3:20000"),
        ("database-allow-list", "it lets in 0.0.0.0/0, which is the whole internet"),
    ];
    assert_eq!(both, found.map(|(rule, found)| (rule.to_owned(), found.to_owned())));
}

#[test]
fn a_resource_elsewhere_or_without_tags_is_found() {
    let mut all = well();
    all[0].region = "us-east-1".to_owned();
    all[1].tags = Vec::new();
    all[2].tags = vec!["stack:dev".to_owned()];
    let report = findings(&all, &Waivers::default());
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.rule.as_str(), &*finding.resource)).collect();
    assert_eq!(found, [("region-allowed", "database acme-dev-database"), ("tagged", "bucket acme-dev-bucket")]);
}

#[test]
fn a_waiver_is_matched_by_the_logical_name_or_the_real_one() {
    let all: Vec<Seen> = well().into_iter().filter(|one| one.kind != "database").collect();
    let public = json!({"encryption": {"enabled": false}, "endpoints": [{"private_network": {}}], "acls": [],
                        "users": [], "backup_schedule": {"frequency": 24, "retention": 7}});
    let all = [all, vec![seen("database", public)]].concat();
    let waiver = |name: &str| {
        let text = format!(
            "[[waiver]]\nrule = \"database-encrypted\"\nresource = \"{name}\"\nowner = \"o\"\nreason = \"r\"\n\
             expires = 2026-11-29\n"
        );
        Waivers::parse(&text).unwrap()
    };
    for (name, waived) in [("web-database", true), ("acme-dev-database", true), ("database", false)] {
        let report = findings(&all, &waiver(name));
        assert_eq!((report.ok, report.waived.len()), (waived, usize::from(waived)), "{name}");
    }
}

#[test]
fn what_could_not_be_looked_at_is_not_well() {
    let rules = Rules { catalog: &ours(), waivers: &Waivers::default(), asked: None };
    let report = judge(&well(), vec!["bucket x: 403".to_owned()], rules, now());
    assert!(!report.ok && report.findings.is_empty());
}

#[test]
fn what_drifted_is_told_from_what_the_program_asks_for() {
    let mut all = well();
    for one in &mut all {
        match one.kind {
            "database" => one.body["encryption"]["enabled"] = json!(false),
            "bucket" => one.body["versioning"] = json!("Suspended"),
            "registry" => (one.body["is_public"], one.tags) = (json!(true), Vec::new()),
            _ => {}
        }
    }
    let asked =
        json!({"rule": "database-encrypted", "resource": "web-database", "found": "encryptionAtRest is not on"});
    let program = json!({"project": "p", "stack": "dev", "findings": [asked], "waived": []});
    let asked = serde_json::from_value(json!({"ok": false, "programs": [program], "rules": []})).unwrap();
    let rules = Rules { catalog: &ours(), waivers: &Waivers::default(), asked: Some(&asked) };
    let report = judge(&all, Vec::new(), rules, now());
    let origins: Vec<_> = report.findings.iter().map(|finding| (finding.rule.as_str(), finding.origin)).collect();
    let expected = [
        ("database-encrypted", Some(Origin::Program)),
        ("bucket-versioned", Some(Origin::Drift)),
        ("registry-private", Some(Origin::Foreign)),
    ];
    assert_eq!(origins, expected);
}

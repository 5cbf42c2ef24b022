//! What each rule looks for in what is there: by the same ids, and as far as the API tells by the same measures, as
//! `stackproof_policy.checks` in what the program asks for.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::seen::Seen;
use crate::compliance::Parameters;

/// Says what is wrong with a resource, as of a moment.
pub(super) type Check = fn(&Seen, &Parameters, Timestamp) -> Vec<String>;

/// The rules that have one.
pub(super) const IDS: [&str; 21] = [
    "region-allowed",
    "tagged",
    "database-encrypted",
    "database-private",
    "database-allow-list",
    "database-backups",
    "database-user",
    "bucket-encrypted",
    "bucket-versioned",
    "bucket-closed",
    "container-https-only",
    "container-in-network",
    "container-image",
    "no-plain-credentials",
    "registry-private",
    "least-privilege",
    "telemetry-token",
    "telemetry-retention",
    "key-rotation",
    "api-key-age",
    "secret-age",
];

/// The check of a rule.
pub(super) fn of(id: &str) -> Option<Check> {
    Some(match id {
        "region-allowed" => region_allowed,
        "tagged" => tagged,
        "database-encrypted" => |one, _, _| unless(one.is_on("/encryption/enabled"), "its disk is not encrypted"),
        "database-private" => database_private,
        "database-allow-list" => database_allow_list,
        "database-backups" => database_backups,
        "database-user" => database_user,
        "bucket-encrypted" => |one, _, _| unless(!one.text("/encryption").is_empty(), "it has no default encryption"),
        "bucket-versioned" => bucket_versioned,
        "bucket-closed" => bucket_closed,
        "container-https-only" => {
            |one, _, _| unless(one.is_on("/https_connections_only"), "it answers HTTP in the clear")
        }
        "container-in-network" => {
            |one, _, _| unless(!one.text("/private_network_id").is_empty(), "it is in no private network")
        }
        "container-image" => container_image,
        "no-plain-credentials" => no_plain_credentials,
        "registry-private" => |one, _, _| unless(!one.is_on("/is_public"), "everybody may pull from it"),
        "least-privilege" => least_privilege,
        "telemetry-token" => telemetry_token,
        "telemetry-retention" => telemetry_retention,
        "key-rotation" => key_rotation,
        "api-key-age" => api_key_age,
        "secret-age" => secret_age,
        _ => return None,
    })
}

fn unless(holds: bool, wrong: &str) -> Vec<String> {
    if holds { Vec::new() } else { vec![wrong.to_owned()] }
}

fn region_allowed(one: &Seen, parameters: &Parameters, _: Timestamp) -> Vec<String> {
    let allowed = parameters.regions.contains(&one.region);
    unless(allowed, &format!("it lies in {}, not in {}", one.region, parameters.regions.join(", ")))
}

fn tagged(one: &Seen, _: &Parameters, _: Timestamp) -> Vec<String> {
    // What stackproof itself keeps for a state is in no program.
    let ours = one.kind == "secret" && one.name.ends_with("-state-passphrase");
    let has = |start: &str| one.tags.iter().any(|tag| tag.starts_with(start));
    let mut wrong = unless(has("stack:"), "it has no tag stack:…, and so is of no stack");
    wrong.extend(unless(ours || has("urn:"), "it has no tag with its URN, and so is of no program"));
    wrong
}

fn is_public(endpoint: &Value) -> bool {
    !endpoint["load_balancer"].is_null() || !endpoint["direct_access"].is_null()
}

fn database_private(one: &Seen, _: &Parameters, _: Timestamp) -> Vec<String> {
    let public = one.items("/endpoints").filter(|endpoint| is_public(endpoint));
    let mut wrong: Vec<String> = public
        .map(|endpoint| {
            let host = endpoint["hostname"].as_str().or_else(|| endpoint["ip"].as_str()).unwrap_or_default();
            format!("it has a public endpoint, {host}:{}", endpoint["port"])
        })
        .collect();
    let private = one.items("/endpoints").any(|endpoint| !endpoint["private_network"].is_null());
    wrong.extend(unless(private, "it is in no private network"));
    wrong
}

fn database_allow_list(one: &Seen, _: &Parameters, _: Timestamp) -> Vec<String> {
    if !one.items("/endpoints").any(is_public) {
        return Vec::new();
    }
    let networks = one.items("/acls").filter_map(|rule| rule["ip"].as_str());
    networks
        .filter(|network| is_everybody(network))
        .map(|network| format!("it lets in {network}, which is the whole internet"))
        .collect()
}

fn is_everybody(network: &str) -> bool {
    network.split_once('/').is_some_and(|(address, length)| length == "0" && address.parse::<IpAddr>().is_ok())
}

fn database_backups(one: &Seen, parameters: &Parameters, _: Timestamp) -> Vec<String> {
    if one.is_on("/backup_schedule/disabled") {
        return vec!["its backups are off".to_owned()];
    }
    let (hours, days) = (one.at("/backup_schedule/frequency").as_u64(), one.at("/backup_schedule/retention").as_u64());
    let mut wrong = Vec::new();
    match hours {
        Some(hours) if hours <= parameters.backup_frequency_hours.into() => {}
        Some(hours) => wrong.push(format!("a backup every {hours} hours, not {}", parameters.backup_frequency_hours)),
        None => wrong.push("it does not say how often it is backed up".to_owned()),
    }
    match days {
        Some(days) if days >= parameters.backup_retention_days.into() => {}
        Some(days) => wrong.push(format!("backups are kept for {days} days, not {}", parameters.backup_retention_days)),
        None => wrong.push("it does not say how long backups are kept".to_owned()),
    }
    wrong.extend(unless(!one.is_on("/backup_same_region"), "its backups rest in its own region"));
    wrong
}

fn database_user(one: &Seen, _: &Parameters, _: Timestamp) -> Vec<String> {
    // Every instance is born with one that administers; its name is the program's choice.
    let administers = |user: &&Value| user["is_admin"] == true && user["name"] != "administrator";
    let name = |user: &Value| format!("its user {} administers it", user["name"].as_str().unwrap_or_default());
    one.items("/users").filter(administers).map(name).collect()
}

fn bucket_versioned(one: &Seen, _: &Parameters, _: Timestamp) -> Vec<String> {
    match one.text("/versioning") {
        "Enabled" => Vec::new(),
        "" => vec!["versioning was never on".to_owned()],
        status => vec![format!("versioning is {}", status.to_lowercase())],
    }
}

fn bucket_closed(one: &Seen, _: &Parameters, _: Timestamp) -> Vec<String> {
    let mut wrong = unless(one.is_on("/has_policy"), "it has no policy, and so is open to every key of the project");
    wrong.extend(unless(one.items("/opened_to").next().is_none(), "its ACL opens it to everybody"));
    let strangers = one.items("/strangers").filter_map(Value::as_str);
    wrong.extend(strangers.map(|statement| format!("statement {statement} of its policy allows everybody")));
    wrong
}

fn container_image(one: &Seen, parameters: &Parameters, _: Timestamp) -> Vec<String> {
    let image = one.text("/image");
    let host = image.split('/').next().unwrap_or_default();
    let own = parameters.regions.iter().any(|region| host == format!("rg.{region}.scw.cloud"));
    let mut wrong = unless(own, &format!("its image comes from {host}"));
    wrong.extend(unless(image.contains("@sha256:"), "its image is named by a tag, not by its digest"));
    wrong
}

/// Names that say what the value is, as in `stackproof_policy.checks.container`.
const CREDENTIALS: [&str; 7] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "PRIVATE_KEY", "CREDENTIAL", "PASSPHRASE"];

fn no_plain_credentials(one: &Seen, _: &Parameters, _: Timestamp) -> Vec<String> {
    let names = one.at("/environment_variables").as_object().into_iter().flat_map(serde_json::Map::keys);
    let credential = |name: &&String| CREDENTIALS.iter().any(|word| name.to_uppercase().contains(word));
    names.filter(credential).map(|name| format!("its variable {name} is in the clear")).collect()
}

fn least_privilege(one: &Seen, parameters: &Parameters, _: Timestamp) -> Vec<String> {
    let mut wrong = Vec::new();
    for rule in one.items("/rules") {
        let names = rule["permission_set_names"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let ruling = names.filter(|name| parameters.forbidden_permission_sets.iter().any(|one| one == name));
        wrong.extend(ruling.map(|name| format!("it grants {name}")));
        let projects = rule["project_ids"].as_array().is_some_and(|projects| !projects.is_empty());
        wrong.extend(unless(projects, "a rule of it names no projects, and so holds in all"));
    }
    wrong
}

fn telemetry_token(one: &Seen, _: &Parameters, _: Timestamp) -> Vec<String> {
    let scopes = one.items("/scopes").filter_map(Value::as_str);
    let too_much = scopes.filter(|scope| !scope.starts_with("write_only_") && *scope != "unknown_scope");
    too_much.map(|scope| format!("its scope {scope} is on")).collect()
}

fn telemetry_retention(one: &Seen, parameters: &Parameters, _: Timestamp) -> Vec<String> {
    match one.at("/retention_days").as_u64() {
        Some(days) if days >= parameters.telemetry_retention_days.into() => Vec::new(),
        Some(days) => vec![format!("it keeps for {days} days, not {}", parameters.telemetry_retention_days)],
        None => vec!["it does not say how long it keeps".to_owned()],
    }
}

fn key_rotation(one: &Seen, parameters: &Parameters, _: Timestamp) -> Vec<String> {
    if one.text("/usage/symmetric_encryption").is_empty() {
        return Vec::new();
    }
    // As protobuf writes durations: `7776000s`.
    let period = one.text("/rotation_policy/rotation_period");
    let seconds = period.strip_suffix('s').and_then(|seconds| seconds.parse::<f64>().ok());
    match seconds.map(|seconds| seconds / 86_400.0) {
        Some(days) if days <= f64::from(parameters.key_rotation_days) => Vec::new(),
        Some(days) => vec![format!("it rotates every {days:.0} days, not {}", parameters.key_rotation_days)],
        None => vec!["it does not rotate".to_owned()],
    }
}

fn days(count: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(count))
}

/// How long ago something was, in whole days; `Err` where it does not say when.
fn age(one: &Value, field: &str, now: Timestamp) -> Result<SignedDuration, String> {
    let moment = one[field].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    moment.map(|moment| now.duration_since(moment)).ok_or_else(|| format!("it does not say its {field}"))
}

fn too_old(age: Result<SignedDuration, String>, limit: u32, what: &str) -> Vec<String> {
    match age {
        Ok(age) if age <= days(limit) => Vec::new(),
        Ok(age) => vec![format!("{what} is {} days old, more than {limit}", age.as_hours() / 24)],
        Err(why) => vec![why],
    }
}

fn api_key_age(one: &Seen, parameters: &Parameters, now: Timestamp) -> Vec<String> {
    let limit = parameters.api_key_age_days;
    let Ok(end) = one.text("/expires_at").parse::<Timestamp>() else {
        return too_old(age(&one.body, "created_at", now), limit, "it has no end, and");
    };
    if end <= now {
        vec![format!("it has ended: {end}")]
    } else {
        unless(end.duration_since(now) <= days(limit), &format!("it ends on {end}, in more than {limit} days"))
    }
}

fn secret_age(one: &Seen, parameters: &Parameters, now: Timestamp) -> Vec<String> {
    let enabled = one.items("/versions").filter(|version| version["status"] == "enabled");
    let Some(latest) = enabled.max_by_key(|version| version["revision"].as_u64()) else { return Vec::new() };
    too_old(age(latest, "created_at", now), parameters.secret_age_days, "what it holds")
}

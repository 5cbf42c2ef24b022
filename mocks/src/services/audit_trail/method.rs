//! The names of methods and services, which follow from routes.

use crate::kernel::Route;

/// Methods that are called otherwise than the rule says (SDK: the methods of its API structs): the HTTP method,
/// the path from the product on without version and place, the name.
#[rustfmt::skip]
const NAMES: [(&str, &str, &str); 54] = [
    ("POST", "account/projects/{project_id}/project-qualification", "SetProjectQualification"),
    ("POST", "cockpit/alert-manager/contact-points/delete", "DeleteContactPoint"),
    ("POST", "cockpit/alert-manager/disable", "DisableAlertManager"),
    ("POST", "cockpit/alert-manager/disable-alert-rules", "DisableAlertRules"),
    ("POST", "cockpit/alert-manager/enable", "EnableAlertManager"),
    ("POST", "cockpit/alert-manager/enable-alert-rules", "EnableAlertRules"),
    ("POST", "cockpit/alert-manager/managed-alerts/disable", "DisableManagedAlerts"),
    ("POST", "cockpit/alert-manager/managed-alerts/enable", "EnableManagedAlerts"),
    ("POST", "cockpit/alert-manager/trigger-test-alert", "TriggerTestAlert"),
    ("POST", "cockpit/grafana/sync-data-sources", "SyncGrafanaDataSources"),
    ("POST", "cockpit/grafana/users", "CreateGrafanaUser"),
    ("DELETE", "cockpit/grafana/users/{grafana_user_id}", "DeleteGrafanaUser"),
    ("POST", "cockpit/grafana/users/{grafana_user_id}/reset-password", "ResetGrafanaUserPassword"),
    ("PATCH", "cockpit/plans", "SelectPlan"),
    ("POST", "iam/groups/{group_id}/add-member", "AddGroupMember"),
    ("POST", "iam/groups/{group_id}/add-members", "AddGroupMembers"),
    ("PUT", "iam/groups/{group_id}/members", "SetGroupMembers"),
    ("POST", "iam/groups/{group_id}/remove-member", "RemoveGroupMember"),
    ("POST", "iam/organizations/{organization_id}/saml", "EnableOrganizationSaml"),
    ("POST", "iam/organizations/{organization_id}/scim", "EnableOrganizationScim"),
    ("PUT", "iam/rules", "SetRules"),
    ("POST", "iam/saml/{saml_id}/certificates", "AddSamlCertificate"),
    ("POST", "iam/scim/{scim_id}/tokens", "CreateScimToken"),
    ("POST", "iam/users/{user_id}/update-username", "UpdateUserUsername"),
    ("POST", "ipam/ip-sets/release", "ReleaseIPSet"),
    ("POST", "ipam/ips", "BookIP"),
    ("DELETE", "ipam/ips/{ip_id}", "ReleaseIP"),
    ("POST", "key-manager/keys/{key_id}/decrypt", "Decrypt"),
    ("POST", "key-manager/keys/{key_id}/encrypt", "Encrypt"),
    ("POST", "key-manager/keys/{key_id}/sign", "Sign"),
    ("POST", "key-manager/keys/{key_id}/verify", "Verify"),
    ("POST", "rdb/backups", "CreateDatabaseBackup"),
    ("PATCH", "rdb/backups/{database_backup_id}", "UpdateDatabaseBackup"),
    ("DELETE", "rdb/backups/{database_backup_id}", "DeleteDatabaseBackup"),
    ("PUT", "rdb/instances/{instance_id}/acls", "SetInstanceACLRules"),
    ("POST", "rdb/instances/{instance_id}/acls", "AddInstanceACLRules"),
    ("DELETE", "rdb/instances/{instance_id}/acls", "DeleteInstanceACLRules"),
    ("POST", "rdb/instances/{instance_id}/prepare-logs", "PrepareInstanceLogs"),
    ("POST", "rdb/instances/{instance_id}/purge-logs", "PurgeInstanceLogs"),
    ("POST", "rdb/instances/{instance_id}/renew-certificate", "RenewInstanceCertificate"),
    ("PUT", "rdb/instances/{instance_id}/settings", "SetInstanceSettings"),
    ("POST", "rdb/instances/{instance_id}/settings", "AddInstanceSettings"),
    ("DELETE", "rdb/instances/{instance_id}/settings", "DeleteInstanceSettings"),
    ("POST", "rdb/read-replicas/{read_replica_id}/endpoints", "CreateReadReplicaEndpoint"),
    ("POST", "rdb/snapshots/{snapshot_id}/create-instance", "CreateInstanceFromSnapshot"),
    ("GET", "secret-manager/secrets-by-path/versions/{revision}/access", "AccessSecretVersionByPath"),
    ("POST", "secret-manager/secrets/{secret_id}/versions", "CreateSecretVersion"),
    ("PATCH", "secret-manager/secrets/{secret_id}/versions/{revision}", "UpdateSecretVersion"),
    ("DELETE", "secret-manager/secrets/{secret_id}/versions/{revision}", "DeleteSecretVersion"),
    ("GET", "secret-manager/secrets/{secret_id}/versions/{revision}/access", "AccessSecretVersion"),
    ("POST", "secret-manager/secrets/{secret_id}/versions/{revision}/disable", "DisableSecretVersion"),
    ("POST", "secret-manager/secrets/{secret_id}/versions/{revision}/enable", "EnableSecretVersion"),
    ("POST", "secret-manager/secrets/{secret_id}/versions/{revision}/restore", "RestoreSecretVersion"),
    ("PUT", "vpc/vpcs/{vpc_id}/acl-rules", "SetACL"),
];

/// Words that are written whole in capitals.
const CAPITALS: [&str; 6] = ["acl", "api", "dhcp", "ip", "ssh", "vpc"];

/// The product as paths have it, its version, and the rest of the path without the place.
fn parts(route: &Route) -> (&'static str, &'static str, Vec<&'static str>) {
    let mut segments = route.path.trim_matches('/').split('/');
    let (product, version) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
    let rest = segments.filter(|segment| !matches!(*segment, "regions" | "{region}" | "zones" | "{zone}"));
    (product, version, rest.collect())
}

/// The product's name.
pub(super) fn product(route: &Route) -> String {
    parts(route).0.to_owned()
}

/// The service's name, such as `scaleway.secret_manager.v1beta1.Api` (recorded).
pub(super) fn service(route: &Route) -> String {
    let (product, version, _) = parts(route);
    let api = match product {
        "account" => "ProjectApi",
        "cockpit" if route.path.contains("/regions/") => "RegionalApi",
        "cockpit" => "GlobalApi",
        _ => "Api",
    };
    format!("scaleway.{}.{version}.{api}", product.replace('-', "_"))
}

/// The method's name, such as `CreateSecret` (recorded): what is done, and to what. What is done is told by the
/// HTTP method, or by a word at the path's end that is no list.
pub(super) fn name(route: &Route) -> String {
    let (product, _, rest) = parts(route);
    let path = format!("{product}/{}", rest.join("/"));
    let known = NAMES.iter().find(|(method, other, _)| *method == route.method && *other == path);
    if let Some((_, _, name)) = known {
        return (*name).to_owned();
    }
    let literals: Vec<&str> = rest.iter().filter(|segment| !segment.starts_with('{')).copied().collect();
    let last = literals.last().copied().unwrap_or_default();
    let ends_in_word = rest.last() == Some(&last) && rest.len() > 2 && !last.ends_with('s');
    match literals.as_slice() {
        [.., _, _] if ends_in_word && last.contains('-') => camel(last),
        [.., list, _] if ends_in_word => camel(last) + &camel(&singular(list)),
        _ => {
            let verb = match route.method {
                "POST" => "Create",
                "PATCH" => "Update",
                "PUT" => "Set",
                "DELETE" => "Delete",
                _ => "Get",
            };
            verb.to_owned() + &camel(&singular(last))
        }
    }
}

fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => word.strip_suffix('s').unwrap_or(word).to_owned(),
    }
}

fn camel(words: &str) -> String {
    let capital = |word: &str| {
        if CAPITALS.contains(&word) {
            return word.to_uppercase();
        }
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    };
    words.split('-').map(capital).collect::<Vec<String>>().concat()
}

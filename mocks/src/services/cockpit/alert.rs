//! Alert: the rules Scaleway has prepared for its products, switched on and off one by one.
//!
//! Identifiers, names, products, durations and thresholds are the recorded ones; the expressions are ours,
//! over the metrics those products are recorded to write.

use std::time::Duration;

use serde_json::{Value, json};

use super::{READ, WRITE, alert_manager, data_source::of_scaleway, of_project, place_of_act, place_of_look};
use crate::kernel::{Act, Answer, Look, Passage, Reason, Record, Refusal, Resource, states};

const ALERT: &str = "cockpit.alert";

/// How long switching one takes (recorded: within one or two polls of 5 s).
const SWITCHING: Duration = Duration::from_secs(6);

/// A rule that Scaleway has prepared.
struct Prepared {
    id: &'static str,
    /// Family, product.
    of: (&'static str, &'static str),
    name: &'static str,
    /// What it is called, and when it fires.
    display: (&'static str, &'static str),
    lasts: &'static str,
    expression: &'static str,
}

const fn rule(
    id: &'static str,
    of: (&'static str, &'static str),
    name: &'static str,
    display: (&'static str, &'static str),
    lasts: &'static str,
    expression: &'static str,
) -> Prepared {
    Prepared { id, of, name, display, lasts, expression }
}

const DATABASES: &str = "Managed Databases";
const BALANCER: (&str, &str) = ("Load Balancer", "LB");
const KUBERNETES: (&str, &str) = ("Containers", "Kubernetes");
const COCKPIT: (&str, &str) = ("Observability", "Cockpit");
const POSTGRESQL: (&str, &str) = (DATABASES, "PostgreSQL");
const MYSQL: (&str, &str) = (DATABASES, "MySQL");
const REDIS: (&str, &str) = (DATABASES, "Redis");
const SQL: (&str, &str) = ("Serverless", "SQL Databases");
const OVER_80: &str = "> 80 % for 10 minutes";
const OVER_90: &str = "> 90 % for 10 minutes";

#[rustfmt::skip]
const PREPARED: [Prepared; 22] = [
    rule("feb64cef-c855-4230-a74e-813515fdb357", BALANCER, "LBBackendServerDown", ("Backend server down", "A server of a backend is down"), "5m", "load_balancer_lb_backend_agg_server_check_status{state=\"DOWN\"} > 0"),
    rule("f8834c3d-4d3d-49a2-9164-0236d4c93590", MYSQL, "MySQLHighStorageUsage", ("High storage usage", OVER_80), "10m", "1 - rdb_instance_mysql_node_filesystem_avail_bytes / rdb_instance_mysql_node_filesystem_size_bytes > 0.8"),
    rule("e930945c-8b42-48fe-94db-12abc81d27f4", SQL, "ServerlessSQLDatabaseHighCPUUsage", ("High CPU usage", OVER_90), "10m", "rate(serverless_db_postgresql_cpu_usage_seconds[2m]) > 0.9"),
    rule("8dba8eed-25eb-4860-ab33-7cb5ca662036", COCKPIT, "CockpitIngestionDecrease", ("Ingestion decrease", "Half of what was received in the hour before"), "0s", "increase(observability_cockpit_cortex_distributor_received_samples_total[1h]) < 0.5 * increase(observability_cockpit_cortex_distributor_received_samples_total[1h] offset 1h)"),
    rule("669f781a-adab-4e3c-984e-fb149f8b67a3", COCKPIT, "CockpitIngestionIncrease", ("Ingestion increase", "Twice what was received in the hour before"), "0s", "increase(observability_cockpit_cortex_distributor_received_samples_total[1h]) > 2 * increase(observability_cockpit_cortex_distributor_received_samples_total[1h] offset 1h)"),
    rule("c8991f90-facb-436c-b4ab-6aa13822a451", POSTGRESQL, "PostgreSQLHighStorageUsage", ("High storage usage", OVER_80), "10m", "1 - rdb_instance_postgresql_node_filesystem_avail_bytes / rdb_instance_postgresql_node_filesystem_size_bytes > 0.8"),
    rule("3c5b3a41-69de-43ed-9217-e3002d687c53", REDIS, "HighMemoryUsage", ("High memory usage", OVER_80), "10m", "1 - rkv_cluster_node_memory_MemAvailable_bytes / rkv_cluster_node_memory_MemTotal_bytes > 0.8"),
    rule("1c16c699-e00e-4be8-b05d-d8cd2797f2a7", ("Compute", "Instance"), "InstanceHighCPUUsage", ("High CPU usage", OVER_90), "10m", "rate(instance_server_cpu_seconds_total[1m]) / instance_server_vcpu_count > 0.9"),
    rule("d3974dcd-0f02-47cf-a266-67223e579390", KUBERNETES, "APIServerHighCPUUsage", ("High api-server CPU usage", OVER_90), "10m", "kubernetes_cluster_k8s_shoot_controlplane_cpu_usage{component=\"api-server\"} > 0.9"),
    rule("769bd543-6030-4540-bd2d-5e2d0604e767", BALANCER, "LBHighCPULoad", ("High CPU usage", OVER_80), "10m", "load_balancer_lb_cpu_usage > 0.8"),
    rule("615245e6-3882-4d99-8798-d17ca1c95645", POSTGRESQL, "PostgreSQLHighCPULoad", ("High CPU usage", OVER_80), "10m", "1 - avg by (resource_name) (irate(rdb_instance_postgresql_node_cpu_seconds_total{mode=\"idle\"}[5m])) > 0.8"),
    rule("d1b1b4a0-7215-494b-9d81-796e52c7ed0e", BALANCER, "LBBackendDown", ("Backend down", "All servers of a backend are down"), "5m", "load_balancer_lb_backend_status{state=\"DOWN\"} > 0"),
    rule("6c6843af-1815-46df-9e52-6feafcf31fd7", POSTGRESQL, "PostgresqlTooManyConnections", ("Too many connections", OVER_80), "10m", "rdb_instance_postgresql_pg_stat_database_numbackends / rdb_instance_postgresql_pg_settings_max_connections > 0.8"),
    rule("f5e3c109-91b3-4586-b580-9f86529c1df8", REDIS, "HighCpuUsage", ("High CPU usage", OVER_80), "10m", "1 - avg by (resource_name) (irate(rkv_cluster_node_cpu_seconds_total{mode=\"idle\"}[5m])) > 0.8"),
    rule("eb8a941e-698d-47d6-b62d-4b6c13f7b4b7", MYSQL, "MySQLTooManyConnections", ("Too many connections", OVER_80), "10m", "rdb_instance_mysql_mysql_global_status_threads_connected / rdb_instance_mysql_mysql_global_variables_max_connections > 0.8"),
    rule("89d456d0-8614-40a2-b0a6-682ea25e98b6", BALANCER, "LBHighMemoryLoad", ("High memory usage", OVER_80), "10m", "load_balancer_lb_memory_usage > 0.8"),
    rule("fcf06e62-22ee-4e86-9b16-3cc9708e1b07", BALANCER, "LBHighConnectionLoad", ("High connection usage", OVER_80), "10m", "load_balancer_lb_connection_usage > 0.8"),
    rule("835bd0fc-57ea-43cf-ba2f-2b637e85eedb", BALANCER, "LBHighBandwidthLoad", ("High bandwidth usage", OVER_80), "10m", "load_balancer_lb_bandwidth_in_usage > 0.8 or load_balancer_lb_bandwidth_out_usage > 0.8"),
    rule("ac63ebdc-eaba-4aeb-a771-4d028363a75b", ("Data & Analytics", "Data Warehouse"), "DataWarehouseHighCPUUsage", ("High CPU usage", OVER_90), "10m", "rate(data_warehouse_clickhouse_cpu_usage_seconds[2m]) > 0.9"),
    rule("76f01e05-79d1-4509-93f2-67eb84586070", MYSQL, "MySQLHighCPULoad", ("High CPU usage", OVER_80), "10m", "1 - avg by (resource_name) (irate(rdb_instance_mysql_node_cpu_seconds_total{mode=\"idle\"}[5m])) > 0.8"),
    rule("09396fbe-bddc-47a3-8072-c4246bef03c1", KUBERNETES, "APIServerHighMemoryUsage", ("High api-server memory usage", OVER_90), "10m", "kubernetes_cluster_k8s_shoot_controlplane_memory_usage_bytes{component=\"api-server\"} > 0.9"),
    rule("dc9b67ae-baa6-4a37-907d-2a6c31304561", KUBERNETES, "NodesNotReady", ("Nodes not ready", "> 0 for 10 minutes"), "10m", "kubernetes_cluster_k8s_shoot_nodes - kubernetes_cluster_k8s_shoot_nodes_ready > 0"),
];

/// A record says that a rule is, or was, switched on; one without a record is off.
pub(super) fn alert() -> Resource {
    Resource::new(ALERT)
        .at("/cockpit/v1/regions/{region}/alerts/{rule_id}")
        .of_parent()
        .states(states("enabling", SWITCHING, "enabled").told_in("rule_status").passing(&["disabling"]))
        .permissions(READ, WRITE)
        .without(&["POST", "GET", "PATCH", "DELETE"])
        .look("/cockpit/v1/regions/{region}/alerts", list)
        .act("POST", "/cockpit/v1/regions/{region}/alert-manager/enable-alert-rules", |act| switch(act, true))
        .act("POST", "/cockpit/v1/regions/{region}/alert-manager/disable-alert-rules", |act| switch(act, false))
}

fn list(look: &Look<'_>) -> Result<Value, Refusal> {
    let (place, region, project) = place_of_look(look)?;
    let source = of_scaleway(look.tables, &project, &region, "metrics").unwrap_or_default();
    // Nobody's own rules are known: they would be written to the data plane.
    let asked = |field: &str| look.call.query(field).filter(|asked| !asked.starts_with("unknown_"));
    let mut alerts = Vec::new();
    for rule in PREPARED.iter().filter(|_| asked("is_preconfigured") != Some("false")) {
        let known = look.tables.get(ALERT, &format!("{place}/{}", rule.id));
        let status = known.map_or("disabled", |record| record.text("rule_status"));
        // Recorded: one that is off is in no state and measures nothing; one on its way out still has its state.
        let (state, source) = match status {
            "enabled" => ("inactive", source.as_str()),
            "enabling" => ("unknown_state", source.as_str()),
            "disabling" => ("inactive", ""),
            _ => ("unknown_state", ""),
        };
        let same = |field: &str, value: &str| asked(field).is_none_or(|asked| asked == value);
        if same("rule_status", status) && same("data_source_id", source) && same("state", state) {
            alerts.push(describe(rule, (status, state), source, &region));
        }
    }
    look.page("alerts", alerts)
}

fn describe(rule: &Prepared, (status, state): (&str, &str), source: &str, region: &str) -> Value {
    let (family, product) = rule.of;
    let (called, fires) = rule.display;
    json!({
        "name": rule.name, "rule": rule.expression, "duration": rule.lasts, "rule_status": status,
        "state": state, "preconfigured": true,
        "data_source_id": source, "region": region,
        "annotations": {
            "display_name": called, "display_description": fires, "family": family, "product": product,
            "rule_id": rule.id, "summary": format!("{called}: {{{{ $labels.resource_name }}}}"),
            "description": format!("{product} {{{{ $labels.resource_name }}}}: {fires}"),
            "dashboard_path": format!("/d/scw-{}-overview", product.to_lowercase().replace(' ', "-")),
        },
        "preconfigured_data": {
            "preconfigured_rule_id": rule.id, "display_name": called, "display_description": fires,
            "product_name": product, "product_family": family,
        },
    })
}

fn switch(act: &mut Act<'_, '_>, on: bool) -> Result<Answer, Refusal> {
    let (place, region, project) = place_of_act(act)?;
    alert_manager::must_be_on(act.tx.get("cockpit.alert_manager", &place).map(AsRef::as_ref))?;
    let asked = act.call.body.get("rule_ids").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut ids: Vec<String> = asked.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if ids.is_empty() || ids.len() != asked.len() {
        return Err(Refusal::argument("rule_ids", Reason::Required, "must be a list of rules' identifiers"));
    }
    if let Some(unknown) = ids.iter().find(|id| !PREPARED.iter().any(|rule| rule.id == **id)) {
        return Err(Refusal::not_found("rule", unknown));
    }
    // Answered sorted and each once (recorded).
    ids.sort();
    ids.dedup();
    for id in &ids {
        let key = format!("{place}/{id}");
        let (through, to) = if on { ("enabling", "enabled") } else { ("disabling", "disabled") };
        let known = act.tx.get(ALERT, &key).map(|record| Record::clone(record));
        let status = known.as_ref().map_or("disabled", |record| record.text("rule_status"));
        if status == to {
            continue;
        }
        let mut record = known.unwrap_or_else(|| of_project(&json!({"rule_id": id, "region": region}), &project));
        record.body.insert("rule_status".into(), through.into());
        record.next = Some(Passage { to: Some(to.to_owned()), due: act.tx.now() + act.tx.lasts(SWITCHING) });
        act.change(ALERT, &key, record, "state");
    }
    let field = if on { "enabled_rule_ids" } else { "disabled_rule_ids" };
    Ok(Answer::Ok(json!({ field: ids })))
}

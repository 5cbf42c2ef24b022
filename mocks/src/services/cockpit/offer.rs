//! What Cockpit offers: how long data can be kept, which products write to it. Facts, the same for everyone.

use serde_json::{Value, json};

use super::{READ, WRITE, all, data_source::RETENTION};
use crate::kernel::Resource;

/// Name, what people call it, family, and its resource types (recorded).
#[rustfmt::skip]
const PRODUCTS: [(&str, &str, &str, &[&str]); 26] = [
    ("sbs", "Block Storage", "Storage", &["sbs_volume", "sbs_snapshot"]),
    ("observability", "Cockpit", "Observability", &["observability_cockpit", "observability_exporter"]),
    ("instance", "CPU & GPU Instances", "Compute", &["instance_server", "vpc_pn"]),
    ("datalab", "Data Lab", "Data & Analytics", &["spk_datalab"]),
    ("data-warehouse", "Data Warehouse", "Data & Analytics", &["data_warehouse_clickhouse"]),
    ("edge-services", "Edge Services", "Network", &["edge_content_delivery_service"]),
    ("generative-apis", "Generative APIs", "AI", &["generative_apis"]),
    ("hpc", "GPU Clusters", "High Performance Compute", &["hpc"]),
    ("interlink", "Interlink", "Network", &["interlink", "interlink_dedicated_connection"]),
    ("iot", "IoT Hub", "Integration Services", &["iot_hub", "iot_device"]),
    ("kubernetes", "Kubernetes", "Containers", &["kubernetes_cluster"]),
    ("lb", "Load Balancer", "Network", &["load_balancer"]),
    ("inference", "Managed Inference", "AI", &["inference_deployment", "llm_inference_deployment"]),
    ("mnq", "Messaging and Queuing", "Integration Services", &["mnq_namespace", "mnq_nats", "mnq_sqs", "mnq_sns"]),
    ("mongodb", "MongoDB", "Databases", &["mgdb_instance"]),
    ("object-storage", "Object Storage", "Storage", &["object_storage_bucket"]),
    ("rdb", "PostgreSQL & MySQL", "Databases", &["rdb_instance_postgresql", "rdb_instance_mysql"]),
    ("public-gateway", "Public Gateway", "Network", &["public_gateway"]),
    ("rkv", "Redis", "Databases", &["rkv_cluster"]),
    ("secret-manager", "Secret Manager", "Security & Identity", &["secret_manager_secret", "secret_manager_method"]),
    ("serverless", "Serverless Functions and Containers", "Serverless Compute", &["serverless_function", "serverless_function_build", "serverless_container", "serverless_container_trigger"]),
    ("serverless-jobs", "Serverless Jobs", "Serverless Compute", &["serverless_job"]),
    ("serverless-db", "Serverless SQL", "Databases", &["serverless_db_postgresql"]),
    ("svpn", "Site-to-Site VPN", "Network", &["svpn_gateway"]),
    ("transactional-email", "Transactional Emails", "Domains & Web Hosting", &["tem"]),
    ("vpc", "VPC", "Network", &["vpc_pn"]),
];

const CONFIG: &str = "/cockpit/v1/regions/{region}/config";

pub(super) fn offer() -> Resource {
    Resource::new("cockpit.offer")
        .at(CONFIG)
        .singleton()
        .of_parent()
        .permissions(READ, WRITE)
        .without(&["PATCH", "PUT"])
        .look(CONFIG, |_| {
            let (min, max, metrics, rest) = RETENTION;
            let kept = |days: i64| json!({"min_days": min, "max_days": max, "default_days": days});
            Ok(json!({
                "custom_metrics_retention": kept(metrics), "custom_logs_retention": kept(rest),
                "custom_traces_retention": kept(rest), "product_metrics_retention": kept(metrics),
                "product_logs_retention": kept(rest),
            }))
        })
        .look("/cockpit/v1/regions/{region}/products", |_| {
            let describe = |(name, display, family, types): &(&str, &str, &str, &[&str])| {
                json!({"name": name, "display_name": display, "family_name": family, "resource_types": types})
            };
            let products: Vec<Value> = PRODUCTS.iter().map(describe).collect();
            Ok(all("products_list", &products))
        })
}

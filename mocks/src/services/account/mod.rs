//! Account: projects. API reference: Account API v3.
//!
//! Every project has a default VPC in each region from its first day (provider
//! `vpc` data source with `is_default=true`; the VPC a private network without
//! `vpc_id` lands in).

use serde_json::{Value, json};

use crate::{
    api::REGIONS,
    kernel::{Act, Making, Product, Refusal, Resource, computed, optional, required},
    services::{cockpit, vpc},
};

pub(super) fn product() -> Product {
    Product { name: "account", title: "Account", resources: vec![project()] }
}

fn project() -> Resource {
    Resource::new("account.project")
        .called("project_id")
        .at("/account/v3/projects/{project_id}")
        .of_organization()
        .fields([
            required("name").text(1..=64),
            optional("description").text(0..=200),
            computed("qualification", |_| Ok(Value::Null)),
        ])
        .unique("name")
        .filters(&["name"])
        .order(&["created_at", "name"])
        .permissions(&["ProjectReadOnly"], &["ProjectManager"])
        .made(|making| {
            let project = making.key.to_owned();
            add_default_vpcs(making, &project);
            Ok(())
        })
        .deleted(must_be_empty)
}

fn add_default_vpcs(making: &mut Making<'_, '_>, project: &str) {
    let organization = making.text("organization_id").to_owned();
    for region in REGIONS {
        vpc::add_default(making.tx, &organization, project, region);
        cockpit::add_default(making.tx, &organization, project, region);
    }
}

/// Refuses to delete a project that has anything but its default VPCs, which go with it.
fn must_be_empty(act: &mut Act<'_, '_>, project: &str) -> Result<(), Refusal> {
    let mut defaults = Vec::new();
    for resource in act.catalogue.resources() {
        for (key, record) in act.tx.tables().all(resource.kind) {
            if record.text("project_id") != project {
                continue;
            }
            if record.body.get("is_default").or(record.hidden.get("is_default")) == Some(&json!(true)) {
                defaults.push((resource.kind, key.to_owned()));
                continue;
            }
            return Err(Refusal::Precondition {
                precondition: "resource_still_in_use",
                help: format!("the project still has {} {key}", resource.called),
            });
        }
    }
    for (kind, key) in defaults {
        act.erase(kind, &key);
    }
    Ok(())
}

//! Account: projects. API reference: Account API v3.
//!
//! Every project has a default VPC in each region from its first day (provider
//! `vpc` data source with `is_default=true`; the VPC a private network without
//! `vpc_id` lands in).

use serde_json::{Value, json};

use crate::{
    api::REGIONS,
    kernel::{Act, Answer, Making, Product, Reason, Record, Refusal, Resource, computed, optional, required},
    services::{cockpit, vpc},
};

/// Marks, out of sight, what every project has from its first day: it does not keep the project
/// from being deleted, and goes with it.
pub(super) const COMES_WITH_PROJECT: &str = "comes_with_project";

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
            computed("qualification", |_| Ok(unqualified())),
            computed("status", |_| Ok(json!("active"))),
        ])
        .unique("name")
        .filters(&["name"])
        .listed_if(|record, call| call.asks_for("project_ids", record.text("id")))
        .order(&["created_at", "name"])
        // Documented: who manages IAM or the organisation manages projects, too.
        .permissions(&["ProjectReadOnly"], &["ProjectManager", "IAMManager", "OrganizationManager"])
        .made(|making| {
            let project = making.key.to_owned();
            add_defaults(making, &project);
            Ok(())
        })
        .deleted(must_be_empty)
        .act("POST", "/account/v3/projects/{project_id}/project-qualification", qualify)
}

/// What a project says of its use before anybody has told (recorded).
pub(super) fn unqualified() -> Value {
    json!({"architecture_type": "unknown_architecture_type"})
}

fn add_defaults(making: &mut Making<'_, '_>, project: &str) {
    let organization = making.text("organization_id").to_owned();
    for region in REGIONS {
        vpc::add_default(making.tx, &organization, project, region);
        cockpit::add_default(making.tx, &organization, project, region);
    }
}

/// Refuses to delete a project that has anything but what every project has from its first day,
/// which goes with it. The provider tries again on this refusal, for 20 minutes.
fn must_be_empty(act: &mut Act<'_, '_>, project: &str) -> Result<(), Refusal> {
    let organization = act.find("account.project", project)?.text("organization_id").to_owned();
    if organization == project {
        return Err(Refusal::Precondition {
            precondition: "resource_not_usable",
            help: "the default project of an organisation cannot be deleted".into(),
        });
    }
    let mut along = Vec::new();
    for kind in act.tx.tables().kinds_of(project) {
        for (key, record) in act.tx.tables().all(kind).filter(|(_, record)| record.text("project_id") == project) {
            let on_its_way_out = record.body.get("deletion_requested_at").is_some_and(|at| !at.is_null());
            if !record.hidden.contains_key(COMES_WITH_PROJECT) && !on_its_way_out {
                let called = act.catalogue.get(kind).map_or(kind, |resource| resource.called);
                return Err(Refusal::Precondition {
                    precondition: "resource_not_usable",
                    help: format!("the project still has {called} {key}"),
                });
            }
            along.push((kind.to_owned(), key.to_owned()));
        }
    }
    // What is a project's without telling so keeps nobody from deleting it (recorded of Cockpit).
    for resource in act.catalogue.resources() {
        let untold = |record: &Record| record.hidden.get("project_id").is_some_and(|owner| owner == project);
        let of_project = act.tx.tables().all(resource.kind).filter(|(_, record)| untold(record));
        along.extend(of_project.map(|(key, _)| (resource.kind.to_owned(), key.to_owned())));
    }
    for (kind, key) in along {
        act.erase(&kind, &key);
    }
    Ok(())
}

/// What the project is for, as the console asks: kept and told again.
fn qualify(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("project_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find("account.project", &key)?);
    let qualification = match act.call.body.get("qualification") {
        Some(Value::Object(qualification)) => Value::Object(qualification.clone()),
        _ => return Err(Refusal::argument("qualification", Reason::Format, "must be an object")),
    };
    record.body.insert("qualification".into(), qualification.clone());
    act.change("account.project", &key, record, "updated");
    Ok(Answer::Ok(json!({"project_id": key, "qualification": qualification})))
}

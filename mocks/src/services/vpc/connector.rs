//! VPC connector: one half of a way between two VPCs. It is an `orphan` until the other VPC has one
//! back; then both are `peered`.

use serde_json::{Value, json};

use super::{READ, WRITE};
use crate::kernel::{Act, Making, Reason, Record, Refusal, Resource, computed, optional, required};

pub(super) fn connector() -> Resource {
    Resource::new("vpc.connector")
        .called("vpc_connector")
        .at("/vpc/v2/regions/{region}/vpc-connectors/{vpc_connector_id}")
        .listed_as("vpc_connectors")
        .under("vpc.vpc")
        .fields([
            optional("name").text(0..=255).default("vpc-connector"),
            optional("tags").strings(),
            required("vpc_id").holds("vpc.vpc").fixed(),
            required("target_vpc_id").holds("vpc.vpc").fixed(),
            computed("status", |_| Ok(json!("orphan"))),
        ])
        .filters(&["name", "tags", "vpc_id", "target_vpc_id", "status"])
        .order(&["created_at", "name"])
        .permissions(READ, WRITE)
        .made(join)
        .deleted(part)
}

fn ends(record: &Record) -> (&str, &str) {
    (record.text("vpc_id"), record.text("target_vpc_id"))
}

/// The connector back, if there is one.
fn back(act: &Act<'_, '_>, (from, to): (&str, &str)) -> Option<(String, Record)> {
    let mut all = act.tx.tables().all("vpc.connector");
    all.find(|(_, other)| ends(other) == (to, from)).map(|(key, other)| (key.to_owned(), Record::clone(other)))
}

fn join(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    super::take_project_of_vpc(making)?;
    let (from, to) = (making.text("vpc_id").to_owned(), making.text("target_vpc_id").to_owned());
    if from == to {
        return Err(Refusal::argument("target_vpc_id", Reason::Constraint, "must be another VPC than vpc_id"));
    }
    let peer = making.act("vpc.connector", |act| {
        if act.tx.tables().all("vpc.connector").any(|(_, other)| ends(other) == (&from, &to)) {
            return Err(Refusal::argument("target_vpc_id", Reason::Constraint, "there is such a connector already"));
        }
        let Some((key, mut other)) = back(act, (&from, &to)) else { return Ok(false) };
        other.body.insert("status".into(), Value::from("peered"));
        act.change("vpc.connector", &key, other, "state");
        Ok(true)
    })?;
    if peer {
        making.set("status", "peered");
    }
    Ok(())
}

fn part(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let record = act.find("vpc.connector", key)?;
    if let Some((key, mut other)) = back(act, ends(&record)) {
        other.body.insert("status".into(), Value::from("orphan"));
        act.change("vpc.connector", &key, other, "state");
    }
    Ok(())
}

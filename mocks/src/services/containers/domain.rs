//! Domain: a host name of the user's that leads to a container.
//!
//! At Scaleway its DNS record must point to the container's endpoint; here nobody
//! looks, since the local cloud's names are nobody's.

use std::time::Duration;

use serde_json::Value;

use super::{CONTAINER, DOMAIN, PASSING, READ, WRITE, in_asked_namespace, no_error, remember_namespace};
use crate::kernel::{Making, Refusal, Resource, optional, required, states};

/// How many a container may have (documented).
const MOST: u64 = 50;

pub(super) fn domain() -> Resource {
    Resource::new(DOMAIN)
        .at("/containers/v1/regions/{region}/domains/{domain_id}")
        .under(CONTAINER)
        .of_parent()
        .fields([
            required("container_id").refers_to(CONTAINER).fixed(),
            required("hostname").text(4..=253).check(host_name).fixed(),
            optional("tags").strings(),
        ])
        .states(
            states("creating", Duration::from_secs(12), "ready")
                .deleting("deleting", Duration::from_secs(3))
                .passing(PASSING),
        )
        .filters(&["container_id"])
        .order(&["created_at", "hostname"])
        .listed_if(in_asked_namespace)
        // One name leads to one container, whoever's it is.
        .unique("hostname")
        .permissions(READ, WRITE)
        .made(|making| {
            check_number(making)?;
            remember_namespace(making)
        })
        .settled(no_error)
}

/// A host name with at least one dot, as DNS takes it.
pub(in crate::services) fn host_name(value: &Value) -> Result<(), String> {
    let name = value.as_str().unwrap_or_default();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.contains('.') && name.split('.').all(is_label) { Ok(()) } else { Err("must be a host name".into()) }
}

fn check_number(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let container = making.text("container_id");
    let domains = making.tx.tables().all(DOMAIN).filter(|(_, domain)| domain.text("container_id") == container);
    match domains.count() as u64 {
        current if current >= MOST => {
            Err(Refusal::QuotaExceeded { resource: "containers_domain".into(), quota: MOST, current })
        }
        _ => Ok(()),
    }
}

//! Domain: a host name of the user's that leads to a function.
//!
//! At Scaleway its DNS record must point to the function's domain name; here nobody
//! looks, since the local cloud's names are nobody's. Its `url` is told once it is
//! ready (recorded).

use std::time::Duration;

use super::{DOMAIN, FUNCTION, READ, WRITE, hide_times, in_asked_namespace, nothing, remember_namespace};
use crate::{
    kernel::{Making, Refusal, Resource, computed, required, states},
    services::containers::domain::host_name,
};

/// How many a function may have (documented).
const MOST: u64 = 50;

pub(super) fn domain() -> Resource {
    Resource::new(DOMAIN)
        .at("/functions/v1beta1/regions/{region}/domains/{domain_id}")
        .under(FUNCTION)
        .of_parent()
        .fields([
            required("function_id").refers_to(FUNCTION).fixed(),
            required("hostname").text(4..=253).check(host_name).fixed(),
            computed("url", |_| Ok("".into())),
            computed("error_message", nothing),
        ])
        .states(
            states("pending", Duration::from_secs(7), "ready")
                .deleting("deleting", Duration::from_secs(3))
                .passing(&["creating"]),
        )
        .filters(&["function_id"])
        .order(&["created_at", "hostname"])
        .listed_if(in_asked_namespace)
        // One name leads to one function, whoever's it is.
        .unique("hostname")
        .without(&["PATCH"])
        .permissions(READ, WRITE)
        .made(make)
        .settled(|making| {
            let url = format!("https://{}", making.text("hostname"));
            making.set("url", url);
            Ok(())
        })
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let function = making.text("function_id");
    let domains = making.tx.tables().all(DOMAIN).filter(|(_, domain)| domain.text("function_id") == function);
    let current = domains.count() as u64;
    if current >= MOST {
        return Err(Refusal::QuotaExceeded { resource: "functions_domain".into(), quota: MOST, current });
    }
    hide_times(making);
    remember_namespace(making)
}

//! Domain. Its `url` is told once it is ready, as functions' domains tell theirs.

use super::{STATES, error_message};
use crate::{
    kernel::{Resource, required, told},
    services::containers::{DOMAIN, READ, WRITE, domain::host_name},
};

pub(super) fn domain() -> Resource {
    Resource::new("containers.domain_v1beta1")
        .view_of(DOMAIN)
        .called("domain")
        .at("/containers/v1beta1/regions/{region}/domains/{domain_id}")
        .untimed()
        .fields([
            required("container_id").uuid(),
            required("hostname").text(4..=253).check(host_name),
            told("url", |record| {
                let is_there = record.text("status") == "ready";
                Some(if is_there { format!("https://{}", record.text("hostname")) } else { String::new() }.into())
            }),
            error_message(),
        ])
        .calling(STATES)
        .filters(&["container_id"])
        .without(&["PATCH"])
        .permissions(READ, WRITE)
}

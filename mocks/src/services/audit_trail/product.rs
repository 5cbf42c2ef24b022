//! Products: whose requests the audit trail tells of, and by which names.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{READ, WRITE, event::own, method};
use crate::kernel::{Access, Resource};

const PATH: &str = "/audit-trail/v1alpha1/regions/{region}/products";

pub(super) fn product() -> Resource {
    Resource::new("audit_trail.product")
        .at(PATH)
        .singleton()
        .of_organization()
        .permissions(READ, WRITE)
        .without(&["GET", "PATCH", "PUT"])
        .look(PATH, |look| {
            own(look)?;
            // Name to title and to services, which have their methods.
            let mut products: BTreeMap<String, (&str, BTreeMap<String, Vec<String>>)> = BTreeMap::new();
            for product in look.catalogue.products() {
                let resources = product.resources.iter().flat_map(Resource::all_routes);
                for route in resources.filter(|route| route.operation.access() == Access::Write) {
                    let entry = products.entry(method::product(&route)).or_insert((product.title, BTreeMap::new()));
                    entry.1.entry(method::service(&route)).or_default().push(method::name(&route));
                }
            }
            let describe = |(name, (title, services)): (String, (&str, BTreeMap<String, Vec<String>>))| {
                let service = |(name, mut methods): (String, Vec<String>)| {
                    methods.sort();
                    methods.dedup();
                    json!({"name": name, "methods": methods})
                };
                json!({"title": title, "name": name, "services": services.into_iter().map(service).collect::<Vec<_>>()})
            };
            let products: Vec<Value> = products.into_iter().map(describe).collect();
            Ok(json!({"total_count": products.len(), "products": products}))
        })
}

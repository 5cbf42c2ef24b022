//! What everybody was observed to call, and what each permission set would allow: what the least follows from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    identity,
    kernel::{Cloud, Enforcement, Observed},
    services,
};

/// What IAM was asked, and what could have been asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Permissions {
    /// What is done with what nothing allows.
    pub enforcement: Enforcement,
    /// What everybody called since it was last forgotten.
    pub principals: Vec<Observed>,
    /// How many actions each permission set allows, of all that the local cloud has.
    pub widths: BTreeMap<String, usize>,
}

impl Permissions {
    pub(super) fn of(cloud: &Cloud) -> Self {
        let catalogue = cloud.catalogue();
        let mut widths: BTreeMap<String, usize> = BTreeMap::new();
        let routes = catalogue
            .resources()
            .flat_map(|resource| resource.all_routes().into_iter().map(|route| catalogue.allowed_by(resource, &route)));
        let others = identity::all_allowing().chain(crate::registry::all_allowing()).chain(services::sdb_allowing());
        for allowing in routes.chain(others) {
            for name in allowing.names() {
                *widths.entry(name.to_owned()).or_default() += 1;
            }
        }
        let guard = cloud.guard();
        Self { enforcement: guard.enforcement(), principals: guard.observed(), widths }
    }
}

//! Tea: a product that no cloud offers, to show what adding one takes.

use std::time::Duration;

use stackproof_cloud::kernel::{Answer, Product, Record, Resource, optional, required, states};

pub(crate) const KETTLES: &str = "/tea/v1/regions/fr-par/kettles";

pub(crate) fn product() -> Product {
    Product { name: "tea", title: "Tea", resources: vec![kettle(), cup()] }
}

fn kettle() -> Resource {
    Resource::new("tea.kettle")
        .at("/tea/v1/regions/{region}/kettles/{kettle_id}")
        .fields([required("name").text(1..=20), required("litres").integer(1..=5), optional("tags").strings()])
        .states(states("filling", Duration::from_secs(10), "cold").passing(&["boiling"]))
        .filters(&["name", "tags"])
        .order(&["created_at", "name"])
        .quota(3)
        .permissions(&["TeaReadOnly"], &["TeaFullAccess"])
        .act("POST", "/tea/v1/regions/{region}/kettles/{kettle_id}/boil", |act| {
            let key = act.call.param("kettle_id").unwrap_or_default().to_owned();
            let mut record = Record::clone(&*act.find_settled("tea.kettle", &key)?);
            act.pass_through("tea.kettle", &mut record, "boiling", Duration::from_secs(180));
            Ok(Answer::record(&act.change("tea.kettle", &key, record, "boil")))
        })
}

fn cup() -> Resource {
    Resource::new("tea.cup")
        .at("/tea/v1/regions/{region}/kettles/{kettle_id}/cups/{cup_name}")
        .under("tea.kettle")
        .named_by("name")
        .fields([required("name").text(1..=20)])
        .permissions(&["TeaReadOnly"], &["TeaFullAccess"])
}

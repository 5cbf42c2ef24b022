//! VPC and IPAM beyond their generic lives: routes, ACLs, connectors, ingress rules, custom resources.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use rstest::rstest;
use serde_json::{Value, json};
use support::{Fixture, faulty};

const VPC: &str = "/vpc/v2/regions/fr-par";
const IPS: &str = "/ipam/v1/regions/fr-par/ips";

fn items(body: &Value, key: &str, field: &str) -> Vec<String> {
    body[key].as_array().unwrap().iter().map(|item| item.pointer(field).unwrap().as_str().unwrap().to_owned()).collect()
}

async fn routes(fixture: &Fixture, query: &str) -> Vec<String> {
    let path = format!("{VPC}/routes-with-nexthop?nexthop_resource_type=unknown_type&{query}");
    items(&fixture.get(&path).await.body, "routes", "/route/destination")
}

#[tokio::test]
async fn routes_are_listed_with_those_of_the_subnets() {
    let fixture = Fixture::new();
    let (vpc, network) = fixture.network().await;
    let other =
        fixture.make(&format!("{VPC}/private-networks"), json!({"vpc_id": vpc, "subnets": ["10.2.0.0/24"]})).await;
    let body = json!({
        "vpc_id": vpc, "destination": "192.168.0.0/16", "nexthop_private_network_id": network, "tags": ["mine"],
        "description": "", "nexthop_resource_id": null,
    });
    let made = fixture.post(&format!("{VPC}/routes"), body).await.body;
    assert_eq!(
        (&made["description"], &made["type"], &made["is_read_only"]),
        (&json!("Custom route"), &json!("custom"), &json!(false))
    );
    assert_eq!((made.get("project_id"), made.get("organization_id")), (None, None));
    let of_vpc = format!("vpc_id={vpc}");
    assert_eq!(routes(&fixture, &of_vpc).await.len(), 5, "two networks of two subnets, and the route");
    assert_eq!(routes(&fixture, &format!("{of_vpc}&tags=mine")).await, ["192.168.0.0/16"]);
    assert_eq!(routes(&fixture, &format!("{of_vpc}&is_ipv6=true")).await.len(), 2);
    assert_eq!(routes(&fixture, &format!("{of_vpc}&contains=10.2.0.7")).await, ["10.2.0.0/24"]);
    assert_eq!(routes(&fixture, &format!("nexthop_private_network_id={other}&is_ipv6=false")).await, ["10.2.0.0/24"]);
    assert_eq!(
        routes(&fixture, &format!("{of_vpc}&is_ipv6=false&order_by=destination_desc")).await,
        ["192.168.0.0/16", "10.2.0.0/24", "10.1.0.0/24"]
    );
    let managed = fixture.get(&format!("{VPC}/routes-with-nexthop?{of_vpc}&contains=10.1.0.1")).await.body;
    assert_eq!(
        (&managed["routes"][0]["route"]["id"], &managed["routes"][0]["route"]["tags"]),
        (&json!(""), &json!(["MANAGED"]))
    );
    let path = format!("{VPC}/routes/{}", made["id"].as_str().unwrap());
    let changed = fixture.send("PATCH", &path, json!({"destination": "192.168.1.0/24", "tags": []})).await;
    assert_eq!((changed.status, &changed.body["destination"]), (200, &json!("192.168.1.0/24")));
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 204);
    let gone = fixture.get(&path).await;
    assert_eq!((gone.status, &gone.body["resource"]), (404, &json!("unknown")));
}

#[tokio::test]
async fn a_route_leads_somewhere() {
    let fixture = Fixture::new();
    let (vpc, _) = fixture.network().await;
    let nowhere = fixture.post(&format!("{VPC}/routes"), json!({"vpc_id": vpc, "destination": "10.0.0.0/8"})).await;
    assert_eq!((nowhere.status, faulty(&nowhere)), (400, vec!["nexthop".to_owned()]));
}

#[tokio::test]
async fn an_acl_is_replaced_whole_for_each_family() {
    let fixture = Fixture::new();
    let (vpc, _) = fixture.network().await;
    let path = format!("{VPC}/vpcs/{vpc}/acl-rules");
    let open = json!({"rules": [], "default_policy": "accept"});
    assert_eq!(fixture.get(&format!("{path}?is_ipv6=false")).await.body, open);
    let rule = json!({
        "protocol": "TCP", "source": "0.0.0.0/0", "src_port_low": 0, "src_port_high": 0, "destination": "0.0.0.0/0",
        "dst_port_low": 80, "dst_port_high": 80, "action": "accept", "description": "web",
    });
    let put = fixture.send("PUT", &path, json!({"rules": [rule], "is_ipv6": false, "default_policy": "drop"})).await;
    assert_eq!((put.status, &put.body["default_policy"]), (200, &json!("drop")));
    assert_eq!(put.body["rules"][0]["description"], "(Rule scope: client) web");
    assert_eq!(fixture.get(&format!("{path}?is_ipv6=false")).await.body, put.body);
    assert_eq!(fixture.get(&format!("{path}?is_ipv6=true")).await.body, open);
    let v6 = fixture.send("PUT", &path, json!({"rules": [rule], "is_ipv6": true, "default_policy": "maybe"})).await;
    assert_eq!(
        (v6.status, faulty(&v6)),
        (400, ["default_policy", "rules.0.source", "rules.0.destination"].map(str::to_owned).to_vec())
    );
    let cleared =
        fixture.send("PUT", &path, json!({"rules": null, "is_ipv6": false, "default_policy": "accept"})).await;
    assert_eq!(cleared.body, open);
}

#[tokio::test]
async fn two_connectors_make_a_peering() {
    let fixture = Fixture::new();
    let (one, _) = fixture.network().await;
    let project = fixture.make("/account/v3/projects", json!({"name": "other"})).await;
    let other = fixture.make(&format!("{VPC}/vpcs"), json!({"project_id": project})).await;
    let collection = format!("{VPC}/vpc-connectors");
    let there = fixture.post(&collection, json!({"vpc_id": one, "target_vpc_id": other})).await.body;
    assert_eq!((&there["status"], &there["project_id"]), (&json!("orphan"), &json!(fixture.organization.id)));
    let back = fixture.post(&collection, json!({"vpc_id": other, "target_vpc_id": one})).await.body;
    assert_eq!((&back["status"], &back["project_id"]), (&json!("peered"), &json!(project)));
    let there = format!("{collection}/{}", there["id"].as_str().unwrap());
    assert_eq!(fixture.get(&there).await.body["status"], "peered");
    assert_eq!(fixture.get(&format!("{collection}?status=peered")).await.body["total_count"], 2);
    assert_eq!(fixture.send("DELETE", &format!("{VPC}/vpcs/{other}"), Value::Null).await.status, 412);
    fixture.send("DELETE", &format!("{collection}/{}", back["id"].as_str().unwrap()), Value::Null).await;
    assert_eq!(fixture.get(&there).await.body["status"], "orphan");
    let twice = fixture.post(&collection, json!({"vpc_id": one, "target_vpc_id": other})).await;
    assert_eq!((twice.status, faulty(&twice)), (400, vec!["target_vpc_id".to_owned()]));
}

#[tokio::test]
async fn ingress_rules_know_their_family() {
    let fixture = Fixture::new();
    let (vpc, network) = fixture.network().await;
    let rules = format!("{VPC}/ingress-rules");
    let body = json!({"vpc_id": vpc, "source": "fd00::/8", "nexthop_resource_ip": "fd00::1", "nexthop_private_network_id": network});
    let made = fixture.post(&rules, body).await.body;
    assert_eq!((&made["is_ipv6"], &made["project_id"]), (&json!(true), &json!(fixture.organization.id)));
    let list = fixture.get(&format!("{rules}?nexthop_private_network_id={network}&is_ipv6=true")).await.body;
    assert_eq!(items(&list, "rules", "/source"), ["fd00::/8"]);
    let path = format!("{rules}/{}", made["id"].as_str().unwrap());
    let changed = fixture.send("PATCH", &path, json!({"source": "10.0.0.0/24"})).await;
    assert_eq!(changed.body["is_ipv6"], false);
    assert_eq!(fixture.send("PATCH", &path, json!({"nexthop_resource_ip": "there"})).await.status, 400);
}

#[tokio::test]
async fn subnets_are_listed_across_networks() {
    let fixture = Fixture::new();
    let (vpc, _) = fixture.network().await;
    fixture.network().await;
    let subnets = fixture.get(&format!("{VPC}/subnets?vpc_id={vpc}")).await.body;
    assert_eq!(subnets["total_count"], 2);
    let id = subnets["subnets"][0]["id"].as_str().unwrap();
    let one = fixture.get(&format!("{VPC}/subnets?subnet_ids={id}")).await.body;
    assert_eq!(items(&one, "subnets", "/subnet"), ["10.1.0.0/24"]);
}

#[tokio::test]
async fn an_address_moves_between_custom_resources() {
    let fixture = Fixture::new();
    let (_, network) = fixture.network().await;
    let mac = |last: &str| json!({"mac_address": format!("bc:24:11:74:d0:{last}"), "name": null});
    let body = json!({"source": {"private_network_id": network}, "is_ipv6": false, "tags": [], "resource": mac("5a")});
    let made = fixture.post(IPS, body).await.body;
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["address"], "10.1.0.2/24");
    assert_eq!(made["resource"], json!({"id": id, "type": "custom", "mac_address": "BC:24:11:74:D0:5A", "name": null}));
    let path = format!("{IPS}/{id}");
    let moved =
        fixture.post(&format!("{path}/move"), json!({"from_resource": mac("5a"), "to_resource": mac("5b")})).await;
    assert_eq!(moved.body["resource"]["mac_address"], "BC:24:11:74:D0:5B");
    let wrong = fixture.post(&format!("{path}/move"), json!({"from_resource": mac("5a")})).await;
    assert_eq!((wrong.status, faulty(&wrong)), (400, vec!["from_resource.mac_address".to_owned()]));
    assert_eq!(fixture.post(&format!("{path}/attach"), json!({"resource": mac("5c")})).await.status, 412);
    assert_eq!(
        fixture.post(&format!("{path}/detach"), json!({"resource": mac("5b")})).await.body["resource"],
        Value::Null
    );
    let attached = fixture
        .post(&format!("{path}/attach"), json!({"resource": {"mac_address": "02:00:00:00:00:01", "name": "pc"}}))
        .await;
    assert_eq!(attached.body["resource"]["name"], "pc");
    assert_eq!(fixture.send("DELETE", &path, json!({})).await.status, 204);
}

#[rstest]
#[case::attached("attached=true", 1)]
#[case::free("attached=false", 1)]
#[case::by_mac("mac_address=bc:24:11:74:d0:5a", 1)]
#[case::by_name("resource_name=prin", 1)]
#[case::by_type("resource_type=custom", 1)]
#[case::by_types("resource_types=custom&resource_types=rdb_instance", 1)]
#[case::by_another_type("resource_type=rdb_instance", 0)]
#[case::unknown_type_is_none("resource_type=unknown_type", 2)]
#[case::by_network("private_network_id={network}", 2)]
#[case::by_vpc("vpc_id={vpc}", 2)]
#[case::by_another_vpc("vpc_id={network}", 0)]
#[case::by_tags("tags=a&tags=b", 1)]
#[case::by_identifier("ip_ids={ip}", 1)]
#[tokio::test]
async fn addresses_are_listed_by(#[case] query: &str, #[case] found: u64) {
    let fixture = Fixture::new();
    let (vpc, network) = fixture.network().await;
    let source = json!({"private_network_id": network});
    let resource = json!({"mac_address": "bc:24:11:74:d0:5a", "name": "printer"});
    fixture.make(IPS, json!({"source": source, "resource": resource})).await;
    let ip = fixture.make(IPS, json!({"source": source, "tags": ["a", "b"]})).await;
    let query = query.replace("{network}", &network).replace("{vpc}", &vpc).replace("{ip}", &ip);
    let list = fixture.get(&format!("{IPS}?{query}")).await;
    assert_eq!((list.status, list.body["total_count"].as_u64()), (200, Some(found)), "{}", list.body);
}

#[tokio::test]
async fn a_database_may_bring_a_reserved_address_or_one_of_its_own() {
    let fixture = Fixture::new();
    let (_, network) = fixture.network().await;
    let ip = fixture.make(IPS, json!({"source": {"private_network_id": network}, "address": "10.1.0.10"})).await;
    let body = |service_ip: &str| {
        json!({
            "name": "d", "engine": "PostgreSQL-16", "node_type": "DB-DEV-S",
            "init_endpoints": [{"private_network": {"private_network_id": network, "service_ip": service_ip}}],
        })
    };
    let instances = "/rdb/v1/regions/fr-par/instances";
    let made = fixture.post(instances, body("10.1.0.10/24")).await;
    assert_eq!((made.status, &made.body["endpoints"][0]["ip"]), (200, &json!("10.1.0.10")));
    assert_eq!(made.body["node_type"], "db-dev-s");
    assert_eq!(fixture.get(&format!("{IPS}/{ip}")).await.body["resource"], Value::Null);
    let outside = fixture.post(instances, body("10.12.1.0/20")).await;
    assert_eq!(outside.body["endpoints"][0]["private_network"]["service_ip"], "10.12.1.0/20");
    let taken = fixture.post(instances, body("10.12.1.0/20")).await;
    assert_eq!((taken.status, faulty(&taken)), (400, vec!["service_ip".to_owned()]));
}

#[tokio::test]
async fn several_addresses_are_released_at_once_and_reverses_are_kept() {
    let fixture = Fixture::new();
    let (_, network) = fixture.network().await;
    let source = json!({"private_network_id": network});
    let (one, other) =
        (fixture.make(IPS, json!({"source": source})).await, fixture.make(IPS, json!({"source": source})).await);
    let reverses = json!({"reverses": [{"hostname": "db.example.com", "address": "10.1.0.2"}]});
    let changed = fixture.send("PATCH", &format!("{IPS}/{one}"), reverses).await;
    assert_eq!(changed.body["reverses"][0]["hostname"], "db.example.com.");
    let set = "/ipam/v1/regions/fr-par/ip-sets/release";
    assert_eq!(fixture.post(set, json!({"ip_ids": [one, "00000000-0000-4000-8000-000000000000"]})).await.status, 404);
    assert_eq!(fixture.get(IPS).await.body["total_count"], 2);
    assert_eq!(fixture.post(set, json!({"ip_ids": [one, other]})).await.status, 204);
    assert_eq!(fixture.get(IPS).await.body["total_count"], 0);
}

//! One generic life for every declared resource type, each a test of its own:
//! made, read, listed, paged, misused, changed, deleted.
//!
//! A new resource type needs one line in [`minimal`].

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use stackproof_cloud::{
    kernel::{Operation, Resource, Route, Shape},
    services,
};
use support::{Answer, Fixture};

/// No usual request makes one: they come along with others or are switched on; tests of their product have them.
const MADE_BY_OTHERS: [&str; 19] = [
    "sdb.backup",
    "jobs.job_run",
    "jobs.secret",
    "registry.image",
    "registry.tag",
    "iam.saml",
    "iam.saml_certificate",
    "iam.scim",
    "iam.scim_token",
    "rdb.log",
    "cockpit.alert_manager",
    "cockpit.alert",
    "cockpit.grafana",
    "cockpit.grafana_user",
    "cockpit.plan",
    "cockpit.offer",
    "audit_trail.event",
    "audit_trail.product",
    "billing.account",
];

/// Deleting these leaves something that is still answered; it only disappears from lists.
const SOFTLY_DELETED: [&str; 3] = ["secret.secret", "secret.version", "key_manager.key"];

/// One that is not there is refused as one that may not be seen.
const DENIED_WHEN_ABSENT: [&str; 1] = ["sdb.database"];

fn main() {
    let arguments = Arguments::from_args();
    let kinds: Vec<&'static str> = services::products()
        .iter()
        .flat_map(|product| product.resources.iter().map(|resource| resource.kind))
        .filter(|kind| !MADE_BY_OTHERS.contains(kind))
        .collect();
    let trials = kinds.into_iter().map(|kind| {
        Trial::test(format!("life_of::{kind}"), move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(live(kind))
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// The least a request has to say to make one, and the identifiers in the path that leads to it.
async fn minimal(kind: &str, cloud: &Fixture) -> Result<(Vec<String>, Value), Failed> {
    let database = json!({"name": "d", "engine": "PostgreSQL-16", "node_type": "db-dev-s"});
    let instance = async || cloud.make("/rdb/v1/regions/fr-par/instances", database.clone()).await;
    let application = async || cloud.make("/iam/v1alpha1/applications", json!({"name": "parent"})).await;
    let namespace = async || cloud.make("/containers/v1/regions/fr-par/namespaces", json!({"name": "parent"})).await;
    let container = async || {
        let body = json!({"namespace_id": namespace().await, "name": "parent", "image": "nginx:alpine"});
        cloud.make("/containers/v1/regions/fr-par/containers", body).await
    };
    let functions = "/functions/v1beta1/regions/fr-par";
    let of_functions = async || cloud.make(&format!("{functions}/namespaces"), json!({"name": "parent"})).await;
    let function = async || {
        let body = json!({"namespace_id": of_functions().await, "name": "parent", "runtime": "node22"});
        cloud.make(&format!("{functions}/functions"), body).await
    };
    Ok(match kind {
        "account.project" => (vec![], json!({"name": "staging"})),
        "iam.user" => (vec![], json!({"member": {"email": "dev@example.com", "username": "dev"}})),
        "iam.ssh_key" => {
            let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICJEoOOgQBLJPs4g/XcPTKT82NywNPpxeuA20FlOPlpO";
            (vec![], json!({"public_key": key}))
        }
        "iam.application" | "iam.group" | "secret.secret" => (vec![], json!({"name": "n"})),
        "containers.namespace" | "containers.namespace_v1beta1" => (vec![], json!({"name": "shop"})),
        "containers.container" => {
            (vec![], json!({"namespace_id": namespace().await, "name": "web", "image": "nginx:alpine"}))
        }
        "containers.container_v1beta1" => {
            (vec![], json!({"namespace_id": namespace().await, "name": "web", "registry_image": "nginx:alpine"}))
        }
        "containers.domain" | "containers.domain_v1beta1" => {
            (vec![], json!({"container_id": container().await, "hostname": "shop.example.com"}))
        }
        "containers.cron_v1beta1" => (vec![], json!({"container_id": container().await, "schedule": "5 4 * * *"})),
        "containers.trigger_v1beta1" => {
            let mut queue = json!({"queue": "q", "mnq_region": "fr-par"});
            queue["mnq_project_id"] = json!(cloud.organization.id);
            (vec![], json!({"container_id": container().await, "name": "t", "scw_sqs_config": queue}))
        }
        "containers.trigger" => {
            let schedule = json!({"schedule": "5 4 * * *", "timezone": "Europe/Paris"});
            (vec![], json!({"container_id": container().await, "name": "nightly", "cron_config": schedule}))
        }
        "containers.token" => (vec![], json!({"container_id": container().await})),
        "function.namespace" => (vec![], json!({"name": "shop"})),
        "function.function" => {
            (vec![], json!({"namespace_id": of_functions().await, "name": "resize", "runtime": "node22"}))
        }
        "function.cron" => (vec![], json!({"function_id": function().await, "schedule": "5 4 * * *"})),
        "function.domain" => (vec![], json!({"function_id": function().await, "hostname": "shop.example.com"})),
        "function.trigger" => {
            let mut queue = json!({"queue": "q", "mnq_region": "fr-par"});
            queue["mnq_project_id"] = json!(cloud.organization.id);
            (vec![], json!({"function_id": function().await, "name": "t", "scw_sqs_config": queue}))
        }
        "function.token" => (vec![], json!({"function_id": function().await})),
        "jobs.job_definition" => (vec![], json!({"name": "nightly", "image_uri": "docker.io/alpine:latest"})),
        "jobs.trigger" => {
            let job = json!({"name": "parent", "image_uri": "docker.io/alpine:latest"});
            let job = cloud.make("/serverless-jobs/v1alpha2/regions/fr-par/job-definitions", job).await;
            let schedule = json!({"schedule": "5 4 * * *", "timezone": "Europe/Paris"});
            (vec![], json!({"job_definition_id": job, "name": "nightly", "cron_config": schedule}))
        }
        "iam.api_key" => (vec![], json!({"application_id": application().await})),
        "iam.policy" => (vec![], json!({"name": "p", "application_id": application().await})),
        "iam.rule" => {
            let policy = json!({"name": "p", "application_id": application().await});
            let policy = cloud.make("/iam/v1alpha1/policies", policy).await;
            let rule = json!({"permission_set_names": ["VPCReadOnly"], "project_ids": [cloud.organization.id]});
            (vec![], json!({"policy_id": policy, "rules": [rule]}))
        }
        "ipam.ip" => {
            let network = cloud.make("/vpc/v2/regions/fr-par/private-networks", json!({})).await;
            (vec![], json!({"source": {"private_network_id": network}}))
        }
        "rdb.instance" => (vec![], database),
        "rdb.database" => (vec![instance().await], json!({"name": "orders"})),
        "rdb.user" => (vec![instance().await], json!({"name": "app", "password": "Str0ng-enough!"})),
        "rdb.privilege" => {
            let instance = instance().await;
            let user = json!({"name": "app", "password": "Str0ng-enough!"});
            cloud.make(&format!("/rdb/v1/regions/fr-par/instances/{instance}/users"), user).await;
            (vec![instance], json!({"database_name": "rdb", "user_name": "app", "permission": "readonly"}))
        }
        "rdb.backup" => (vec![], json!({"instance_id": instance().await, "database_name": "rdb", "name": "b"})),
        "rdb.snapshot" => (vec![instance().await], json!({"name": "s"})),
        "rdb.read_replica" => (vec![], json!({"instance_id": instance().await})),
        "rdb.acl" => (vec![instance().await], json!({"rules": [{"ip": "192.0.2.1/32"}]})),
        "registry.namespace" => (vec![], json!({"name": "n"})),
        "sdb.database" => (vec![], json!({"name": "n"})),
        "key_manager.key" => (vec![], json!({"name": "n", "unprotected": true})),
        "audit_trail.export_job" => (vec![], json!({"name": "n", "s3": {"bucket": "b"}})),
        "billing.budget" => (vec![], json!({"consumption_limit": 100})),
        "billing.budget_alert" => {
            let budget = cloud.make("/billing/v2/budgets", json!({"consumption_limit": 100})).await;
            (vec![], json!({"budget_id": budget, "threshold": 80}))
        }
        "billing.budget_alert_notification" => {
            let budget = cloud.make("/billing/v2/budgets", json!({"consumption_limit": 100})).await;
            let alert = json!({"budget_id": budget, "threshold": 80});
            let alert = cloud.make("/billing/v2/budget-alerts", alert).await;
            (vec![], json!({"budget_alert_id": alert, "email_addresses": ["a@example.com"]}))
        }
        "cockpit.data_source" => (vec![], json!({"name": "n"})),
        "cockpit.token" => (vec![], json!({"name": "n", "token_scopes": ["read_only_logs"]})),
        "cockpit.exporter" => {
            let source = cloud.make("/cockpit/v1/regions/fr-par/data-sources", json!({"name": "parent"})).await;
            let elsewhere = json!({"endpoint": "https://example.com/api/v1/push"});
            let mut body = json!({"name": "n", "datasource_id": source, "exported_products": ["all"]});
            body["otlp_destination"] = elsewhere;
            (vec![], body)
        }
        "secret.version" => {
            let secret = cloud.make("/secret-manager/v1beta1/regions/fr-par/secrets", json!({"name": "s"})).await;
            (vec![secret], json!({"data": "b25l"}))
        }
        "vpc.route" => {
            let (vpc, network) = cloud.network().await;
            let body = json!({"vpc_id": vpc, "destination": "10.9.0.0/24", "nexthop_private_network_id": network});
            (vec![], body)
        }
        "vpc.ingress_rule" => {
            let (vpc, network) = cloud.network().await;
            let body = json!({
                "vpc_id": vpc, "source": "10.9.0.0/24", "nexthop_resource_ip": "10.1.0.2",
                "nexthop_private_network_id": network,
            });
            (vec![], body)
        }
        "vpc.connector" => {
            let vpcs = "/vpc/v2/regions/fr-par/vpcs";
            let (one, other) = (cloud.make(vpcs, json!({})).await, cloud.make(vpcs, json!({})).await);
            (vec![], json!({"vpc_id": one, "target_vpc_id": other}))
        }
        "vpc.vpc" | "vpc.private_network" => (vec![], json!({})),
        other => return Err(format!("mocks/tests/lives.rs does not know what a minimal {other} is").into()),
    })
}

async fn live(kind: &'static str) -> Result<(), Failed> {
    let cloud = Fixture::new();
    let (parents, body) = minimal(kind, &cloud).await?;
    let resource = cloud.cloud.catalogue().get(kind).ok_or("not declared")?;
    let life = Life { cloud: &cloud, resource, parents };
    match resource.shape() {
        Shape::WholeList(key) => life.of_a_whole_list(key, body).await,
        _ if life.route("POST").is_some() => life.of_an_item(body).await,
        // Set by PUT on the collection, like privileges.
        _ => life.of_an_upsert(body).await,
    }
}

struct Life<'a> {
    cloud: &'a Fixture,
    resource: &'a Resource,
    parents: Vec<String>,
}

impl Life<'_> {
    /// How one that is not there is refused: status and type.
    fn absent(&self) -> (u16, &'static str) {
        let denied = DENIED_WHEN_ABSENT.contains(&self.resource.kind);
        if denied { (403, "permissions_denied") } else { (404, "not_found") }
    }

    /// The path of a usual route, its parameters filled in as far as the parents go.
    fn route(&self, method: &str) -> Option<String> {
        let collection = matches!(method, "POST" | "LIST" | "PUT");
        let wanted = if method == "LIST" { "GET" } else { method };
        let routes = self.resource.all_routes();
        let params = |path: &str| path.split('/').filter(|part| part.starts_with('{') && *part != "{region}").count();
        let depth = self.parents.len() + usize::from(!collection);
        let usual = |route: &&Route| match route.operation {
            Operation::Create => method == "POST",
            Operation::List => method == "LIST",
            Operation::Get => method == "GET",
            Operation::Update => method == "PATCH",
            Operation::Delete => method == "DELETE",
            _ => false,
        };
        let by_place = |route: &&Route| method != "LIST" && route.method == wanted && params(route.path) == depth;
        let found = routes.iter().find(usual).or_else(|| routes.iter().find(by_place))?;
        // Of an item's path, the last parameter is the item's own.
        let own = usize::from(!collection);
        let mut parents = self.parents.iter().take(params(found.path).saturating_sub(own));
        let path: Vec<String> = found
            .path
            .split('/')
            .map(|part| match part {
                "{region}" => "fr-par".to_owned(),
                part if part.starts_with('{') => parents.next().cloned().unwrap_or_else(|| "{}".to_owned()),
                part => part.to_owned(),
            })
            .collect();
        Some(path.join("/"))
    }

    async fn of_an_item(&self, body: Value) -> Result<(), Failed> {
        let create = self.route("POST").ok_or("no POST")?;
        let made = self.expect("POST", &create, body.clone(), 200).await?;
        let id = self.id_of(&made.body)?;
        let item = |method: &str| self.route(method).map(|path| path.replace("{}", &id));
        let list = self.route("LIST");
        if let Some(list) = &list {
            self.check_listed(list, &id, true).await?;
        }
        if let Some(path) = item("GET") {
            let read = self.expect("GET", &path, Value::Null, 200).await?;
            let shown = |body: &Value| body.as_object().map(|body| body.keys().cloned().collect::<Vec<_>>());
            check(shown(&read.body) == shown(&made.body), "GET shows other fields than POST did")?;
            if path.contains("/fr-par/") {
                self.expect("GET", &path.replace("fr-par", "nl-ams"), Value::Null, self.absent().0).await?;
            }
            let stranger = services::Organization::from_seed(77);
            services::seed(self.cloud.cloud.store(), &stranger)?;
            let theirs = self.cloud.send_raw("GET", &path, &stranger.secret_key, vec![]).await;
            check(matches!(theirs.status, 403 | 404), "another organisation may read it")?;
        }
        for missing in self.resource.declared_fields().iter().filter(|field| field.describe().ends_with("required")) {
            let mut body = body.clone();
            body.as_object_mut().ok_or("no object")?.remove(missing.name());
            let refused = self.expect("POST", &create, body, 400).await?;
            check(support::faulty(&refused).contains(&missing.name().to_owned()), "the missing field is not named")?;
        }
        if let Some(path) = item("PATCH") {
            self.expect("PATCH", &path, json!({}), 200).await?;
        }
        for (method, path) in
            ["GET", "PATCH", "DELETE"].into_iter().filter_map(|method| Some((method, self.route(method)?)))
        {
            let unknown = path.replace("{}", "00000000-0000-4000-8000-000000000000");
            let answer = self.expect(method, &unknown, json!({}), self.absent().0).await?;
            check(answer.body["type"] == self.absent().1, "an unknown one is refused in other words")?;
        }
        if let Some(path) = item("DELETE") {
            let deleted = self.cloud.send("DELETE", &path, Value::Null).await;
            check(
                matches!(deleted.status, 200 | 204),
                &format!("DELETE answered {} {}", deleted.status, deleted.body),
            )?;
            if SOFTLY_DELETED.contains(&self.resource.kind) {
                return Ok(());
            }
            if let Some(list) = &list {
                self.check_listed(list, &id, false).await?;
            }
            self.expect("DELETE", &path, Value::Null, self.absent().0).await?;
        }
        Ok(())
    }

    async fn of_an_upsert(&self, body: Value) -> Result<(), Failed> {
        let path = self.route("PUT").ok_or("no PUT")?;
        self.expect("PUT", &path, json!({}), 400).await?;
        for _ in 0..2 {
            self.expect("PUT", &path, body.clone(), 200).await?;
            check(
                self.expect("GET", &path, Value::Null, 200).await?.body["total_count"] == 1,
                "it is not listed once",
            )?;
        }
        Ok(())
    }

    async fn of_a_whole_list(&self, key: &str, body: Value) -> Result<(), Failed> {
        let path = self.route("PUT").or(self.route("GET")).ok_or("no PUT")?;
        let put = self.expect("PUT", &path, body.clone(), 200).await?;
        check(
            put.body[key].as_array().map(Vec::len) == body[key].as_array().map(Vec::len),
            "PUT answers another list",
        )?;
        let query =
            body.get("policy_id").and_then(Value::as_str).map(|id| format!("?policy_id={id}")).unwrap_or_default();
        let read = self.expect("GET", &format!("{path}{query}"), Value::Null, 200).await?;
        check(read.body[key] == put.body[key], "GET answers another list than PUT")?;
        let mut nothing = body;
        nothing[key] = json!([]);
        self.expect("PUT", &path, nothing, 200).await?;
        let read = self.expect("GET", &format!("{path}{query}"), Value::Null, 200).await?;
        check(read.body["total_count"] == 0, "an empty list is not empty")
    }

    async fn check_listed(&self, list: &str, id: &str, wanted: bool) -> Result<(), Failed> {
        let all = self.expect("GET", list, Value::Null, 200).await?.body;
        let total = all["total_count"].as_u64().ok_or("the list has no total_count")?;
        let items = all.as_object().into_iter().flatten().find_map(|(_, value)| value.as_array());
        let ids: Vec<String> =
            items.ok_or("the list has no items")?.iter().filter_map(|item| self.id_of(item).ok()).collect();
        check(ids.contains(&id.to_owned()) == wanted, if wanted { "it is not listed" } else { "it is still listed" })?;
        if total > 0 {
            let page = self.expect("GET", &format!("{list}?page_size=1&page={total}"), Value::Null, 200).await?.body;
            let shown = page.as_object().into_iter().flatten().find_map(|(_, value)| value.as_array());
            check(shown.map(Vec::len) == Some(1), "the last page of one is not one long")?;
        }
        self.expect("GET", &format!("{list}?page_size=0"), Value::Null, 400).await.map(drop)
    }

    fn id_of(&self, body: &Value) -> Result<String, Failed> {
        let field = if let Shape::Named(field) = self.resource.shape() { field } else { "id" };
        match &body[field] {
            Value::String(id) => Ok(id.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(format!("the answer has no {field}: {body}").into()),
        }
    }

    async fn expect(&self, method: &str, path: &str, body: Value, status: u16) -> Result<Answer, Failed> {
        let answer = self.cloud.send(method, path, body).await;
        check(
            answer.status == status,
            &format!("{method} {path} answered {} instead of {status}: {}", answer.status, answer.body),
        )?;
        Ok(answer)
    }
}

fn check(holds: bool, otherwise: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

//! Grafana: its address, and who may sign in. Both are a project's, not a region's.

use serde_json::{Value, json};

use super::{READ, WRITE, of_project, project};
use crate::kernel::{Act, Answer, Look, Reason, Record, Refusal, Resource};

const GRAFANA: &str = "cockpit.grafana";
const USER: &str = "cockpit.grafana_user";
const USERS: &str = "/cockpit/v1/grafana/users";
const ITEM: &str = "/cockpit/v1/grafana/users/{grafana_user_id}";

/// A project's Grafana: its address. Hidden is the number of its latest user.
pub(super) fn grafana() -> Resource {
    Resource::new(GRAFANA)
        .called("grafana")
        .at("/cockpit/v1/grafana")
        .of_parent()
        .permissions(READ, WRITE)
        .without(&["GET", "PATCH", "DELETE"])
        .look("/cockpit/v1/grafana", |look| {
            let project = project(look.tables, look.catalogue, look.call)?;
            Ok(json!({"grafana_url": format!("https://{project}.dashboard.cockpit.scaleway.com")}))
        })
        .act("POST", "/cockpit/v1/grafana/sync-data-sources", |act| {
            project(act.tx.tables(), act.catalogue, act.call).map(|_| Answer::NoContent)
        })
}

/// Who may sign in there.
pub(super) fn user() -> Resource {
    Resource::new(USER)
        .called("grafana user")
        .at(ITEM)
        .of_parent()
        .permissions(READ, WRITE)
        .without(&["GET", "PATCH"])
        .look(USERS, list)
        .act("POST", USERS, create)
        .act("POST", "/cockpit/v1/grafana/users/{grafana_user_id}/reset-password", |act| {
            let (_, mut body) = find(act)?;
            body.insert("password".into(), password(act).into());
            Ok(Answer::Ok(Value::Object(body)))
        })
        .act("DELETE", ITEM, |act| {
            let (key, _) = find(act)?;
            act.erase(USER, &key);
            Ok(Answer::NoContent)
        })
}

fn of<'a>(tables: &'a crate::kernel::Tables, project: &'a str) -> impl Iterator<Item = (&'a str, &'a Record)> {
    let mine = move |record: &Record| record.hidden.get("project_id").is_some_and(|owner| owner == project);
    tables.all(USER).map(|(key, record)| (key, record.as_ref())).filter(move |(_, record)| mine(record))
}

fn list(look: &Look<'_>) -> Result<Value, Refusal> {
    let project = project(look.tables, look.catalogue, look.call)?;
    let mut users: Vec<Value> =
        of(look.tables, &project).map(|(_, record)| Value::Object(record.body.clone())).collect();
    users.sort_by_key(|user| user["login"].as_str().unwrap_or_default().to_owned());
    look.page("grafana_users", users)
}

fn create(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let project = project(act.tx.tables(), act.catalogue, act.call)?;
    let (login, role) = (act.call.text("login").unwrap_or_default(), act.call.text("role").unwrap_or("viewer"));
    let inside = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if !(2..=24).contains(&login.len()) || !login.chars().all(inside) || login == "admin" {
        let help = "must have 2 to 24 letters, digits, '-' and '_', and must not be admin";
        return Err(Refusal::argument("login", Reason::Format, help));
    }
    if !["editor", "viewer"].contains(&role) {
        return Err(Refusal::argument("role", Reason::Constraint, "must be editor or viewer"));
    }
    let tables = act.tx.tables();
    if of(tables, &project).any(|(_, user)| user.text("login") == login) {
        return Err(Refusal::argument("login", Reason::Constraint, format!("{login} already exists")));
    }
    // Numbered from 2, and never twice: the first one is Grafana's own administrator (recorded).
    let last = tables.get(GRAFANA, &project).and_then(|grafana| grafana.hidden.get("last_user")?.as_u64());
    let id = last.unwrap_or(1) + 1;
    let mut grafana = of_project(&json!({}), &project);
    grafana.hidden.insert("last_user".into(), id.into());
    act.tx.put(GRAFANA, &project, grafana);
    let body = json!({"id": id, "login": login, "role": role, "password": ""});
    let record = of_project(&body, &project);
    act.change(USER, &format!("{project}/{id}"), record, "created");
    let mut body = body;
    body["password"] = password(act).into();
    Ok(Answer::Ok(body))
}

/// Told once, and kept nowhere.
fn password(act: &mut Act<'_, '_>) -> String {
    act.tx.ids().uuid().replace('-', "")
}

fn find(act: &mut Act<'_, '_>) -> Result<(String, serde_json::Map<String, Value>), Refusal> {
    let project = project(act.tx.tables(), act.catalogue, act.call)?;
    let id = act.call.param("grafana_user_id").unwrap_or_default();
    let key = format!("{project}/{id}");
    let known = act.tx.get(USER, &key).map(|record| record.body.clone());
    known.map(|body| (key, body)).ok_or_else(|| Refusal::not_found("grafana user", id))
}

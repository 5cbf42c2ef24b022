//! What lies in a folder: folders are the paths of secrets. And which tags secrets have.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::is_deleted;
use crate::kernel::{Look, Record, Refusal};

/// The secrets of the query's project, or the caller's default one.
fn secrets<'t>(look: &Look<'t>) -> impl Iterator<Item = &'t Record> {
    let project = look.call.query("project_id").unwrap_or(&look.call.caller.default_project_id).to_owned();
    let organization = look.call.caller.organization_id.clone();
    let region = look.call.param("region").unwrap_or_default().to_owned();
    look.tables.all("secret.secret").map(|(_, secret)| secret.as_ref()).filter(move |secret| {
        secret.text("project_id") == project
            && secret.text("organization_id") == organization
            && secret.text("region") == region
            && !is_deleted(secret)
    })
}

fn tags_of(secret: &Record) -> impl Iterator<Item = &str> {
    secret.body.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// GET browse: the folders and secrets in the folder `prefix`.
pub(super) fn browse(look: &Look<'_>) -> Result<Value, Refusal> {
    let prefix = look.call.query("prefix").unwrap_or("/").trim_end_matches('/');
    let inside = format!("{prefix}/");
    let mut folders: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    let mut items = Vec::new();
    for secret in secrets(look) {
        let path = secret.text("path").trim_end_matches('/');
        let (created, updated) = (secret.text("created_at"), secret.text("updated_at"));
        if path == prefix {
            let matches = look.call.queries("tags").all(|asked| tags_of(secret).any(|tag| tag == asked))
                && look.call.query("type").is_none_or(|asked| secret.text("type") == asked);
            if matches {
                let field = |name: &str| secret.body.get(name).cloned().unwrap_or_default();
                items.push(json!({
                    "name": secret.text("name"), "created_at": created, "updated_at": updated,
                    "secret": {
                        "id": secret.text("id"), "tags": field("tags"), "version_count": field("version_count"),
                        "protected": field("protected"), "ephemeral_policy": field("ephemeral_policy"),
                        "type": field("type"),
                    },
                }));
            }
        } else if let Some(name) = path.strip_prefix(&inside).and_then(|rest| rest.split('/').next()) {
            let folder = folders.entry(name.to_owned()).or_insert((created, updated));
            *folder = (folder.0.min(created), folder.1.max(updated));
        }
    }
    items.extend(folders.into_iter().map(
        |(name, (created, updated))| json!({"name": name, "created_at": created, "updated_at": updated, "folder": {}}),
    ));
    let order = look.call.query("order_by").unwrap_or("name_asc");
    let field = order.rsplit_once('_').map_or("name", |(field, _)| field);
    items.sort_by(|a, b| a[field].as_str().cmp(&b[field].as_str()));
    let mut page = look.page("items", items)?;
    page["current_path"] = if prefix.is_empty() { "/".into() } else { prefix.into() };
    Ok(page)
}

/// GET tags: those of a project's secrets, each once.
pub(super) fn tags(look: &Look<'_>) -> Result<Value, Refusal> {
    let tags: BTreeSet<&str> = secrets(look).flat_map(tags_of).collect();
    look.page("tags", tags.into_iter().map(Value::from).collect())
}

//! Alert manager: one per project and region, switched on and off; who is notified, in the order they were named.

use serde_json::{Value, json};

use super::{READ, WRITE, of_project, place_of_act, place_of_look};
use crate::kernel::{Act, Answer, Look, Reason, Record, Refusal, Resource};

const ALERT_MANAGER: &str = "cockpit.alert_manager";
const PATH: &str = "/cockpit/v1/regions/{region}/alert-manager";

/// How many contact points one has (documented).
const MOST_CONTACTS: usize = 100;

pub(super) fn alert_manager() -> Resource {
    Resource::new(ALERT_MANAGER)
        .at(PATH)
        .singleton()
        .of_parent()
        .permissions(READ, WRITE)
        .without(&["PATCH", "PUT"])
        .look(PATH, |look| {
            let (key, region, _) = place_of_look(look)?;
            Ok(look.tables.get(ALERT_MANAGER, &key).map_or_else(|| off(&region), |it| Value::Object(it.body.clone())))
        })
        .act("POST", "/cockpit/v1/regions/{region}/alert-manager/enable", |act| switch(act, enable))
        .act("POST", "/cockpit/v1/regions/{region}/alert-manager/disable", |act| switch(act, disable))
        .act("POST", "/cockpit/v1/regions/{region}/alert-manager/managed-alerts/enable", |act| {
            switch(act, |record, _, _| managed(record, true))
        })
        .act("POST", "/cockpit/v1/regions/{region}/alert-manager/managed-alerts/disable", |act| {
            switch(act, |record, _, _| managed(record, false))
        })
        .act("POST", "/cockpit/v1/regions/{region}/alert-manager/trigger-test-alert", |act| {
            let (key, _, _) = place_of_act(act)?;
            must_be_on(act.tx.get(ALERT_MANAGER, &key).map(AsRef::as_ref))?;
            Ok(Answer::NoContent)
        })
        .look("/cockpit/v1/regions/{region}/alert-manager/contact-points", list_contacts)
        .act("POST", "/cockpit/v1/regions/{region}/alert-manager/contact-points", add_contact)
        .act("PATCH", "/cockpit/v1/regions/{region}/alert-manager/contact-points", update_contact)
        .act("POST", "/cockpit/v1/regions/{region}/alert-manager/contact-points/delete", delete_contact)
}

/// What is told of one that was never switched on.
fn off(region: &str) -> Value {
    json!({
        "alert_manager_enabled": false, "alert_manager_url": null, "managed_alerts_enabled": false, "region": region,
    })
}

fn switch(
    act: &mut Act<'_, '_>,
    change: fn(&mut Record, &str, &str) -> Result<(), Refusal>,
) -> Result<Answer, Refusal> {
    let (key, region, project) = place_of_act(act)?;
    let known = act.tx.get(ALERT_MANAGER, &key).map(|record| Record::clone(record));
    let mut record = known.unwrap_or_else(|| of_project(&off(&region), &project));
    let id = act.tx.ids().uuid();
    change(&mut record, &region, &id)?;
    Ok(Answer::record(&act.change(ALERT_MANAGER, &key, record, "updated")))
}

fn enable(record: &mut Record, region: &str, id: &str) -> Result<(), Refusal> {
    // Switched on again it has the address that it had (recorded).
    let url = format!("https://{id}.alertmanager.cockpit.{region}.scw.cloud");
    let url = record.hidden.entry("url").or_insert(json!(url)).clone();
    record.body.insert("alert_manager_url".into(), url);
    record.body.insert("alert_manager_enabled".into(), json!(true));
    Ok(())
}

fn disable(record: &mut Record, _: &str, _: &str) -> Result<(), Refusal> {
    record.body.insert("alert_manager_url".into(), Value::Null);
    record.body.insert("alert_manager_enabled".into(), json!(false));
    record.body.insert("managed_alerts_enabled".into(), json!(false));
    Ok(())
}

fn managed(record: &mut Record, enabled: bool) -> Result<(), Refusal> {
    must_be_on(Some(record))?;
    record.body.insert("managed_alerts_enabled".into(), json!(enabled));
    Ok(())
}

pub(super) fn must_be_on(record: Option<&Record>) -> Result<(), Refusal> {
    if record.is_some_and(|record| record.body.get("alert_manager_enabled") == Some(&json!(true))) {
        return Ok(());
    }
    Err(Refusal::Precondition {
        precondition: "attribute_must_be_set",
        help: "the alert manager of this project and region is not enabled".into(),
    })
}

fn contacts(record: Option<&Record>) -> Vec<Value> {
    record.and_then(|record| record.hidden.get("contact_points")?.as_array().cloned()).unwrap_or_default()
}

fn list_contacts(look: &Look<'_>) -> Result<Value, Refusal> {
    let (key, _, _) = place_of_look(look)?;
    let contacts = contacts(look.tables.get(ALERT_MANAGER, &key).map(AsRef::as_ref));
    let mut answer = look.page("contact_points", contacts)?;
    answer["has_additional_receivers"] = json!(false);
    answer["has_additional_contact_points"] = json!(false);
    Ok(answer)
}

/// The address a request about a contact point names.
fn address(act: &Act<'_, '_>) -> Result<String, Refusal> {
    let to = act.call.body.get("email").and_then(|email| email["to"].as_str()).unwrap_or_default();
    let parts: Vec<&str> = to.split('@').collect();
    if let [name, host] = parts[..]
        && !name.is_empty()
        && host.contains('.')
        && !to.contains(char::is_whitespace)
    {
        return Ok(to.to_owned());
    }
    Err(Refusal::argument("email.to", Reason::Format, "must be an e-mail address"))
}

fn add_contact(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let to = address(act)?;
    change_contacts(act, |act, contacts, region| {
        if contacts.iter().any(|contact| contact["email"]["to"] == to.as_str()) {
            return Err(Refusal::argument("email.to", Reason::Constraint, format!("{to} is a contact point already")));
        }
        if contacts.len() >= MOST_CONTACTS {
            let (quota, current) = (MOST_CONTACTS as u64, contacts.len() as u64);
            return Err(Refusal::QuotaExceeded { resource: "cockpit_contact_points".into(), quota, current });
        }
        let told = resolved(act).unwrap_or(true);
        let contact = json!({"email": {"to": to}, "region": region, "send_resolved_notifications": told});
        contacts.push(contact.clone());
        Ok(Answer::Ok(contact))
    })
}

fn update_contact(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let to = address(act)?;
    change_contacts(act, |act, contacts, _| {
        let known = contacts.iter_mut().find(|contact| contact["email"]["to"] == to.as_str());
        let contact = known.ok_or_else(|| Refusal::not_found("contact point", &to))?;
        if let Some(told) = resolved(act) {
            contact["send_resolved_notifications"] = json!(told);
        }
        Ok(Answer::Ok(contact.clone()))
    })
}

fn delete_contact(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let to = address(act)?;
    change_contacts(act, |_, contacts, _| {
        let before = contacts.len();
        contacts.retain(|contact| contact["email"]["to"] != to.as_str());
        if contacts.len() == before {
            return Err(Refusal::not_found("contact point", &to));
        }
        Ok(Answer::NoContent)
    })
}

/// Whether a contact point is to be told that an alert is over.
fn resolved(act: &Act<'_, '_>) -> Option<bool> {
    act.call.body.get("send_resolved_notifications").and_then(Value::as_bool)
}

fn change_contacts(
    act: &mut Act<'_, '_>,
    change: impl FnOnce(&Act<'_, '_>, &mut Vec<Value>, &str) -> Result<Answer, Refusal>,
) -> Result<Answer, Refusal> {
    let (key, region, _) = place_of_act(act)?;
    let known = act.tx.get(ALERT_MANAGER, &key).map(|record| Record::clone(record));
    must_be_on(known.as_ref())?;
    let mut record = known.unwrap_or_default();
    let mut contacts = contacts(Some(&record));
    let answer = change(act, &mut contacts, &region)?;
    record.hidden.insert("contact_points".into(), contacts.into());
    act.change(ALERT_MANAGER, &key, record, "updated");
    Ok(answer)
}

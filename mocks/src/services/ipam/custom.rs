//! Custom resources: machines that IPAM knows by a MAC address only.
//!
//! Recorded: the MAC address comes back in capital letters, the resource's
//! identifier is the address's own.

use serde_json::{Value, json};

use crate::kernel::{Act, Answer, Field, Reason, Record, Refusal, optional, required};

/// The type of a custom resource.
pub(super) const TYPE: &str = "custom";

/// What is said of a custom resource.
pub(super) fn fields() -> [Field; 2] {
    [required("mac_address").text(17..=17).check(mac_address), optional("name").text(0..=255).default(Value::Null)]
}

fn mac_address(value: &Value) -> Result<(), String> {
    let parts: Vec<&str> = value.as_str().unwrap_or_default().split(':').collect();
    let is_byte = |part: &&str| part.len() == 2 && part.chars().all(|digit| digit.is_ascii_hexdigit());
    if parts.len() == 6 && parts.iter().all(is_byte) {
        Ok(())
    } else {
        Err("must be a MAC address such as 02:00:00:12:34:56".into())
    }
}

/// A custom resource as it is answered.
pub(super) fn resource(ip: &str, said: &Value) -> Value {
    let mac = said["mac_address"].as_str().unwrap_or_default().to_ascii_uppercase();
    json!({"id": ip, "type": TYPE, "mac_address": mac, "name": said["name"]})
}

/// The resource that a request names under this field, if it does.
fn named(act: &Act<'_, '_>, field: &str) -> Result<Option<Value>, Refusal> {
    let Some(said) = act.call.body.get(field).filter(|said| !said.is_null()) else { return Ok(None) };
    mac_address(&said["mac_address"])
        .map_err(|help| Refusal::argument(format!("{field}.mac_address"), Reason::Constraint, help))?;
    Ok(Some(json!({"mac_address": said["mac_address"], "name": said.get("name").cloned().unwrap_or_default()})))
}

fn required_resource(act: &Act<'_, '_>, field: &str) -> Result<Value, Refusal> {
    named(act, field)?.ok_or_else(|| Refusal::argument(field, Reason::Required, format!("{field} is required")))
}

fn the_ip(act: &Act<'_, '_>) -> Result<(String, Record), Refusal> {
    let key = act.call.param("ip_id").unwrap_or_default().to_owned();
    let record = Record::clone(&*act.find("ipam.ip", &key)?);
    Ok((key, record))
}

/// Whether the address is attached to the custom resource that a request says.
fn must_be_at(ip: &Record, said: &Value, field: &str) -> Result<(), Refusal> {
    let text = |value: &Value| value["mac_address"].as_str().unwrap_or_default().to_ascii_uppercase();
    let now = ip.body.get("resource").cloned().unwrap_or_default();
    if now["type"] == TYPE && text(&now) == text(said) {
        return Ok(());
    }
    let help = "the address is not attached to this resource";
    Err(Refusal::argument(format!("{field}.mac_address"), Reason::Constraint, help))
}

fn put(act: &mut Act<'_, '_>, key: &str, mut ip: Record, resource: Value) -> Answer {
    ip.body.insert("resource".into(), resource);
    Answer::record(&act.change("ipam.ip", key, ip, "updated"))
}

/// POST attach.
pub(super) fn attach(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (key, ip) = the_ip(act)?;
    let said = required_resource(act, "resource")?;
    if ip.body.get("resource").is_some_and(|resource| !resource.is_null()) {
        return Err(Refusal::Precondition {
            precondition: "resource_still_in_use",
            help: "the address is attached to a resource".into(),
        });
    }
    Ok(put(act, &key, ip, resource(&key, &said)))
}

/// POST detach.
pub(super) fn detach(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (key, ip) = the_ip(act)?;
    must_be_at(&ip, &required_resource(act, "resource")?, "resource")?;
    Ok(put(act, &key, ip, Value::Null))
}

/// POST move: from one custom resource to another, or to none (recorded).
pub(super) fn shift(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (key, ip) = the_ip(act)?;
    // An address that is attached to nothing can be moved, too: from nowhere.
    if let Some(from) = named(act, "from_resource")? {
        must_be_at(&ip, &from, "from_resource")?;
    }
    let to = named(act, "to_resource")?.map_or(Value::Null, |to| resource(&key, &to));
    Ok(put(act, &key, ip, to))
}

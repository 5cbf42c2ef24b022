//! The certificate of an instance: made once, since clients keep it in their state.

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};

use super::plane;
use crate::kernel::{Act, Answer, Look, Record, Refusal};

/// Where an instance keeps its certificate and the key of it, hidden, both as PEM.
const CERTIFICATE: &str = "certificate";
const KEY: &str = "certificate_key";

/// Gives an instance a self-signed certificate for its endpoints, and the key of it.
pub(super) fn put(instance: &str, record: &mut Record) -> Result<(), Refusal> {
    let made = generate(instance, record).map_err(|error| Refusal::Internal(error.to_string()))?;
    for (field, pem) in [CERTIFICATE, KEY].into_iter().zip(made) {
        record.hidden.insert(field.into(), pem.into());
    }
    Ok(())
}

fn generate(instance: &str, record: &Record) -> Result<[String; 2], rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut names = vec![plane::host(instance, record)];
    names.extend(plane::addresses(record).iter().map(ToString::to_string));
    let mut parameters = CertificateParams::new(names)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, format!("{instance}.rdb"));
    name.push(DnType::OrganizationName, "stackproof local cloud");
    parameters.distinguished_name = name;
    Ok([parameters.self_signed(&key)?.pem(), key.serialize_pem()])
}

/// The certificate of an instance and its key.
pub(super) fn pair(record: &Record) -> Option<(String, String)> {
    let text = |field: &str| record.hidden.get(field)?.as_str().map(str::to_owned);
    Some((text(CERTIFICATE)?, text(KEY)?))
}

/// GET certificate: a file, its content in base64 as the SDK's `File` decodes it.
pub(super) fn show(look: &Look<'_>) -> Result<Value, Refusal> {
    let instance = look.find("rdb.instance", look.call.param("instance_id").unwrap_or_default())?;
    let pem = instance.hidden.get(CERTIFICATE).and_then(Value::as_str).unwrap_or_default();
    Ok(json!({
        "name": "ssl_certificate",
        "content_type": "application/x-pem-file",
        "content": STANDARD.encode(pem),
    }))
}

/// POST renew-certificate: another one from now on.
pub(super) fn renew(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("instance_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled("rdb.instance", &key)?);
    put(&key, &mut record)?;
    act.change("rdb.instance", &key, record, "certificate");
    Ok(Answer::NoContent)
}

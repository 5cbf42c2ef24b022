//! The certificate of an instance: made once, since clients keep it in their state.

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};

use crate::kernel::{Act, Answer, Look, Record, Refusal};

/// A self-signed certificate for an instance, as PEM.
pub(super) fn generate(instance: &str) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::new(vec![format!("rw-{instance}.rdb.fr-par.scw.cloud")])?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, format!("{instance}.rdb"));
    name.push(DnType::OrganizationName, "stackproof local cloud");
    parameters.distinguished_name = name;
    Ok(parameters.self_signed(&key)?.pem())
}

/// GET certificate: a file, its content in base64 as the SDK's `File` decodes it.
pub(super) fn show(look: &Look<'_>) -> Result<Value, Refusal> {
    let instance = look.find("rdb.instance", look.call.param("instance_id").unwrap_or_default())?;
    let pem = instance.hidden.get("certificate").and_then(Value::as_str).unwrap_or_default();
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
    let certificate = generate(&key).map_err(|error| Refusal::Internal(error.to_string()))?;
    record.hidden.insert("certificate".into(), certificate.into());
    act.change("rdb.instance", &key, record, "certificate");
    Ok(Answer::NoContent)
}

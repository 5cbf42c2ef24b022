//! SAML and SCIM: signing in with, and taking users from, an organisation's own identity provider.
//!
//! Their configuration only: nobody signs in here, and no identity provider sends users.
//! Recorded: an organisation has at most one of each; tokens are told once and live for a year.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};
use x509_parser::pem::parse_x509_pem;

use super::resource;
use crate::kernel::{Act, Answer, Look, Reason, Record, Refusal, Resource, Tables, optional, rfc3339};

const SAML: &str = "iam.saml";
const CERTIFICATE: &str = "iam.saml_certificate";
const SCIM: &str = "iam.scim";
const TOKEN: &str = "iam.scim_token";

pub(super) fn resources() -> [Resource; 4] {
    let only_deleted = |kind, path| resource(kind, path).without(&["POST", "LIST", "GET", "PATCH"]);
    [
        resource(SAML, "/iam/v1alpha1/saml/{saml_id}")
            .without(&["POST", "LIST", "GET"])
            .fields([optional("entity_id").text(0..=1024), optional("single_sign_on_url").text(0..=2048)])
            .look("/iam/v1alpha1/organizations/{organization_id}/saml", |look| show(look, SAML))
            .act("POST", "/iam/v1alpha1/organizations/{organization_id}/saml", enable_saml)
            .updated(|making| {
                let certified = !parts(making.tx.tables(), CERTIFICATE, making.key).is_empty();
                tell_status(making.record, certified);
                Ok(())
            })
            .deleted(|act, key| {
                take_along(act, CERTIFICATE, key);
                Ok(())
            }),
        resource(CERTIFICATE, "/iam/v1alpha1/saml-certificates/{certificate_id}")
            .without(&["POST", "LIST", "GET", "PATCH"])
            .look("/iam/v1alpha1/saml/{saml_id}/certificates", |look| list(look, SAML, CERTIFICATE, "certificates"))
            .act("POST", "/iam/v1alpha1/saml/{saml_id}/certificates", add_certificate)
            .look("/iam/v1alpha1/saml-certificates/{certificate_id}", |look| {
                let id = look.call.param("certificate_id").unwrap_or_default();
                Ok(Value::Object(look.find(CERTIFICATE, id)?.body.clone()))
            })
            .deleted(|act, key| {
                let certificate = act.find(CERTIFICATE, key)?;
                let saml = hidden(&certificate, "of").to_owned();
                let left = parts(act.tx.tables(), CERTIFICATE, &saml).len();
                refresh(act, &saml, left > 1)
            }),
        only_deleted(SCIM, "/iam/v1alpha1/scim/{scim_id}")
            .look("/iam/v1alpha1/organizations/{organization_id}/scim", |look| show(look, SCIM))
            .act("POST", "/iam/v1alpha1/organizations/{organization_id}/scim", enable_scim)
            .deleted(|act, key| {
                take_along(act, TOKEN, key);
                Ok(())
            }),
        only_deleted(TOKEN, "/iam/v1alpha1/scim-tokens/{token_id}")
            .look("/iam/v1alpha1/scim/{scim_id}/tokens", |look| list(look, SCIM, TOKEN, "scim_tokens"))
            .act("POST", "/iam/v1alpha1/scim/{scim_id}/tokens", add_token),
    ]
}

fn hidden<'r>(record: &'r Record, field: &str) -> &'r str {
    record.hidden.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn of_organization<'t>(tables: &'t Tables, kind: &str, organization: &str) -> Option<&'t Record> {
    let mut all = tables.all(kind).map(|(_, record)| record.as_ref());
    all.find(|record| hidden(record, "organization_id") == organization)
}

/// GET of an organisation: 404 while it is off (recorded).
fn show(look: &Look<'_>, kind: &str) -> Result<Value, Refusal> {
    let asked = look.call.param("organization_id").unwrap_or_default();
    let own = asked == look.call.caller.organization_id;
    let found = of_organization(look.tables, kind, asked).filter(|_| own);
    let found = found.ok_or_else(|| Refusal::not_found(kind.replace("iam.", "organization_"), asked))?;
    Ok(Value::Object(found.body.clone()))
}

/// Turns it on for the caller's organisation; what is on stays as it is.
fn enable(act: &mut Act<'_, '_>, kind: &str, body: impl Fn(&str, String) -> Value) -> Result<Answer, Refusal> {
    let organization = act.call.caller.organization_id.clone();
    let asked = act.call.param("organization_id").unwrap_or_default();
    if asked != organization {
        return Err(Refusal::not_found("organization", asked));
    }
    if let Some(there) = of_organization(act.tx.tables(), kind, &organization) {
        return Ok(Answer::record(there));
    }
    let (id, now) = (act.tx.ids().uuid(), rfc3339(act.tx.now()));
    Ok(Answer::record(&write(act, kind, &id, &body(&id, now), &[("organization_id", &organization)])))
}

fn write(act: &mut Act<'_, '_>, kind: &str, id: &str, body: &Value, secret: &[(&str, &str)]) -> Record {
    let mut record = Record::of(body);
    for (field, value) in secret {
        record.hidden.insert((*field).to_owned(), (*value).into());
    }
    act.tx.put(kind, id, record.clone());
    act.tx.event(kind, id, "created", None);
    record
}

fn enable_saml(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    enable(act, SAML, |id, _| {
        json!({
            "id": id, "status": "missing_certificate", "entity_id": "", "single_sign_on_url": "",
            "service_provider": {
                "entity_id": format!("https://iam.scaleway.com/saml/{id}"),
                "assertion_consumer_service_url": format!("https://api.scaleway.com/iam/v1/saml/{id}/login"),
            },
        })
    })
}

fn enable_scim(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    enable(act, SCIM, |id, now| json!({"id": id, "created_at": now}))
}

/// What is still missing, the first thing first.
fn tell_status(saml: &mut Record, certified: bool) {
    let status = if !certified {
        "missing_certificate"
    } else if saml.text("entity_id").is_empty() {
        "missing_entity_id"
    } else if saml.text("single_sign_on_url").is_empty() {
        "missing_single_sign_on_url"
    } else {
        "valid"
    };
    saml.body.insert("status".into(), status.into());
}

fn refresh(act: &mut Act<'_, '_>, saml: &str, certified: bool) -> Result<(), Refusal> {
    let mut record = Record::clone(&*act.find(SAML, saml)?);
    tell_status(&mut record, certified);
    act.change(SAML, saml, record, "updated");
    Ok(())
}

/// The certificates of a SAML configuration, or the tokens of SCIM, in their order.
fn parts<'t>(tables: &'t Tables, kind: &str, of: &str) -> Vec<(&'t str, &'t Record)> {
    let all = tables.all(kind).map(|(key, record)| (key, record.as_ref()));
    let mut parts: Vec<_> = all.filter(|(_, record)| hidden(record, "of") == of).collect();
    parts.sort_by_key(|(_, record)| hidden(record, "made_at"));
    parts
}

fn take_along(act: &mut Act<'_, '_>, kind: &str, of: &str) {
    let keys: Vec<String> = parts(act.tx.tables(), kind, of).iter().map(|(key, _)| (*key).to_owned()).collect();
    for key in keys {
        act.erase(kind, &key);
    }
}

fn list(look: &Look<'_>, parent: &str, kind: &str, key: &str) -> Result<Value, Refusal> {
    let of = look.call.ids().first().copied().unwrap_or_default();
    look.find(parent, of)?;
    look.page(key, parts(look.tables, kind, of).into_iter().map(|(_, part)| Value::Object(part.body.clone())).collect())
}

fn add_certificate(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let saml = act.call.param("saml_id").unwrap_or_default().to_owned();
    act.find(SAML, &saml)?;
    let kind = act.call.text("type").filter(|kind| ["signing", "encryption"].contains(kind));
    let kind =
        kind.ok_or_else(|| Refusal::argument("type", Reason::Constraint, "must be signing or encryption"))?.to_owned();
    let content = act.call.text("content").unwrap_or_default().to_owned();
    let expires =
        expiry(&content).ok_or_else(|| Refusal::argument("content", Reason::Format, "must be a certificate in PEM"))?;
    let (id, now) = (act.tx.ids().uuid(), rfc3339(act.tx.now()));
    let body = json!({
        "id": id, "type": kind, "origin": "identity_provider", "content": content, "expires_at": expires,
    });
    let organization = act.call.caller.organization_id.clone();
    let secret = [("of", saml.as_str()), ("made_at", now.as_str()), ("organization_id", organization.as_str())];
    let record = write(act, CERTIFICATE, &id, &body, &secret);
    refresh(act, &saml, true)?;
    Ok(Answer::record(&record))
}

/// When a certificate ends.
fn expiry(pem: &str) -> Option<String> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
    Some(rfc3339(pem.parse_x509().ok()?.validity().not_after.to_datetime()))
}

fn add_token(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let scim = act.call.param("scim_id").unwrap_or_default().to_owned();
    act.find(SCIM, &scim)?;
    let (id, now) = (act.tx.ids().uuid(), act.tx.now());
    let (made, expires) = (rfc3339(now), rfc3339(now + time::Duration::days(365)));
    let secret = format!("{}{}", act.tx.ids().uuid(), act.tx.ids().uuid()).replace('-', "");
    let body = json!({"id": id, "scim_id": scim, "created_at": made, "expires_at": expires});
    let organization = act.call.caller.organization_id.clone();
    let kept = [("of", scim.as_str()), ("made_at", made.as_str()), ("organization_id", organization.as_str())];
    let record = write(act, TOKEN, &id, &body, &kept);
    let bearer = format!("{}.{secret}", STANDARD_NO_PAD.encode(&id));
    Ok(Answer::Ok(json!({"token": record.body, "bearer_token": bearer})))
}

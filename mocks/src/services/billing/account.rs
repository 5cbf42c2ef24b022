//! What an organisation owes: nothing. The lists are as empty as those of an organisation that used nothing.

use serde_json::{Value, json};

use super::{READ, WRITE};
use crate::kernel::{Look, Reason, Refusal, Resource, is_uuid, rfc3339};

const CONSUMPTIONS: &str = "/billing/v2beta1/consumptions";

pub(super) fn account() -> Resource {
    Resource::new("billing.account")
        .at(CONSUMPTIONS)
        .singleton()
        .of_organization()
        .permissions(READ, WRITE)
        .without(&["GET", "PATCH", "PUT"])
        .look(CONSUMPTIONS, |look| {
            own(look)?;
            period(look)?;
            let mut page = look.page("consumptions", vec![])?;
            page["total_discount_untaxed_value"] = json!(0);
            page["updated_at"] = rfc3339(look.now).into();
            Ok(page)
        })
        .look("/billing/v2beta1/taxes", |look| {
            own(look)?;
            period(look)?;
            let mut page = look.page("taxes", vec![])?;
            page["updated_at"] = rfc3339(look.now).into();
            Ok(page)
        })
        .look("/billing/v2beta1/invoices", |look| empty(look, "invoices"))
        .look("/billing/v2beta1/invoices/{invoice_id}", |look| {
            Err(Refusal::not_found("invoice", look.call.param("invoice_id").unwrap_or_default()))
        })
        .look("/billing/v2beta1/discounts", |look| empty(look, "discounts"))
        .look("/billing/v2beta1/charges", |look| {
            own(look)?;
            Ok(json!({"charges": [], "next_page_token": null}))
        })
}

fn empty(look: &Look<'_>, key: &str) -> Result<Value, Refusal> {
    own(look)?;
    look.page(key, vec![])
}

/// The organisation and the project that the query names have to be the caller's own.
fn own(look: &Look<'_>) -> Result<(), Refusal> {
    let denied = || Refusal::PermissionsDenied { resource: "billing".into(), action: "read".into() };
    if look.call.query("organization_id").is_some_and(|asked| asked != look.call.caller.organization_id) {
        return Err(denied());
    }
    for project in ["project_id", "project_ids"].iter().flat_map(|name| look.call.queries(name)) {
        if !is_uuid(project) {
            return Err(Refusal::argument("project_id", Reason::Format, "must be a UUID"));
        }
        look.find("account.project", project).map_err(|_| denied())?;
    }
    Ok(())
}

/// A month, such as 2026-05 (SDK: `BillingPeriod`).
fn period(look: &Look<'_>) -> Result<(), Refusal> {
    let is_month = |text: &str| {
        text.split_once('-').is_some_and(|(year, month)| {
            year.len() == 4
                && year.bytes().all(|digit| digit.is_ascii_digit())
                && month.len() == 2
                && month.parse().is_ok_and(|month: u8| (1..=12).contains(&month))
        })
    };
    match look.call.query("billing_period") {
        Some(asked) if !is_month(asked) => {
            Err(Refusal::argument("billing_period", Reason::Format, "must be a month such as 2026-05"))
        }
        _ => Ok(()),
    }
}

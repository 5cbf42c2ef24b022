//! Serverless Functions. API reference: Serverless Functions API v1beta1.
//!
//! Nothing runs behind a function yet: its archive is kept in Object Storage and
//! not looked at. A function that has one becomes `ready` when it is deployed or
//! changed, one that has none ends in `error` (recorded). Its domain name is
//! well-formed and nobody answers there; crons and triggers never fire. What a data
//! plane will need is kept: the archive, secret values in the records' hidden part,
//! the key that signs a namespace's tokens. Its moments are those of [`function`]:
//! `build` (deployed or changed), `built` (settled) and `withdraw` (deleted, by
//! itself or with its namespace).

mod code;
mod cron;
mod domain;
mod environment;
#[allow(clippy::module_inception, reason = "the product and its main resource have one name")]
mod function;
mod namespace;
mod runtime;
mod token;
mod trigger;

use serde_json::Value;

use crate::kernel::{Call, Making, Product, Record, Refusal};

/// Documented in IAM's list of permission sets. (`FunctionsPrivateAccess` is for calling private
/// functions: it concerns their data plane.)
const READ: &[&str] = &["FunctionsReadOnly"];
const WRITE: &[&str] = &["FunctionsFullAccess"];

const NAMESPACE: &str = "function.namespace";
const FUNCTION: &str = "function.function";
const CRON: &str = "function.cron";
const DOMAIN: &str = "function.domain";
const TOKEN: &str = "function.token";
const TRIGGER: &str = "function.trigger";

pub(super) fn product() -> Product {
    Product {
        name: "function",
        title: "Serverless Functions",
        resources: vec![
            namespace::namespace(),
            function::function(),
            cron::cron(),
            domain::domain(),
            trigger::trigger(),
            token::token(),
        ],
    }
}

/// Answers of crons, domains, tokens and triggers do not tell when they were made (recorded); lists
/// are in that order all the same.
fn hide_times(making: &mut Making<'_, '_>) {
    if let Some(created_at) = making.record.body.remove("created_at") {
        making.record.hidden.insert("created_at".into(), created_at);
    }
    making.record.body.remove("updated_at");
}

/// Remembers the namespace of the function that a cron, domain or trigger names: lists can be asked
/// for by it, and answers do not tell it. The function must not be on its way out.
fn remember_namespace(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let id = making.text("function_id").to_owned();
    let namespace = making.act(FUNCTION, |act| {
        let function = act.find(FUNCTION, &id)?;
        if function.text("status") == "deleting" {
            act.catalogue.refuse_in_passage(FUNCTION, &id, &function)?;
        }
        Ok(function.text("namespace_id").to_owned())
    })?;
    making.record.hidden.insert("namespace_id".into(), namespace.into());
    Ok(())
}

/// Whether a record is one of the namespace that a list is asked for by.
fn in_asked_namespace(record: &Record, call: &Call) -> bool {
    call.query("namespace_id").is_none_or(|asked| record.text_or_hidden("namespace_id") == asked)
}

/// Null, until there is something to tell.
fn nothing(_: &mut Making<'_, '_>) -> Result<Value, Refusal> {
    Ok(Value::Null)
}

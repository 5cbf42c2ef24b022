//! Who asks, and whether they may.
//!
//! Login is Basic with any user name (documented: `nologin`) and the secret key of
//! an API key. IAM decides in the namespace's project; an image that is public, by
//! itself or by its namespace, can be pulled by everybody.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, StatusCode, header};
use oci_spec::distribution::ErrorCode;

use super::{
    ContainerRegistry,
    records::{self, NAMESPACE},
    refusal::{Answered, Refused, refuse, unknown},
};
use crate::{
    api::caller_of,
    kernel::{Access, Action, Allowing, Asking, Caller, Record, Store, Tables, Within},
};

const PULLING: Allowing = Allowing::new(&[
    "ContainerRegistryReadOnly",
    "ContainerRegistryFullAccess",
    "AllProductsReadOnly",
    "AllProductsFullAccess",
]);
const PUSHING: Allowing = Allowing::new(&["ContainerRegistryFullAccess", "AllProductsFullAccess"]);

/// What allows each thing that the registry's own protocol does.
pub(crate) fn all_allowing() -> impl Iterator<Item = Allowing> {
    [PULLING, PUSHING].into_iter()
}

/// Who asks; none: nobody said.
pub(super) type Visitor = Option<Caller>;

/// A repository that the visitor may do something with.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    /// The namespace's identifier.
    pub(super) namespace: String,
    /// The namespace's project.
    pub(super) project: String,
    /// The image's name.
    pub(super) image: String,
    /// Both names: `<namespace>/<image>`.
    pub(super) name: String,
}

impl Repository {
    /// The key of one of its contents.
    pub(super) fn key(&self, of: &str) -> String {
        format!("{}{of}", records::contents_of(&self.namespace, &self.image))
    }

    /// Refuses when the namespace has gone in the meantime.
    pub(super) fn still_there(&self, tables: &Tables) -> Answered<()> {
        match tables.get(NAMESPACE, &self.namespace) {
            Some(namespace) if namespace.text("status") != "deleting" => Ok(()),
            _ => Err(unknown(ErrorCode::NameUnknown, format!("the namespace of {} is gone", self.name))),
        }
    }
}

/// Finds out who asks.
pub(super) fn visitor(store: &Store, headers: &HeaderMap, region: &str) -> Answered<Visitor> {
    let Some(said) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let wrong = || {
        let message = "authentication failed: the password must be the secret key of a valid API key";
        challenge(region, message)
    };
    let said = said.to_str().map_err(|_| wrong())?;
    let (scheme, credentials) = said.split_once(' ').ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let credentials = STANDARD.decode(credentials.trim()).ok().and_then(|text| String::from_utf8(text).ok());
    let credentials = credentials.ok_or_else(wrong)?;
    let (_, secret_key) = credentials.split_once(':').ok_or_else(wrong)?;
    caller_of(store, secret_key).map(Some).map_err(|_| wrong())
}

/// Asks for a login.
pub(super) fn challenge(region: &str, message: &str) -> Refused {
    refuse(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
        .with(header::WWW_AUTHENTICATE, format!("Basic realm=\"rg.{region}.scw.cloud\""))
}

/// Lets a visitor into a repository of this name, or not.
pub(super) fn enter(
    registry: &ContainerRegistry,
    tables: &Tables,
    region: &str,
    name: &str,
    visitor: &Visitor,
    access: Access,
) -> Answered<Repository> {
    let (namespace, image) = name.split_once('/').unwrap_or((name, ""));
    let found = tables.all(NAMESPACE).find(|(_, record)| {
        (record.text("name"), record.text("region")) == (namespace, region) && record.text("status") != "deleting"
    });
    let Some((id, record)) = found else {
        return Err(match visitor {
            None => challenge(region, "authentication is required"),
            Some(_) => {
                unknown(ErrorCode::NameUnknown, format!("there is no namespace {namespace} in {region}: create it"))
            }
        });
    };
    let repository = Repository {
        namespace: id.to_owned(),
        project: record.text("project_id").to_owned(),
        image: image.to_owned(),
        name: name.to_owned(),
    };
    if access == Access::Read && is_public(tables, id, record, image) {
        return Ok(repository);
    }
    let Some(caller) = visitor else { return Err(challenge(region, "authentication is required")) };
    let (action, allowing) = match access {
        Access::Read => (Action("registry", "pull"), PULLING),
        Access::Write => (Action("registry", "push"), PUSHING),
    };
    let within = Within::Project(&repository.project);
    let about = Some((NAMESPACE, id, record.as_ref()));
    let asking = Asking { caller, action, allowing, within, about, now: registry.store.clock().now() };
    if caller.organization_id == record.text("organization_id") && registry.guard.admits(tables, &asking) {
        return Ok(repository);
    }
    let action = if access == Access::Read { "pull from" } else { "push to" };
    let message = format!("this API key may not {action} {name}");
    Err(refuse(StatusCode::FORBIDDEN, ErrorCode::Denied, message))
}

fn is_public(tables: &Tables, namespace: &str, record: &Record, image: &str) -> bool {
    let visibility = records::image(tables, namespace, image).map_or("inherit", |(_, image)| image.text("visibility"));
    match visibility {
        "public" => true,
        "private" => false,
        _ => record.body.get("is_public").is_some_and(|public| public == true),
    }
}

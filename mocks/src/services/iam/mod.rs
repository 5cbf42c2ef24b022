//! IAM: who there is, what they may do. API reference: IAM API v1alpha1.
//!
//! Not emulated yet: SSH keys, SAML, SCIM, JWTs, permission set listing, group
//! membership routes other than `PUT members`.

mod api_key;
mod application;
mod authorize;
mod group;
mod policy;
mod user;

pub use authorize::authorize;
pub(crate) use user::OWNER;

use crate::kernel::{Product, Resource, computed};
use serde_json::json;

const READ: &[&str] = &["IAMReadOnly", "OrganizationReadOnly"];
const WRITE: &[&str] = &["IAMManager", "OrganizationManager"];

pub(super) fn product() -> Product {
    Product {
        name: "iam",
        title: "IAM",
        resources: vec![
            user::user(),
            application::application(),
            group::group(),
            api_key::api_key(),
            policy::policy(),
            policy::rules(),
        ],
    }
}

/// An IAM resource: the organisation's, with the permission sets all of them share.
fn resource(kind: &'static str, path: &'static str) -> Resource {
    Resource::new(kind).at(path).of_organization().permissions(READ, WRITE)
}

/// What every principal and policy says of itself (recorded).
fn editable() -> [crate::kernel::Field; 3] {
    [
        computed("editable", |_| Ok(json!(true))),
        computed("deletable", |_| Ok(json!(true))),
        computed("managed", |_| Ok(json!(false))),
    ]
}

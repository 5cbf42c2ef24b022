//! What Object Storage and containers ask of IAM.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    api::{SECRET_KIND, caller, has_expired, secret_key_digest},
    kernel::{Record, Store, Tables, Within},
    object::{Identity, Key, Permission, Principal, SERVICE_KEY},
    services::iam::{OWNER, authorize},
};

/// Identity over the IAM records of a store.
pub struct IamIdentity {
    store: Arc<Store>,
}

impl IamIdentity {
    /// Looks into this store.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }
}

impl Identity for IamIdentity {
    fn access_key(&self, access_key: &str) -> Option<Key> {
        let now = self.store.clock().now();
        if let Some(key) = self.store.read(|tables| tables.get(SERVICE_KEY, access_key).cloned()) {
            return Some(Key {
                secret_key: key.text_or_hidden("secret_key").to_owned(),
                principal: Principal::Service(key.text("service").to_owned()),
                organization_id: String::new(),
                default_project_id: key.text("service").to_owned(),
            });
        }
        let record = self.store.read(|tables| tables.get("iam.api_key", access_key).cloned())?;
        if has_expired(&record, now) {
            return None;
        }
        let who = caller(&record);
        let id = who.principal.1;
        Some(Key {
            secret_key: record.hidden.get("secret_key")?.as_str()?.to_owned(),
            principal: if who.principal.0 == "user" { Principal::User(id) } else { Principal::Application(id) },
            organization_id: who.organization_id,
            default_project_id: who.default_project_id,
        })
    }

    fn owns_organization(&self, key: &Key) -> bool {
        let Principal::User(id) = &key.principal else { return false };
        self.store.read(|tables| {
            tables
                .get("iam.user", id)
                .is_some_and(|user| user.text("type") == OWNER && user.text("organization_id") == key.organization_id)
        })
    }

    fn may(&self, key: &Key, project_id: &str, permission: Permission) -> bool {
        let (kind, id) = match &key.principal {
            Principal::User(id) => ("user", id),
            Principal::Application(id) => ("application", id),
            // A product reads and writes in its own buckets, and nowhere else.
            Principal::Service(name) => {
                let of_objects = matches!(permission, Permission::ObjectsRead | Permission::ObjectsWrite);
                return name == project_id && of_objects;
            }
        };
        let caller = crate::kernel::Caller {
            principal: (kind.to_owned(), id.clone()),
            organization_id: key.organization_id.clone(),
            default_project_id: key.default_project_id.clone(),
            access_key: String::new(),
        };
        let sets = permission_sets(permission);
        self.store.read(|tables| authorize(tables, &caller, &mut sets.iter().copied(), Within::Project(project_id)))
    }
}

/// The permission sets that allow this (Scaleway documentation, IAM permission sets of Object Storage).
fn permission_sets(permission: Permission) -> &'static [&'static str] {
    match permission {
        Permission::BucketsRead => &[
            "ObjectStorageBucketsRead",
            "ObjectStorageReadOnly",
            "ObjectStorageFullAccess",
            "AllProductsReadOnly",
            "AllProductsFullAccess",
        ],
        Permission::BucketsWrite => &["ObjectStorageBucketsWrite", "ObjectStorageFullAccess", "AllProductsFullAccess"],
        Permission::BucketsDelete => {
            &["ObjectStorageBucketsDelete", "ObjectStorageFullAccess", "AllProductsFullAccess"]
        }
        Permission::ObjectsRead => &[
            "ObjectStorageObjectsRead",
            "ObjectStorageReadOnly",
            "ObjectStorageFullAccess",
            "AllProductsReadOnly",
            "AllProductsFullAccess",
        ],
        Permission::ObjectsWrite => &["ObjectStorageObjectsWrite", "ObjectStorageFullAccess", "AllProductsFullAccess"],
        Permission::ObjectsDelete => {
            &["ObjectStorageObjectsDelete", "ObjectStorageFullAccess", "AllProductsFullAccess"]
        }
        Permission::BucketPolicy => {
            &["ObjectStorageBucketPolicyFullAccess", "ObjectStorageFullAccess", "AllProductsFullAccess"]
        }
    }
}

/// The permission sets that allow to call a private container (documented).
const CALLING: [&str; 2] = ["ContainersPrivateAccess", "ContainersFullAccess"];

/// Whether a secret key may call a private container of this namespace.
pub(crate) fn may_call(tables: &Tables, container: &Record, secret_key: &str, now: OffsetDateTime) -> bool {
    let pointer = tables.get(SECRET_KIND, &secret_key_digest(secret_key));
    let access_key = pointer.map(|pointer| pointer.text("access_key")).unwrap_or_default();
    let namespace = tables.get("containers.namespace", container.text("namespace_id"));
    let (Some(key), Some(namespace)) = (tables.get("iam.api_key", access_key), namespace) else { return false };
    !has_expired(key, now)
        && authorize(tables, &caller(key), &mut CALLING.into_iter(), Within::Project(namespace.text("project_id")))
}

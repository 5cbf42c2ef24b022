//! What Object Storage and containers ask of IAM.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    api::{SECRET_KIND, caller, has_expired, secret_key_digest},
    kernel::{Action, Allowing, Asking, Caller, Guard, Origin, Record, Store, Tables, Within},
    object::{Errand, Identity, Key, Permission, Principal, SERVICE_KEY},
    services::iam::OWNER,
};

/// Identity over the IAM records of a store.
pub struct IamIdentity {
    store: Arc<Store>,
    guard: Arc<Guard>,
}

impl IamIdentity {
    /// Looks into this store, and asks this guard.
    pub fn new(store: Arc<Store>, guard: Arc<Guard>) -> Self {
        Self { store, guard }
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

    fn may(&self, errand: &Errand<'_>) -> bool {
        // A product reads and writes in its own buckets, and nowhere else.
        if let Principal::Service(name) = &errand.key.principal {
            let of_objects = matches!(errand.permission, Permission::ObjectsRead | Permission::ObjectsWrite);
            return name == errand.project_id && of_objects;
        }
        self.asked(errand, |guard, tables, asking| guard.allows(tables, asking))
    }

    fn lets(&self, errand: &Errand<'_>, allowed: bool) -> bool {
        if let Principal::Service(_) = &errand.key.principal {
            return allowed;
        }
        self.asked(errand, |guard, tables, asking| guard.lets(tables, asking, allowed))
    }
}

impl IamIdentity {
    fn asked(&self, errand: &Errand<'_>, decide: impl FnOnce(&Guard, &Tables, &Asking<'_>) -> bool) -> bool {
        let key = errand.key;
        let (kind, id) = match &key.principal {
            Principal::User(id) => ("user", id),
            Principal::Application(id) => ("application", id),
            Principal::Service(name) => ("service", name),
        };
        let caller = Caller {
            principal: (kind.to_owned(), id.clone()),
            organization_id: key.organization_id.clone(),
            default_project_id: key.default_project_id.clone(),
            access_key: String::new(),
            origin: errand.origin.clone(),
        };
        self.store.read(|tables| {
            let bucket = tables.get(crate::object::BUCKET, errand.bucket);
            let asking = Asking {
                caller: &caller,
                action: Action("s3", errand.operation),
                allowing: allowing(errand.permission),
                within: Within::Project(errand.project_id),
                about: bucket.map(|bucket| (crate::object::BUCKET, errand.bucket, bucket.as_ref())),
                now: self.store.clock().now(),
            };
            decide(&self.guard, tables, &asking)
        })
    }
}

/// The permission sets that allow this (Scaleway documentation, IAM permission sets of Object Storage).
fn allowing(permission: Permission) -> Allowing {
    let own: &[&str] = match permission {
        Permission::BucketsRead => &["ObjectStorageBucketsRead", "ObjectStorageReadOnly", "ObjectStorageFullAccess"],
        Permission::BucketsWrite => &["ObjectStorageBucketsWrite", "ObjectStorageFullAccess"],
        Permission::BucketsDelete => &["ObjectStorageBucketsDelete", "ObjectStorageFullAccess"],
        Permission::ObjectsRead => &["ObjectStorageObjectsRead", "ObjectStorageReadOnly", "ObjectStorageFullAccess"],
        Permission::ObjectsWrite => &["ObjectStorageObjectsWrite", "ObjectStorageFullAccess"],
        Permission::ObjectsDelete => &["ObjectStorageObjectsDelete", "ObjectStorageFullAccess"],
        Permission::BucketPolicy => &["ObjectStorageBucketPolicyFullAccess", "ObjectStorageFullAccess"],
    };
    let reads = matches!(permission, Permission::BucketsRead | Permission::ObjectsRead);
    let all = Allowing::new(own).and(&["AllProductsFullAccess"]);
    if reads { all.and(&["AllProductsReadOnly"]) } else { all }
}

/// What allows each thing that Object Storage and containers ask for.
pub(crate) fn all_allowing() -> impl Iterator<Item = Allowing> {
    // Object Storage's permissions each stand for many operations.
    crate::object::operations().map(allowing).chain([CALLING])
}

/// The permission sets that allow to call a private container (documented).
const CALLING: Allowing = Allowing::new(&["ContainersPrivateAccess", "ContainersFullAccess"]);

/// Whether a secret key may call this private container.
pub(crate) fn may_call(
    guard: &Guard,
    tables: &Tables,
    (id, container): (&str, &Record),
    secret_key: &str,
    now: OffsetDateTime,
    origin: impl FnOnce() -> Origin,
) -> bool {
    let pointer = tables.get(SECRET_KIND, &secret_key_digest(secret_key));
    let access_key = pointer.map(|pointer| pointer.text("access_key")).unwrap_or_default();
    let namespace = tables.get("containers.namespace", container.text("namespace_id"));
    let (Some(key), Some(namespace)) = (tables.get("iam.api_key", access_key), namespace) else { return false };
    if has_expired(key, now) {
        return false;
    }
    let asking = Asking {
        caller: &Caller { origin: origin(), ..caller(key) },
        action: Action("https", "call a private container"),
        allowing: CALLING,
        within: Within::Project(namespace.text("project_id")),
        about: Some(("containers.container", id, container)),
        now,
    };
    guard.admits(tables, &asking)
}

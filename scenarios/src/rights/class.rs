//! Classes of actions: what Scaleway's permission sets tell apart, each with a request that shows whether it is allowed.
//!
//! A request is about something that is not there, or says too little: where it is allowed it is refused for that, where
//! it is not it is refused before. So nothing changes by it.

/// How a class is tried.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// A request to the JSON API; `{region}`, `{project}` and `{none}` are filled in.
    Api(&'static str, &'static str),
    /// An operation of Object Storage on a bucket that is there for it.
    Storage(Storage),
    /// A pull from or a push to the stack's registry namespace.
    Registry(&'static str),
    /// A call of the stack's private container.
    Container,
    /// A login to the stack's serverless database.
    Database,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Storage {
    ReadBucket,
    MakeBucket,
    DeleteBucket,
    ReadPolicy,
    Read,
    Write,
    Delete,
}

/// A class of actions.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// What people call it: the product and what is done.
    pub name: &'static str,
    /// Permission sets that open it, the narrowest first.
    pub opened_by: &'static [&'static str],
    pub(super) way: Way,
}

const fn class(name: &'static str, opened_by: &'static [&'static str], way: Way) -> Class {
    Class { name, opened_by, way }
}

use Way::{Api, Container, Database, Registry};

/// Every class, product by product.
#[rustfmt::skip]
pub const CLASSES: &[Class] = &[
    class("Account: read projects", &["ProjectReadOnly"], Api("GET", "/account/v3/projects")),
    class("Account: change projects", &["ProjectManager", "OrganizationManager"], Api("PATCH", "/account/v3/projects/{none}")),
    class("IAM: read applications", &["IAMApplicationReadOnly", "IAMReadOnly"], Api("GET", "/iam/v1alpha1/applications")),
    class("IAM: change applications", &["IAMApplicationManager", "IAMManager"], Api("PATCH", "/iam/v1alpha1/applications/{none}")),
    class("IAM: read users", &["IAMUserReadOnly"], Api("GET", "/iam/v1alpha1/users")),
    class("IAM: change users", &["IAMUserManager"], Api("PATCH", "/iam/v1alpha1/users/{none}")),
    class("IAM: read groups", &["IAMGroupReadOnly"], Api("GET", "/iam/v1alpha1/groups")),
    class("IAM: change groups", &["IAMGroupManager"], Api("PATCH", "/iam/v1alpha1/groups/{none}")),
    class("IAM: read policies", &["IAMPolicyReadOnly"], Api("GET", "/iam/v1alpha1/policies")),
    class("IAM: change policies", &["IAMPolicyManager"], Api("PATCH", "/iam/v1alpha1/policies/{none}")),
    class("IAM: read API keys", &["IAMReadOnly"], Api("GET", "/iam/v1alpha1/api-keys")),
    class("IAM: change API keys", &["IAMManager"], Api("PATCH", "/iam/v1alpha1/api-keys/SCW00000000000000000")),
    class("SSH keys: read", &["SSHKeysReadOnly"], Api("GET", "/iam/v1alpha1/ssh-keys")),
    class("SSH keys: change", &["SSHKeysFullAccess"], Api("PATCH", "/iam/v1alpha1/ssh-keys/{none}")),
    class("Billing: read", &["BillingReadOnly"], Api("GET", "/billing/v2beta1/consumptions")),
    class("Billing: change", &["BillingManager"], Api("PATCH", "/billing/v2/budgets/{none}")),
    class("Audit Trail: read events", &["AuditTrailReadOnly"], Api("GET", "/audit-trail/v1alpha1/regions/{region}/events")),
    class("Audit Trail: read exports", &["AuditTrailExportRead"], Api("GET", "/audit-trail/v1alpha1/regions/{region}/export-jobs")),
    class("Audit Trail: delete exports", &["AuditTrailExportDelete"], Api("DELETE", "/audit-trail/v1alpha1/regions/{region}/export-jobs/{none}")),
    class("Audit Trail: make exports", &["AuditTrailFullAccess"], Api("POST", "/audit-trail/v1alpha1/regions/{region}/export-jobs")),
    class("Containers: read", &["ContainersReadOnly", "ContainersFullAccess", "AllProductsReadOnly"], Api("GET", "/containers/v1/regions/{region}/containers?project_id={project}")),
    class("Containers: change", &["ContainersFullAccess", "AllProductsFullAccess"], Api("PATCH", "/containers/v1/regions/{region}/namespaces/{none}")),
    class("Containers: call a private one", &["ContainersPrivateAccess"], Container),
    class("Functions: read", &["FunctionsReadOnly"], Api("GET", "/functions/v1beta1/regions/{region}/namespaces?project_id={project}")),
    class("Functions: change", &["FunctionsFullAccess"], Api("PATCH", "/functions/v1beta1/regions/{region}/namespaces/{none}")),
    class("Jobs: read", &["ServerlessJobsReadOnly"], Api("GET", "/serverless-jobs/v1alpha2/regions/{region}/job-definitions?project_id={project}")),
    class("Jobs: change", &["ServerlessJobsFullAccess"], Api("PATCH", "/serverless-jobs/v1alpha2/regions/{region}/job-definitions/{none}")),
    class("Container Registry: read", &["ContainerRegistryReadOnly"], Api("GET", "/registry/v1/regions/{region}/namespaces?project_id={project}")),
    class("Container Registry: change", &["ContainerRegistryFullAccess"], Api("PATCH", "/registry/v1/regions/{region}/namespaces/{none}")),
    class("Container Registry: pull", &["ContainerRegistryReadOnly"], Registry("GET")),
    class("Container Registry: push", &["ContainerRegistryFullAccess"], Registry("DELETE")),
    class("Managed databases: read", &["RelationalDatabasesReadOnly"], Api("GET", "/rdb/v1/regions/{region}/instances?project_id={project}")),
    class("Managed databases: change", &["RelationalDatabasesFullAccess"], Api("PATCH", "/rdb/v1/regions/{region}/instances/{none}")),
    class("Serverless SQL: read", &["ServerlessSQLDatabaseReadOnly"], Api("GET", "/serverless-sqldb/v1alpha1/regions/{region}/databases?project_id={project}")),
    class("Serverless SQL: change", &["ServerlessSQLDatabaseFullAccess"], Api("POST", "/serverless-sqldb/v1alpha1/regions/{region}/databases")),
    class("Serverless SQL: log in", &["ServerlessSQLDatabaseDataReadWrite", "ServerlessSQLDatabaseReadWrite"], Database),
    class("Secret Manager: read metadata", &["SecretManagerReadOnly"], Api("GET", "/secret-manager/v1beta1/regions/{region}/secrets?project_id={project}")),
    class("Secret Manager: read values", &["SecretManagerSecretAccess"], Api("GET", "/secret-manager/v1beta1/regions/{region}/secrets/{none}/versions/latest/access")),
    class("Secret Manager: create", &["SecretManagerSecretCreate"], Api("POST", "/secret-manager/v1beta1/regions/{region}/secrets")),
    class("Secret Manager: change", &["SecretManagerSecretWrite"], Api("PATCH", "/secret-manager/v1beta1/regions/{region}/secrets/{none}")),
    class("Secret Manager: delete", &["SecretManagerSecretDelete", "SecretManagerFullAccess"], Api("DELETE", "/secret-manager/v1beta1/regions/{region}/secrets/{none}")),
    class("Secret Manager: restore", &["SecretManagerSecretRestore"], Api("POST", "/secret-manager/v1beta1/regions/{region}/secrets/{none}/restore")),
    class("Key Manager: read", &["KeyManagerReadOnly"], Api("GET", "/key-manager/v1alpha1/regions/{region}/keys?project_id={project}")),
    class("Key Manager: create", &["KeyManagerKeyCreate"], Api("POST", "/key-manager/v1alpha1/regions/{region}/keys")),
    class("Key Manager: change", &["KeyManagerKeyWrite"], Api("PATCH", "/key-manager/v1alpha1/regions/{region}/keys/{none}")),
    class("Key Manager: delete", &["KeyManagerKeyDelete", "KeyManagerFullAccess"], Api("DELETE", "/key-manager/v1alpha1/regions/{region}/keys/{none}")),
    class("Key Manager: restore", &["KeyManagerKeyRestore"], Api("POST", "/key-manager/v1alpha1/regions/{region}/keys/{none}/restore")),
    class("Key Manager: encrypt", &["KeyManagerKeyEncrypt"], Api("POST", "/key-manager/v1alpha1/regions/{region}/keys/{none}/encrypt")),
    class("Key Manager: decrypt", &["KeyManagerKeyDecrypt"], Api("POST", "/key-manager/v1alpha1/regions/{region}/keys/{none}/decrypt")),
    class("Key Manager: sign", &["KeyManagerKeySign"], Api("POST", "/key-manager/v1alpha1/regions/{region}/keys/{none}/sign")),
    class("Key Manager: verify", &["KeyManagerKeyVerify"], Api("POST", "/key-manager/v1alpha1/regions/{region}/keys/{none}/verify")),
    class("VPC: read", &["VPCReadOnly"], Api("GET", "/vpc/v2/regions/{region}/vpcs?project_id={project}")),
    class("VPC: change", &["VPCFullAccess"], Api("PATCH", "/vpc/v2/regions/{region}/vpcs/{none}")),
    class("Private networks: read", &["PrivateNetworksReadOnly"], Api("GET", "/vpc/v2/regions/{region}/private-networks?project_id={project}")),
    class("Private networks: change", &["PrivateNetworksFullAccess"], Api("PATCH", "/vpc/v2/regions/{region}/private-networks/{none}")),
    class("IPAM: read", &["IPAMReadOnly"], Api("GET", "/ipam/v1/regions/{region}/ips?project_id={project}")),
    class("IPAM: change", &["IPAMFullAccess"], Api("PATCH", "/ipam/v1/regions/{region}/ips/{none}")),
    class("Cockpit: read", &["ObservabilityReadOnly", "ObservabilityGrafanaEditor"], Api("GET", "/cockpit/v1/regions/{region}/data-sources?project_id={project}")),
    class("Cockpit: change", &["ObservabilityFullAccess"], Api("PATCH", "/cockpit/v1/regions/{region}/data-sources/{none}")),
    class("Object Storage: read buckets", &["ObjectStorageBucketsRead", "ObjectStorageReadOnly"], Way::Storage(Storage::ReadBucket)),
    class("Object Storage: make buckets", &["ObjectStorageBucketsWrite"], Way::Storage(Storage::MakeBucket)),
    class("Object Storage: delete buckets", &["ObjectStorageBucketsDelete", "ObjectStorageFullAccess"], Way::Storage(Storage::DeleteBucket)),
    class("Object Storage: bucket policies", &["ObjectStorageBucketPolicyFullAccess"], Way::Storage(Storage::ReadPolicy)),
    class("Object Storage: read objects", &["ObjectStorageObjectsRead", "ObjectStorageReadOnly"], Way::Storage(Storage::Read)),
    class("Object Storage: write objects", &["ObjectStorageObjectsWrite"], Way::Storage(Storage::Write)),
    class("Object Storage: delete objects", &["ObjectStorageObjectsDelete"], Way::Storage(Storage::Delete)),
];

/// Whether a permission set is one of the organisation's, which cannot be granted for a project.
pub(super) fn is_of_organization(permission_set: &str) -> bool {
    let products = ["Project", "IAM", "Billing", "Organization", "AuditTrail"];
    products.iter().any(|product| permission_set.starts_with(product))
}

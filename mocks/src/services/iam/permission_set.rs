//! Permission sets: the names that a policy's rules may name.
//!
//! Source: Scaleway's documentation (IAM, reference content, "Permission sets",
//! validated 2026-03-20). A set reaches over projects, or over the organisation.
//! Identifiers are made from the names: the real ones are published nowhere.

use serde_json::{Value, json};

use crate::kernel::{Digest, Look, Refusal};

/// What a permission set is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Resources of projects.
    Projects,
    /// What belongs to the organisation as a whole.
    Organization,
}

impl Reach {
    /// The word on the wire.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Projects => "projects",
            Self::Organization => "organization",
        }
    }
}

/// A permission set.
#[derive(Clone, Copy, Debug)]
pub(super) struct PermissionSet {
    pub(super) name: &'static str,
    pub(super) reach: Reach,
    category: &'static str,
    product: &'static str,
}

/// The sets of a product: its category, its name, theirs.
type Group = (&'static str, &'static str, &'static [&'static str]);

const OF_ORGANIZATION: &[Group] = &[
    ("Management", "projects", &["ProjectManager", "ProjectReadOnly"]),
    (
        "Security & Identity",
        "IAM",
        &[
            "IAMReadOnly",
            "IAMManager",
            "IAMApplicationManager",
            "IAMApplicationReadOnly",
            "IAMUserManager",
            "IAMUserReadOnly",
            "IAMGroupManager",
            "IAMGroupReadOnly",
            "IAMPolicyManager",
            "IAMPolicyReadOnly",
        ],
    ),
    ("Management", "billing", &["BillingReadOnly", "BillingManager"]),
    ("Management", "the organisation", &["OrganizationManager", "OrganizationReadOnly"]),
    ("Management", "tickets", &["SupportTicketManager", "SupportTicketReadOnly", "AbuseTicketManager"]),
    (
        "Security & Identity",
        "Audit Trail",
        &["AuditTrailReadOnly", "AuditTrailExportRead", "AuditTrailExportDelete", "AuditTrailFullAccess"],
    ),
    ("Management", "environmental impact", &["EnvironmentalImpactReadOnly"]),
    ("Management", "notifications", &["NotificationManagerFullAccess", "NotificationManagerReadOnly"]),
];

const OF_PROJECTS: &[Group] = &[
    ("All products", "all products", &["AllProductsFullAccess", "AllProductsReadOnly"]),
    (
        "Compute",
        "Instances",
        &[
            "AutoscalingFullAccess",
            "AutoscalingReadOnly",
            "InstancesFullAccess",
            "InstancesImageCreate",
            "InstancesImageDelete",
            "InstancesImageRead",
            "InstancesImageWrite",
            "InstancesIpCreate",
            "InstancesIpDelete",
            "InstancesIpRead",
            "InstancesIpWrite",
            "InstancesPlacementGroupCreate",
            "InstancesPlacementGroupDelete",
            "InstancesPlacementGroupList",
            "InstancesPlacementGroupRead",
            "InstancesPlacementGroupWrite",
            "InstancesPrivateNetworkInterfaceCreate",
            "InstancesPrivateNetworkInterfaceDelete",
            "InstancesPrivateNetworkInterfaceList",
            "InstancesPrivateNetworkInterfaceRead",
            "InstancesPrivateNetworkInterfaceWrite",
            "InstancesPrivateNicCreate",
            "InstancesPrivateNicDelete",
            "InstancesPrivateNicRead",
            "InstancesPrivateNicWrite",
            "InstancesReadOnly",
            "InstancesSecurityGroupCreate",
            "InstancesSecurityGroupDelete",
            "InstancesSecurityGroupList",
            "InstancesSecurityGroupRead",
            "InstancesSecurityGroupWrite",
            "InstancesServerCreate",
            "InstancesServerDelete",
            "InstancesServerList",
            "InstancesServerRead",
            "InstancesServerSerialConsoleAccess",
            "InstancesServerStart",
            "InstancesServerStop",
            "InstancesServerWrite",
            "InstancesSnapshotCreate",
            "InstancesSnapshotDelete",
            "InstancesSnapshotList",
            "InstancesSnapshotRead",
            "InstancesSnapshotWrite",
            "InstancesVolumeCreate",
            "InstancesVolumeDelete",
            "InstancesVolumeList",
            "InstancesVolumeRead",
            "InstancesVolumeWrite",
        ],
    ),
    ("Compute", "SSH keys", &["SSHKeysReadOnly", "SSHKeysFullAccess"]),
    ("Bare Metal", "Elastic Metal", &["ElasticMetalReadOnly", "ElasticMetalFullAccess"]),
    ("Bare Metal", "Apple silicon", &["AppleSiliconReadOnly", "AppleSiliconFullAccess"]),
    ("Bare Metal", "Dedibox", &["DediboxReadOnly", "DediboxFullAccess", "DediboxConsoleFullAccess"]),
    (
        "Storage",
        "Object Storage",
        &[
            "ObjectStorageReadOnly",
            "ObjectStorageFullAccess",
            "ObjectStorageObjectsRead",
            "ObjectStorageBucketsRead",
            "ObjectStorageObjectsWrite",
            "ObjectStorageObjectsDelete",
            "ObjectStorageBucketsWrite",
            "ObjectStorageBucketsDelete",
            "ObjectStorageBucketPolicyFullAccess",
        ],
    ),
    ("Storage", "Block Storage", &["BlockStorageReadOnly", "BlockStorageFullAccess"]),
    ("Storage", "File Storage", &["FileStorageReadOnly", "FileStorageFullAccess"]),
    ("Storage", "Container Registry", &["ContainerRegistryReadOnly", "ContainerRegistryFullAccess"]),
    ("Network", "Private Networks", &["PrivateNetworksFullAccess", "PrivateNetworksReadOnly"]),
    ("Network", "VPC", &["VPCFullAccess", "VPCReadOnly"]),
    ("Network", "IPAM", &["IPAMFullAccess", "IPAMReadOnly"]),
    ("Network", "Public Gateways", &["VPCGatewayReadOnly", "VPCGatewayFullAccess"]),
    (
        "Network",
        "InterLink",
        &["InterlinkFullAccess", "InterlinkReadOnly", "InterlinkPartnerReadOnly", "InterlinkPartnerFullAccess"],
    ),
    ("Network", "Site-to-Site VPN", &["SiteToSiteVPNReadOnly", "SiteToSiteVPNFullAccess"]),
    ("Network", "Load Balancers", &["LoadBalancersReadOnly", "LoadBalancersFullAccess"]),
    ("Network", "Edge Services", &["EdgeServicesFullAccess", "EdgeServicesReadOnly"]),
    (
        "Containers",
        "Kubernetes",
        &[
            "KubernetesReadOnly",
            "KubernetesFullAccess",
            "KubernetesExternalNodeRegister",
            "KubernetesSystemMastersGroupAccess",
        ],
    ),
    ("Serverless", "Functions", &["FunctionsReadOnly", "FunctionsFullAccess", "FunctionsPrivateAccess"]),
    ("Serverless", "Containers", &["ContainersReadOnly", "ContainersFullAccess", "ContainersPrivateAccess"]),
    ("Serverless", "Jobs", &["ServerlessJobsFullAccess", "ServerlessJobsReadOnly"]),
    (
        "Databases",
        "Managed Database for PostgreSQL and MySQL",
        &["RelationalDatabasesReadOnly", "RelationalDatabasesFullAccess"],
    ),
    (
        "Databases",
        "Serverless SQL Databases",
        &[
            "ServerlessSQLDatabaseReadOnly",
            "ServerlessSQLDatabaseReadWrite",
            "ServerlessSQLDatabaseDataReadWrite",
            "ServerlessSQLDatabaseFullAccess",
        ],
    ),
    ("Databases", "Managed Database for Redis", &["RedisReadOnly", "RedisFullAccess"]),
    ("Databases", "Managed MongoDB", &["MongoDBReadOnly", "MongoDBFullAccess"]),
    ("Databases", "Managed OpenSearch", &["SearchDBReadOnly", "SearchDBFullAccess"]),
    ("AI", "Generative APIs", &["GenerativeApisModelAccess", "GenerativeApisFullAccess"]),
    ("AI", "Inference", &["InferenceReadOnly", "InferenceFullAccess"]),
    ("Data & Analytics", "Data Lab", &["DistributedDataLabReadOnly", "DistributedDataLabFullAccess"]),
    ("Data & Analytics", "Data Warehouse", &["DataWarehouseReadOnly", "DataWarehouseFullAccess"]),
    ("Data & Analytics", "Kafka", &["KafkaClusterReadOnly", "KafkaClusterFullAccess"]),
    ("Integration", "Messaging and Queuing", &["MessagingAndQueuingReadOnly", "MessagingAndQueuingFullAccess"]),
    ("Integration", "IoT Hub", &["IoTReadOnly", "IoTFullAccess"]),
    ("Domains & Web Hosting", "Domains and DNS", &["DomainsDNSReadOnly", "DomainsDNSFullAccess"]),
    ("Domains & Web Hosting", "Web Hosting", &["WebHostingReadOnly", "WebHostingFullAccess"]),
    (
        "Domains & Web Hosting",
        "Transactional Email",
        &[
            "TransactionalEmailReadOnly",
            "TransactionalEmailFullAccess",
            "TransactionalEmailBlocklistFullAccess",
            "TransactionalEmailBlocklistReadOnly",
            "TransactionalEmailDomainReadOnly",
            "TransactionalEmailDomainFullAccess",
            "TransactionalEmailEmailReadOnly",
            "TransactionalEmailEmailFullAccess",
            "TransactionalEmailWebhookFullAccess",
            "TransactionalEmailWebhookReadOnly",
            "TransactionalEmailProjectSettingsFullAccess",
            "TransactionalEmailProjectSettingsReadOnly",
            "TransactionalEmailEmailSmtpCreate",
            "TransactionalEmailEmailApiCreate",
            "TransactionalEmailOfferSubscriptionReadOnly",
            "TransactionalEmailOfferSubscriptionFullAccess",
            "TransactionalEmailPoolReadOnly",
        ],
    ),
    ("Domains & Web Hosting", "Mailbox", &["MailboxFullAccess", "MailboxReadOnly"]),
    ("Monitoring", "Cockpit", &["ObservabilityReadOnly", "ObservabilityGrafanaEditor", "ObservabilityFullAccess"]),
    (
        "Security & Identity",
        "Secret Manager",
        &[
            "SecretManagerReadOnly",
            "SecretManagerFullAccess",
            "SecretManagerSecretAccess",
            "SecretManagerSecretCreate",
            "SecretManagerSecretDelete",
            "SecretManagerSecretWrite",
            "SecretManagerSecretRestore",
        ],
    ),
    (
        "Security & Identity",
        "Key Manager",
        &[
            "KeyManagerFullAccess",
            "KeyManagerReadOnly",
            "KeyManagerKeyWrite",
            "KeyManagerKeyDecrypt",
            "KeyManagerKeyEncrypt",
            "KeyManagerKeySign",
            "KeyManagerKeyVerify",
            "KeyManagerKeyDelete",
            "KeyManagerKeyCreate",
            "KeyManagerKeyRestore",
        ],
    ),
    ("Labs", "Quantum as a Service", &["QaaSFullAccess", "QaaSReadOnly"]),
];

fn all() -> impl Iterator<Item = PermissionSet> {
    [(Reach::Organization, OF_ORGANIZATION), (Reach::Projects, OF_PROJECTS)].into_iter().flat_map(|(reach, groups)| {
        groups.iter().flat_map(move |&(category, product, names)| {
            names.iter().map(move |&name| PermissionSet { name, reach, category, product })
        })
    })
}

/// The permission set of this name.
pub(super) fn named(name: &str) -> Option<PermissionSet> {
    all().find(|set| set.name == name)
}

/// GET permission sets, by name.
pub(super) fn list(look: &Look<'_>) -> Result<Value, Refusal> {
    let mut sets: Vec<PermissionSet> = all().collect();
    sets.sort_by_key(|set| set.name);
    look.page("permission_sets", sets.into_iter().map(PermissionSet::shown).collect())
}

impl PermissionSet {
    fn shown(self) -> Value {
        json!({
            "id": self.id(), "name": self.name, "scope_type": self.reach.as_str(), "categories": [self.category],
            "description": self.description(),
        })
    }

    fn description(self) -> String {
        let right = match self.name {
            name if name.ends_with("ReadOnly") => "Read access",
            name if name.ends_with("FullAccess") || name.ends_with("Manager") => "Full access",
            _ => "Limited access",
        };
        format!("{right} to {}", self.product)
    }

    /// A UUID made from the name.
    fn id(self) -> String {
        let digest = Digest::of(self.name.as_bytes());
        let hex = digest.as_str();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }
}

//! What an organisation has before anybody makes anything: its default project,
//! its owner, and the owner's API key.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{account, cockpit, iam::OWNER, vpc};
use crate::{
    api::{REGIONS, SECRET_KIND, secret_key_digest},
    kernel::{Ids, JournalError, Record, Store, rfc3339},
};

/// An organisation's beginning. The default project has the organisation's own identifier.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// The organisation's identifier, and its default project's.
    pub id: String,
    /// The owner's identifier.
    pub owner_id: String,
    /// The owner's access key.
    pub access_key: String,
    /// The owner's secret key.
    pub secret_key: String,
    /// Further people there are from the beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
}

/// A person there is from the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The user's identifier.
    pub id: String,
    /// The mail address, which is the user name, too.
    pub email: String,
}

impl std::fmt::Debug for Organization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Organization")
            .field("id", &self.id)
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

impl Organization {
    /// An organisation whose identifiers follow from a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut ids = Ids::new(seed, 0);
        Self {
            id: ids.uuid(),
            owner_id: ids.uuid(),
            access_key: ids.access_key(),
            secret_key: ids.uuid(),
            members: Vec::new(),
        }
    }
}

/// Makes an organisation, unless it is there. Returns nothing: what was there stays as it was.
///
/// # Errors
/// When the journal cannot be written.
pub fn seed(store: &Store, organization: &Organization) -> Result<(), JournalError> {
    if store.read(|tables| tables.get("account.project", &organization.id).is_some()) {
        return Ok(());
    }
    store.write(|tx| {
        let now = rfc3339(tx.now());
        let Organization { id, owner_id, access_key, secret_key, members } = organization;
        let project = json!({
            "id": id, "name": "default", "organization_id": id, "description": "",
            "qualification": account::unqualified(),
            "status": "active",
            "created_at": now, "updated_at": now,
        });
        tx.put("account.project", id, Record::of(&project));
        for region in REGIONS {
            vpc::add_default(tx, id, id, region);
            cockpit::add_default(tx, id, id, region);
        }
        tx.put("iam.user", owner_id, user(OWNER, owner_id, "owner@example.com", "owner", id, &now));
        for Member { id: member, email } in members {
            tx.put("iam.user", member, user("member", member, email, email, id, &now));
        }
        let mut key = Record::of(&json!({
            "access_key": access_key, "secret_key": null, "user_id": owner_id, "description": "owner",
            "default_project_id": id, "expires_at": null, "editable": true, "deletable": true, "managed": false,
            "creation_ip": "127.0.0.1", "created_at": now, "updated_at": now,
        }));
        key.hidden.insert("organization_id".into(), id.as_str().into());
        key.hidden.insert("secret_key".into(), secret_key.as_str().into());
        tx.put("iam.api_key", access_key, key);
        tx.put(SECRET_KIND, &secret_key_digest(secret_key), Record::of(&json!({"access_key": access_key})));
        Ok(())
    })
}

fn user(kind: &str, id: &str, email: &str, username: &str, organization: &str, now: &str) -> Record {
    Record::of(&json!({
        "id": id, "email": email, "username": username, "first_name": "", "last_name": "", "phone_number": "",
        "locale": "en_US", "type": kind, "status": "activated", "mfa": false, "two_factor_enabled": false,
        "account_root_user_id": "", "locked": false, "last_login_at": now, "deletable": kind != OWNER,
        "organization_id": organization, "tags": [], "created_at": now, "updated_at": now,
    }))
}

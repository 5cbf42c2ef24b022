//! What a new instance begins with: a snapshot, another instance's data, or what was a replica.

use stackproof_planes::{databases::Instance, network::Place};

use super::servers::Servers;
use crate::services::rdb_plane::Origin;

/// Puts the data where the server will find it, or tells the server where it is.
pub(super) async fn prepare(servers: &Servers, server: &mut Instance, origin: &Origin) -> Result<(), String> {
    let databases = &servers.databases;
    if databases.has_data(&server.id) {
        return Ok(());
    }
    match origin {
        Origin::Snapshot(snapshot) => server.snapshot = Some(snapshot.clone()),
        Origin::CopyOf(instance) => {
            forget_copy(servers, &server.id).await?;
            databases.ready(instance).await.map_err(|error| error.to_string())?;
            databases.snapshot(instance, &server.id).await.map_err(|error| error.to_string())?;
            server.snapshot = Some(server.id.clone());
        }
        Origin::Replica(replica) => {
            databases.rename(replica, &server.id).await.map_err(|error| error.to_string())?;
            servers.leave_networks(replica).await?;
        }
        Origin::UpgradeOf(_) => {}
    }
    Ok(())
}

/// Brings over what can only come once the server runs, and removes what it no longer needs.
pub(super) async fn complete(
    servers: &Servers,
    server: &Instance,
    place: Place,
    origin: &Origin,
) -> Result<(), String> {
    match origin {
        Origin::CopyOf(_) => forget_copy(servers, &server.id).await,
        Origin::UpgradeOf(instance) => bring_over(servers, instance, server, place).await,
        Origin::Snapshot(_) | Origin::Replica(_) => Ok(()),
    }
}

async fn forget_copy(servers: &Servers, id: &str) -> Result<(), String> {
    if !servers.databases.snapshots().contains_key(id) {
        return Ok(());
    }
    servers.databases.remove_snapshot(id).await.map_err(|error| error.to_string())
}

/// Dumps each database of an instance, and restores it into another one, whose version may be a later one.
async fn bring_over(servers: &Servers, from: &str, server: &Instance, place: Place) -> Result<(), String> {
    let databases = &servers.databases;
    databases.ready(from).await.map_err(|error| error.to_string())?;
    let there = databases.databases(from).await.map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| format!("making a folder for dumps: {error}"))?;
    for database in server.databases.iter().filter(|wanted| there.iter().any(|there| there.name == wanted.name)) {
        let file = folder.path().join("dump");
        databases.backup(from, &database.name, &file).await.map_err(|error| error.to_string())?;
        databases.restore(&server.id, &database.name, &file).await.map_err(|error| error.to_string())?;
    }
    // Privileges on what was restored.
    databases.apply(server.clone(), place).await.map(drop).map_err(|error| error.to_string())
}

//! The versions of a state in a bucket.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_state::{
    bucket::{Bucket, Condition},
    checkpoint::{
        Compression, DeadHolder, Error, backup, bring_back, current, diff, existing, history, recover,
        remove_dead_lock, restore, size, verify, version,
    },
    gateway::Gateway,
};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::fixture::{Ground, Place, key, lease, pending, stack, state, through};

const FORMS: [Compression; 3] = Compression::ALL;

/// Writes an update as Pulumi does, ending now.
async fn update(ground: &Ground, message: &str) {
    let now = OffsetDateTime::now_utc();
    let update = json!({
        "kind": "update", "message": message, "result": "succeeded", "version": 0,
        "startTime": now.unix_timestamp(), "endTime": now.unix_timestamp(),
        "environment": {"git.head": "0123456789", "git.dirty": "true", "git.author": "A"},
        "config": {}, "resourceChanges": {"create": 2, "same": 0},
    });
    let at = format!(".pulumi/history/shop/dev/dev-{}.history.json", now.unix_timestamp_nanos());
    ground.bucket.put(&at, update.to_string().into(), &Condition::Always).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn the_current_state_is_found_in_each_form(
    #[values(Place::Local, Place::Minio)] place: Place,
    #[values(0, 1, 2)] form: usize,
) {
    let Some(ground) = Ground::at(place).await else { return };
    assert!(current(&ground.bucket, &stack()).await.unwrap().is_none());
    let error = existing(&ground.bucket, &stack()).await.unwrap_err();
    assert!(error.to_string().contains("organization/shop/dev") && error.next().contains("state history"), "{error}");

    ground.write(FORMS[form], &state(&["a"])).await;
    let stored = existing(&ground.bucket, &stack()).await.unwrap();
    assert_eq!((stored.compression, stored.checkpoint.resources().len()), (FORMS[form], 2));
    assert!(verify(&stored.checkpoint, None).is_whole());
    // What Pulumi keeps beside it is not taken for it.
    ground.bucket.copy(&stored.key, None, &format!("{}.bak", stored.key)).await.unwrap();
    assert!(current(&ground.bucket, &stack()).await.unwrap().is_some());
    ground.write(FORMS[(form + 1) % 3], &state(&[])).await;
    assert!(matches!(current(&ground.bucket, &stack()).await, Err(Error::Several { keys }) if keys.len() == 2));
}

#[rstest]
#[tokio::test]
async fn history_tells_versions_with_their_updates(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    ground.write(Compression::None, &state(&["a"])).await;
    update(&ground, "first").await;
    ground.write(Compression::None, &state(&["a", "b"])).await;
    // Another stack whose name begins alike has no part in it.
    ground.bucket.put(".pulumi/stacks/shop/dev.json.json", "x".into(), &Condition::Always).await.unwrap();

    let all = history(&ground.bucket, &stack()).await.unwrap();
    assert_eq!(all.entries.len(), 2);
    assert!(all.entries[0].version.latest && !all.entries[1].version.latest);
    let first = all.entries[1].update.as_ref().unwrap();
    assert_eq!((first.message.as_str(), first.summary().as_str()), ("first", "2 create"));
    assert_eq!(first.commit(), Some(("0123456789", true)));
    let new = version(&ground.bucket, all.find("~0").unwrap()).await.unwrap();
    let old = version(&ground.bucket, all.find(&all.entries[1].version.id).unwrap()).await.unwrap();
    let diff = diff(&old.checkpoint, &new.checkpoint);
    assert_eq!((diff.added.len(), diff.removed.len(), diff.changed.len(), diff.unchanged), (1, 0, 0, 2));
    assert!(diff.added[0].urn.ends_with("::b"));

    ground.bucket.delete(&key(), None).await.unwrap();
    let all = history(&ground.bucket, &stack()).await.unwrap();
    assert!(all.entries[0].version.deleted);
    assert!(matches!(version(&ground.bucket, &all.entries[0]).await, Err(Error::NoVersion(_))));
}

#[rstest]
#[tokio::test]
async fn a_version_is_brought_back_and_what_was_there_is_kept(
    #[values(Place::Local, Place::Minio)] place: Place,
    #[values(0, 1, 2)] form: usize,
) {
    let Some(ground) = Ground::at(place).await else { return };
    let form = FORMS[form];
    ground.write(form, &state(&["a"])).await;
    ground.write(form, &state(&["b"])).await;
    let old = history(&ground.bucket, &stack()).await.unwrap().find("~1").unwrap().clone();

    let restored = restore(&ground.bucket, &ground.bucket, &stack(), &old, false).await.unwrap();

    let now = existing(&ground.bucket, &stack()).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&now.json).unwrap(), state(&["a"]));
    assert_eq!((&restored.after, restored.key), (&now.head.etag, stack().checkpoint(form)));
    assert_ne!(Some(&restored.after), old.version.etag.as_ref(), "nobody has seen this ETag before");
    let copy = ground.bucket.get(&restored.safety_copy.unwrap(), None).await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&form.unpack(&copy.content).unwrap()).unwrap(), state(&["b"]));
    assert_eq!(Some(copy.head.etag), restored.before);
}

#[rstest]
#[tokio::test]
async fn a_deleted_or_damaged_state_can_be_brought_back(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    ground.write(Compression::None, &state(&["a"])).await;
    let old = history(&ground.bucket, &stack()).await.unwrap().find("~0").unwrap().clone();
    let whole = async || {
        let now = existing(&ground.bucket, &stack()).await.unwrap();
        serde_json::from_slice::<Value>(&now.json).unwrap() == state(&["a"])
    };

    ground.bucket.delete(&key(), None).await.unwrap();
    let restored = restore(&ground.bucket, &ground.bucket, &stack(), &old, false).await.unwrap();
    assert!(whole().await && restored.safety_copy.is_none());

    ground.bucket.put(&key(), "{\"version\": 3, \"chec".into(), &Condition::Always).await.unwrap();
    assert!(matches!(existing(&ground.bucket, &stack()).await, Err(Error::Damaged { .. })));
    let restored = restore(&ground.bucket, &ground.bucket, &stack(), &old, false).await.unwrap();
    assert!(whole().await && restored.safety_copy.is_some(), "also what is damaged is kept");
}

#[rstest]
#[tokio::test]
async fn a_state_that_is_gone_comes_back_from_versions_or_else_from_copies(
    #[values(Place::Local, Place::Minio)] place: Place,
) {
    let Some(ground) = Ground::at(place).await else { return };
    ground.write(Compression::Gzip, &state(&["a"])).await;
    backup(&ground.bucket, &ground.backups, &stack()).await.unwrap();
    ground.write(Compression::Gzip, &state(&["a", "b"])).await;
    let back = async || {
        let back = bring_back(&ground.bucket, &ground.backups, &ground.bucket, &stack()).await?;
        let now = existing(&ground.bucket, &stack()).await?;
        Ok::<_, Error>((back.key, serde_json::from_slice::<Value>(&now.json).unwrap()))
    };

    ground.bucket.delete(&stack().checkpoint(Compression::Gzip), None).await.unwrap();
    let (key, json) = back().await.unwrap();
    assert_eq!((key, json), (stack().checkpoint(Compression::Gzip), state(&["a", "b"])), "the newest version");

    let gone = async |bucket: &Bucket| {
        for version in bucket.versions("").await.unwrap() {
            bucket.delete(&version.key, Some(&version.id)).await.unwrap();
        }
    };
    gone(&ground.bucket).await;
    let (key, json) = back().await.unwrap();
    assert_eq!((key, json), (stack().checkpoint(Compression::None), state(&["a"])), "the newest copy");
    let mark = ground.bucket.get(".pulumi/meta.yaml", None).await.unwrap().unwrap();
    assert_eq!(&mark.content[..], b"version: 1\n");

    gone(&ground.bucket).await;
    gone(&ground.backups).await;
    assert!(matches!(back().await, Err(Error::Nothing { .. })));
}

#[tokio::test]
async fn what_is_not_fit_is_not_brought_back() {
    let ground = Ground::local().await;
    let mut broken = state(&["a"]);
    broken["checkpoint"]["latest"]["resources"][1]["parent"] = "urn:gone".into();
    ground.write(Compression::None, &broken).await;
    ground.write(Compression::None, &pending(&["a"], "creating")).await;
    ground.write(Compression::None, &state(&["now"])).await;
    let all = history(&ground.bucket, &stack()).await.unwrap();
    let attempt = async |name: &str, accept: bool| {
        restore(&ground.bucket, &ground.bucket, &stack(), all.find(name).unwrap(), accept).await
    };

    let error = attempt("~2", true).await.unwrap_err();
    assert!(matches!(&error, Error::NotWhole { findings, .. } if findings[0].kind == "missing"), "{error}");
    assert!(matches!(attempt("~1", false).await, Err(Error::Pending { count: 1, .. })));
    assert_eq!(ground.content().await.unwrap(), state(&["now"]).to_string());
    assert!(ground.bucket.list(".stackproof/").await.unwrap().is_empty());
    let restored = attempt("~1", true).await.unwrap();
    assert_eq!(restored.findings[0].kind, "pending");
}

/// A run that still writes loses, whether it writes before or after the restore.
#[tokio::test]
async fn a_run_under_way_cannot_write_after_a_restore() {
    let ground = Ground::local().await;
    ground.write(Compression::None, &state(&["a"])).await;
    let (_lease, permission) = lease();
    let gateway = Gateway::open(ground.bucket.clone(), &[stack()], permission).await.unwrap();
    let old = history(&ground.bucket, &stack()).await.unwrap().find("~0").unwrap().clone();

    // The very state that the run knows is brought back: even so it is another one now.
    restore(&ground.bucket, &ground.bucket, &stack(), &old, false).await.unwrap();

    assert!(through(&gateway).put(&key(), "late".into(), &Condition::Always).await.is_err());
    let now = existing(&ground.bucket, &stack()).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&now.json).unwrap(), state(&["a"]));
}

#[rstest]
#[tokio::test]
async fn a_copy_is_kept_elsewhere_and_sizes_are_told(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    assert!(matches!(backup(&ground.bucket, &ground.backups, &stack()).await, Err(Error::Missing { .. })));
    for form in FORMS {
        ground.write(form, &state(&["a"])).await;
        let copy = backup(&ground.bucket, &ground.backups, &stack()).await.unwrap();
        let kept = ground.backups.get(&copy.key, None).await.unwrap().unwrap();
        let plain = Compression::of(&copy.key).unpack(&kept.content).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&plain).unwrap(), state(&["a"]));
        assert!(copy.key.starts_with("shop/dev/") && !copy.key.ends_with(".json"), "{}", copy.key);
        assert_eq!((copy.bytes, copy.resources), (kept.content.len() as u64, 2));
        ground.bucket.delete(&stack().checkpoint(form), None).await.unwrap();
    }
    ground.write(Compression::None, &state(&["a"])).await;
    update(&ground, "one").await;

    let usage = size(&ground.bucket, Some(&ground.backups), &stack(), 1_000_000).await.unwrap();
    assert_eq!((usage.state.objects, usage.old_versions.objects, usage.history.objects), (1, 3, 1));
    assert_eq!(usage.state.bytes, state(&["a"]).to_string().len() as u64);
    assert_eq!(usage.backups.objects, 3);
    let parts = [usage.state, usage.old_versions, usage.history, usage.copies, usage.backups];
    assert_eq!(usage.bytes, parts.iter().map(|part| part.bytes).sum::<u64>());
    assert!(!usage.is_over() && usage.only_grows() && usage.next().unwrap().contains("lifecycle"));
    let over = size(&ground.bucket, Some(&ground.backups), &stack(), 10).await.unwrap();
    assert!(over.is_over());
}

#[rstest]
#[tokio::test]
async fn only_the_dead_holders_lock_is_removed(#[values(Place::Local, Place::Minio)] place: Place) {
    let Some(ground) = Ground::at(place).await else { return };
    let now = OffsetDateTime::now_utc();
    let lock = async |name: &str, host: &str, pid: u32, at: OffsetDateTime| {
        let file = json!({"pid": pid, "username": "u", "hostname": host, "timestamp": at.format(&Rfc3339).unwrap()});
        let key = format!(".pulumi/locks/organization/shop/dev/{name}.json");
        ground.bucket.put(&key, file.to_string().into(), &Condition::Always).await.unwrap();
        key
    };
    let own = lock("own", "ci-1", 42, now - Duration::minutes(5)).await;
    let recycled = lock("recycled", "ci-1", 42, now - Duration::days(5)).await;
    let laptop = lock("laptop", "laptop", 42, now - Duration::minutes(5)).await;
    let holder = DeadHolder { host: "ci-1".into(), pid: 42, started: now - Duration::minutes(6), ended: now };

    let swept = remove_dead_lock(&ground.bucket, &ground.bucket, &stack(), &holder).await.unwrap();
    assert_eq!(swept.removed.as_ref().unwrap().key, own);
    let foreign: Vec<_> = swept.foreign.iter().map(|lock| &lock.key).collect();
    assert_eq!(foreign, [&laptop, &recycled]);
    assert!(swept.next().unwrap().contains("the stack is currently locked by 2 lock(s)"));
    assert_eq!(ground.bucket.list(".pulumi/locks/").await.unwrap().len(), 2);

    let swept = remove_dead_lock(&ground.bucket, &ground.bucket, &stack(), &holder).await.unwrap();
    assert!(swept.removed.is_none());
    for name in ["one", "two"] {
        lock(name, "ci-1", 42, now).await;
    }
    let error = remove_dead_lock(&ground.bucket, &ground.bucket, &stack(), &holder).await.unwrap_err();
    assert!(matches!(error, Error::SeveralLocks { keys } if keys.len() == 2));
    assert_eq!(ground.bucket.list(".pulumi/locks/").await.unwrap().len(), 4, "none was removed");
}

#[tokio::test]
async fn after_a_killed_run_the_next_command_is_told() {
    let ground = Ground::local().await;
    assert!(recover(&ground.bucket, &stack(), &BTreeMap::new()).await.unwrap().is_clear(), "there is no state yet");
    ground.write(Compression::Gzip, &pending(&["a"], "creating")).await;
    let found =
        BTreeMap::from([("urn:pulumi:dev::shop::scaleway:network/vpc:Vpc::main".to_owned(), "fr-par/1".to_owned())]);
    let recovery = recover(&ground.bucket, &stack(), &found).await.unwrap();
    assert_eq!(recovery.next(), Some("stackproof state backup --stack dev"));
    assert!(recovery.steps[1].ends_with("--import-pending-creates 'fr-par/1'"), "{:?}", recovery.steps);

    // A lock that says nothing is one to Pulumi, too.
    let odd = ".pulumi/locks/organization/shop/dev/odd.json";
    ground.bucket.put(odd, "not JSON".into(), &Condition::Always).await.unwrap();
    let recovery = recover(&ground.bucket, &stack(), &found).await.unwrap();
    assert!(recovery.next().unwrap().contains(odd), "{:?}", recovery.steps);
}

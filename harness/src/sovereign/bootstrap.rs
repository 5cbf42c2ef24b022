//! Making a home for a stack's state where there is none.
//!
//! The foundation (`infra/state`) makes the bucket that its own state is to lie in. So its first state is a folder of this
//! machine, encrypted with the passphrase that Secret Manager has by then; once the bucket is there, the state moves into
//! it, and the folder goes. Each step looks at what is there already: begun again after an interruption, it goes on.

use std::path::Path;

use serde_json::{Value, json};
use stackproof_state::{
    audit::Outcome as Ending,
    checkpoint::{self, Checkpoint},
    database::Database,
    lock::Wait,
};

use super::{
    Ended, Home, Names, Work, first,
    home::PASSPHRASE,
    recover::told,
    session::{PATIENCE, unavailable},
    vault::Vault,
};
use crate::{
    Failure, Progress, Toolchain,
    acceptance::TargetName,
    foundation,
    pulumi::{Backend, Operation, Outcome, Settings, Stack, taken_in},
    target::Target,
};

/// What `infra/state` makes of the state's bucket (`PrivateBucket` of the name `state`).
const THE_BUCKET: [&str; 3] = ["state-bucket", "state-encryption", "state-policy"];

/// The project of the foundation.
pub(crate) const PROJECT: &str = "stackproof-foundation";

/// Makes sure that a stack's state has a home, and that the home is as `infra/state` says.
///
/// # Errors
/// When a step fails: what it is, and how to go on.
pub async fn bootstrap(
    stack: &Settings,
    toolchain: &Toolchain,
    target: &Target,
    progress: &Progress,
) -> Result<Home, Failure> {
    stack.lay_out()?;
    let names = Names::of(stack, target)?;
    let settings = foundation::settings(stack)?;
    let first = settings.folder.join("first-state");
    if let Some(home) = Home::find(target, names.clone()).await?
        && (!first.exists() || has_moved(&home).await?)
    {
        home.refuse_lost(PROJECT).await?;
        if !home.has(PROJECT).await? {
            return Err(begun_elsewhere(&names));
        }
        // It may have moved in and not have swept behind itself.
        sweep(&first)?;
        let work = Work { settings: stack, toolchain, target, progress };
        update(&home, work, settings).await?;
        return Ok(home);
    }
    lay(&names, Work { settings: stack, toolchain, target, progress }, None).await
}

/// Whether the foundation's state is in the bucket. One without resources is the beginning of a move.
async fn has_moved(home: &Home) -> Result<bool, Failure> {
    let stored = checkpoint::current(home.bucket(), &home.stack(PROJECT)?).await;
    let stored = stored.map_err(|error| told(&error))?;
    Ok(stored.is_some_and(|stored| !stored.checkpoint.resources().is_empty()))
}

/// The foundation is there and its state is not: it lies where it was begun.
fn begun_elsewhere(names: &Names) -> Failure {
    Failure::failed(format!("the foundation of {} was begun on another machine, and not finished", names.stack))
        .because(format!(
            "its secrets are in {}, and its state has not moved into {} yet: to begin again would make it twice",
            names.secrets(),
            names.bucket()
        ))
        .next(format!(
            "stackproof state init {} on that machine; if it is gone for good: delete what is named {} in the \
             console, secrets last, then the same here",
            names.words(),
            names.named("…")
        ))
}

/// Lays the foundation in a folder of this machine, beginning with this state where nothing is there yet, and moves its
/// state into the bucket that it made.
async fn lay(names: &Names, work: Work<'_>, from: Option<Value>) -> Result<Home, Failure> {
    let Work { settings: stack, toolchain, target, progress } = work;
    let settings = foundation::settings(stack)?;
    let first = settings.folder.join("first-state");
    let passphrase = passphrase(target, names, progress).await?;
    progress
        .say(format!("The foundation's first state is a folder of this machine, until {} is there.", names.bucket()));
    first::mend(&first, PROJECT, &settings.name)?;
    let opened =
        Stack::open_in(settings.clone(), Backend::folder_with(&first, &passphrase)?, toolchain.clone(), target);
    let opened = opened.await?;
    if let Some(state) = from
        && resources(&opened.export().await?).is_empty()
    {
        opened.import_state(&state).await?;
    }
    take_in(&opened, work).await?;
    foundation::place(&opened, stack).await?;
    configure(&opened, target).await?;
    opened.run(&Operation::Up, progress).await?.success()?;
    let home = Home::find(target, names.clone()).await?.ok_or_else(|| {
        Failure::failed("the foundation is there, but its secrets are not")
            .because(format!("{} of Secret Manager should have them", names.secrets()))
            .next(format!("stackproof state init {}", names.words()))
    })?;
    prepare(&home, &opened, target, &[home.database().user()]).await?;
    let command = home.again("stackproof state init");
    progress.say(format!("Its state moves into {}.", home.bucket().shown()));
    let state = opened.export().await?;
    let session = home.begin(PROJECT, &command, Wait::UpTo(PATIENCE), progress).await?;
    let moved = async {
        let moved = Stack::open_in(settings, session.backend(), toolchain.clone(), target).await?;
        moved.import_state(&state).await?;
        if resources(&moved.export().await?) != resources(&state) {
            return Err(Failure::failed("the foundation's state is another one in the bucket than it was here")
                .next(format!("stackproof state init {}", names.words())));
        }
        Ok(())
    };
    let moved = session.watching(moved).await;
    let note = Some("its first state moved into the bucket".to_owned());
    let ended = Ended::plainly(moved.is_ok(), note);
    session.end(moved, &ended, progress).await?;
    sweep(&first)?;
    Ok(home)
}

/// Decides what an interrupted run of the first state left pending: it would be made a second time.
async fn take_in(opened: &Stack, work: Work<'_>) -> Result<(), Failure> {
    let state = opened.export().await?;
    let pending = state["deployment"]["pending_operations"].as_array();
    if pending.is_none_or(Vec::is_empty) {
        return Ok(());
    }
    let checkpoint = json!({"version": 3, "checkpoint": {"stack": opened.name(), "latest": &state["deployment"]}});
    let checkpoint = Checkpoint::read(checkpoint.to_string().as_bytes());
    let checkpoint = checkpoint.map_err(|error| Failure::failed("the first state cannot be read").because(error))?;
    let plan = super::recover::plan(&checkpoint, work).await?;
    if !plan.undecided.is_empty() {
        return Err(Failure::failed("an interrupted stackproof state init left operations pending")
            .because(format!("whether these are there is not known:\n{}", plan.undecided.join("\n")))
            .next("delete in the console what is there of them, then the same command again"));
    }
    plan.done.iter().for_each(|done| work.progress.say(done));
    opened.import_state(&taken_in(state, &plan.import)).await?;
    opened.run(&Operation::Refresh, work.progress).await?.success().map(drop)
}

/// What a state has. Its secrets do not count: they are encrypted anew whenever it is written.
fn resources(state: &Value) -> Vec<(&Value, &Value)> {
    let resources = state["deployment"]["resources"].as_array().into_iter().flatten();
    resources.map(|resource| (&resource["urn"], &resource["id"])).collect()
}

/// Makes the bucket of a home again that is not there any more. The foundation's state was in it: the newest copy of that,
/// without the bucket, is the state to begin with, in a folder of this machine as the first time.
pub(super) async fn again(home: &Home, work: Work<'_>) -> Result<(), Failure> {
    if work.settings.project()? == PROJECT {
        return Err(Failure::usage("the bucket is made again for the stack that it is of")
            .next(home.again("stackproof state recover")));
    }
    let copy = checkpoint::newest_copy(home.bucket(), home.backups(), &home.stack(PROJECT)?).await;
    let state = without_the_bucket(&copy.map_err(|error| told(&error))?.json)?;
    lay(home.names(), work, Some(state)).await.map(drop)
}

/// What a checkpoint says but for the state's bucket, as `pulumi stack import` takes it.
fn without_the_bucket(checkpoint: &[u8]) -> Result<Value, Failure> {
    let mut read: Value = serde_json::from_slice(checkpoint)
        .map_err(|error| Failure::failed("the foundation's backup is no JSON").because(error))?;
    let mut state = read["checkpoint"]["latest"].take();
    if let Some(resources) = state["resources"].as_array_mut() {
        resources.retain(|resource| {
            let name = resource["urn"].as_str().and_then(|urn| urn.rsplit("::").next());
            !name.is_some_and(|name| THE_BUCKET.contains(&name))
        });
    }
    Ok(json!({"version": read["version"], "deployment": state}))
}

/// Brings a home that is there to what the program says.
async fn update(home: &Home, work: Work<'_>, settings: Settings) -> Result<(), Failure> {
    let command = home.again("stackproof state init");
    let session = home.begin(PROJECT, &command, Wait::UpTo(PATIENCE), work.progress).await?;
    let mut ended = Ended::plainly(false, None);
    let run = async {
        home.ready(&session, Work { settings: &settings, ..work }).await?;
        let opened = Stack::open_in(settings.clone(), session.backend(), work.toolchain.clone(), work.target).await?;
        foundation::place(&opened, work.settings).await?;
        crate::rotate::align(home, &opened, PROJECT).await?;
        configure(&opened, work.target).await?;
        let outcome = opened.run_until(&Operation::Up, session.lost(), work.progress).await?;
        ended = Ended::of(&outcome);
        Outcome { next: Some(command.clone()), ..outcome }.success()?;
        prepare(home, &opened, work.target, &[home.database().user()]).await
    };
    let done = session.watching(run).await;
    if done.is_err() && ended.result == Ending::Succeeded {
        ended.result = Ending::Failed;
    }
    session.end(done, &ended, work.progress).await
}

/// The passphrase, made at the first call. Secret Manager alone keeps it.
async fn passphrase(target: &Target, names: &Names, progress: &Progress) -> Result<String, Failure> {
    let api = target.api()?;
    let vault = Vault::new(&api, names);
    if let Some(passphrase) = vault.read(PASSPHRASE).await? {
        return Ok(passphrase);
    }
    let passphrase = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    vault.keep(PASSPHRASE, "What the state's secrets are encrypted with.", &passphrase).await?;
    progress.say(format!("Secret Manager has a new passphrase for the state: {}.", names.named(PASSPHRASE)));
    Ok(passphrase)
}

/// The passwords of a managed lock, made up where nobody has set them: nobody types them. A local cloud's lock is a
/// managed one unless told otherwise: it is reached by an address, and from this machine alone.
pub(crate) async fn configure(foundation: &Stack, target: &Target) -> Result<(), Failure> {
    if target.name() != TargetName::Scaleway && foundation.get("lock.kind").await?.is_none() {
        let lock = [("lock.kind", "managed".to_owned()), ("lock.allowedAddresses[0]", "127.0.0.1/32".to_owned())];
        foundation.set_all(&lock).await?;
    }
    if !is_managed(foundation).await? {
        return Ok(());
    }
    let set = foundation.keys().await?;
    for key in ["lockPassword", "lockAdminPassword"] {
        if !set.contains(key) {
            foundation.set_secret(key, &crate::stack::password()).await?;
        }
    }
    Ok(())
}

async fn is_managed(foundation: &Stack) -> Result<bool, Failure> {
    Ok(foundation.get("lock.kind").await?.as_deref() == Some("managed"))
}

/// Makes the lock's tables and functions, as the database's owner, and lets these users deploy.
pub(crate) async fn prepare(
    home: &Home,
    foundation: &Stack,
    target: &Target,
    deployers: &[&str],
) -> Result<(), Failure> {
    let (owner, password) = if is_managed(foundation).await? {
        ("administrator".to_owned(), foundation.secret("lockAdminPassword").await?)
    } else {
        let who = target.environment().credentials();
        let answer = target.api()?.get(&format!("/iam/v1alpha1/api-keys/{}", who.access_key)).await?;
        let bearer = answer.body["user_id"].as_str().or_else(|| answer.body["application_id"].as_str());
        let bearer = bearer.ok_or_else(|| {
            Failure::failed(format!("whose key {} is cannot be read: {}", who.access_key, answer.status))
                .because(&answer.body["message"])
                .next("use a key that may read IAM (IAMReadOnly)")
        })?;
        (bearer.to_owned(), who.secret_key.clone())
    };
    let owner: Database = home.database_as(target, &owner, &password)?;
    owner.prepare(deployers).await.map_err(|error| {
        unavailable("the lock's database cannot be prepared", &error, &home.again("stackproof state init"))
    })
}

/// Removes the first state, which has moved.
fn sweep(first: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(first) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::environment(format!("{} cannot be removed", first.display()))
                .because(error)
                .next(format!("rm -r {}", first.display())))
        }
        _ => Ok(()),
    }
}

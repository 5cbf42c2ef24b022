//! Namespace: what containers share, such as environment variables.
//!
//! Recorded: a change of variables passes through `updating`, one of description or
//! tags does not; lists ignore `name`. It takes its containers with it.

use std::time::Duration;

use super::{CONTAINER, NAMESPACE, PASSING, READ, WRITE, container, environment, pass};
use crate::kernel::{Act, Making, Refusal, Resource, optional, required, states};

/// Where a namespace keeps its part of host names, hidden, if it does not follow from its identifier.
pub(in crate::services) const LABEL: &str = "label";

pub(super) fn namespace() -> Resource {
    Resource::new(NAMESPACE)
        .at("/containers/v1/regions/{region}/namespaces/{namespace_id}")
        .fields([
            required("name").text(1..=255).fixed(),
            optional("description").text(0..=65_536),
            optional("tags").strings(),
            environment::plain(),
            environment::secret(),
        ])
        .states(
            states("creating", Duration::from_secs(3), "ready")
                .deleting("deleting", Duration::from_secs(3))
                .passing(PASSING),
        )
        .order(&["created_at", "name"])
        // "Namespace name must be unique inside a project" (SDK).
        .unique("name")
        .quota(100)
        .permissions(READ, WRITE)
        .made(|making| environment::keep_secrets(making, NAMESPACE))
        .updated(update)
        .deleted(delete)
}

/// A namespace's part of host names: 20 letters and digits of its name, and eight characters that tell
/// namespaces of one name apart (recorded of functions and v1beta1).
pub(in crate::services) fn label(making: &mut Making<'_, '_>) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |at: u32| char::from(ALPHABET[at as usize % ALPHABET.len()]);
    let tail: String = (0..8).map(|_| letter(making.tx.ids().below(36))).collect();
    format!("{}{tail}", letters(making.text("name")))
}

/// The first 20 letters and digits of a name.
pub(super) fn letters(name: &str) -> String {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    letters.to_lowercase()
}

fn update(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    environment::keep_secrets(making, NAMESPACE)?;
    if environment::FIELDS.iter().any(|field| making.input.contains_key(*field)) {
        pass(making, NAMESPACE, "updating", Duration::from_secs(3))?;
    }
    Ok(())
}

/// "It also deletes in cascade any resource inside the namespace" (SDK): its containers withdraw
/// now, their records go with its own.
fn delete(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let mine = act.tx.tables().all(CONTAINER).filter(|(_, container)| container.text("namespace_id") == key);
    let mine: Vec<String> = mine.map(|(id, _)| id.to_owned()).collect();
    for id in mine {
        container::withdraw(act, &id)?;
        container::part(act, &id)?;
    }
    Ok(())
}

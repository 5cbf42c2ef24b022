//! The engine's events: what Pulumi says of a run while it runs.
//!
//! One JSON object a line, as `--event-log` writes them (`apitype.EngineEvent`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a run did to one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// `create`, `update`, `delete`, `replace`, `refresh`, `import`, `same`, …
    pub op: String,
    /// The resource's URN.
    pub urn: String,
    /// Its type token.
    #[serde(rename = "type")]
    pub token: String,
    /// The properties that differ.
    #[serde(default)]
    pub properties: Vec<String>,
}

impl Change {
    /// The resource's logical name: the URN's last part.
    pub fn name(&self) -> &str {
        self.urn.rsplit("::").next().unwrap_or(&self.urn)
    }
}

/// Something the engine, the provider or the program said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// `error`, `warning`, `info`.
    pub severity: String,
    /// The resource it is about; empty for the whole run.
    pub urn: String,
    /// The message, without colours.
    pub message: String,
}

/// A rule of a policy pack that a resource breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The rule's name.
    pub rule: String,
    /// The resource it is about; empty for all of them together.
    pub urn: String,
    /// What the pack says of it, without colours.
    pub message: String,
}

/// All that the events of a run said so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Events {
    /// What was done, in the order it was finished.
    pub changes: Vec<Change>,
    /// What failed.
    pub failed: Vec<Change>,
    /// What was said: warnings and errors.
    pub diagnostics: Vec<Diagnostic>,
    /// The rules of policy packs that stopped it.
    #[serde(default)]
    pub violations: Vec<Violation>,
    /// The engine's own count of resources by operation.
    pub summary: BTreeMap<String, u64>,
}

/// One step to show while the run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Work on a resource has begun.
    Begun { op: String, name: String },
    /// Work on a resource is finished.
    Done { op: String, name: String },
}

impl Events {
    /// Takes in one event. Returns what to show of it. Lines that are no events are passed over:
    /// newer engines may say more than we know.
    pub(super) fn take(&mut self, line: &str) -> Option<Step> {
        let event: Value = serde_json::from_str(line).ok()?;
        let kind = |name: &str| event.get(name).filter(|value| !value.is_null());
        if let Some(body) = kind("resourcePreEvent") {
            let change = change(body)?;
            return (change.op != "same").then(|| Step::Begun { name: change.name().to_owned(), op: change.op });
        }
        if let Some(body) = kind("resOutputsEvent") {
            let change = change(body)?;
            let step = Step::Done { op: change.op.clone(), name: change.name().to_owned() };
            let shown = change.op != "same";
            self.changes.push(change);
            return shown.then_some(step);
        }
        if let Some(body) = kind("resOpFailedEvent") {
            self.failed.push(change(body)?);
        } else if let Some(body) = kind("diagnosticEvent") {
            let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
            if matches!(text("severity"), "error" | "warning") {
                self.diagnostics.push(Diagnostic {
                    severity: text("severity").to_owned(),
                    urn: text("urn").to_owned(),
                    message: without_colours(text("message")),
                });
            }
        } else if let Some(body) = kind("policyEvent") {
            let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
            if text("enforcementLevel") == "mandatory" {
                self.violations.push(Violation {
                    rule: text("policyName").to_owned(),
                    urn: text("resourceUrn").to_owned(),
                    message: without_colours(text("message")),
                });
            }
        } else if let Some(body) = kind("summaryEvent") {
            let counts = body.get("resourceChanges").and_then(Value::as_object).into_iter().flatten();
            self.summary = counts.filter_map(|(op, count)| Some((op.clone(), count.as_u64()?))).collect();
        }
        None
    }

    /// What was changed: everything but reads, what stayed the same, and the engine's own notes of providers.
    pub fn effective(&self) -> impl Iterator<Item = &Change> {
        let idle = |op: &str| matches!(op, "same" | "read" | "refresh");
        self.changes.iter().filter(move |change| !idle(&change.op) && !change.token.starts_with("pulumi:providers:"))
    }
}

fn change(body: &Value) -> Option<Change> {
    let metadata = body.get("metadata")?;
    let text = |field: &str| metadata.get(field).and_then(Value::as_str).map(str::to_owned);
    let mut properties: Vec<String> = metadata
        .get("detailedDiff")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(path, _)| path.clone())
        .collect();
    properties.sort();
    Some(Change { op: text("op")?, urn: text("urn")?, token: text("type")?, properties })
}

/// Pulumi marks colours as `<{%fg 1%}>`.
fn without_colours(message: &str) -> String {
    let mut plain = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once("<{%") {
        plain.push_str(before);
        rest = after.split_once("%}>").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_add_up_to_what_was_changed() {
        let mut events = Events::default();
        let line = |kind: &str, op: &str, name: &str| {
            format!(
                r#"{{"sequence":1,"{kind}":{{"metadata":{{"op":"{op}","urn":"urn:pulumi:dev::app::t::{name}","type":"t","detailedDiff":{{"tags":{{"diffKind":"update"}}}}}}}}}}"#
            )
        };
        let begun = events.take(&line("resourcePreEvent", "update", "network"));
        assert_eq!(begun, Some(Step::Begun { op: "update".into(), name: "network".into() }));
        events.take(&line("resOutputsEvent", "update", "network"));
        events.take(&line("resOutputsEvent", "same", "bucket"));
        events.take(r#"{"summaryEvent":{"resourceChanges":{"same":1,"update":1}}}"#);
        events.take("not an event");
        let changed: Vec<_> = events.effective().map(|change| (change.name(), change.properties.clone())).collect();
        assert_eq!(changed, [("network", vec!["tags".to_owned()])]);
        assert_eq!(events.summary["update"], 1);
    }

    #[test]
    fn a_rule_that_stops_a_run_is_told_and_one_that_advises_is_not() {
        let mut events = Events::default();
        let line = |level: &str| {
            format!(
                r#"{{"policyEvent":{{"resourceUrn":"urn:pulumi:dev::app::t::bucket","message":"<{{%fg 1%}}>not versioned<{{%reset%}}>","policyName":"bucket-versioned","policyPackName":"stackproof","enforcementLevel":"{level}"}}}}"#
            )
        };
        events.take(&line("advisory"));
        events.take(&line("mandatory"));
        let (rule, message) = ("bucket-versioned".to_owned(), "not versioned".to_owned());
        let urn = "urn:pulumi:dev::app::t::bucket".to_owned();
        assert_eq!(events.violations, [Violation { rule, urn, message }]);
    }

    #[test]
    fn colours_are_taken_out_of_messages() {
        assert_eq!(without_colours("<{%fg 1%}>error:<{%reset%}> it failed<{%reset%}>\n"), "error: it failed");
    }
}

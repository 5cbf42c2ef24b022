//! The context of one scenario: its steps, its evidence, its secrets.

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::fragment::{now, rounded};
use super::{
    Budget, BudgetRule, Capability, Expectation, Fragment, Probe, Redactor, Status, Step, StepKind, Store, TargetName,
};
use crate::Failure;

/// What is seen is told in the report up to this length; the whole of it is attached.
const LONGEST_SEEN: usize = 600;

/// What a scenario's body talks to. Every method takes `&self`, so that a given's own work may use it too.
pub struct Scenario {
    store: Store,
    begun: Instant,
    record: Mutex<Record>,
}

/// What was recorded so far.
struct Record {
    fragment: Fragment,
    redactor: Redactor,
    not_applicable: Option<String>,
}

impl Scenario {
    /// A scenario of this id on this target, leaving its evidence in this store.
    pub fn begin(id: &str, test: &str, target: TargetName, store: Store) -> Result<Self, Failure> {
        let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-');
        if id.is_empty() || !id.chars().all(plain) {
            return Err(Failure::usage(format!("{id:?} is no scenario id"))
                .because("an id names files: letters, digits, dots and hyphens"));
        }
        let fragment = Fragment {
            schema: Fragment::SCHEMA.into(),
            id: id.into(),
            target,
            test: test.into(),
            status: Status::Unfinished,
            reason: "its process ended before it did".into(),
            started: now(),
            seconds: 0.0,
            steps: Vec::new(),
            budgets: Vec::new(),
            attachments: Vec::new(),
        };
        let record = Record { fragment, redactor: Redactor::default(), not_applicable: None };
        let scenario = Self { store, begun: Instant::now(), record: Mutex::new(record) };
        scenario.save()?;
        Ok(scenario)
    }

    /// The folder of this run's evidence.
    pub fn folder(&self) -> &std::path::Path {
        self.store.root()
    }

    /// Where this scenario runs: for the cast in `scenarios/src`, never for a scenario itself.
    pub fn target(&self) -> TargetName {
        self.record().fragment.target
    }

    /// States what holds before, by making it so.
    pub async fn given<T>(&self, sentence: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.work(StepKind::Given, sentence, work).await
    }

    /// Does what the scenario is about.
    pub async fn when<T>(&self, sentence: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.work(StepKind::When, sentence, work).await
    }

    /// Looks until what is seen fulfils the expectation, or the probe's patience ends.
    pub async fn then<Seen: Debug>(
        &self,
        sentence: &str,
        probe: Probe<'_, Seen>,
        expectation: impl Expectation<Seen>,
    ) -> Result<(), Failure> {
        let step = self.open(StepKind::Then, sentence)?;
        let begun = Instant::now();
        let how = probe.how().to_owned();
        self.change(step, |step| {
            step.expected = expectation.to_string();
            step.how = how.clone();
        });
        let sighting = probe.look_for(&expectation).await;
        let (seen, failure) = match sighting.last {
            Some(Ok(seen)) => (format!("{seen:?}"), None),
            Some(Err(failure)) => (format!("nothing: {}", failure.what), Some(failure)),
            None => ("nothing: it never looked".into(), None),
        };
        let shown = self.shorten(step, &seen)?;
        self.change(step, |step| {
            step.seen = shown.clone();
            step.looks = sighting.looks;
            if let Some(failure) = &failure {
                step.error = sentence_of(failure);
                step.next = failure.next.clone();
            }
        });
        self.close(step, begun, if sighting.held { Status::Passed } else { Status::Failed })?;
        if sighting.held {
            return Ok(());
        }
        Err(Failure::failed(format!("{sentence}: not so"))
            .because(format!("expected: {expectation} · seen: {shown} · how: {how}")))
    }

    /// Keeps a file that shows something: of the step that goes on, or of the scenario before its first step.
    pub fn attach(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
        let step = self.record().fragment.steps.len();
        self.attach_to(step, name, bytes.as_ref())
    }

    /// Registers a secret: it never reaches the evidence, not even what was attached before.
    pub fn secret(&self, value: impl AsRef<str>) {
        self.record().redactor.register(value.as_ref());
    }

    /// States what the target must be able to do. Where it cannot, the scenario does not apply, and says why.
    pub fn needs(&self, capability: Capability) -> Result<(), Failure> {
        let Some(reason) = self.target().lacks(capability) else {
            return Ok(());
        };
        Err(self.does_not_apply(reason))
    }

    /// Ends the scenario as one that does not apply here, and says why.
    pub fn does_not_apply(&self, reason: impl Into<String>) -> Failure {
        let reason = reason.into();
        self.record().not_applicable = Some(reason.clone());
        Failure::usage(reason)
    }

    /// Records a number that may not be above its limit; a broken budget fails the scenario at its end.
    pub fn budget(&self, id: &str, measured: f64, limit: f64, unit: &str) {
        let budget = Budget::judge(id, BudgetRule::AtMost, measured, limit, unit);
        self.record().fragment.budgets.push(budget);
    }

    /// Records a number that may not be below its limit; a broken budget fails the scenario at its end.
    pub fn budget_at_least(&self, id: &str, measured: f64, limit: f64, unit: &str) {
        let budget = Budget::judge(id, BudgetRule::AtLeast, measured, limit, unit);
        self.record().fragment.budgets.push(budget);
    }

    async fn work<T>(
        &self,
        kind: StepKind,
        sentence: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let step = self.open(kind, sentence)?;
        let begun = Instant::now();
        let outcome = work.await;
        if let Err(failure) = &outcome {
            self.change(step, |step| {
                step.error = sentence_of(failure);
                step.next = failure.next.clone();
            });
        }
        self.close(step, begun, if outcome.is_ok() { Status::Passed } else { Status::Failed })?;
        outcome
    }

    /// Ends the scenario and answers what it leaves. `outcome` is the body's, or the words of its panic.
    pub(super) fn finish(self, outcome: Result<Result<(), Failure>, String>) -> Result<(Fragment, Store), Failure> {
        if let Err(panic) = &outcome {
            self.fail_open_step(&format!("panicked: {panic}"), "")?;
        } else if let Ok(Err(failure)) = &outcome
            && self.record().not_applicable.is_none()
        {
            self.fail_open_step(&sentence_of(failure), &failure.next)?;
        }
        {
            let mut record = self.record();
            let (status, reason) = judge(&record);
            record.fragment.status = status;
            record.fragment.reason = reason;
        }
        self.save()?;
        self.redact_earlier_evidence()?;
        let record = self.record.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((clean(&record), self.store))
    }

    /// A failure that no step owns yet belongs to the step that was going on, else it stands between two.
    fn fail_open_step(&self, error: &str, next: &str) -> Result<(), Failure> {
        let last = self.record().fragment.steps.last().map(|step| step.status);
        let index = self.record().fragment.steps.len();
        let step = match last {
            Some(Status::Failed) => return Ok(()),
            Some(Status::Unfinished) => index,
            _ => self.open(StepKind::Between, "the scenario goes on")?,
        };
        self.change(step, |step| {
            step.status = Status::Failed;
            step.error = error.to_owned();
            step.next = next.to_owned();
        });
        Ok(())
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // A panic inside a scenario is a result like any other: what was recorded so far stands.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a step and answers its number, counted from one as the evidence's names are.
    fn open(&self, kind: StepKind, sentence: &str) -> Result<usize, Failure> {
        let step = Step {
            kind,
            sentence: sentence.into(),
            status: Status::Unfinished,
            when: now(),
            seconds: 0.0,
            expected: String::new(),
            seen: String::new(),
            how: String::new(),
            looks: 0,
            error: String::new(),
            next: String::new(),
            attachments: Vec::new(),
        };
        self.record().fragment.steps.push(step);
        self.save()?;
        Ok(self.record().fragment.steps.len())
    }

    fn close(&self, step: usize, begun: Instant, status: Status) -> Result<(), Failure> {
        self.change(step, |step| {
            step.status = status;
            step.seconds = rounded(begun.elapsed().as_secs_f64());
        });
        self.save()
    }

    fn change(&self, step: usize, change: impl FnOnce(&mut Step)) {
        if let Some(step) = self.record().fragment.steps.get_mut(step - 1) {
            change(step);
        }
    }

    /// What the report shows of a long sighting; the whole is attached.
    fn shorten(&self, step: usize, seen: &str) -> Result<String, Failure> {
        if seen.chars().count() <= LONGEST_SEEN {
            return Ok(seen.to_owned());
        }
        self.attach_to(step, "seen.txt", seen.as_bytes())?;
        let start: String = seen.chars().take(LONGEST_SEEN).collect();
        Ok(format!("{start}… ({} characters, attached)", seen.chars().count()))
    }

    fn attach_to(&self, step: usize, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let mut record = self.record();
        let key = record.fragment.key();
        let taken: Vec<String> = record.fragment.evidence();
        let name = free_name(step, name, |candidate| taken.contains(&format!("evidence/{key}/{candidate}")));
        let path = self.store.attach(&key, &name, &record.redactor.bytes(bytes))?;
        match step.checked_sub(1).and_then(|index| record.fragment.steps.get_mut(index)) {
            Some(step) => step.attachments.push(path),
            None => record.fragment.attachments.push(path),
        }
        Ok(())
    }

    fn save(&self) -> Result<(), Failure> {
        let mut record = self.record();
        record.fragment.seconds = rounded(self.begun.elapsed().as_secs_f64());
        self.store.write(&clean(&record))
    }

    fn redact_earlier_evidence(&self) -> Result<(), Failure> {
        let record = self.record();
        for path in record.fragment.evidence() {
            if let Some(bytes) = self.store.evidence(&path) {
                let clean = record.redactor.bytes(&bytes);
                if clean != bytes {
                    self.store.replace(&path, &clean)?;
                }
            }
        }
        Ok(())
    }
}

fn judge(record: &Record) -> (Status, String) {
    let fragment = &record.fragment;
    if let Some(reason) = &record.not_applicable {
        return (Status::NotApplicable, format!("not applicable on this target, because {reason}"));
    }
    if let Some(step) = fragment.steps.iter().find(|step| step.status != Status::Passed) {
        return (Status::Failed, step.sentence.clone());
    }
    if let Some(budget) = fragment.budgets.iter().find(|budget| !budget.ok) {
        return (Status::Failed, format!("the budget {} does not hold", budget.id));
    }
    if fragment.steps.last().is_none_or(|step| step.kind != StepKind::Then) {
        return (Status::Failed, "it ends without a then, so it shows nothing".into());
    }
    (Status::Passed, String::new())
}

fn clean(record: &Record) -> Fragment {
    let redactor = &record.redactor;
    let mut fragment = record.fragment.clone();
    fragment.reason = redactor.text(&fragment.reason);
    for step in &mut fragment.steps {
        for text in
            [&mut step.sentence, &mut step.expected, &mut step.seen, &mut step.how, &mut step.error, &mut step.next]
        {
            *text = redactor.text(text);
        }
    }
    fragment
}

fn sentence_of(failure: &Failure) -> String {
    if failure.meaning.is_empty() { failure.what.clone() } else { format!("{}: {}", failure.what, failure.meaning) }
}

/// `04-plan.json`, or `04-plan-2.json` where the step has one already.
fn free_name(step: usize, name: &str, taken: impl Fn(&str) -> bool) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_');
    let name: String = name.chars().map(|character| if plain(character) { character } else { '-' }).collect();
    let (stem, extension) = match name.split_once('.') {
        Some((stem, extension)) => (stem, format!(".{extension}")),
        None => (name.as_str(), String::new()),
    };
    let first = format!("{step:02}-{stem}{extension}");
    if !taken(&first) {
        return first;
    }
    (2..).map(|count| format!("{step:02}-{stem}-{count}{extension}")).find(|name| !taken(name)).unwrap_or(first)
}

//! How many containers the use of processors or memory asks for.
//!
//! As Kubernetes does: as many as would use what they are to use of what they may, were the use spread over them. Fewer
//! only when that was enough for as long as a container may be to spare.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    super::{Container, ScaleBy, ServiceSpec},
    Phase, Shared, count,
};

/// How often use is measured.
const LOOK: Duration = Duration::from_secs(1);
/// How far from what is wanted use may be, in hundredths of it, without anything being done.
const TOLERATED: u64 = 10;
/// A processor, in thousandths.
const PROCESSOR: u32 = 1000;

/// Measures whenever use decides how many there are, until the service is gone.
pub(super) async fn measure(shared: Arc<Shared>) {
    let mut changed = shared.changed.subscribe();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut measured = Measured::default();
    loop {
        if shared.state.lock().spec.scale_by == ScaleBy::Requests {
            measured = Measured::default();
            if changed.changed().await.is_err() {
                return;
            }
            continue;
        }
        looks.tick().await;
        let (spec, ready) = {
            let state = shared.state.lock();
            let ready =
                state.instances.iter().filter(|(_, i)| i.phase == Phase::Ready && i.deployment == state.deployment);
            let ready: Vec<_> = ready.filter_map(|(number, i)| Some((*number, i.container.clone()?))).collect();
            (state.spec.clone(), ready)
        };
        let Some(wanted) = measured.wanted(&spec, &ready, Instant::now()) else { continue };
        if shared.state.lock().by_load != wanted {
            tracing::debug!(service = spec.id, wanted, "the use of the machine asks for another number of containers");
            shared.change(|state| state.by_load = wanted);
        }
    }
}

/// What was measured before.
#[derive(Default)]
struct Measured {
    /// When, and how long each container had been on processors.
    cpu: BTreeMap<u64, (Instant, Duration)>,
    /// What was asked for of late.
    asked: VecDeque<(Instant, u32)>,
}

impl Measured {
    /// How many are wanted; none: nothing is known yet.
    fn wanted(&mut self, spec: &ServiceSpec, ready: &[(u64, Arc<Container>)], now: Instant) -> Option<u32> {
        let (threshold, used) = match spec.scale_by {
            ScaleBy::Requests => return None,
            ScaleBy::Cpu(threshold) => (threshold, self.cpu(spec, ready, now)),
            ScaleBy::Memory(threshold) => (threshold, memory(spec, ready)),
        };
        if used.is_empty() {
            return None;
        }
        let asked = asked(&used, threshold, count(ready.len())).min(spec.max);
        self.asked.push_back((now, asked));
        while self.asked.front().is_some_and(|(at, _)| *at + spec.spare < now) {
            self.asked.pop_front();
        }
        self.asked.iter().map(|(_, asked)| *asked).max()
    }

    /// The use of processors, each in hundredths of what it may use.
    fn cpu(&mut self, spec: &ServiceSpec, ready: &[(u64, Arc<Container>)], now: Instant) -> Vec<u64> {
        let before = std::mem::take(&mut self.cpu);
        let may = u128::from(spec.limits.cpu.unwrap_or(PROCESSOR).max(1));
        let mut used = Vec::new();
        for (number, container) in ready {
            let Ok(usage) = container.usage() else { continue };
            if let Some((then, spent)) = before.get(number) {
                let (passed, spent) = ((now - *then).as_micros().max(1), usage.cpu.saturating_sub(*spent).as_micros());
                used.push(u64::try_from(spent * 100 * u128::from(PROCESSOR) / (passed * may)).unwrap_or(u64::MAX));
            }
            self.cpu.insert(*number, (now, usage.cpu));
        }
        used
    }
}

/// The use of memory, each in hundredths of what it may use; nothing where it may use all there is.
fn memory(spec: &ServiceSpec, ready: &[(u64, Arc<Container>)]) -> Vec<u64> {
    let Some(may) = spec.limits.memory else { return Vec::new() };
    let used = ready.iter().filter_map(|(_, container)| container.usage().ok());
    used.map(|usage| usage.memory.saturating_mul(100) / may.max(1)).collect()
}

/// How many containers would be at the threshold with what those measured use.
fn asked(used: &[u64], threshold: u32, ready: u32) -> u32 {
    let all = used.iter().fold(0, |all: u64, one| all.saturating_add(*one));
    let (each, threshold) = (all / used.len().max(1) as u64, u64::from(threshold.max(1)));
    if each.abs_diff(threshold).saturating_mul(100) <= threshold * TOLERATED {
        return ready;
    }
    u32::try_from(each.saturating_mul(u64::from(ready)).div_ceil(threshold)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_asked_for_as_would_be_at_the_threshold() {
        assert_eq!(asked(&[90], 50, 1), 2);
        assert_eq!(asked(&[90, 90, 90], 50, 3), 6);
        assert_eq!(asked(&[54, 50], 50, 2), 2, "a little more is tolerated");
        assert_eq!(asked(&[10, 10, 10, 10], 50, 4), 1);
        assert_eq!(asked(&[0], 50, 1), 0);
        assert_eq!(asked(&[u64::MAX / 100], 1, 1), u32::MAX);
    }
}

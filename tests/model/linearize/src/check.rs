// SPDX-License-Identifier: GPL-2.0

//! The check itself, key by key.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use crate::{Action, History, Maybe, Number, Operation};

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Histories.
    pub histories: usize,
    /// Operations.
    pub operations: usize,
}

/// A history that no map without concurrency can have.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    /// The key that is not right.
    pub key: Number,
    /// What is wrong with it.
    pub reason: String,
    /// What the key may have had before `operations`.
    pub before: BTreeSet<Option<Number>>,
    /// The operations that contradict each other; those that are no longer needed for that, and
    /// change nothing, have been left out.
    pub operations: Vec<Operation>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "key {}: {}", self.key, self.reason)?;
        write!(f, "before:")?;
        self.before
            .iter()
            .try_for_each(|value| write!(f, " {}", Maybe(*value)))?;
        writeln!(f)?;
        self.operations
            .iter()
            .try_for_each(|operation| writeln!(f, "{operation}"))
    }
}

/// What an operation is for one key.
#[derive(Clone)]
struct Step<'h> {
    operation: &'h Operation,
    action: Action,
}

/// The most operations on one key that may be under way at a time.
const PENDING_MAX: usize = 64;

/// A world that is possible: the value of the key, and which of the operations under way have
/// happened.
type World = (Option<Number>, u64);

/// Checks a history.
pub fn check(history: &History) -> Result<Checked, Violation> {
    let mut keys = BTreeSet::new();
    for operation in history {
        keys.extend(operation.key);
        if let Action::Range(visited) = &operation.action {
            keys.extend(visited.iter().map(|(key, _)| *key));
            let mut once = HashSet::new();
            if let Some((key, _)) = visited.iter().find(|(key, _)| !once.insert(*key)) {
                return Err(Violation {
                    key: *key,
                    reason: "visited twice".into(),
                    before: BTreeSet::new(),
                    operations: vec![operation.clone()],
                });
            }
        }
    }
    for key in keys {
        check_key(key, &steps(history, key))?;
    }
    Ok(Checked {
        histories: 1,
        operations: history.len(),
    })
}

fn steps(history: &History, key: Number) -> Vec<Step<'_>> {
    history
        .iter()
        .filter_map(|operation| step(operation, key))
        .collect()
}

/// What the operation is for that key, if anything.
fn step(operation: &Operation, key: Number) -> Option<Step<'_>> {
    let action = match &operation.action {
        Action::Failed => return None,
        Action::Clear => Action::Delete,
        Action::Range(visited) => {
            let pair = visited.iter().find(|(visited, _)| *visited == key);
            Action::Load(pair.map(|(_, value)| *value))
        }
        _ if operation.key != Some(key) => return None,
        action => action.clone(),
    };
    Some(Step { operation, action })
}

/// What the key has after the action, if it had `now` before; `None` if that cannot be.
fn apply(action: &Action, now: Option<Number>) -> Option<Option<Number>> {
    match action {
        Action::Load(seen) => (now == *seen).then_some(now),
        Action::Store(new) => Some(Some(*new)),
        Action::LoadOrStore(_, actual, true) => (now == Some(*actual)).then_some(now),
        Action::LoadOrStore(new, _, false) => now.is_none().then_some(Some(*new)),
        Action::LoadAndDelete(old) => (now == *old).then_some(None),
        Action::Delete => Some(None),
        Action::Swap(new, old) => (now == *old).then_some(Some(*new)),
        Action::CompareAndSwap(old, new, true) => (now == Some(*old)).then_some(Some(*new)),
        Action::CompareAndDelete(old, true) => (now == Some(*old)).then_some(None),
        Action::CompareAndSwap(old, _, false) | Action::CompareAndDelete(old, false) => {
            (now != Some(*old)).then_some(now)
        }
        // Taken apart, or left out, by `steps`.
        Action::Clear | Action::Range(_) | Action::Failed => Some(now),
    }
}

/// Whether the action leaves alone what it finds: then a history without it has no other faults.
fn only_looks(action: &Action) -> bool {
    matches!(
        action,
        Action::Load(_)
            | Action::LoadOrStore(_, _, true)
            | Action::LoadAndDelete(None)
            | Action::CompareAndSwap(_, _, false)
            | Action::CompareAndDelete(_, false)
    )
}

/// Where a check has failed.
struct Failure {
    /// When what could not have happened ended.
    at: u64,
    /// The last moment before at which nothing was under way, and what the key may have had then.
    since: u64,
    before: BTreeSet<Option<Number>>,
}

enum Event {
    // In this order if at the same time: what touches is not in order.
    Start,
    End,
}

/// Goes through what happens up to a moment; what has not ended by then may have happened or not.
fn run(
    steps: &[Step<'_>],
    before: &BTreeSet<Option<Number>>,
    until: u64,
) -> Result<(), Option<Failure>> {
    let mut events = Vec::with_capacity(2 * steps.len());
    for (index, Step { operation, .. }) in steps.iter().enumerate() {
        events.push((operation.start, 0, index, Event::Start));
        events.push((operation.end, 1, index, Event::End));
    }
    events.sort_by_key(|(time, order, index, _)| (*time, *order, *index));

    let mut pending: [Option<usize>; PENDING_MAX] = [None; PENDING_MAX];
    let mut worlds: HashSet<World> = before.iter().map(|value| (*value, 0)).collect();
    let (mut since, mut calm) = (0, before.clone());
    for (time, _, index, event) in events {
        if time > until {
            break;
        }
        match event {
            Event::Start => {
                let free = pending.iter_mut().find(|slot| slot.is_none());
                *free.ok_or(None)? = Some(index);
            }
            Event::End => {
                let slot = pending
                    .iter()
                    .position(|slot| *slot == Some(index))
                    .ok_or(None)?;
                worlds = with(slot, worlds, &pending, steps);
                if worlds.is_empty() {
                    return Err(Some(Failure {
                        at: time,
                        since,
                        before: calm,
                    }));
                }
                pending[slot] = None;
                if pending.iter().all(Option::is_none) {
                    since = time;
                    calm = worlds.iter().map(|(value, _)| *value).collect();
                }
            }
        }
    }
    Ok(())
}

/// The worlds in which what is in that slot has happened, and is forgotten.
fn with(
    slot: usize,
    worlds: HashSet<World>,
    pending: &[Option<usize>; PENDING_MAX],
    steps: &[Step<'_>],
) -> HashSet<World> {
    let bit = 1 << slot;
    let mut next = HashSet::new();
    let mut seen: HashSet<World> = worlds;
    let mut left: Vec<World> = seen.iter().copied().collect();
    while let Some((value, happened)) = left.pop() {
        if happened & bit != 0 {
            next.insert((value, happened & !bit));
            continue;
        }
        for (at, index) in pending.iter().enumerate() {
            let Some(step) = index.and_then(|index| steps.get(index)) else {
                continue;
            };
            if happened & (1 << at) != 0 {
                continue;
            }
            if let Some(value) = apply(&step.action, value) {
                let world = (value, happened | (1 << at));
                if seen.insert(world) {
                    left.push(world);
                }
            }
        }
    }
    next
}

fn check_key(key: Number, steps: &[Step<'_>]) -> Result<(), Violation> {
    let violation = |reason: &str, before, steps: Vec<Step<'_>>| Violation {
        key,
        reason: reason.into(),
        before,
        operations: steps.iter().map(|step| step.operation.clone()).collect(),
    };
    let failure = match run(steps, &BTreeSet::from([None]), u64::MAX) {
        Ok(()) => return Ok(()),
        Err(Some(failure)) => failure,
        Err(None) => {
            let reason = format!("more than {PENDING_MAX} operations at a time");
            return Err(violation(&reason, BTreeSet::new(), Vec::new()));
        }
    };
    let Failure { at, since, before } = failure;
    let concerns = |step: &&Step<'_>| step.operation.end > since && step.operation.start < at;
    let mut rest: Vec<Step<'_>> = steps.iter().filter(concerns).cloned().collect();
    let mut index = 0;
    while index < rest.len() {
        let mut fewer = rest.clone();
        let step = fewer.remove(index);
        if only_looks(&step.action) && run(&fewer, &before, at).is_err() {
            rest = fewer;
        } else {
            index += 1;
        }
    }
    Err(violation(
        "no order of these explains their results",
        before,
        rest,
    ))
}

// SPDX-License-Identifier: GPL-2.0

//! The check itself: key by key, or of all keys together.

use std::collections::{BTreeMap, BTreeSet, HashSet};
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

/// Keys that can be checked together.
const FEW: usize = 12;

/// The keys that are in a map, and their values.
pub type Contents = BTreeMap<Number, Number>;

/// A history that no map without concurrency can have.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    /// The key that is not right; `None` if it is the number of keys.
    pub key: Option<Number>,
    /// What is wrong with it.
    pub reason: String,
    /// What there may have been before `operations`, of that key, or of all.
    pub before: BTreeSet<Contents>,
    /// The operations that contradict each other; those that are no longer needed for that, and
    /// change nothing, have been left out.
    pub operations: Vec<Operation>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key {
            Some(key) => writeln!(f, "key {key}: {}", self.reason)?,
            None => writeln!(f, "all keys: {}", self.reason)?,
        }
        write!(f, "before:")?;
        for contents in &self.before {
            match self.key {
                Some(key) => write!(f, " {}", Maybe(contents.get(&key).copied()))?,
                None => write!(f, " {contents:?}")?,
            }
        }
        writeln!(f)?;
        self.operations
            .iter()
            .try_for_each(|operation| writeln!(f, "{operation}"))
    }
}

/// What an operation is for one key, or a Clear for all of them.
#[derive(Clone)]
struct Step<'h> {
    operation: &'h Operation,
    key: Option<Number>,
    action: Action,
}

impl Step<'_> {
    /// What there is after it, if there was `now` before; `None` if that cannot be.
    fn apply(&self, now: &Contents, limit: usize) -> Option<Contents> {
        let Some(key) = self.key else {
            return Some(Contents::new());
        };
        let value = now.get(&key).copied();
        let others = now.len() - usize::from(value.is_some());
        let next = match self.action {
            Action::Full(_) => (others >= limit).then_some(value)?,
            ref action => apply(action, value)?,
        };
        if value.is_none() && next.is_some() && others >= limit {
            return None;
        }
        let mut after = now.clone();
        match next {
            Some(value) => after.insert(key, value),
            None => after.remove(&key),
        };
        Some(after)
    }
}

/// The most operations on one key that may be under way at a time.
const PENDING_MAX: usize = 64;

/// A world that is possible: what there is, and which of the operations under way have happened.
type World = (Contents, u64);

/// Checks a history.
pub fn check(history: &History) -> Result<Checked, Violation> {
    let mut keys = BTreeSet::new();
    for operation in &history.operations {
        keys.extend(operation.key);
        if let Action::Range(visited) = &operation.action {
            keys.extend(visited.iter().map(|(key, _)| *key));
            let mut once = HashSet::new();
            if let Some((key, _)) = visited.iter().find(|(key, _)| !once.insert(*key)) {
                return Err(Violation {
                    key: Some(*key),
                    reason: "visited twice".into(),
                    before: BTreeSet::new(),
                    operations: vec![operation.clone()],
                });
            }
        }
    }
    for key in &keys {
        let steps = history.operations.iter().filter_map(|op| step(op, *key));
        check_steps(Some(*key), &steps.collect::<Vec<_>>(), usize::MAX)?;
    }
    // A store that is refused without a limit is wrong as well. And Clear is one instant for all keys: of
    // few, it is checked that it is.
    let any = |is: fn(&Operation) -> bool| history.operations.iter().any(is);
    let clears = keys.len() <= FEW && any(|op| matches!(op.action, Action::Clear));
    if history.limit.is_some() || clears || any(|op| matches!(op.action, Action::Full(_))) {
        let steps = history
            .operations
            .iter()
            .flat_map(|op| all_steps(op, &keys));
        let limit = history.limit.unwrap_or(usize::MAX);
        check_steps(None, &steps.collect::<Vec<_>>(), limit)?;
    }
    Ok(Checked {
        histories: 1,
        operations: history.operations.len(),
    })
}

/// What the operation is for all keys.
fn all_steps<'h>(operation: &'h Operation, keys: &BTreeSet<Number>) -> Vec<Step<'h>> {
    let whole = |key| {
        let action = operation.action.clone();
        Step {
            operation,
            key,
            action,
        }
    };
    match operation.action {
        Action::Failed => Vec::new(),
        Action::Clear => vec![whole(None)],
        Action::Range(_) => {
            let each = keys.iter().filter_map(|key| step(operation, *key));
            each.collect()
        }
        _ => vec![whole(operation.key)],
    }
}

/// What the operation is for that key, if anything.
fn step(operation: &Operation, key: Number) -> Option<Step<'_>> {
    let action = match &operation.action {
        Action::Failed | Action::Full(_) => return None,
        Action::Clear => Action::Delete,
        Action::Range(visited) => {
            let pair = visited.iter().find(|(visited, _)| *visited == key);
            Action::Load(pair.map(|(_, value)| *value))
        }
        _ if operation.key != Some(key) => return None,
        action => action.clone(),
    };
    Some(Step {
        operation,
        key: Some(key),
        action,
    })
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
        // Taken apart, or left out, or seen to before.
        Action::Clear | Action::Range(_) | Action::Full(_) | Action::Failed => Some(now),
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
            | Action::Full(_)
    )
}

/// Where a check has failed.
struct Failure {
    /// When what could not have happened ended.
    at: u64,
    /// The last moment before at which nothing was under way, and what there may have been then.
    since: u64,
    before: BTreeSet<Contents>,
}

enum Event {
    // In this order if at the same time: what touches is not in order.
    Start,
    End,
}

/// Goes through what happens up to a moment; what has not ended by then may have happened or not.
fn run(
    steps: &[Step<'_>],
    before: &BTreeSet<Contents>,
    limit: usize,
    until: u64,
) -> Result<(), Option<Failure>> {
    let mut events = Vec::with_capacity(2 * steps.len());
    for (index, Step { operation, .. }) in steps.iter().enumerate() {
        events.push((operation.start, 0, index, Event::Start));
        events.push((operation.end, 1, index, Event::End));
    }
    events.sort_by_key(|(time, order, index, _)| (*time, *order, *index));

    let mut pending: [Option<usize>; PENDING_MAX] = [None; PENDING_MAX];
    let mut worlds: HashSet<World> = before.iter().map(|now| (now.clone(), 0)).collect();
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
                worlds = with(slot, worlds, &pending, steps, limit);
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
                    calm = worlds.iter().map(|(now, _)| now.clone()).collect();
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
    limit: usize,
) -> HashSet<World> {
    let bit = 1 << slot;
    let mut next = HashSet::new();
    let mut seen: HashSet<World> = worlds;
    let mut left: Vec<World> = seen.iter().cloned().collect();
    while let Some((now, mut happened)) = left.pop() {
        let possible = |at: usize, happened: u64| {
            let step = pending[at].and_then(|index| steps.get(index))?;
            let after = (happened & (1 << at) == 0).then(|| step.apply(&now, limit))?;
            Some((step, after?))
        };
        // What only looks happens as soon as it can: all that can follow can follow that as well.
        for at in 0..PENDING_MAX {
            if possible(at, happened).is_some_and(|(step, _)| only_looks(&step.action)) {
                happened |= 1 << at;
            }
        }
        if happened & bit != 0 {
            next.insert((now, happened & !bit));
            continue;
        }
        for at in 0..PENDING_MAX {
            if let Some((_, after)) = possible(at, happened) {
                let world = (after, happened | (1 << at));
                if seen.insert(world.clone()) {
                    left.push(world);
                }
            }
        }
    }
    next
}

/// Checks what concerns a key, or all of them.
fn check_steps(key: Option<Number>, steps: &[Step<'_>], limit: usize) -> Result<(), Violation> {
    let violation = |reason: &str, before, steps: Vec<Step<'_>>| {
        let mut operations: Vec<_> = steps.iter().map(|step| step.operation.clone()).collect();
        operations.dedup();
        Violation {
            key,
            reason: reason.into(),
            before,
            operations,
        }
    };
    let nothing = BTreeSet::from([Contents::new()]);
    let failure = match run(steps, &nothing, limit, u64::MAX) {
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
        if only_looks(&step.action) && run(&fewer, &before, limit, at).is_err() {
            rest = fewer;
        } else {
            index += 1;
        }
    }
    let mut reason = "no order of these explains their results".to_string();
    if limit != usize::MAX {
        reason += &format!(", of {limit} keys at most");
    }
    Err(violation(&reason, before, rest))
}

// SPDX-License-Identifier: GPL-2.0

//! A thread that uses a map, and writes down what it does.

use std::collections::BTreeSet;

use kernel::alloc::flags::GFP_KERNEL;
use kernel::machine;
use kernel::sync::rcu;
use linearize::{Action, Operation};
use syncmap::map::{LoadOrStore, Map};
use syncmap::object::Fixed;
use syncmap::range::Cursor;
use syncmap::value::Counted;

use crate::contents::{Name, Value};

/// The maps of programs.
pub type TinyMap = Map<Name, Counted<Fixed<Value>>>;

/// Someone who uses a map.
pub struct Actor<'m> {
    /// The map.
    pub map: &'m TinyMap,
    thread: u64,
    log: Vec<Operation>,
    live: usize,
}

impl<'m> Actor<'m> {
    /// The thread of that number.
    pub fn new(map: &'m TinyMap, thread: u64) -> Self {
        Actor {
            map,
            thread,
            log: Vec::new(),
            live: 0,
        }
    }

    /// What it has done.
    pub fn into_log(self) -> Vec<Operation> {
        self.log
    }

    fn done(&mut self, key: Option<u64>, act: impl FnOnce(&TinyMap) -> Option<Action>) -> Action {
        let start = machine::tick();
        let action = act(self.map).unwrap_or(Action::Failed);
        let end = machine::tick();
        let thread = self.thread;
        self.log.push(Operation {
            thread,
            start,
            end,
            key,
            action: action.clone(),
        });
        action
    }

    pub fn load(&mut self, key: u64) {
        self.look(key);
    }

    /// A load, of which the result is wanted.
    pub(crate) fn look(&mut self, key: u64) -> Option<u64> {
        let load = |map: &TinyMap| map.load(&Name::of(key)).map(|value| value.get());
        match self.done(Some(key), |map| Some(Action::Load(load(map)))) {
            Action::Load(value) => value,
            _ => None,
        }
    }

    /// A lookup for an interrupt handler: looks at the value in a read-side section.
    pub fn get(&mut self, key: u64) {
        self.see(key);
    }

    /// The same, if the result is wanted.
    pub fn see(&mut self, key: u64) -> Option<u64> {
        let action = self.done(Some(key), |map| {
            let guard = rcu::read_lock();
            let value = map.get(&Name::of(key), &guard);
            Some(Action::Load(value.map(|value| {
                let first = value.get();
                // The same still, until the section ends.
                assert_eq!(first, value.get());
                first
            })))
        });
        match action {
            Action::Load(value) => value,
            _ => None,
        }
    }

    pub fn store(&mut self, key: u64, value: u64) {
        self.done(Some(key), |map| {
            let done = map.store(Name::of(key), Value::new(value), GFP_KERNEL);
            done.is_ok().then_some(Action::Store(value))
        });
    }

    /// A store that may neither sleep nor make a key.
    pub fn try_store(&mut self, key: u64, value: u64) {
        self.done(Some(key), |map| {
            let value_node = map.prepare(Value::new(value), GFP_KERNEL).ok()?;
            let old = map.try_store(&Name::of(key), value_node).ok()?;
            Some(Action::Swap(value, old.map(|old| old.get())))
        });
    }

    pub fn load_or_store(&mut self, key: u64, value: u64) {
        self.done(Some(key), |map| {
            match map
                .load_or_store(Name::of(key), Value::new(value), GFP_KERNEL)
                .ok()?
            {
                LoadOrStore::Loaded(actual, _) => {
                    Some(Action::LoadOrStore(value, actual.get(), true))
                }
                LoadOrStore::Stored => Some(Action::LoadOrStore(value, value, false)),
            }
        });
    }

    pub fn load_and_delete(&mut self, key: u64) {
        self.done(Some(key), |map| {
            let old = map.load_and_delete(&Name::of(key));
            Some(Action::LoadAndDelete(old.map(|old| old.get())))
        });
    }

    pub fn delete(&mut self, key: u64) {
        self.done(Some(key), |map| {
            map.delete(&Name::of(key));
            Some(Action::Delete)
        });
    }

    /// A delete for an interrupt handler.
    pub fn try_delete(&mut self, key: u64) {
        self.done(Some(key), |map| {
            let old = map.try_delete(&Name::of(key));
            Some(Action::LoadAndDelete(old.map(|old| old.get())))
        });
    }

    pub fn swap(&mut self, key: u64, value: u64) {
        self.done(Some(key), |map| {
            let old = map
                .swap(Name::of(key), Value::new(value), GFP_KERNEL)
                .ok()?;
            Some(Action::Swap(value, old.map(|old| old.get())))
        });
    }

    pub fn compare_and_swap(&mut self, key: u64, old: u64, new: u64) {
        self.done(Some(key), |map| {
            let expected = Value::new(old);
            match map.compare_and_swap(&Name::of(key), &expected, Value::new(new), GFP_KERNEL) {
                Ok(_) => Some(Action::CompareAndSwap(old, new, true)),
                Err(error) if error.error.is_none() => {
                    Some(Action::CompareAndSwap(old, new, false))
                }
                Err(_) => None,
            }
        });
    }

    pub fn compare_and_delete(&mut self, key: u64, old: u64) {
        self.done(Some(key), |map| {
            let done = map
                .compare_and_delete(&Name::of(key), &Value::new(old))
                .is_some();
            Some(Action::CompareAndDelete(old, done))
        });
    }

    pub fn clear(&mut self) {
        self.done(None, |map| {
            map.clear(GFP_KERNEL).ok().map(|()| Action::Clear)
        });
    }

    pub fn range(&mut self) {
        self.done(None, |map| {
            let mut visited = Vec::new();
            map.range(|key, value| {
                visited.push((key.number, value.get()));
                true
            });
            Some(Action::Range(visited))
        });
    }

    /// A walk that does not begin at the start, and so does not promote, but comes to all keys.
    pub fn walk(&mut self) {
        self.done(None, |map| {
            let mut visited = Vec::new();
            let before = Name::of(0);
            let mut walk = map.walk(Cursor::Key(&before));
            while let Some((key, value)) = walk.next_pair() {
                visited.push((key.number, value.get()));
            }
            Some(Action::Range(visited))
        });
    }

    /// What a map would record that loses it.
    pub(crate) fn pretend_to_store(&mut self, key: u64, value: u64) {
        self.done(Some(key), |_| Some(Action::Store(value)));
    }

    /// Loads each key of a history, to be judged together with it.
    pub(crate) fn load_all(&mut self, history: &[Operation]) {
        let keys: BTreeSet<u64> = history
            .iter()
            .chain(&self.log)
            .filter_map(|op| op.key)
            .collect();
        self.live = keys.iter().filter(|key| self.look(**key).is_some()).count();
        self.range();
    }

    /// How many had a value then.
    pub(crate) fn live(&self) -> usize {
        self.live
    }
}

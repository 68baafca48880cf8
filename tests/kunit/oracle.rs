// SPDX-License-Identifier: GPL-2.0

//! The seed: Go 1.23's `sync.Map`, as plain single-threaded Rust under the same names.
//!
//! To be read side by side with Go's `src/sync/map.go`. Differences in form: entries are shared by
//! their index in `entries` instead of by pointers; atomic operations and the mutex are gone, and
//! with them whatever Go does a second time because it has taken the mutex; `Store` and `Delete` are
//! `Swap` and `LoadAndDelete`, as in Go. At the end is what the seed does not have.

use kernel::prelude::*;
use syncmap::inspect::EntryState;

use crate::program::{add_pair, Answer, Op, Step};

/// `entry.p`: a pointer to a value, `nil`, or `expunged`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum P {
    Nil,
    Expunged,
    Value(u64),
}

/// An index in `entries`: what `*entry` is in Go.
type Entry = usize;

/// `map[any]*entry`, as pairs in the order of the keys.
pub(crate) struct GoMap(KVec<(u64, Entry)>);

impl GoMap {
    const fn new() -> Self {
        GoMap(KVec::new())
    }

    pub(crate) fn get(&self, key: u64) -> Option<Entry> {
        let at = self.0.binary_search_by_key(&key, |pair| pair.0).ok()?;
        Some(self.0[at].1)
    }

    fn set(&mut self, key: u64, e: Entry) -> Result {
        match self.0.binary_search_by_key(&key, |pair| pair.0) {
            Ok(at) => self.0[at].1 = e,
            Err(at) => {
                self.0.push((key, e), GFP_KERNEL)?;
                self.0[at..].rotate_right(1);
            }
        }
        Ok(())
    }

    fn delete(&mut self, key: u64) {
        self.0.retain(|pair| pair.0 != key);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// `readOnly`.
pub(crate) struct ReadOnly {
    pub(crate) m: GoMap,
    pub(crate) amended: bool,
}

/// `Map`.
pub(crate) struct Map {
    pub(crate) read: ReadOnly,
    pub(crate) dirty: Option<GoMap>,
    pub(crate) misses: usize,
    entries: KVec<P>,
}

// `func (m *Map) …`
impl Map {
    pub(crate) fn new() -> Self {
        Map {
            read: ReadOnly {
                m: GoMap::new(),
                amended: false,
            },
            dirty: None,
            misses: 0,
            entries: KVec::new(),
        }
    }

    fn new_entry(&mut self, value: u64) -> Result<Entry> {
        self.entries.push(P::Value(value), GFP_KERNEL)?;
        Ok(self.entries.len() - 1)
    }

    /// `len(m.dirty)`.
    pub(crate) fn dirty_len(&self) -> usize {
        self.dirty.as_ref().map_or(0, GoMap::len)
    }

    fn dirty_get(&self, key: u64) -> Option<Entry> {
        self.dirty.as_ref()?.get(key)
    }

    /// `m.dirty[key] = e`.
    fn dirty_set(&mut self, key: u64, e: Entry) -> Result {
        self.dirty.as_mut().ok_or(EINVAL)?.set(key, e)
    }

    fn load(&mut self, key: u64) -> Option<u64> {
        let mut e = self.read.m.get(key);
        if e.is_none() && self.read.amended {
            e = self.dirty_get(key);
            // Regardless of whether the entry was present, record a miss.
            self.miss_locked();
        }
        self.load_entry(e?)
    }

    fn clear(&mut self) {
        if self.read.m.len() == 0 && !self.read.amended {
            return;
        }
        self.read = ReadOnly {
            m: GoMap::new(),
            amended: false,
        };
        self.dirty = None;
        self.misses = 0;
    }

    fn load_or_store(&mut self, key: u64, value: u64) -> Result<(u64, bool)> {
        if let Some(e) = self.read.m.get(key) {
            if let Some(done) = self.try_load_or_store(e, value) {
                return Ok(done);
            }
            if self.unexpunge_locked(e) {
                self.dirty_set(key, e)?;
            }
            self.try_load_or_store(e, value).ok_or(EINVAL)
        } else if let Some(e) = self.dirty_get(key) {
            let done = self.try_load_or_store(e, value).ok_or(EINVAL);
            self.miss_locked();
            done
        } else {
            self.store_new(key, value)?;
            Ok((value, false))
        }
    }

    fn load_and_delete(&mut self, key: u64) -> Option<u64> {
        let mut e = self.read.m.get(key);
        if e.is_none() && self.read.amended {
            e = self.dirty_get(key);
            if let Some(dirty) = &mut self.dirty {
                dirty.delete(key);
            }
            self.miss_locked();
        }
        self.delete_entry(e?)
    }

    fn swap(&mut self, key: u64, value: u64) -> Result<Option<u64>> {
        if let Some(e) = self.read.m.get(key) {
            if let Some(previous) = self.try_swap(e, value) {
                return Ok(previous);
            }
            if self.unexpunge_locked(e) {
                self.dirty_set(key, e)?;
            }
            Ok(self.swap_locked(e, value))
        } else if let Some(e) = self.dirty_get(key) {
            Ok(self.swap_locked(e, value))
        } else {
            self.store_new(key, value)?;
            Ok(None)
        }
    }

    /// The end of `Swap` and of `LoadOrStore`.
    fn store_new(&mut self, key: u64, value: u64) -> Result {
        if !self.read.amended {
            // We're adding the first new key to the dirty map. Make sure it is allocated and mark
            // the read-only map as incomplete.
            self.dirty_locked()?;
            self.read.amended = true;
        }
        let e = self.new_entry(value)?;
        self.dirty_set(key, e)
    }

    fn compare_and_swap(&mut self, key: u64, old: u64, new: u64) -> bool {
        if let Some(e) = self.read.m.get(key) {
            return self.try_compare_and_swap(e, old, new);
        } else if !self.read.amended {
            return false;
        }
        let mut swapped = false;
        if let Some(e) = self.dirty_get(key) {
            swapped = self.try_compare_and_swap(e, old, new);
            // We needed to lock mu in order to load the entry for key, and the operation didn't
            // change the set of keys in the map, so count it as a miss.
            self.miss_locked();
        }
        swapped
    }

    fn compare_and_delete(&mut self, key: u64, old: u64) -> bool {
        let mut e = self.read.m.get(key);
        if e.is_none() && self.read.amended {
            e = self.dirty_get(key);
            // Don't delete key from m.dirty: we still need to do the "compare" part of the operation.
            self.miss_locked();
        }
        match e {
            Some(e) if self.entries[e] == P::Value(old) => {
                self.entries[e] = P::Nil;
                true
            }
            _ => false,
        }
    }

    fn range(&mut self, mut f: impl FnMut(u64, u64)) {
        if self.read.amended {
            self.promote();
        }
        for (key, e) in self.read.m.0.iter() {
            if let Some(value) = self.load_entry(*e) {
                f(*key, value);
            }
        }
    }

    fn miss_locked(&mut self) {
        self.misses += 1;
        if self.misses < self.dirty_len() {
            return;
        }
        self.promote();
    }

    /// The end of `missLocked`, and the beginning of `Range`.
    fn promote(&mut self) {
        self.read = ReadOnly {
            m: self.dirty.take().unwrap_or(GoMap::new()),
            amended: false,
        };
        self.misses = 0;
    }

    fn dirty_locked(&mut self) -> Result {
        if self.dirty.is_some() {
            return Ok(());
        }
        let mut dirty = GoMap::new();
        for at in 0..self.read.m.len() {
            let (key, e) = self.read.m.0[at];
            if !self.try_expunge_locked(e) {
                dirty.set(key, e)?;
            }
        }
        self.dirty = Some(dirty);
        Ok(())
    }
}

// `func (e *entry) …`
impl Map {
    fn load_entry(&self, e: Entry) -> Option<u64> {
        match self.entries[e] {
            P::Nil | P::Expunged => None,
            P::Value(value) => Some(value),
        }
    }

    fn try_compare_and_swap(&mut self, e: Entry, old: u64, new: u64) -> bool {
        if self.entries[e] != P::Value(old) {
            return false;
        }
        self.entries[e] = P::Value(new);
        true
    }

    fn unexpunge_locked(&mut self, e: Entry) -> bool {
        let was_expunged = self.entries[e] == P::Expunged;
        if was_expunged {
            self.entries[e] = P::Nil;
        }
        was_expunged
    }

    fn swap_locked(&mut self, e: Entry, value: u64) -> Option<u64> {
        let previous = self.load_entry(e);
        self.entries[e] = P::Value(value);
        previous
    }

    /// The value and whether it was loaded; `None` if the entry is expunged.
    fn try_load_or_store(&mut self, e: Entry, value: u64) -> Option<(u64, bool)> {
        match self.entries[e] {
            P::Expunged => None,
            P::Value(actual) => Some((actual, true)),
            P::Nil => {
                self.entries[e] = P::Value(value);
                Some((value, false))
            }
        }
    }

    fn delete_entry(&mut self, e: Entry) -> Option<u64> {
        let value = self.load_entry(e)?;
        self.entries[e] = P::Nil;
        Some(value)
    }

    /// The previous value; `None` if the entry is expunged.
    fn try_swap(&mut self, e: Entry, value: u64) -> Option<Option<u64>> {
        if self.entries[e] == P::Expunged {
            return None;
        }
        Some(self.swap_locked(e, value))
    }

    fn try_expunge_locked(&mut self, e: Entry) -> bool {
        if self.entries[e] == P::Nil {
            self.entries[e] = P::Expunged;
        }
        self.entries[e] == P::Expunged
    }
}

// What the seed does not have.
impl Map {
    /// The state of an entry.
    pub(crate) fn state(&self, e: Entry) -> P {
        self.entries[e]
    }

    /// Whether one more miss promotes dirty, and a lookup of this key would be one.
    pub(crate) fn is_due(&self, key: u64) -> bool {
        self.read.amended && self.read.m.get(key).is_none() && self.misses + 1 >= self.dirty_len()
    }

    /// Deletes as `LoadAndDelete` does, but leaves a key with another value than `old`.
    fn delete_if(&mut self, key: u64, old: u64) -> bool {
        if self.read.m.get(key).is_some() || !self.read.amended {
            return self.compare_and_delete(key, old);
        }
        let now = self.dirty_get(key).and_then(|e| self.load_entry(e));
        if now.is_some_and(|now| now != old) {
            self.miss_locked();
            return false;
        }
        self.load_and_delete(key).is_some()
    }

    fn len(&self) -> usize {
        let all = match &self.dirty {
            Some(dirty) if self.read.amended => dirty,
            _ => &self.read.m,
        };
        let live = |pair: &&(u64, Entry)| self.load_entry(pair.1).is_some();
        all.0.iter().filter(live).count()
    }

    /// Goes along with a map that has not expunged a deleted key yet, since its segment is still
    /// shared, or that has dropped one from dirty, since its segment was full. A key that has a
    /// value, or is not in read, is none of these.
    pub(crate) fn adopt(&mut self, key: u64, read: Option<EntryState>, in_dirty: bool) -> Result {
        let Some(dirty) = &mut self.dirty else {
            return Ok(());
        };
        match (self.read.m.get(key), read) {
            (Some(e), Some(EntryState::Expunged)) if self.entries[e] == P::Nil => {
                self.entries[e] = P::Expunged;
                dirty.delete(key);
            }
            (Some(e), Some(EntryState::Deleted)) if self.entries[e] == P::Expunged => {
                self.entries[e] = P::Nil;
                dirty.set(key, e)?;
            }
            (None, None) if !in_dirty => {
                if dirty.get(key).is_some_and(|e| self.entries[e] == P::Nil) {
                    dirty.delete(key);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Forgets entries without a value.
    fn sweep(&mut self) {
        let entries = &self.entries;
        let live = |pair: &mut (u64, Entry)| matches!(entries[pair.1], P::Value(_));
        self.read.m.0.retain(live);
        if let Some(dirty) = &mut self.dirty {
            dirty.0.retain(live);
        }
    }

    /// Runs a step, and says what a map must answer.
    pub(crate) fn run(&mut self, step: &Step) -> Result<Answer> {
        let Step { key, old, new, .. } = *step;
        Ok(match step.op {
            Op::Get | Op::Load => Answer::of(self.load(key)),
            Op::Store => {
                self.swap(key, new)?;
                Answer::Done
            }
            Op::Swap => Answer::of(self.swap(key, new)?),
            Op::LoadOrStore => match self.load_or_store(key, new)? {
                (value, true) => Answer::Value(value),
                (_, false) => Answer::Stored,
            },
            Op::LoadAndDelete => Answer::of(self.load_and_delete(key)),
            Op::Delete => Answer::Deleted(self.load_and_delete(key).is_some()),
            Op::CompareAndSwap => {
                if self.compare_and_swap(key, old, new) {
                    Answer::Value(old)
                } else {
                    Answer::Refused
                }
            }
            Op::DeleteIf => Answer::of(self.delete_if(key, old).then_some(old)),
            Op::CompareAndDelete => Answer::of(self.compare_and_delete(key, old).then_some(old)),
            Op::Range | Op::RangeRcu | Op::Batches => {
                let mut pairs = (0, 0);
                self.range(|key, value| add_pair(&mut pairs, key, value));
                Answer::Pairs(pairs.0, pairs.1)
            }
            Op::Len => Answer::Len(self.len()),
            Op::Clear => {
                self.clear();
                Answer::Done
            }
            Op::Promote => {
                if self.read.amended {
                    self.promote();
                }
                Answer::Done
            }
            Op::Sweep => {
                self.sweep();
                Answer::Done
            }
        })
    }
}

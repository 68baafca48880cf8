// SPDX-License-Identifier: GPL-2.0

//! Single operations as data, random programs of them, and what runs them.

use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::rcu;
use syncmap::outcome::LoadOrStore;
use syncmap::range::Cursor;
use syncmap::ByteMap;

use crate::context::atomically;
use crate::keys::Number;
use crate::support::{Numbers, Random};
use crate::values::Tracked;

/// An operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Get,
    Load,
    Store,
    Swap,
    LoadOrStore,
    LoadAndDelete,
    Delete,
    /// `load_and_delete_with`, if the value is `old`.
    DeleteIf,
    CompareAndSwap,
    CompareAndDelete,
    Range,
    RangeRcu,
    Batches,
    Len,
    Clear,
    Promote,
    Sweep,
}

impl Op {
    /// Whether it works where nothing may sleep.
    pub(crate) fn works_anywhere(self) -> bool {
        !matches!(self, Op::Range | Op::RangeRcu | Op::Batches | Op::Sweep)
    }
}

/// An operation with its arguments, of which it uses what it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) op: Op,
    /// Whether it is called where nothing may sleep.
    pub(crate) atomic: bool,
    pub(crate) key: u64,
    pub(crate) old: u64,
    pub(crate) new: u64,
}

/// What an operation returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// No value.
    Absent,
    /// This value is there, or was.
    Value(u64),
    /// `load_or_store` has stored.
    Stored,
    /// `delete` has deleted something, or not.
    Deleted(bool),
    /// `compare_and_swap` did not.
    Refused,
    /// So many.
    Len(usize),
    /// So many pairs, and a sum of what they are.
    Pairs(usize, u64),
    /// That is all there is to say.
    Done,
}

impl Answer {
    pub(crate) fn of(value: Option<u64>) -> Self {
        value.map_or(Answer::Absent, Answer::Value)
    }
}

/// Adds a pair to an [`Answer::Pairs`]: in which order does not matter.
pub(crate) fn add_pair(pairs: &mut (usize, u64), key: u64, value: u64) {
    let mixed = Random::new(key ^ value.rotate_left(32)).next();
    *pairs = (pairs.0 + 1, pairs.1.wrapping_add(mixed));
}

/// Chooses the steps of a program.
pub(crate) struct Program {
    random: Random,
    keys: u64,
    /// One step of so many clears the map.
    clears: u64,
}

impl Program {
    pub(crate) fn new(seed: u64, keys: u64, clears: u64) -> Self {
        Program {
            random: Random::new(seed),
            keys,
            clears,
        }
    }

    /// The next step. Values are few, so that comparisons often find what they expect.
    pub(crate) fn step(&mut self) -> Step {
        let random = &mut self.random;
        let op = if random.below(self.clears) == 0 {
            Op::Clear
        } else {
            match random.below(64) {
                0..=5 => Op::Get,
                6..=17 => Op::Load,
                18..=22 => Op::Store,
                23..=27 => Op::Swap,
                28..=33 => Op::LoadOrStore,
                34..=38 => Op::LoadAndDelete,
                39..=41 => Op::Delete,
                42 => Op::DeleteIf,
                43..=47 => Op::CompareAndSwap,
                48..=54 => Op::CompareAndDelete,
                55..=56 => Op::Delete,
                57..=58 => Op::Promote,
                59 => Op::Range,
                60 => Op::Batches,
                61 => Op::Sweep,
                62 => Op::RangeRcu,
                _ => Op::Len,
            }
        };
        Step {
            op,
            atomic: op.works_anywhere() && random.below(3) == 0,
            key: random.below(self.keys),
            old: random.below(3),
            new: random.below(3),
        }
    }
}

/// Something that runs steps.
pub(crate) trait Subject {
    /// Runs a step. If it fails, key and value must have come back.
    fn run(&self, step: &Step, flags: Flags) -> Result<Answer>;

    /// Runs a step where it is to be called, with the flags that are right there.
    fn run_there(&self, step: &Step) -> Result<Answer> {
        match step.atomic {
            true => atomically(|| self.run(step, GFP_ATOMIC)),
            false => self.run(step, GFP_KERNEL),
        }
    }
}

impl<K: Number> Subject for Numbers<K> {
    fn run(&self, step: &Step, flags: Flags) -> Result<Answer> {
        let key = K::make(step.key);
        let new = || Tracked::make(step.new);
        let number = |value: &Tracked| value.number();
        Ok(match step.op {
            Op::Get => {
                let guard = rcu::read_lock();
                Answer::of(self.get(&key, &guard).map(number))
            }
            Op::Load => Answer::of(self.load(&key).as_deref().map(number)),
            Op::Store => match self.store(key, new(), flags) {
                Ok(()) => Answer::Done,
                Err(e) => return came_back(step, e.error, &e.key, &e.value),
            },
            Op::Swap => match self.swap(key, new(), flags) {
                Ok(old) => Answer::of(old.as_deref().map(number)),
                Err(e) => return came_back(step, e.error, &e.key, &e.value),
            },
            Op::LoadOrStore => match self.load_or_store(key, new(), flags) {
                Ok(LoadOrStore::Stored) => Answer::Stored,
                Ok(LoadOrStore::Loaded(value, back)) => {
                    check_eq!(back.number(), step.new, "load_or_store gave back another");
                    Answer::Value(value.number())
                }
                Err(e) => return came_back(step, e.error, &e.key, &e.value),
            },
            Op::LoadAndDelete => Answer::of(self.load_and_delete(&key).as_deref().map(number)),
            Op::Delete => Answer::Deleted(self.delete(&key)),
            Op::DeleteIf => {
                let old = self.load_and_delete_with(&key, |v| v.get().number() == step.old);
                Answer::of(old.as_deref().map(number))
            }
            Op::CompareAndSwap => {
                match self.compare_and_swap(&key, &Tracked::make(step.old), new(), flags) {
                    Ok(old) => Answer::Value(old.number()),
                    Err(e) => {
                        check_eq!(e.value.number(), step.new, "the value did not come back");
                        match e.error {
                            None => Answer::Refused,
                            Some(error) => return Err(error),
                        }
                    }
                }
            }
            Op::CompareAndDelete => {
                let old = self.compare_and_delete(&key, &Tracked::make(step.old));
                Answer::of(old.as_deref().map(number))
            }
            Op::Range => {
                let mut pairs = (0, 0);
                self.range(|key, value| {
                    add_pair(&mut pairs, key.number(), value.number());
                    true
                });
                Answer::Pairs(pairs.0, pairs.1)
            }
            Op::RangeRcu => {
                let mut pairs = (0, 0);
                self.range_rcu(|key, value| {
                    add_pair(&mut pairs, key.number(), value.get().number());
                    true
                });
                Answer::Pairs(pairs.0, pairs.1)
            }
            Op::Batches => {
                let mut pairs = (0, 0);
                let mut batch = self.walk(Cursor::Start).next_batch();
                loop {
                    let mut last = None;
                    for (key, value) in batch.pairs() {
                        add_pair(&mut pairs, key.number(), value.number());
                        last = Some(key.number());
                    }
                    let Some(last) = last else { break };
                    batch = self.walk(Cursor::Key(&K::make(last))).next_batch();
                }
                check!(batch.is_last(), "an empty batch is not the last");
                Answer::Pairs(pairs.0, pairs.1)
            }
            Op::Len => Answer::Len(self.len()),
            Op::Clear => {
                self.clear(flags)?;
                Answer::Done
            }
            Op::Promote => {
                self.promote_now();
                Answer::Done
            }
            Op::Sweep => {
                self.sweep();
                Answer::Done
            }
        })
    }
}

/// What a failed store gives back must be what it was given.
fn came_back<K: Number>(step: &Step, error: Error, key: &K, value: &Tracked) -> Result<Answer> {
    check_eq!(key.number(), step.key, "another key came back");
    check_eq!(value.number(), step.new, "another value came back");
    Err(error)
}

/// A number as bytes: 3 to 38 of them, the same for the same number.
struct Text([u8; 38], usize);

impl Text {
    fn of(number: u64) -> Self {
        let mut text = [number as u8; 38];
        let digits = number.to_le_bytes();
        text[..3].copy_from_slice(&digits[..3]);
        Text(text, 3 + number as usize % 36)
    }

    fn bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }

    /// The number that these bytes stand for; `u64::MAX` if they do not stand for any.
    fn number(bytes: &[u8]) -> u64 {
        let number = match bytes {
            [a, b, c, ..] => u64::from(u32::from_le_bytes([*a, *b, *c, 0])),
            _ => return u64::MAX,
        };
        if Text::of(number).bytes() == bytes {
            number
        } else {
            u64::MAX
        }
    }
}

impl Subject for ByteMap {
    fn run(&self, step: &Step, flags: Flags) -> Result<Answer> {
        let text = Text::of(step.key);
        let key = text.bytes();
        let old = Text::of(step.old);
        let prepare = || {
            let new = Text::of(step.new);
            self.prepare_bytes(new.1, flags, |to| {
                to.copy_from_slice(new.bytes());
                Ok(())
            })
        };
        let number = |value: &[u8]| Text::number(value);
        Ok(match step.op {
            Op::Get => {
                let guard = rcu::read_lock();
                Answer::of(self.get(key, &guard).map(number))
            }
            Op::Load => Answer::of(self.load(key).as_deref().map(number)),
            Op::Store => {
                self.swap_prepared(key, prepare()?, flags)?;
                Answer::Done
            }
            Op::Swap => {
                let old = self.swap_prepared(key, prepare()?, flags)?;
                Answer::of(old.as_deref().map(number))
            }
            Op::LoadOrStore => match self.load_or_store_prepared(key, prepare()?, flags)? {
                LoadOrStore::Stored => Answer::Stored,
                LoadOrStore::Loaded(value, back) => {
                    check_eq!(number(back.get()), step.new);
                    Answer::Value(number(&value))
                }
            },
            Op::LoadAndDelete => Answer::of(self.load_and_delete(key).as_deref().map(number)),
            Op::Delete => Answer::Deleted(self.delete(key)),
            Op::DeleteIf => {
                let old = self.load_and_delete_with(key, |seen| seen.get() == old.bytes());
                Answer::of(old.as_deref().map(number))
            }
            Op::CompareAndSwap => {
                let equal = |seen: syncmap::value::Seen<'_, _>| seen.get() == old.bytes();
                match self.compare_and_swap_prepared(key, prepare()?, equal) {
                    Ok(old) => Answer::Value(number(&old)),
                    Err(back) => {
                        check_eq!(number(back.get()), step.new);
                        Answer::Refused
                    }
                }
            }
            Op::CompareAndDelete => {
                let old = self.compare_and_delete_with(key, |seen| seen.get() == old.bytes());
                Answer::of(old.as_deref().map(number))
            }
            Op::RangeRcu => {
                let mut pairs = (0, 0);
                self.range_rcu(|key, value| {
                    add_pair(&mut pairs, number(key), number(value.get()));
                    true
                });
                Answer::Pairs(pairs.0, pairs.1)
            }
            Op::Range | Op::Batches => {
                let mut pairs = (0, 0);
                self.range(|key, value| {
                    add_pair(&mut pairs, number(key), number(value));
                    true
                });
                Answer::Pairs(pairs.0, pairs.1)
            }
            Op::Len => Answer::Len(self.len()),
            Op::Clear => {
                self.clear(flags)?;
                Answer::Done
            }
            Op::Promote => {
                self.promote_now();
                Answer::Done
            }
            Op::Sweep => {
                self.sweep();
                Answer::Done
            }
        })
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The most simple-minded map there is, to compare results with.

use kernel::prelude::*;
use kernel::rbtree::RBTree;

use crate::program::{add_pair, Answer, Op, Step};

/// What a map with a mutex around it would be, without the mutex.
pub(crate) struct Model(RBTree<u64, u64>);

impl Model {
    pub(crate) fn new() -> Self {
        Model(RBTree::new())
    }

    fn value(&self, key: u64) -> Option<u64> {
        self.0.get(&key).copied()
    }

    fn put(&mut self, key: u64, value: u64) -> Result {
        self.0.try_create_and_insert(key, value, GFP_KERNEL)?;
        Ok(())
    }

    fn len(&self) -> usize {
        self.0.iter().count()
    }

    /// Runs a step, and says what a map must answer.
    pub(crate) fn run(&mut self, step: &Step) -> Result<Answer> {
        let now = self.value(step.key);
        Ok(match step.op {
            Op::Get | Op::Load => Answer::of(now),
            Op::Store => {
                self.put(step.key, step.new)?;
                Answer::Done
            }
            Op::Swap => {
                self.put(step.key, step.new)?;
                Answer::of(now)
            }
            Op::LoadOrStore => match now {
                Some(value) => Answer::Value(value),
                None => {
                    self.put(step.key, step.new)?;
                    Answer::Stored
                }
            },
            Op::LoadAndDelete => {
                self.0.remove(&step.key);
                Answer::of(now)
            }
            Op::Delete => {
                self.0.remove(&step.key);
                Answer::Deleted(now.is_some())
            }
            Op::CompareAndSwap => {
                if now != Some(step.old) {
                    return Ok(Answer::Refused);
                }
                self.put(step.key, step.new)?;
                Answer::of(now)
            }
            Op::CompareAndDelete | Op::DeleteIf => {
                if now != Some(step.old) {
                    return Ok(Answer::Absent);
                }
                self.0.remove(&step.key);
                Answer::of(now)
            }
            Op::Range | Op::RangeRcu | Op::Batches => {
                let mut pairs = (0, 0);
                for (key, value) in self.0.iter() {
                    add_pair(&mut pairs, *key, *value);
                }
                Answer::Pairs(pairs.0, pairs.1)
            }
            Op::Len => Answer::Len(self.len()),
            Op::Clear => {
                self.0 = RBTree::new();
                Answer::Done
            }
            Op::Promote | Op::Sweep => Answer::Done,
        })
    }
}

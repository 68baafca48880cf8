// SPDX-License-Identifier: GPL-2.0

//! Memory for a change of a table, allocated before locks are taken.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::{null_mut, NonNull};
use kernel::alloc::Flags;
use kernel::prelude::*;

use super::directory::{NodeBox, LEVELS};
use super::segment::{Head as SegmentHead, SegmentBox, Size};
use super::TableBox;
use crate::hash::Key;
use crate::quota::{Charge, Ledger};
use crate::reclaim::Link;

/// What a change of a table needs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Needs {
    /// The head of a table: a new dirty.
    pub(super) table: bool,
    /// Nodes, by their number of bits; at most one new one per level, and one level more.
    pub(super) nodes: [Option<u32>; LEVELS + 1],
    /// Large segments.
    pub(super) segments: usize,
    /// A small one.
    pub(super) small: bool,
}

/// What has been allocated for a change; what is left over is freed with it.
pub(crate) struct Supply<'m, K: Key> {
    table: Option<TableBox<'m, K>>,
    nodes: [Option<NodeBox<'m, K>>; LEVELS + 1],
    segments: SegmentList<'m, K>,
    small: Option<SegmentBox<'m, K>>,
}

impl<'m, K: Key> Supply<'m, K> {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            table: None,
            nodes: [const { None }; LEVELS + 1],
            segments: SegmentList::new(),
            small: None,
        }
    }

    /// A large segment, and nothing else.
    pub(crate) fn of_segment(segment: SegmentBox<'m, K>) -> Self {
        let mut supply = Self::new();
        supply.segments.push(segment);
        supply
    }

    /// Allocates what is missing. Sleeps if `flags` allow it.
    pub(crate) fn provide(
        &mut self,
        needs: &Needs,
        flags: Flags,
        charge: impl Fn(usize) -> Result<Charge<'m>>,
    ) -> Result {
        if needs.table && self.table.is_none() {
            self.table = Some(TableBox::allocate(flags, &charge)?);
        }
        // By place, not by size: a node that will not do makes room for one that will.
        for (node, bits) in self.nodes.iter_mut().zip(needs.nodes) {
            if let Some(bits) = bits.filter(|bits| !Self::fits(node, *bits)) {
                *node = Some(NodeBox::allocate(bits, flags, &charge)?);
            }
        }
        while self.segments.len() < needs.segments {
            self.segments.push(SegmentBox::large(flags, &charge)?);
        }
        if needs.small && self.small.is_none() {
            self.small = Some(SegmentBox::allocate(Size::Small, flags, &charge)?);
        }
        Ok(())
    }

    fn fits(node: &Option<NodeBox<'m, K>>, bits: u32) -> bool {
        node.as_ref().is_some_and(|node| node.bits() == bits)
    }

    /// Whether nothing is missing.
    pub(crate) fn covers(&self, needs: &Needs) -> bool {
        let mut nodes = self.nodes.iter().zip(needs.nodes);
        (self.table.is_some() || !needs.table)
            && (self.small.is_some() || !needs.small)
            && nodes.all(|(node, bits)| bits.is_none_or(|bits| Self::fits(node, bits)))
            && self.segments.len() >= needs.segments
    }

    /// The head of a table. Like the others to be called only if the needs were covered.
    pub(crate) fn take_table(&mut self) -> TableBox<'m, K> {
        taken(self.table.take())
    }

    pub(super) fn take_node(&mut self, bits: u32) -> NodeBox<'m, K> {
        let mut nodes = self.nodes.iter_mut();
        taken(nodes.find_map(|node| match Self::fits(node, bits) {
            true => node.take(),
            false => None,
        }))
    }

    pub(super) fn take_segment(&mut self, size: Size, generation: u64) -> SegmentBox<'m, K> {
        let mut segment = taken(match size {
            Size::Small => self.small.take(),
            Size::Large => self.segments.pop(),
        });
        segment.begin(generation);
        segment
    }
}

fn taken<T>(part: Option<T>) -> T {
    match part {
        Some(part) => part,
        // PANICS: Never: the needs were covered.
        None => unreachable!(),
    }
}

/// Empty, large segments that are kept for later, with their charges. Listed by their links.
pub(crate) struct SegmentStack<K: Key> {
    first: Cell<*mut Link>,
    len: Cell<usize>,
    _segments: PhantomData<fn() -> K>,
}

// SAFETY: Owns segments, which may be used by any thread.
unsafe impl<K: Key> Send for SegmentStack<K> {}

impl<K: Key> SegmentStack<K> {
    pub(crate) const fn new() -> Self {
        Self {
            first: Cell::new(null_mut()),
            len: Cell::new(0),
            _segments: PhantomData,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    pub(crate) fn push(&self, segment: SegmentBox<'_, K>) {
        let head = segment.into_raw();
        // SAFETY: The segment is ours, and valid.
        unsafe { head.as_ref() }.link.set(self.first.get());
        // A head begins with its link.
        self.first.set(head.as_ptr().cast());
        self.len.set(self.len.get() + 1);
    }

    /// Takes a segment, which is charged to `ledger`.
    ///
    /// # Safety
    ///
    /// All segments of the stack are charged to `ledger`.
    pub(crate) unsafe fn pop<'m>(&self, ledger: &'m Ledger) -> Option<SegmentBox<'m, K>> {
        let head = NonNull::new(self.first.get())?.cast::<SegmentHead>();
        // SAFETY: The segment is ours, and valid.
        self.first.set(unsafe { head.as_ref() }.link.get());
        self.len.set(self.len.get() - 1);
        // SAFETY: It was pushed, which took it from `into_raw`; by the contract of the function.
        Some(unsafe { SegmentBox::from_raw(head, ledger) })
    }
}

/// A [`SegmentStack`] whose segments are charged to one ledger, and freed with it.
pub(crate) struct SegmentList<'m, K: Key> {
    stack: SegmentStack<K>,
    ledger: Option<&'m Ledger>,
}

impl<'m, K: Key> SegmentList<'m, K> {
    pub(crate) const fn new() -> Self {
        Self {
            stack: SegmentStack::new(),
            ledger: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.stack.len()
    }

    /// Adds a segment; all must be charged to the same ledger.
    pub(crate) fn push(&mut self, segment: SegmentBox<'m, K>) {
        let ledger = self.ledger.get_or_insert(segment.ledger());
        debug_assert!(core::ptr::eq(*ledger, segment.ledger()));
        self.stack.push(segment);
    }

    pub(crate) fn pop(&mut self) -> Option<SegmentBox<'m, K>> {
        // SAFETY: See `push`: the segments of a map are charged to its one ledger.
        unsafe { self.stack.pop(self.ledger?) }
    }
}

impl<K: Key> Drop for SegmentList<'_, K> {
    fn drop(&mut self) {
        while let Some(segment) = self.pop() {
            drop(segment);
        }
    }
}

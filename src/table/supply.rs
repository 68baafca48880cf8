// SPDX-License-Identifier: GPL-2.0

//! Memory for a change of a table, allocated before the mutex is taken.

use kernel::alloc::Flags;
use kernel::prelude::*;

use super::directory::{NodeBox, LEVELS};
use super::segment::{SegmentBox, Size};
use super::TableBox;
use crate::hash::Key;
use crate::quota::Charge;

/// Segments that a change takes at most.
const SEGMENTS: usize = 2;

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
    segments: [Option<SegmentBox<'m, K>>; SEGMENTS],
    small: Option<SegmentBox<'m, K>>,
}

impl<'m, K: Key> Supply<'m, K> {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            table: None,
            nodes: [const { None }; LEVELS + 1],
            segments: [const { None }; SEGMENTS],
            small: None,
        }
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
        for segment in self.segments.iter_mut().take(needs.segments) {
            if segment.is_none() {
                *segment = Some(SegmentBox::allocate(Size::Large, flags, &charge)?);
            }
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
            && self.segments.iter().flatten().count() >= needs.segments
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
            Size::Large => self.segments.iter_mut().find_map(Option::take),
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

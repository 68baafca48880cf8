// SPDX-License-Identifier: GPL-2.0

//! The directory: a tree of nodes that leads from the first bits of a hash to a segment.
//!
//! A node decodes up to eight bits at a time, and refers to 2ⁿ further nodes or segments; in a map of
//! a million keys, there are two levels of nodes. A segment that is responsible for fewer bits than
//! its node decodes has several slots there, one next to the other. When a segment is split in two,
//! each half gets half of the slots; if there is only one, the node is first replaced by one of twice
//! the size, or, if it is of full size already, a new node takes the place of the slot. So no change
//! ever costs more than copying a node, however large the table.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use kernel::alloc::allocator::Kmalloc;
use kernel::alloc::{Allocator, Flags, NumaNode};
use kernel::prelude::*;
use kernel::sync::atomic::Atomic;
use kernel::sync::rcu::Guard;

use super::segment::{self, LockedSegment, Segment, Size};
use crate::atomic::{load_acquire, prefetch};
use crate::hash::Key;
use crate::quota::Charge;
use crate::rcu::Shared;
use crate::reclaim::{Kind, Link, Retired};

/// Bits that a node decodes at most: the largest has two kilobytes of pointers. The KUnit suites have
/// small nodes, so that a few thousand keys make a deep tree.
pub(super) const BITS_MAX: u32 = if cfg!(syncmap_small_nodes) { 2 } else { 8 };

/// Bits that are decoded at most: enough for a billion keys, and some are left for homes and tags.
pub(super) const DEPTH_MAX: u32 = 24;

/// Levels of nodes at most: all but the last one decode as many bits as they can.
pub(super) const LEVELS: usize = DEPTH_MAX.div_ceil(BITS_MAX) as usize;

/// A reference to a node, with the number of bits it decodes, or to a segment, with the number of
/// leading bits in which all its hashes agree.
///
/// A pointer, with a number in the six bits that its alignment leaves, so that a lookup shifts by it as it
/// is: for a segment the number of leading bits, which is less than 32, or [`Word::SMALL`]; for a node 64
/// less its bits, which is not.
pub(super) struct Word<K: Key>(*mut (), PhantomData<fn() -> K>);

impl<K: Key> Clone for Word<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Key> Copy for Word<K> {}

impl<K: Key> PartialEq for Word<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// What a word refers to.
pub(super) enum Target<K: Key> {
    Node(NodePtr<K>),
    Segment(NonNull<Segment<K>>, u32),
}

impl<K: Key> Word<K> {
    /// What is not the pointer.
    const LOW: usize = 63;
    /// Set for nodes only.
    const NODE: usize = 32;
    /// The segment is a small one; see [`segment::home`].
    const SMALL: u32 = 31;

    fn new<T>(ptr: NonNull<T>, low: u32) -> Self {
        const { assert!(align_of::<T>() > Self::LOW && DEPTH_MAX < Self::SMALL) };
        const { assert!(u64::BITS - BITS_MAX >= Self::NODE as u32) };
        let ptr = ptr.as_ptr().cast::<()>();
        Word(ptr.map_addr(|a| a | low as usize), PhantomData)
    }

    /// A reference to a segment; one that is small is for all hashes.
    pub(super) fn segment(segment: NonNull<Segment<K>>, shift: u32) -> Self {
        // SAFETY: The caller has it from where it is published, or publishes it.
        let low = match unsafe { segment.as_ref() }.size() {
            Size::Small => Self::SMALL,
            Size::Large => shift,
        };
        Self::new(segment.cast::<segment::Head>(), low)
    }

    pub(super) fn node(node: NodePtr<K>) -> Self {
        Self::new(node.0, u64::BITS - node.bits())
    }

    pub(super) fn into_raw(self) -> *mut () {
        self.0
    }

    /// # Safety
    ///
    /// `raw` comes from [`Word::into_raw`].
    pub(super) unsafe fn from_raw(raw: *mut ()) -> Self {
        Word(raw, PhantomData)
    }

    #[inline]
    fn is_node(self) -> bool {
        self.0.addr() & Self::NODE != 0
    }

    #[inline]
    pub(super) fn target(self) -> Target<K> {
        if self.is_node() {
            return Target::Node(NodePtr(self.ptr().cast(), PhantomData));
        }
        let (segment, shift) = self.segment_there();
        Target::Segment(segment, shift)
    }

    /// The word of the segment that is responsible for a hash, in the tree that this is the root of.
    ///
    /// # Safety
    ///
    /// The tree is published, and nodes that could be reached when the caller began are not freed.
    #[inline(always)]
    pub(super) unsafe fn find(self, hash: u32) -> Self {
        let (mut word, mut rest) = (self, u64::from(hash) << u32::BITS);
        while word.is_node() {
            // Both by the lowest six bits.
            let shift = word.0.addr() as u32;
            let index = rest.wrapping_shr(shift) as usize;
            rest = rest.wrapping_shl(shift.wrapping_neg());
            // SAFETY: By the contract of the function; a node has a slot for each value of its bits.
            // Acquire: pairs with the Release of whoever stored the word, so that what it leads to can
            // be seen (litmus: directory, copied-node).
            unsafe {
                let node = NodePtr::<K>(word.ptr().cast(), PhantomData);
                word = Word::from_raw(load_acquire(node.slot(index)));
            }
        }
        word
    }

    /// What the word of a segment leads to, and where in it a hash has its home; without a look at how
    /// large it is.
    #[inline(always)]
    pub(super) fn home(self, hash: u32) -> (NonNull<segment::Head>, usize) {
        (self.ptr().cast(), segment::home(hash, self.0.addr() as u32))
    }

    /// The segment that this leads to, and by how much hashes are shifted there. The word is not that of a
    /// node.
    #[inline]
    pub(super) fn segment_there(self) -> (NonNull<Segment<K>>, u32) {
        let head = self.ptr().cast();
        match (self.0.addr() & Self::LOW) as u32 {
            Self::SMALL => (segment::with_head(head, Size::Small), 0),
            shift => (segment::with_head(head, Size::Large), shift),
        }
    }

    /// Announces a change of the segment that this leads to.
    #[inline(always)]
    pub(super) fn prefetch(self) {
        prefetch(self.ptr().as_ptr());
    }

    #[inline(always)]
    fn ptr(self) -> NonNull<()> {
        // Exposed, as the compiler makes two instructions more of `map_addr`.
        let addr = self.0.expose_provenance() & !Self::LOW;
        // SAFETY: Words are made of pointers that are not null.
        unsafe { NonNull::new_unchecked(core::ptr::with_exposed_provenance_mut(addr)) }
    }
}

/// The first `bits` bits, of which there is at least one.
#[inline]
fn top_bits(hash: u32, bits: u32) -> usize {
    hash.wrapping_shr(bits.wrapping_neg()) as usize
}

/// A node of the directory, without its slots, which follow it.
#[repr(C, align(64))]
pub struct Node {
    // First: retired nodes are found by the address of their link.
    link: Link,
    /// The generation of the table that it was made for; see [`Segment`].
    generation: u64,
    bits: u32,
}

impl Node {
    fn layout(bits: u32) -> Layout {
        let slots = size_of::<*mut ()>() << bits;
        let size = (size_of::<Node>() + slots).next_multiple_of(align_of::<Node>());
        // SAFETY: The alignment is that of a type, and the size a multiple of it and a few pages.
        unsafe { Layout::from_size_align_unchecked(size, align_of::<Node>()) }
    }
}

/// A pointer to a node and its slots.
pub(super) struct NodePtr<K: Key>(NonNull<Node>, PhantomData<fn() -> K>);

impl<K: Key> Clone for NodePtr<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Key> Copy for NodePtr<K> {}

impl<K: Key> NodePtr<K> {
    pub(super) fn bits(self) -> u32 {
        // SAFETY: Nodes are initialised before they are pointed to, and pointers to nodes are not
        // kept beyond their lifetime (see `Word::find` and `Path`).
        unsafe { (*self.0.as_ptr()).bits }
    }

    pub(super) fn generation(self) -> u64 {
        // SAFETY: As in `bits`.
        unsafe { (*self.0.as_ptr()).generation }
    }

    pub(super) fn bytes(self) -> usize {
        Node::layout(self.bits()).size()
    }

    /// # Safety
    ///
    /// The node is valid for `'t`; `index` is less than 2 to the power of its bits.
    #[inline]
    pub(super) unsafe fn slot<'t>(self, index: usize) -> &'t Atomic<*mut ()> {
        // SAFETY: By the contract of the function; see `layout`.
        unsafe { self.0.add(1).cast::<Atomic<*mut ()>>().add(index).as_ref() }
    }

    /// The word in a slot.
    ///
    /// # Safety
    ///
    /// As for [`NodePtr::slot`].
    pub(super) unsafe fn word(self, index: usize) -> Word<K> {
        // SAFETY: By the contract of the function; slots hold words. Acquire: as in `Word::find`.
        unsafe { Word::from_raw(load_acquire(self.slot(index))) }
    }

    /// The right to free a node after a grace period.
    ///
    /// # Safety
    ///
    /// No published pointer leads to the node (I11), nor has it been retired before (I6).
    pub(super) unsafe fn retired(self) -> Retired {
        // SAFETY: By the contract of the function; a node begins with a link.
        unsafe { Retired::new(Kind::Node, self.0) }
    }

    /// Frees a node; returns its bytes.
    ///
    /// # Safety
    ///
    /// The caller owns the node.
    pub(super) unsafe fn free(self) -> usize {
        // SAFETY: By the contract of the function.
        unsafe { free(self.0) }
    }
}

/// Frees a node; returns its bytes.
///
/// # Safety
///
/// The caller owns the node.
pub(crate) unsafe fn free(node: NonNull<Node>) -> usize {
    // SAFETY: By the contract of the function; nodes come from `NodeBox::allocate`.
    unsafe {
        let layout = Node::layout(node.as_ref().bits);
        Kmalloc::free(node.cast(), layout);
        layout.size()
    }
}

/// A node that nobody else can see yet, with its charge.
pub(crate) struct NodeBox<'m, K: Key> {
    node: NodePtr<K>,
    charge: ManuallyDrop<Charge<'m>>,
}

impl<'m, K: Key> NodeBox<'m, K> {
    /// Allocates a node. Sleeps if `flags` allow it.
    pub(super) fn allocate(
        bits: u32,
        flags: Flags,
        charge: impl FnOnce(usize) -> Result<Charge<'m>>,
    ) -> Result<Self> {
        let layout = Node::layout(bits);
        let charge = charge(layout.size())?;
        let node = Kmalloc::alloc(layout, flags, NumaNode::NO_NODE)?.cast::<Node>();
        // SAFETY: The memory is ours, large enough, and aligned.
        unsafe {
            node.write(Node {
                link: Link::new(),
                generation: 0,
                bits,
            });
        }
        Ok(Self {
            node: NodePtr(node, PhantomData),
            charge: ManuallyDrop::new(charge),
        })
    }

    pub(super) fn bits(&self) -> u32 {
        self.node.bits()
    }

    /// Fills the slots with what `word` says for each, and gives the node and its charge to the
    /// caller.
    pub(super) fn publish(self, generation: u64, word: impl Fn(usize) -> Word<K>) -> NodePtr<K> {
        let mut this = ManuallyDrop::new(self);
        let node = this.node;
        // SAFETY: The node is ours; each slot is written once, before anybody can read it. The charge
        // is taken once, `this` is not dropped.
        unsafe {
            (*node.0.as_ptr()).generation = generation;
            for i in 0..1 << node.bits() {
                let slot = node.0.add(1).cast::<Atomic<*mut ()>>().add(i);
                slot.write(Atomic::new(word(i).into_raw()));
            }
            ManuallyDrop::take(&mut this.charge).keep();
        }
        node
    }
}

impl<K: Key> Drop for NodeBox<'_, K> {
    fn drop(&mut self) {
        // SAFETY: The node is ours, and not used any more, nor is the charge.
        unsafe {
            self.node.free();
            ManuallyDrop::drop(&mut self.charge);
        }
    }
}

/// Where a path turns: a node, and the index of the slot that is taken there.
pub(super) struct Step<K: Key> {
    pub(super) node: NodePtr<K>,
    pub(super) index: usize,
}

impl<K: Key> Clone for Step<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Key> Copy for Step<K> {}

/// The way from the root to the segment of a hash.
pub(crate) struct Path<K: Key> {
    steps: [Option<Step<K>>; LEVELS],
    len: usize,
    /// The segment at the end.
    pub(super) segment: NonNull<Segment<K>>,
    /// Leading bits in which all hashes of the segment agree; by this much, hashes are shifted to
    /// find a home in it.
    pub(super) shift: u32,
    /// Leading bits that lead to the segment: once measured, the same, unless it is a chain from
    /// which others have been parted since.
    pub(super) depth: u32,
    /// The slots of the last node that lead to the segment: the first one, and how many.
    pub(super) first: usize,
    pub(super) count: usize,
}

impl<K: Key> Path<K> {
    /// Follows a hash from `root`.
    ///
    /// # Safety
    ///
    /// As for [`Word::find`], for as long as the path is used.
    pub(super) unsafe fn new(root: Word<K>, hash: u32) -> Self {
        let (mut word, mut depth) = (root, 0);
        let (mut steps, mut len) = ([None; LEVELS], 0);
        loop {
            match word.target() {
                Target::Segment(segment, shift) => {
                    return Path {
                        steps,
                        len,
                        segment,
                        shift,
                        depth,
                        first: 0,
                        count: 1,
                    }
                }
                Target::Node(node) => {
                    let bits = node.bits();
                    let index = top_bits(hash.wrapping_shl(depth), bits);
                    if let Some(step) = steps.get_mut(len) {
                        *step = Some(Step { node, index });
                        len += 1;
                    }
                    depth += bits;
                    // SAFETY: By the contract of the function; acquire as in `Word::find`.
                    word = unsafe { Word::from_raw(load_acquire(node.slot(index))) };
                }
            }
        }
    }

    /// Finds out how many slots lead to the segment.
    pub(super) fn measure(&mut self) {
        let Some(Step { node, index }) = self.last() else {
            return;
        };
        self.count = 1;
        while self.count < 1 << node.bits() {
            let count = 2 * self.count;
            let first = index & !(count - 1);
            // SAFETY: The node is valid as long as the path is used. What a reader concludes is no
            // more than that each of these slots held the word a moment ago.
            let mut around = (first..first + count).map(|i| unsafe { node.word(i) });
            if !around.all(|word| word == self.word()) {
                break;
            }
            self.count = count;
            self.depth -= 1;
        }
        self.first = index & !(self.count - 1);
    }

    /// The last step, unless the root is the segment.
    pub(super) fn last(&self) -> Option<Step<K>> {
        self.step(self.len.checked_sub(1)?)
    }

    /// The number of steps.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn step(&self, level: usize) -> Option<Step<K>> {
        *self.steps.get(level)?
    }

    /// The segment, for as long as it is protected.
    pub(super) fn segment<'p>(&self, _guard: &'p Guard) -> Shared<'p, Segment<K>> {
        // SAFETY: Published when the path was made, and not freed while protected (I5, I11).
        unsafe { Shared::new(self.segment) }
    }

    /// Locks the segment; `second` if the caller has locked the map, and another segment.
    pub(super) fn lock<'p>(&self, guard: &'p Guard, second: bool) -> LockedSegment<'p, K> {
        LockedSegment::new(self.segment(guard), self.shift, second)
    }

    /// The word that leads to the segment.
    pub(super) fn word(&self) -> Word<K> {
        Word::segment(self.segment, self.shift)
    }

    /// The first hash behind those that lead to the segment, unless they are the last.
    pub(super) fn end(&self, hash: u32) -> Option<u32> {
        if self.depth == 0 {
            return None;
        }
        let unit = 1 << (u32::BITS - self.depth);
        (hash & !(unit - 1)).checked_add(unit)
    }

    /// A hash that differs from this one in the last of the bits that lead here.
    pub(super) fn buddy(&self, hash: u32) -> Option<u32> {
        let last = self.depth.checked_sub(1)?;
        Some(hash ^ 1 << (u32::BITS - 1) >> last)
    }

    /// The nodes that replacing the segment's slots takes, or splitting them, by their number of
    /// bits: one for each that is not private, and larger or further ones.
    pub(super) fn nodes(&self, splits: bool, is_private: impl Fn(u64) -> bool) -> NodeBits {
        let mut nodes = NodeBits::default();
        let mut levels = nodes.iter_mut();
        for step in self.steps.iter().flatten() {
            let Some(bits) = levels.next() else {
                return nodes;
            };
            *bits = (!is_private(step.node.generation())).then_some(step.node.bits());
            let is_last = self.last().is_some_and(|last| last.node.0 == step.node.0);
            if is_last && splits && self.count == 1 && step.node.bits() < BITS_MAX {
                *bits = Some(step.node.bits() + 1);
                return nodes;
            }
        }
        if splits && self.count == 1 {
            if let Some(bits) = levels.next() {
                *bits = Some(1);
            }
        }
        nodes
    }

    /// If the segment and its neighbour were merged, the bits of a node that would do instead of the
    /// last one; zero if none is needed.
    pub(super) fn narrower(&self) -> Option<u32> {
        let last = self.last().filter(|_| self.count == 1)?;
        // SAFETY: As in `measure`.
        let word = |i| unsafe { last.node.word(i) };
        let mut pairs = (0..1 << (last.node.bits() - 1)).filter(|pair| *pair != last.index / 2);
        pairs
            .all(|pair| word(2 * pair) == word(2 * pair + 1))
            .then_some(last.node.bits() - 1)
    }

    /// Just one node.
    pub(super) fn just(bits: u32) -> NodeBits {
        let mut nodes = NodeBits::default();
        nodes[0] = Some(bits).filter(|bits| *bits > 0);
        nodes
    }
}

/// The bits of the nodes that are needed: at most one per level, and one more.
pub(super) type NodeBits = [Option<u32>; LEVELS + 1];

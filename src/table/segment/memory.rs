// SPDX-License-Identifier: GPL-2.0

//! The memory of a segment, from its allocation to its end.

use core::ptr::{null_mut, NonNull};
use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::atomic::Atomic;
use kernel::sync::rcu::Guard;

use super::{with_head, Bucket, Head, Segment, Size, CACHE_LINE, SLOTS};
use crate::atomic::read_once;
use crate::entry::Entry;
use crate::gfp::into_c;
use crate::hash::Key;
use crate::helpers::syncmap_helper_kmalloc;
use crate::quota::{Charge, Ledger};
use crate::rcu::Shared;
use crate::reclaim::{Kind, Link, Retired};
use crate::table::tags;

/// A segment that nobody else can see yet, with its charge.
pub(crate) struct SegmentBox<'m, K: Key> {
    segment: KBox<Segment<K>>,
    charge: Charge<'m>,
}

impl<'m, K: Key> SegmentBox<'m, K> {
    /// Allocates an empty, large segment. Sleeps if `flags` allow it.
    pub(crate) fn large(
        flags: Flags,
        charge: impl FnOnce(usize) -> Result<Charge<'m>>,
    ) -> Result<Self> {
        Self::allocate(Size::Large, flags, charge)
    }

    /// Allocates an empty segment. Sleeps if `flags` allow it.
    pub(in crate::table) fn allocate(
        size: Size,
        flags: Flags,
        charge: impl FnOnce(usize) -> Result<Charge<'m>>,
    ) -> Result<Self> {
        const { assert!(size_of::<Bucket<K>>() == CACHE_LINE) };
        const { assert!(Size::Large.bytes() == 1024 && Size::Small.bytes() == 128) };
        let charge = charge(size.bytes())?;
        // SAFETY: Always safe to call with a size that is not zero.
        let memory = unsafe { syncmap_helper_kmalloc(size.bytes(), into_c(flags | __GFP_ZERO)) };
        let head = NonNull::new(memory.cast::<Head>()).ok_or(ENOMEM)?;
        // SAFETY: The memory is ours, large enough, and aligned to its size, which is a power of two;
        // zeroes are a head, and buckets, of an empty segment: null links, no tags, null pointers. A
        // `KBox` is freed by `kfree()`.
        let segment = unsafe {
            (&raw mut (*head.as_ptr()).size).write(size);
            KBox::from_raw(with_head(head, size).as_ptr())
        };
        Ok(Self { segment, charge })
    }

    /// The generation of the table that it is for.
    pub(in crate::table) fn generation(&self) -> u64 {
        self.segment.generation()
    }

    /// What it is charged to.
    pub(in crate::table) fn ledger(&self) -> &'m Ledger {
        self.charge.ledger()
    }

    /// Makes it a segment of that generation.
    pub(in crate::table) fn begin(&mut self, generation: u64) {
        self.segment.head.generation = generation;
    }

    /// Whether another entry is to go elsewhere.
    pub(in crate::table) fn is_full(&self) -> bool {
        self.segment.is_full()
    }

    /// Puts it in front of another segment, or chain; `mixed` if the hashes can be told apart.
    pub(in crate::table) fn chain(&mut self, next: NonNull<Segment<K>>, mixed: bool) {
        self.segment.head.mixed = Atomic::new(mixed);
        self.segment.head.next = Atomic::new(next.as_ptr().cast());
        for bucket in self.segment.buckets.iter_mut() {
            bucket.tags = Atomic::new(tags::CHAIN);
        }
    }

    /// Links an entry, for which there is a slot.
    ///
    /// What [`Segment::insert`] does where others look on, by plain accesses.
    #[inline(always)]
    pub(in crate::table) fn insert(&mut self, entry: Shared<'_, Entry<K>>, hash: u32, shift: u32) {
        let segment = &mut *self.segment;
        let home = segment.home(hash, shift);
        *segment.head.used.get_mut() += 1;
        let bucket = segment.buckets.get_mut(home);
        if !bucket.is_some_and(|bucket| bucket.insert_unshared(entry, hash)) {
            self.insert_further(entry, hash, home);
        }
    }

    #[inline(never)]
    fn insert_further(&mut self, entry: Shared<'_, Entry<K>>, hash: u32, home: usize) {
        let (before, after) = self.segment.buckets.split_at_mut(home + 1);
        let mut further = Iterator::chain(after.iter_mut(), before.iter_mut());
        let inserted = further.any(|bucket| bucket.insert_unshared(entry, hash));
        debug_assert!(inserted, "a full segment");
    }

    /// Makes it a copy of another segment of its size, without the entries that `keep` does not want;
    /// the number of those.
    pub(in crate::table) fn copy(
        &mut self,
        from: &Segment<K>,
        mut keep: impl FnMut(Shared<'_, Entry<K>>) -> bool,
        _guard: &Guard,
    ) -> usize {
        let to = &mut *self.segment;
        to.head.next = Atomic::new(read_once(&from.head.next));
        to.head.mixed = Atomic::new(from.is_mixed());
        let (mut used, mut dropped) = (0, 0);
        for (to, from) in to.buckets.iter_mut().zip(&from.buckets) {
            let mut word = read_once(&from.tags);
            for (i, (to, from)) in to.slots.iter_mut().zip(&from.slots).enumerate() {
                let Some(entry) = NonNull::new(read_once(from)) else {
                    continue;
                };
                // SAFETY: In a published segment, and not freed before the section ends (I5, I11).
                if keep(unsafe { Shared::new(entry) }) {
                    *to = Atomic::new(entry.as_ptr());
                    used += 1;
                } else {
                    word = tags::clear(word, i);
                    dropped += 1;
                }
            }
            to.tags = Atomic::new(word);
        }
        to.head.used = Atomic::new(used);
        dropped
    }

    /// Gives an empty, large segment and its charge to the caller, who keeps it for later.
    pub(crate) fn into_raw(self) -> NonNull<Head> {
        self.publish().cast()
    }

    /// Takes back what [`SegmentBox::into_raw`] gave.
    ///
    /// # Safety
    ///
    /// `head` comes from `into_raw`, and is the caller's; it is charged to `ledger`.
    pub(crate) unsafe fn from_raw(head: NonNull<Head>, ledger: &'m Ledger) -> Self {
        // SAFETY: By the contract of the function; segments come from a `KBox`. Its link may have been
        // used for a list.
        let segment = unsafe {
            head.as_ref().link.set(null_mut());
            KBox::from_raw(with_head(head, Size::Large).as_ptr())
        };
        Self {
            segment,
            charge: ledger.adopt(Size::Large.bytes()),
        }
    }

    /// Gives the segment and its charge to the caller.
    pub(in crate::table) fn publish(self) -> NonNull<Segment<K>> {
        self.charge.keep();
        NonNull::from(KBox::leak(self.segment))
    }
}

impl<K: Key> Bucket<K> {
    /// What [`Bucket::insert`] does where others look on.
    #[inline(always)]
    fn insert_unshared(&mut self, entry: Shared<'_, Entry<K>>, hash: u32) -> bool {
        let word = *self.tags.get_mut();
        let place = tags::first_free(word).and_then(|i| Some((i, self.slots.get_mut(i)?)));
        let Some((i, slot)) = place else {
            self.tags = Atomic::new(word | tags::MORE);
            return false;
        };
        *slot = Atomic::new(entry.as_ptr().as_ptr());
        self.tags = Atomic::new(tags::put(word, i, tags::of(hash)));
        true
    }
}

/// The right to free a segment after a grace period.
///
/// # Safety
///
/// No published pointer leads to the segment (I11), nor has it been retired before (I6).
pub(in crate::table) unsafe fn retired<K: Key>(segment: NonNull<Segment<K>>) -> Retired {
    // SAFETY: By the contract of the function; a head begins with a link.
    unsafe { Retired::new(Kind::Segment, segment.cast::<Head>()) }
}

/// Makes a segment empty, as when it was new.
///
/// # Safety
///
/// The caller owns the segment.
pub(in crate::table) unsafe fn reset<K: Key>(mut segment: NonNull<Segment<K>>) {
    // SAFETY: By the contract of the function.
    let segment = unsafe { segment.as_mut() };
    segment.head.link = Link::new();
    segment.head.generation = 0;
    segment.head.next = Atomic::new(null_mut());
    segment.head.used = Atomic::new(0);
    segment.head.mixed = Atomic::new(false);
    segment.head.frozen = Atomic::new(false);
    for bucket in &mut segment.buckets {
        bucket.tags = Atomic::new(0);
        bucket.slots = [const { Atomic::new(null_mut()) }; SLOTS];
    }
}

/// Frees a segment; returns its bytes.
///
/// # Safety
///
/// The caller owns the segment, which was published once.
pub(crate) unsafe fn free<K: Key>(head: NonNull<Head>) -> usize {
    // SAFETY: By the contract of the function; segments come from a `KBox`.
    unsafe {
        let size = head.as_ref().size;
        drop(KBox::from_raw(with_head::<K>(head, size).as_ptr()));
        size.bytes()
    }
}

// SPDX-License-Identifier: GPL-2.0

//! How a table changes its shape: what makes room for a new entry, and what gives room back.
//!
//! One change at a time, each as large as a segment or two and the nodes that lead to them, and each
//! complete in itself: at every instant, every slot of the directory leads to a segment that has all
//! the entries for it. The lock of the map is held, and that of each segment that is changed or
//! replaced: from the moment when it is found what is to be done until it is done.

use kernel::sync::rcu::Guard;

use super::directory::{NodePtr, Path, Word, BITS_MAX, DEPTH_MAX};
use super::segment::{self, LockedSegment, Segment, SegmentBox, Size, FEW, FULL, SLOTS, SPARSE};
use super::supply::{Needs, Supply};
use super::Table;
use crate::atomic::store_release;
use crate::entry::{Entry, State};
use crate::hash::Key;
use crate::rcu::Shared;
use crate::reclaim::Retired;

/// Entries that two segments may have together to be merged: as many as one may have without being
/// full, so that a table that has shrunk is as large as one that has grown to the same keys.
const MERGE: usize = FULL - 1;

/// Entries with which a segment is not rebuilt but split.
const REBUILD: usize = FULL * 3 / 4;

/// What is to be done before another entry has a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The segment is shared with read: replace it by a copy.
    Copy,
    /// The segment is full, and small: replace it by a large one.
    Grow,
    /// The segment is full, but of deleted keys: replace it by one without them.
    Rebuild,
    /// The segment is full: replace it by two.
    Split,
    /// The segment is full of hashes that no split would separate: put another in front of it.
    Chain,
    /// The segment has no slot left, and there is memory for one segment only: put that in front of it.
    Overflow,
    /// The hash differs from those of a chain in a bit that can lead to a segment: give it one of
    /// its own, next to it.
    Part,
}

/// A change of a table, with the segment locked that it is about.
pub(crate) struct Change<'p, K: Key> {
    kind: Kind,
    path: Path<K>,
    needs: Needs,
    segment: LockedSegment<'p, K>,
}

/// What is to be done next before another entry has a place.
pub(crate) enum Next<'p, K: Key> {
    /// The segment has room for it.
    Room(LockedSegment<'p, K>),
    /// This, first.
    Change(Change<'p, K>),
}

impl<K: Key> Change<'_, K> {
    /// What must have been allocated for it.
    pub(crate) fn needs(&self) -> &Needs {
        &self.needs
    }
}

/// What changes a table: the holder of the map's lock, in a read-side section.
pub(crate) trait Editor<K: Key> {
    /// The section.
    fn guard(&self) -> &Guard;

    /// Whether all of the table is its own, and nothing shared with another one.
    fn is_alone(&self) -> bool;

    /// Whether deleted entries are left out when a segment is copied.
    fn expunges(&self) -> bool;

    /// Whether a large segment may be replaced by a small one.
    fn may_be_small(&self) -> bool;

    /// Whether an entry goes into the copy of its segment. If not, it is not in the table any more.
    fn keep(&self, entry: Shared<'_, Entry<K>>) -> bool;

    /// A part of the table has been replaced: if `shared`, another table still has it.
    fn replaced(&self, part: Retired, bytes: usize, shared: bool);
}

impl<K: Key> Table<K> {
    fn is_private(&self, generation: u64, editor: &impl Editor<K>) -> bool {
        editor.is_alone() || generation == self.generation()
    }

    /// Locks the segment of a hash, and finds out what is to be done next before an entry of this hash
    /// can be inserted there.
    pub(crate) fn next_change<'p>(&self, hash: u32, editor: &'p impl Editor<K>) -> Next<'p, K> {
        let mut path = self.path(hash, editor.guard());
        let locked = path.lock(editor.guard(), false);
        // I12: The caller has this table as dirty.
        debug_assert!(!locked.is_frozen());
        if self.takes_more(&locked, editor.is_alone()) {
            return Next::Room(locked);
        }
        path.measure();
        let segment = locked.segment();
        let private = self.is_private(segment.generation(), editor);
        let mut kind = None;
        if segment.is_mixed() {
            match self.relief(&path, hash, editor) {
                // Not mixed any more, but a chain for good.
                Kind::Chain => segment.unmix(),
                relief => kind = Some(relief),
            }
        }
        let kind = kind.unwrap_or_else(|| {
            if segment.is_chain() && self.is_apart(&path, hash, editor) {
                Kind::Part
            } else if !segment.is_full() {
                Kind::Copy
            } else if segment.size() == Size::Small {
                Kind::Grow
            } else if segment.is_chain() {
                Kind::Chain
            } else {
                self.relief(&path, hash, editor)
            }
        });
        match kind {
            // A chain with room.
            Kind::Copy if private => Next::Room(locked),
            kind => Next::Change(self.change(kind, path, locked, editor)),
        }
    }

    /// What relieves a full segment.
    fn relief(&self, path: &Path<K>, hash: u32, editor: &impl Editor<K>) -> Kind {
        // Only in all bits that can lead to a segment: which keys agree in a few bits is no secret to
        // who can walk the map, and a chain is not taken apart again.
        let equal = |differ: u32| differ.leading_zeros() >= DEPTH_MAX;
        let segment = path.segment(editor.guard());
        segment.prefetch_entries();
        let mut differences = segment.get().entries().map(|e| e.hash() ^ hash);
        let expunges = editor.expunges();
        if !expunges && segment.used() >= REBUILD {
            return match differences.any(|differs| !equal(differs)) {
                true => Kind::Split,
                false => Kind::Chain,
            };
        }
        // Bits in which hashes differ from this one: those of all entries, and of those that a new
        // segment would get.
        let (mut all, mut kept, mut differ) = (0, 0, 0);
        for entry in segment.get().entries() {
            all |= entry.hash() ^ hash;
            if !expunges || entry.state() != State::Deleted {
                kept += 1;
                differ |= entry.hash() ^ hash;
            }
        }
        if kept < REBUILD || equal(differ) && !equal(all) {
            // No chain is made with strays in it: nothing could be parted from it any more.
            Kind::Rebuild
        } else if equal(differ) {
            Kind::Chain
        } else {
            Kind::Split
        }
    }

    /// Whether a new entry of this hash would join a chain that has the entries of so many buckets,
    /// or more.
    pub(crate) fn is_crowded(&self, hash: u32, buckets: usize, editor: &impl Editor<K>) -> bool {
        let mut path = self.path(hash, editor.guard());
        let segment = path.segment(editor.guard());
        let limit = buckets.saturating_mul(SLOTS);
        let agrees = |e: &Shared<'_, Entry<K>>| agree(e.hash(), hash);
        let (Some(last), true) = (limit.checked_sub(1), segment.is_chain()) else {
            return false;
        };
        if segment.is_mixed() {
            return segment.entries().filter(agrees).nth(last).is_some();
        }
        if segment.entries().nth(last).is_none() {
            return false;
        }
        path.measure();
        !self.is_apart(&path, hash, editor)
    }

    /// Whether a hash can be told from those of a chain, all of which agree in what a table looks at.
    ///
    /// However long it agrees with them: each bit costs a segment, but as these remain, a chain costs
    /// no more of them than there are bits.
    fn is_apart(&self, path: &Path<K>, hash: u32, editor: &impl Editor<K>) -> bool {
        let first = path.segment(editor.guard()).get().entries().next();
        first.is_some_and(|e| !agree(e.hash(), hash))
    }

    /// What copying the segment of a hash will need in a new dirty, in which all is shared.
    pub(crate) fn needs_of_dirty(&self, hash: u32, editor: &impl Editor<K>) -> Needs {
        let mut path = self.path(hash, editor.guard());
        path.measure();
        let segment = path.segment(editor.guard());
        let small = segment.size() == Size::Small && !segment.is_full();
        Needs {
            table: true,
            segments: usize::from(!small),
            small,
            nodes: path.nodes(false, |_| false),
        }
    }

    fn change<'p>(
        &self,
        kind: Kind,
        path: Path<K>,
        locked: LockedSegment<'p, K>,
        editor: &impl Editor<K>,
    ) -> Change<'p, K> {
        let splits = matches!(kind, Kind::Split | Kind::Part);
        let segment = locked.segment();
        let small = kind == Kind::Copy && segment.size() == Size::Small;
        // All entries may go to the same half, and no segment is filled beyond `FULL`.
        let more = match kind {
            Kind::Split | Kind::Rebuild if segment.is_strained() => {
                segment.entries().count().div_ceil(FULL).saturating_sub(1)
            }
            _ => 0,
        };
        let segments = usize::from(!small) + usize::from(kind == Kind::Split) + more;
        let needs = Needs {
            table: false,
            segments,
            small,
            nodes: path.nodes(splits, |generation| self.is_private(generation, editor)),
        };
        Change {
            kind,
            path,
            needs,
            segment: locked,
        }
    }

    /// Makes a change, for which `supply` has what it needs, and since which was found nothing else
    /// has been changed in this table but the contents of other segments.
    pub(crate) fn make(
        &self,
        change: Change<'_, K>,
        hash: u32,
        supply: &mut Supply<'_, K>,
        editor: &impl Editor<K>,
    ) {
        let Change {
            kind,
            path,
            segment: locked,
            ..
        } = change;
        let old = locked.segment();
        let (shift, depth) = (path.shift, path.depth);
        let size = match kind {
            Kind::Copy => old.size(),
            _ => Size::Large,
        };
        let mut fresh = supply.take_segment(size, self.generation());
        let shared = !self.is_private(old.generation(), editor);
        // What is deleted from now on is kept.
        let expunges = editor.expunges();
        let keep = |entry: Shared<'_, Entry<K>>| !expunges || editor.keep(entry);
        let edit = match kind {
            Kind::Copy => {
                fresh.copy(&old, keep, editor.guard());
                Edit::One(Word::segment(fresh.publish(), shift))
            }
            Kind::Grow => {
                // As a copy; what is private has been copied before.
                old.for_each_entry(|entry| {
                    if !shared || keep(entry) {
                        fresh.insert(entry, entry.hash(), depth);
                    }
                });
                Edit::One(Word::segment(fresh.publish(), depth))
            }
            Kind::Rebuild => {
                let before = old.chain_len();
                let mut fresh = Pile::new(fresh);
                old.for_each_entry(|entry| {
                    if keep(entry) {
                        fresh.add(entry, entry.hash(), depth, supply);
                    }
                });
                self.add_segments(fresh.segments as isize - before as isize);
                Edit::One(Word::segment(fresh.front.publish(), depth))
            }
            Kind::Split => {
                let before = old.chain_len();
                let right = supply.take_segment(Size::Large, self.generation());
                let mut halves = [Pile::new(fresh), Pile::new(right)];
                old.for_each_entry(|entry| {
                    if keep(entry) {
                        let hash = entry.hash();
                        // PANICS: Never: there are two of them.
                        let half = &mut halves[usize::from(is_right(hash, depth))];
                        half.add(entry, hash, depth + 1, supply);
                    }
                });
                let [left, right] = halves;
                self.add_segments((left.segments + right.segments) as isize - before as isize);
                let half = |half: Pile<'_, K>| Word::segment(half.front.publish(), depth + 1);
                Edit::Two(half(left), half(right))
            }
            Kind::Chain | Kind::Overflow => {
                fresh.chain(path.segment, kind == Kind::Overflow);
                self.add_segments(1);
                Edit::One(Word::segment(fresh.publish(), shift))
            }
            Kind::Part => {
                self.add_segments(1);
                let fresh = Word::segment(fresh.publish(), depth + 1);
                let first = old.entries().next();
                match first.is_some_and(|e| is_right(e.hash(), depth)) {
                    false => Edit::Two(path.word(), fresh),
                    true => Edit::Two(fresh, path.word()),
                }
            }
        };
        self.apply(&path, edit, supply, editor);
        if kind != Kind::Part {
            // I12: What has taken its place is published (litmus: frozen).
            locked.freeze();
        }
        if !matches!(kind, Kind::Chain | Kind::Overflow | Kind::Part) {
            self.replaced_segments(&old, editor);
        }
        debug_assert!(self.path(hash, editor.guard()).depth >= depth);
    }

    /// Retires a segment that was replaced, and the rest of its chain, if that is mixed: then all of
    /// it was replaced.
    fn replaced_segments(&self, first: &Shared<'_, Segment<K>>, editor: &impl Editor<K>) {
        let rest = first.get().next().filter(|_| first.is_mixed());
        for segment in core::iter::successors(rest, |segment| segment.get().next()) {
            self.replaced_segment(segment.as_ptr(), editor);
        }
        self.replaced_segment(first.as_ptr(), editor);
    }

    fn replaced_segment(&self, segment: core::ptr::NonNull<Segment<K>>, editor: &impl Editor<K>) {
        // SAFETY: The caller has just replaced it, so the only pointers left to it are those of the
        // table that this one shares it with, if any; that is what `shared` says.
        unsafe {
            let shared = !self.is_private(segment.as_ref().generation(), editor);
            let bytes = segment.as_ref().size().bytes();
            editor.replaced(segment::retired(segment), bytes, shared);
        }
    }

    fn replaced_node(&self, node: NodePtr<K>, editor: &impl Editor<K>) {
        let shared = !self.is_private(node.generation(), editor);
        // SAFETY: As in `replaced_segment`.
        unsafe { editor.replaced(node.retired(), node.bytes(), shared) };
    }

    /// Puts what an edit says into the slots of a path's segment, by replacing the nodes that are
    /// shared with another table, or are too small.
    fn apply(
        &self,
        path: &Path<K>,
        edit: Edit<K>,
        supply: &mut Supply<'_, K>,
        editor: &impl Editor<K>,
    ) {
        let Some(last) = path.last() else {
            let word = match edit {
                Edit::One(word) => word,
                Edit::Two(left, right) => {
                    let node = supply.take_node(1);
                    let halves = |i| if i == 0 { left } else { right };
                    Word::node(node.publish(self.generation(), halves))
                }
            };
            // Release: pairs with the acquire in `Word::find` (litmus: directory).
            return store_release(&self.root, word.into_raw());
        };
        let (node, first, count) = (last.node, path.first, path.count);
        let edit = match edit {
            Edit::Two(left, right) if count == 1 => {
                let bits = node.bits();
                if bits < BITS_MAX {
                    let wider = supply.take_node(bits + 1).publish(self.generation(), |i| {
                        match (i / 2 == first, i % 2) {
                            (true, 0) => left,
                            (true, _) => right,
                            // SAFETY: The node is valid, and has half as many slots.
                            _ => unsafe { node.word(i / 2) },
                        }
                    });
                    self.refer(path, path.len() - 1, Word::node(wider), supply, editor);
                    return self.replaced_node(node, editor);
                }
                let halves = |i| if i == 0 { left } else { right };
                let child = supply.take_node(1).publish(self.generation(), halves);
                Edit::One(Word::node(child))
            }
            edit => edit,
        };
        let word = |i: usize| match edit {
            Edit::Two(_, right) if i >= first + count / 2 => right,
            Edit::One(word) | Edit::Two(word, _) => word,
        };
        self.put(
            path,
            path.len() - 1,
            first..first + count,
            word,
            supply,
            editor,
        );
    }

    /// Puts words into some slots of a path's node, in place or in a copy.
    fn put(
        &self,
        path: &Path<K>,
        level: usize,
        slots: core::ops::Range<usize>,
        word: impl Fn(usize) -> Word<K>,
        supply: &mut Supply<'_, K>,
        editor: &impl Editor<K>,
    ) {
        let Some(step) = path.step(level) else {
            return;
        };
        let node = step.node;
        if self.is_private(node.generation(), editor) {
            for i in slots {
                // SAFETY: The node is valid, and the slots those of a path.
                // Release: pairs with the acquires of `Word::find` and `Path` (litmus: directory).
                store_release(unsafe { node.slot(i) }, word(i).into_raw());
            }
            return;
        }
        let copy = supply.take_node(node.bits());
        let copy = copy.publish(self.generation(), |i| match slots.contains(&i) {
            true => word(i),
            // SAFETY: The node is valid, and has as many slots.
            false => unsafe { node.word(i) },
        });
        self.refer(path, level, Word::node(copy), supply, editor);
        self.replaced_node(node, editor);
    }

    /// Makes a word take the place of a path's node, in the root or in the node above.
    fn refer(
        &self,
        path: &Path<K>,
        level: usize,
        word: Word<K>,
        supply: &mut Supply<'_, K>,
        editor: &impl Editor<K>,
    ) {
        match level.checked_sub(1).and_then(|above| path.step(above)) {
            // Release: pairs with the acquire in `Table::root` (litmus: directory, copied-node).
            None => store_release(&self.root, word.into_raw()),
            Some(above) => {
                let slot = above.index..above.index + 1;
                self.put(path, level - 1, slot, |_| word, supply, editor);
            }
        }
    }
}

/// What keys need whose memory was reserved: at most one segment, and nothing else; only while the
/// table shares nothing.
impl<K: Key> Table<K> {
    /// How much room there is in a segment for a new entry of this hash, which the caller is going to
    /// insert.
    pub(crate) fn room(&self, hash: u32, segment: &LockedSegment<'_, K>) -> Room {
        let segment = segment.segment().get();
        let strays = |e: Shared<'_, Entry<K>>| !agree(e.hash(), hash);
        if segment.is_chain() && !segment.is_mixed() && segment.entries().next().is_some_and(strays)
        {
            // A chain of equal hashes, until now.
            segment.mix();
        }
        if segment.is_exhausted() {
            Room::None
        } else if segment.is_full() || segment.is_mixed() {
            Room::Slack
        } else {
            Room::Plenty
        }
    }

    /// Makes room for a new entry of this hash by one large segment, in place of a small one or in
    /// front of one that is exhausted.
    pub(crate) fn overflow(
        &self,
        hash: u32,
        segment: LockedSegment<'_, K>,
        supply: &mut Supply<'_, K>,
        editor: &impl Editor<K>,
    ) {
        let mut path = self.path(hash, editor.guard());
        path.measure();
        let kind = match segment.segment().size() {
            Size::Small => Kind::Grow,
            Size::Large => Kind::Overflow,
        };
        let change = self.change(kind, path, segment, editor);
        self.make(change, hash, supply, editor);
    }

    /// What gives the segment of a hash its slack back; `None` if it has it, or there is nothing to
    /// be done about it.
    pub(crate) fn next_relief<'p>(
        &self,
        hash: u32,
        editor: &'p impl Editor<K>,
    ) -> Option<Change<'p, K>> {
        // Strained with the lock of the map held, as it is now.
        if !self.segment(hash, editor.guard()).0.is_strained() {
            return None;
        }
        match self.next_change(hash, editor) {
            Next::Change(change) => Some(change),
            Next::Room(_) => None,
        }
    }
}

/// How much room a segment has for another entry.
pub(crate) enum Room {
    /// It is not full.
    Plenty,
    /// It has slots, but is full, or first in a mixed chain: it should be relieved soon.
    Slack,
    /// It has no slot left.
    None,
}

/// A segment that is being filled, and those behind it that were.
struct Pile<'m, K: Key> {
    front: SegmentBox<'m, K>,
    segments: usize,
}

impl<'m, K: Key> Pile<'m, K> {
    fn new(front: SegmentBox<'m, K>) -> Self {
        Self { front, segments: 1 }
    }

    #[inline(always)]
    fn add(
        &mut self,
        entry: Shared<'_, Entry<K>>,
        hash: u32,
        shift: u32,
        supply: &mut Supply<'m, K>,
    ) {
        if self.front.is_full() {
            self.begin_another(supply);
        }
        self.front.insert(entry, hash, shift);
    }

    #[cold]
    fn begin_another(&mut self, supply: &mut Supply<'m, K>) {
        let next = supply.take_segment(Size::Large, self.front.generation());
        let full = core::mem::replace(&mut self.front, next);
        // Mixed, until it is found that the hashes are equal.
        self.front.chain(full.publish(), true);
        self.segments += 1;
    }
}

/// What gives room back; only while the table shares nothing.
impl<K: Key> Table<K> {
    /// Whether it would do with half of its segments, or less, or with a small one.
    pub(crate) fn is_sparse(&self, editor: &impl Editor<K>) -> bool {
        match self.segments() {
            1 => self.fits_in_small(&self.path(0, editor.guard()), editor),
            segments => self.era().about().0 < segments * SPARSE,
        }
    }

    /// Whether a segment is the only one, and has so few entries that a small one would do for a
    /// while.
    fn fits_in_small(&self, path: &Path<K>, editor: &impl Editor<K>) -> bool {
        let segment = path.segment(editor.guard());
        let large = segment.size() == Size::Large;
        large
            && editor.may_be_small()
            && path.len() == 0
            && !segment.is_chain()
            && segment.used() <= FEW
    }

    /// Merges the segment of a hash with its neighbour, or two of its chain, if they have few enough
    /// entries; whether it has merged anything. `Err` if `supply` does not have what that takes.
    pub(crate) fn merge(
        &self,
        hash: u32,
        supply: &mut Supply<'_, K>,
        editor: &impl Editor<K>,
    ) -> core::result::Result<bool, Needs> {
        let Some(merger) = self.merger(hash, editor) else {
            return Ok(false);
        };
        let needs = merger.needs();
        if !supply.covers(&needs) {
            return Err(needs);
        }
        match merger {
            Merger::Last(path, only) => {
                let mut fresh = supply.take_segment(Size::Small, self.generation());
                for entry in only.entries() {
                    fresh.insert(entry, entry.hash(), 0);
                }
                let word = Word::segment(fresh.publish(), 0);
                self.apply(&path, Edit::One(word), supply, editor);
                only.freeze();
                self.replaced_segment(path.segment, editor);
                return Ok(true);
            }
            Merger::Halves(halves) => self.merge_halves(halves, supply, editor),
            Merger::Links {
                path,
                front,
                before,
                links: [first, second],
            } => {
                let mut fresh = supply.take_segment(Size::Large, self.generation());
                if let Some(rest) = second.next() {
                    fresh.chain(rest.as_ptr(), first.is_mixed());
                }
                for entry in Iterator::chain(first.own_entries(), second.own_entries()) {
                    fresh.insert(entry, entry.hash(), path.shift);
                }
                let fresh = fresh.publish();
                match before {
                    Some(before) => before.set_next(fresh),
                    None => {
                        let word = Word::segment(fresh, path.shift);
                        self.apply(&path, Edit::One(word), supply, editor);
                        front.freeze();
                    }
                }
                self.replaced_segment(first.as_ptr(), editor);
                self.replaced_segment(second.as_ptr(), editor);
            }
        }
        self.add_segments(-1);
        Ok(true)
    }

    fn merge_halves(
        &self,
        halves: [Half<'_, K>; 2],
        supply: &mut Supply<'_, K>,
        editor: &impl Editor<K>,
    ) {
        let mut fresh = supply.take_segment(Size::Large, self.generation());
        let [(path, _), (buddy, _)] = &halves;
        let shift = path.depth - 1;
        for (_, half) in &halves {
            for entry in half.segment().own_entries() {
                fresh.insert(entry, entry.hash(), shift);
            }
        }
        let word = Word::segment(fresh.publish(), shift);
        let first = path.first.min(buddy.first);
        let slots = first..first + 2 * path.count;
        match (path.narrower(), path.last()) {
            (Some(bits), Some(last)) => {
                let word = match bits {
                    0 => word,
                    _ => Word::node(supply.take_node(bits).publish(self.generation(), |i| {
                        match slots.contains(&(2 * i)) {
                            true => word,
                            // SAFETY: The node is valid, and has twice as many slots.
                            false => unsafe { last.node.word(2 * i) },
                        }
                    })),
                };
                self.refer(path, path.len() - 1, word, supply, editor);
                self.replaced_node(last.node, editor);
            }
            _ => self.put(path, path.len() - 1, slots, |_| word, supply, editor),
        }
        for (path, half) in &halves {
            half.freeze();
            self.replaced_segment(path.segment, editor);
        }
    }

    /// What can be merged where a hash belongs, and is locked.
    fn merger<'p>(&self, hash: u32, editor: &'p impl Editor<K>) -> Option<Merger<'p, K>> {
        let guard = editor.guard();
        if !editor.is_alone() {
            return None;
        }
        let mut path = self.path(hash, guard);
        path.measure();
        let locked = path.lock(guard, false);
        if locked.is_chain() {
            let (mut before, mut first) = (None, locked.segment());
            while let Some(second) = first.get().next() {
                if first.used() + second.used() <= MERGE {
                    return Some(Merger::Links {
                        path,
                        front: locked,
                        before,
                        links: [first, second],
                    });
                }
                (before, first) = (Some(first), second);
            }
            return None;
        }
        if self.fits_in_small(&path, editor) {
            return Some(Merger::Last(path, locked));
        }
        let mut buddy = self.path(path.buddy(hash)?, guard);
        buddy.measure();
        if buddy.depth != path.depth {
            return None;
        }
        let other = buddy.lock(guard, true);
        let used = locked.segment().used() + other.segment().used();
        let fits = !other.is_chain() && used <= MERGE;
        fits.then_some(Merger::Halves([(path, locked), (buddy, other)]))
    }
}

/// A segment that is to be merged with another, and the way to it.
type Half<'p, K> = (Path<K>, LockedSegment<'p, K>);

/// What can be made less.
enum Merger<'p, K: Key> {
    /// The only one, that is left, which can be made small.
    Last(Path<K>, LockedSegment<'p, K>),
    /// Those whose hashes differ in the last bit that leads to them.
    Halves([Half<'p, K>; 2]),
    /// Two in a row of a chain, and the one before them.
    Links {
        path: Path<K>,
        front: LockedSegment<'p, K>,
        before: Option<Shared<'p, Segment<K>>>,
        links: [Shared<'p, Segment<K>>; 2],
    },
}

impl<K: Key> Merger<'_, K> {
    /// What must be allocated for it.
    fn needs(&self) -> Needs {
        let small = matches!(self, Merger::Last(..));
        let nodes = match self {
            Merger::Links { .. } | Merger::Last(..) => None,
            Merger::Halves([(path, _), _]) => path.narrower(),
        };
        Needs {
            segments: usize::from(!small),
            small,
            nodes: nodes.map_or(Default::default(), Path::<K>::just),
            ..Needs::default()
        }
    }
}

/// Whether two hashes agree in all bits that can lead to a segment.
fn agree(a: u32, b: u32) -> bool {
    (a ^ b).leading_zeros() >= DEPTH_MAX
}

/// Whether the bit of a hash behind the first `depth` is set.
fn is_right(hash: u32, depth: u32) -> bool {
    hash << depth >> (u32::BITS - 1) != 0
}

/// What the slots of a path's segment shall hold.
enum Edit<K: Key> {
    /// All of them this.
    One(Word<K>),
    /// The first half this, the second that.
    Two(Word<K>, Word<K>),
}

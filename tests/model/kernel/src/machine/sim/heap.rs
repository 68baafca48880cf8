// SPDX-License-Identifier: GPL-2.0

//! Memory, of which every block is known, and none is used twice.

use std::alloc::{alloc, dealloc, Layout};
use std::collections::{BTreeMap, BTreeSet};
use std::ptr::NonNull;
#[cfg(feature = "loom")]
use std::rc::Rc;

use super::super::without_lock;
use super::{me, reach, state, Failing, Moment, Section};

/// What memory is filled with that is not to be zeroed.
const UNDEFINED: u8 = 0xa5;
/// What freed memory is filled with.
const POISON: u8 = 0x6b;

struct Block {
    layout: Layout,
    freed: bool,
    /// A pointer to it has been stored where others may load it.
    published: bool,
    /// The threads that have made it or accessed it.
    users: BTreeSet<usize>,
    /// Sections in which it was accessed.
    seen: BTreeSet<Section>,
    /// Written when it is published, read whenever it is accessed: so loom complains if somebody who
    /// accesses it does not come after whoever has made it.
    #[cfg(feature = "loom")]
    made: Rc<loom::cell::UnsafeCell<()>>,
}

#[derive(Default)]
pub(super) struct Heap(BTreeMap<usize, Block>);

impl Heap {
    fn around(&mut self, address: usize) -> Option<(usize, &mut Block)> {
        let (start, block) = self.0.range_mut(..=address).next_back()?;
        (address < start + block.layout.size()).then_some((*start, block))
    }
}

/// Allocates, unless it is time to fail.
pub fn allocate(layout: Layout, zeroed: bool) -> Option<NonNull<u8>> {
    without_lock("an allocation");
    let me = me();
    reach(Moment::Allocation);
    if state(|state| state.failing.entry(me).or_insert(Failing::Never).strikes()) {
        return None;
    }
    let layout = layout.pad_to_align();
    // SAFETY: Nothing that is allocated has no size.
    let memory = NonNull::new(unsafe { alloc(layout) }).expect("there is memory");
    // SAFETY: As large.
    unsafe { memory.write_bytes(if zeroed { 0 } else { UNDEFINED }, layout.size()) };
    let block = Block {
        layout,
        freed: false,
        published: false,
        users: BTreeSet::from([me]),
        seen: BTreeSet::new(),
        #[cfg(feature = "loom")]
        made: Rc::new(loom::cell::UnsafeCell::new(())),
    };
    state(|state| state.heap.0.insert(memory.addr().get(), block));
    Some(memory)
}

/// Frees, and keeps the memory until the end.
///
/// # Safety
///
/// None: what is wrong is noticed.
pub unsafe fn free(memory: NonNull<u8>) {
    without_lock("freeing");
    let me = me();
    let wrong = state(|state| {
        let Some(block) = state.heap.0.get_mut(&memory.addr().get()) else {
            return Some("something is freed that was never allocated");
        };
        if block.freed {
            return Some("memory is freed twice");
        }
        let others = state.sections.iter().filter(|active| active.thread != me);
        if others
            .into_iter()
            .any(|active| block.seen.contains(&active.section))
        {
            return Some("memory is freed while a reader who has looked at it is in its section");
        }
        block.freed = true;
        // SAFETY: Allocated with that layout, and kept.
        unsafe { memory.write_bytes(POISON, block.layout.size()) };
        None
    });
    if let Some(wrong) = wrong {
        panic!("{wrong}");
    }
}

/// Complains if there is a freed object, or one that its maker has not shown to this thread.
pub fn check_alive<T>(object: *const T) {
    let address = object.addr();
    let me = me();
    let found = state(|state| {
        let quiet = state.cells.is_quiet();
        let (_, block) = state.heap.around(address)?;
        block.users.insert(me);
        if let Some(active) = state.sections.iter().find(|active| active.thread == me) {
            block.seen.insert(active.section);
        }
        #[cfg(feature = "loom")]
        let made = block
            .published
            .then(|| block.made.clone())
            .filter(|_| !quiet);
        #[cfg(not(feature = "loom"))]
        let made = quiet;
        Some((block.freed, made))
    });
    let Some((freed, made)) = found else {
        return;
    };
    assert!(!freed, "freed memory is accessed");
    #[cfg(feature = "loom")]
    if let Some(made) = made {
        made.with(|_| ());
    }
    #[cfg(not(feature = "loom"))]
    let _: bool = made;
}

/// Others are about to be given this: it, and all that is new and can be found there, is published.
pub fn show<T>(object: *const T) {
    publish(object.addr() as u64);
}

/// A word is about to be stored: if it is a pointer to something new, that, and all that is new and
/// can be found there, is published. Nobody can publish what they have never seen: a word that looks
/// like a pointer to something of another thread is what happened to be in some padding.
pub(super) fn publish(word: u64) {
    let mut left = vec![word as usize];
    let me = me();
    while let Some(address) = left.pop() {
        let published = state(|state| {
            let (start, block) = state.heap.around(address)?;
            if block.published || block.freed || !block.users.contains(&me) {
                return None;
            }
            block.published = true;
            let words = start..start + block.layout.size();
            for at in words.step_by(size_of::<usize>()) {
                // SAFETY: Within the block, all of which was written when it was allocated.
                left.push(unsafe {
                    std::ptr::with_exposed_provenance::<usize>(at).read_unaligned()
                });
            }
            #[cfg(feature = "loom")]
            let made = block.made.clone();
            #[cfg(not(feature = "loom"))]
            let made = ();
            Some(made)
        });
        #[cfg(feature = "loom")]
        if let Some(made) = published {
            made.with_mut(|_| ());
        }
        #[cfg(not(feature = "loom"))]
        let _: Option<()> = published;
    }
}

/// Whether that is in something that others may have seen.
#[cfg(feature = "loom")]
pub(super) fn is_published<T>(object: *const T) -> bool {
    let block = |state: &mut super::State| Some(state.heap.around(object.addr())?.1.published);
    state(block).unwrap_or(false)
}

/// The number of blocks that have not been freed.
pub fn live_allocations() -> usize {
    state(|state| state.heap.0.values().filter(|block| !block.freed).count())
}

/// Gives all memory back; returns how many blocks had not been freed.
pub(super) fn end() -> usize {
    let left = live_allocations();
    let blocks = state(|state| std::mem::take(&mut state.heap.0));
    for (start, block) in blocks {
        // SAFETY: Allocated with that layout.
        unsafe { dealloc(std::ptr::with_exposed_provenance_mut(start), block.layout) };
    }
    left
}

// SPDX-License-Identifier: GPL-2.0

//! The modules that use maps through the C API, and what each holds: so that what a module forgets
//! to give back is known when it goes, and what it gives back twice does no harm.

use kernel::alloc::Flags;
use kernel::bindings;
use kernel::ffi::{c_char, c_void};
use kernel::fmt;
use kernel::prelude::*;
use kernel::rbtree::{Entry, RBTree, RBTreeNode, RBTreeNodeReservation};
use kernel::str::CStr;
use kernel::sync::{new_mutex, Arc, Mutex};

use crate::capi::OwnedMap;
use crate::registry::{Registry, SharedMap};

/// A module that uses maps; none if it is part of the kernel.
pub(crate) type Module = *mut c_void;

unsafe extern "C" {
    fn syncmap_module_name(module: Module) -> *const c_char;
}

/// The name of a module that is there.
fn name_of<'n>(module: Module) -> &'n CStr {
    // SAFETY: Modules pass themselves, and are there while they do.
    unsafe { CStr::from_char_ptr(syncmap_module_name(module)) }
}

/// A module, and the address of what it holds.
type Hold = (usize, usize);

/// The memory for a hold.
pub(crate) type Reservation = RBTreeNodeReservation<Hold, Held>;

/// What a module holds.
pub(crate) enum Held {
    /// A named map, so many times.
    Named(Arc<SharedMap>, usize),
    /// A map of its own.
    Own(OwnedMap),
}

/// All that modules hold.
#[pin_data]
pub(crate) struct Holders {
    #[pin]
    held: Mutex<RBTree<Hold, Held>>,
}

impl Holders {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            held <- new_mutex!(RBTree::new(), "syncmap_holders"),
        })
    }

    /// Lets a module hold a named map once more, until [`Holders::put`].
    pub(crate) fn hold(
        &self,
        map: Arc<SharedMap>,
        module: Module,
        reservation: Reservation,
    ) -> *const SharedMap {
        let at = Arc::as_ptr(&map);
        map.add_users(1);
        let mut held = self.held.lock();
        match held.entry((module.addr(), at.addr())) {
            Entry::Vacant(vacant) => {
                vacant.insert(Held::Named(map, 1), reservation);
            }
            Entry::Occupied(occupied) => {
                if let Held::Named(_, count) = occupied.into_mut() {
                    *count += 1;
                }
                // The module holds another reference; this one goes after the lock.
                drop(held);
                drop(map);
            }
        }
        at
    }

    /// Gives a named map back; waits for a grace period, if it was the module's last reference, for
    /// lookups through it to end. Says so if the module does not hold it.
    pub(crate) fn put(&self, map: *const SharedMap, module: Module) {
        let hold = (module.addr(), map.addr());
        let mut held = self.held.lock();
        let (known, last) = match held.get_mut(&hold) {
            Some(Held::Named(map, count)) => {
                map.add_users(-1);
                *count -= 1;
                (true, *count == 0)
            }
            _ => (false, false),
        };
        let gone = last.then(|| held.remove_node(&hold));
        drop(held);
        if gone.is_some() {
            // SAFETY: Always safe to call.
            unsafe { bindings::synchronize_rcu() };
        }
        drop(gone);
        if !known {
            pr_err!(
                "module {} puts a named map that it does not hold, or not any more.\n",
                name_of(module)
            );
        }
    }

    /// Lets a module hold a map of its own, until [`Holders::take`].
    pub(crate) fn add(&self, map: OwnedMap, module: Module, flags: Flags) -> Result {
        let hold = (module.addr(), map.addr());
        let node = RBTreeNode::new(hold, Held::Own(map), flags)?;
        self.held.lock().insert(node);
        Ok(())
    }

    /// Takes a map from a module, to destroy it. Says so if the module has no such map, or if it is
    /// the release of one of its values that destroys it.
    pub(crate) fn take(&self, at: usize, module: Module) -> Option<OwnedMap> {
        let hold = (module.addr(), at);
        let mut held = self.held.lock();
        let gone = match held.get(&hold) {
            Some(Held::Own(_)) => held.remove(&hold),
            _ => None,
        };
        drop(held);
        match gone {
            Some(Held::Own(map)) => {
                if map.is_in_release() {
                    pr_err!(
                        "module {} destroys a map in the release of one of its own values.\n",
                        name_of(module)
                    );
                }
                Some(map)
            }
            _ => {
                pr_err!(
                    "module {} destroys a map that it does not have, or not any more.\n",
                    name_of(module)
                );
                None
            }
        }
    }

    /// Shows what modules hold, one map in a line.
    pub(crate) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held.lock();
        for ((module, _), held) in held.iter() {
            let module = name_of(core::ptr::without_provenance_mut(*module));
            match held {
                Held::Named(map, count) => f.write_fmt(fmt!(
                    "{} named 0 {} {} {}\n",
                    module,
                    map.map.len(),
                    map.map.bytes(),
                    count
                ))?,
                Held::Own(map) => f.write_fmt(fmt!(
                    "{} own {} {} {} 1\n",
                    module,
                    map.key_len(),
                    map.len(),
                    map.bytes()
                ))?,
            }
        }
        Ok(())
    }

    /// Takes back what a module that has run its last has forgotten to give back; waits for a grace
    /// period, if that is anything, for lookups to end.
    pub(crate) fn gone(&self, module: Module) {
        let mut waited = false;
        loop {
            let mut held = self.held.lock();
            let first = held.cursor_lower_bound(&(module.addr(), 0));
            let Some(hold) = first
                .map(|cursor| *cursor.current().0)
                .filter(|hold| hold.0 == module.addr())
            else {
                return;
            };
            let forgotten = held.remove(&hold);
            drop(held);
            if !waited {
                // SAFETY: Always safe to call.
                unsafe { bindings::synchronize_rcu() };
                waited = true;
            }
            match forgotten {
                Some(Held::Named(map, count)) => {
                    map.add_users((count as i32).wrapping_neg());
                    let known = Registry::get().name_of(&map);
                    let name = known
                        .as_ref()
                        .map_or(&b"(unlinked)"[..], |name| name.bytes());
                    pr_err!(
                        "module {} has not put the named map {}, of which it had {} reference(s); \
                         they are taken back.\n",
                        name_of(module),
                        kernel::str::BStr::from_bytes(name),
                        count
                    );
                }
                Some(Held::Own(map)) => {
                    let left = map.len();
                    // The module's functions must not be called any more.
                    map.mute();
                    pr_err!(
                        "module {} has not destroyed a map of its own, with {} value(s), which \
                         are lost.\n",
                        name_of(module),
                        left
                    );
                }
                None => {}
            }
        }
    }
}

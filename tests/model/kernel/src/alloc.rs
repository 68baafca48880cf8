// SPDX-License-Identifier: GPL-2.0

//! Memory.

use core::alloc::Layout;
use core::ffi::c_void;
use core::ops::{BitOr, Deref, DerefMut};
use core::pin::Pin;
use core::ptr::{null_mut, NonNull};
use pinned_init::PinInit;

use crate::bindings::{self, gfp_t};
use crate::error::Error;
use crate::machine;

/// There is no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AllocError;

/// How to allocate.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Flags(gfp_t);

impl Flags {
    /// Whether all of these are among them.
    pub fn contains(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// The flags there are.
pub mod flags {
    use super::{bindings, Flags};

    pub const GFP_KERNEL: Flags = Flags(bindings::GFP_KERNEL);
    pub const GFP_ATOMIC: Flags = Flags((1 << 5) | (1 << 11));
    pub const GFP_NOWAIT: Flags = Flags((1 << 11) | (1 << 9));
    pub const __GFP_ZERO: Flags = Flags(1 << 8);
    pub const __GFP_NOWARN: Flags = Flags(1 << 9);
}

/// On which node.
#[derive(Clone, Copy)]
pub struct NumaNode;

impl NumaNode {
    /// On any.
    pub const NO_NODE: NumaNode = NumaNode;
}

/// Where memory comes from.
pub trait Allocator {
    /// Allocates.
    fn alloc(layout: Layout, flags: Flags, _: NumaNode) -> Result<NonNull<[u8]>, AllocError> {
        if flags.0 & (1 << bindings::___GFP_DIRECT_RECLAIM_BIT) != 0 {
            machine::might_sleep("an allocation");
        }
        let zeroed = flags.contains(flags::__GFP_ZERO);
        let memory = machine::allocate(layout, zeroed).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(memory, layout.size()))
    }

    /// Frees.
    ///
    /// # Safety
    ///
    /// The memory comes from `alloc`, and is not used any more.
    unsafe fn free(memory: NonNull<u8>, _: Layout) {
        // SAFETY: By the contract of the function.
        unsafe { machine::free(memory) }
    }
}

/// `kmalloc()`, as `helpers.c` has it: what it returns is aligned to a size that is a power of two.
#[no_mangle]
extern "C" fn syncmap_helper_kmalloc(size: usize, gfp: bindings::gfp_t) -> *mut c_void {
    let align = match size.is_power_of_two() {
        true => size,
        false => align_of::<u64>(),
    };
    let layout = Layout::from_size_align(size, align).expect("it is small");
    let memory = allocator::Kmalloc::alloc(layout, Flags(gfp), NumaNode::NO_NODE);
    memory.map_or(null_mut(), |memory| memory.cast().as_ptr())
}

/// The allocators.
pub mod allocator {
    pub struct Kmalloc;
    pub struct KVmalloc;

    impl super::Allocator for Kmalloc {}
    impl super::Allocator for KVmalloc {}
}

/// A box.
pub struct KBox<T: ?Sized>(NonNull<T>);

// SAFETY: Owns a `T`.
unsafe impl<T: ?Sized + Send> Send for KBox<T> {}
// SAFETY: Shares it only when shared.
unsafe impl<T: ?Sized + Sync> Sync for KBox<T> {}

impl<T> KBox<T> {
    fn memory(flags: Flags) -> Result<NonNull<T>, AllocError> {
        let memory = allocator::Kmalloc::alloc(Layout::new::<T>(), flags, NumaNode::NO_NODE)?;
        Ok(memory.cast())
    }

    /// Puts a value into a box.
    pub fn new(value: T, flags: Flags) -> Result<Self, AllocError> {
        let memory = Self::memory(flags)?;
        // SAFETY: Large enough, aligned, and ours.
        unsafe { memory.write(value) };
        Ok(KBox(memory))
    }
}

impl<T: ?Sized> KBox<T> {
    /// Forgets that there is a box.
    pub fn leak<'a>(this: Self) -> &'a mut T {
        // SAFETY: Ours.
        unsafe { &mut *core::mem::ManuallyDrop::new(this).0.as_ptr() }
    }

    /// # Safety
    ///
    /// Comes from `leak`, or is a valid `T` in memory of `Kmalloc`.
    pub unsafe fn from_raw(raw: *mut T) -> Self {
        // SAFETY: By the contract of the function.
        KBox(unsafe { NonNull::new_unchecked(raw) })
    }
}

impl<T: ?Sized> Drop for KBox<T> {
    fn drop(&mut self) {
        // SAFETY: Ours, and not used any more.
        unsafe {
            self.0.drop_in_place();
            machine::free(self.0.cast());
        }
    }
}

impl<T: ?Sized> Deref for KBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: Ours.
        unsafe { self.0.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for KBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: Ours.
        unsafe { self.0.as_mut() }
    }
}

/// Boxes of what is initialised in its place.
pub trait InPlaceInit<T> {
    /// Makes one.
    fn pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Pin<KBox<T>>, Error>
    where
        Error: From<E>;
}

impl<T> InPlaceInit<T> for KBox<T> {
    fn pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Pin<KBox<T>>, Error>
    where
        Error: From<E>,
    {
        let memory = Self::memory(flags)?;
        // SAFETY: Large enough, aligned and ours, and not moved any more; freed without being dropped
        // if the initialiser fails.
        unsafe {
            if let Err(error) = init.__pinned_init(memory.as_ptr()) {
                machine::free(memory.cast());
                return Err(error.into());
            }
            Ok(Pin::new_unchecked(KBox(memory)))
        }
    }
}

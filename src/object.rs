// SPDX-License-Identifier: GPL-2.0

//! Counted, retirable allocations: what entries and values are made of.
//!
//! An [`Object`] is a list link, a reference count, a head of the owner's choice, and a payload: a
//! sized value, or bytes whose number is known only at run time, as the unsized tail of the
//! allocation. Objects are referred to by thin pointers.

use core::alloc::Layout;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;
use kernel::alloc::allocator::{KVmalloc, Kmalloc};
use kernel::alloc::{Allocator, Flags, NumaNode};
use kernel::bindings;
use kernel::page::PAGE_SIZE;
use kernel::prelude::*;
use kernel::sync::Refcount;

use crate::gfp::{into_c, may_block};
use crate::helpers::syncmap_helper_kmalloc;
use crate::quota::{Charge, Ledger};
use crate::reclaim::Link;

/// What can be the payload of an object.
///
/// # Safety
///
/// After `init(slot, input)`, `payload(slot, len)` may be called, with `len` the `tail(input)` of
/// that input.
pub unsafe trait Stored: Sized + Send + Sync + 'static {
    /// Whether payloads have a tail.
    const HAS_TAIL: bool;
    /// What references to the payload refer to.
    type Ref: ?Sized + Sync;
    /// What a payload is made from.
    type Input<'a>;

    /// Bytes of the tail.
    fn tail(input: &Self::Input<'_>) -> usize;

    /// # Safety
    ///
    /// `slot` is valid for writes of a `Self` and of `tail(&input)` bytes from its beginning.
    unsafe fn init(slot: *mut Self, input: Self::Input<'_>);

    /// # Safety
    ///
    /// `slot` was initialised with a tail of `len` bytes and is valid and shared for `'a`.
    unsafe fn payload<'a>(slot: *const Self, len: usize) -> &'a Self::Ref;
}

/// A payload of a type known at compile time.
#[repr(transparent)]
pub struct Fixed<T>(T);

// SAFETY: `init` initialises the `T` that `payload` returns; there is no tail.
unsafe impl<T: Send + Sync + 'static> Stored for Fixed<T> {
    const HAS_TAIL: bool = false;
    type Ref = T;
    type Input<'a> = T;

    #[inline]
    fn tail(_: &T) -> usize {
        0
    }

    #[inline]
    unsafe fn init(slot: *mut Self, input: T) {
        // SAFETY: By the contract of the function.
        unsafe { slot.write(Fixed(input)) }
    }

    #[inline]
    unsafe fn payload<'a>(slot: *const Self, _: usize) -> &'a T {
        // SAFETY: By the contract of the function.
        unsafe { &(*slot).0 }
    }
}

/// A payload of bytes.
#[repr(transparent)]
pub struct Bytes([u8; 0]);

// SAFETY: `init` initialises all the bytes that `payload` returns.
unsafe impl Stored for Bytes {
    const HAS_TAIL: bool = true;
    type Ref = [u8];
    type Input<'a> = &'a [u8];

    #[inline]
    fn tail(input: &&[u8]) -> usize {
        input.len()
    }

    #[inline]
    unsafe fn init(slot: *mut Self, input: &[u8]) {
        // SAFETY: By the contract of the function; `input` is a shared slice, so it does not
        // overlap with memory that is valid for writes.
        unsafe { core::ptr::copy_nonoverlapping(input.as_ptr(), slot.cast(), input.len()) }
    }

    #[inline]
    unsafe fn payload<'a>(slot: *const Self, len: usize) -> &'a [u8] {
        // SAFETY: By the contract of the function.
        unsafe { core::slice::from_raw_parts(slot.cast(), len) }
    }
}

/// An allocation with a head `X` and a payload `S`.
#[repr(C)]
pub struct Object<X, S> {
    // First: retired objects are found by the address of their link.
    pub(crate) link: Link,
    refs: Refcount,
    /// Bytes of the tail; at the owner's disposal if there is none.
    len: u32,
    pub(crate) head: X,
    payload: S,
}

/// Allocates memory for an object. Sleeps if `flags` allow it.
#[inline]
fn allocate(layout: Layout, flags: Flags) -> Result<NonNull<u8>> {
    // Memory that may not sleep does not come from vmalloc, wherever it may be freed; what fits in
    // a page never does, and is not asked whether it should.
    let memory = if layout.align() <= MINALIGN && layout.size() <= PAGE_SIZE {
        // SAFETY: Always safe to call with a size that is not zero: there is a link in any object.
        let memory = unsafe { syncmap_helper_kmalloc(layout.size(), into_c(flags)) };
        return NonNull::new(memory.cast()).ok_or(ENOMEM);
    } else if layout.size() > PAGE_SIZE && may_block(flags) {
        KVmalloc::alloc(layout, flags, NumaNode::NO_NODE)?
    } else {
        Kmalloc::alloc(layout, flags, NumaNode::NO_NODE)?
    };
    Ok(memory.cast())
}

/// What all that `kmalloc()` allocates is aligned to.
const MINALIGN: usize = align_of::<u64>();

/// The greatest tail of an object, in bytes.
const TAIL_MAX: usize = 1 << 30;

impl<X, S: Stored> Object<X, S> {
    const fn layout(len: usize) -> Layout {
        let size = size_of::<Self>() + len;
        // SAFETY: The alignment is that of a type; `len` is at most `TAIL_MAX`, so that the size
        // does not overflow an `isize` when it is rounded up.
        unsafe { Layout::from_size_align_unchecked(size, align_of::<Self>()) }
    }

    /// Frees the memory of an object.
    ///
    /// What `KVmalloc::free` does, too, by a reallocation to nothing, which takes twice as long.
    ///
    /// # Safety
    ///
    /// `this` comes from [`allocate`], with a layout of this type, and is not used any more.
    #[inline]
    unsafe fn release(this: NonNull<Self>) {
        let memory = this.as_ptr().cast();
        // SAFETY: By the contract of the function; `kvfree()` frees what comes from `kmalloc()` as well,
        // which is where all that fits in a page comes from.
        unsafe {
            match S::HAS_TAIL || size_of::<Self>() > PAGE_SIZE {
                true => bindings::kvfree(memory),
                false => bindings::kfree(memory),
            }
        }
    }

    fn len(&self) -> usize {
        if S::HAS_TAIL {
            self.len as usize
        } else {
            0
        }
    }

    /// A word that the owner may use if the payload has no tail.
    #[inline]
    pub(crate) fn spare(&self) -> u32 {
        self.len
    }

    /// Bytes of the allocation.
    pub fn bytes(&self) -> usize {
        Self::layout(self.len()).size()
    }

    /// The payload.
    #[inline]
    pub(crate) fn payload<'p>(this: NonNull<Self>, valid: &'p Self) -> &'p S::Ref {
        // SAFETY: Objects are made by `Vacant::fill*` only, which initialises the payload with a
        // tail of `len` bytes. The pointer is used instead of the reference because the tail lies
        // beyond what the reference covers; `valid` says for how long it is valid.
        unsafe { S::payload(&raw const (*this.as_ptr()).payload, valid.len()) }
    }

    /// Takes another reference.
    ///
    /// The caller has one, or is in a read-side section in which a published pointer led to the
    /// object, whose own reference is put after a grace period.
    #[inline]
    pub(crate) fn get(&self) {
        self.refs.inc();
    }

    /// Gives a reference back; true if it was the last, and the caller must free the object.
    #[must_use]
    pub(crate) fn put(&self) -> bool {
        self.refs.dec_and_test()
    }

    /// Drops head and payload, frees the memory and takes back its charge.
    ///
    /// # Safety
    ///
    /// The object was published, and nobody has a reference to it any more.
    pub(crate) unsafe fn free(this: NonNull<Self>, ledger: &Ledger) {
        // SAFETY: The caller owns the object, whose memory was allocated by `Vacant::new`. The ledger is
        // used first: the destructor may end the map.
        unsafe {
            ledger.uncharge(this.as_ref().bytes());
            this.drop_in_place();
            Self::release(this);
        }
    }
}

/// The memory for an object, without contents.
pub struct Vacant<'m, X, S: Stored> {
    ptr: NonNull<Object<X, S>>,
    len: u32,
    charge: ManuallyDrop<Charge<'m>>,
}

impl<'m, X, S: Stored> Vacant<'m, X, S> {
    /// Allocates memory for an object with a tail of `len` bytes.
    ///
    /// Sleeps if `flags` allow it. The contents are undefined.
    pub(crate) fn new(
        len: usize,
        flags: Flags,
        charge: impl FnOnce(usize) -> Result<Charge<'m>>,
    ) -> Result<Self> {
        if len > TAIL_MAX {
            return Err(E2BIG);
        }
        let layout = Object::<X, S>::layout(len);
        let charge = charge(layout.size())?;
        Ok(Self {
            ptr: allocate(layout, flags)?.cast(),
            len: len as u32,
            charge: ManuallyDrop::new(charge),
        })
    }

    /// Bytes of the tail.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Makes the tail shorter, and takes back what is charged for the rest, which stays allocated.
    pub(crate) fn shorten(&mut self, len: usize) {
        debug_assert!(len <= self.len());
        self.len = len as u32;
        self.charge.reduce(Object::<X, S>::layout(len).size());
    }

    /// Gives the memory and its charge to the caller, who keeps it for later.
    pub(crate) fn into_raw(self) -> NonNull<Link> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: The memory is ours, and large enough; `this` is not used or dropped any more.
        unsafe {
            ManuallyDrop::take(&mut this.charge).keep();
            this.ptr.cast::<Link>().write(Link::new());
        }
        this.ptr.cast()
    }

    /// Takes back what [`Vacant::into_raw`] gave.
    ///
    /// # Safety
    ///
    /// `link` comes from `into_raw` of memory for a tail of `len` bytes, charged to `ledger`.
    pub(crate) unsafe fn from_raw(link: NonNull<Link>, len: usize, ledger: &'m Ledger) -> Self {
        Self {
            ptr: link.cast(),
            len: len as u32,
            charge: ManuallyDrop::new(ledger.adopt(Object::<X, S>::layout(len).size())),
        }
    }

    /// Makes the object.
    ///
    /// # Safety
    ///
    /// `payload` initialises the payload with a tail of `self.len` bytes.
    #[inline]
    unsafe fn fill_raw(self, head: X, payload: impl FnOnce(*mut S)) -> New<'m, X, S> {
        let mut this = ManuallyDrop::new(self);
        let object = this.ptr.as_ptr();
        // SAFETY: The memory is ours and large enough; every field is written once.
        unsafe {
            (&raw mut (*object).link).write(Link::new());
            (&raw mut (*object).refs).write(Refcount::new(1));
            (&raw mut (*object).len).write(this.len);
            (&raw mut (*object).head).write(head);
            payload(&raw mut (*object).payload);
        }
        New {
            ptr: this.ptr,
            // SAFETY: `this` is not used or dropped any more.
            charge: ManuallyDrop::new(unsafe { ManuallyDrop::take(&mut this.charge) }),
        }
    }

    /// Makes the object; `input` must have the tail that the memory was allocated for, or else the
    /// kernel panics.
    #[inline]
    pub(crate) fn fill(self, head: X, input: S::Input<'_>) -> New<'m, X, S> {
        assert!(S::tail(&input) == self.len as usize);
        // SAFETY: By the contract of `Stored`, and the assertion.
        unsafe { self.fill_raw(head, |slot| S::init(slot, input)) }
    }
}

impl<'m, X> Vacant<'m, X, Bytes> {
    /// Makes an object of bytes that `write` writes, and returns; if that fails, everything is freed.
    ///
    /// `EINVAL` if it returns other bytes.
    pub(crate) fn fill_with(
        self,
        head: X,
        write: impl for<'a> FnOnce(&'a mut [MaybeUninit<u8>]) -> Result<&'a mut [u8]>,
    ) -> Result<New<'m, X, Bytes>> {
        // SAFETY: The memory is ours and large enough; it need not be initialised.
        let tail = unsafe {
            let slot = &raw mut (*self.ptr.as_ptr()).payload;
            core::slice::from_raw_parts_mut(slot.cast(), self.len as usize)
        };
        let whole = core::ptr::from_mut(tail) as *const [u8];
        if !core::ptr::eq(write(tail)?, whole) {
            return Err(EINVAL);
        }
        // SAFETY: The tail is initialised: it was just referred to as `[u8]`.
        Ok(unsafe { self.fill_raw(head, |_| ()) })
    }
}

impl<X, S: Stored> Drop for Vacant<'_, X, S> {
    fn drop(&mut self) {
        // SAFETY: The memory is ours, was allocated by `new`, and holds nothing to drop. The charge is
        // not used afterwards.
        unsafe {
            Object::release(self.ptr);
            ManuallyDrop::drop(&mut self.charge);
        }
    }
}

/// An object that nobody else can reach yet.
pub struct New<'m, X, S: Stored> {
    ptr: NonNull<Object<X, S>>,
    charge: ManuallyDrop<Charge<'m>>,
}

// SAFETY: Owns a head and a payload, and borrows a ledger, which is `Sync`.
unsafe impl<X: Send, S: Stored> Send for New<'_, X, S> {}
// SAFETY: Only gives shared references to what it owns.
unsafe impl<X: Sync, S: Stored> Sync for New<'_, X, S> {}

impl<'m, X, S: Stored> New<'m, X, S> {
    /// Gives the object, its charge and its one reference to the caller.
    pub(crate) fn publish(self) -> NonNull<Object<X, S>> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used or dropped any more.
        unsafe { ManuallyDrop::take(&mut this.charge) }.keep();
        this.ptr
    }

    /// Takes back what [`New::publish`] gave.
    ///
    /// # Safety
    ///
    /// `ptr` comes from `publish`, and nobody else has seen it. `charge` stands for the same number
    /// of bytes on the same ledger.
    pub(crate) unsafe fn recover(ptr: NonNull<Object<X, S>>, charge: Charge<'m>) -> Self {
        Self {
            ptr,
            charge: ManuallyDrop::new(charge),
        }
    }

    /// Whether the object is charged to `ledger`.
    pub(crate) fn is_on(&self, ledger: &Ledger) -> bool {
        self.charge.is_on(ledger)
    }

    /// What the link holds until the object is retired.
    pub(crate) fn set_link(&mut self, link: *mut Link) {
        // SAFETY: The object is ours.
        unsafe { self.ptr.as_ref() }.link.set(link);
    }

    /// Changes the spare word of an object whose payload has no tail.
    pub(crate) fn spare_mut(&mut self) -> Option<&mut u32> {
        // SAFETY: The object is ours.
        (!S::HAS_TAIL).then_some(unsafe { &mut (*self.ptr.as_ptr()).len })
    }

    /// The payload.
    pub fn payload(&self) -> &S::Ref {
        // SAFETY: The object is ours.
        Object::payload(self.ptr, unsafe { self.ptr.as_ref() })
    }
}

impl<T: Send + Sync + 'static> New<'_, (), Fixed<T>> {
    /// Takes the value out and frees the rest.
    pub fn into_inner(self) -> T {
        // SAFETY: The object is ours; the payload is moved out once, and only the memory is freed
        // below.
        let value = unsafe { (&raw const (*self.ptr.as_ptr()).payload).read() };
        let this = ManuallyDrop::new(self);
        drop(Vacant::<(), Fixed<T>> {
            ptr: this.ptr,
            len: 0,
            // SAFETY: `this` is not used or dropped any more.
            charge: ManuallyDrop::new(unsafe { core::ptr::read(&*this.charge) }),
        });
        value.0
    }
}

impl<X, S: Stored> Drop for New<'_, X, S> {
    fn drop(&mut self) {
        // SAFETY: The object is ours and was made by `Vacant::fill*`, of memory that `Vacant::new` has
        // allocated. The charge is not used afterwards.
        unsafe {
            self.ptr.drop_in_place();
            Object::release(self.ptr);
            ManuallyDrop::drop(&mut self.charge);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Publishing pointers to readers, and freeing what they pointed to.
//!
//! # Retiring
//!
//! An object that no published pointer reaches any more is *retired*: pushed on the list `next` of
//! its map's [`Reclaimer`]. When no grace period is in flight, one winner moves the whole of `next`
//! to `waiting` and starts one with `queue_rcu_work()`; the work then runs in process context
//! (destructors of values may sleep), frees `waiting` only, and starts over if `next` is not empty.
//!
//! Two lists are necessary: while its work is pending, `queue_rcu_work()` starts no new grace
//! period, so a work that emptied one common list would free objects whose readers are still there.
//! At most two grace periods' worth of objects are waiting at any time.
//!
//! The only file that knows of `queue_rcu_work()` and its friends.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ptr::{null_mut, NonNull};
use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed, Release};
use kernel::sync::rcu::Guard;
use kernel::task::Task;
use kernel::types::Opaque;
use kernel::{bindings, container_of};

use crate::atomic::{load_acquire, read_once, write_once};
use crate::helpers::*;
use crate::quota::{edquot, Charge, Ledger};

/// How often a charge that exceeds the limit waits for retired objects to be freed.
const CHARGE_CYCLES: usize = 16;

/// Objects that are freed between two chances for others to run.
const FREE_BATCH: usize = 32;

/// Evidence that what is reachable now is not freed for as long as the evidence is held.
///
/// # Safety
///
/// While an implementor exists, an entry or table that its holder can reach from a map through
/// published pointers is not freed: either a grace period that begins later cannot end (a read-side
/// section), or such objects are retired only by the holder itself, when it lets go (the mutex).
pub unsafe trait Protects {}

// SAFETY: A grace period that starts after an object was unpublished (I11) waits for the section
// that this guard is evidence of (I5; litmus: retire).
unsafe impl Protects for Guard {}

/// A pointer that readers follow without a lock, and a flag that changes together with it.
///
/// # Invariants
///
/// The pointer, without its lowest bit, is null only before the first [`Published::store`];
/// otherwise it points to a `T` that is not freed before a grace period has passed since the
/// pointer was replaced.
pub(crate) struct Published<T>(Atomic<*mut T>);

impl<T> Published<T> {
    const FLAG: usize = 1;

    pub(crate) fn new() -> Self {
        const { assert!(align_of::<T>() > Self::FLAG) };
        Self(Atomic::new(null_mut()))
    }

    /// Reads the pointer and its flag.
    ///
    /// Acquire: pairs with the exchange in [`Published::store`], so the reader sees the contents of
    /// what it points to, and everything that was published before it (litmus: start-dirty, promote,
    /// clear).
    #[inline]
    pub(crate) fn load<'p>(&self, _protects: &'p impl Protects) -> (Shared<'p, T>, bool) {
        let word = load_acquire(&self.0);
        let ptr = word.map_addr(|a| a & !Self::FLAG);
        // SAFETY: By the type invariant `ptr` was valid when it was loaded, and by I5 and I11 it
        // remains so while `_protects` exists. It is not null: maps store both their pointers
        // before anybody can use them.
        let table = unsafe { Shared::new(NonNull::new_unchecked(ptr)) };
        (table, word.addr() & Self::FLAG != 0)
    }

    /// Publishes another pointer.
    ///
    /// Full: the release in it pairs with the Acquire in [`Published::load`]; the rest orders the
    /// change against those of others, as for the words of entries (litmus: two-maps).
    ///
    /// # Safety
    ///
    /// `ptr` is valid until a grace period has passed after it has been replaced in turn. Stores
    /// are serialised by the caller.
    pub(crate) unsafe fn store(&self, ptr: NonNull<T>, flag: bool) {
        let word = ptr.as_ptr().map_addr(|a| a | usize::from(flag));
        self.0.xchg(word, Full);
    }
}

/// The list link that every retirable object begins with.
///
/// Whoever changes a link owns the object's retirement (I6): the holder of the mutex, then the one
/// that retires it, then the reclaimer. Ownership passes by the Full exchanges on `Reclaimer::next`.
#[repr(transparent)]
pub struct Link(Atomic<*mut Link>);

impl Link {
    /// A link that is on no list.
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(null_mut()))
    }

    /// What the link holds.
    #[inline]
    pub(crate) fn get(&self) -> *mut Link {
        read_once(&self.0)
    }

    /// Changes what the link holds; for whoever owns the object's retirement.
    pub(crate) fn set(&self, link: *mut Link) {
        write_once(&self.0, link);
    }
}

/// What a retired object is; kept in the low bits of pointers to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// An entry, with the value that it then holds.
    Entry = 0,
    /// A value that was displaced from its entry.
    Value = 1,
    /// The head of a table.
    Table = 2,
    /// A node of a table's directory.
    Node = 3,
    /// A segment of a table.
    Segment = 4,
}

/// The right to free an object once its grace period is over.
///
/// # Invariants
///
/// Points to an object of its kind that begins with a [`Link`], that no published pointer reaches
/// (I11), and that nobody else has the right to free (I6).
pub(crate) struct Retired(NonNull<Link>);

impl Retired {
    const MASK: usize = 7;

    /// # Safety
    ///
    /// The invariants of the type.
    pub(crate) unsafe fn new<T>(kind: Kind, object: NonNull<T>) -> Self {
        const { assert!(align_of::<T>() > Self::MASK) };
        Self(object.cast::<Link>().map_addr(|a| a | kind as usize))
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.0.addr().get() & Self::MASK {
            0 => Kind::Entry,
            1 => Kind::Value,
            2 => Kind::Table,
            3 => Kind::Node,
            _ => Kind::Segment,
        }
    }

    fn link(&self) -> NonNull<Link> {
        let link = self.0.as_ptr().map_addr(|a| a & !Self::MASK);
        // SAFETY: Objects do not lie in the first eight bytes of the address space.
        unsafe { NonNull::new_unchecked(link) }
    }

    /// The object, which is of type `T` if that is what it was made from.
    pub(crate) fn object<T>(&self) -> NonNull<T> {
        self.link().cast()
    }
}

/// A private list of retired objects.
pub(crate) struct Chain {
    first: *mut Link,
    last: *mut Link,
    bytes: usize,
}

// SAFETY: A list of objects that the list has the right to free, which any thread may do.
unsafe impl Send for Chain {}

impl Chain {
    /// Bytes of the objects on the list.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn new() -> Self {
        Self {
            first: null_mut(),
            last: null_mut(),
            bytes: 0,
        }
    }

    /// Adds an object of `bytes` bytes.
    pub(crate) fn push(&mut self, retired: Retired, bytes: usize) {
        let link = retired.link().as_ptr();
        // SAFETY: By the invariant of `Retired` the link is valid, and ours.
        unsafe { (*link).set(self.first) };
        if self.first.is_null() {
            self.last = link;
        }
        self.first = retired.0.as_ptr();
        self.bytes += bytes;
    }

    /// Adds all objects of another list, in O(1).
    pub(crate) fn append(&mut self, other: Chain) {
        if other.first.is_null() {
            return;
        }
        // SAFETY: By the invariant of `Retired` the links of both lists are valid, and ours.
        unsafe { (*other.last).set(self.first) };
        if self.first.is_null() {
            self.last = other.last;
        }
        self.first = other.first;
        self.bytes += other.bytes;
    }
}

/// Who frees the objects of a map.
pub(crate) struct Owner {
    /// What `free` is called with.
    pub(crate) map: *const (),
    /// Frees a retired object that no reader has any more, in process context; returns the bytes
    /// with which it was retired.
    pub(crate) free: unsafe fn(*const (), Retired) -> usize,
}

/// Frees what a map has retired, a grace period later.
///
/// # Invariants
///
/// While `busy`, the one who set it owns `waiting` and `work` (litmus: busy).
#[pin_data(PinnedDrop)]
pub struct Reclaimer {
    /// What the map has allocated.
    pub ledger: Ledger,
    next: Atomic<*mut Link>,
    busy: Atomic<bool>,
    waiting: UnsafeCell<*mut Link>,
    retired_bytes: Atomic<usize>,
    cycles: Atomic<usize>,
    /// The task that is freeing objects now.
    runner: Atomic<*mut bindings::task_struct>,
    owner: Owner,
    #[pin]
    work: Opaque<bindings::rcu_work>,
    #[pin]
    queue: Opaque<bindings::wait_queue_head>,
}

// SAFETY: `waiting` and `work` are used by the holder of `busy` only; `owner.map` is used in the
// work only, where `free` requires that the map is `Sync`.
unsafe impl Send for Reclaimer {}
// SAFETY: As above.
unsafe impl Sync for Reclaimer {}

impl Reclaimer {
    /// # Safety
    ///
    /// `owner.free` may be called with `owner.map` and anything that is retired here, from any
    /// thread, until the reclaimer is dropped.
    pub(crate) unsafe fn new(owner: Owner, ledger: Ledger) -> impl PinInit<Self> {
        pin_init!(Self {
            ledger,
            next: Atomic::new(null_mut()),
            busy: Atomic::new(false),
            waiting: UnsafeCell::new(null_mut()),
            retired_bytes: Atomic::new(0),
            cycles: Atomic::new(0),
            runner: Atomic::new(null_mut()),
            owner,
            work <- Opaque::ffi_init(|work| {
                // SAFETY: `work` is valid for writes; `run` belongs to it.
                unsafe { syncmap_helper_init_rcu_work(work, Self::run) }
            }),
            queue <- Opaque::ffi_init(|queue| {
                // SAFETY: `queue` is valid for writes.
                unsafe { syncmap_helper_init_waitqueue(queue) }
            }),
        })
    }

    /// The map whose objects these are.
    pub(crate) fn map(&self) -> *const () {
        self.owner.map
    }

    /// Bytes that await a grace period.
    pub fn retired_bytes(&self) -> usize {
        // Acquire: who sees that less is retired sees that less is charged (litmus: charge-room).
        load_acquire(&self.retired_bytes)
    }

    /// Retires an object of `bytes` bytes. Any context but NMI.
    pub(crate) fn retire(&self, retired: Retired, bytes: usize) {
        let mut chain = Chain::new();
        chain.push(retired, bytes);
        self.retire_all(chain);
    }

    /// Retires the objects of a chain. Any context but NMI.
    pub(crate) fn retire_all(&self, chain: Chain) {
        if chain.first.is_null() {
            return;
        }
        self.retired_bytes.add(chain.bytes, Relaxed);
        let mut head = read_once(&self.next);
        loop {
            // SAFETY: The chain and with it its last link are ours until the exchange succeeds.
            unsafe { (*chain.last).set(head) };
            // Full: gives the links away (pairs with the exchange in `start`; litmus: push), comes
            // after all stores that unpublished the objects (I11; litmus: retire), and before the
            // load of `busy` in `start`, see there.
            match self.next.cmpxchg(head, chain.first, Full) {
                Ok(_) => break,
                Err(seen) => head = seen,
            }
        }
        self.start();
    }

    /// Starts a grace period for what is on `next`, unless one is in flight, whose end starts it.
    ///
    /// Either this sees that nobody is busy, or the one who is sees, after it has cleared `busy`,
    /// what was pushed before: both sides have a full barrier between their store and their load
    /// (the pattern SB of the memory model; litmus: start).
    fn start(&self) {
        if read_once(&self.next).is_null() || read_once(&self.busy) || self.busy.xchg(true, Full) {
            return;
        }
        // Full: takes the links over; pairs with the exchange in `retire_all` (litmus: push). There are
        // none if another one was faster and has finished meanwhile; but who has seen us busy waits
        // for the end of it.
        let list = self.next.xchg(null_mut(), Full);
        // SAFETY: We hold `busy`, so `waiting` is ours, and the work is not pending: it is queued by
        // holders of `busy` only, and clears `busy` after it has begun to run. The grace period
        // starts here, after every object of `list` was unpublished (I11).
        unsafe {
            *self.waiting.get() = list;
            syncmap_helper_queue_rcu_work(self.work.get());
        }
    }

    /// Runs in process context when the grace period for `waiting` is over.
    ///
    /// # Safety
    ///
    /// `work` is in the `work` of a reclaimer, whose `busy` is set on behalf of this function.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: `work` is the member of an `rcu_work`, which is `work` of a `Reclaimer`, which is
        // not freed before it has waited for this function (see `drop`).
        let this = unsafe {
            let rcu_work = container_of!(work, bindings::rcu_work, work);
            &*container_of!(Opaque::cast_from(rcu_work), Reclaimer, work)
        };
        this.runner.store(Task::current_raw(), Relaxed);
        // SAFETY: `busy` was set by the one who queued this work and passed to it.
        let list = unsafe { core::mem::replace(&mut *this.waiting.get(), null_mut()) };
        // SAFETY: The links were given to us by `retire_all`, and the grace period is over.
        unsafe {
            this.free(list, |bytes| {
                trace_freed(this.owner.map, bytes);
                // Release: after what was uncharged; pairs with the acquire in `retired_bytes`
                // (litmus: charge-room).
                this.retired_bytes.fetch_add(bytes.wrapping_neg(), Release);
            });
        }
        // Full: what was freed is uncharged before a waiter sees the cycle (litmus: charge).
        this.cycles.fetch_add(1, Full);
        this.runner.store(null_mut(), Relaxed);
        this.busy.xchg(false, Full);
        this.wake_up();
        this.start();
    }

    /// Frees the objects of a list, and tells now and then how many bytes they had.
    ///
    /// # Safety
    ///
    /// The list is the caller's, and no reader has any of the objects. Process context.
    unsafe fn free(&self, mut at: *mut Link, tell: impl Fn(usize)) {
        while !at.is_null() {
            let mut freed = 0usize;
            for _ in 0..FREE_BATCH {
                let Some(link) = NonNull::new(at) else {
                    break;
                };
                let retired = Retired(link);
                // SAFETY: By the contract of the function.
                at = unsafe { retired.link().as_ref() }.get();
                // SAFETY: By the contract of the function, and by I6 we are the only ones to free it.
                freed += unsafe { (self.owner.free)(self.owner.map, retired) };
            }
            tell(freed);
            cond_resched();
        }
    }

    /// Frees the objects of a chain that was never given to [`Reclaimer::retire_all`].
    ///
    /// # Safety
    ///
    /// No reader has any of them. Process context.
    pub(crate) unsafe fn free_at_once(&self, chain: Chain) {
        // SAFETY: By the contract of the function.
        unsafe { self.free(chain.first, |_| ()) };
    }

    /// Charges `bytes`.
    ///
    /// If that exceeds the limit and `flags` allow sleeping, waits for what is retired to be freed:
    /// `EDQUOT` if there is no room even so, or if others have always been faster to take it;
    /// `EINTR` if a fatal signal arrives.
    pub(crate) fn charge(&self, bytes: usize, flags: Flags) -> Result<Charge<'_>> {
        for _ in 0..CHARGE_CYCLES {
            // In this order: what is freed after the failed charge was retired before it
            // (litmus: charge, charge-room).
            let seen = self.cycle();
            let retired = self.retired_bytes();
            if let Some(charge) = self.ledger.charge(bytes) {
                return Ok(charge);
            }
            let hopeless = retired == 0 || !self.ledger.has_room(bytes, retired);
            if hopeless || !flags.contains(GFP_KERNEL) {
                break;
            }
            self.wait(seen)?;
        }
        Err(edquot())
    }

    /// The number of times that retired objects have been freed; see [`Reclaimer::wait`].
    ///
    /// Acquire: pairs with the Full addition in `run` (litmus: charge).
    pub(crate) fn cycle(&self) -> usize {
        self.cycles.load(Acquire)
    }

    /// Waits until objects have been freed again after `seen` was returned by [`Reclaimer::cycle`].
    /// Something must be retired. Sleeps; `EINTR` if a fatal signal arrives, `EBUSY` if the caller
    /// is the destructor of a value, which runs in the very work that it would wait for.
    pub(crate) fn wait(&self, seen: usize) -> Result {
        if self.is_running_here() {
            return Err(EBUSY);
        }
        // SAFETY: `queue` was initialised by `new`, `cycles` is valid for atomic reads.
        let ret = unsafe {
            syncmap_helper_wait_cycle(self.queue.get(), self.cycles.as_ptr().cast_const(), seen)
        };
        if ret == 0 {
            Ok(())
        } else {
            Err(EINTR)
        }
    }

    /// Whether the caller is the work itself.
    fn is_running_here(&self) -> bool {
        self.runner.load(Relaxed) == Task::current_raw()
    }

    /// Whether nothing is retired, and nothing being freed.
    fn is_idle(&self) -> bool {
        // In this order, and in one cycle: a batch goes from `next` to `waiting` under `busy`, and
        // what is freed may be retiring another one (litmus: idle).
        let seen = self.cycle();
        let idle = self.next.load(Acquire).is_null() && !self.busy.load(Acquire);
        idle && self.cycle() == seen
    }

    /// Waits until everything that was retired so far has been freed. Sleeps, for up to two grace
    /// periods. Does nothing in the destructor of a value, where it would wait for itself.
    pub(crate) fn drain(&self) {
        let begin = self.cycle();
        while !self.is_running_here() && !self.is_idle() {
            // One cycle may have been in flight already; the next one frees all the rest
            // (litmus: drain).
            let seen = self.cycle();
            if seen.wrapping_sub(begin) >= 2 {
                break;
            }
            self.start();
            // SAFETY: `queue` was initialised by `new`, the others are valid for atomic reads.
            unsafe {
                syncmap_helper_wait_cycle_or_idle(
                    self.queue.get(),
                    self.cycles.as_ptr().cast_const(),
                    seen,
                    self.busy.as_ptr().cast_const(),
                )
            };
        }
    }

    fn wake_up(&self) {
        // SAFETY: `queue` was initialised by `new`.
        unsafe { syncmap_helper_wake_up_all(self.queue.get()) };
    }
}

#[pinned_drop]
impl PinnedDrop for Reclaimer {
    /// I8: after this, nothing of the reclaimer is queued or runs.
    fn drop(self: Pin<&mut Self>) {
        while !self.is_idle() {
            self.drain();
        }
        // The last holder of `busy` may have cleared it and be about to return.
        // SAFETY: It was initialised by `new`.
        unsafe { bindings::flush_rcu_work(self.work.get()) };
    }
}

/// A reference to an entry or a table of a map, for as long as it is protected.
///
/// A pointer rather than a reference underneath: it keeps the right to free the object, which a
/// shared reference would lose.
pub struct Shared<'p, T: ?Sized> {
    ptr: NonNull<T>,
    _protected: PhantomData<&'p T>,
}

impl<T: ?Sized> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Shared<'_, T> {}

impl<'p, T: ?Sized> Shared<'p, T> {
    /// # Safety
    ///
    /// `ptr` is valid for `'p`, and shared.
    pub(crate) unsafe fn new(ptr: NonNull<T>) -> Self {
        Self {
            ptr,
            _protected: PhantomData,
        }
    }

    pub(crate) fn as_ptr(self) -> NonNull<T> {
        self.ptr
    }

    /// The same as a reference, for the whole of its life.
    pub(crate) fn get(self) -> &'p T {
        // SAFETY: By the contract of `new`.
        unsafe { self.ptr.as_ref() }
    }
}

impl<T: ?Sized> core::ops::Deref for Shared<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.get()
    }
}

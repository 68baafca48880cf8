// SPDX-License-Identifier: GPL-2.0

//! Freeing what a map has retired.
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
//! The work runs on a workqueue without a rescuer, which must not be waited for in memory reclaim. It
//! never is: the library registers no shrinker, and the only ones that wait for it are the end of a
//! map, Clear, and a writer at a limit of its own, none of which reclaim calls. It calls destructors,
//! too, which may do what `WQ_MEM_RECLAIM` forbids.

use core::cell::{Cell, UnsafeCell};
use core::ptr::{null_mut, NonNull};
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed};
use kernel::task::Task;
use kernel::types::Opaque;
use kernel::{bindings, container_of};

use crate::atomic::{read_once, write_once};
use crate::helpers::*;
use crate::quota::{Account, Ledger, Returns, Short};

/// Objects that are freed between two chances for others to run.
const FREE_BATCH: usize = 32;

/// The list link that every retirable object begins with.
///
/// Changing a link takes the right to retire the object (I6): it belongs to the holder of the map's
/// lock, or, if that is an entry that is on no list, and in one segment only, of that segment's; then to
/// the thread that retires the object, then to the reclaimer. It passes by the Full exchanges on
/// `Reclaimer::next`.
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

    /// Changes what the link holds; for the owner of the object's retirement.
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

/// A list of retired objects that its owner has not given to a [`Reclaimer`] yet.
pub(crate) struct RetireList {
    first: *mut Link,
    last: *mut Link,
    bytes: usize,
}

// SAFETY: A list of objects that the list has the right to free, which any thread may do.
unsafe impl Send for RetireList {}

impl RetireList {
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
    pub(crate) fn append(&mut self, other: RetireList) {
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

/// The owner of the objects that a [`Reclaimer`] frees: a map.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    /// What `free` is called with.
    pub(crate) map: *const (),
    /// Frees a retired object that no reader has any more, in process context; returns the bytes
    /// with which it was retired. If the destructor of a value or a key ends the map, it sets the flag,
    /// and nothing of the map may be used after that.
    pub(crate) free: unsafe fn(*const (), Retired, &Ended) -> usize,
}

/// Whether the map has ended while its objects are freed.
pub(crate) struct Ended(Cell<bool>);

impl Ended {
    /// Not yet.
    pub(crate) const fn never() -> Self {
        Ended(Cell::new(false))
    }

    pub(crate) fn get(&self) -> bool {
        self.0.get()
    }
}

/// What every thread that retires something changes.
#[pin_data]
#[repr(C)]
struct Intake {
    next: Atomic<*mut Link>,
    busy: Atomic<bool>,
    /// What comes back to the map.
    #[pin]
    returns: Returns,
}

impl Intake {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            next: Atomic::new(null_mut()),
            busy: Atomic::new(false),
            returns <- Returns::new(),
        })
    }
}

/// Frees what a map has retired, a grace period later.
///
/// # Invariants
///
/// While `busy`, the thread that set it owns `waiting` and `work` (litmus: busy).
// In this order, so that what many change is not next to what many read.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub struct Reclaimer {
    /// What the map has allocated.
    pub ledger: Ledger,
    waiting: UnsafeCell<*mut Link>,
    /// How often objects have been freed.
    cycles: Atomic<usize>,
    /// The task that is freeing objects now.
    runner: Atomic<*mut bindings::task_struct>,
    /// Where that task learns that the map has ended meanwhile.
    ended: Atomic<*mut Ended>,
    owner: Owner,
    #[pin]
    work: Opaque<bindings::rcu_work>,
    #[pin]
    intake: Intake,
}

// SAFETY: `waiting` and `work` are used by the holder of `busy` only; `owner.map` is used in the
// work only, where `free` requires that the map is `Sync`; what `ended` points to is used by the
// task that runs the work only.
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
            intake <- Intake::new(),
            waiting: UnsafeCell::new(null_mut()),
            cycles: Atomic::new(0),
            runner: Atomic::new(null_mut()),
            ended: Atomic::new(null_mut()),
            owner,
            work <- Opaque::ffi_init(|work| {
                // SAFETY: `work` is valid for writes; `run` belongs to it.
                unsafe { syncmap_helper_init_rcu_work(work, Self::run) }
            }),
        })
    }

    /// The map whose objects these are.
    pub(crate) fn map(&self) -> *const () {
        self.owner.map
    }

    /// Bytes that await a grace period.
    pub fn retired_bytes(&self) -> usize {
        self.intake.returns.retired()
    }

    /// What comes back to the map, and to others that share its account.
    fn all_returns(&self) -> impl Iterator<Item = &Returns> {
        let shared = self.ledger.account().map(Account::returns);
        Iterator::chain(core::iter::once(&self.intake.returns), shared)
    }

    /// What comes back within the limit that has refused a charge.
    pub(crate) fn returns(&self, short: Short) -> &Returns {
        match (short, self.ledger.account()) {
            (Short::Account, Some(account)) => account.returns(),
            _ => &self.intake.returns,
        }
    }

    /// Announces work that retires something later, by itself.
    pub(crate) fn expect_more(&self) {
        self.all_returns().for_each(Returns::expect_more);
    }

    /// Takes back what was announced, as another thread has announced the same work.
    pub(crate) fn expected_already(&self) {
        self.all_returns().for_each(Returns::expected_already);
    }

    /// The end of announced work. Process context.
    pub(crate) fn expect_no_more(&self) {
        self.all_returns().for_each(Returns::expect_no_more);
    }

    /// Retires an object of `bytes` bytes. Any context but NMI.
    pub(crate) fn retire(&self, retired: Retired, bytes: usize) {
        let mut list = RetireList::new();
        list.push(retired, bytes);
        self.retire_all(list);
    }

    /// Retires the objects of a list. Any context but NMI.
    pub(crate) fn retire_all(&self, list: RetireList) {
        if list.first.is_null() {
            return;
        }
        self.intake.returns.add_retired(list.bytes);
        if let Some(account) = self.ledger.account() {
            account.returns().add_retired(list.bytes);
        }
        let mut head = read_once(&self.intake.next);
        loop {
            // SAFETY: The list and with it its last link are ours until the exchange succeeds.
            unsafe { (*list.last).set(head) };
            // Full: gives the links away (pairs with the exchange in `start`; litmus: push), comes
            // after all stores that unpublished the objects (I11; litmus: retire), and before the
            // load of `busy` in `start`, see there.
            match self.intake.next.cmpxchg(head, list.first, Full) {
                Ok(_) => break,
                Err(seen) => head = seen,
            }
        }
        self.start();
    }

    /// Starts a grace period for what is on `next`, unless one is in flight, whose end starts it.
    ///
    /// Either this sees that nobody is busy, or the thread that is sees, after it has cleared `busy`,
    /// what was pushed before: both sides have a full barrier between their store and their load
    /// (the pattern SB of the memory model; litmus: start).
    fn start(&self) {
        if read_once(&self.intake.next).is_null()
            || read_once(&self.intake.busy)
            || self.intake.busy.xchg(true, Full)
        {
            return;
        }
        // Full: takes the links over; pairs with the exchange in `retire_all` (litmus: push). There are
        // none if another thread was faster and has finished meanwhile; but a thread that has seen us
        // busy waits for the end of it.
        let list = self.intake.next.xchg(null_mut(), Full);
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
        // not freed before it has waited for this function (see `drop`), unless `ended` is set.
        let this = unsafe {
            let rcu_work = container_of!(work, bindings::rcu_work, work);
            &*container_of!(Opaque::cast_from(rcu_work), Reclaimer, work)
        };
        let ended = Ended::never();
        this.ended.store((&raw const ended).cast_mut(), Relaxed);
        this.runner.store(Task::current_raw(), Relaxed);
        // SAFETY: `busy` was set by the thread that queued this work and passed to it.
        let list = unsafe { core::mem::replace(&mut *this.waiting.get(), null_mut()) };
        let tell = |bytes| {
            trace_freed(this.owner.map, bytes);
            this.all_returns().for_each(|r| r.subtract_retired(bytes));
        };
        // SAFETY: The links were given to us by `retire_all`, and the grace period is over.
        unsafe { this.free(list, tell, &ended) };
        if ended.get() {
            // The reclaimer is gone.
            return;
        }
        this.runner.store(null_mut(), Relaxed);
        // Before `busy` is cleared: `is_idle` goes by both.
        this.cycles.fetch_add(1, Full);
        this.all_returns().for_each(Returns::count_cycle);
        this.intake.busy.xchg(false, Full);
        this.all_returns().for_each(Returns::wake_up);
        this.start();
    }

    /// Frees the objects of a list, and tells now and then how many bytes they had. Stops if the
    /// destructor of one has ended the map.
    ///
    /// # Safety
    ///
    /// The list is the caller's, and no reader has any of the objects. Process context.
    unsafe fn free(&self, mut at: *mut Link, tell: impl Fn(usize), ended: &Ended) {
        let Owner { map, free } = self.owner;
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
                freed += unsafe { free(map, retired, ended) };
                if ended.get() {
                    return;
                }
            }
            tell(freed);
            cond_resched();
        }
    }

    /// Frees the objects of a list that was never given to [`Reclaimer::retire_all`].
    ///
    /// # Safety
    ///
    /// No reader has any of them. Process context.
    pub(crate) unsafe fn free_at_once(&self, list: RetireList) {
        // SAFETY: By the contract of the function.
        unsafe { self.free(list.first, |_| (), &Ended::never()) };
    }

    /// Waits until something has come back within a limit after `seen` was returned by
    /// [`Returns::cycle`]. Something must be on its way. Sleeps.
    ///
    /// `EINTR` if a fatal signal arrives. `EBUSY` in the destructor of a value of this map, which runs
    /// in the very work that it would wait for; and, after ten seconds, in other work: two maps whose
    /// destructors wait for each other would do so for ever.
    pub(crate) fn wait(&self, short: Short, seen: usize) -> Result {
        if self.is_running_here() {
            return Err(EBUSY);
        }
        self.returns(short).wait(seen)
    }

    /// Whether the caller is the work itself.
    pub(crate) fn is_running_here(&self) -> bool {
        self.runner.load(Relaxed) == Task::current_raw()
    }

    /// Makes the work that is running here forget the map, which its destructor is about to end.
    pub(crate) fn abandon(&self) {
        // SAFETY: The caller is the work itself, and the flag a variable of it.
        unsafe { &*self.ended.load(Relaxed) }.0.set(true);
    }

    /// How often retired objects of this map have been freed. Acquire: pairs with the Full addition
    /// in `run` (litmus: idle, drain).
    fn cycle(&self) -> usize {
        self.cycles.load(Acquire)
    }

    /// Whether nothing is retired, and nothing being freed.
    fn is_idle(&self) -> bool {
        // In this order, and in one cycle: a batch goes from `next` to `waiting` under `busy`, and
        // what is freed may be retiring another one (litmus: idle).
        let seen = self.cycle();
        let idle = self.intake.next.load(Acquire).is_null() && !self.intake.busy.load(Acquire);
        idle && self.cycle() == seen
    }

    /// Waits until everything that was retired so far has been freed. Sleeps, for up to three grace
    /// periods. Does nothing in the destructor of a value, where it would wait for itself.
    pub(crate) fn drain(&self) {
        let begin = self.cycle();
        while !self.is_running_here() && !self.is_idle() {
            // One cycle may have been in flight already; the next one frees all the rest (litmus: drain),
            // except what a table has taken along, and that is settled then.
            let seen = self.cycle();
            if seen.wrapping_sub(begin) >= 3 {
                break;
            }
            self.start();
            self.intake
                .returns
                .wait_or_idle(&self.cycles, seen, &self.intake.busy);
        }
    }
}

#[pinned_drop]
impl PinnedDrop for Reclaimer {
    /// I8: after this, nothing of the reclaimer is queued or runs; unless it is dropped by its own work,
    /// which then does nothing more with it.
    fn drop(self: Pin<&mut Self>) {
        if self.is_running_here() {
            // What was retired is lost, and does not come back.
            if let Some(account) = self.ledger.account() {
                account.returns().give_up(&self.intake.returns);
            }
            return;
        }
        while !self.is_idle() {
            self.drain();
        }
        // The last holder of `busy` may have cleared it and be about to return.
        // SAFETY: It was initialised by `new`.
        unsafe { bindings::flush_rcu_work(self.work.get()) };
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What a map may hold, what it holds now, and what comes back.
//!
//! Everything a map allocates is charged here before it is allocated and uncharged when it is
//! freed, so that what is retired and awaits its grace period counts like what is alive. A writer
//! that may sleep waits for what comes back by itself before it is told that a limit is reached.

use kernel::alloc::Flags;
use kernel::bindings;
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed, Release};
use kernel::sync::Arc;
use kernel::types::Opaque;

use crate::atomic::{load_acquire, read_once};
use crate::counter::Counters;
use crate::gfp::may_block;
use crate::helpers::*;

/// `EDQUOT`, for which 7.2 has no name.
pub fn edquot() -> Error {
    Error::from_errno(-(bindings::EDQUOT as i32))
}

/// Limits of a map; [`Limits::NONE`] is the default.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Greatest number of live keys. Exact: a store is refused only if at some instant of the call
    /// the map had as many *other* keys. A map with this limit takes its lock when it deletes a key.
    pub entries: usize,
    /// Greatest number of bytes: keys, values, tables, and what awaits a grace period.
    pub bytes: usize,
    /// Greatest number of buckets in the chain that a new key joins. Keys that collide beyond it
    /// are refused with `E2BIG`, so that they cost the caller who chose them and no other, and so that
    /// the time under the lock of the map is bounded.
    pub chain: usize,
}

/// Buckets of seven keys in a chain: out of reach of keys that are not chosen against the seed.
const CHAIN: usize = 32;

impl Limits {
    /// No limits, but on collisions: 224 keys that agree in the 24 bits of their hash that lead to a
    /// segment.
    pub const NONE: Limits = Limits {
        entries: usize::MAX,
        bytes: usize::MAX,
        chain: CHAIN,
    };
}

/// A number of bytes that must not exceed a limit.
struct Tally {
    bytes: Atomic<usize>,
    max: usize,
}

impl Tally {
    fn new(max: usize) -> Self {
        Self {
            bytes: Atomic::new(0),
            max,
        }
    }

    fn bytes(&self) -> usize {
        read_once(&self.bytes)
    }

    /// Adds `bytes`, or returns false if that would exceed the limit.
    fn add(&self, bytes: usize) -> bool {
        let mut now = self.bytes();
        while let Some(next) = now.checked_add(bytes).filter(|n| *n <= self.max) {
            // Relaxed: tallies count, they publish nothing.
            match self.bytes.cmpxchg(now, next, Relaxed) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
    }

    fn subtract(&self, bytes: usize) {
        self.bytes.add(bytes.wrapping_neg(), Relaxed);
    }

    /// Whether there would be room for `bytes` if `freed` were subtracted first.
    fn has_room(&self, bytes: usize, freed: usize) -> bool {
        let rest = self.bytes().saturating_sub(freed);
        rest.checked_add(bytes).is_some_and(|sum| sum <= self.max)
    }
}

/// The bytes that several maps may have together, such as those of one owner; see [`Options`].
///
/// [`Options`]: crate::Options
#[pin_data]
pub struct Account {
    tally: Tally,
    /// What comes back from all maps of the account.
    #[pin]
    returns: Returns,
}

impl Account {
    /// An account that refuses charges beyond `max` bytes.
    pub fn new(max: usize) -> impl PinInit<Self> {
        pin_init!(Self {
            tally: Tally::new(max),
            returns <- Returns::new(),
        })
    }

    /// Bytes charged now.
    pub fn bytes(&self) -> usize {
        self.tally.bytes()
    }

    /// Charges `bytes` that belong to no map's ledger. If that exceeds the limit and `flags` allow
    /// sleeping, waits for what comes back from the maps of the account. `EDQUOT` or `EINTR`.
    pub fn charge(&self, bytes: usize, flags: Flags) -> Result {
        self.patiently(bytes, flags, || self.tally.add(bytes).then_some(()))
    }

    /// Tries to charge `bytes` until that succeeds, or nothing comes back any more.
    fn patiently<T>(
        &self,
        bytes: usize,
        flags: Flags,
        mut charge: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let mut patience = Patience::new();
        while patience.lasts() {
            // In this order, see `Returns::outlook`.
            let outlook = self.returns.outlook();
            if let Some(charged) = charge() {
                return Ok(charged);
            }
            let hopeless = |coming| coming == 0 || !self.tally.has_room(bytes, coming);
            if !may_block(flags) || outlook.bytes().is_some_and(hopeless) {
                break;
            }
            self.returns.wait(outlook.cycle)?;
        }
        Err(edquot())
    }

    /// Takes such a charge back.
    pub fn uncharge(&self, bytes: usize) {
        self.tally.subtract(bytes);
    }

    pub(crate) fn returns(&self) -> &Returns {
        &self.returns
    }
}

/// How long a charge that exceeds a limit waits for memory to come back, as long as there is some on its
/// way.
///
/// Not less than a number of cycles, as others may be faster to take what comes; and not less than twice
/// the time that a sweep waits, as other maps of an account may have many cycles that bring little.
pub(crate) struct Patience {
    cycles: usize,
    start: usize,
}

impl Patience {
    const CYCLES: usize = 16;
    const TICKS: usize = 2 * bindings::HZ as usize;

    pub(crate) fn new() -> Self {
        Self {
            cycles: 0,
            start: jiffies(),
        }
    }

    /// Whether to try, and then to wait, once more.
    pub(crate) fn lasts(&mut self) -> bool {
        self.cycles += 1;
        self.cycles <= Self::CYCLES || jiffies().wrapping_sub(self.start) < Self::TICKS
    }
}

/// Ticks after which a thread that waits looks again.
const PATIENCE: usize = 10 * bindings::HZ as usize;

/// The memory that comes back by itself within a limit, and those who wait for it.
#[pin_data]
pub(crate) struct Returns {
    /// Bytes that await a grace period.
    retired: Atomic<usize>,
    /// Deferred work that will retire more: promotions and sweeps.
    due: Atomic<usize>,
    /// How often something has come back, or such work has ended.
    cycles: Atomic<usize>,
    #[pin]
    queue: Opaque<bindings::wait_queue_head>,
}

// SAFETY: A wait queue may be used by any thread.
unsafe impl Send for Returns {}
// SAFETY: As above, and at the same time.
unsafe impl Sync for Returns {}

/// What was on its way back at an instant.
#[derive(Clone, Copy)]
pub(crate) struct Outlook {
    /// See [`Returns::cycle`].
    pub(crate) cycle: usize,
    retired: usize,
    due: usize,
}

impl Outlook {
    /// Bytes that come back with the next grace periods; `None` if it cannot be told how many, as
    /// work is due that retires more.
    pub(crate) fn bytes(&self) -> Option<usize> {
        (self.due == 0).then_some(self.retired)
    }
}

impl Returns {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            retired: Atomic::new(0),
            due: Atomic::new(0),
            cycles: Atomic::new(0),
            queue <- Opaque::ffi_init(|queue| {
                // SAFETY: `queue` is valid for writes.
                unsafe { syncmap_helper_init_waitqueue(queue) }
            }),
        })
    }

    pub(crate) fn retired(&self) -> usize {
        // Acquire: a thread that sees that less is retired sees that less is charged
        // (litmus: charge-room).
        load_acquire(&self.retired)
    }

    pub(crate) fn add_retired(&self, bytes: usize) {
        self.retired.add(bytes, Relaxed);
    }

    pub(crate) fn subtract_retired(&self, bytes: usize) {
        // Release: after what was uncharged; pairs with the acquire in `retired`
        // (litmus: charge-room).
        self.retired.fetch_add(bytes.wrapping_neg(), Release);
    }

    pub(crate) fn expect_more(&self) {
        self.due.add(1, Relaxed);
    }

    pub(crate) fn expected_already(&self) {
        self.due.add(1usize.wrapping_neg(), Relaxed);
    }

    pub(crate) fn expect_no_more(&self) {
        // Release: after what that work has retired; pairs with the acquire in `outlook`.
        self.due.fetch_add(1usize.wrapping_neg(), Release);
        self.count_cycle();
        self.wake_up();
    }

    /// What is on its way. To be asked before a charge that may fail: what comes back after the failed
    /// charge was on its way before it (litmus: charge, charge-room).
    pub(crate) fn outlook(&self) -> Outlook {
        let cycle = self.cycle();
        let due = load_acquire(&self.due);
        Outlook {
            cycle,
            retired: self.retired(),
            due,
        }
    }

    /// How often something has come back; see [`Returns::wait`].
    ///
    /// Acquire: pairs with the Full addition in `count_cycle` (litmus: charge).
    pub(crate) fn cycle(&self) -> usize {
        self.cycles.load(Acquire)
    }

    /// Full: what was freed is uncharged before a waiter sees the cycle (litmus: charge).
    pub(crate) fn count_cycle(&self) {
        self.cycles.fetch_add(1, Full);
    }

    pub(crate) fn wake_up(&self) {
        // SAFETY: `queue` was initialised by `new`.
        unsafe { syncmap_helper_wake_up_all(self.queue.get()) };
    }

    /// Forgets what was on its way from a map that has been given up.
    pub(crate) fn give_up(&self, map: &Returns) {
        self.subtract_retired(map.retired());
        let due = load_acquire(&map.due);
        self.due.fetch_add(due.wrapping_neg(), Release);
    }

    /// See [`Reclaimer::wait`](crate::reclaim::Reclaimer::wait). Returns after ten seconds in any case, for
    /// the caller to look again: work that was announced may have been announced twice.
    pub(crate) fn wait(&self, seen: usize) -> Result {
        // SAFETY: `queue` was initialised by `new`, `cycles` is valid for atomic reads.
        let left = unsafe {
            let cycles = self.cycles.as_ptr().cast_const();
            syncmap_helper_wait_cycle(self.queue.get(), cycles, seen, PATIENCE)
        };
        match left {
            0 if syncmap_helper_is_worker() => Err(EBUSY),
            _ if left < 0 => Err(EINTR),
            _ => Ok(()),
        }
    }

    /// Waits until `cycles` is no longer `seen`, or `busy` is false. Both must be changed before
    /// [`Returns::wake_up`].
    pub(crate) fn wait_or_idle(&self, cycles: &Atomic<usize>, seen: usize, busy: &Atomic<bool>) {
        // SAFETY: `queue` was initialised by `new`, the others are valid for atomic reads.
        unsafe {
            syncmap_helper_wait_cycle_or_idle(
                self.queue.get(),
                cycles.as_ptr().cast_const(),
                seen,
                busy.as_ptr().cast_const(),
            )
        };
    }
}

/// The limit that has refused a charge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Short {
    /// That of the map.
    Map,
    /// That of its account.
    Account,
}

/// The bytes that a map has allocated.
pub struct Ledger {
    own: Own,
    account: Option<Arc<Account>>,
}

/// The bytes of one map.
enum Own {
    /// With a limit, or in an account, in one place: the limit is exact.
    Limited(Tally),
    /// Without, by each processor.
    Counted(Counters<1>),
}

/// Bytes that a processor counts by itself at most.
const BATCH: usize = 64 << 10;

impl Own {
    #[inline]
    fn add(&self, bytes: usize) -> bool {
        match self {
            Own::Limited(tally) => tally.add(bytes),
            Own::Counted(counters) => {
                counters.add(0, bytes as isize, BATCH);
                true
            }
        }
    }

    fn subtract(&self, bytes: usize) {
        match self {
            Own::Limited(tally) => tally.subtract(bytes),
            Own::Counted(counters) => counters.add(0, -(bytes as isize), BATCH),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Own::Limited(tally) => tally.bytes(),
            Own::Counted(counters) => usize::try_from(counters.sum(0)).unwrap_or(0),
        }
    }
}

impl Ledger {
    /// A ledger that refuses charges beyond `max` bytes, or beyond what `account` allows. Sleeps if `flags`
    /// allow it.
    pub fn new(max: usize, account: Option<Arc<Account>>, flags: Flags) -> Result<Self> {
        // An account is one place for all in any case.
        let own = match (max, &account) {
            (usize::MAX, None) => Own::Counted(Counters::new(flags)?),
            _ => Own::Limited(Tally::new(max)),
        };
        Ok(Self { own, account })
    }

    /// Bytes charged now. O(processors) without a limit.
    pub fn bytes(&self) -> usize {
        self.own.bytes()
    }

    /// What the map shares a limit of bytes with.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.account.as_deref()
    }

    /// Charges `bytes`, or says which limit that would exceed. Any context.
    #[inline]
    pub fn charge(&self, bytes: usize) -> core::result::Result<Charge<'_>, Short> {
        if !self.own.add(bytes) {
            return Err(Short::Map);
        }
        if let Some(account) = &self.account {
            if !account.tally.add(bytes) {
                self.own.subtract(bytes);
                return Err(Short::Account);
            }
        }
        Ok(self.adopt(bytes))
    }

    /// Charges `bytes` of a map that is being made, and has nothing that could come back itself; as
    /// [`Account::charge`].
    pub(crate) fn charge_new(&self, bytes: usize, flags: Flags) -> Result<Charge<'_>> {
        match &self.account {
            Some(account) => account.patiently(bytes, flags, || self.charge(bytes).ok()),
            None => self.charge(bytes).map_err(|_| edquot()),
        }
    }

    /// Whether `bytes` would be within a limit if `freed` were uncharged first.
    pub(crate) fn has_room(&self, short: Short, bytes: usize, freed: usize) -> bool {
        match (short, &self.account, &self.own) {
            (Short::Account, Some(account), _) => account.tally.has_room(bytes, freed),
            (_, _, Own::Limited(tally)) => tally.has_room(bytes, freed),
            (_, _, Own::Counted(_)) => true,
        }
    }

    /// A charge of `bytes` that was kept before.
    pub(crate) fn adopt(&self, bytes: usize) -> Charge<'_> {
        Charge {
            ledger: self,
            bytes,
        }
    }

    /// Takes back a charge whose object has been freed. Any context.
    pub fn uncharge(&self, bytes: usize) {
        self.own.subtract(bytes);
        if let Some(account) = &self.account {
            account.tally.subtract(bytes);
        }
    }
}

impl Drop for Ledger {
    /// What a map has lost, it takes off the account: memory that is never freed, as of a map that was
    /// ended by one of its own values.
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.tally.subtract(self.own.bytes());
        }
    }
}

/// A charge for something that is not part of the map yet; dropping it takes the charge back.
pub struct Charge<'m> {
    ledger: &'m Ledger,
    bytes: usize,
}

impl<'m> Charge<'m> {
    /// What it is on.
    pub(crate) fn ledger(&self) -> &'m Ledger {
        self.ledger
    }

    /// Takes all of it back but `bytes`.
    pub(crate) fn reduce(&mut self, bytes: usize) {
        let rest = self.bytes.saturating_sub(bytes);
        self.ledger.uncharge(rest);
        self.bytes -= rest;
    }

    /// Whether this is a charge on `ledger`.
    pub(crate) fn is_on(&self, ledger: &Ledger) -> bool {
        core::ptr::eq(self.ledger, ledger)
    }

    /// Leaves the charge with the ledger: the object belongs to the map from now on.
    pub fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        self.ledger.uncharge(self.bytes);
    }
}

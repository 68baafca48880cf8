// SPDX-License-Identifier: GPL-2.0

//! Locks, whatever they are made of, and raw spinlocks to make them of.

use crate::ffi::{c_char, c_uint, c_ulong, c_void};
use crate::machine::{self, RawGuard, RawMutex};
use crate::types::Opaque;
use core::cell::UnsafeCell;
use core::convert::Infallible;
use core::ffi::CStr;
use core::marker::PhantomData;
use core::ops::Deref;
use pinned_init::PinInit;

/// What a lock is made of.
///
/// # Safety
///
/// Excludes all others from `lock` to `unlock`.
pub unsafe trait Backend {
    /// The lock itself.
    type State;
    /// What there is to be known at its end.
    type GuardState;

    /// # Safety
    ///
    /// `ptr` is valid for writes.
    unsafe fn init(ptr: *mut Self::State, name: *const c_char, key: *mut lock_class_key);

    /// # Safety
    ///
    /// `ptr` was initialised, here and below.
    unsafe fn lock(ptr: *mut Self::State) -> Self::GuardState;

    /// # Safety
    ///
    /// As for `lock`.
    unsafe fn try_lock(ptr: *mut Self::State) -> Option<Self::GuardState>;

    /// # Safety
    ///
    /// As for `lock`, and the caller holds it.
    unsafe fn unlock(ptr: *mut Self::State, guard_state: &Self::GuardState);

    /// # Safety
    ///
    /// As for `lock`.
    unsafe fn assert_is_held(ptr: *mut Self::State);
}

/// A class of locks, of which nothing is known here.
#[repr(C)]
pub struct lock_class_key {
    _place: usize,
}

/// A class of locks.
#[derive(Clone, Copy)]
pub struct LockClassKey;

/// Makes a class of locks.
#[macro_export]
macro_rules! static_lock_class {
    () => {
        $crate::sync::lock::LockClassKey
    };
}

/// A lock, and what it guards.
pub struct Lock<T, B: Backend> {
    state: Opaque<B::State>,
    data: UnsafeCell<T>,
}

// SAFETY: Owns a `T`.
unsafe impl<T: Send, B: Backend> Send for Lock<T, B> {}
// SAFETY: Only the thread that holds the lock gets at the data.
unsafe impl<T: Send, B: Backend> Sync for Lock<T, B> {}

/// A lock, held.
pub struct Guard<'a, T, B: Backend> {
    lock: &'a Lock<T, B>,
    state: B::GuardState,
    _not_send: PhantomData<*mut ()>,
}

impl<T, B: Backend> Lock<T, B> {
    /// A lock that nobody holds.
    pub fn new(data: T, name: &'static CStr, _: LockClassKey) -> impl PinInit<Self, Infallible> {
        let init = move |slot: *mut Self| {
            // SAFETY: The slot is valid for writes.
            unsafe {
                B::init((*slot).state.get(), name.as_ptr(), core::ptr::null_mut());
                (&raw mut (*slot).data).write(UnsafeCell::new(data));
            }
            Ok(())
        };
        // SAFETY: All of it is initialised.
        unsafe { pinned_init::pin_init_from_closure(init) }
    }

    /// Takes it.
    pub fn lock(&self) -> Guard<'_, T, B> {
        // SAFETY: `new` has initialised it.
        let state = unsafe { B::lock(self.state.get()) };
        self.held(state)
    }

    /// Takes it if nobody has it.
    pub fn try_lock(&self) -> Option<Guard<'_, T, B>> {
        // SAFETY: As above.
        let state = unsafe { B::try_lock(self.state.get()) };
        state.map(|state| self.held(state))
    }

    fn held(&self, state: B::GuardState) -> Guard<'_, T, B> {
        // SAFETY: As above.
        unsafe { B::assert_is_held(self.state.get()) };
        Guard {
            lock: self,
            state,
            _not_send: PhantomData,
        }
    }
}

impl<T, B: Backend> Deref for Guard<'_, T, B> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: We hold the lock.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T, B: Backend> Drop for Guard<'_, T, B> {
    fn drop(&mut self) {
        // SAFETY: We hold the lock.
        unsafe { B::unlock(self.lock.state.get(), &self.state) };
    }
}

/// The place of a raw spinlock, which is taken with interrupts off.
#[repr(C)]
pub struct raw_spinlock_t {
    _place: [usize; 32],
}

/// What is there.
struct Spinlock {
    raw: RawMutex,
    /// Whether it is held, and what releases it.
    held: Option<RawGuard<'static>>,
}

const _: () = assert!(size_of::<Spinlock>() <= size_of::<raw_spinlock_t>());
const _: () = assert!(align_of::<Spinlock>() <= align_of::<raw_spinlock_t>());

/// What the state of interrupts is told by.
const FLAGS: c_ulong = 0x246;

/// Complains if this thread may not take a lock: the first one is this.
fn check() {
    machine::without_lock("another lock");
}

/// # Safety
///
/// The lock is initialised, and `raw` part of it; the caller has just taken it.
unsafe fn taken(lock: *mut Spinlock, raw: RawGuard<'static>) -> c_ulong {
    machine::set_locked(true);
    machine::set_in_order(true);
    // SAFETY: By the contract of the function.
    unsafe { (*lock).held = Some(raw) };
    FLAGS
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_raw_spin_lock_init(
    lock: *mut raw_spinlock_t,
    _: *const c_char,
    _: *mut c_void,
) {
    let raw = RawMutex::new(());
    // SAFETY: By the contract of the function.
    unsafe { lock.cast::<Spinlock>().write(Spinlock { raw, held: None }) };
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_raw_spin_lock(lock: *mut raw_spinlock_t) -> c_ulong {
    check();
    let lock = lock.cast::<Spinlock>();
    // SAFETY: By the contract of the function; the lock is not moved, and held no longer than it lives.
    unsafe { taken(lock, machine::lock(&(*lock).raw)) }
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_raw_spin_trylock(
    lock: *mut raw_spinlock_t,
    flags: *mut c_ulong,
) -> bool {
    check();
    let lock = lock.cast::<Spinlock>();
    // SAFETY: As above.
    unsafe {
        let Some(raw) = machine::try_lock(&(*lock).raw) else {
            return false;
        };
        *flags = taken(lock, raw);
    }
    true
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_raw_spin_unlock(lock: *mut raw_spinlock_t, flags: c_ulong) {
    assert_eq!(flags, FLAGS, "interrupts are not as they were before");
    // SAFETY: By the contract of the function, the caller holds it.
    let held = unsafe { (*lock.cast::<Spinlock>()).held.take() };
    machine::set_in_order(false);
    machine::set_locked(false);
    drop(held.expect("the lock is held"));
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_raw_spin_assert_held(lock: *mut raw_spinlock_t) {
    // SAFETY: By the contract of the function, it is valid, and nobody else changes this.
    let held = unsafe { (*lock.cast::<Spinlock>()).held.is_some() };
    assert!(held, "the lock is not held");
    assert!(machine::is_locked(), "the lock is held by another thread");
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_segment_lock(lock: *mut u32, subclass: c_uint) -> c_ulong {
    // The lock of the map before, then any; without that, one.
    if !machine::is_in_order() {
        machine::without_lock("another lock of a segment");
        assert_eq!(subclass, 0, "a second lock of a segment");
    }
    // SAFETY: By the contract of the function.
    unsafe { machine::lock_word(lock) };
    machine::set_locked(true);
    FLAGS
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_segment_unlock(lock: *mut u32, flags: c_ulong) {
    assert_eq!(flags, FLAGS, "interrupts are not as they were before");
    machine::set_locked(false);
    // SAFETY: By the contract of the function, the caller has locked it.
    unsafe { machine::unlock_word(lock) };
}

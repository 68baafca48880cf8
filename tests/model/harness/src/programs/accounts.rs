// SPDX-License-Identifier: GPL-2.0

//! Limits of bytes, of a map and of an account that several maps share: what is waited for, and what is
//! not.

use core::pin::Pin;
use core::ptr::null;
use std::sync::Arc;

use crate::{Actor, Name, TinyMap, Value};
use kernel::alloc::flags::{GFP_ATOMIC, GFP_KERNEL};
use kernel::alloc::{InPlaceInit, KBox};
use kernel::error::Error;
use kernel::machine;
use kernel::prelude::PinInit;
use syncmap::map::Map;
use syncmap::object::Fixed;
use syncmap::quota::edquot;
use syncmap::value::Counted;
use syncmap::{Account, Limits, Options};

use super::states::key;
use super::{alone, Small};

const BYTES: usize = 16_384;

fn map(options: Options) -> Pin<KBox<TinyMap>> {
    KBox::pin_init(TinyMap::new(options, GFP_KERNEL), GFP_KERNEL).expect("there is memory")
}

fn store(map: &TinyMap, key: u64) -> Result<(), Error> {
    let stored = map.store(Name::of(key), Value::new(key), GFP_KERNEL);
    stored.map_err(|e| e.error)
}

/// Returns an account of so many bytes.
fn account() -> Arc<Account> {
    let mut new = Arc::<Account>::new_uninit();
    let slot = Arc::get_mut(&mut new).expect("it is new").as_mut_ptr();
    // SAFETY: The slot is valid for writes, and initialised then. Nothing in it refers to itself.
    unsafe {
        match Account::new(BYTES).__pinned_init(slot) {
            Ok(()) => new.assume_init(),
            Err(never) => match never {},
        }
    }
}

fn options_of(account: &Arc<Account>, sweep: bool) -> Options {
    Options {
        account: Some(account.clone()),
        sweep,
        ..Options::default()
    }
}

/// Stores new keys until one is refused; returns how many were stored.
fn fill_up(map: &TinyMap) -> u64 {
    let keys = (0..).map(|number| key((number as u32).wrapping_mul(0x9e37_79b9), number));
    let mut stored = 0;
    for key in keys {
        match store(map, key) {
            Ok(()) => stored += 1,
            Err(error) => {
                assert_eq!(error, edquot());
                break;
            }
        }
    }
    stored
}

/// Charges all that is left of an account; returns how many bytes.
fn take_rest(account: &Account) -> usize {
    let rest = BYTES - account.bytes();
    account.charge(rest, GFP_KERNEL).expect("it is left");
    rest
}

/// Stores, and new maps, wait for what another map of the account has retired.
fn waits(_: &mut Actor<'_>) {
    let account = account();
    let new = || map(options_of(&account, false));
    let (one, two) = (new(), new());
    assert!(fill_up(&one) > 50);
    let rest = take_rest(&account);
    assert_eq!(store(&two, key(1, 1)), Err(edquot()));
    // The memory of these keys has not come back when the store begins.
    one.clear(GFP_KERNEL).expect("there is memory");
    assert_eq!(store(&two, key(1, 1)), Ok(()));
    assert!(fill_up(&one) > 50);
    let more = take_rest(&account);
    one.clear(GFP_KERNEL).expect("there is memory");
    let three = new();
    assert_eq!(store(&three, key(1, 1)), Ok(()));
    drop((one, two, three));
    assert_eq!(account.bytes(), rest + more);
}

/// Deletes the first key, which leaves its entry, and asks for a sweep, which has not run yet.
fn ask_for_sweep(map: &TinyMap) {
    map.promote_now();
    assert!(map.delete(&Name::of(key(0, 0))));
    let refused = map.store(Name::of(key(1, 1_000_000)), Value::new(1), GFP_ATOMIC);
    assert_eq!(refused.map_err(|e| e.error), Err(edquot()));
}

/// A store is refused when the sweep that it has waited for has freed nothing.
fn sweeps(_: &mut Actor<'_>) {
    let limits = Limits {
        bytes: BYTES,
        ..Limits::NONE
    };
    let map = map(Options {
        limits,
        sweep: false,
        ..Options::default()
    });
    let count = fill_up(&map);
    ask_for_sweep(&map);
    store(&map, key(0, 0)).expect("it has been there");
    assert_eq!(store(&map, key(1, 1_000_000)), Err(edquot()));
    assert_eq!(map.len() as u64, count);
}

/// A map ends that has asked for a sweep: nothing waits for that sweep then.
fn ends(_: &mut Actor<'_>) {
    let account = account();
    let new = || map(options_of(&account, false));
    let (one, two) = (new(), new());
    store(&two, key(0, 0)).expect("there is room");
    let rest = take_rest(&account);
    ask_for_sweep(&two);
    drop(two);
    account.uncharge(rest);
    assert!(fill_up(&one) > 50);
}

/// A map ends while a store waits for what it has retired.
fn ends_meanwhile(_: &mut Actor<'_>) {
    let account = account();
    let new = || map(options_of(&account, false));
    let (one, two) = (new(), new());
    assert!(fill_up(&two) > 50);
    let rest = take_rest(&account);
    two.clear(GFP_KERNEL).expect("there is memory");
    machine::show(&*one);
    machine::show(&*two);
    machine::quiet(false);
    let ending = machine::spawn(move || drop(two));
    assert_eq!(store(&one, key(1, 1)), Ok(()));
    ending.join().expect("threads do not panic");
    machine::quiet(true);
    drop(one);
    assert_eq!(account.bytes(), rest);
}

type Storers = Map<Name, Counted<Fixed<Storer>>>;

/// A value that stores another one, in this map if there is one, when it is dropped.
struct Storer(*const Storers);

// SAFETY: All threads may use the map.
unsafe impl Send for Storer {}
// SAFETY: As above.
unsafe impl Sync for Storer {}

impl Drop for Storer {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: The map lives as long as its values.
            let map = unsafe { &*self.0 };
            let stored = map.store(Name::of(key(9, 9)), Storer(null()), GFP_KERNEL);
            assert_eq!(stored.err().map(|e| e.error), Some(edquot()));
        }
    }
}

/// A destructor stores in its own map, where there is room only when it has returned.
fn destructor_stores(_: &mut Actor<'_>) {
    let account = account();
    let options = options_of(&account, false);
    let map = KBox::pin_init(Storers::new(options, GFP_KERNEL), GFP_KERNEL);
    let map = map.expect("there is memory");
    let stored = map.store(Name::of(key(1, 1)), Storer(&*map), GFP_KERNEL);
    assert!(stored.is_ok());
    // A key in read stays in its place when it is deleted.
    map.promote_now();
    take_rest(&account);
    assert!(map.delete(&Name::of(key(1, 1))));
    map.drain();
    assert!(map.load(&Name::of(key(9, 9))).is_none());
}

pub const PROGRAMS: &[Small] = &[
    alone("account-waits", waits),
    alone("account-sweeps", sweeps),
    alone("account-ends", ends),
    alone("account-ends-meanwhile", ends_meanwhile),
    alone("destructor-stores", destructor_stores),
];

// SPDX-License-Identifier: GPL-2.0

//! Limits: what exceeds them is refused, comes back, and has changed nothing.

use core::ptr::null;
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed, Release};
use kernel::sync::{rcu, Arc};
use kernel::time::{Instant, Monotonic};
use syncmap::map::Map;
use syncmap::object::Fixed;
use syncmap::quota::edquot;
use syncmap::value::Counted;
use syncmap::{Account, Limits, Options};

use crate::context::atomically;
use crate::keys::{Constant, Good, Number};
use crate::program::{Answer, Op, Step, Subject};
use crate::support::{
    self, delete, dump, fill, has, leave_deleted, numbers, report, shape, sleep, store, text,
    value, Numbers, Random, QUIET,
};
use crate::threads::{run_threads, under_a_reader, Deadline};
use crate::values::{counted, Tracked};

fn limited<K: Number>(limits: Limits) -> Result<Pin<KBox<Numbers<K>>>> {
    numbers(Options { limits, ..QUIET })
}

fn step(op: Op, key: u64, new: u64) -> Step {
    Step {
        op,
        atomic: false,
        key,
        old: key,
        new,
    }
}

/// The operation is refused with this error, and nothing changes.
fn refused<K: Number>(map: &Numbers<K>, op: Op, key: u64, error: Error) -> Result {
    map.drain();
    let before = dump(map)?;
    let result = map.run(&step(op, key, 5), GFP_KERNEL);
    let after = dump(map)?;
    let unchanged = before == after;
    if !unchanged || result != Err(error) {
        report(fmt!("{:?} of {}: {:?}", op, key, result));
        report(fmt!("{:?} {} {}", before.dirty, before.len, before.bytes));
        report(fmt!("{:?} {} {}", after.dirty, after.len, after.bytes));
    }
    check_eq!(result, Err(error));
    check!(unchanged, "a refused operation has changed something");
    Ok(())
}

const STORES: [Op; 3] = [Op::Store, Op::Swap, Op::LoadOrStore];

/// How long threads are at it.
const MILLIS: i64 = 1000;

/// A map that has so many keys at most, and does everything that a map does by itself.
fn exact(entries: usize) -> Result<Pin<KBox<Numbers<Good>>>> {
    let limits = Limits {
        entries,
        ..Limits::NONE
    };
    numbers(Options {
        limits,
        ..Options::default()
    })
}

/// Stores a key in one of the ways to do so.
fn put(map: &Numbers<Good>, key: u64, way: u64) -> Result {
    let (key, new) = (Good::make(key), Tracked::make(key));
    match way % 5 {
        0 => map.store(key, new, GFP_KERNEL)?,
        1 => drop(map.swap(key, new, GFP_KERNEL)?),
        2 => drop(map.load_or_store(key, new, GFP_KERNEL)?),
        3 => atomically(|| map.store(key, new, GFP_ATOMIC))?,
        _ => drop(atomically(|| map.load_or_store(key, new, GFP_ATOMIC))?),
    }
    Ok(())
}

/// Deletes a key in one of the ways to do so; whether it was there.
fn remove(map: &Numbers<Good>, key: u64, way: u64) -> bool {
    let key = Good::make(key);
    match way % 4 {
        0 => map.delete(&key),
        1 => atomically(|| map.delete(&key)),
        2 => map.compare_and_delete_with(&key, |_| true).is_some(),
        _ => map.load_and_delete_with(&key, |_| true).is_some(),
    }
}

/// Changes the tables, but no key.
fn stir(map: &Numbers<Good>, random: &mut Random) {
    match random.below(4) {
        0 => map.promote_now(),
        1 => map.sweep(),
        2 => drop(map.load(&Good::make(1_000_000))),
        _ => sleep(1),
    }
}

/// Maps that share an account, in which so many bytes are left for them.
struct Shared {
    account: Arc<Account>,
    others: usize,
}

impl Shared {
    const MAX: usize = 1 << 20;

    fn new() -> Result<Self> {
        Ok(Shared {
            account: Arc::pin_init(Account::new(Self::MAX), GFP_KERNEL)?,
            others: 0,
        })
    }

    fn map(&self, sweep: bool) -> Result<Pin<KBox<Numbers<Good>>>> {
        numbers(Options {
            account: Some(self.account.clone()),
            sweep,
            ..QUIET
        })
    }

    /// Charges all but so many bytes to others.
    fn leave(&mut self, left: usize) -> Result {
        self.account.uncharge(self.others);
        self.others = Self::MAX - left - self.account.bytes();
        self.account.charge(self.others, GFP_ATOMIC)?;
        Ok(())
    }
}

/// A store for which there is no room is refused at once if it may not sleep.
fn refused_at_once(map: &Numbers<Good>, key: u64) -> Result {
    let refused = atomically(|| map.store(Good::make(key), Tracked::make(key), GFP_ATOMIC));
    let back = refused.err().ok_or(EINVAL)?;
    check_eq!((back.error, back.key.number()), (edquot(), key));
    check_eq!(back.value.number(), key);
    Ok(())
}

/// One that may sleep waits until there is room.
fn waits(map: &Numbers<Good>, key: u64) -> Result {
    refused_at_once(map, key)?;
    store(map, key, key)?;
    check_eq!(value(map, key), Some(key));
    Ok(())
}

/// The same where `retire` makes room, but a reader sees to it that nothing is freed for a while.
fn waits_for_reader(map: &Numbers<Good>, key: u64, retire: &(dyn Fn() -> Result + Sync)) -> Result {
    let step = Atomic::new(0u32);
    run_threads(2, &|number| {
        if number == 0 {
            let _guard = rcu::read_lock();
            step.store(1, Release);
            while step.load(Acquire) != 2 {
                core::hint::spin_loop();
            }
            let start = Instant::<Monotonic>::now();
            while start.elapsed().as_millis() < 50 {
                core::hint::spin_loop();
            }
            // What is freed is freed after this.
            step.store(3, Release);
            return Ok(());
        }
        while step.load(Acquire) != 1 {
            core::hint::spin_loop();
        }
        let refused = retire().and_then(|()| refused_at_once(map, key));
        step.store(2, Release);
        refused?;
        store(map, key, key)?;
        check_eq!(step.load(Acquire), 3, "there was room before");
        check_eq!(value(map, key), Some(key));
        Ok(())
    })
}

/// A store waits for what dirty has superseded in the same map, or in another one of its account.
fn superseded(same: bool) -> Result {
    needs_two_processors!();
    counted(|| {
        let mut shared = Shared::new()?;
        // Its own parts a store sets free itself; those of another map come with a sweep.
        let (one, other) = (shared.map(!same)?, shared.map(false)?);
        fill(&one, 0..80)?;
        one.promote_now();
        fill(&other, 0..4)?;
        leave_deleted(&one, 0..15)?;
        store(&one, 80, 80)?;
        check_eq!(text(&shape(&one, 0).0), "E-a");
        support::bytes(&one);
        shared.leave(0)?;
        waits(if same { &one } else { &other }, 100)?;
        if !same {
            check_eq!(text(&shape(&one, 0).0), "--.", "dirty was not promoted");
        }
        has(&one, 15..81)?;
        has(&other, 0..4)
    })
}

type Storers = Map<Fixed<Good>, Counted<Fixed<Storer>>>;

/// A value that stores another one when it is dropped, unless it has no map; and counts the refusals.
struct Storer {
    into: *const Storers,
    refused: *const Atomic<usize>,
}

// SAFETY: All threads may use what it points to.
unsafe impl Send for Storer {}
// SAFETY: As above.
unsafe impl Sync for Storer {}

impl Drop for Storer {
    fn drop(&mut self) {
        // SAFETY: The test drains both maps, and so sees their values dropped, before it returns.
        let places = unsafe { (self.into.as_ref(), self.refused.as_ref()) };
        let (Some(map), Some(refused)) = places else {
            return;
        };
        let new = Storer {
            into: null(),
            refused: null(),
        };
        let stored = map.store(Good::make(2), new, GFP_KERNEL);
        refused.fetch_add(usize::from(stored.is_err()), Full);
    }
}

#[kunit_tests(syncmap_limits)]
mod tests {
    use super::*;

    /// Two maps share an account: what one has, the other cannot have.
    #[test]
    fn account() -> Result {
        let account = Arc::pin_init(Account::new(1 << 16), GFP_KERNEL)?;
        let shared = || {
            numbers::<Good>(Options {
                account: Some(account.clone()),
                ..QUIET
            })
        };
        let fill = |map: &Numbers<Good>| -> Result<u64> {
            for key in 0.. {
                match store(map, key, key) {
                    Err(error) if error == edquot() => return Ok(key),
                    done => done?,
                }
            }
            Ok(0)
        };
        counted(|| {
            let (one, two) = (shared()?, shared()?);
            let bytes = |map: &Numbers<Good>| map.stats().bytes;
            check_eq!(account.bytes(), bytes(&one) + bytes(&two));
            let first = fill(&one)?;
            check!(first > 200);
            check!(fill(&two)? < first / 10);
            refused(&two, Op::Store, 5000, edquot())?;
            check_eq!(account.bytes(), bytes(&one) + bytes(&two));
            check!(account.bytes() <= 1 << 16);
            one.clear(GFP_KERNEL)?;
            one.drain();
            check!(fill(&two)? > first / 2);
            // Nor do more maps, but for a few small ones.
            let mut more = KVec::new();
            let refused = loop {
                match shared() {
                    Ok(map) => more.push(map, GFP_KERNEL)?,
                    Err(error) => break error,
                }
                check!(more.len() < 64);
            };
            check_eq!(refused, edquot());
            drop((one, more));
            check_eq!(account.bytes(), bytes(&two));
            Ok(())
        })?;
        check_eq!(account.bytes(), 0);
        Ok(())
    }

    #[test]
    fn entries() -> Result {
        counted(|| {
            let map = limited::<Good>(Limits {
                entries: 10,
                ..Limits::NONE
            })?;
            (0..10).try_for_each(|key| store(&map, key, key))?;
            // Whether a dirty exists already, or would have to be made.
            for round in 0..2 {
                for op in STORES {
                    refused(&map, op, 10, edquot())?;
                }
                // What is there may be replaced, and found.
                let loaded = map.run(&step(Op::LoadOrStore, 3, 30), GFP_KERNEL)?;
                check_eq!(loaded, Answer::Value(if round == 0 { 3 } else { 30 }));
                store(&map, 3, 30)?;
                check_eq!(map.len(), 10);
                map.promote_now();
            }
            // Room for one: it may be the same key, or another.
            check!(map.delete(&Good::make(4)));
            store(&map, 11, 11)?;
            refused(&map, Op::Store, 4, edquot())?;
            check!(map.delete(&Good::make(11)));
            store(&map, 4, 4)?;
            check_eq!((map.len(), value(&map, 4)), (10, Some(4)));
            map.clear(GFP_KERNEL)?;
            (20..30).try_for_each(|key| store(&map, key, key))?;
            refused(&map, Op::Swap, 3, edquot())
        })
    }

    /// Deleted and expunged entries, which would only have to be revived.
    #[test]
    fn entries_that_come_back() -> Result {
        counted(|| {
            let map = limited::<Good>(Limits {
                entries: 10,
                ..Limits::NONE
            })?;
            (0..10).try_for_each(|key| store(&map, key, key))?;
            map.promote_now();
            check!(map.delete(&Good::make(0)));
            check!(map.delete(&Good::make(1)));
            // 0 and 1 are expunged by this.
            store(&map, 10, 10)?;
            check!(map.delete(&Good::make(2)));
            store(&map, 11, 11)?;
            let deleted = map.compare_and_delete(&Good::make(11), &Tracked::make(11));
            check!(deleted.is_some());
            store(&map, 12, 12)?;
            store(&map, 13, 13)?;
            check_eq!(map.len(), 10);
            // 0 expunged, 2 deleted in both, 11 deleted in dirty, 50 absent.
            for key in [0, 2, 11, 50] {
                for op in STORES {
                    refused(&map, op, key, edquot())?;
                }
            }
            let Ok(new) = map.prepare(Tracked::make(9), GFP_KERNEL) else {
                return Err(ENOMEM);
            };
            let refused = map.swap_prepared(Good::make(2), new, GFP_ATOMIC);
            let back = refused.err().ok_or(EINVAL)?;
            check_eq!((back.error, back.key.number()), (edquot(), 2));
            check_eq!(back.value.into_inner().number(), 9);
            Ok(())
        })
    }

    #[test]
    fn bytes() -> Result {
        counted(|| {
            let map = limited::<Good>(Limits {
                bytes: 20_000,
                ..Limits::NONE
            })?;
            let mut keys = 0;
            let error = loop {
                match store(&map, keys, keys) {
                    Ok(()) => keys += 1,
                    Err(error) => break error,
                }
                check!(map.stats().bytes <= 20_000 && keys < 1000);
            };
            check_eq!(error, edquot());
            check!(keys > 20);
            for op in STORES {
                refused(&map, op, keys, edquot())?;
            }
            check_eq!(map.len(), keys as usize);
            for key in 0..keys {
                check_eq!(value(&map, key), Some(key));
            }
            // Deleting makes room: a store that needs it sweeps, and waits.
            for key in 0..keys / 2 {
                check!(map.delete(&Good::make(key)));
            }
            store(&map, keys, keys)?;
            map.clear(GFP_KERNEL)?;
            (0..20).try_for_each(|key| store(&map, key, key))
        })
    }

    /// Every limit of bytes that a store could meet, while it has a table to make: it works, or it
    /// changes nothing.
    #[test]
    fn bytes_run_out_anywhere() -> Result {
        counted(|| {
            let fill = |bytes| -> Result<Pin<KBox<Numbers<Constant>>>> {
                let map = limited::<Constant>(Limits {
                    bytes,
                    ..Limits::NONE
                })?;
                // Just before a table of the least size is full.
                (0..16).try_for_each(|key| store(&map, key, key))?;
                map.drain();
                Ok(map)
            };
            let level = fill(usize::MAX)?.stats().bytes;
            let mut maps = KVec::new();
            let mut refusals = 0;
            for more in (0..1500).step_by(60) {
                maps.push(fill(level + more)?, GFP_KERNEL)?;
                let map = maps.last().ok_or(EINVAL)?;
                let before = dump(map)?;
                match map.run(&step(Op::Store, 16, 16), GFP_ATOMIC) {
                    Ok(_) => check_eq!((map.len(), value(map, 16)), (17, Some(16))),
                    Err(error) => {
                        check_eq!(error, edquot());
                        check!(dump(map)? == before);
                        refusals += 1;
                    }
                }
            }
            check!(0 < refusals && refusals < maps.len(), "{}", refusals);
            Ok(())
        })
    }

    /// What awaits a grace period counts; a store that may sleep waits for it, another one is refused.
    #[test]
    fn bytes_that_are_about_to_come_back() -> Result {
        counted(|| {
            let map = limited::<Good>(Limits::NONE)?;
            (0..8).try_for_each(|key| store(&map, key, key))?;
            map.promote_now();
            map.drain();
            let full = dump(&map)?.bytes;
            drop(map);
            let map = limited::<Good>(Limits {
                bytes: full + 4000,
                ..Limits::NONE
            })?;
            (0..8).try_for_each(|key| store(&map, key, key))?;
            for round in 0..500 {
                store(&map, round % 8, round)?;
                check!(map.stats().bytes <= full + 4000);
            }
            // Here nothing can be freed between the stores.
            let guard = kernel::sync::rcu::read_lock();
            let mut failed = None;
            for round in 0..500 {
                match map.run(&step(Op::Swap, round % 8, round), GFP_ATOMIC) {
                    Ok(_) => {}
                    Err(error) => failed = Some(error),
                }
            }
            drop(guard);
            check_eq!(failed, Some(edquot()));
            store(&map, 1, 1)
        })
    }

    /// What a store that was refused at once has set free is there for those that come later.
    #[test]
    fn a_refusal_makes_room() -> Result {
        counted(|| {
            let mut shared = Shared::new()?;
            let map = shared.map(false)?;
            fill(&map, 0..80)?;
            map.promote_now();
            delete(&map, 0..15)?;
            store(&map, 80, 80)?;
            check_eq!(text(&shape(&map, 0).0), "E-a");
            map.drain();
            shared.leave(0)?;
            refused_at_once(&map, 100)?;
            map.drain();
            let stored = atomically(|| map.store(Good::make(100), Tracked::make(100), GFP_ATOMIC));
            check_eq!(stored.err().map(|e| e.error), None);
            has(&map, 15..81)
        })
    }

    /// Destructors of two maps wait for memory that only the other one would bring back, but not for ever.
    #[test]
    fn destructors_that_wait_for_each_other() -> Result {
        let mut shared = Shared::new()?;
        let refused = Atomic::new(0usize);
        let new = |shared: &Shared| {
            let options = Options {
                account: Some(shared.account.clone()),
                ..QUIET
            };
            KBox::pin_init(Storers::new(options, GFP_KERNEL), GFP_KERNEL)
        };
        let (one, two) = (new(&shared)?, new(&shared)?);
        let stored = [(&one, &two), (&two, &one)].map(|(map, other)| {
            let value = Storer {
                into: &raw const **other,
                refused: &raw const refused,
            };
            let stored = map.store(Good::make(1), value, GFP_KERNEL);
            map.promote_now();
            map.drain();
            stored.is_ok()
        });
        let left = shared.leave(0);
        let start = Instant::<Monotonic>::now();
        let deleted = [&one, &two].map(|map| map.delete(&Good::make(1)));
        one.drain();
        two.drain();
        // Not before: now no value is left that refers to a map.
        left?;
        check_eq!((stored, deleted), ([true; 2], [true; 2]));
        check!(refused.load(Acquire) > 0);
        check!(start.elapsed().as_millis() < 40_000);
        Ok(())
    }

    /// With one key, and room for one, there is always room for it.
    #[test]
    fn the_only_key_is_never_refused() -> Result {
        counted(|| {
            let map = exact(1)?;
            let deadline = Deadline::new(MILLIS);
            let deleted = Atomic::new(0usize);
            run_threads(4, &|number| {
                let mut random = Random::new(crate::seed() + number as u64);
                while deadline.is_ahead() {
                    for _ in 0..50 {
                        let way = random.next();
                        if random.below(2) == 0 {
                            put(&map, 7, way)?;
                        } else if remove(&map, 7, way) {
                            deleted.fetch_add(1usize, Relaxed);
                        }
                        check!(map.len() <= 1);
                        if number == 0 && random.below(10) == 0 {
                            stir(&map, &mut random);
                        }
                    }
                }
                Ok(())
            })?;
            check!(deleted.load(Relaxed) > 100);
            store(&map, 7, 7)?;
            check_eq!(store(&map, 8, 8), Err(edquot()));
            Ok(())
        })
    }

    /// One key more than there is room for: there are never too many, and a key is refused only where
    /// all others may have been there at one instant of the call.
    #[test]
    fn one_key_too_many() -> Result {
        counted(|| {
            const ROOM: usize = 7;
            const EACH: usize = 2;
            let map = exact(ROOM)?;
            // Odd while the key is not there for sure. Only the thread that a key belongs to stores and
            // deletes it.
            let absent = [const { Atomic::new(1usize) }; ROOM + 1];
            let refused = Atomic::new(0usize);
            let deadline = Deadline::new(MILLIS);
            run_threads((ROOM + 1) / EACH + 1, &|number| {
                let mut random = Random::new(crate::seed() + number as u64);
                while deadline.is_ahead() {
                    if number == (ROOM + 1) / EACH {
                        check!(map.len() <= ROOM);
                        let mut pairs = 0;
                        map.range(|_, _| {
                            pairs += 1;
                            true
                        });
                        check!(pairs <= ROOM + 1);
                        stir(&map, &mut random);
                        continue;
                    }
                    for _ in 0..50 {
                        let key = number * EACH + random.below(EACH as u64) as usize;
                        let (mine, way) = (&absent[key], random.next());
                        let there = mine.load(Relaxed) % 2 == 0;
                        if random.below(5) == 0 {
                            check_eq!(remove(&map, key as u64, way), there, "{}", key);
                            if there {
                                mine.fetch_add(1usize, Full);
                            }
                            continue;
                        }
                        let others = |absent: &[Atomic<usize>; ROOM + 1]| {
                            let mut seen = [0; ROOM + 1];
                            for (seen, absent) in seen.iter_mut().zip(absent) {
                                *seen = absent.fetch_add(0usize, Full);
                            }
                            seen[key] = 0;
                            seen
                        };
                        let before = others(&absent);
                        if !there {
                            mine.fetch_add(1usize, Full);
                        }
                        let stored = put(&map, key as u64, way);
                        check!(map.len() <= ROOM);
                        let Err(error) = stored else { continue };
                        check_eq!(error, edquot());
                        check!(!there, "{} was overwritten", key);
                        let after = others(&absent);
                        let mut pairs = before.iter().zip(&after);
                        let gone = pairs.position(|(a, b)| a == b && a % 2 == 1);
                        check_eq!(gone, None, "was not there when {} was refused", key);
                        mine.fetch_add(1usize, Full);
                        refused.fetch_add(1usize, Relaxed);
                    }
                }
                Ok(())
            })?;
            report(fmt!("{} refused", refused.load(Relaxed)));
            check!(refused.load(Relaxed) > 0);
            let live = (0..=ROOM).filter(|key| absent[*key].load(Relaxed) % 2 == 0);
            check_eq!(live.count(), map.len());
            Ok(())
        })
    }

    /// What is there is overwritten, however full the map is, and whatever else is refused meanwhile.
    #[test]
    fn overwrites_are_never_refused() -> Result {
        counted(|| {
            const KEYS: u64 = 20;
            let map = exact(KEYS as usize)?;
            fill(&map, 0..KEYS)?;
            let deadline = Deadline::new(MILLIS);
            run_threads(4, &|number| {
                let mut random = Random::new(crate::seed() + number as u64);
                while deadline.is_ahead() {
                    if number == 3 {
                        stir(&map, &mut random);
                        continue;
                    }
                    for _ in 0..50 {
                        let (key, way) = (random.below(KEYS), random.next());
                        if number == 2 {
                            let refused = put(&map, KEYS + key, way);
                            check_eq!(refused, Err(edquot()), "a key too many");
                        } else if way % 4 == 0 {
                            let new = Tracked::make(key);
                            let key = Good::make(key);
                            let Ok(new) = map.prepare(new, GFP_KERNEL) else {
                                return Err(ENOMEM);
                            };
                            let swapped = map.compare_and_swap_prepared(&key, new, |_| true);
                            check!(swapped.is_ok());
                        } else {
                            put(&map, key, way)?;
                        }
                        check_eq!(map.len() as u64, KEYS);
                    }
                }
                Ok(())
            })?;
            has(&map, 0..KEYS)
        })
    }

    /// In each of the places where a key may be, the map being full of others, or with room for it.
    #[test]
    fn entries_are_counted_in_all_states() -> Result {
        counted(|| {
            for state in ["--.", "--a", "D-.", "DDa", "-Da", "E-a"] {
                let map = limited::<Good>(Limits {
                    entries: 10,
                    ..Limits::NONE
                })?;
                let in_read = matches!(state, "D-." | "DDa" | "E-a");
                fill(&map, Iterator::chain(1..7, in_read.then_some(0)))?;
                map.promote_now();
                if matches!(state, "D-." | "E-a") {
                    delete(&map, [0])?;
                }
                if state.ends_with('a') {
                    fill(&map, 7..9)?;
                }
                match state {
                    "DDa" => delete(&map, [0])?,
                    "-Da" => {
                        store(&map, 0, 0)?;
                        drop(map.compare_and_delete(&Good::make(0), &Tracked::make(0)));
                    }
                    _ => (),
                }
                check_eq!(text(&shape(&map, 0).0), state);
                for atomic in [false, true] {
                    for op in STORES {
                        // Full of others: those that are new, which would change where the key is.
                        let others = map.len();
                        let room = 10 - others;
                        check!(room > 0);
                        let step = Step {
                            atomic,
                            ..step(op, 0, 5)
                        };
                        map.run_there(&step)?;
                        check_eq!((map.len(), value(&map, 0)), (others + 1, Some(5)));
                        drop(map.compare_and_delete(&Good::make(0), &Tracked::make(5)));
                        check_eq!((map.len(), value(&map, 0)), (others, None));
                    }
                }
            }
            Ok(())
        })
    }

    /// What is retired in a map makes room in it, and in the others of its account.
    #[test]
    fn retired_bytes_are_waited_for() -> Result {
        needs_two_processors!();
        counted(|| {
            for same in [false, true] {
                let mut shared = Shared::new()?;
                let (one, other) = (shared.map(false)?, shared.map(false)?);
                fill(&one, 0..80)?;
                one.promote_now();
                fill(&other, 0..4)?;
                check!(support::bytes(&one) + support::bytes(&other) <= shared.account.bytes());
                shared.leave(0)?;
                let map = if same { &one } else { &other };
                check_eq!(store(map, 100, 100), Err(edquot()), "nothing comes back");
                waits_for_reader(map, 100, &|| delete(&one, 0..60))?;
                has(&one, 60..80)?;
                has(&other, 0..4)?;
            }
            Ok(())
        })
    }

    /// The same for keys that were deleted: their values are freed, but their entries are there until
    /// they are swept.
    #[test]
    fn deleted_bytes_are_waited_for() -> Result {
        counted(|| {
            for same in [false, true] {
                let mut shared = Shared::new()?;
                let (one, other) = (shared.map(true)?, shared.map(true)?);
                fill(&one, 0..80)?;
                one.promote_now();
                fill(&other, 0..4)?;
                // So few that they are not swept at once.
                leave_deleted(&one, 0..15)?;
                support::bytes(&one);
                check_eq!(one.stats().read_slots, 80);
                shared.leave(0)?;
                if same {
                    // A value alone: what starts a dirty takes more than comes back.
                    refused_at_once(&one, 20)?;
                    store(&one, 20, 20)?;
                } else {
                    waits(&other, 100)?;
                }
                has(&one, 20..80)?;
                has(&other, 0..4)?;
            }
            Ok(())
        })
    }

    /// The same for what dirty has superseded, and what read has that dirty lacks, which a promotion
    /// frees: nothing else makes one due.
    #[test]
    fn superseded_bytes_are_waited_for() -> Result {
        superseded(true)
    }

    /// Of another map of the account, too.
    #[test]
    fn superseded_bytes_of_others_are_waited_for() -> Result {
        superseded(false)
    }

    /// What comes back to others of the account meanwhile, and is not enough, does not make a store give
    /// up what is still to come.
    #[test]
    fn busy_maps_are_no_reason_to_give_up() -> Result {
        counted(|| {
            let mut shared = Shared::new()?;
            let (one, busy, other) = (shared.map(true)?, shared.map(false)?, shared.map(false)?);
            fill(&one, 0..400)?;
            one.promote_now();
            fill(&busy, 0..4)?;
            // The next key needs a segment.
            fill(&other, 0..7)?;
            leave_deleted(&one, 0..80)?;
            support::bytes(&one);
            check_eq!(one.stats().read_slots, 400);
            // For a few values, but not for that.
            shared.leave(500)?;
            let done = Atomic::new(false);
            let overwritten = Atomic::new(0usize);
            run_threads(2, &|number| {
                if number == 0 {
                    while !done.load(Acquire) {
                        let stored = store(&busy, 1, 1).is_ok();
                        overwritten.fetch_add(usize::from(stored), Relaxed);
                    }
                    return Ok(());
                }
                let stored = store(&other, 7, 7);
                done.store(true, Release);
                check_eq!(stored, Ok(()));
                Ok(())
            })?;
            check!(overwritten.load(Relaxed) > 0);
            has(&other, 0..8)?;
            has(&one, 80..400)
        })
    }

    /// Clear needs an empty table, for which there may be no room: then it takes the one in reserve, or
    /// waits for that.
    #[test]
    fn clear_waits_for_its_reserve() -> Result {
        needs_two_processors!();
        counted(|| {
            let shared = Shared::new()?;
            let map = shared.map(false)?;
            let empty = support::bytes(&map);
            let state = KBox::pin_init(kernel::new_mutex!(shared, "shared"), GFP_KERNEL)?;
            for _ in 0..10 {
                under_a_reader(&|| {
                    let mut shared = state.lock();
                    for reserve in [true, false] {
                        shared.leave(4000)?;
                        fill(&map, 0..5)?;
                        shared.leave(0)?;
                        let cleared = atomically(|| map.clear(GFP_ATOMIC));
                        check_eq!(cleared, if reserve { Ok(()) } else { Err(ENOMEM) });
                        check_eq!(map.len(), if reserve { 0 } else { 5 });
                    }
                    has(&map, 0..5)
                })?;
                map.clear(GFP_KERNEL)?;
                check_eq!((map.len(), support::bytes(&map)), (0, empty));
            }
            Ok(())
        })
    }

    #[test]
    fn chain() -> Result {
        counted(|| {
            let map = limited::<Constant>(Limits {
                chain: 4,
                ..Limits::NONE
            })?;
            let mut keys = 0;
            let error = loop {
                match store(&map, keys, keys) {
                    Ok(()) => keys += 1,
                    Err(error) => break error,
                }
                check!(keys < 100);
            };
            check_eq!(error, E2BIG);
            // Six to a bucket; the bucket that would be one too many is not filled.
            check!(keys >= 4 * 6, "{}", keys);
            for op in STORES {
                refused(&map, op, keys, E2BIG)?;
            }
            (0..keys).try_for_each(|key| store(&map, key, key + 1))?;
            for key in 0..keys {
                check_eq!(value(&map, key), Some(key + 1));
            }
            Ok(())
        })
    }

    /// Good keys never notice.
    #[test]
    fn chain_of_good_keys() -> Result {
        let map = limited::<Good>(Limits {
            chain: 8,
            ..Limits::NONE
        })?;
        let keys = crate::scaled(20_000);
        (0..keys).try_for_each(|key| store(&map, key, key))?;
        check_eq!(map.len() as u64, keys);
        Ok(())
    }
}

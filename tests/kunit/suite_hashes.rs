// SPDX-License-Identifier: GPL-2.0

//! Keys whose hashes are chosen: as unfavourable as they can be, and on every boundary there is.
//!
//! A walk goes in the order of hashes, so it tells everything about which segment and which home a key
//! was found in.

use kernel::prelude::*;
use syncmap::hash::Seed;
use syncmap::range::Cursor;

use crate::keys::{Chosen, Chosens, Good, Number};
use crate::support::{filled, Random, CROWDED, QUIET};
use crate::values::{counted, Tracked};

/// Makes hashes of numbers; of these, tables use the first 31 bits.
type Family = fn(u64) -> u64;

/// The number of homes in a segment.
const HOMES: u64 = 15;

const FAMILIES: [(&str, Family); 12] = [
    ("good", |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    ("as it is", |n| n << 32),
    ("at the end", |n| !n << 32),
    ("only the first bits", |n| n << 56),
    ("behind the last level", |n| n << 32 | 1 << 63),
    ("at the last level", |n| n << 39),
    ("one, but for one bit each", |n| 1 << (63 - n % 32)),
    ("two, which agree in ten bits", |n| (n % 2) << 53 | 5 << 61),
    ("three, which agree in ten and in twenty", |n| {
        (n % 3) << 43 | (n % 2) << 53 | 6 << 61
    }),
    ("many that agree in seven, and few in eight bits", |n| {
        (n % 16) << 53 | 9 << 60 | n << 32
    }),
    (
        "the first and last of each home, of segments of all depths",
        |n| {
            let (shift, home, side) = (n / 64 % 24, n / 4 % (HOMES + 1), n % 4);
            let fraction = (home << 32).div_ceil(HOMES) >> shift;
            let hash = fraction.wrapping_add(side).wrapping_sub(2) & (0xffff_ffff >> shift);
            let prefix = if n % 5 == 0 { 0 } else { !(!0 >> shift) };
            hash << 32 | prefix
        },
    ),
    (
        "the first and the last",
        |n| if n % 2 == 0 { 0 } else { !0 },
    ),
];

/// So many keys of some families, in the order of a walk.
fn keys(families: &[(&str, Family)], each: u64) -> Result<KVec<Chosen>> {
    let mut keys = KVec::new();
    for (at, (_, family)) in (0..).zip(families) {
        for n in 0..each {
            let (hash, number) = (family(n) >> 33 << 33, at * each + n);
            keys.push(Chosen { hash, number }, GFP_KERNEL)?;
        }
    }
    keys.sort_unstable();
    Ok(keys)
}

fn store(map: &Chosens, key: Chosen) -> Result {
    Ok(map.store(key, Tracked::make(key.number), GFP_KERNEL)?)
}

/// Lookups find the keys that are live, and a walk visits them, once and in order; from anywhere.
fn check(map: &Chosens, keys: &[Chosen], live: &[bool]) -> Result {
    let mut expected = keys.iter().zip(live).filter(|(_, live)| **live);
    let mut wrong = None;
    map.range(|key, value| {
        if expected.next().map(|(key, _)| key) != Some(key) || value.number() != key.number {
            wrong = wrong.or(Some(*key));
        }
        wrong.is_none()
    });
    check_eq!(wrong, None, "does not come next");
    check!(expected.next().is_none(), "the last keys do not come");
    for (at, key) in keys.iter().enumerate() {
        let value = map.load(key).map(|v| v.number());
        check_eq!(value, live[at].then_some(key.number), "{:?}", key);
        if at % 50 == 0 {
            let batch = map.walk(Cursor::Key(key)).next_batch();
            let found = batch.pairs().next().map(|(key, _)| **key);
            let mut behind = keys.iter().zip(live).skip(at + 1);
            let next = behind.find(|(_, live)| **live).map(|(key, _)| *key);
            check_eq!(found, next, "behind {:?}", key);
        }
    }
    Ok(())
}

/// Keys come and go; in the end, all are gone, and so is the memory.
fn run(families: &[(&str, Family)], each: u64, seed: u64) -> Result {
    let each = crate::scaled(each).max(100);
    counted(|| {
        let map = KBox::pin_init(Chosens::new(CROWDED, GFP_KERNEL), GFP_KERNEL)?;
        let empty = map.stats().bytes;
        let keys = keys(families, each)?;
        let mut live = KVec::from_elem(false, keys.len(), GFP_KERNEL)?;
        let mut random = Random::new(crate::seed() + seed);
        for level in [100, 30, 90, 5, 60, 0] {
            for _ in 0..keys.len() * 3 / 2 {
                let at = random.below(keys.len() as u64) as usize;
                if random.below(100) < level {
                    store(&map, keys[at])?;
                    live[at] = true;
                } else {
                    check_eq!(map.delete(&keys[at]), live[at], "{:?}", keys[at]);
                    live[at] = false;
                }
                match random.below(keys.len() as u64 / 2) {
                    0 => map.sweep(),
                    1 => map.promote_now(),
                    _ => {}
                }
            }
            check(&map, &keys, &live)?;
            map.sweep();
            check(&map, &keys, &live)?;
        }
        for (key, live) in keys.iter().zip(&live) {
            check_eq!(map.delete(key), *live);
        }
        map.sweep();
        map.drain();
        map.drain();
        check_eq!(map.stats().bytes, empty);
        Ok(())
    })
    .inspect_err(|_| crate::support::report(fmt!("{}", families[0].0)))
}

#[kunit_tests(syncmap_hashes)]
mod tests {
    use super::*;

    #[test]
    fn each_family() -> Result {
        for (seed, family) in (0..).zip(&FAMILIES) {
            run(core::slice::from_ref(family), 300, seed)?;
        }
        Ok(())
    }

    /// A key that is equal to one with another hash, which was deleted when there was one segment: what
    /// `Ord` says does not make its entry go to a segment that it does not belong to.
    #[test]
    fn equal_keys_with_different_hashes() -> Result {
        counted(|| {
            let map = KBox::pin_init(Chosens::new(QUIET, GFP_KERNEL), GFP_KERNEL)?;
            let key = |hash: u64, number| Chosen {
                hash: hash << 32,
                number,
            };
            let (left, right) = (key(0x100, 1), key(0x8000_0100, 1));
            store(&map, right)?;
            store(&map, key(0, 2))?;
            map.promote_now();
            check!(map.compare_and_delete_with(&right, |_| true).is_some());
            // Dirty is a table apart, with more than one segment.
            let others = |first: u64| (0..150).map(move |n| key(n << 24 | 0x200, first + n));
            others(1000).try_for_each(|other| store(&map, other))?;
            store(&map, left)?;
            map.promote_now();
            check!(map.compare_and_delete_with(&left, |_| true).is_some());
            store(&map, key(0x300, 3))?;
            map.sweep();
            map.drain();
            map.drain();
            check!(map.load(&left).is_none());
            others(1000).try_for_each(|other| {
                check!(map.load(&other).is_some());
                Ok(())
            })
        })
    }

    /// A family, and good keys.
    #[test]
    fn each_family_among_others() -> Result {
        for (seed, family) in (0..).zip(&FAMILIES) {
            run(&[*family, FAMILIES[0]], 200, seed)?;
        }
        Ok(())
    }

    #[test]
    fn all_families() -> Result {
        (0..3).try_for_each(|seed| run(&FAMILIES, 150, seed))
    }

    /// What comes first in a walk is no hint at what comes first in another map.
    #[test]
    fn each_map_has_an_order_of_its_own() -> Result {
        const KEYS: u64 = 100;
        let order = || -> Result<KVec<u64>> {
            let map = filled::<Good>(0..KEYS, QUIET)?;
            let mut order = KVec::with_capacity(KEYS as usize, GFP_KERNEL)?;
            map.range(|key, _| order.push_within_capacity(key.number()).is_ok());
            check_eq!(order.len() as u64, KEYS);
            Ok(order)
        };
        let first = order()?;
        check!(order()?[..] != first[..]);
        Ok(())
    }

    /// Numbers in a row, and at the distances of pointers and of pages, are spread as if by chance,
    /// whatever the seed: over 4096 cells, as many keys leave 1507 empty, give or take 20.
    #[test]
    fn multiples_are_spread() -> Result {
        const CELLS: u64 = 4096;
        let mut found = KVec::from_elem(usize::MAX, CELLS as usize, GFP_KERNEL)?;
        for round in 0..crate::scaled(400) as usize {
            let seed = Seed::random();
            for (which, shift) in [0, 6, 12, 32].into_iter().enumerate() {
                let mark = round * 4 + which;
                for number in 0..CELLS {
                    found[(seed.fold(&(number << shift)) >> 52) as usize] = mark;
                }
                let hit = found.iter().filter(|last| **last == mark).count();
                check!(hit > 2400, "a distance of {}: {} cells", 1u64 << shift, hit);
            }
        }
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The crate against the device. Where there is none, these tests cannot run: they are ignored
//! unless asked for, with `--include-ignored`. The machine is theirs alone.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use syncmap_client::{
    find, names, unlink, Batch, Compared, Error, LoadOrStore, Map, MapOptions, Operation,
    BATCH_MAX, KEY_MAX, VALUE_MAX,
};

fn map() -> Map {
    Map::anonymous().unwrap()
}

/// A name that no other test has; taken away in the end.
struct Name(String);

impl Name {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("client-test-{}-{number}", std::process::id()))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = unlink(&self.0);
    }
}

/// Values of lengths around those where the crate or the kernel does something else.
fn values() -> impl Iterator<Item = Vec<u8>> {
    [0, 1, 511, 512, 513, 4096, 65535, VALUE_MAX]
        .into_iter()
        .map(|len| vec![len as u8; len])
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn what_is_stored_is_loaded() {
    let map = map();
    let longest = [b'k'; KEY_MAX];
    for key in [&b"k"[..], b"\0", &longest] {
        assert_eq!(map.load(key), Ok(None));
        for value in values() {
            map.store(key, &value).unwrap();
            assert_eq!(map.load(key).unwrap().as_ref(), Some(&value));
            assert_eq!(map.value_len(key), Ok(Some(value.len())));
        }
        assert_eq!(map.contains_key(key), Ok(true));
        assert_eq!(map.delete(key), Ok(true));
        assert_eq!(map.delete(key), Ok(false));
        assert_eq!(map.contains_key(key), Ok(false));
    }
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn what_reports_a_value_reports_all_of_it() {
    let map = map();
    for value in values() {
        assert_eq!(map.load_or_store(b"k", &value), Ok(LoadOrStore::Stored));
        let loaded = LoadOrStore::Loaded(value.clone());
        assert_eq!(map.load_or_store(b"k", b"other"), Ok(loaded));
        assert_eq!(map.swap(b"k", b"other").unwrap().as_ref(), Some(&value));
        assert_eq!(map.swap(b"k", &value), Ok(Some(b"other".to_vec())));
        assert_eq!(map.load_and_delete(b"k").unwrap().as_ref(), Some(&value));
        assert_eq!(map.load_and_delete(b"k"), Ok(None));
    }
    assert_eq!(map.swap(b"k", b"new"), Ok(None));
    assert_eq!(map.load(b"k"), Ok(Some(b"new".to_vec())));
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn comparisons_tell_another_value_from_none() {
    let map = map();
    assert_eq!(
        map.compare_and_swap(b"k", b"", b"new"),
        Ok(Compared::Absent)
    );
    assert_eq!(map.compare_and_delete(b"k", b""), Ok(Compared::Absent));
    map.store(b"k", b"").unwrap();
    assert_eq!(
        map.compare_and_swap(b"k", b"x", b"new"),
        Ok(Compared::Different)
    );
    assert_eq!(map.compare_and_delete(b"k", b"x"), Ok(Compared::Different));
    assert_eq!(map.compare_and_swap(b"k", b"", b"new"), Ok(Compared::Equal));
    assert_eq!(map.load(b"k"), Ok(Some(b"new".to_vec())));
    assert_eq!(map.compare_and_delete(b"k", b"new"), Ok(Compared::Equal));
    assert_eq!(map.is_empty(), Ok(true));
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn iteration_comes_upon_everything_once() {
    let map = map();
    assert_eq!(map.iter().count(), 0);
    let mut expected = BTreeMap::new();
    for i in 0..5000u32 {
        // Some values so large that few fit into a buffer.
        let value = vec![
            i as u8;
            if i % 500 == 0 {
                VALUE_MAX
            } else {
                i as usize % 100
            }
        ];
        map.store(&i.to_ne_bytes(), &value).unwrap();
        expected.insert(i.to_ne_bytes().to_vec(), value);
    }
    let all: Vec<_> = map.iter().map(Result::unwrap).collect();
    assert_eq!(all.len(), expected.len());
    // From the middle.
    let (middle, _) = &all[2000];
    let rest: Vec<_> = map
        .iter()
        .behind(middle)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rest, all[2001..]);
    assert_eq!(all.into_iter().collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(map.len(), Ok(5000));
    map.clear().unwrap();
    assert_eq!(map.iter().count(), 0);
    assert_eq!(map.len(), Ok(0));
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn a_map_may_change_while_it_is_iterated_over() {
    let map = map();
    for i in 0..3000u32 {
        map.store(&i.to_ne_bytes(), &[0; 200]).unwrap();
    }
    let mut seen = 0;
    for pair in &map {
        let (key, _) = pair.unwrap();
        assert_eq!(map.delete(&key), Ok(true));
        seen += 1;
    }
    assert_eq!(seen, 3000);
    assert_eq!(map.is_empty(), Ok(true));
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn operations_of_a_batch_run_in_order() {
    let map = map();
    let mut batch = Batch::new();
    batch.load(b"k").store(b"k", b"1").load(b"k");
    batch.push(Operation::Swap {
        key: b"k",
        value: b"22",
    });
    batch.push(Operation::CompareAndSwap {
        key: b"k",
        old: b"1",
        new: b"3",
    });
    batch.push(Operation::CompareAndSwap {
        key: b"k",
        old: b"22",
        new: b"4",
    });
    batch.push(Operation::LoadOrStore {
        key: b"k",
        value: b"5",
    });
    batch.push(Operation::CompareAndDelete {
        key: b"k",
        old: b"22",
    });
    batch.push(Operation::LoadAndDelete { key: b"k" });
    batch.delete(b"k");
    batch.push(Operation::LoadOrStore {
        key: b"k",
        value: b"6",
    });
    let outcomes: Vec<_> = map
        .run(&batch)
        .unwrap()
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let values: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.value.as_deref())
        .collect();
    let some = |value: &'static [u8]| Some(value);
    assert_eq!(
        values,
        [
            None,
            None,
            some(b"1"),
            some(b"1"),
            None,
            None,
            some(b"4"),
            None,
            some(b"4"),
            None,
            None
        ]
    );
    let bits: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome.found, outcome.stored, outcome.deleted))
        .collect();
    assert_eq!(
        bits,
        [
            (false, false, false),
            (false, true, false),
            (true, false, false),
            (true, true, false),
            (true, false, false),
            (true, true, false),
            (true, false, false),
            (true, false, false),
            (true, false, true),
            (false, false, false),
            (false, true, false)
        ]
    );
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn the_largest_batch_has_room_for_each_value() {
    let map = map();
    let keys: Vec<_> = (0..BATCH_MAX as u32).map(u32::to_ne_bytes).collect();
    let stores: Batch<'_> = keys
        .iter()
        .map(|key| Operation::Store {
            key,
            value: &key[..2],
        })
        .collect();
    assert!(map
        .run(&stores)
        .unwrap()
        .iter()
        .all(|outcome| outcome.as_ref().unwrap().stored));
    let mut loads: Batch<'_> = keys.iter().map(|key| Operation::Load { key }).collect();
    // No room but for the length; too little; enough; more than there is.
    for (room, expected) in [(0, None), (1, None), (2, Some(2)), (9, Some(2))] {
        for (key, outcome) in keys.iter().zip(map.run(loads.room(room)).unwrap()) {
            if room == 1 {
                assert_eq!(outcome, Err(Error::NoRoom { needed: 2 }));
                continue;
            }
            let outcome = outcome.unwrap();
            assert_eq!((outcome.found, outcome.value_len), (true, Some(2)));
            assert_eq!(outcome.value.as_deref(), expected.map(|len| &key[..len]));
        }
    }
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn an_operation_that_fails_does_not_stop_a_batch() {
    let map = MapOptions::new().write(false).anonymous().unwrap();
    let mut batch = Batch::new();
    batch.load(b"a").store(b"a", b"1").load(b"a");
    let outcomes = map.run(&batch).unwrap();
    assert_eq!(outcomes[1], Err(Error::NotOpenFor { command: "STORE" }));
    assert!(!outcomes[0].as_ref().unwrap().found && !outcomes[2].as_ref().unwrap().found);
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn a_map_is_open_for_what_it_was_opened_for() {
    let map = MapOptions::new().write(false).anonymous().unwrap();
    assert_eq!(map.load(b"k"), Ok(None));
    assert_eq!(
        map.store(b"k", b"v"),
        Err(Error::NotOpenFor { command: "STORE" })
    );
    assert_eq!(map.clear(), Err(Error::NotOpenFor { command: "CLEAR" }));
    let map = MapOptions::new().read(false).anonymous().unwrap();
    assert_eq!(map.store(b"k", b"v"), Ok(()));
    assert_eq!(map.load(b"k"), Err(Error::NotOpenFor { command: "LOAD" }));
    let end = map.iter().next();
    assert_eq!(end, Some(Err(Error::NotOpenFor { command: "RANGE" })));
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn names_lead_to_maps() {
    let name = Name::new();
    let name = name.0.as_str();
    let missing = Error::NoSuchMap { name: name.into() };
    assert_eq!(MapOptions::new().open(name).unwrap_err(), missing);
    assert_eq!(find(name), Err(missing.clone()));
    assert_eq!(unlink(name), Err(missing.clone()));

    let one = MapOptions::new()
        .create_new(true)
        .mode(0o600)
        .open(name)
        .unwrap();
    one.store(b"k", b"v").unwrap();
    let exists = Error::MapExists { name: name.into() };
    assert_eq!(
        MapOptions::new().create_new(true).open(name).unwrap_err(),
        exists
    );
    let two = MapOptions::new().create(true).open(name).unwrap();
    assert_eq!(two.load(b"k"), Ok(Some(b"v".to_vec())));

    let found = find(name).unwrap();
    assert_eq!((found.entries, found.users, found.mode), (1, 2, 0o600));
    assert!(found.bytes > 0);
    let names = names().unwrap();
    let listed = names.iter().find(|map| map.name == name).unwrap();
    assert_eq!((listed.entries, listed.users, listed.mode), (1, 2, 0o600));

    // Attached once, and only while empty.
    assert_eq!(two.attach(name, &MapOptions::new()), Err(Error::Attached));
    let full = map();
    full.store(b"k", b"v").unwrap();
    assert_eq!(full.attach(name, &MapOptions::new()), Err(Error::NotEmpty));

    unlink(name).unwrap();
    assert_eq!(MapOptions::new().open(name).unwrap_err(), missing);
    assert_eq!(one.load(b"k"), Ok(Some(b"v".to_vec())));
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn a_map_can_be_given_a_name_with_what_is_in_it() {
    let name = Name::new();
    let first = map();
    first.store(b"k", b"v").unwrap();
    assert_eq!(
        first.attach(&name.0, MapOptions::new().create_new(true)),
        Ok(true)
    );
    let second = map();
    assert_eq!(
        second.attach(&name.0, MapOptions::new().create(true)),
        Ok(false)
    );
    assert_eq!(second.load(b"k"), Ok(Some(b"v".to_vec())));
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn the_list_goes_on_where_it_ended() {
    // More than fit into one buffer, one the beginning of another.
    let all: Vec<_> = (0..100).map(|_| Name::new()).collect();
    let long = Name(format!("{}{}", all[0].0, "-x".repeat(20)));
    let opened = all.iter().chain([&long]);
    let opened: Vec<_> = opened
        .map(|name| MapOptions::new().create_new(true).open(&name.0).unwrap())
        .collect();
    let listed: Vec<_> = names().unwrap().into_iter().map(|map| map.name).collect();
    assert!(listed.is_sorted());
    for name in all.iter().chain([&long]) {
        assert_eq!(listed.iter().filter(|listed| **listed == name.0).count(), 1);
        assert_eq!(find(&name.0).unwrap().name, name.0);
    }
    drop(opened);
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn a_descriptor_is_the_map() {
    let map = map();
    map.store(b"k", b"v").unwrap();
    let clone = map.try_clone().unwrap();
    let passed = Map::from(OwnedFd::from(map));
    assert_eq!(clone.load(b"k"), Ok(Some(b"v".to_vec())));
    drop(clone);
    assert_eq!(passed.load(b"k"), Ok(Some(b"v".to_vec())));
    let borrowed = passed.as_fd().try_clone_to_owned().unwrap();
    drop(passed);
    assert_eq!(Map::from(borrowed).len(), Ok(1));
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn limits_and_counters_are_those_of_the_map() {
    let map = map();
    let info = map.info().unwrap();
    assert_eq!(info.abi_version, 1);
    assert_eq!(
        (info.key_max, info.value_max),
        (KEY_MAX as u32, VALUE_MAX as u32)
    );
    assert_eq!(info.batch_max, BATCH_MAX as u32);
    assert!(info.max_entries > 0 && info.max_bytes > 0 && info.max_names > 0);
    let empty = map.stats().unwrap();
    assert_eq!(empty.entries, 0);
    map.store(b"k", &[0; 5000]).unwrap();
    let full = map.stats().unwrap();
    assert_eq!(full.entries, 1);
    assert!(full.bytes > empty.bytes + 5000);
    assert!(map.info().unwrap().owner_bytes >= full.bytes);
}

#[test]
#[ignore = "needs /dev/syncmap"]
fn threads_share_a_map() {
    let map = map();
    map.store(b"n", &0u64.to_ne_bytes()).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    loop {
                        let old = map.load(b"n").unwrap().unwrap();
                        let new = u64::from_ne_bytes(old[..].try_into().unwrap()) + 1;
                        let new = new.to_ne_bytes();
                        if map.compare_and_swap(b"n", &old, &new).unwrap().is_equal() {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(map.load(b"n"), Ok(Some(2000u64.to_ne_bytes().to_vec())));
}

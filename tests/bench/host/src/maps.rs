// SPDX-License-Identifier: GPL-2.0

//! The maps, behind one trait, each with its own default hasher and used the
//! way its documentation shows for single operations.

use std::hash::Hash;
use std::marker::PhantomData;

/// A key of some length, made from a number.
pub trait Key: Copy + Eq + Hash + Send + Sync + 'static {
    const LENGTH: usize;

    /// Different numbers make different keys.
    fn new(number: u64) -> Self;
}

impl Key for u64 {
    const LENGTH: usize = 8;

    fn new(number: u64) -> Self {
        number
    }
}

macro_rules! key_of_bytes {
    ($($length:literal)*) => {$(
        impl Key for [u8; $length] {
            const LENGTH: usize = $length;

            // The number again and again, each time rotated by a byte.
            fn new(number: u64) -> Self {
                let mut key = [0; $length];
                for (i, word) in key.chunks_mut(8).enumerate() {
                    word.copy_from_slice(&number.rotate_left(8 * i as u32).to_le_bytes());
                }
                key
            }
        }
    )*};
}
key_of_bytes!(16 64);

/// What the workloads need of a map.
pub trait Map<K>: Default + Sync {
    /// The value of a key.
    fn lookup(&self, key: &K) -> Option<u64>;
    /// Inserts a key that should not be there; whether it was not.
    fn insert(&self, key: K, value: u64) -> bool;
    /// Inserts or overwrites; whether the key was there.
    fn set(&self, key: K, value: u64) -> bool;
    /// Removes a key; whether it was there.
    fn remove(&self, key: &K) -> bool;
    fn clear(&self);
    fn len(&self) -> usize;
}

/// A map for every type of key.
pub trait Family {
    const NAME: &'static str;
    type Of<K: Key>: Map<K>;
}

pub struct Papaya;
impl Family for Papaya {
    const NAME: &'static str = "papaya";
    type Of<K: Key> = papaya::HashMap<K, u64>;
}

impl<K: Key> Map<K> for papaya::HashMap<K, u64> {
    fn lookup(&self, key: &K) -> Option<u64> {
        self.pin().get(key).copied()
    }
    fn insert(&self, key: K, value: u64) -> bool {
        self.pin().try_insert(key, value).is_ok()
    }
    fn set(&self, key: K, value: u64) -> bool {
        self.pin().insert(key, value).is_some()
    }
    fn remove(&self, key: &K) -> bool {
        self.pin().remove(key).is_some()
    }
    fn clear(&self) {
        self.pin().clear();
    }
    fn len(&self) -> usize {
        self.pin().len()
    }
}

pub struct Dashmap;
impl Family for Dashmap {
    const NAME: &'static str = "dashmap";
    type Of<K: Key> = dashmap::DashMap<K, u64>;
}

impl<K: Key> Map<K> for dashmap::DashMap<K, u64> {
    fn lookup(&self, key: &K) -> Option<u64> {
        self.get(key).map(|value| *value)
    }
    fn insert(&self, key: K, value: u64) -> bool {
        match self.entry(key) {
            dashmap::Entry::Occupied(_) => false,
            dashmap::Entry::Vacant(entry) => {
                entry.insert(value);
                true
            }
        }
    }
    fn set(&self, key: K, value: u64) -> bool {
        self.insert(key, value).is_some()
    }
    fn remove(&self, key: &K) -> bool {
        self.remove(key).is_some()
    }
    fn clear(&self) {
        self.clear();
    }
    fn len(&self) -> usize {
        self.len()
    }
}

pub struct Scc;
impl Family for Scc {
    const NAME: &'static str = "scc";
    type Of<K: Key> = scc::HashMap<K, u64>;
}

impl<K: Key> Map<K> for scc::HashMap<K, u64> {
    fn lookup(&self, key: &K) -> Option<u64> {
        self.read_sync(key, |_, value| *value)
    }
    fn insert(&self, key: K, value: u64) -> bool {
        self.insert_sync(key, value).is_ok()
    }
    fn set(&self, key: K, value: u64) -> bool {
        self.upsert_sync(key, value).is_some()
    }
    fn remove(&self, key: &K) -> bool {
        self.remove_sync(key).is_some()
    }
    fn clear(&self) {
        self.clear_sync();
    }
    fn len(&self) -> usize {
        self.len()
    }
}

/// No map at all: what the loop, the keys and the clock cost by themselves.
pub struct Loop;
impl Family for Loop {
    const NAME: &'static str = "loop";
    type Of<K: Key> = Nothing<K>;
}

pub struct Nothing<K>(PhantomData<fn(K)>);

impl<K> Default for Nothing<K> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<K: Key> Map<K> for Nothing<K> {
    fn lookup(&self, key: &K) -> Option<u64> {
        std::hint::black_box(*key);
        Some(0)
    }
    fn insert(&self, key: K, _: u64) -> bool {
        std::hint::black_box(key);
        true
    }
    fn set(&self, key: K, _: u64) -> bool {
        std::hint::black_box(key);
        true
    }
    fn remove(&self, key: &K) -> bool {
        std::hint::black_box(*key);
        true
    }
    fn clear(&self) {}
    fn len(&self) -> usize {
        0
    }
}

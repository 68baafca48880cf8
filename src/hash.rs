// SPDX-License-Identifier: GPL-2.0

//! Keys and keyed hashing.
//!
//! Every map draws its own random [`Seed`]. Sized keys go through `FoldHasher`, a
//! multiply-and-fold hash in the manner of wyhash and foldhash: fast, and hard to aim at without
//! the seed, but no cryptographic promise. Byte keys, which userspace may choose, go through the
//! kernel's SipHash, which is made to withstand whoever chooses the keys: SipHash-1-3, as the kernel has
//! it for hash tables on machines of 64 bits (`hsiphash`), and as hash maps in userspace do.

use core::hash::{Hash, Hasher};
use kernel::bindings;

use crate::object::{Bytes, Fixed, Stored};

/// The secret of one map.
pub struct Seed {
    /// For SipHash.
    key: bindings::hsiphash_key_t,
    /// For the other hash, as it begins.
    fold: FoldHasher,
}

impl Seed {
    /// Draws a new seed from the kernel's random number generator. Any context.
    pub fn random() -> Self {
        let mut words = [0u64; 5];
        // SAFETY: `words` is valid for writes of its own size.
        unsafe {
            bindings::get_random_bytes(words.as_mut_ptr().cast(), core::mem::size_of_val(&words))
        };
        let [key @ .., state, factor, salt] = words;
        Seed {
            key: bindings::hsiphash_key_t {
                key: key.map(|word| word as usize),
            },
            fold: FoldHasher {
                state,
                factor: factor | 1,
                salt,
            },
        }
    }

    /// Hashes `bytes` with SipHash-1-3, to the upper half.
    #[inline]
    pub fn sip(&self, bytes: &[u8]) -> u64 {
        // For two lengths there are functions that are faster, and say the same.
        // SAFETY: `key` is valid for reads, `bytes` for reads of its length.
        let hash = unsafe {
            if let Ok(bytes) = bytes.try_into().map(u128::from_le_bytes) {
                let [a, b, c, d] = [0, 32, 64, 96].map(|shift| (bytes >> shift) as u32);
                bindings::hsiphash_4u32(a, b, c, d, &self.key)
            } else if let Ok(bytes) = bytes.try_into().map(u64::from_le_bytes) {
                bindings::hsiphash_2u32(bytes as u32, (bytes >> 32) as u32, &self.key)
            } else {
                bindings::__hsiphash_unaligned(bytes.as_ptr().cast(), bytes.len(), &self.key)
            }
        };
        u64::from(hash) << u32::BITS
    }

    /// Hashes `value` with the multiply-and-fold hash.
    pub fn fold<T: Hash>(&self, value: &T) -> u64 {
        let mut hasher = self.fold;
        value.hash(&mut hasher);
        hasher.finish()
    }
}

/// A multiply-and-fold hasher: each word is mixed in by a 64×64→128 bit multiplication, whose two
/// halves are then folded into one.
#[derive(Clone, Copy)]
struct FoldHasher {
    state: u64,
    /// Odd.
    factor: u64,
    salt: u64,
}

impl FoldHasher {
    /// An odd constant with an even spread of bits, from the fractional part of the golden ratio.
    const PHI: u64 = 0x9e37_79b9_7f4a_7c15;

    fn fold(a: u64, b: u64) -> u64 {
        let product = u128::from(a).wrapping_mul(u128::from(b));
        (product as u64) ^ ((product >> 64) as u64)
    }

    fn mix(&mut self, word: u64) {
        // With the salt, so that a word that happens to cancel the state does not make the product,
        // and with it the hash, zero for good.
        self.state = Self::fold(self.state ^ word, self.factor).wrapping_add(self.salt);
    }
}

impl Hasher for FoldHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(word.into());
    }

    fn write_u16(&mut self, word: u16) {
        self.mix(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn finish(&self) -> u64 {
        // Of a folded product, the upper half depends on all bits of what was multiplied, and that
        // is the half that tables use. Once more, by a factor that spreads well: the multiples of a
        // key that is close to a simple fraction of 2⁶⁴ are close together, and one in a hundred is.
        Self::fold(self.state ^ self.factor, Self::PHI)
    }
}

/// A place in an entry for the hash of its key.
///
/// Tables go by the hash that an entry had when it was made, and never ask for it again: whether
/// memory is safe must not depend on whether a key always has the same one.
pub trait Memo: Copy + Send + Sync {
    /// Keeps a hash, here or in the word that `spare` refers to.
    fn keep(hash: u32, spare: &mut u32) -> Self;
    /// The hash again.
    fn recall(self, spare: u32) -> u32;
}

/// Keys of known size leave a word of the object unused, which otherwise says how long they are.
impl Memo for () {
    fn keep(hash: u32, spare: &mut u32) {
        *spare = hash;
    }

    #[inline]
    fn recall(self, spare: u32) -> u32 {
        spare
    }
}

impl Memo for u32 {
    fn keep(hash: u32, _: &mut u32) -> u32 {
        hash
    }

    #[inline]
    fn recall(self, _: u32) -> u32 {
        self
    }
}

/// What can be a key: something stored at the end of an entry that can be hashed and ordered.
///
/// Implemented for [`Fixed<T>`] with any `T: Hash + Ord`, and for [`Bytes`]. Equal keys must have
/// equal hashes. The order itself is of no importance: it only makes [`range`] visit keys of the
/// same hash in a fixed order.
///
/// [`range`]: crate::map::Map::range
pub trait Key: Stored {
    /// The borrowed form of a key that is about to be stored.
    fn query<'a>(input: &'a Self::Input<'_>) -> &'a Self::Ref;

    /// Where an entry keeps the hash of its key; see [`Memo`].
    type Memo: Memo;

    /// Whether two keys are compared as fast as two hashes.
    const IS_WORD: bool = false;

    /// Hashes a key. Must not sleep. Tables use the upper half.
    fn hash(key: &Self::Ref, seed: &Seed) -> u64;

    /// Compares two keys. Called with the raw spinlock of the map held, too: must not sleep, not even as
    /// a spinlock does on PREEMPT_RT, nor use the map.
    fn compare(a: &Self::Ref, b: &Self::Ref) -> core::cmp::Ordering;

    /// Whether two keys are the same: what `compare` says, perhaps sooner.
    #[inline]
    fn is_equal(a: &Self::Ref, b: &Self::Ref) -> bool {
        Self::compare(a, b).is_eq()
    }
}

impl<T: Hash + Ord + Send + Sync + 'static> Key for Fixed<T> {
    type Memo = ();

    const IS_WORD: bool = size_of::<T>() <= size_of::<u64>() && !core::mem::needs_drop::<T>();

    fn query<'a>(input: &'a T) -> &'a T {
        input
    }

    #[inline]
    fn hash(key: &T, seed: &Seed) -> u64 {
        seed.fold(key)
    }

    #[inline]
    fn compare(a: &T, b: &T) -> core::cmp::Ordering {
        a.cmp(b)
    }
}

impl Key for Bytes {
    type Memo = u32;

    fn query<'a>(input: &'a &[u8]) -> &'a [u8] {
        input
    }

    #[inline]
    fn hash(key: &[u8], seed: &Seed) -> u64 {
        seed.sip(key)
    }

    #[inline]
    fn is_equal(a: &[u8], b: &[u8]) -> bool {
        // Addresses of IPv6 without a call.
        match (<&[u8; 16]>::try_from(a), <&[u8; 16]>::try_from(b)) {
            (Ok(a), Ok(b)) => u128::from_ne_bytes(*a) == u128::from_ne_bytes(*b),
            _ => a == b,
        }
    }

    #[inline]
    fn compare(a: &[u8], b: &[u8]) -> core::cmp::Ordering {
        a.cmp(b)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The map, what is known of its keys, and the counts.

use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed, Release};
use kernel::sync::Arc;
use syncmap::{Account, Limits, Options, SyncMap};

use crate::contexts::CONTEXTS;
use crate::kinds::*;
use crate::value::{census, fault, Fault, Value};

pub(crate) type Tortured = SyncMap<u64, Value>;

/// Keys that nobody ever stores.
pub(crate) const ABSENT: u64 = 1 << 60;

/// The first key of a grower.
pub(crate) fn first_of_grower(number: u64) -> u64 {
    (number + 1) << 32
}

/// The first key of an inserter, or of a timer, which is one as well.
pub(crate) fn first_of_inserter(kind: usize, number: u64) -> u64 {
    ((kind as u64) << 48) | ((number + 1) << 32)
}

/// For stores that never sleep.
pub(crate) fn atomic() -> Flags {
    GFP_ATOMIC | __GFP_NOWARN
}

/// What its owner tells of a key.
pub(crate) struct Known {
    /// What is found later is not older than this.
    pub(crate) floor: Atomic<u64>,
    /// The key stays for as long as no Clear has begun but this many; 0 if it need not, else one more.
    standing: Atomic<usize>,
}

impl Known {
    /// From now on, what is older than `generation` must not be found. `standing` is the number of
    /// Clears in whose absence the key stays.
    pub(crate) fn tell(&self, generation: u64, standing: Option<usize>) {
        self.floor.store(generation, Release);
        self.standing
            .store(standing.map_or(0, |clears| clears + 1), Release);
    }
}

/// How many Clears have begun, and ended.
struct Clears {
    begun: Atomic<usize>,
    done: Atomic<usize>,
}

/// What must be true of what a lookup finds, as of a moment before it.
pub(crate) struct Expected {
    key: u64,
    floor: u64,
    /// The key must be there, unless more Clears than these have begun.
    standing: Option<usize>,
}

impl Expected {
    /// It has found a value. `seen` is the generation that the same reader has found before.
    pub(crate) fn found(&self, value: &Value, seen: &mut u64) {
        if !value.verify(self.key) {
            return;
        }
        let floor = self.floor.max(*seen);
        if value.generation < floor {
            let (key, generation) = (self.key, value.generation);
            fault(
                Fault::Generation,
                fmt!("key {}: generation {} after {}", key, generation, floor),
            );
        }
        *seen = value.generation;
    }

    /// It has found nothing.
    pub(crate) fn nothing(&self, world: &World) {
        if self.must_be_there(world) {
            fault(Fault::Lost, fmt!("key {} is not there", self.key));
        }
    }

    /// Whether the key has been there from that moment until now.
    pub(crate) fn must_be_there(&self, world: &World) -> bool {
        self.standing
            .is_some_and(|clears| clears == world.clears_begun())
    }
}

/// The map, and all who use it.
pub(crate) struct World {
    pub(crate) params: Params,
    pub(crate) map: Pin<KBox<Tortured>>,
    /// Another map, with which it shares a limit of bytes.
    pub(crate) other: Pin<KBox<Tortured>>,
    account: Arc<Account>,
    pub(crate) known: KVec<Known>,
    /// The next generation of shared keys.
    pub(crate) ticket: Atomic<u64>,
    clears: Clears,
    operations: [Atomic<u64>; KINDS],
    /// New keys of inserters, by context.
    inserted: [Atomic<u64>; CONTEXTS as usize],
    refused: Atomic<u64>,
}

fn limited(limit: u64) -> usize {
    match limit {
        0 => usize::MAX,
        limit => limit as usize,
    }
}

/// No fewer than all keys that are ever stored.
fn all_keys(params: &Params) -> u64 {
    let many = |kind: usize| {
        params
            .count
            .get(kind)
            .map_or(0, |count| count * params.grow)
    };
    params.keys + params.shared + many(GROWER) + many(INSERTER) + many(INTERRUPT)
}

impl World {
    pub(crate) fn new(params: &Params) -> Result<KBox<Self>> {
        let account = Arc::pin_init(Account::new(limited(params.max_bytes)), GFP_KERNEL)?;
        let options = Options {
            limits: Limits {
                entries: limited(params.max_entries),
                ..Limits::NONE
            },
            account: Some(account.clone()),
            ..Options::default()
        };
        let mut known = KVec::with_capacity(params.keys as usize, GFP_KERNEL)?;
        for _ in 0..params.keys {
            let (floor, standing) = (Atomic::new(0), Atomic::new(0));
            known.push(Known { floor, standing }, GFP_KERNEL)?;
        }
        let map = Tortured::new(options.clone(), GFP_KERNEL);
        let other = Tortured::new(options, GFP_KERNEL);
        let world = World {
            params: params.clone(),
            map: KBox::pin_init(map, GFP_KERNEL)?,
            other: KBox::pin_init(other, GFP_KERNEL)?,
            account,
            known,
            ticket: Atomic::new(1),
            clears: Clears {
                begun: Atomic::new(0),
                done: Atomic::new(0),
            },
            operations: [const { Atomic::new(0) }; KINDS],
            inserted: [const { Atomic::new(0) }; CONTEXTS as usize],
            refused: Atomic::new(0),
        };
        Ok(KBox::new(world, GFP_KERNEL)?)
    }

    /// A value of the size that was asked for; none if there is no memory, which is counted.
    pub(crate) fn value(&self, key: u64, generation: u64) -> Option<Value> {
        self.value_with(key, generation, GFP_KERNEL)
    }

    /// The same. Sleeps if `flags` allow it.
    pub(crate) fn value_with(&self, key: u64, generation: u64, flags: Flags) -> Option<Value> {
        let bytes = self.params.value_bytes as usize;
        match Value::new(key, generation, bytes, flags) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(error);
                None
            }
        }
    }

    /// An operation has failed: for want of memory, or because of a limit, or it is a fault.
    pub(crate) fn refuse(&self, error: Error) {
        let params = &self.params;
        // The limit of keys is exact: where all keys that there are fit, none is refused.
        let limited = params.max_bytes != 0
            || (params.max_entries != 0 && params.max_entries < all_keys(params));
        if error == ENOMEM || (error == syncmap::quota::edquot() && limited) {
            self.refused.fetch_add(1u64, Relaxed);
        } else {
            fault(
                Fault::Error,
                fmt!("an operation has failed with {:?}", error),
            );
        }
    }

    /// How often that was so.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Whether this mistake is to be made: until it is noticed.
    pub(crate) fn plants(&self, plant: Plant) -> bool {
        self.params.plant == plant as u64 && census().0 == 0
    }

    pub(crate) fn count(&self, kind: usize, operations: u64) {
        if let Some(counter) = self.operations.get(kind) {
            counter.fetch_add(operations, Relaxed);
        }
    }

    /// Counts a new key that was made in a context.
    pub(crate) fn count_inserted(&self, context: u64) {
        if let Some(counter) = self.inserted.get(context as usize) {
            counter.fetch_add(1u64, Relaxed);
        }
    }

    /// Sees whether the map has more keys than it may have. Any context.
    pub(crate) fn check_limit(&self) {
        let (keys, most) = (self.map.len(), limited(self.params.max_entries));
        if keys > most {
            fault(
                Fault::Len,
                fmt!("there are {} keys, where {} are allowed", keys, most),
            );
        }
    }

    /// How many Clears had begun at an instant, within this call, at which none was under way.
    pub(crate) fn quiet(&self) -> Option<usize> {
        let done = self.clears.done.load(Acquire);
        let begun = self.clears.begun.load(Acquire);
        (begun == done).then_some(begun)
    }

    /// How many Clears have begun. What was seen before is not the work of others.
    pub(crate) fn clears_begun(&self) -> usize {
        self.clears.begun.load(Acquire)
    }

    #[inline(never)]
    pub(crate) fn clear(&self) {
        self.clears.begun.fetch_add(1usize, Full);
        // While keys are reserved, it needs memory, and changes nothing if there is none.
        if let Err(error) = self.map.clear(GFP_KERNEL) {
            self.refuse(error);
        }
        self.clears.done.fetch_add(1usize, Full);
    }

    /// What must be true of what a lookup of a key, that begins after this, finds. Any context.
    pub(crate) fn expect(&self, key: u64) -> Expected {
        let known = self.known.get(key as usize);
        Expected {
            key,
            floor: known.map_or(0, |known| known.floor.load(Acquire)),
            standing: known.and_then(|known| known.standing.load(Acquire).checked_sub(1)),
        }
    }

    /// While nobody uses the map: the number of keys, and each of them.
    pub(crate) fn tally(&self) {
        let mut keys = 0;
        self.map.range(|key, value| {
            keys += 1;
            self.expect(*key).found(value, &mut 0);
            true
        });
        let len = self.map.len() + usize::from(self.plants(Plant::Len));
        if len != keys {
            fault(
                Fault::Len,
                fmt!("len is {}, but there are {} keys", len, keys),
            );
        }
        for key in 0..self.params.keys {
            self.look(key, &mut 0);
        }
    }

    /// Looks a key up by `load`, and checks what that finds. Process context.
    pub(crate) fn look(&self, key: u64, seen: &mut u64) {
        let expected = self.expect(key);
        let looked = self
            .map
            .load_with(&key, |found| expected.found(found.get(), seen));
        if looked.is_none() {
            expected.nothing(self);
        }
    }

    pub(crate) fn figures(&self) -> Figures {
        let (faults, made, dropped) = census();
        let stats = self.map.stats();
        let mut operations = [0; KINDS];
        for (sum, counter) in operations.iter_mut().zip(&self.operations) {
            *sum = counter.load(Relaxed);
        }
        let mut inserted = [0; CONTEXTS as usize];
        for (sum, counter) in inserted.iter_mut().zip(&self.inserted) {
            *sum = counter.load(Relaxed);
        }
        Figures {
            operations,
            inserted,
            faults,
            refused: self.refused(),
            made,
            dropped,
            promotions: stats.promotions as u64,
            expunged: stats.expunged as u64,
            sweeps: stats.sweeps as u64,
            entries: stats.entries as u64,
            bytes: stats.bytes as u64,
        }
    }

    /// The end: nothing must be left.
    pub(crate) fn end(this: KBox<Self>) -> Figures {
        this.tally();
        let mut figures = this.figures();
        if this.plants(Plant::Leak) {
            if let Ok(value) = Value::new(0, 0, 0, GFP_KERNEL) {
                core::mem::forget(value);
            }
        }
        let one_more = usize::from(this.plants(Plant::Bytes));
        let account = this.account.clone();
        drop(this);
        // SAFETY: Process context.
        unsafe { kernel::bindings::rcu_barrier() };
        let bytes = account.bytes() + one_more;
        if bytes != 0 {
            fault(
                Fault::Bytes,
                fmt!("{} bytes are left of two dropped maps", bytes),
            );
        }
        let (_, made, dropped) = census();
        if made != dropped {
            fault(
                Fault::Leak,
                fmt!("{} values made, {} dropped", made, dropped),
            );
        }
        (figures.faults, figures.made, figures.dropped) = census();
        figures
    }
}

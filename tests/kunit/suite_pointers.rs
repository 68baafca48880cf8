// SPDX-License-Identifier: GPL-2.0

//! Pointers of the caller's own, which outlive what the map knows of them.

use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed, Release};
use kernel::sync::{new_mutex, rcu, Arc};
use kernel::time::{Instant, Monotonic};
use syncmap::map::Map;
use syncmap::object::Fixed;
use syncmap::value::{Borrowed, Pointer, Release as ReleaseFn};

use crate::support::QUIET;
use crate::threads::run_threads;

type Pointers = Map<Fixed<u64>, Borrowed>;

/// How long a reader looks at what it has found.
const MILLIS: i64 = 50;

fn pointers(release: Option<ReleaseFn>) -> Result<Arc<Pointers>> {
    // SAFETY: The functions of these tests do nothing with the pointers.
    let policy = unsafe { Borrowed::new(release) };
    Arc::pin_init(Map::with_policy(policy, QUIET, GFP_KERNEL), GFP_KERNEL)
}

fn pointer_to(word: &u64) -> Result<Pointer> {
    Pointer::new(core::ptr::from_ref(word).cast_mut().cast())
}

#[kunit_tests(syncmap_pointers)]
mod tests {
    use super::*;

    /// A reader may use what it has found until the end of its section, although the map ends.
    #[test]
    fn release_waits_for_readers() -> Result {
        needs_two_processors!();
        static RELEASED: Atomic<usize> = Atomic::new(0);
        /// # Safety
        ///
        /// None is needed.
        unsafe extern "C" fn release(_: *mut c_void) {
            RELEASED.fetch_add(1usize, Full);
        }
        RELEASED.store(0, Relaxed);
        let word = 0;
        let map = pointers(Some(release))?;
        map.swap_prepared(1, pointer_to(&word)?, GFP_KERNEL)?;
        // What is retired, or asks for a promotion, makes the end of a map wait anyway.
        map.promote_now();
        map.drain();
        let last = KBox::pin_init(new_mutex!(Some(map), "last"), GFP_KERNEL)?;
        let step = Atomic::new(0usize);
        let wait_for = |wanted| {
            while step.load(Acquire) != wanted {
                core::hint::spin_loop();
            }
        };
        run_threads(2, &|number| {
            if number == 0 {
                let map = last.lock().clone().ok_or(ENOENT)?;
                let guard = rcu::read_lock();
                check!(map.peek(&1, &guard).is_some());
                // The other thread has the last reference.
                drop(map);
                step.store(1, Release);
                // It may take a while until that runs on another processor.
                wait_for(2);
                let start = Instant::<Monotonic>::now();
                while start.elapsed().as_millis() < MILLIS {
                    check_eq!(RELEASED.load(Acquire), 0, "under a reader");
                    core::hint::spin_loop();
                }
                return Ok(());
            }
            wait_for(1);
            let map = last.lock().take();
            step.store(2, Release);
            drop(map);
            check_eq!(RELEASED.load(Acquire), 1);
            Ok(())
        })
    }

    /// A walk that cannot use a value asks again for the key, which may have another by then.
    #[test]
    fn range_takes_what_replaces_a_dying_value() -> Result {
        let words = [0; 3];
        let (dying, next) = (pointer_to(&words[0])?, pointer_to(&words[1])?);
        let map = pointers(None)?;
        for key in 0..100 {
            map.swap_prepared(key, dying, GFP_KERNEL)?;
        }
        let (mut refused, mut visits) = (0, 0);
        let mut order = KVec::with_capacity(100, GFP_KERNEL)?;
        map.range_rcu(|key, _| order.push_within_capacity(*key).is_ok());
        let take = |seen: Pointer| {
            if seen != dying {
                return Some(seen);
            }
            // Walks go by the same order each time: this is the key that it is at.
            let key = order.get(refused).copied()?;
            refused += 1;
            map.swap_prepared(key, next, GFP_ATOMIC).ok()?;
            None
        };
        map.range_with(take, |_, taken| {
            visits += 1;
            *taken == next
        });
        check_eq!((refused, visits), (100, 100));
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Charging memory to a map, and waiting for memory that comes back.

use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::rcu;

use crate::gfp::may_block;
use crate::hash::Key;
use crate::map::Map;
use crate::quota::{edquot, Charge, Patience, Short};
use crate::table::Editor;
use crate::value::Policy;

impl<K: Key, P: Policy> Map<K, P> {
    /// Charges `bytes`. If that exceeds a limit and `flags` allow sleeping, waits for what comes back
    /// by itself: what is retired, what dirty has superseded, and keys that were deleted; for the limit
    /// of an account, from all of its maps.
    ///
    /// `EDQUOT` if nothing comes back, or not enough, or if others were always faster to take it;
    /// `EINTR` if a fatal signal arrives.
    #[inline]
    pub(crate) fn charge(&self, bytes: usize, flags: Flags) -> Result<Charge<'_>> {
        match self.reclaimer.ledger.charge(bytes) {
            Ok(charge) => Ok(charge),
            Err(_) if may_block(flags) => self.charge_patiently(bytes),
            Err(_) => {
                // For stores that come later.
                self.bring_back();
                Err(edquot())
            }
        }
    }

    #[cold]
    fn charge_patiently(&self, bytes: usize) -> Result<Charge<'_>> {
        let mut patience = Patience::new();
        while patience.lasts() {
            // In this order: what comes back after the failed charge was on its way before it
            // (litmus: charge, charge-room).
            let outlook = |short| self.reclaimer.returns(short).outlook();
            let outlooks = [outlook(Short::Map), outlook(Short::Account)];
            let asked = self.bring_back();
            let short = match self.reclaimer.ledger.charge(bytes) {
                Ok(charge) => return Ok(charge),
                Err(short) => short,
            };
            let [map, account] = outlooks;
            let outlook = match short {
                Short::Map => map,
                Short::Account => account,
            };
            let hopeless = |coming: usize| {
                coming == 0 || !self.reclaimer.ledger.has_room(short, bytes, coming)
            };
            if !asked && outlook.bytes().is_some_and(hopeless) {
                break;
            }
            match self.reclaimer.wait(short, outlook.cycle) {
                Err(error) if error == EBUSY => break,
                done => done?,
            }
        }
        Err(edquot())
    }

    /// Sets free what waits in this map for something else to happen; whether there was any. Any context
    /// but NMI.
    #[cold]
    fn bring_back(&self) -> bool {
        let guard = rcu::read_lock();
        let locked = self.lock(&guard);
        let superseded = !locked.is_alone();
        if superseded {
            locked.promote();
        }
        let deleted = locked.has_deleted();
        drop(locked);
        if deleted {
            self.request_urgent_sweep();
        } else if self.worker.hurries() {
            // Segments that are nearly empty.
            self.worker.kick();
        }
        superseded || deleted
    }
}

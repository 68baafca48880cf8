// SPDX-License-Identifier: GPL-2.0

//! What the participants of the torture do with a map. The harness, `main.c` and its neighbours,
//! calls the functions below; everything that they see is checked against what they know:
//!
//! * [`value`]: each value knows its key and generation, and has a checksum; each is handed out at
//!   most once, and dropped once.
//! * [`world`]: the map, and what is known of its keys. [`owner`] has keys that nobody else changes,
//!   and knows what each of them must have; readers are told how old what they find may be.
//! * [`shared`]: keys that all change, from every context.
//! * [`inserter`]: keys that are made in atomic contexts.
//! * [`ranger`], [`grower`], [`actor`]: the other participants.
//! * [`history`]: short programs, recorded for a checker of linearizability.
//!
//! The module uses the crate, not the C API of `syncmap.ko`: so it has the owner of each value in its
//! hands, can have values of its own layout dropped under its eyes, and runs on while `syncmap.ko` is
//! loaded and unloaded beside it. The C API has its own traffic, in `tests/modules/ctest`.

use kernel::prelude::*;
use kernel::seq_file::SeqFile;

mod actor;
mod contexts;
mod grower;
mod history;
mod inserter;
mod kinds;
mod owner;
mod random;
mod ranger;
mod shared;
mod value;
mod world;

use actor::Actor;
use history::Recorder;
use kinds::{Figures, Params};
use world::World;

/// For `pr_err!`.
const __LOG_PREFIX: &[u8] = b"syncmap-torture\0";

/// Gives something to C, which gives it back one day; null if it could not be made.
fn give<T>(made: Result<KBox<T>>) -> *mut T {
    made.map_or(core::ptr::null_mut(), KBox::into_raw)
}

/// # Safety
///
/// `params` is valid; one world at a time.
#[no_mangle]
unsafe extern "C" fn syncmap_torture_begin(params: *const Params) -> *mut World {
    // SAFETY: By the contract of the function.
    give(World::new(unsafe { &*params }))
}

/// # Safety
///
/// `world` is one that has begun, and ends after this actor.
#[no_mangle]
unsafe extern "C" fn syncmap_torture_actor(
    world: *mut World,
    kind: u64,
    number: u64,
) -> *mut Actor<'static> {
    // SAFETY: By the contract of the function, for as long as there is the actor.
    let world: &'static World = unsafe { &*world };
    give(Actor::new(world, kind, number))
}

/// # Safety
///
/// `actor` was made above; nobody else uses it.
#[no_mangle]
unsafe extern "C" fn syncmap_torture_turn(actor: *mut Actor<'static>) -> u64 {
    // SAFETY: By the contract of the function.
    unsafe { &mut *actor }.turn()
}

/// # Safety
///
/// `actor` was made above, or is null; nobody will use it.
#[no_mangle]
unsafe extern "C" fn syncmap_torture_actor_free(actor: *mut Actor<'static>) {
    if !actor.is_null() {
        // SAFETY: By the contract of the function.
        drop(unsafe { KBox::from_raw(actor) });
    }
}

/// # Safety
///
/// `world` has begun; all actors wait.
#[no_mangle]
unsafe extern "C" fn syncmap_torture_tally(world: *mut World) {
    // SAFETY: By the contract of the function.
    unsafe { &*world }.tally();
}

/// # Safety
///
/// `world` has begun; `figures` is valid for writes.
#[no_mangle]
unsafe extern "C" fn syncmap_torture_figures(world: *mut World, figures: *mut Figures) {
    // SAFETY: By the contract of the function.
    unsafe { figures.write((*world).figures()) };
}

/// # Safety
///
/// `world` has begun, and there are no actors any more; `figures` is valid for writes.
#[no_mangle]
unsafe extern "C" fn syncmap_torture_end(world: *mut World, figures: *mut Figures) {
    // SAFETY: By the contract of the function.
    unsafe { figures.write(World::end(KBox::from_raw(world))) };
}

/// # Safety
///
/// None.
#[no_mangle]
unsafe extern "C" fn syncmap_record_begin(
    threads: u64,
    keys: u64,
    operations: u64,
    seed: u64,
) -> *mut Recorder {
    give(Recorder::new(threads, keys, operations, seed))
}

/// # Safety
///
/// `recorder` has begun, and nobody plays.
#[no_mangle]
unsafe extern "C" fn syncmap_record_open(recorder: *mut Recorder, number: u64) -> c_int {
    // SAFETY: By the contract of the function.
    match unsafe { &mut *recorder }.open(number) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// `recorder` is open; each thread plays once.
#[no_mangle]
unsafe extern "C" fn syncmap_record_play(recorder: *mut Recorder, thread: u64) {
    // SAFETY: By the contract of the function: nobody has it to himself meanwhile.
    unsafe { &*recorder }.play(thread as usize);
}

/// # Safety
///
/// `recorder` is open, and all have played.
#[no_mangle]
unsafe extern "C" fn syncmap_record_close(recorder: *mut Recorder) {
    // SAFETY: By the contract of the function.
    unsafe { &mut *recorder }.close();
}

/// # Safety
///
/// `recorder` has been closed; `file` is valid.
#[no_mangle]
unsafe extern "C" fn syncmap_record_show(
    recorder: *mut Recorder,
    file: *mut kernel::bindings::seq_file,
) {
    // SAFETY: By the contract of the function.
    unsafe { &*recorder }.show(unsafe { SeqFile::from_raw(file) });
}

/// # Safety
///
/// `recorder` has begun; nobody will use it.
#[no_mangle]
unsafe extern "C" fn syncmap_record_end(recorder: *mut Recorder) {
    // SAFETY: By the contract of the function.
    drop(unsafe { KBox::from_raw(recorder) });
}

// SPDX-License-Identifier: GPL-2.0

//! What a program is to its system: signals and the umask.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::thread;

use crate::failure::Failure;

/// Has this program end as others do when nobody reads what it writes, instead of failing to write.
pub(crate) fn end_with_the_pipe() {
    // SAFETY: The default action, set before there is another thread.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Has maps made with just the mode that was asked for.
pub(crate) fn clear_umask() {
    // SAFETY: Changes a number of this process, which no other thread uses.
    unsafe { libc::umask(0) };
}

/// Ends the program with the status that `last_words` returns, when it is interrupted.
pub(crate) fn on_interrupt(
    mut last_words: impl FnMut() -> i32 + Send + 'static,
) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::error(format!("signals cannot be caught: {error}")))?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            std::process::exit(last_words());
        }
    });
    Ok(())
}

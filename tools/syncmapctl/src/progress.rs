// SPDX-License-Identifier: GPL-2.0

//! How far long work has come, for who sits at a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};

/// A bar on standard error, if that is a terminal; `known` tells how far to go, in bytes or keys.
pub(crate) fn bar(known: Option<u64>, bytes: bool) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr_with_hz(5);
    let bar = ProgressBar::with_draw_target(known, target);
    let counts = match (known, bytes) {
        (Some(_), true) => "[{bar:30}] {percent:>3} % {bytes} of {total_bytes}, {eta} to go",
        (None, true) => "{bytes} in {elapsed}",
        (Some(_), false) => "[{bar:30}] {percent:>3} % {human_pos} of {human_len}, {eta} to go",
        (None, false) => "{human_pos} in {elapsed}",
    };
    // The texts above are right, or there is a bar of another style.
    match ProgressStyle::with_template(counts) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_a_bar_for_everything() {
        for known in [None, Some(10)] {
            for bytes in [false, true] {
                super::bar(known, bytes).inc(1);
            }
        }
    }
}

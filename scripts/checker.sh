#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# checker.sh: builds the checker of linearizability (tests/model/linearize) as a
# static program for guests, and prints its path.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

out=$(work_dir)/linearize
from=tests/model/linearize/src
mkdir -p "$out"
lock "$(basename "$(work_dir)")-linearize"
recipe=$(cat "$SOURCE/$from"/*.rs "$0" | sha256sum)$(root_dir)
if [ "$(cat "$out/recipe" 2>/dev/null)" != "$recipe" ]; then
	rm -f "$out/recipe"
	# Two crates without dependencies: rustc alone will do, and needs no network.
	# shellcheck disable=SC2016 # expanded inside the root
	in_root --bind "$out" /out -- sh -ec '
		flags="--edition=2021 -Copt-level=2 -Ctarget-feature=+crt-static"
		rustc $flags --crate-type=rlib --crate-name=linearize \
			-o /out/liblinearize.rlib "$1/lib.rs"
		rustc $flags --extern linearize=/out/liblinearize.rlib \
			-o /out/linearize "$1/main.rs"' sh "$from" >&2 ||
		die "The checker of histories does not compile; the reasons are above."
	say "$recipe" >"$out/recipe"
fi
say "$out/linearize"

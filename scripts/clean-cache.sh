#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make clean-cache: removes the cache, but only what syncmap has put there.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ -d "$CACHE" ] || exit 0
lock setup
for thing in "$CACHE"/{root,linux,kernel,source,uml,debug,herd,work}-* \
	"$CACHE"/{stage,kernels,archives,cargo,mutants}; do
	if [ -L "$thing" ] || [ -f "$thing" ]; then
		rm -f "$thing"
	elif [ -d "$thing" ]; then
		remove "$thing"
	fi
done
rm -f "$CACHE"/*.log
say "Removed what syncmap had cached in $CACHE."

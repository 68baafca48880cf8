#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# series.sh SUFFIX NAMES SOURCES: of each series of kernels that syncmap may build for,
# the newest first, prints the newest release that has both headers and source:
# "series release version".  NAMES is a file with the names of packages, SOURCES what
# apt-cache madison says of linux-source-*; SUFFIX is that of the flavour.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

suffix=$1 names=$2 sources=$3

# version_of RELEASE: that of the source package that goes with it.
version_of() {
	awk -v name="linux-source-$series" -v point="${1%%+*}-" '
		$1 == name && index($3, point) == 1 { print $3; exit }' "$sources"
}

sed -nE 's/^linux-source-([0-9]+\.[0-9]+)$/\1/p' "$names" | sort -Vru |
	while read -r series; do
		is_supported "$series" || continue
		sed -nE "s/^linux-headers-(${series/./\\.}\\.[0-9.]+\\+deb[0-9a-z.]*-$suffix)\$/\\1/p" \
			"$names" | sort -Vru | while read -r release; do
			version=$(version_of "$release")
			[ -z "$version" ] || {
				say "$series $release $version"
				break
			}
		done
	done

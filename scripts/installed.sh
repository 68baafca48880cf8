#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# installed.sh RELEASE: says so if syncmap is installed for that kernel more than once,
# by hand and by DKMS: modprobe takes one of them, and it may be the older one.
# Does not source lib.sh, which stops on machines that the module is not for.

set -euo pipefail
export LC_ALL=C

folder=${INSTALL_MOD_PATH:-}/lib/modules/$1
modules=()
while read -r one; do modules+=("$one"); done < <(
	find -L "$folder" -name 'syncmap.ko*' ! -path '*/build/*' ! -path '*/source/*' \
		2>/dev/null | sort)
[ ${#modules[@]} -gt 1 ] || exit 0
for one in "${modules[@]}"; do
	version=$(PATH=$PATH:/usr/sbin:/sbin modinfo -F version "$one" 2>/dev/null || true)
	said+=("  $one${version:+ ($version)}")
done
taken=$(PATH=$PATH:/usr/sbin:/sbin modinfo ${INSTALL_MOD_PATH:+-b "$INSTALL_MOD_PATH"} \
	-k "$1" -n syncmap 2>/dev/null || true)
printf 'syncmap: %s\n' "There are ${#modules[@]} modules syncmap for Linux $1:" >&2
printf '         %s\n' "${said[@]}" "modprobe takes ${taken:-one of them}." \
	"Remove the other, and say: depmod $1" >&2

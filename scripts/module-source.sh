#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# module-source.sh DIR: puts into DIR what the module is built from, and no more,
# with a dkms.conf: what dkms keeps in /usr/src/syncmap-VERSION.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

dir=$1
version=$(cat "$SOURCE/tools/packages/VERSION")
mkdir -p "$dir/scripts" "$dir/tools/packages"
dir=$(cd "$dir" && pwd)
cd "$SOURCE"
cp Makefile Kbuild syncmap.mk COPYING "$dir"
cp scripts/{lib,build-folder,kdir,metadata,dkms-build,installed}.sh "$dir/scripts"
cp tools/packages/VERSION "$dir/tools/packages"
chmod -x "$dir"/scripts/{lib,build-folder}.sh
find src include -type f -name '*.[chr]*' ! -name '*.rmeta' ! -name '.*' \
	-exec cp --parents {} "$dir" \;
sed "s/#MODULE_VERSION#/$version/" tools/packages/dkms.conf >"$dir/dkms.conf"

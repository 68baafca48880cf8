#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make deb: the Debian packages syncmap-dkms, libsyncmap-dev and syncmapctl; the same
# from the same commit, byte for byte.  Prints their folder.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

version=$(cat "$SOURCE/tools/packages/VERSION")
# The time of the last commit; of a source without a history, that of its version.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$SOURCE" log -1 --format=%ct \
	2>/dev/null || stat -c %Y "$SOURCE/tools/packages/VERSION")}

"$SCRIPTS/host.sh" >&2
"$SCRIPTS/root.sh" deb >&2
out=$(work_dir)/deb
mkdir -p "$out"
lock "$(basename "$(work_dir)")-deb"
remove "$out"
tree=$out/build/syncmap-$version
mkdir -p "$tree"
cd "$SOURCE"
cp -r tools/packages/debian "$tree"
"$SCRIPTS/module-source.sh" "$tree/dkms"

# The rest as make install does it, with a command that is static.
"$SCRIPTS/root.sh" >&2
tools=$("$SCRIPTS/tools.sh" | tail -n 1)
SYNCMAPCTL=$tools/syncmapctl DESTDIR=$tree/installed PREFIX=/usr \
	"$SCRIPTS/install.sh" >&2

cat >"$tree/debian/changelog" <<END
syncmap ($version) unstable; urgency=medium

  * Version $version.

 -- The syncmap developers <syncmap@localhost>  $(date -uRd "@$SOURCE_DATE_EPOCH")
END
mkdir "$out/source" # what autopkgtest wants to see
cp -r "$tree/debian" "$out/source"
find "$tree" -type f -exec chmod go-w {} + -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
user=()
as_root || user=(--unshare-user --uid 0 --gid 0)
ROOT_KEY=$DEB_KEY in_root --bind "$out/build" /build "${user[@]}" \
	--setenv SOURCE_DATE_EPOCH "$SOURCE_DATE_EPOCH" \
	-- env -C "/build/syncmap-$version" dpkg-buildpackage -b -d -us -uc \
	>"$out/log" 2>&1 || {
	tail -n 15 "$out/log" >&2
	die "The packages could not be made; all of the log: $out/log"
}
mv "$out"/build/*.deb "$out"/build/*.changes "$out"
remove "$out/build"
say "$out"

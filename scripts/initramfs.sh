#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# initramfs.sh IMAGE JOB [FILE=PATH...]: packs a guest: busybox, init.sh, the shell
# script JOB as /job, and each FILE as PATH.  The same input gives the same image,
# byte for byte.  For the kernel of UML or FLAVOUR, which the tests must know to be
# slow if it is.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

image=$1 job=$2
shift 2
tree=$image.tree
rm -rf "$tree"
mkdir -p "$tree"/{bin,dev,proc,sys,tmp,etc}
native=$(root_dir)/usr/bin/busybox
busybox=$native
[ -z "$FOREIGN" ] || busybox=$(kernel_dir)/busybox
cp "$busybox" "$tree/bin/busybox"
for tool in $("$native" --list | grep -vx busybox); do
	ln -sf busybox "$tree/bin/$tool"
done
cp "$SCRIPTS/init.sh" "$tree/init"
chmod 755 "$tree/init"
cp "$job" "$tree/job"
say "export SYNCMAP_PATIENCE=$(patience)" >"$tree/settings"
printf '%s:/:/bin/sh\n' root:x:0:0: nobody:x:65534:65534: >"$tree/etc/passwd"
for pair in "$@"; do
	mkdir -p "$tree$(dirname "${pair#*=}")"
	cp "${pair%%=*}" "$tree${pair#*=}"
done
find "$tree" -exec touch -h -d @0 {} +
# shellcheck disable=SC2016 # expanded inside the root
in_root --ro-bind "$tree" /tree --bind "$(dirname "$image")" /image -- \
	sh -c 'cd /tree && find . | LC_ALL=C sort |
		cpio --quiet --reproducible -R 0:0 -o -H newc >/image/"$1"' \
	sh "$(basename "$image")"
rm -rf "$tree"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make test-packages: on a clean Debian 13, in a root of its own, installs the
# packages of make deb, has dkms build the module for a stock kernel, loads that
# into the kernel under QEMU, builds modules and programs with what is installed,
# installs without packages, and removes everything.  Takes long; the last line is
# the sum.  As root only, since the machine has users of its own.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

passed=0
failed=0
as_root || die "Only root may do this: apt needs all of a machine's users."

# check NAME COMMAND...: what it says is kept, and shown if it fails.
check() {
	local name=$1 start=$SECONDS
	shift
	say "## $name: $*" >>"$log"
	if "$@" >"$out/said" 2>&1 </dev/null; then
		passed=$((passed + 1))
		say "      ok: $name ($((SECONDS - start)) s)"
	else
		failed=$((failed + 1))
		say "      FAILED: $name"
		tail -n 12 "$out/said" | cut -c1-120 | sed 's/^/        /'
	fi
	cat "$out/said" >>"$log"
}

# in_machine COMMAND...: on the machine, with the network; what apt downloads is
# kept for the next time.
in_machine() {
	local proxy proxies=()
	online
	for proxy in http_proxy https_proxy all_proxy no_proxy; do
		[ -z "${!proxy:-}" ] || proxies+=("$proxy=${!proxy}")
	done
	env -i "${proxies[@]}" PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C \
		DEBIAN_FRONTEND=noninteractive \
		bwrap --die-with-parent --unshare-pid --bind "$out/machine" / --dev /dev \
		--proc /proc --tmpfs /tmp "${ONLINE[@]}" \
		--bind "$CACHE/archives" /var/cache/apt/archives \
		--bind "$CACHE/cargo" /root/.cargo \
		--ro-bind "$out/packages" /packages --ro-bind "$SOURCE" /checkout -- "$@"
}
# inside SCRIPT [ARGUMENT...]
inside() {
	local script=$1
	shift
	in_machine sh -euc "$script" sh "$@"
}

make_machine() {
	local root=$CACHE/root-$MACHINE_KEY suite
	remove "$out/machine"
	cp -a "$root" "$out/machine"
	for suite in trixie trixie-backports; do
		sed -n "s/ trixie main\$/ $suite main/p" "$root/etc/apt/sources.list"
	done >"$out/machine/etc/apt/sources.list"
	{
		apt_options
		say 'Acquire::Languages "none";'
		# It has no other user yet, and this one cannot read the host's folders.
		say 'APT::Sandbox::User "root";'
	} >"$out/machine/etc/apt/apt.conf.d/99here"
	mkdir -p "$CACHE/archives/partial" "$CACHE/cargo"
	in_machine apt-get update
}

# Every file that is the packages' or that they have made.
traces() {
	find "$out/machine" -xdev -name '*syncmap*' ! -path '*/root/*' \
		-printf '/%P\n' | sort
	find "$out/machine/lib/modules/" -path '*/updates/*' -printf '%p\n'
}
no_traces() {
	traces
	[ -z "$(traces)" ]
}

# of_headers RELEASE: the version of the source that goes with its headers.
of_headers() {
	in_machine apt-cache show "linux-headers-$1" | sed -n 's/^Version: //p' |
		head -n 1
}

# others: "series release source" of the kernels other than this one.
others() {
	in_machine apt-cache pkgnames linux- >"$out/names"
	# shellcheck disable=SC2046 # a word for each
	in_machine apt-cache madison $(grep -E '^linux-source-[0-9.]+$' "$out/names") \
		>"$out/sources"
	"$SCRIPTS/series.sh" "${release#*-}" "$out/names" "$out/sources" |
		grep -vF " $release "
}

same_twice() {
	local first=$out/first
	remove "$first"
	"$SCRIPTS/deb.sh" || return
	cp -r "$(work_dir)/deb" "$first"
	"$SCRIPTS/deb.sh" || return
	for one in "$first"/*.deb; do
		cmp "$one" "$(work_dir)/deb/${one##*/}" || return
	done
	remove "$out/packages"
	mv "$first" "$out/packages"
}

guest() {
	local m=$out/machine modules=$1 minor programs one pairs=()
	minor=$(MODULES=1 "$SCRIPTS/module.sh") || return
	programs=$("$SCRIPTS/programs.sh" samples) || return
	while read -r one; do
		pairs+=("$m/lib/modules/$release/$one=/lib/modules/$release/$one")
	done < <(cd "$m/lib/modules/$release" && ls -d modules.* && find updates -name '*.ko*')
	pairs+=("$m/usr/bin/kmod=/sbin/modprobe" "$m/usr/bin/kmod=/sbin/kmod")
	while read -r one; do
		pairs+=("$m$one=$one")
	done < <(in_machine ldd /usr/bin/kmod | grep -o '/[^ ]*')
	mkdir -p "$out/$modules"
	"$SCRIPTS/initramfs.sh" "$out/$modules/initramfs" \
		"$SCRIPTS/job-packages.sh" "$programs/demo=/demo" \
		"$minor/syncmap_minor.ko=/minor.ko" "${pairs[@]}" \
		"$(root_dir)/etc/services=/data/services" \
		"$(root_dir)/usr/share/dict/american-english=/data/words" || return
	# Everything that it says, since its own words are TAP.
	V=1 "$SCRIPTS/guest.sh" "$out/$modules" "${TIMEOUT:-900}"
}

# Modules in C and in Rust of somebody who has only the packages, and a program.
elsewhere() {
	# shellcheck disable=SC2016 # expanded on the machine
	inside 'rm -rf /root/mine && mkdir /root/mine && cd /root/mine
		cp /checkout/samples/rust_user.rs /checkout/samples/blocklist.c .
		cp /checkout/samples/client.c /root/client.c
		printf "%s\n" "obj-m := in_c.o in_rust.o" "in_c-y := blocklist.o" \
			"in_rust-y := rust_user.o" "syncmap-modules := in_rust" \
			"include /usr/share/syncmap/syncmap.mk" >Kbuild
		make -C /var/lib/syncmap/kernels/'"$release"' M=$PWD modules
		ls in_c.ko in_rust.ko
		gcc -Wall -Werror -o /root/client /root/client.c'
}

# By hand, without packages: as a user of that machine, with its metadata; then
# installed by root, who has another HOME.
installed_by_hand() {
	# shellcheck disable=SC2016 # expanded on the machine
	inside 'rm -rf /home/user && mkdir /home/user
		cp -r /checkout /home/user/syncmap && rm -rf /home/user/syncmap/.git
		chown -R 1000:1000 /home/user
		setpriv --reuid 1000 --regid 1000 --clear-groups env HOME=/home/user \
			make -C /home/user/syncmap KDIR=/usr/src/linux-headers-'"$release"'
		make -C /home/user/syncmap modules_install'
}
by_hand() {
	installed_by_hand &&
		inside "modinfo -k $release syncmap | grep '^filename.*/updates/syncmap.ko'"
}

# One by hand beside that of DKMS: both are named.
beside() {
	installed_by_hand >"$out/beside" 2>&1 || { cat "$out/beside" && return 1; }
	cat "$out/beside"
	grep "There are 2 modules syncmap for Linux $release" "$out/beside" &&
		grep "/updates/dkms/syncmap.ko" "$out/beside"
}

# The package installed over that one by hand, which is of the same version.
over_by_hand() {
	inside "apt-get -y remove syncmap-dkms
		ls /lib/modules/$release/updates/syncmap.ko*
		apt-get -y --no-install-recommends install /packages/syncmap-dkms_*.deb
		dkms status syncmap | grep '$release.*: installed'"
}

# When a kernel is installed, with one by hand for it.
headers_by_hand() {
	inside "dkms uninstall syncmap/$version -k $release
		ls /lib/modules/$release/updates/syncmap.ko*
		/etc/kernel/header_postinst.d/dkms $release
		dkms status syncmap | grep '$release.*: installed'"
}

# It is put back when DKMS's goes.
put_back() {
	inside "rm /lib/modules/$release/updates/syncmap.ko*; rm -r /home/user
		depmod $release"
}

dkms_by_hand() {
	inside "make -C /home/user/syncmap dkms RELEASE=$release
		dkms status syncmap | grep '$release.*: installed'
		dkms remove syncmap/$version -k $release
		ls /lib/modules/$release/updates/syncmap.ko*
		dkms build syncmap/$version -k $release
		dkms install syncmap/$version -k $release
		dkms status syncmap | grep '$release.*: installed'
		dkms remove syncmap/$version --all
		rm -r /usr/src/syncmap-$version /home/user /var/lib/syncmap
		rm /usr/share/dkms/modules_to_force_install/syncmap
		rm /lib/modules/$release/updates/syncmap.ko*"
}

# says RELEASE WORDS [MACHINE]: what the package says, when it is configured, of the
# running kernel; nothing is built meanwhile.
says() {
	# shellcheck disable=SC2016 # expanded on the machine
	inside 'release=$1 words=$2
		mkdir -p /root/as
		cat >/root/as/uname <<END
#!/bin/sh
case "\$1" in
-r) echo $release ;;
-m) echo ${3:-$(uname -m)} ;;
*) exec /usr/bin/uname "\$@" ;;
esac
END
		chmod +x /root/as/uname
		made=
		[ -e "/lib/modules/$release" ] || made=/lib/modules/$release
		[ -z "$made" ] || mkdir "$made"
		touch /etc/dkms/no-autoinstall
		status=0
		PATH=/root/as:$PATH TIMEOUT=0 /var/lib/dpkg/info/syncmap-dkms.postinst \
			configure >/root/said 2>&1 || status=$?
		rm /etc/dkms/no-autoinstall
		[ -z "$made" ] || rmdir "$made"
		cat /root/said
		[ "$status" -eq 0 ]
		grep -q "There is no module syncmap for the running kernel, $release" /root/said
		grep -F -- "$words" /root/said' "$@"
}
# It cannot be had for this kernel, and nothing is said that would not help.
says_never() {
	says "$@" && inside '! grep "dkms autoinstall" /root/said'
}
# Nothing is missing, but the build has failed.
says_failed() {
	inside "dkms uninstall syncmap/$version -k $release
		touch /var/lib/syncmap/$release.log" &&
		says "$release" "its build has failed: see /var/lib/syncmap/$release.log" &&
		inside "rm /var/lib/syncmap/$release.log" &&
		says "$release" "Nothing is missing. Say: sudo dkms autoinstall -k $release" &&
		inside "dkms install syncmap/$version -k $release"
}

# Without the headers of a kernel, the test of the module has nothing to test.
skips() {
	# shellcheck disable=SC2016 # expanded on the machine
	inside 'mkdir /root/headers
		mv /usr/src/linux-headers-* /root/headers
		status=0
		sh /packages/source/debian/tests/modules || status=$?
		mv /root/headers/* /usr/src
		rmdir /root/headers
		[ "$status" -eq 77 ]'
}

# refused NAME WORDS COMMAND...: what it says goes to a file of that name.
refused() {
	local said=$out/$1 words=$2
	shift 2
	! "$@" >"$said" 2>&1 || return
	cat "$said"
	grep -q -- "$words" "$said"
}

# make dist, in a copy inside another repository, and in a clone of another user's.
no_dist() {
	local here=$out/no-dist
	remove "$here"
	mkdir "$here"
	tar -C "$here" -xf "$out/dist" || return
	git init -q "$here" || return
	refused inside "a copy of the source inside another git repository" \
		"$here/syncmap-$version/scripts/dist.sh" || return
	git init -q "$here/syncmap-$version" && chown -R 1000:1000 "$here" || return
	refused theirs "dubious ownership" env -u SUDO_UID GIT_CONFIG_GLOBAL=/dev/null \
		GIT_CONFIG_SYSTEM=/dev/null "$here/syncmap-$version/scripts/dist.sh" || return
	remove "$here"
}

# Built by a user with cargo, wherever that puts it; installed by root, who has none.
user_builds() {
	# shellcheck disable=SC2016 # expanded on the machine
	inside 'rm -rf /home/user && mkdir /home/user
		cp -r /root/dist /home/user/syncmap
		cp -r /root/.cargo /home/user/.cargo
		chown -R 1000:1000 /home/user
		cd /home/user/syncmap
		PATH=/usr/bin setpriv --reuid 1000 --regid 1000 --clear-groups env \
			HOME=/home/user TMPDIR=/home/user CARGO_TARGET_DIR=/home/user/elsewhere \
			CARGO_BUILD_TARGET="$(rustc -vV | sed -n "s/^host: //p")" make syncmapctl
		mv /usr/bin/cargo /root/cargo.away
		status=0
		make install PREFIX=/usr/local || status=$?
		mv /root/cargo.away /usr/bin/cargo
		[ "$status" -eq 0 ]
		/usr/local/sbin/syncmapctl --version
		find . -user root
		[ -z "$(find . -user root)" ]
		make clean
		[ ! -e tools/target ]
		make uninstall
		[ -z "$(find /usr/local -name "*syncmap*")" ]
		rm -r /home/user'
}

# The tarball is the same twice, and all that make install takes besides is cargo.
from_dist() {
	local tarball
	tarball=$("$SCRIPTS/dist.sh") || return
	cp "$tarball" "$out/dist"
	"$SCRIPTS/dist.sh" && cmp "$tarball" "$out/dist" || return
	mkdir -p "$out/machine/root/dist"
	tar -C "$out/machine/root/dist" --strip-components=1 -xf "$tarball" || return
	# shellcheck disable=SC2016 # expanded on the machine
	inside 'apt-get -y --no-install-recommends install cargo
		make -C /root/dist install DESTDIR=/root/staged PREFIX=/usr
		for package in libsyncmap-dev syncmapctl; do
			dpkg-deb --fsys-tarfile /packages/${package}_*.deb | tar -t |
				sed "/\/\$/d; /share\/doc/d; s/\.gz\$//; s/vendor-completions/site-functions/"
		done | sort >/root/packaged
		[ ! -e /root/dist/tools/target ]
		cd /root/staged && find . -type f | sort | diff /root/packaged -
		make -C /root/dist uninstall DESTDIR=/root/staged PREFIX=/usr
		[ -z "$(find . -type f)" ]'
}

# Tags that are not for packages of a project's own are left out in lint.tags.
lint() {
	ROOT_KEY=$DEB_KEY in_root --ro-bind "$out/packages" /packages \
		-- sh -c 'lintian --fail-on error,warning --allow-root \
			--suppress-tags-from-file /syncmap/tools/packages/lint.tags \
			/packages/*.deb'
}

# The package builds for all kernels, the older one first: of $other, which lacks its
# source, and $release, it can be built for one.
two_kernels() {
	inside "TIMEOUT=0 ARCH=mips apt-get -y --no-install-recommends --reinstall \
			install /packages/syncmap-dkms_*.deb >/root/said 2>&1 || {
			cat /root/said
			exit 1
		}
		cat /root/said
		grep 'not built for Linux $other; the reasons are in $reasons' /root/said
		grep 'linux-source-$series' $reasons
		! dkms status syncmap | grep '$other.*: installed' || exit 1
		dkms status syncmap | grep '$release.*: installed'"
}

# A kernel that comes later, of another series; at first without its source, so that
# nothing can be built for it.
upgrading() {
	local series='' other='' source='' reasons
	read -r series other source < <(others) || true
	if [ -z "$other" ]; then
		say "      skipped: apt has no kernel of another series than that of $release"
		return
	fi
	reasons=/var/lib/syncmap/$other.log
	check "the headers of $other alone hold nothing up" in_machine apt-get -y \
		--no-install-recommends install "linux-headers-$other"
	check "nor does dkms, which names the log" inside "
		dkms autoinstall -k $other >/root/said 2>&1 || { cat /root/said && exit 1; }
		cat /root/said
		grep '$reasons' /root/said
		! dkms status syncmap | grep '$other.*: installed'"
	check "the log says why, and what to do" inside "grep 'linux-source-$series' $reasons
		grep 'dkms install syncmap/$version -k $other' $reasons"
	check "both at once: one is built, and the log of the other stays" two_kernels
	check "if it runs, the package says what is missing" says "$other" \
		"Then say: sudo dkms autoinstall -k $other"
	check "with the source it is built" inside "apt-get -y --no-install-recommends \
			install linux-source-$series=$source
		dkms autoinstall -k $other
		dkms status syncmap | grep '$other.*: installed'
		! test -e $reasons"
	check "and still is for $release" inside \
		"dkms status syncmap | grep '$release.*: installed'"
}

using() {
	check "opening the device loads the module, in the kernel" guest dkms
	check "modules and programs are built with the packages" elsewhere
	check "the tests that come with the packages" inside \
		'apt-get -y --no-install-recommends install autopkgtest
		autopkgtest --no-built-binaries /packages/source -- null'
	check "that of the module is skipped where no kernel is" skips
	check "of a kernel that is too old, the package says which to install" \
		says_never 6.12.48+deb13-amd64 linux-image-amd64/trixie-backports
	check "and nothing that fails, on a machine that it is not for" \
		says_never 7.3.4+deb13-riscv64 "not built for riscv64" riscv64
	check "of a build that has failed, it names the log" says_failed
}

removing() {
	check "a module by hand beside it is reported" beside
	check "the package is installed over a module by hand" over_by_hand
	check "and so is a kernel" headers_by_hand
	check "the packages are purged" inside \
		'cp -a /var/lib/syncmap /root/kept
		apt-get -y purge syncmap-dkms libsyncmap-dev syncmapctl'
	check "the module by hand is put back" put_back
	check "and nothing is left" no_traces
	inside 'mv /root/kept /var/lib/syncmap'
	check "make, and make modules_install" by_hand
	check "make dkms, and dkms by hand; and removed by hand" dkms_by_hand
	check "and nothing is left of that" no_traces
	check "make dist, and make install from it, are what the packages have" from_dist
	check "make dist names what git refuses, or finds instead" no_dist
	check "make syncmapctl, as a user, before make install" user_builds
}

prepare() {
	"$SCRIPTS/host.sh"
	"$SCRIPTS/root.sh"
	"$SCRIPTS/root.sh" deb
	"$SCRIPTS/root.sh" machine
	"$SCRIPTS/kernel.sh"
}

packages() {
	check "the packages are made, twice the same" same_twice
	check "lintian has no complaint" lint
	check "a clean machine" make_machine
	source=$(of_headers "$release")
	check "headers and source of a stock kernel" in_machine apt-get -y \
		--no-install-recommends install "linux-headers-$release" \
		"linux-source-$(series_of "$release")=$source" udev kmod
	# Which the package of the kernel does, and dkms wants to see done.
	check "its list of modules" in_machine depmod "$release"
	check "syncmap-dkms and the others are installed" inside \
		'apt-get -y --no-install-recommends install /packages/*.deb'
	check "dkms has built the module" inside \
		"dkms status syncmap | grep '$release.*: installed'"
	# apt leaves them out here, to save room.
	# shellcheck disable=SC2016 # expanded on the machine
	check "the manuals are there" inside 'for page in libsyncmap-dev:man4/syncmap.4 \
			syncmapctl:man8/syncmapctl.8; do
			dpkg-deb --fsys-tarfile /packages/${page%:*}_*.deb |
				tar -xO ./usr/share/man/${page#*:}.gz | zgrep "^\.TH"
		done'
	check "the group is there" inside 'getent group syncmap'
	check "udev understands the rule" inside \
		'udevadm verify /usr/lib/udev/rules.d/60-syncmap.rules'
}

version=$(cat "$SOURCE/tools/packages/VERSION")
STEPS=5
step "What it takes" prepare
[ -n "${WORK:-}" ] || lock_work # make test-all has locked it
out=$WORK/packages
log=$out/log
mkdir -p "$out"
: >"$log"
release=$(cat "$(kernel_dir)/release")
step "Packages, on a clean machine" packages
step "Using what is installed" using
step "Installing another kernel" upgrading
step "Removing it" removing
show_times
remove "$out/machine"
say "All it said: $log"
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

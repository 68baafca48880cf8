# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # others use what is set here
#
# What every script here shares: where things are, how to speak, how to lock,
# and how to run a command inside the toolchain root.  Sourced, never run.

set -euo pipefail
export LC_ALL=C
umask 022

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
SCRIPTS=$SOURCE/scripts
# Without HOME (a bare cron job, a container) the password database knows it.
: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
CACHE=${SYNCMAP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/syncmap}
FLAVOUR=${FLAVOUR:-cloud}
export HOME FLAVOUR

say() { printf '%s\n' "$*"; }

# die SENTENCE...: each argument is one line; say what is wrong and what to do.
die() {
	printf 'syncmap: %s\n' "$1" >&2
	shift
	[ $# -eq 0 ] || printf '         %s\n' "$@" >&2
	exit 1
}

[[ ${TIMEOUT:-1} =~ ^[1-9][0-9]*$ ]] || die "TIMEOUT=$TIMEOUT is no number of seconds."

as_root() { [ "$(id -u)" -eq 0 ]; }

# key_of TEXT...: a short name for a recipe; a changed recipe has another one.
key_of() { printf '%s\0' "$@" | sha256sum | cut -c1-12; }

make_cache() {
	{ mkdir -p "$CACHE" 2>/dev/null && [ -w "$CACHE" ]; } ||
		die "The cache folder $CACHE cannot be written." \
			"Make it writable, or set SYNCMAP_CACHE to another folder."
	CACHE=$(cd "$CACHE" && pwd -P)
}

# need_space MIB WHAT: refuse early rather than run full in the middle.
need_space() {
	local free
	free=$(df -Pm "$CACHE" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] ||
		die "$2 needs $1 MiB, but only $free MiB are free in $CACHE." \
			"Free some space, or set SYNCMAP_CACHE to a folder on another disk."
}

# replace_part NAME PAGE FILE: what stands on a page between the lines
# "<!-- NAME -->" and "<!-- end of NAME -->" becomes what FILE has.
replace_part() {
	local new
	new=$(mktemp)
	awk -v name="$1" -v file="$3" '
		$0 == "<!-- end of " name " -->" { inside = 0 }
		!inside
		$0 == "<!-- " name " -->" {
			while ((getline line < file) > 0) print line
			inside = found = 1
		}
		END { exit !found }' "$2" >"$new" ||
		die "$2 has no part \"$1\"." "Put its two lines back: see scripts/lib.sh."
	cat "$new" >"$2"
	rm -f "$new"
}

# remove PATH...: also what an ordinary user's user namespace has left behind.
remove() {
	chmod -R u+rwX "$@" 2>/dev/null || true
	rm -rf "$@" 2>/dev/null ||
		unshare --map-root-user --map-auto rm -rf "$@" 2>/dev/null ||
		die "Cannot remove $*." "Remove it by hand (as root) and try again."
}

# lock NAME: hold a lock until this process ends; say so when waiting for it.
lock() {
	local fd
	make_cache
	exec {fd}>>"$CACHE/$1.lock"
	if ! flock -n "$fd"; then
		say "Waiting for another run that is busy here (lock $1) ..." >&2
		flock "$fd"
	fi
}

# begin_setup: take the set-up lock and a clean place to build something in.
# Whatever lies there is what an interrupted set-up left.
begin_setup() {
	lock setup
	STAGE=$CACHE/stage
	[ ! -e "$STAGE" ] || remove "$STAGE"
	mkdir "$STAGE"
}

# publish NAME PATH: the finished thing appears at once, under its final name.
publish() {
	[ ! -e "$2" ] || remove "$2"
	mv -T "$STAGE/$1" "$2"
}

end_setup() { remove "$STAGE"; }

# prune PREFIX KEEP: forget recipes that nobody has used for two weeks.
prune() {
	local old
	find "$CACHE" -maxdepth 1 -name "$1-*" ! -path "$2" -mtime +14 |
		while read -r old; do remove "$old"; done
}

# guard PID: kills that background job when this script is gone, however it went;
# guard -PID: all of that process group.
guard() {
	local me=$BASHPID
	(
		exec >/dev/null 2>&1
		trap '' INT # else it ends what this waits by
		# All locks, those of its callers too, are to end with them.
		for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || [ "$fd" -eq 255 ] || exec {fd}>&-
		done
		while kill -0 "$me" && kill -0 "${1#-}"; do sleep 1; done
		kill -9 -- "$1"
	) &
}

# watch LOG LINES COMMAND...: run quietly into LOG, with a sign of life.  LINES
# is about how many lines LOG will have of the kind that a kernel's make prints;
# 0 when nobody knows.  Leaves the exit status in STATUS; to be called plainly,
# since COMMAND would lose its set -e in a condition.
watch() {
	local log=$1 lines=$2 start=$SECONDS shown=$SECONDS every=15 pid
	local text
	shift 2
	[ ! -t 1 ] || every=1
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	guard "$pid"
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		[ $((SECONDS - shown)) -ge "$every" ] || continue
		shown=$SECONDS
		text="$((SECONDS - start)) s"
		if [ "$lines" -gt 0 ]; then
			text+=", about $(awk -v n="$lines" '/^  [A-Z]/ { done++ } END {
				p = int(100 * done / n); print (p > 99 ? 99 : p) }' "$log") %"
		fi
		text+=": $(tail -n 1 "$log" | tr -cd '[:print:]' | cut -c1-50)"
		if [ -t 1 ]; then
			printf '\r      %-70.70s' "$text"
		else
			printf '      %.70s\n' "$text"
		fi
	done
	[ ! -t 1 ] || printf '\r%-76s\r' ''
	STATUS=0
	wait "$pid" || STATUS=$?
}

# step TITLE COMMAND...: one numbered step of STEPS, with the time it took.
STEP=0
TIMES=()
step() {
	local title=$1 start=$SECONDS
	shift
	STEP=$((STEP + 1))
	say "[$STEP/${STEPS:-?}] $title"
	"$@" || die "Step $STEP ($title) failed."
	TIMES+=("$(printf '%5d s  %s' $((SECONDS - start)) "$title")")
}

show_times() {
	say "Time taken:"
	printf '  %s\n' "${TIMES[@]}" "$(printf '%5d s  in all' "$SECONDS")"
}

# The numbers are the recipes', here and below: raise one to make things anew.

# The series of kernels: what syncmap needs, and those that it has been tried with,
# the newest first.  With newer ones it may build as well.
OLDEST_SERIES=7.2
TRIED_SERIES='7.3 7.2'
# series_of RELEASE: "7.3" of "7.3.10+deb13.1-cloud-amd64", or of "7.3~rc1-amd64".
series_of() { sed -nE 's/^([0-9]+\.[0-9]+).*/\1/p' <<<"$1"; }
is_supported() {
	[[ $1 =~ ^[0-9]+\.[0-9]+$ ]] &&
		[ "$(printf '%s\n' "$OLDEST_SERIES" "$1" | sort -V | head -n 1)" = "$OLDEST_SERIES" ]
}

# machine_of NAME: Debian's name of an architecture, by any of its names.
machine_of() {
	case $1 in
	x86_64 | amd64 | x86) say amd64 ;;
	aarch64 | arm64) say arm64 ;;
	*) die "syncmap is not built for $1." "It is for x86-64 and arm64." ;;
	esac
}

# What this machine is, and what the kernel is for: the same, unless ARCH says
# otherwise; then all of it is compiled by other compilers, and emulated.
HOST=$(machine_of "$(uname -m)") || exit
MACHINE=$(machine_of "${ARCH:-$HOST}") || exit
CROSS='' FOREIGN=''
case $MACHINE in
amd64) KARCH=x86_64 TRIPLE=x86_64-linux-gnu EMULATOR=qemu-system-x86 ;;
arm64) KARCH=arm64 TRIPLE=aarch64-linux-gnu EMULATOR=qemu-system-arm ;;
esac
[ "$MACHINE" = "$HOST" ] || CROSS=$TRIPLE- FOREIGN=:$MACHINE

# The packages of the toolchain root: compilers of the Debian kernel's own
# versions, QEMU, the checkers, and the demo's input (netbase, wamerican).
# TOOLCHAIN=newest has those of Debian's testing suite instead: for its own stock
# kernel, since that needs modules of the rustc that it was built with; or with UML
# for a kernel of our own.
ROOT_SUITE=trixie
LLVM_SUFFIX=-19
ROOT_PACKAGES="apt gcc libc6-dev make bc bison flex libelf-dev libssl-dev
	libdw-dev zlib1g-dev cpio kmod xz-utils rustc rust-src rustfmt rust-clippy
	bindgen clang-19 lld-19 llvm-19 pahole python3 perl busybox-static
	$EMULATOR shellcheck netbase wamerican cargo patch libclang-rt-19-dev rsync"
# What compiles for another architecture; or, since these do not go together, programs
# of 32 bits.
if [ -n "$CROSS" ]; then
	ROOT_PACKAGES+=" gcc-${TRIPLE/_/-} libc6-dev-$MACHINE-cross libstd-rust-dev$FOREIGN"
elif [ "$HOST" = amd64 ]; then
	ROOT_PACKAGES+=" g++-multilib"
fi
ROOT_KEY=$(key_of 1 "$ROOT_PACKAGES")
KERNEL_KEY=$(key_of 1 "$ROOT_KEY")
KERNEL_SUITES=(trixie trixie-backports)
case ${TOOLCHAIN:-} in
'') ;;
newest)
	ROOT_SUITE=forky
	LLVM_SUFFIX=
	ROOT_PACKAGES=${ROOT_PACKAGES//-19/}
	ROOT_KEY=$(key_of 1 "$ROOT_SUITE $ROOT_PACKAGES")
	if [ -z "${UML:-}" ]; then
		KERNEL_KEY=$(key_of 1 "$ROOT_KEY")
		KERNEL_SUITES=("$ROOT_SUITE")
	fi
	;;
*) die "TOOLCHAIN=$TOOLCHAIN is not known." \
	"Say newest, or nothing for the compilers of Debian 13." ;;
esac
root_dir() { say "$CACHE/root-$ROOT_KEY"; }

# Those of the bench root, which only make bench makes: what the maps of
# userspace that syncmap is measured against are written in, and the plotter.
BENCH_PACKAGES="apt gcc libc6-dev golang-1.24-go cargo rustc rustfmt rust-clippy
	python3 python3-matplotlib"
BENCH_KEY=$(key_of 1 "$BENCH_PACKAGES")

# Those of the root in which Debian packages are made; and of the clean machine
# that they are tried on, which gets the rest of what it needs as they ask for it.
DEB_PACKAGES="apt debhelper dh-dkms lintian"
DEB_KEY=$(key_of 1 "$DEB_PACKAGES")
MACHINE_PACKAGES="apt ca-certificates"
MACHINE_KEY=$(key_of 1 "$MACHINE_PACKAGES")

# in_root [BWRAP OPTION...] -- COMMAND...: run COMMAND inside the toolchain
# root, which is read-only there.  The source is /syncmap, the cache is /cache:
# fixed names, so that no path of this machine gets into what is built.
in_root() {
	local root extra=()
	root=$(root_dir)
	while [ "$1" != -- ]; do
		extra+=("$1")
		shift
	done
	shift
	env -i PATH=/usr/sbin:/usr/bin LC_ALL=C HOME=/tmp TERM="${TERM:-dumb}" \
		bwrap --die-with-parent --unshare-pid \
		--dev /dev --dev-bind-try /dev/kvm /dev/kvm \
		--proc /proc --tmpfs /tmp \
		--ro-bind "$root/usr" /usr --ro-bind "$root/etc" /etc \
		--ro-bind "$root/var" /var --symlink usr/bin /bin \
		--symlink usr/sbin /sbin --symlink usr/lib /lib \
		--symlink usr/lib64 /lib64 --ro-bind "$SOURCE" /syncmap \
		--bind "$CACHE" /cache --chdir /syncmap "${extra[@]}" \
		-- "$@"
}

# online: in ONLINE, the options of in_root for a command that needs the network:
# names and certificates are the host's.
online() {
	local certificates=/etc/ssl/certs/ca-certificates.crt
	ONLINE=(--dir /run --ro-bind "$(readlink -f /etc/resolv.conf)" /etc/resolv.conf)
	[ ! -e "$certificates" ] || ONLINE+=(--ro-bind "$certificates" "$certificates")
}

# cargo_options TARGET: in CARGO, the options of in_root for cargo, with the
# network; what it builds goes to the folder TARGET, as known there.
cargo_options() {
	local proxy
	online
	CARGO=("${ONLINE[@]}" --setenv CARGO_HOME /cache/cargo
		--setenv CARGO_TARGET_DIR "$1")
	for proxy in http_proxy https_proxy all_proxy no_proxy; do
		[ -z "${!proxy:-}" ] || CARGO+=(--setenv "$proxy" "${!proxy}")
	done
}

# in_bench [BWRAP OPTION...] -- COMMAND...: in_root, in the bench root instead.
in_bench() {
	local ROOT_KEY=$BENCH_KEY
	in_root "$@"
}

# in_kernel DIR [BWRAP OPTION...] -- COMMAND...: in_root, with a prepared
# kernel's folder as /kernel and its source, which DIR/source names, as /source.
in_kernel() {
	local dir=$1 tree
	shift
	tree=$CACHE/$(basename "$(readlink "$dir/source")")
	in_root --ro-bind "$dir" /kernel --ro-bind "$tree" /source "$@"
}

# apt_options: this machine's proxies and clock settings, for another apt.
apt_options() {
	command -v apt-config >/dev/null || return 0
	apt-config dump | grep -E \
		'^Acquire::(https?::.*Proxy|Check-(Valid-Until|Date)|Retries)' || true
}

# apt_setup SUITE...: the lists of these Debian suites, of the mirror that the
# root came from, for apt_in_root.  Between begin_setup and end_setup.
apt_setup() {
	local from suite
	mkdir -p "$STAGE/apt/lists/partial" "$STAGE/debs" "$STAGE/apt/cache"
	from=$(root_dir)/etc/apt/sources.list
	for suite in "$@"; do
		sed -n "s/ [a-z]* main\$/ $suite main/p" "$from"
	done >"$STAGE/apt/sources.list"
	if [ ! -s "$STAGE/apt/sources.list" ]; then
		say "No mirror of ${*:-any suite} is known: $from does not name one."
		return 1
	fi
	{
		say 'Acquire::Languages "none";' 'APT::Sandbox::User "root";' \
			'Dir::Cache "/var/lib/apt/cache";'
		apt_options
	} | tr ';' '\n' | sed '/^ *$/d; s/$/;/' >"$STAGE/apt/apt.conf"
	apt_in_root apt-get -o APT::Update::Error-Mode=any update
}

# apt_in_root COMMAND...: the root's own apt, with lists and settings of its own,
# where it puts what it downloads: stage/debs.
apt_in_root() {
	local user=()
	as_root || user=(--unshare-user --uid 0 --gid 0)
	online
	in_root --bind "$STAGE/apt" /var/lib/apt "${user[@]}" "${ONLINE[@]}" \
		--ro-bind "$STAGE/apt/sources.list" /etc/apt/sources.list \
		--setenv APT_CONFIG /var/lib/apt/apt.conf \
		-- env -C /cache/stage/debs "$@"
}

# unpack_debs NAME: all that lies in stage/debs, into stage/NAME.
unpack_debs() {
	local deb
	for deb in "$STAGE"/debs/*.deb; do
		in_root -- dpkg-deb -x "/cache/stage/debs/${deb##*/}" "/cache/stage/$1"
		rm "$deb"
	done
}

# stock_dir: Debian's kernel, of which FLAVOUR=debug takes only the source.  PREPARED
# is one that is still being tried.
stock_dir() {
	say "${PREPARED:-$CACHE/kernel-${KERNEL:-newest}-${FLAVOUR/debug/cloud}-$KERNEL_KEY}"
}
kernel_dir() {
	if [ "$FLAVOUR" = debug ]; then own_dir debug; else stock_dir; fi
}
# UML_DIR is one that tree-test.sh has built.
uml_dir() { say "${UML_DIR:-$(own_dir "$UML")}"; }

# The kernels of our own, of the same source, which own.sh makes: debug is for
# QEMU; kunit and bench run on User Mode Linux.
own_config() {
	case $1 in
	debug) cat "$SCRIPTS/debug.config" "$SCRIPTS/x86-debug.config" ;;
	kunit) cat "$SCRIPTS/debug.config" "$SCRIPTS/uml.config" ;;
	bench) cat "$SCRIPTS/uml-bench.config" ;;
	*) die "There is no kernel $1 on User Mode Linux." \
		"Choose UML=kunit or UML=bench." ;;
	esac
}
own_patch() {
	case $1 in
	kunit) cat "$SCRIPTS/uml-copies.patch" "$SCRIPTS/uml-frames.patch" ;;
	bench) cat "$SCRIPTS/uml-irqs.patch" ;;
	esac
}

# own_flags NAME: in FLAGS, make's flags for that kernel and all its modules.  In
# the large code model, which UML asks for, clang puts "large" static data where
# neither lockdep nor kmemleak expects it, and calls everything large unless told
# otherwise.
UML_CFLAGS='-mlarge-data-threshold=1073741824 -Wno-unused-command-line-argument'
own_flags() {
	FLAGS=(LLVM="${LLVM_SUFFIX:-1}")
	[ "$1" = debug ] || FLAGS=(ARCH=um "${FLAGS[@]}" KCFLAGS="$UML_CFLAGS")
}

own_dir() {
	local config FLAGS prefix=uml
	[ "$1" != debug ] || prefix=debug
	own_flags "$1"
	config=$(own_config "$1" | grep CONFIG_ && own_patch "$1" | sed '1,/^---/d') || exit
	say "$CACHE/$prefix-$(key_of 1 "$ROOT_KEY" "${FLAGS[*]}" \
		"$(readlink "$(stock_dir)/source")" "$config")"
}

# patience: how many times slower than others the kernel of UML or FLAVOUR is.
# So many times longer may tests and guests take; so many times shorter are those
# that can be.
patience() {
	if [ "$FLAVOUR" = debug ] && [ -z "${UML:-}" ]; then say 10; else say 1; fi
}
# limit SECONDS: how long a guest may take there.
limit() { say "${TIMEOUT:-$(($1 * $(patience)))}"; }

# The types of checkpatch's messages that do not fit a file: docs/upstream.md says why.
CHECKPATCH_EXPORTS=EXPORT_SYMBOL
CHECKPATCH_TRACE=OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT
CHECKPATCH_RUST=LONG_LINE,LONG_LINE_COMMENT,LONG_LINE_STRING

herd_dir() { say "$CACHE/herd-$(key_of 2)"; }

# in_herd HERD TEST...: what herd7 says of litmus tests, by the memory model in
# the source of the prepared kernel.  Before each, a line with its name and the
# verdict that it states.  One that makes herd7 stop, or takes too long, is left
# without a verdict.
in_herd() {
	local herd=$1
	shift
	# shellcheck disable=SC2016 # the variables of the shell in there
	in_kernel "$(readlink -f "$(kernel_dir)")" --ro-bind "$herd" /herd \
		-- sh -c 'cd /source/tools/memory-model
		for test; do
			stated=$(sed -n "s/^ \* Result: //p" "$test")
			echo "## $(basename "$test" .litmus) $stated"
			timeout 60 /herd/lib/ld.so --library-path /herd/lib \
				/herd/herd7 -set-libdir /herd/herd -conf linux-kernel.cfg \
				"$test" 2>&1 || true
		done' sh "$@"
}

# Where this checkout's products go; nothing is ever written to the source.
work_dir() { say "$CACHE/work-$(key_of "$SOURCE")"; }

# lock_work: one verb at a time per checkout.
lock_work() {
	lock "work-$(key_of "$SOURCE")"
	WORK=$(work_dir)
	mkdir -p "$WORK"
	export WORK
}

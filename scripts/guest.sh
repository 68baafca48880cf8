#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# guest.sh DIR SECONDS: boots the prepared kernel under QEMU (with UML=kunit or
# bench one on User Mode Linux, natively, with CPUS processors) with DIR/initramfs,
# shows what its job says, and judges it by its console and its verdict.  Never runs
# longer than SECONDS.  Leaves console.log, output.log and verdict.log in DIR.  With
# TERMINAL set, the job has the terminal that this is called with, and output.log is
# empty.
# APPEND is added to the command line of a kernel of our own.
# With ICOUNT set, there is one processor, whose clock counts instructions; with
# PROFILE as well, DIR/plugin.so counts them by address, into DIR/profile.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

dir=$1 limit=$2
mkdir -p "$dir"
rm -f "$dir"/*.log
: >"$dir/output.log"
: >"$dir/verdict.log"

# Of tests, only who is at work and what fails, unless V=1 asks for everything.
brief() {
	if [ -n "${V:-}" ]; then
		cat
	else
		sed -u -nE '/^## (begin|end)|^bench: |^ *(ok|[0-9.]+$|#|K?TAP version)/!p
			s/^## begin (.*)/      ... \1/p'
	fi
}

# KUnit waits for its threads as one that hangs would, five minutes if need be.
patient="sysctl.kernel.hung_task_timeout_secs=600 ${APPEND:-}"
taint=0
kunit=$((1 << 18)) # a test was run, says KUnit
mark=
if [ -n "${UML:-}" ]; then
	# Modules lie behind all memory; calls from them reach back 2 GiB, no more,
	# and where they do not, nobody notices until things go wrong.
	memory=1792M
	if [ "$UML" = kunit ]; then
		memory=1280M
		taint=$kunit
	fi
	# Processes are host processes of their own, and each system call hands over to
	# the kernel's and back: from one processor to another that takes six times as
	# long, and nothing runs at the same time anyway.
	pin=()
	[ "${CPUS:-2}" -ne 1 ] || pin=(taskset -c "$(taskset -pc $$ | sed 's/.*[^0-9]//')")
	# In 7.3, UML's own second processor offends against RCU when it starts.
	mark='guest: the job begins'
	kernel=$(uml_dir)
	first=(null /guest/output.log)
	[ -z "${TERMINAL:-}" ] || first=(fd:0 /dev/stdout)
	# shellcheck disable=SC2016 # expanded inside the root
	machine=("${pin[@]}" sh -c 'exec 3>>"$4" 4>/guest/verdict.log
		exec /kernel/linux mem="$1" ncpus="$5" seccomp=on panic=-1 \
		initrd=/guest/initramfs con=null con0=null,fd:1 con1="$3",fd:3 \
		con2=null,fd:4 lines=tty1,tty2 loglevel=8 $2 >/guest/console.log 2>&1' \
		guest "$memory" "$patient" "${first[@]}" "${CPUS:-2}")
else
	kernel=$(readlink -f "$(kernel_dir)")
	# The console first, and then two lines that init.sh is told of.
	case $MACHINE in
	amd64)
		machine=(qemu-system-x86_64)
		append="console=ttyS0 lines=ttyS1,ttyS2"
		# Without these flags /dev/kvm cannot run a kernel, although it opens.
		kvm='vmx|svm'
		;;
	arm64)
		machine=(qemu-system-aarch64 -M "virt,gic-version=max")
		append="console=ttyAMA0 lines=ttyS0,ttyS1"
		kvm=
		;;
	esac
	accel=(-accel "tcg,thread=multi")
	[ "$MACHINE" = amd64 ] || accel+=(-cpu "max,pauth-impdef=on")
	if [ -z "${NO_KVM:-}$CROSS" ] && [ -w /dev/kvm ] &&
		grep -qwE "$kvm" /proc/cpuinfo; then
		accel=(-accel kvm -cpu host)
	fi
	cpus=2
	# Of one processor, whose clock counts the instructions that it executes.
	if [ -n "${ICOUNT:-}" ]; then
		accel=(-accel "tcg,thread=single" -icount "shift=0,sleep=off")
		cpus=1
		[ -z "${PROFILE:-}" ] ||
			accel+=(-plugin "/guest/plugin.so,to=/guest/profile")
	fi
	memory=1024
	append+=" loglevel=8 panic=-1 oops=panic"
	if [ "$FLAVOUR" = debug ]; then
		memory=2048
		taint=$kunit
		# Emulated, with all checks on, and on a busy machine, little is soon.
		append+=" $patient rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60"
	fi
	output="file,id=output,path=/guest/output.log"
	[ -z "${TERMINAL:-}" ] || output="stdio,id=output,signal=off"
	machine+=(-nodefaults -no-reboot -display none "${accel[@]}" -smp "$cpus"
		-m "$memory" -kernel /kernel/vmlinuz -initrd /guest/initramfs
		-append "$append" -serial file:/guest/console.log -chardev "$output"
		-chardev "file,id=verdict,path=/guest/verdict.log")
	for line in output verdict; do
		case $MACHINE in
		amd64) machine+=(-serial "chardev:$line") ;;
		arm64) machine+=(-device "pci-serial,chardev=$line") ;;
		esac
	done
fi

status=0
if [ -n "${TERMINAL:-}" ]; then
	in_kernel "$kernel" --bind "$dir" /guest -- \
		timeout --foreground -k 5 "$limit" "${machine[@]}" \
		2>"$dir/machine.log" || status=$?
else
	in_kernel "$kernel" --bind "$dir" /guest -- \
		timeout -k 5 "$limit" "${machine[@]}" </dev/null \
		>"$dir/machine.log" 2>&1 &
	pid=$!
	guard "$pid"
	tail -n +1 -s 0.2 -f --pid="$pid" "$dir/output.log" | brief
	wait "$pid" || status=$?
fi
if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
	say "The guest did not end within $limit seconds and was stopped."
elif [ "$status" -ne 0 ]; then
	tail -n 5 "$dir/machine.log"
	say "The machine of the guest ended with status $status."
fi
"$SCRIPTS/verdict.sh" "$dir/console.log" "$dir/verdict.log" \
	"$taint" "$mark" || {
	say "The end of the console (all of it: $dir/console.log):"
	tail -n 12 "$dir/console.log" | tr -cd '[:print:]\n' | cut -c1-120 |
		sed 's/^/    /'
	exit 1
}
[ "$status" -eq 0 ]

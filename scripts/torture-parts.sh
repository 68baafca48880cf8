# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For the jobs of guests: the torture of the map, histories
# of it for the checker of linearizability, and modules that come and go.  Sourced.

# shellcheck source=scripts/job-modules.sh
. /job-modules.sh
torture_log=/tmp/torture.log
scenario=torture
debugfs=/sys/kernel/debug

# The last line of figures, as far as it fits.
progress() {
	sed -n 's/.*syncmap-torture: \([0-9]* s: .*\)/\1/p' $torture_log |
		tail -n 1 | sed "s/^/$1: /" | cut -c1-76
}

# torture SECONDS ARGUMENT...: tortures for so long, and leaves what the log says.
# Every half minute it tells how far it is.
torture() {
	for_seconds=$1
	shift
	waited=0
	dmesg -c >/dev/null
	insmod /syncmap_torture.ko seconds="$for_seconds" "$@"
	dmesg -c >$torture_log
	grep -q 'Start of test' $torture_log || return
	# In fifths of a second.
	while ! grep -q 'End of test' $torture_log &&
		[ $waited -lt $((10 * for_seconds + 600)) ]; do
		sleep 0.2
		waited=$((waited + 1))
		dmesg -c >>$torture_log
		[ $((waited % 150)) -ne 0 ] || progress "$scenario"
	done
	rmmod syncmap_torture
	dmesg -c >>$torture_log
}

survives() {
	torture "$@"
	grep -q 'End of test: SUCCESS' $torture_log && return
	grep 'syncmap-torture' $torture_log | cut -c1-160 | tail -n 30 |
		sed 's/^/# /'
	return 1
}

# figure NAME: the last of it in the log.
figure() {
	sed -n "s#.* \([0-9]*\) $1\([;,].*\)*\$#\1#p" $torture_log | tail -n 1
}

# A run in which something did not happen at all has not shown much.
all_have_worked() {
	for name in lookups changes 'in atomic contexts' 'in timers' \
		'new keys in softirqs' 'new keys in hardirqs' \
		'new keys under spinlocks' walks clears misses \
		'of growers' promotions expunged sweeps "$@"; do
		count=$(figure "$name")
		[ "${count:-0}" -gt 0 ] || {
			echo "# $name: ${count:-none}"
			return 1
		}
	done
	echo "# $(sed -n 's/.*syncmap-torture: in all: //p' $torture_log)"
}

# refuses SENTENCE ARGUMENT...: does not load, and says why.
refuses() {
	sentence=$1
	shift
	dmesg -c >/dev/null
	! insmod /syncmap_torture.ko "$@" 2>/dev/null && logged "$sentence"
}

# notices KIND PLANT: finds that mistake of its own.
notices() {
	torture 1 plant="$2" stutter=1 nclearers=0 keys=32
	grep -q "syncmap-torture: fault: $1:" $torture_log &&
		grep -q 'End of test: FAILURE: ' $torture_log
}

torture_itself() {
	begin torture-itself 12
	check "a number out of range is refused" \
		refuses 'nwriters=0: choose a number from 1 to 64' nwriters=0
	check "fewer keys than writers are refused" \
		refuses 'keys=2: choose a number from 3' keys=2
	check "an unknown mistake is refused" \
		refuses 'plant=nothing: there is no such mistake' plant=nothing
	for pair in Checksum:checksum Generation:generation Lost:lost Twice:twice \
		Range:range Len:len Leak:leak Bytes:bytes; do
		check "a planted mistake, ${pair#*:}, is noticed" \
			notices "${pair%:*}" "${pair#*:}"
	done
	check "and it is gone" fails grep -q '^syncmap_torture ' /proc/modules
	echo "## end torture-itself $failures"
}

# In a random share of the allocations of the writers, where the kernel can.
inject_faults() {
	[ -d $debugfs/failslab ] || return
	echo Y >$debugfs/failslab/task-filter
	echo 0 >$debugfs/failslab/ignore-gfp-wait
	echo 0 >$debugfs/failslab/verbose
	echo -1 >$debugfs/failslab/times
	echo "$1" >$debugfs/failslab/probability
}

# all_happen SECONDS NAMES ARGUMENT...: all have worked, those of NAMES too, or do so
# when there is more time, on a machine that has much else to do.
all_happen() {
	longer=$((4 * $1))
	names=$2
	shift 2
	# shellcheck disable=SC2086 # names are words
	all_have_worked $names && return
	[ $longer -le 40 ] || return
	echo "# again, for $longer seconds"
	# shellcheck disable=SC2086
	survives $longer "$@" && all_have_worked $names
}

# scenario NAME SECONDS ARGUMENT...: one way to torture.
scenario() {
	scenario=$1
	time=$2
	shift 2
	check "$scenario, for $time seconds" survives "$time" "$@" "seed=$seed"
	case $scenario in
	memory*) also='refused squeezed' ;;
	faults* | 'a limit of keys') also=refused ;;
	processors*) also=on/off ;;
	'no clears'*) return ;;
	*) also= ;;
	esac
	check "$scenario: all happened" all_happen "$time" "$also" "$@" "seed=$seed"
}

# scenarios SECONDS: each way, for so long.
scenarios() {
	seed=${seed:-$(date +%s)}
	scenario "everything" "$1"
	scenario "memory that runs out" "$1" max_bytes=300000
	scenario "a limit of keys" "$1" max_entries=500
	# 256 + 64 + 64 for each of a grower, two inserters and three timers.
	scenario "a limit that is not reached" "$1" max_entries=704 grow=64
	if inject_faults 5; then
		scenario "faults in allocations" "$1" faults=1
		inject_faults 0
	fi
	[ "$1" -ge 20 ] || return
	scenario "no clears" "$1" nclearers=0 grow=20000
	scenario "few keys" "$1" keys=6 shared=2 grow=64
	scenario "long values, many threads" "$1" value_bytes=3000 nreaders=6 \
		nwriters=8 ntriers=4 nrangers=6 nclearers=2
	if [ -w /sys/devices/system/cpu/cpu1/online ]; then
		scenario "processors that come and go" "$1" onoff_interval=300
	fi
	seed=$((seed + 1))
}

# record NUMBER ARGUMENT...: makes at most so many histories be read from $histories.
histories=$debugfs/syncmap_torture/histories
record() {
	number_of=$1
	shift
	insmod /syncmap_torture.ko histories="$number_of" "$@"
}

linearizable() {
	record "$@" || return
	said=$(/linearize <$histories)
	status=$?
	rmmod syncmap_torture || return
	echo "# $said" | head -n 40
	[ $status -eq 0 ] && [ "${said%% *}" -ge 100 ]
}

# Some of them are kept, to be looked at, and to be made wrong.
sample() {
	record 100 operations=20 && cat $histories >/tmp/histories
	rmmod syncmap_torture && /linearize </tmp/histories >/dev/null
}

# Whether some operations were not alone: one in two hundred, even where the
# processors of the guest are rarely at work at the same time.
overlaps() {
	awk '/^[0-9]/ { all++; met += $3 > $2 + 1 }
		/^# .* promotions/ { promotions += $2; expunged += $4 }
		END {
			printf "# %d operations, %d met others; ", all, met
			printf "%d promotions, %d expunged\n", promotions, expunged
			exit !(200 * met > all && promotions && expunged)
		}' /tmp/histories
}

# wrong SCRIPT: the histories, changed by that one, are not linearizable.
wrong() {
	awk "$1" /tmp/histories >/tmp/wrong
	! cmp -s /tmp/wrong /tmp/histories || return
	/linearize </tmp/wrong >/dev/null
	[ $? -eq 1 ]
}

# histories NUMBER SECONDS: of each kind at most, and the checker itself.
histories() {
	begin histories 7
	check "some are recorded" sample
	check "in which much happens at the same time" overlaps
	# shellcheck disable=SC2016 # awk's
	check "a value that was never stored is noticed" wrong \
		'/ load . = [0-9]/ && !done++ { $NF = 999999 } { print }'
	# shellcheck disable=SC2016
	check "a value that is missing is noticed" wrong \
		'/ swap . [0-9]* = [0-9]/ && !done++ { $NF = "-" } { print }'
	check "three threads and interrupts: linearizable" \
		linearizable "$1" seconds="$2" seed="${seed:-1}"
	check "two keys, long programs: linearizable" linearizable "$1" seconds="$2" \
		history_keys=2 operations=60 seed="${seed:-2}"
	check "four keys, four threads: linearizable" linearizable "$1" seconds="$2" \
		history_keys=4 threads=4 operations=40 seed="${seed:-3}"
	echo "## end histories $failures"
}

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For the job of the guest: tests of syncmapctl and of the client crate, in TAP.
# Sourced, behind job-modules.sh.

dir=/tmp/tools

# run COMMAND...: leaves what it says in $dir/out and $dir/err, and its status.
run() {
	status=0
	"$@" >$dir/out 2>$dir/err || status=$?
}

# ends STATUS COMMAND...: it ends so, and does not panic.
ends() {
	expected=$1
	shift
	run "$@"
	[ "$status" = "$expected" ] && ! grep -q panicked $dir/err && return
	echo "# $* ended with $status, not $expected; it said:"
	head -n 5 $dir/out $dir/err | sed 's/^/# /'
	return 1
}

# gives TEXT COMMAND...: ends well, having said just that.
gives() {
	text_expected=$1
	shift
	ends 0 "$@" || return
	[ "$(cat $dir/out)" = "$text_expected" ] && [ ! -s $dir/err ] && return
	echo "# $* said:"
	head -n 5 $dir/out $dir/err | sed 's/^/# /'
	return 1
}

# complains STATUS TEXT COMMAND...: ends so, saying that among the errors only.
complains() {
	status_expected=$1
	complaint=$2
	shift 2
	ends "$status_expected" "$@" || return
	grep -qF -- "$complaint" $dir/err && [ ! -s $dir/out ] && return
	echo "# $* said:"
	head -n 5 $dir/out $dir/err | sed 's/^/# /'
	return 1
}

# end NAME: the end of a program in shell, which job-modules.sh has begun.
end() { echo "## end $1 ${failures:-1}"; }

ctl() { /syncmapctl "$@"; }
as_nobody() { su nobody -c "$*"; }
until_true() {
	tries=200
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return
		sleep 0.05
	done
}

# interrupt SIGNAL PID: leaves its status.  One that goes on is killed, in the end.
interrupt() {
	{ sleep 20; kill -9 "$2"; } 2>/dev/null & killer=$!
	kill "-$1" "$2"
	status=0
	wait "$2" || status=$?
	kill $killer
}

# binary SEED COUNT: so many keys and values in hexadecimal digits, of all bytes.
binary() {
	awk -v seed="$1" -v count="$2" 'BEGIN {
		srand(seed)
		for (i = 0; i < count; i++) {
			# The keys differ, whatever follows.
			key = sprintf("%02x%02x", i % 256, i / 256)
			for (n = int(rand() * 40); n > 0; n--)
				key = key sprintf("%02x", int(rand() * 256))
			value = ""
			for (n = int(rand() * 100); n > 0; n--)
				value = value sprintf("%02x", int(rand() * 256))
			print key "\t" value
		}
	}'
}

# rows COUNT: so many keys and values for an import.
rows() { seq "$1" | awk '{ print "key " $1 "\tvalue of " $1 }'; }

without_module() {
	begin ctl-without-module 5
	check "without the module, a sentence says how to load it" \
		complains 6 "modprobe syncmap" ctl list
	check "every command ends so" complains 6 "insmod" ctl get map key
	check "also an import" complains 6 "insmod" ctl import map /etc/passwd
	check "but not the help" ends 0 ctl --help
	check "nor wrong usage" complains 2 "cannot be the name" ctl get .map key
	end ctl-without-module
}

on_maps() {
	begin ctl-maps 26
	check "there is no map yet" gives \
		"MODE    UID    GID  USERS       KEYS      MEMORY  NAME" ctl list
	check "in JSON, too" gives "[]" ctl -j list
	check "one is created" gives "" ctl create one --mode 0640
	check "once" complains 4 "already" ctl create one
	check "unless that is no matter" gives "" ctl create one --exist-ok
	(umask 077; ctl create two -m 0666)
	check "the umask is not asked" \
		test "$(ctl -j show two | sed 's/.*"mode":"\([0-7]*\)".*/\1/')" = 0666
	check "a third has mode 0600" ends 0 ctl create three.3
	check "the list is in order" test "$(ctl list | awk 'NR > 1 {
		print $1, $2, $3, $4, $5, $NF }' | tr '\n' ';')" = \
		"0640 0 0 0 0 one;0600 0 0 0 0 three.3;0666 0 0 0 0 two;"
	check "it fits 80 columns" test -z "$(ctl list | grep -E '.{81}')"
	check "show is an alias" test "$(ctl show)" = "$(ctl list)"
	check "of one map there is more" \
		test "$(ctl show one | grep -c 'of at most')" = 2
	check "JSON is JSON" test "$(ctl -j list | tr -cd '[]{}')" = '[{}{}{}]'
	check "and can be pretty" eval "ctl -p show one | grep -q '^  \"keys\": 0,'"
	check "a map that is none" complains 3 "create four" ctl show four
	check "the same, to be used" complains 3 "create four" ctl dump four
	check "stats has all counters" test "$(ctl stats one | wc -l)" = 12
	check "and fits 80 columns" test -z "$(ctl stats one | grep -E '.{81}')"
	check "with JSON, too" \
		test "$(ctl -j stats one | grep -c '"max_names":1024')" = 1
	ctl set one key value
	check "a map is cleared" gives "" ctl clear one
	check "and empty" gives "" ctl dump one
	check "names are taken away" gives "" ctl unlink one two
	check "those of no map are not, the others are" \
		complains 3 "no map \"one\"" ctl unlink one three.3
	check "so that none is left" gives "[]" ctl -j list
	check "a name must be one" complains 2 "1 to 63" ctl create a/b
	check "so must a mode" complains 2 "octal" ctl create a --mode 999
	check "and nothing was made" gives "[]" ctl -j list
	end ctl-maps
}

on_keys() {
	begin ctl-keys 46
	ctl create m
	check "a value is set" gives "" ctl set m key "a value"
	check "and got" gives "a value" ctl get m key
	check "raw" gives "a value" ctl get m key --raw
	check "in JSON" gives '{"key":"key","value":"a value"}' ctl -j get m key
	check "a key that is not there" complains 3 "no key \"other\"" ctl get m other
	check "set if absent, where there is one" \
		complains 4 "keeps it" ctl set m key new --if-absent
	check "it was kept" gives "a value" ctl get m key
	check "set if absent, where there is none" gives "" ctl set m k2 v2 --if-absent
	check "it was set" gives v2 ctl get m k2
	check "swap shows the previous value" gives v2 ctl swap m k2 v3
	check "or nothing" gives "" ctl swap m k3 v
	check "in JSON" gives '{"previous":"v3"}' ctl -j swap m k2 v4
	check "null, if there is none" gives '{"previous":null}' ctl -j swap m k4 v
	check "cas is won" gives "" ctl cas m k2 v4 v5
	check "and lost" complains 4 "another value" ctl cas m k2 v4 v6
	check "it was won once" gives v5 ctl get m k2
	check "there is nothing to win" complains 3 "no key" ctl cas m none a b
	check "nothing was made of it" ends 3 ctl get m none
	check "del on a condition that is not met" \
		complains 4 "another value" ctl del m k2 --if v4
	check "del on one that is" gives "" ctl del m k2 --if v5
	check "del of a key that is gone" complains 3 "no key \"k2\"" ctl del m k2
	check "the same on a condition" complains 3 "no key" ctl del m k2 --if v5
	check "del of several" complains 3 "no key \"no\"" ctl del m k3 no k4
	check "has deleted those that are there" ends 3 ctl get m k4

	check "bytes in digits" gives "" ctl -k hex -v hex set m "0x00 ff" 5c0a
	check "come back in digits" gives "5c 0a" ctl -k hex -v hex get m 00ff
	check "and escaped" gives '\\\n' ctl -k escaped get m '\x00\xff'
	check "and raw" test "$(ctl -k hex get m 00ff --raw | hexdump -v -e '1/1 "%02x"')" \
		= 5c0a
	check "in JSON by digits" gives '{"key":{"hex":"00ff"},"value":"\\\n"}' \
		ctl -j -k escaped get m '\x00\xff'
	check "text is literal" gives "" ctl set m 'a\tb' '\n'
	check "which shows" gives '\\n' ctl get m 'a\tb'
	check "numbers are bytes" gives "" ctl -k u32 -v i16 set m 1 -2
	check "in the order of this machine" gives "fe ff" ctl -k hex -v hex get m 01000000
	check "and come back" gives -2 ctl -k u32 -v i16 get m 0x1
	check "an address is 4 bytes" gives "" ctl -k ipv4 set m 192.0.2.1 x
	check "as here" gives x ctl -k hex get m c0000201
	check "a value of another length is no number" \
		complains 1 "2 bytes are no u64; try hex" ctl -k u32 -v u64 get m 1
	check "a number must fit" complains 2 "does not fit" ctl -v u8 set m k 256
	check "digits come in pairs" complains 2 "two hexadecimal digits" \
		ctl -k hex get m abc
	check "a key has bytes" complains 2 "1 to 512" ctl get m ""
	check "but not too many" complains 2 "has 513" ctl get m "$(printf %0513d 0)"
	check "a value may have none" gives "" ctl set m empty ""
	check "so it is there" gives "" ctl get m empty
	check "what looks like an option" gives "" ctl set m -- --key --value
	check "can be a key" gives --value ctl get m -- --key
	check "there must be a value" complains 2 "required" ctl set m key
	ctl unlink m
	end ctl-keys
}

# increments NUMBER: so many of a counter of all, by compare and swap.
increments() {
	left=$1
	tries=$((50 * left))
	while [ "$left" -gt 0 ] && [ $tries -gt 0 ]; do
		tries=$((tries - 1))
		now=$(ctl -v u64 get m counter)
		! ctl -v u64 cas m counter "$now" $((now + 1)) 2>/dev/null ||
			left=$((left - 1))
	done
}

on_values() {
	begin ctl-values 12
	ctl create m
	head -c 65536 /dev/urandom >$dir/big
	check "the largest value, from a file" gives "" \
		ctl set m big --value-file $dir/big
	ctl get m big --raw >$dir/back
	check "comes back" cmp $dir/big $dir/back
	check "also from a pipe" eval "cat $dir/big | ctl swap m big --value-file - \
		--json | wc -c | grep -q ......"
	ctl get m big --raw >$dir/back
	check "as it was" cmp $dir/big $dir/back
	echo >>$dir/big
	check "a larger one is refused" complains 2 "65536" \
		ctl set m big --value-file $dir/big
	check "so is a file without end" complains 2 "65536" \
		ctl set m big --value-file /dev/zero
	check "a file that is none" complains 1 "cannot be read" \
		ctl set m big --value-file /nowhere
	check "a folder" complains 1 "cannot be read" ctl set m big --value-file /tmp
	check "a value and a file" complains 2 "cannot be used" \
		ctl set m big x --value-file /tmp
	check "the value is as it was" eval "ctl get m big --raw | cmp - $dir/back"
	ctl -v u64 set m counter 0
	increments 30 & other=$!
	increments 30
	wait $other
	check "two count together" gives 60 ctl -v u64 get m counter
	check "on a terminal, lines would be cut; here they are not" \
		test "$(ctl dump m | awk -F'\t' '$1 == "big" { print (length($2) > 1e5) }')" = 1
	ctl unlink m
	end ctl-values
}

on_transfers() {
	begin ctl-transfers 45
	echo "# SYNCMAP_SEED=$seed"
	binary "$seed" 600 | sort >$dir/hex
	ctl create a
	check "bytes are imported" gives "" ctl -k hex -v hex import a $dir/hex
	check "all of them" \
		test "$(ctl -j show a | sed 's/.*"keys":\([0-9]*\).*/\1/')" = 600
	check "export gives them back" \
		eval "ctl -k hex -v hex export a | tr -d ' ' | sort | cmp - $dir/hex"
	for format in tsv jsonl; do
		# JSON does not escape DEL.
		plain='\n\t -~\200-\377'
		[ $format = tsv ] || plain='\n -\377'
		check "export as $format" gives "" ctl export a $dir/$format --format $format
		check "is a line for each" test "$(wc -l <$dir/$format)" = 600
		check "of text" test -z "$(tr -d "$plain" <$dir/$format)"
		check "import from $format" gives "" \
			ctl import "b-$format" $dir/$format -f $format --create -m 0640
		check "is the same" eval "ctl -k hex -v hex export b-$format |
			tr -d ' ' | sort | cmp - $dir/hex"
	done
	check "the map was made as it was said" \
		test "$(ctl list | awk '$NF == "b-tsv" { print $1 }')" = 0640
	ctl clear b-tsv
	check "with --json, both are JSON" gives '{"failed":0,"kept":0,"stored":600}' \
		eval "ctl -j export a | ctl -j import b-tsv"
	check "the same" test "$(ctl dump b-tsv | sort)" = "$(ctl dump a | sort)"
	check "dump is export" eval "ctl dump a | cmp - $dir/tsv"
	check "dump in JSON is one array" test "$(ctl -j dump a | wc -l)" = 1
	check "of all" test "$(ctl -p dump a | grep -c '^    "key":')" = 600
	check "a part of it" test "$(ctl dump a -n 7 | wc -l)" = 7
	check "keys that have a value keep it" eval "sed 's/\t.*/\tnew/' $dir/tsv |
		ctl import a --if-absent"
	check "all of them" eval "ctl export a | cmp - $dir/tsv"
	check "otherwise they do not" eval "sed 's/\t.*/\tnew/' $dir/tsv | ctl import a"
	check "none of them" test "$(ctl export a | grep -c '	new$')" = 600
	check "a map of other keys is no map of numbers" \
		ends 1 ctl -k u32 dump a
	check "which a sentence says" grep -q "bytes are no u32; try hex (--key-as)" $dir/err
	ctl unlink a b-tsv b-jsonl

	ctl create m
	printf 'a\t1\n\nb\t2\r\nno tab\nc\t3\n\td\ne\t\\q\nf\t6' >$dir/bad
	check "an import stops at a bad line" complains 1 \
		"line 4 cannot be stored: there is no tab between key and value. 2 keys were" \
		ctl import m $dir/bad
	check "what is in front of it is stored" test "$(ctl dump m | sort | tr '\n\t' ';=')" \
		= "a=1;b=2;"
	check "or goes on" ends 1 ctl import m $dir/bad --keep-going
	check "telling each" test "$(grep -oE 'line [0-9]+' $dir/err | tr '\n' ';')" = \
		"line 4;line 6;line 7;"
	check "and how many" grep -qF "3 lines could not be stored. 4 keys were" $dir/err
	check "the others are stored" test "$(ctl dump m | sort | tr '\n\t' ';=')" = \
		"a=1;b=2;c=3;f=6;"
	head -c 3000000 /dev/urandom >$dir/rubbish
	check "rubbish is refused" ends 1 ctl import m $dir/rubbish
	check "all of it" ends 1 ctl import m $dir/rubbish --keep-going
	check "in a few lines" test "$(wc -l <$dir/err)" -le 12
	check "rubbish is no JSON" ends 1 ctl import m $dir/rubbish -f jsonl --keep-going
	head -c 3000000 /dev/zero >$dir/rubbish
	check "a line without end is refused" complains 1 "more than a MiB" \
		ctl import m $dir/rubbish
	check "a file that is none" complains 1 "cannot be read" ctl import m /nowhere
	check "a folder" complains 1 "cannot be read" ctl import m /tmp
	check "a file that cannot be written" complains 1 "cannot be written" \
		ctl export m /nowhere/file
	check "a device can" gives "" ctl export m /dev/null
	check "it is still there" test -c /dev/null
	ctl unlink m

	mkdir $dir/small
	mount -t tmpfs -o size=64k none $dir/small
	rows 5000 | ctl import m --create
	echo old >$dir/small/file
	check "where there is no space" complains 1 "No space left" \
		ctl export m $dir/small/file
	check "the file stays as it was" test "$(cat $dir/small/file)" = old
	check "alone" test "$(ls $dir/small)" = file
	umount $dir/small
	end ctl-transfers
}

# The map has 5000 keys from before.
on_interruptions() {
	begin ctl-interruptions 17
	{ ctl dump m 2>$dir/err; echo $? >$dir/status; } | head -n 1 >$dir/out
	check "nobody reads on: a line was read" test "$(wc -l <$dir/out)" = 1
	check "the dump ends like others" test "$(cat $dir/status)" = 141
	check "without a word" test ! -s $dir/err
	{ ctl -j dump m 2>$dir/err; echo $? >$dir/status; } | true
	check "the same for JSON" test "$(cat $dir/status)$(cat $dir/err)" = 141
	{ sleep 0.2; ctl --help 2>$dir/err; echo $? >$dir/status; } | true
	check "and for the help" test "$(cat $dir/status)$(cat $dir/err)" = 141
	check "a full disk is an error" complains 1 "No space left" \
		eval "ctl dump m >/dev/full"
	check "also for one line" complains 1 "No space left" \
		eval "ctl get m 'key 1' >/dev/full"

	: >$dir/watch
	/syncmapctl watch m -i 0.05 >$dir/watch 2>$dir/err & watch=$!
	check "watch goes on" until_true eval "[ \$(wc -l <$dir/watch) -ge 4 ]"
	interrupt INT $watch
	check "until it is interrupted, and that is well" \
		test "$status$(cat $dir/err)" = 0
	check "its lines fit 80 columns" test -z "$(grep -E '.{81}' $dir/watch)"
	check "and are whole" \
		test "$(awk 'NR > 1 && $1 != 5000' $dir/watch | wc -l)" = 0
	rows 5000 | sed 's/^/more /' >$dir/more
	/syncmapctl -j watch m -i 1 -n 1 >$dir/watch & watch=$!
	sleep 0.2
	ctl import m $dir/more
	wait $watch
	check "it shows what changes" eval "[ \$(sed 's/.*\"keys\":\([0-9]*\)\..*/\1/' \
		$dir/watch) -gt 0 ]"

	mkfifo $dir/fifo
	/syncmapctl import m $dir/fifo 2>$dir/err & import=$!
	exec 4>$dir/fifo
	rows 10 | sed 's/^/slow /' >&4
	check "what comes slowly is stored at once" \
		until_true eval "ctl get m 'slow key 10' >/dev/null 2>&1"
	interrupt INT $import
	exec 4>&-
	check "an import is interrupted" test $status = 130
	check "and says so" grep -q "interrupted; at least 10 keys" $dir/err
	/syncmapctl export m $dir/fifo 2>$dir/err & export=$!
	exec 4<$dir/fifo
	sleep 0.5
	interrupt TERM $export
	exec 4<&-
	check "so is an export" test $status = 130
	check "and says so" grep -q "interrupted; what was written" $dir/err
	ctl unlink m
	end ctl-interruptions
}

on_permissions() {
	begin ctl-permissions 15
	ctl create private -m 0600
	ctl create public -m 0644
	ctl set public key value
	check "nobody may open the device" \
		complains 5 "chgrp GROUP /dev/syncmap" as_nobody /syncmapctl list
	chmod 666 /dev/syncmap
	check "unless it is permitted" ends 0 as_nobody /syncmapctl list
	check "then all names are shown" test "$(wc -l <$dir/out)" = 3
	check "and what is known of them" ends 0 as_nobody /syncmapctl show private
	check "a map of another is not read" \
		complains 5 "belongs to user 0 and group 0, and has the mode 0600" \
		as_nobody /syncmapctl dump private
	check "one for all is" gives value as_nobody /syncmapctl get public key
	check "but not written" complains 5 "mode 0644" as_nobody /syncmapctl set public k v
	check "nor cleared" ends 5 as_nobody /syncmapctl clear public
	check "nor swapped" ends 5 as_nobody /syncmapctl swap public key v
	check "nor imported to" ends 5 as_nobody "echo | /syncmapctl import public"
	check "its name stays" complains 5 "not yours" as_nobody /syncmapctl unlink public
	check "a map of one's own" ends 0 as_nobody /syncmapctl create mine
	check "is one's own" ends 0 as_nobody /syncmapctl set mine key value
	check "which the list shows" \
		test "$(ctl list | awk '$NF == "mine" { print $2, $3 }')" = "65534 65534"
	check "root may everything" gives "" ctl unlink private public mine
	chmod 600 /dev/syncmap
	end ctl-permissions
}

# within SECONDS COMMAND..., or longer where everything takes longer.
within() {
	limit=$(($1 * SYNCMAP_PATIENCE))
	shift
	start=$(date +%s)
	ends 0 "$@" || return
	took=$(($(date +%s) - start))
	echo "# $* took $took s"
	[ $took -le "$limit" ]
}

# many COUNT SECONDS
many() {
	rows "$1" | sort >$dir/many
	check "$1 keys are imported" within "$2" ctl import m $dir/many --create
	check "and exported" within "$2" ctl export m $dir/out.many
	sort $dir/out.many >$dir/sorted
	check "just so" cmp $dir/many $dir/sorted
	check "to where they are stored already" \
		within "$2" ctl -j import m $dir/out.many --if-absent -f tsv
	check "and kept" grep -q "\"kept\":$1,\"stored\":0" $dir/out
	ctl unlink m
	rm $dir/many $dir/sorted $dir/out.many
}

on_many() {
	begin ctl-many $((5 + ${long:+5} + 0))
	many 100000 30
	[ -z "$long" ] || many 1000000 300
	end ctl-many
}

on_limits() {
	begin ctl-limits 9
	rows 200 >$dir/rows
	ctl create m
	check "a full map" complains 1 "line 101 cannot be stored: the map, or its owner" \
		ctl import m $dir/rows
	check "is full" test "$(ctl dump m | wc -l)" = 100
	check "what is there can be set" gives "" ctl set m "key 1" new
	check "what is not cannot" complains 1 "greater max_entries" ctl set m other x
	check "an import goes on" ends 1 ctl import m $dir/rows --keep-going
	check "and does not say the same a hundred times" \
		test "$(wc -l <$dir/err)" = 12
	check "but counts" grep -qF "100 lines could not be stored. 100 keys" $dir/err
	check "names are limited" complains 1 "greater max_names" ctl create other
	check "so no other was made" test "$(ctl list | wc -l)" = 2
	ctl unlink m
	end ctl-limits
}

on_texts() {
	begin ctl-texts 6
	for shell in bash zsh fish; do
		check "completions for $shell" eval "ctl completions $shell | grep -q unlink"
	done
	check "the manual" eval "ctl man | grep -q '^.SS unlink'"
	check "the version" ends 0 ctl --version
	check "a command that is none" complains 2 "unrecognized" ctl frobnicate
	end ctl-texts
}

crate() {
	echo "## begin client-crate"
	status=0
	timeout 300 /client-tests --include-ignored >$dir/out 2>&1 || status=$?
	awk -f /libtest.awk $dir/out
	[ $status != 101 ] || status=1
	echo "## end client-crate $status"
}

# Loads and unloads the module itself.
tools() {
	mkdir $dir
	chmod 777 $dir
	seed=${SYNCMAP_SEED:-$(date +%s)}
	long=''
	[ ! -e /long ] || long=1
	without_module
	on_texts
	insmod /syncmap.ko
	on_maps
	on_keys
	on_values
	on_transfers
	on_interruptions
	on_permissions
	on_many
	crate
	rmmod syncmap
	insmod /syncmap.ko max_entries=100 max_names=1
	on_limits
	rmmod syncmap
}

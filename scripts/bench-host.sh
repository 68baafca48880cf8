#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench-host.sh: measures the concurrent maps of userspace (Go's two sync.Maps,
# papaya, dashmap, scc) on this machine, round by round, each contender in each
# round.  One JSON line per result on stdout, progress on stderr.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<'END'
Usage: scripts/bench-host.sh [OPTION...]

  --quick            fewer operations, one size; about a minute (as QUICK=1)
  --rounds N         how often every contender has its turn (7)
  --first-round N    the number of the first round (1)
  --sizes N,...      numbers of keys, powers of two
  --keys N,...       lengths of the keys in bytes: 8, 16, 64
  --threads N,...    numbers of threads, powers of two (1,2)
  --workloads W,...  lookup-hit lookup-miss overwrite insert churn memory
                     {read-heavy,exchange,rapid-grow}-{uniform,zipf},
                     and go: the benchmarks that come with Go's sync.Map
                     (the mixes do a quarter of the operations of the others)
  --build            build what is needed, and measure nothing
  --check            look for lints and bad formatting in the contenders
END
}

rounds=7
first=1
verb=run
quick=${QUICK:-}
sizes='' keys='' workloads=''
threads=1,2
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=1 ;;
	--build | --check) verb=${1#--} ;;
	--help)
		usage
		exit 0
		;;
	--rounds | --first-round | --sizes | --keys | --threads | --workloads)
		[ $# -gt 1 ] || die "$1 needs a value." "See scripts/bench-host.sh --help"
		name=${1#--}
		[ "$name" != first-round ] || name=first
		printf -v "$name" %s "$2"
		shift
		;;
	*) die "There is no option $1 here." "See scripts/bench-host.sh --help" ;;
	esac
	shift
done
for number in "$rounds" "$first"; do
	[[ $number =~ ^[1-9][0-9]*$ ]] ||
		die "$number is not a number of rounds." "Give 1 or more."
done

core=lookup-hit,lookup-miss,overwrite,insert,churn
mixes=''
for mix in read-heavy exchange rapid-grow; do
	mixes+=,$mix-uniform,$mix-zipf
done
if [ -n "$quick" ]; then
	: "${sizes:=65536}" "${keys:=8}" "${workloads:=$core,memory,go}"
	ops=131072 samples=20000 go_time=10ms
else
	ops=262144 samples=20000 go_time=20ms
fi
# What is measured: sizes, lengths of keys, workloads.  If nothing is said, long
# keys are measured at one size only, and a million keys without the mixes,
# which would take most of the time.
plan=()
if [ -n "$sizes$keys" ]; then
	plan+=("${sizes:=1024,65536,1048576} ${keys:-8} ${workloads:=$core$mixes,memory,go}")
else
	sizes=1024,65536,1048576
	plan+=("1024,65536 8 ${workloads:-$core$mixes,memory}"
		"1048576 8 ${workloads:-$core,memory}"
		"65536 16,64 ${workloads:-$core}")
	: "${workloads:=go}"
fi

make_cache
"$SCRIPTS/root.sh" bench >&2
lock "work-$(key_of "$SOURCE")-bench-host"
out=$(work_dir)/bench-host
mkdir -p "$out"
inside=/cache/${out#"$CACHE"/}

# What is built lives in the cache; the source is read-only there.
build_rust() {
	cargo_options "$inside/target"
	# Cargo writes down what it has chosen, next to the source.
	mkdir -p "$out/source"
	cp -r "$SOURCE"/tests/bench/host/{Cargo.toml,src} "$out/source/"
	in_bench "${CARGO[@]}" -- env -C "$inside/source" cargo "$@"
}

# in_go EXPERIMENT COMMAND...
in_go() {
	local experiment=$1
	shift
	in_bench --setenv PATH /usr/lib/go-1.24/bin:/usr/bin \
		--setenv GOCACHE "$inside/go-build" --setenv GOTOOLCHAIN local \
		--setenv GOFLAGS -buildvcs=false --setenv GOEXPERIMENT "$experiment" \
		-- env -C /syncmap/tests/bench/host/go "$@"
}
build_go() {
	local contender experiment
	while read -r contender experiment; do
		in_go "$experiment" go build -o "$inside/$contender" .
		in_go "$experiment" go test -c -o "$inside/$contender.test" sync
	done <<'END'
go-classic nosynchashtriemap
go-hashtriemap synchashtriemap
END
}

# made TITLE COMMAND...: shows that something is going on, and what went wrong.
made() {
	local title=$1
	shift
	say "      $title" >&2
	watch "$out/build.log" 0 "$@" >&2
	[ "$STATUS" -eq 0 ] || {
		tail -n 8 "$out/build.log" >&2
		die "The contenders in userspace could not be built." \
			"The network is needed the first time; the log is $out/build.log"
	}
}

build() {
	local recipe
	recipe=$(key_of 1 "$BENCH_KEY" "$(cd "$SOURCE/tests/bench/host" &&
		find . -type f | sort | xargs sha256sum)")
	[ "$(cat "$out/recipe" 2>/dev/null)" != "$recipe" ] || return 0
	made "Rust's maps: papaya, dashmap, scc" build_rust build --release
	made "Go's maps: the classic sync.Map and the HashTrieMap" build_go
	say "$recipe" >"$out/recipe"
}

lints() {
	made "clippy" build_rust clippy --release -- -D warnings
	in_bench -- env -C /syncmap/tests/bench/host cargo fmt --check
	in_go synchashtriemap go vet .
	local bad
	bad=$(in_go synchashtriemap gofmt -l .)
	[ -z "$bad" ] || die "gofmt would change: $bad"
}

streams() {
	local recipe
	recipe=$(key_of "$sizes" "$threads" "$(cat "$out/recipe")")
	streams=$inside/streams-$recipe
	[ ! -d "$out/streams-$recipe" ] || return 0
	say "      Drawing the keys" >&2
	remove "$out"/streams*
	in_bench -- "$inside/target/release/bench-host" streams \
		--streams "$inside/streams" --sizes "$sizes" --threads "$threads"
	mv "$out/streams" "$out/streams-$recipe"
}

# What all this ran on and was made with; once in a run.
environment() {
	in_bench --setenv PATH /usr/lib/go-1.24/bin:/usr/bin \
		-- python3 /syncmap/tests/bench/host/environment.py \
		"$inside/source/Cargo.lock"
}

# contend CONTENDER ROUND: the workloads that all contenders share.
contend() {
	local run sizes keys workloads
	case $1 in
	go-*) run=("$inside/$1") ;;
	*) run=("$inside/target/release/bench-host" run --contender "$1") ;;
	esac
	run+=(--streams "$streams" --threads "$threads" --round "$2"
		--ops "$ops" --samples "$samples")
	while read -r sizes keys workloads; do
		workloads=$(tr ',' '\n' <<<"$workloads" | sed /^go$/d | paste -sd,)
		[ -z "$workloads" ] || in_bench -- "${run[@]}" --sizes "$sizes" \
			--keys "$keys" --workloads "$workloads" </dev/null || return
	done < <(printf '%s\n' "${plan[@]}")
}

# Go's own: its figure is the time for all threads together, ours for each.
go_own() {
	[[ ,$workloads, = *,go,* ]] || return 0
	in_bench -- "$inside/$1.test" -test.run NONE -test.cpu "$threads" \
		-test.benchtime "$go_time" -test.bench '^BenchmarkMap/^[*]sync[.]Map$' |
		awk -v contender="$1" -v round="$2" -v all="$threads" '
		$1 ~ /^BenchmarkMap.*\/[*]sync[.]Map(-[0-9]+)?$/ && $4 == "ns/op" {
			split($1, name, "/")
			sub(/^BenchmarkMap/, "", name[1])
			threads = 1
			if (match(name[2], /-[0-9]+$/))
				threads = substr(name[2], RSTART + 1)
			printf "{\"where\":\"host\",\"contender\":\"%s\",", contender
			printf "\"workload\":\"go/%s\",\"size\":0,\"key\":8,", name[1]
			printf "\"threads\":%d,\"round\":%d,", threads, round
			printf "\"ops\":%d,\"ns\":%.3f}\n", $2, $3 * threads
			count++
		}
		END {
			want = 24 * split(all, each, ",")
			if (count == want) exit
			said = contender " has run " count + 0 " benchmarks of Go, not " want
			print said ". Is this another Go?" >"/dev/stderr"
			exit 1
		}'
}

if [ "$verb" = check ]; then
	lints
	exit 0
fi
build
[ "$verb" = run ] || exit 0
streams
[ "$first" -gt 1 ] || environment
contenders=(go-classic papaya go-hashtriemap dashmap scc loop)
for ((round = first; round < first + rounds; round++)); do
	# Nobody is always first.
	contenders=("${contenders[@]:1}" "${contenders[0]}")
	for contender in "${contenders[@]}"; do
		printf '      Round %d (%d in all): %s\n' "$round" "$rounds" "$contender" >&2
		contend "$contender" "$round" ||
			die "$contender has failed; the reason is above."
		[[ $contender != go-* ]] || go_own "$contender" "$round" ||
			die "The benchmarks of Go have failed; the reason is above."
	done
done

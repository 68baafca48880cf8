# SPDX-License-Identifier: GPL-2.0
#
# Counts what test programs say in TAP 13 or KTAP, nested as deep as they like.
# Each program stands between the lines
#	## begin NAME
#	## end NAME STATUS
# and is one failure more if it dies, breaks its plan, or ends with a status
# that does not fit its results (0 all well, 1 failed, 4 skipped).
# Prints each failure, then "total PASSED FAILED SKIPPED".

function complain(text) {
	printf "FAILED %s: %s\n", name, text
	failed++
}

# A level of nesting is over: were there as many results as it had planned?
function close_level(d) {
	if (d in plan && plan[d] != results[d])
		complain("planned " plan[d] " tests, saw " results[d] + 0)
	delete plan[d]
	delete results[d]
}

function finish(    d) {
	for (d = deepest; d >= 0; d--)
		close_level(d)
	depth = deepest = 0
}

/^## begin / {
	if (name != "")
		complain("died without an end")
	name = $3
	before = failed
	counted = 0
	finish()
	next
}

/^## end / {
	if (name == "" || name != $3) {
		name = $3
		complain("ended without a beginning")
		name = ""
		next
	}
	finish()
	if ($4 == 4 && !counted) {
		skipped++
	} else if ($4 == 1 && failed == before) {
		complain("ended with status 1, but named no failure")
	} else if ($4 == 0 && failed > before && said_not_ok) {
		complain("ended with status 0 in spite of failures")
	} else if ($4 != 0 && $4 != 1 && $4 != 4) {
		complain("ended with status " $4)
	} else if (!counted) {
		complain("ran no test")
	}
	said_not_ok = 0
	name = ""
	next
}

name == "" { next }

{
	match($0, /^ */)
	indent = int(RLENGTH / 4)
	line = substr($0, RLENGTH + 1)
}

line ~ /^1\.\.[0-9]+/ {
	split(line, part, /\.\.| /)
	plan[indent] = part[2]
	if (indent > deepest)
		deepest = indent
	next
}

line ~ /^(not )?ok( |$)/ {
	bad = line ~ /^not ok/
	skip = line ~ /# *(SKIP|skip)/
	results[indent]++
	counted++
	inner = (indent + 1) in results
	if (inner) {
		# The summary of the tests below it, already counted.
		close_level(indent + 1)
		if (bad && failed == mark[indent + 1])
			complain(line)
	} else if (skip) {
		skipped++
	} else if (bad) {
		said_not_ok = 1
		complain(line)
	} else {
		passed++
	}
	delete mark[indent + 1]
	if (!(indent in mark))
		mark[indent] = failed - bad
	if (indent > deepest)
		deepest = indent
	next
}

END {
	if (name != "")
		complain("died without an end")
	printf "total %d %d %d\n", passed, failed, skipped
}

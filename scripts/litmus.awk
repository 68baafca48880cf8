# SPDX-License-Identifier: GPL-2.0
#
# Judges what herd7 says of litmus tests.  Before each stands the line
#	## NAME VERDICT
# with the verdict that the test states, in the manner of the kernel's own: Never,
# Sometimes or Always, and DATARACE if there is one.  Prints each failure, then
# "N passed, N failed"; those in "bad" are failures found elsewhere.

function judge() {
	if (name == "")
		return
	if (verdicts != 1)
		said = "no verdict"
	else if (!positive && !negative)
		said = "no execution at all"
	else
		said = observed race
	if (stated !~ /^(Never|Sometimes|Always)( DATARACE)?$/)
		stated = "no verdict that is known"
	if (said == stated) {
		passed++
	} else {
		printf "FAILED %s: states %s, herd7 says %s\n", name, stated, said
		if (verdicts != 1)
			printf "%s", text
		failed++
	}
	name = ""
}

/^## / {
	judge()
	name = $2
	stated = $3 (NF > 3 ? " " $4 : "")
	verdicts = positive = negative = 0
	observed = race = text = ""
	next
}

/^Observation / && $2 == name {
	verdicts++
	observed = $3
	positive = $4
	negative = $5
}

/^Flag data-race$/ {
	race = " DATARACE"
}

{
	text = text $0 "\n"
}

END {
	judge()
	if (!passed && !failed)
		failed = 1
	printf "%d passed, %d failed\n", passed, failed + bad
}

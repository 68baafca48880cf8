# SPDX-License-Identifier: GPL-2.0
#
# What run_kselftest.sh says, for tap.awk: each program between "## begin NAME" and
# "## end NAME STATUS", with what it says itself no comment any more.

/^1\.\./ && !planned {
	planned = substr($0, 4)
	next
}

/^# selftests: / {
	name = $NF
	print "## begin " name
	next
}

/^(not )?ok [0-9]+ selftests: / {
	status = /^ok/ ? (/# *SKIP/ ? 4 : 0) : 1
	if (match($0, /exit=[0-9]+/))
		status = substr($0, RSTART + 5, RLENGTH - 5)
	if (/# TIMEOUT/)
		status = 124
	print "## end " name " " status
	name = ""
	ended++
	next
}

name != "" {
	sub(/^# /, "")
	print
	fflush()
}

# If it has come to an end, each has been run.
END {
	if (ended == planned)
		exit
	print "## begin run_kselftest.sh"
	print "not ok 1 planned " planned " programs, ran " ended + 0
	print "## end run_kselftest.sh 1"
}

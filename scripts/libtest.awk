# SPDX-License-Identifier: GPL-2.0
#
# What tests that cargo has built say, as TAP.  The plan is what they announce, so
# that one which dies early breaks it.

BEGIN { print "TAP version 13" }

/^running [0-9]+ tests?$/ {
	planned += $2
	next
}

/^test .* \.\.\. / {
	text = $0
	sub(/^test /, "", text)
	# What follows behind the dots may be a time, too.
	result = text
	sub(/^.* \.\.\. /, "", result)
	sub(/ \.\.\. [^ ]*.*$/, "", text)
	if (result ~ /^ok/)
		print "ok " ++number " " text
	else if (result ~ /^ignored/)
		print "ok " ++number " " text " # SKIP needs the device"
	else
		print "not ok " ++number " " text
	next
}

# Why, for who reads the log.
{ print "# " $0 }

END { print "1.." planned + 0 }

# SPDX-License-Identifier: GPL-2.0
#
# Puts the examples of the pages of documentation into files, in the folder OUT: what
# stands between fences that have a name ("```c hello.c").  Parts of the same name are
# put together.  Where pages say /path/to/syncmap, the files say SOURCE.

/^```[a-z]+ [A-Za-z0-9_.]+$/ {
	name = $2
	next
}

/^```$/ { name = "" }

name != "" {
	gsub(/\/path\/to\/syncmap/, SOURCE)
	print >(OUT "/" name)
}

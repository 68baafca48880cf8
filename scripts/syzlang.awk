# SPDX-License-Identifier: GPL-2.0
#
# Reads a description for syzkaller and writes a C program that prints the values
# of its constants, and does not compile unless its structs are those of the
# header: each member of that name, at its place, and of its size.

function bytes(type) {
	if (type ~ /^ptr64\[/ || type ~ /int64\]?$/)
		return 8
	if (type ~ /int32\]?$/)
		return 4
	return 0
}

# The struct of the header that a struct is a variant of.
function c_name(name) {
	sub(/\[.*/, "", name)
	return name ~ /^syncmap_op_/ ? "syncmap_op" : name
}

/^#/ { next }

{
	line = $0
	gsub(/"[^"]*"/, "", line)
	while (match(line, /(SYNCMAP|O|AT)_[A-Z_]+/)) {
		name = substr(line, RSTART, RLENGTH)
		before = RSTART > 1 ? substr(line, RSTART - 1, 1) : ""
		if (before !~ /[$A-Za-z_]/)
			constants[name]
		line = substr(line, RSTART + RLENGTH)
	}
}

/^[a-z_]+(\[[A-Z]+\])? \{$/ { struct = c_name($1); offset = 0; next }
/^}$/ && struct {
	checks = checks sprintf("static_assert(sizeof(struct %s) == %d, \"%s\");\n",
		struct, offset, struct)
	structs++
	struct = ""
}
struct && NF {
	type = $0
	sub(/^[ \t]*[^ \t]+[ \t]+/, "", type)
	sub(/[ \t]*\(out\)$/, "", type)
	size = bytes(type)
	if (!size) {
		print "syzlang.awk: what size is " $0 "?" >"/dev/stderr"
		failed = 1
	}
	checks = checks sprintf("static_assert(offsetof(struct %s, %s) == %d && " \
		"sizeof(((struct %s *)0)->%s) == %d, \"%s.%s\");\n", struct, $1,
		offset, struct, $1, size, struct, $1)
	offset += size
}

END {
	if (failed || structs < 12)
		exit 1
	print "#define _GNU_SOURCE"
	print "#include <assert.h>\n#include <fcntl.h>\n#include <stddef.h>"
	print "#include <stdio.h>\n#include <sys/syscall.h>"
	print "#include <linux/syncmap.h>"
	print checks
	print "#define SHOW(name) printf(#name \" %llu\\n\", " \
		"(unsigned long long)(long long)(name))"
	print "int main(void)\n{"
	for (name in constants)
		print "\tSHOW(" name ");"
	print "\tprintf(\"__NR_ioctl %d\\n\", SYS_ioctl);"
	print "\tprintf(\"__NR_openat %d\\n\", SYS_openat);"
	print "\treturn 0;\n}"
}

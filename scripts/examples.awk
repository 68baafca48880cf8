# SPDX-License-Identifier: GPL-2.0
#
# Makes a module of KUnit tests of the examples in the documentation of the library
# crate, as the kernel does with its own: what stands between fences is the body of a
# test, lines that begin with "# " are not shown in the documentation.

BEGIN {
	print "// SPDX-License-Identifier: GPL-2.0"
	print "//! Generated from the documentation."
	print "use kernel::prelude::*;"
	print "module! {"
	print "    type: Examples,"
	print "    name: \"syncmap_examples\","
	print "    authors: [\"The syncmap developers\"],"
	print "    description: \"Examples of syncmap\","
	print "    license: \"GPL\","
	print "}"
	print "struct Examples;"
	print "static MODULE: kernel::sync::SetOnce<&'static ThisModule> ="
	print "    kernel::sync::SetOnce::new();"
	print "/// The tests run when the module has been loaded."
	print "fn this_module() -> &'static ThisModule {"
	print "    MODULE.as_ref().copied().unwrap()"
	print "}"
	print "impl kernel::Module for Examples {"
	print "    fn init(module: &'static ThisModule) -> Result<Self> {"
	print "        MODULE.populate(module);"
	print "        Ok(Examples)"
	print "    }"
	print "}"
	print "#[kunit_tests(syncmap_examples)]"
	print "mod tests {"
	print "    use super::*;"
}

{
	line = $0
	if (!sub(/^ *\/\/[\/!] ?/, "", line)) {
		if (inside)
			exit failed = 1
		next
	}
}

line ~ /^```/ {
	if (inside) {
		print "    }"
		inside = 0
	} else if (skipping) {
		skipping = 0
	} else if (line == "```") {
		name = FILENAME
		gsub(/.*\/|\.rs$/, "", name)
		printf "    #[test]\n    fn example_%s_%d() -> Result<(), Error> {\n",
			name, FNR
		inside = 1
		count++
	} else {
		skipping = 1
	}
	next
}

inside {
	sub(/^# /, "", line)
	print "        " line
}

END {
	print "}"
	if (failed || inside || !count)
		exit 1
}

# SPDX-License-Identifier: GPL-2.0
#
# Whether the examples of pages that have no name ("```c", "```rust") are excerpts of
# the sources that are given before: each part between lines that say "..." is there,
# line by line, but for comments, spaces and empty lines.

function plain(line) {
	gsub(/\/\*[^*]*\*\//, "", line)
	sub(/ *\/\/.*/, "", line)
	gsub(/[ \t]+/, " ", line)
	gsub(/^ | $/, "", line)
	return line
}

function lines(line) {
	line = plain(line)
	return line == "" ? "" : line "\n"
}

function judge(source, i) {
	parts[count] = part
	for (source in text) {
		for (i = 0; i <= count; i++)
			if (!index(text[source], "\n" parts[i]))
				break
		if (i > count)
			return
	}
	print FILENAME ":" start ": this is no excerpt of anything that is compiled."
	bad = 1
}

FILENAME !~ /\.md$/ {
	sub(/^ *\/\/[\/!] ?/, "") # examples in the documentation of a crate
	if (!(FILENAME in text))
		text[FILENAME] = "\n"
	text[FILENAME] = text[FILENAME] lines($0)
	next
}

/^```(c|rust)$/ {
	start = FNR
	count = 0
	part = ""
	inside = 1
	next
}

/^```$/ {
	if (inside)
		judge()
	inside = 0
}

inside {
	if (/^[ \t]*\.\.\.$/) {
		parts[count++] = part
		part = ""
	} else {
		part = part lines($0)
	}
}

END { exit bad }

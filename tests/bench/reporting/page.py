# SPDX-License-Identifier: GPL-2.0
"""Tables, for the terminal and for the page; every number is computed."""

import json
import textwrap

from .data import FIGURES, Cell
from .targets import GO_WORKLOADS, SIZES, all_targets, go_speeds, plural, size_name

# The order of contenders in tables and plots, and who else is in userspace.
KERNEL = ("syncmap", "syncmap-counted", "syncmap-c", "rhashtable", "xarray", "hashtable",
          "rbtree")
HOST = ("go-classic", "go-hashtriemap", "papaya", "dashmap", "scc")
SYSCALL = ("syncmap", "bpf-hash", "bpf-hash-noprealloc", "bpf-rhash")
SYSCALL_NAMES = ("syncmap", "bpf-hash", "noprealloc", "bpf-rhash", "bare call")
LOOKUPS = ("lookup-hit", "lookup-miss", "lookup-dirty", "lookup-read")
UPDATES = ("overwrite", "insert", "churn")
MIXES = tuple(f"{mix}-{order}" for mix in ("read-heavy", "exchange", "rapid-grow")
              for order in ("uniform", "zipf"))
GROWTH = ("fill-worst", "start-dirty-worst", "copy-all")
MEMORY = {
    "memory": "Full: bytes per entry",
    "memory-objects": "Full, without what the allocator keeps: bytes per entry",
    "memory-tenth": "After deleting 90 % at random: bytes per entry left",
    "memory-tenth-objects": "The same, without what the allocator keeps",
    "memory-tenth-in-order": "After deleting 90 % in order: bytes per entry left",
    "memory-cleared": "After Clear: bytes left per entry that there was",
    "memory-cleared-objects": "The same, without what the allocator keeps",
}

# What instructions are counted of, and short names for who executes them.
COUNTED = ("lookup-hit", "lookup-miss", "overwrite", "insert", "fill", "churn", "turnover",
           "delete", "walk")
COUNTED_NAMES = {"syncmap-c": "C", "syncmap": "Rust", "syncmap-counted": "counted",
                 "rhashtable": "rhasht.", "xarray": "xarray", "hashtable": "hasht.",
                 "rbtree": "rbtree"}

HOW = """\
**Instructions** (`stock`) are those that Debian's kernel executes for one
operation, under QEMU with `-icount`, where a nanosecond of the guest is an
instruction: the same to one or two per cent in each run, on any machine. The
loop is included, and what is done in the background until it ends. `syncmap-c`
is the C API, `syncmap` the API of Rust with values of the caller's,
`syncmap-counted` with values of the map's. `insert` is of the second half of
the keys, `fill` of all, from none on; `churn` is a new key and its end by
turns, `turnover` a new key and the end of the oldest; `walk` is per key.

**Times** are of one run, in rounds: in each round every contender has its
turn, one after the other. A figure is the median of the rounds, with the
quartiles behind it in brackets. A ratio is taken round by round, and its
median and quartiles are given: it is not the ratio of the medians. `ns` are
nanoseconds of wall time for one operation of one thread, so that two threads
which do not disturb each other have the same `ns` as one. Latencies come from
runs of their own, since reading the clock takes time, and include one reading
of it. In tables, k is a thousand and M a million.

* **In the kernel** (`smp`, `up`): User Mode Linux, which runs at native speed.
  Lookups, and how they scale, are measured on a kernel with SMP. Updates are
  measured on one without (`up`): on an SMP User Mode Linux, disabling and
  enabling interrupts is two system calls of the host, which real hardware does
  not have and which would hide everything else.
* **In userspace** (`host`): the same workloads, on the same machine, with keys
  of the same kind; each map with its default hasher and allocator, used as its
  documentation shows for single operations. Go boxes keys into interfaces, as
  every user of `sync.Map` does.
* **Through system calls** (`syscall`): our ioctls against bpf(2).

All do the same work on random keys drawn with a fixed seed, and the answers are
checked outside the timed part; a wrong count fails the bench.
"""


def number(value):
    """Three digits that mean something; k is thousands, M millions."""
    unit = ""
    for bigger in ("k", "M"):
        if abs(value) < 9995:
            break
        value, unit = value / 1000, bigger
    if value == 0:
        return "0"
    for least, digits in ((99.95, 0), (9.995, 1)):
        if abs(value) >= least:
            return f"{value:.{digits}f}{unit}"
    return f"{value:.2f}{unit}"


def spread(summary, unit=""):
    if summary is None:
        return "-"
    text = number(summary.median) + unit
    if summary.rounds > 1:
        text += f" ({number(summary.low)}-{number(summary.high)})"
    return text


def median(summary):
    return "-" if summary is None else number(summary.median)


def table(header, rows):
    """A table of Markdown that can be read as it is; the first column is text."""
    rows = [[str(text) for text in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*rows)]

    def line(row):
        first, *others = (
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths)))
        return "| " + " | ".join([first, *others]) + " |"

    rule = "|" + "|".join("-" * (width + 1) + ("-" if i == 0 else ":")
                          for i, width in enumerate(widths)) + "|"
    return "\n".join([line(rows[0]), rule, *map(line, rows[1:])])


def useful(header, rows):
    """The table without columns and rows in which nothing was measured."""
    rows = [row for row in rows if any(text != "-" for text in row[1:])]
    keep = [i for i in range(len(header))
            if i == 0 or any(row[i] != "-" for row in rows)]
    if not rows or len(keep) < 2:
        return None
    return table([header[i] for i in keep], [[row[i] for i in keep] for row in rows])


def contenders(where):
    """Pairs of place and contender: those of a kernel, then userspace."""
    return [(where, name) for name in KERNEL] + [("host", name) for name in HOST]


def targets_table(targets):
    """One line for each target: its worst case decides."""
    rows = []
    for target in targets:
        worst = target.worst
        rows.append([target.title, target.wanted,
                     number(worst.value.median) + target.unit if worst else "-",
                     target.verdict])
    return table(["target", "wanted", "worst", "verdict"], rows)


def details(targets, wanted=lambda target, case: True):
    """A table of the cases of each target, of those that are wanted."""
    for target in targets:
        rows = [[case.label, spread(case.value, target.unit)]
                for case in target.cases if wanted(target, case)]
        if rows:
            yield (f"{target.title}, wanted {target.wanted}",
                   table(["where", "reached"], rows))


def missed(targets):
    return list(details(targets, lambda target, case: not target.reached_by(case)))


def by_size(measured, where, workload, threads=1, key=8):
    """Time and, against syncmap, speed of every contender by size."""
    times, speeds = [], []
    for place, contender in contenders(where):
        cells = [Cell(place, contender, workload, size, key, threads) for size in SIZES]
        ours = [cell._replace(where=where, contender="syncmap") for cell in cells]
        times.append([contender] + [spread(measured.summary(cell, "ns"))
                                    for cell in cells])
        if contender != "syncmap":
            speeds.append([contender] + [spread(measured.speed(own, cell), "x")
                                         for own, cell in zip(ours, cells)])
    names = [size_name(size) for size in SIZES]
    return [
        (f"{workload}, {plural(threads)}: ns", useful(["contender", *names], times)),
        (f"{workload}, {plural(threads)}: how many times as fast syncmap is",
         useful(["than", *names], speeds)),
    ]


def lookups(measured):
    for workload in LOOKUPS:
        for threads in (1, 2):
            yield from by_size(measured, "smp", workload, threads)
    yield from scaling(measured)
    yield from long_keys(measured, "smp", LOOKUPS[:2])


def updates(measured):
    for workload in UPDATES:
        yield from by_size(measured, "up", workload)
    yield from scaling(measured, UPDATES)
    yield from long_keys(measured, "up", UPDATES)


def mixes(measured):
    for workload in MIXES:
        yield from by_size(measured, "up", workload)
    yield from scaling(measured, MIXES)


def scaling(measured, workloads=LOOKUPS[:2]):
    """What two threads do together, as a multiple of what one does."""
    loops = [("smp", "loop"), ("host", "loop")] if workloads == LOOKUPS[:2] else []
    for workload in workloads:
        rows = []
        for place, contender in [*contenders("smp"), *loops]:
            name = contender if contender != "loop" else f"loop ({place})"
            rows.append([name])
            for size in SIZES:
                one = Cell(place, contender, workload, size)
                rows[-1].append(spread(measured.combined(
                    lambda a, b: 2 * a / b, (one, "ns"),
                    (one._replace(threads=2), "ns")), "x"))
        yield (f"{workload}: throughput of 2 threads as a multiple of 1 thread's",
               useful(["contender", *map(size_name, SIZES)], rows))


def long_keys(measured, where, workloads):
    for workload in workloads:
        size, lengths = 65536, (8, 16, 64)
        rows = [[contender] + [spread(measured.summary(
            Cell(place, contender, workload, size, key), "ns")) for key in lengths]
            for place, contender in contenders(where)]
        if any(text != "-" for row in rows for text in row[2:]):
            yield (f"{workload}, {size_name(size)} keys, by the length of the keys: ns",
                   useful(["contender", *(f"{key} bytes" for key in lengths)], rows))


def latencies(measured):
    figures = ("p50", "p99", "p999", "max")
    for where, workloads in (("smp", LOOKUPS), ("up", UPDATES + MIXES)):
        for workload in workloads:
            size = 65536
            rows = [[contender] + [
                median(measured.summary(Cell(place, contender, workload, size), figure))
                for figure in figures]
                for place, contender in [*contenders(where), ("host", "loop")]]
            # The loop alone is no result.
            if any(text != "-" for row in rows[:-1] for text in row[1:]):
                yield (f"{workload}, {size_name(size)} keys, 1 thread: ns",
                       useful(["contender", "p50", "p99", "p99.9", "max"], rows))


def growth(measured):
    for workload in GROWTH:
        figure = "ns" if workload == "copy-all" else "max"
        rows = [[contender] + [
            spread(measured.combined(lambda ns: ns / 1000, (
                Cell("up", contender, workload, size), figure))) for size in SIZES]
            for contender in KERNEL]
        yield (f"{workload}: microseconds", useful(
            ["contender", *map(size_name, SIZES)], rows))


def go_workloads(measured):
    for threads in (1, 2):
        where = "up" if threads == 1 else "smp"
        classic = go_speeds(measured, "go-classic")
        tree = go_speeds(measured, "go-hashtriemap")
        names = sorted({name for name, count in classic.keys() | tree.keys()
                        if count == threads})
        rows = []
        for name in names:
            ours = [Cell(where, contender, f"go/{name}", 0, 8, threads)
                    for contender in KERNEL[:2]]
            times = [measured.summary(cell, "ns") for cell in ours]
            rows.append([name if times[0] else f"{name} (counted)",
                         median(times[0] or times[1]),
                         spread(classic.get((name, threads)), "x"),
                         spread(tree.get((name, threads)), "x")])
        if rows:
            yield (f"How many times as fast syncmap is, {plural(threads)}", useful(
                ["workload", "ns", "classic", "HashTrieMap"], rows))
    # Go's two maps by themselves, even where ours was not run.
    rows = []
    for name in measured.any("workload", where="host", contender="go-classic"):
        if not name.startswith("go/"):
            continue
        rows.append([name.removeprefix("go/")])
        for threads in (1, 2):
            for contender in ("go-classic", "go-hashtriemap"):
                rows[-1].append(median(measured.summary(
                    Cell("host", contender, name, 0, 8, threads), "ns")))
    yield ("Go's two maps: ns for an operation of each thread", useful(
        ["workload", "classic", "trie", "classic, 2", "trie, 2"], rows))


def memory(measured):
    for workload, title in MEMORY.items():
        for figure, title in (("bytes", title),
                              ("peak", "At most, while it was filled: per entry")):
            rows = [[contender] + [median(measured.summary(
                Cell(place, contender, workload, size), figure)) for size in SIZES]
                for place, contender in contenders("up")]
            yield title, useful(["contender", *map(size_name, SIZES)], rows)


def system_calls(measured):
    for size in measured.any("size", where="syscall"):
        rows = []
        for workload in measured.any("workload", where="syscall", size=size):
            cells = [Cell("syscall", name, workload, size)
                     for name in (*SYSCALL, "loop")]
            rows.append([workload] + [median(measured.summary(cell, "ns"))
                                      for cell in cells]
                        + [spread(measured.speed(cells[0], cells[1]), "x")])
        yield f"{size_name(size)} keys: ns, and syncmap against bpf-hash", useful(
            ["workload", *SYSCALL_NAMES, "speed"], rows)


def instructions(measured):
    """Of the functions as they are built for the stock kernel, all branches."""
    rows = []
    for contender in measured.any("contender", where="code"):
        for workload in measured.any("workload", where="code", contender=contender):
            rows.append([f"{contender}, {workload}"])
            for key in (8, 16, 64):
                cell = Cell("code", contender, workload, 0, key)
                rows[-1] += [median(measured.summary(cell, figure))
                             for figure in ("instructions", "calls")]
    yield ("Instructions of the function and the search of a table, all branches, "
           "and calls of others", useful(
               ["function", "8 bytes", "calls", "16 bytes", "calls", "64 bytes", "calls"],
               rows))


def per_operation(measured, cells):
    return [median(measured.summary(cell, "instructions")) for cell in cells]


def stock(measured):
    """Executed instructions, and those of the C API as a multiple of rhashtable's."""
    for size in measured.any("size", where="stock", workload=COUNTED):
        for key in measured.any("key", where="stock", workload=COUNTED, size=size):
            rows = []
            for workload in COUNTED:
                cells = [Cell("stock", name, workload, size, key)
                         for name in COUNTED_NAMES]
                ours, theirs = (cells[list(COUNTED_NAMES).index(name)]
                                for name in ("syncmap-c", "rhashtable"))
                rows.append([workload, *per_operation(measured, cells), median(
                    measured.ratio(ours, theirs, "instructions"))])
            yield (f"{size_name(size)} keys of {key} bytes: instructions, and C against "
                   "rhashtable", useful(
                       ["operation", *COUNTED_NAMES.values(), "ratio"], rows))
    for size in measured.any("size", where="stock-syscall"):
        rows = []
        for workload in measured.any("workload", where="stock-syscall", size=size):
            cells = [Cell("stock-syscall", name, workload, size)
                     for name in (*SYSCALL, "loop")]
            rows.append([workload, *per_operation(measured, cells)])
        yield (f"Through system calls, {size_name(size)} keys: instructions for a key",
               useful(["workload", *SYSCALL_NAMES], rows))
    rows = []
    for workload in measured.any("workload", where="stock"):
        if workload.startswith("go/"):
            cells = [Cell("stock", name, workload, 0) for name in COUNTED_NAMES]
            rows.append([workload.removeprefix("go/"), *per_operation(measured, cells)])
    yield "Go's workloads: instructions", useful(
        ["workload", *COUNTED_NAMES.values()], rows)


# Title, name of the plots, tables.
SECTIONS = (
    ("Instructions", (), stock),
    ("Lookups", ("lookups",), lookups),
    ("Updates", ("updates",), updates),
    ("Mixes of operations", ("mixes",), mixes),
    ("Latency", ("latency",), latencies),
    ("Growing", ("growth",), growth),
    ("Go's own benchmarks of sync.Map", ("go",), go_workloads),
    ("Memory", ("memory",), memory),
    ("System calls", ("syscalls",), system_calls),
    ("Machine code", (), instructions),
)


def sections(measured):
    """Title, plots and the tables that have something in them."""
    for title, plots, tables in SECTIONS:
        yield title, plots, [(caption, body) for caption, body in tables(measured)
                             if body]


def missing(measured):
    """Sentences about what was not run."""
    absent = [title for title, _, tables in sections(measured) if not tables]
    if absent:
        yield f"Not run: {', '.join(absent)}."
    sizes = [size for size in SIZES if not measured.any("contender", size=size)]
    if sizes:
        yield f"Not run with {', '.join(map(size_name, sizes))} keys."
    for where, names in (("up", KERNEL), ("host", HOST), ("syscall", SYSCALL)):
        here = measured.any("contender", where=where)
        if where == "up":
            here += measured.any("contender", where="smp")
        gone = [name for name in names if name not in here]
        if gone:
            place = {"up": "in the kernel", "host": "in userspace",
                     "syscall": "through system calls"}[where]
            yield f"Not run {place}: {', '.join(gone)}."
    go_names = [name for name in measured.any("workload", contender=KERNEL[:2])
                if name.startswith("go/")]
    if len(go_names) < GO_WORKLOADS:
        yield f"Of Go's {GO_WORKLOADS} workloads, {len(go_names)} ran in the kernel."


def environment(measured):
    named = dict(measured.environment)
    named["Rounds"] = measured.rounds()
    return "\n".join(textwrap.fill(f"* {name}: {value}", 80, subsequent_indent="  ")
                     for name, value in named.items())


def terminal(measured):
    targets = all_targets(measured)
    parts = []
    for title, _, tables in sections(measured):
        if tables:
            parts += [title, "=" * len(title), ""]
        for caption, body in tables:
            parts += [f"{caption}", body, ""]
    parts += ["Targets", "=======", "", targets_table(targets), ""]
    for caption, body in missed(targets):
        parts += [f"Missed: {caption}", body, ""]
    return "\n".join(parts + [textwrap.fill(each, 80) for each in missing(measured)])


def markdown(measured, plots, notes):
    """The page.  PLOTS: the files that there are, by name."""
    targets = all_targets(measured)
    parts = [
        "# Benchmarks", "",
        "Made by `make bench`; do not edit. Remarks: `docs/benchmarks/notes.md`.", "",
        "## How it was measured", "", HOW,
        environment(measured), ""]
    parts += [textwrap.fill(each, 80) + "\n" for each in missing(measured)]
    parts += ["## Targets", "",
              "A target is reached if all of its cases are; the worst one is shown.",
              "", targets_table(targets), ""]
    if missed(targets):
        parts += ["### What was missed", ""]
    for caption, body in missed(targets):
        parts += [f"{caption}:", "", body, ""]
    if notes.strip():
        parts += ["## Remarks", "", notes.strip(), ""]
    for title, names, tables in sections(measured):
        files = [plots[name] for name in names if name in plots]
        if not tables and not files:
            continue
        parts += [f"## {title}", ""]
        for name in files:
            parts += [f"![{title}](benchmarks/{name})", ""]
        for caption, body in tables:
            parts += [f"{caption}:", "", body, ""]
    parts += ["## Every figure of the targets", ""]
    for caption, body in details(targets):
        parts += [f"{caption}:", "", body, ""]
    parts += ["All medians and quartiles: `docs/benchmarks/results.json`."]
    return "\n".join(parts) + "\n"


def rounded(value):
    """Enough digits for everybody, and files that can be compared."""
    return float(f"{value:.6g}")


def as_json(measured):
    """Medians and quartiles of all that was measured, one line each."""
    def summary(of):
        return [rounded(of.median), rounded(of.low), rounded(of.high)]

    results = []
    for cell in sorted(measured.cells):
        figures = {name: measured.summary(cell, name) for name in FIGURES}
        results.append(cell._asdict() | {
            name: summary(each) for name, each in figures.items() if each})
    targets = [{
        "target": target.title, "wanted": target.wanted, "verdict": target.verdict,
        "cases": {case.label: summary(case.value) for case in target.cases},
    } for target in all_targets(measured)]

    def lines(items):
        return ",\n".join(json.dumps(item, separators=(",", ":")) for item in items)

    return ('{"environment":%s,\n"rounds":%d,\n"figures":["median","quartile 1",'
            '"quartile 3"],\n"targets":[\n%s\n],\n"results":[\n%s\n]}\n' % (
                json.dumps(measured.environment), measured.rounds(),
                lines(targets), lines(results)))

# SPDX-License-Identifier: GPL-2.0
"""Tables, for the terminal and for the pages; every number is computed."""

from .data import Cell
from .targets import SIZES, SMALL, all_targets, go_speeds, plural, size_name

# The order of contenders in tables and plots, and who else is in userspace.
KERNEL = ("syncmap", "syncmap-counted", "syncmap-c", "rhashtable", "xarray", "hashtable",
          "rbtree", "limit")
HOST = ("go-classic", "go-hashtriemap", "papaya", "dashmap", "scc")
SYSCALL = ("syncmap", "bpf-hash", "bpf-hash-noprealloc", "bpf-rhash")
CALLED = {"bpf-hash-noprealloc": "noprealloc"}
LOOKUPS = ("lookup-hit", "lookup-miss", "lookup-dirty", "lookup-read")
UPDATES = ("overwrite", "insert", "churn", "delete")
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

# What instructions are counted of, and short names of what executes them.
COUNTED = ("lookup-hit", "lookup-miss", "overwrite", "insert", "fill", "churn", "turnover",
           "delete", "walk")
SHORT = {"syncmap-c": "C", "syncmap": "Rust", "syncmap-counted": "counted",
         "rhashtable": "rhasht.", "xarray": "xarray", "hashtable": "hasht.",
         "rbtree": "rbtree"}


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


def contenders(measured, where):
    """Pairs of place and contender: those of a kernel, then userspace."""
    kernel = measured.all("contender", KERNEL, where=where)
    return [(where, name) for name in kernel] + [("host", name) for name in HOST]


def workloads(measured, where, known, *others):
    """KNOWN, and then those that no other subject has."""
    return [name for name in measured.all("workload", known, where=where)
            if name not in others and not name.startswith(("go/", "memory"))]


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
    for place, contender in contenders(measured, where):
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
    names = workloads(measured, ("up", "smp"), UPDATES, *LOOKUPS, *MIXES, *GROWTH)
    for workload in names:
        yield from by_size(measured, "up", workload)
        yield from by_size(measured, "smp", workload, 2)
    yield from scaling(measured, names)
    yield from long_keys(measured, "up", names)


def mixes(measured):
    for workload in MIXES:
        yield from by_size(measured, "up", workload)
    yield from scaling(measured, MIXES)


def scaling(measured, names=LOOKUPS[:2]):
    """What two threads do together, as a multiple of what one does."""
    loops = [("smp", "loop"), ("host", "loop")] if names == LOOKUPS[:2] else []
    for workload in names:
        rows = []
        for place, contender in [*contenders(measured, "smp"), *loops]:
            name = contender if contender != "loop" else f"loop ({place})"
            rows.append([name])
            for size in SIZES:
                one = Cell(place, contender, workload, size)
                rows[-1].append(spread(measured.combined(
                    lambda a, b: 2 * a / b, (one, "ns"),
                    (one._replace(threads=2), "ns")), "x"))
        yield (f"{workload}: throughput of 2 threads as a multiple of 1 thread's",
               useful(["contender", *map(size_name, SIZES)], rows))


def long_keys(measured, where, names):
    for workload in names:
        size, lengths = SMALL, (8, 16, 64)
        rows = [[contender] + [spread(measured.summary(
            Cell(place, contender, workload, size, key), "ns")) for key in lengths]
            for place, contender in contenders(measured, where)]
        if any(text != "-" for row in rows for text in row[2:]):
            yield (f"{workload}, {size_name(size)} keys, by the length of the keys: ns",
                   useful(["contender", *(f"{key} bytes" for key in lengths)], rows))


def latencies(measured):
    figures = ("p50", "p99", "p999", "max")
    for where, names in (("smp", LOOKUPS), ("up", UPDATES + MIXES)):
        for workload in names:
            size = SMALL
            rows = [[contender] + [
                median(measured.summary(Cell(place, contender, workload, size), figure))
                for figure in figures]
                for place, contender in [*contenders(measured, where), ("host", "loop")]]
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
                for place, contender in contenders(measured, "up")]
            yield title, useful(["contender", *map(size_name, SIZES)], rows)


def system_calls(measured):
    names = measured.all("contender", SYSCALL, where="syscall")
    called = [CALLED.get(name, name) for name in names]
    for size in measured.any("size", where="syscall"):
        times, speeds = [], []
        for workload in measured.any("workload", where="syscall", size=size):
            cells = [Cell("syscall", name, workload, size) for name in [*names, "loop"]]
            title = workload.removeprefix("sys-")
            times.append([title, *(median(measured.summary(cell, "ns"))
                                   for cell in cells)])
            speeds.append([title, *(spread(measured.speed(cells[0], cell))
                                    for cell in cells[1:-1])])
        yield (f"{size_name(size)} keys: ns for a key",
               useful(["workload", *called, "bare call"], times))
        yield (f"{size_name(size)} keys: how many times as fast syncmap is",
               useful(["than", *called[1:]], speeds))


def machine_code(measured):
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


def shapes(measured):
    """Numbers of keys and bytes of a key that instructions are of; 8 bytes first."""
    found = {(cell.size, cell.key) for cell in measured.cells
             if cell.where == "stock" and cell.workload in COUNTED}
    return sorted(found, key=lambda shape: (shape[1] != 8, shape[1], shape[0]))


def against_rhashtable(measured, workload, size, key):
    """Instructions of the C API as a multiple of rhashtable's."""
    ours = Cell("stock", "syncmap-c", workload, size, key)
    return median(measured.ratio(ours, ours._replace(contender="rhashtable"),
                                 "instructions"))


def executed(measured, size, key, names=tuple(SHORT)):
    """Instructions of each operation, and the C API against rhashtable."""
    here = {"where": "stock", "size": size, "key": key}
    names = [*names, *(name for name in measured.all("contender", (), **here)
                       if name not in SHORT)]
    rows = [[workload, *per_operation(measured, [
        Cell("stock", name, workload, size, key) for name in names]),
        against_rhashtable(measured, workload, size, key)]
        for workload in workloads(measured, "stock", COUNTED)]
    return useful(["operation", *(SHORT.get(name, name) for name in names), "ratio"], rows)


def by_shape(measured):
    """The C API against rhashtable, for all numbers and lengths of keys."""
    rows = [[workload, *(against_rhashtable(measured, workload, *shape)
                         for shape in shapes(measured))]
            for workload in workloads(measured, "stock", COUNTED)]
    names = [size_name(size) + (f", {key} B" if key != 8 else "")
             for size, key in shapes(measured)]
    return useful(["operation", *names], rows)


def executed_by_calls(measured, size):
    names = measured.all("contender", SYSCALL, where="stock-syscall")
    rows = [[workload.removeprefix("sys-"), *per_operation(measured, [
        Cell("stock-syscall", name, workload, size) for name in [*names, "loop"]])]
        for workload in measured.any("workload", where="stock-syscall", size=size)]
    return useful(["workload", *(CALLED.get(name, name) for name in names), "bare call"],
                  rows)


def stock(measured):
    for size, key in shapes(measured):
        yield (f"{size_name(size)} keys of {key} bytes: instructions, and C against "
               "rhashtable", executed(measured, size, key))
    for size in measured.any("size", where="stock-syscall"):
        yield (f"Through system calls, {size_name(size)} keys: instructions for a key",
               executed_by_calls(measured, size))
    rows = [[workload.removeprefix("go/"), *per_operation(measured, [
        Cell("stock", name, workload, 0) for name in SHORT])]
        for workload in measured.any("workload", where="stock")
        if workload.startswith("go/")]
    yield "Go's workloads: instructions", useful(["workload", *SHORT.values()], rows)
    yield from machine_code(measured)


def all_cases(measured):
    """Every figure of the targets."""
    return details(all_targets(measured))


# Name of the page, and of the plot if there is one; title; tables.
SECTIONS = (
    ("instructions", "Instructions", stock),
    ("lookups", "Lookups", lookups),
    ("updates", "Updates", updates),
    ("mixes", "Mixes of operations", mixes),
    ("latency", "Latency", latencies),
    ("growth", "Growing", growth),
    ("go", "Go's own benchmarks of sync.Map", go_workloads),
    ("memory", "Memory", memory),
    ("syscalls", "System calls", system_calls),
)


def sections(measured, wanted=SECTIONS):
    """Name, title and the tables that have something in them."""
    for name, title, tables in wanted:
        yield name, title, [(caption, body) for caption, body in tables(measured)
                            if body]

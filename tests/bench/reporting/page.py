# SPDX-License-Identifier: GPL-2.0
"""The page, short enough to be read; pages with all tables; and the terminal."""

import textwrap

from . import slower
from .data import Cell
from .tables import (HOST, KERNEL, LOOKUPS, SECTIONS, SYSCALL, UPDATES, all_cases,
                     by_shape, contenders, executed, executed_by_calls, median, missed,
                     sections, targets_table, useful)
from .targets import GO_WORKLOADS, SIZES, SMALL, all_targets, plural, size_name

# What the pages have that the terminal shows otherwise.
MORE = (
    ("slower", "All that is slower, or larger", slower.tables),
    ("targets", "Every figure of the targets", all_cases),
)
NAMES = [f"benchmarks/{name}.md" for name, *_ in SECTIONS + MORE]

HEAD = """\
# Benchmarks

How the map compares with its peers: first what Debian's kernel executes, then
times, then what is aimed at, and then [what we are slower
at](#what-we-are-slower-at). [How it was measured](#how-it-was-measured) is at
the end.

Made by `make bench`; do not edit. Made again from the results that are kept by
`python3 tests/bench/report.py --docs docs docs/benchmarks/results.json`.
"""

INSTRUCTIONS = """\
Executed by Debian's kernel for one operation: the same on any machine. *C*,
*Rust* and *counted* are ours: the C API, the API of Rust with values of the
caller's, and with values of the map's. *ratio* is C against rhashtable, and
below 1 where ours executes less.
"""

NO_INSTRUCTIONS = """\
Not in the results. `make bench ONLY=instructions` counts them, in a few minutes.
To have them here, name its results behind `docs/benchmarks/results.json` in the
command above.
"""

TIMES = """\
On one machine, in the kernel (User Mode Linux) and in userspace: medians.
"""

# Of results that were kept without their rounds, up to November 2026.
OLD = """\
**These times are older than the present locks of the map.** Only their medians
and quartiles were kept, so their ratios are those of medians.
"""

SLOWER = """\
For each kind of peer, what ours is worst at: `walk` 2 times means that ours
takes twice as much as that peer, in the worst case. Differences of less than a
tenth are left out.
"""

HOW = """\
**Instructions** (`stock`): under QEMU with `-icount`, where a nanosecond of the
guest is an instruction. Ours vary by one or two per cent from run to run,
rhashtable's by ten where it allocates. The loop is included, and what is done
in the background until it ends. `overwrite` is of keys that exist, `insert` of
the second half of the keys, `fill` of all, from none on; `churn` is a new key
and its end by turns, `turnover` a new key and the end of the oldest; `walk` is
per key.

**Times** are of one run, in rounds: in each round every contender has its turn,
one after the other. A ratio is taken round by round, and its median and
quartiles are given: it is not the ratio of the medians. `ns` are nanoseconds of
wall time for one operation of one thread, so that two threads which do not
disturb each other have the same `ns` as one. Latencies come from runs of their
own, and include one reading of the clock. k is a thousand and M a million; in
numbers of keys, K is 1024 and M its square.

* **In the kernel** (`smp`, `up`): User Mode Linux, which runs at native speed.
  Lookups, and several threads, are measured with as many processors (`smp`).
  Updates by one thread are measured with one processor (`up`), so that what a
  map leaves to workers and to RCU is within the time. To disable and to enable
  interrupts sets a flag there (`scripts/uml-irqs.patch`): some six nanoseconds.
* **In userspace** (`host`): the same workloads, on the same machine, with keys
  of the same kind; each map with its default hasher and allocator, used as its
  documentation shows for single operations.
* **Through system calls** (`syscall`): our ioctls against bpf(2).

All do the same work on random keys drawn with a fixed seed, and the answers are
checked outside the timed part; a wrong count fails the bench.
"""


def missing(measured):
    """Sentences about what was not run."""
    absent = [title for _, title, tables in sections(measured) if not tables]
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
    for _, title, tables in sections(measured):
        if tables:
            parts += [title, "=" * len(title), ""]
        for caption, body in tables:
            parts += [f"{caption}", body, ""]
    parts += ["Targets", "=======", "", targets_table(targets), ""]
    for caption, body in missed(targets):
        parts += [f"Missed: {caption}", body, ""]
    return "\n".join(parts + [textwrap.fill(each, 80) for each in missing(measured)])


def instructions(measured):
    ours = executed(measured, SMALL, 8, ("syncmap-c", "syncmap", "syncmap-counted",
                                         "rhashtable"))
    if ours is None:
        return [NO_INSTRUCTIONS]
    parts = [INSTRUCTIONS, f"{size_name(SMALL)} keys of 8 bytes:", "", ours, "",
             "C against rhashtable, by the number of keys, and their bytes if not 8:", "",
             by_shape(measured), ""]
    for size in measured.any("size", where="stock-syscall"):
        parts += [f"Through system calls, {size_name(size)} keys and values of 8 bytes, "
                  "for a key:", "", executed_by_calls(measured, size), ""]
    return parts


def one_thread(measured):
    """Times of all contenders, and their memory."""
    figures = [("smp", name, "ns", name.removeprefix("lookup-")) for name in LOOKUPS[:2]]
    figures += [("up", name, "ns", name) for name in UPDATES]
    figures += [("up", "memory", "bytes", "bytes")]
    rows = [[name, *(median(measured.summary(
        Cell("host" if place == "host" else where, name, workload, SMALL), figure))
        for where, workload, figure, _ in figures)]
        for place, name in contenders(measured, ("smp", "up"))]
    return useful(["contender", *(title for *_, title in figures)], rows)


def against_rhashtable(measured):
    """How many times as fast ours is, for all sizes and one and two threads."""
    rows = []
    for where, threads in (("smp", 1), ("up", 1), ("smp", 2)):
        known = LOOKUPS[:2] if (where, threads) == ("smp", 1) else UPDATES
        if threads == 2:
            known = (*LOOKUPS[:2], *UPDATES)
        for workload in known:
            cells = [Cell(where, "syncmap", workload, size, 8, threads) for size in SIZES]
            rows.append([f"{workload}, {plural(threads)}", *(median(measured.speed(
                cell, cell._replace(contender="rhashtable"))) for cell in cells)])
    return useful(["operation", *map(size_name, SIZES)], rows)


def markdown(measured, plots, notes):
    """All pages, by name.  PLOTS: the files that there are, by name."""
    pages, links = {}, []
    for name, title, tables in sections(measured, SECTIONS + MORE):
        if not tables and name not in plots:
            continue
        links.append(f"[{title}](benchmarks/{name}.md)")
        parts = [f"# {title}", "",
                 "Made by `make bench`; do not edit. [What it means](../benchmarks.md).", ""]
        if name in plots:
            parts += [f"![{title}]({plots[name]})", ""]
        for caption, body in tables:
            parts += [f"{caption}:", "", body, ""]
        pages[f"benchmarks/{name}.md"] = "\n".join(parts)
    pages["benchmarks.md"] = main_page(measured, plots, notes, links)
    return pages


def main_page(measured, plots, notes, links):
    parts = [HEAD, textwrap.fill(f"All figures, with quartiles: {', '.join(links)}.", 80,
                                 break_on_hyphens=False, break_long_words=False), "",
             "## Instructions", "", *instructions(measured)]
    times = one_thread(measured)
    if times:
        parts += ["## Times", "", TIMES, *([OLD] if any(measured.kept.values()) else [])]
        parts += [f"![Lookups](benchmarks/{plots['lookups']})\n"] if "lookups" in plots else []
        parts += [f"{size_name(SMALL)} keys of 8 bytes, one thread: ns of lookups (hit, "
                  "miss) and\nupdates, and bytes for an entry:", "", times, ""]
    against = against_rhashtable(measured)
    if against:
        parts += ["How many times as fast as rhashtable, by the number of keys:", "",
                  against, ""]
    parts += ["## Targets", "",
              "A target is reached if all of its cases are; the worst one is shown. All\n"
              "cases: [targets](benchmarks/targets.md).", "",
              targets_table(all_targets(measured)), "",
              "## What we are slower at", "", SLOWER, *slower.sentences(measured), ""]
    if notes.strip():
        parts += [notes.strip(), ""]
    parts += ["## How it was measured", "", HOW, environment(measured), ""]
    parts += [textwrap.fill(each, 80) + "\n" for each in missing(measured)]
    return "\n".join(parts).rstrip() + "\n"

# SPDX-License-Identifier: GPL-2.0
"""Plots, as SVG files that only change when the results do."""

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogFormatter  # noqa: E402

from .data import Cell  # noqa: E402
from .tables import HOST, KERNEL, MEMORY, MIXES, SYSCALL, UPDATES  # noqa: E402
from .targets import SIZES, SMALL, go_speeds, plural, size_name  # noqa: E402

plt.rcParams.update({
    "svg.hashsalt": "syncmap",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
})

ALL = KERNEL + HOST + SYSCALL[1:]
COLOURS = {name: plt.get_cmap("tab20")(i) for i, name in enumerate(ALL)}
MARKERS = dict.fromkeys(KERNEL, "o") | dict.fromkeys(HOST, "s")


def throughput(summary):
    """Millions of operations a second, with the spread, of nanoseconds."""
    if summary is None:
        return None
    middle = 1e3 / summary.median
    return middle, middle - 1e3 / summary.high, 1e3 / summary.low - middle


def plain(summary, scale=1.0):
    if summary is None:
        return None
    return (summary.median * scale, (summary.median - summary.low) * scale,
            (summary.high - summary.median) * scale)


def logarithmic(axis):
    """A logarithmic axis whose numbers are plain ones."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))


def legend_below(figure, axes):
    entries = {}
    for one in axes:
        handles, labels = one.get_legend_handles_labels()
        entries |= dict(zip(labels, handles))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=5)


def by_size(axes, title, points):
    """Lines over the size of the map; POINTS(contender, size) has the value."""
    axes.set_title(title)
    axes.set_xscale("log", base=2)
    axes.set_xticks(SIZES, [size_name(size) for size in SIZES])
    axes.set_xlim(min(SIZES) / 2, max(SIZES) * 2)
    axes.set_xlabel("keys in the map")
    drawn = False
    for contender in ALL:
        found = [(size, value) for size in SIZES if (value := points(contender, size))]
        if found:
            sizes, values = zip(*found)
            middle, below, above = zip(*values)
            axes.errorbar(sizes, middle, yerr=(below, above), label=contender,
                          color=COLOURS[contender], capsize=2,
                          marker=MARKERS.get(contender, "d"), markersize=4,
                          linewidth=2.5 if contender == "syncmap" else 1)
            drawn = True
    return drawn


def bars(axes, groups, names, value):
    """Groups of bars, one bar for each name; VALUE(group, name) is its height."""
    names = [name for name in names if any(value(group, name) for group in groups)]
    width = 0.8 / max(len(names), 1)
    for i, name in enumerate(names):
        found = [(x, height) for x, group in enumerate(groups)
                 if (height := value(group, name))]
        places, heights = zip(*found)
        middle, below, above = zip(*heights)
        axes.bar([x + (i - (len(names) - 1) / 2) * width for x in places], middle,
                 width, yerr=(below, above), label=name, color=COLOURS[name],
                 error_kw={"linewidth": 0.7})
    axes.set_xticks(range(len(groups)), groups)
    return bool(names)


def place_of(contender, where):
    return "host" if contender in HOST else where


def lookups(measured):
    figure, grid = plt.subplots(2, 2, figsize=(8, 7), sharex=True)
    drawn = False
    for row, workload in zip(grid, ("lookup-hit", "lookup-miss")):
        for axes, threads in zip(row, (1, 2)):
            drawn |= by_size(axes, f"{workload}, {plural(threads)}", lambda name, size:
                             throughput(measured.summary(
                                 Cell(place_of(name, "smp"), name, workload, size, 8,
                                      threads), "ns")))
            logarithmic(axes.yaxis)
        row[0].set_ylabel("million operations a second\nfor each thread")
    legend_below(figure, grid.flat)
    return figure if drawn else None


def workload_bars(measured, workloads, columns):
    rows = -(-len(workloads) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(8, 3 * rows), squeeze=False)
    drawn = False
    for axes, workload in zip(grid.flat, workloads):
        def speed(size, name):
            return throughput(measured.summary(
                Cell(place_of(name, "up"), name, workload, sizes[size]), "ns"))

        sizes = {size_name(size): size for size in SIZES
                 if measured.any("contender", workload=workload, size=size)}
        axes.set_title(f"{workload}, 1 thread")
        drawn |= bars(axes, list(sizes), KERNEL + HOST, speed)
        axes.set_ylabel("million operations a second")
        axes.set_xlabel("keys in the map")
    legend_below(figure, grid.flat)
    return figure if drawn else None


def updates(measured):
    return workload_bars(measured, UPDATES, 1)


def mixes(measured):
    return workload_bars(measured, MIXES, 2)


def latency(measured):
    figures = {"p50": "p50", "p99": "p99", "p99.9": "p999", "max": "max"}
    wanted = [("smp", "lookup-hit"), ("smp", "lookup-miss"), ("up", "overwrite"),
              ("up", "insert")]
    figure, grid = plt.subplots(2, 2, figsize=(8, 7), sharex=True)
    drawn = False
    for axes, (where, workload) in zip(grid.flat, wanted):
        axes.set_title(f"{workload}, {size_name(SMALL)} keys, 1 thread")
        axes.set_ylabel("ns")
        logarithmic(axes.yaxis)
        for name in KERNEL + HOST:
            cell = Cell(place_of(name, where), name, workload, SMALL)
            found = [(label, summary.median) for label, figure_name in figures.items()
                     if (summary := measured.summary(cell, figure_name))]
            if found:
                axes.plot(*zip(*found), label=name, color=COLOURS[name],
                          marker=MARKERS[name], markersize=4,
                          linewidth=2.5 if name == "syncmap" else 1)
                drawn = True
    legend_below(figure, grid.flat)
    return figure if drawn else None


def growth(measured):
    wanted = (("fill-worst", "max"), ("start-dirty-worst", "max"), ("copy-all", "ns"))
    figure, grid = plt.subplots(1, 3, figsize=(8, 3.6))
    drawn = False
    for axes, (workload, name) in zip(grid, wanted):
        drawn |= by_size(axes, workload, lambda contender, size: plain(
            measured.summary(Cell("up", contender, workload, size), name), 1e-3))
        logarithmic(axes.yaxis)
    grid[0].set_ylabel("microseconds")
    legend_below(figure, grid)
    return figure if drawn else None


def go_own(measured):
    """How many times as fast as Go's maps ours is, in Go's own benchmarks."""
    both = {name: go_speeds(measured, name) for name in ("go-classic", "go-hashtriemap")}
    names = sorted({name for speeds in both.values() for name, _ in speeds},
                   reverse=True)
    if not names:
        return None
    figure, grid = plt.subplots(1, 2, figsize=(8, 1 + 0.3 * len(names)), sharey=True)
    for axes, threads in zip(grid, (1, 2)):
        axes.set_title(plural(threads))
        for shift, (contender, speeds) in zip((0.2, -0.2), both.items()):
            found = [(y, speeds[name, threads]) for y, name in enumerate(names)
                     if (name, threads) in speeds]
            for y, speed in found:
                low, high = speed.median - speed.low, speed.high - speed.median
                # To the right of 1 is faster, to the left slower.
                axes.barh(y + shift, speed.median - 1, 0.38, 1, xerr=[[low], [high]],
                          color=COLOURS[contender], error_kw={"linewidth": 0.7},
                          label=f"than {contender}")
        axes.axvline(1, color="black", linewidth=1)
        logarithmic(axes.xaxis)
        axes.set_xlabel("syncmap is so many times as fast")
    grid[0].set_yticks(range(len(names)), names)
    legend_below(figure, grid)
    return figure


def memory(measured):
    figure, grid = plt.subplots(3, 1, figsize=(8, 8))
    drawn = False
    for axes, workload in zip(grid, ("memory", "memory-tenth", "memory-cleared")):
        def used(size, name):
            return plain(measured.summary(
                Cell(place_of(name, "up"), name, workload, sizes[size]), "bytes"))

        sizes = {size_name(size): size for size in SIZES
                 if measured.any("contender", workload=workload, size=size)}
        axes.set_title(MEMORY[workload])
        axes.set_ylabel("bytes")
        drawn |= bars(axes, list(sizes), KERNEL + HOST, used)
    legend_below(figure, grid)
    return figure if drawn else None


def system_calls(measured):
    workloads = measured.any("workload", where="syscall")
    sizes = measured.any("size", where="syscall")
    if not workloads:
        return None
    figure, grid = plt.subplots(len(sizes), 1, figsize=(8, 3 * len(sizes)),
                                squeeze=False)
    for axes, size in zip(grid.flat, sizes):
        axes.set_title(f"{size_name(size)} keys")
        axes.set_ylabel("million operations a second")
        bars(axes, workloads, SYSCALL, lambda workload, name: throughput(
            measured.summary(Cell("syscall", name, workload, size), "ns")))
        axes.tick_params(axis="x", rotation=15)
    legend_below(figure, grid.flat)
    return figure


PLOTS = {"lookups": lookups, "updates": updates, "mixes": mixes, "latency": latency,
         "growth": growth, "go": go_own, "memory": memory, "syscalls": system_calls}


def draw_all(measured, folder):
    """Draws what can be drawn; the names of the files."""
    drawn = {}
    for name, draw in PLOTS.items():
        file = folder / f"{name}.svg"
        figure = draw(measured)
        if figure:
            figure.savefig(file, metadata={"Date": None, "Creator": None})
            drawn[name] = file.name
        else:
            file.unlink(missing_ok=True)  # of an earlier run
        plt.close("all")
    return drawn

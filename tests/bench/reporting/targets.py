# SPDX-License-Identifier: GPL-2.0
"""What the map is meant to reach, and whether it does."""

from dataclasses import dataclass, field

from .data import Cell, Summary

SIZES = (1024, 65536, 1048576)
SMALL, LARGE = 65536, 1048576
GO_WORKLOADS = 24


@dataclass
class Case:
    """One figure that a target is about."""

    label: str
    value: Summary


@dataclass
class Target:
    """A bound for some figures; without one they are only shown."""

    title: str
    bound: float | None
    at_least: bool = True
    strict: bool = False
    unit: str = "x"
    cases: list = field(default_factory=list)

    def add(self, label, value):
        if value is not None:
            self.cases.append(Case(label, value))
        return self

    def reached_by(self, case):
        value = case.value.median
        if self.bound is None:
            return True
        if self.strict:
            return value > self.bound if self.at_least else value < self.bound
        return value >= self.bound if self.at_least else value <= self.bound

    @property
    def wanted(self):
        if self.bound is None:
            return "-"
        sign = (">" if self.at_least else "<") + ("" if self.strict else "=")
        return f"{sign} {self.bound:g}{self.unit}"

    @property
    def worst(self):
        """The case that is farthest on the wrong side."""
        if not self.cases:
            return None
        choose = min if self.at_least else max
        return choose(self.cases, key=lambda case: case.value.median)

    @property
    def verdict(self):
        if not self.cases:
            return "not run"
        if self.bound is None:
            return "shown"
        reached = sum(map(self.reached_by, self.cases))
        if reached == len(self.cases):
            return "pass"
        return f"MISS {len(self.cases) - reached} of {len(self.cases)}"


def size_name(size):
    if size >= 1 << 20 and size % (1 << 20) == 0:
        return f"{size >> 20} M"
    if size >= 1 << 10 and size % (1 << 10) == 0:
        return f"{size >> 10} K"
    return str(size)


def plural(threads):
    return f"{threads} thread" + ("s" if threads != 1 else "")


# Of the C API: instructions as a multiple of rhashtable's, at most.
WANTED = {"lookup-hit": 1.0, "lookup-miss": 1.0, "fill": 1.0, "turnover": 1.0,
          "churn": 1.0, "delete": 0.75, "walk": 1.5}


def instructions(measured):
    reached = []
    for workload, bound in WANTED.items():
        target = Target(f"{workload}: instructions (rhashtable 1)", bound,
                        at_least=False)
        for size in measured.any("size", where="stock", workload=workload):
            for key in measured.any("key", where="stock", workload=workload, size=size):
                ours = Cell("stock", "syncmap-c", workload, size, key)
                target.add(f"{size_name(size)} keys of {key} bytes", measured.ratio(
                    ours, ours._replace(contender="rhashtable"), "instructions"))
        reached.append(target)
    overwrite = Target("overwrite: instructions", 200, at_least=False, unit="")
    for size in measured.any("size", where="stock", workload="overwrite", key=8):
        overwrite.add(f"{size_name(size)} keys", measured.summary(
            Cell("stock", "syncmap-c", "overwrite", size), "instructions"))
    return [*reached, overwrite]


def lookups(measured):
    beat = Target("lookup-hit against rhashtable", 1.0)
    classic = Target("lookup-hit against Go's classic map", 2.0)
    miss = Target("lookup-miss against our lookup-hit", 0.9)
    # In the same map, and for as short a time: a promotion ends it.
    dirty = Target("lookup-dirty against our lookup-read", 0.9)
    # Its two loads from as much memory, and nothing else.
    least = Target("lookup-hit against its two loads alone", 1.15, at_least=False)
    for size in SIZES:
        for threads in (1, 2):
            label = f"{size_name(size)}, {plural(threads)}"

            def cell(contender, workload="lookup-hit", where="smp"):
                return Cell(where, contender, workload, size, 8, threads)

            hit = cell("syncmap")
            beat.add(label, measured.speed(hit, cell("rhashtable")))
            classic.add(label, measured.speed(hit, cell("go-classic", where="host")))
            miss.add(label, measured.speed(cell("syncmap", "lookup-miss"), hit))
            dirty.add(label, measured.speed(cell("syncmap", "lookup-dirty"),
                                            cell("syncmap", "lookup-read")))
            if size in (SMALL, LARGE):
                least.add(label, measured.ratio(hit, cell("limit")))
    return [beat, classic, miss, dirty, least]


def updates(measured):
    against = []
    for contender, workload, bound in (
            ("syncmap", "overwrite", 1.0), ("syncmap-counted", "overwrite", None),
            ("syncmap", "insert", 0.8), ("syncmap", "churn", 0.8)):
        name = workload if contender == "syncmap" else f"{workload}, counted,"
        target = Target(f"{name} against rhashtable", bound)
        for size in SIZES:
            target.add(size_name(size),
                       measured.speed(Cell("up", contender, workload, size),
                                      Cell("up", "rhashtable", workload, size)))
        against.append(target)
    return against


def scaling(measured):
    """Two threads against one, relative to what a loop without a map gains."""
    reached = []

    def ns(contender, threads, workload, size):
        return Cell("smp", contender, workload, size, 8, threads), "ns"

    for workload, bound in (("lookup-hit", 1.9), ("overwrite", 1.9), ("insert", 1.7)):
        target = Target(f"{workload}: 2 threads against 1", bound)
        for size in SIZES:
            # Throughput of two is 2 / ns, so the loop's 2s cancel out.
            target.add(size_name(size), measured.combined(
                lambda one, two, loop_one, loop_two:
                    2 * (one / two) / (loop_one / loop_two),
                ns("syncmap", 1, workload, size), ns("syncmap", 2, workload, size),
                ns("loop", 1, "lookup-hit", size), ns("loop", 2, "lookup-hit", size)))
        reached.append(target)
    churn = Target("churn: gain of 2 threads to rhashtable's", 1.0)
    for size in SIZES:
        churn.add(size_name(size), measured.combined(
            lambda one, two, their_one, their_two: (one / two) / (their_one / their_two),
            *(ns(contender, threads, "churn", size)
              for contender in ("syncmap", "rhashtable") for threads in (1, 2))))
    return [*reached, churn]


def growth(measured):
    reached = []

    def cell(workload, size):
        return Cell("up", "syncmap", workload, size)

    for workload in ("fill-worst", "start-dirty-worst"):
        reached.append(
            Target(f"{workload}: 1 M keys against 64 K", 4, at_least=False, strict=True)
            .add("max", measured.ratio(cell(workload, LARGE), cell(workload, SMALL),
                                       "max")))
    reached.append(
        Target("copy-all against start-dirty-worst", 100)
        .add(size_name(LARGE),
             measured.ratio(cell("copy-all", LARGE), cell("start-dirty-worst", LARGE),
                            "ns", "max")))
    return reached


def go_speeds(measured, contender):
    """(name, threads): how many times as fast as that map of Go's ours is.

    Ours is the one of pointers, or where that lacks an operation the counted one.
    """
    speeds = {}
    for where, threads in (("up", 1), ("smp", 2)):
        for workload in measured.any("workload", where=where,
                                     contender=["syncmap", "syncmap-counted"]):
            if not workload.startswith("go/"):
                continue
            ours = "syncmap"
            if not measured.any("workload", where=where, contender=ours,
                                workload=workload):
                ours = "syncmap-counted"
            speed = measured.speed(Cell(where, ours, workload, 0, 8, threads),
                                   Cell("host", contender, workload, 0, 8, threads))
            if speed:
                speeds[workload.removeprefix("go/"), threads] = speed
    return speeds


def go_workloads(measured):
    classic = Target("Go's workloads against its classic map", 1.0, strict=True)
    for (name, threads), speed in go_speeds(measured, "go-classic").items():
        classic.add(f"{name}, {plural(threads)}", speed)
    tree = Target("Go's workloads against its HashTrieMap", 0.9)
    slower = Target("Go's workloads slower than HashTrieMap", 3, at_least=False,
                    unit="")
    speeds = go_speeds(measured, "go-hashtriemap")
    for (name, threads), speed in speeds.items():
        tree.add(f"{name}, {plural(threads)}", speed)
    for threads in (1, 2):
        medians = [speed.median for (_, count), speed in speeds.items()
                   if count == threads]
        if medians:
            slower.add(f"of {len(medians)}, {plural(threads)}",
                       Summary.of([sum(median < 1 for median in medians)]))
    run = Target("Go's workloads run by one thread", GO_WORKLOADS, unit="")
    count = sum(threads == 1 for _, threads in speeds)
    if count:
        run.add("against both maps", Summary.of([count]))
    return [classic, tree, slower, run]


def memory(measured):
    against = Target("bytes per entry against rhashtable", 1.5, at_least=False)
    tenth = Target("bytes per entry, 90 % deleted, to full", 1.1, at_least=False)
    cleared = Target("bytes left after Clear, to full", 0.1, at_least=False)
    for size in measured.any("size", where="up", contender="syncmap",
                             workload="memory", key=8):
        def cell(workload="memory", contender="syncmap"):
            return Cell("up", contender, workload, size)

        label = size_name(size)
        against.add(label, measured.ratio(cell(), cell(contender="rhashtable"), "bytes"))
        # Of keys deleted at random, no map's allocator gives its pages back.
        tenth.add(label, measured.ratio(cell("memory-tenth-objects"),
                                        cell("memory-objects"), "bytes"))
        # Nothing at all may be left, which is a fine result.
        left = measured.summary(cell("memory-cleared-objects"), "bytes")
        full = measured.summary(cell("memory-objects"), "bytes")
        if left and full and full.median > 0:
            cleared.add(label, Summary.of([left.median / full.median]))
    return [against, tenth, cleared]


def system_calls(measured):
    against = Target("system calls against bpf-hash", 1.0)
    for workload in measured.any("workload", where="syscall", contender="syncmap"):
        for size in measured.any("size", where="syscall", workload=workload):
            for threads in measured.any("threads", where="syscall", workload=workload):
                def cell(contender):
                    return Cell("syscall", contender, workload, size, 8, threads)

                label = f"{workload}, {size_name(size)}"
                if threads > 1:
                    label += f", {plural(threads)}"
                against.add(label, measured.speed(cell("syncmap"), cell("bpf-hash")))
    return [against]


def all_targets(measured):
    groups = (instructions, lookups, updates, scaling, growth, go_workloads, memory,
              system_calls)
    return [target for group in groups for target in group(measured)]

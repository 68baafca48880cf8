# SPDX-License-Identifier: GPL-2.0
"""What the map is slower at, or larger, than each kind of peer: from the results."""

import textwrap
from dataclasses import dataclass

from .data import Cell
from .tables import HOST, LOOKUPS, SYSCALL, number, table
from .targets import plural, size_name

# Less than this is not worth a line, and no kind has more lines than these.
LEAST, MOST = 1.1, 5

TREES = ("xarray", "hashtable", "rbtree")
# Title, the peers, places, the figure, and what more of it means.
KINDS = (
    ("rhashtable", ("rhashtable",), ("stock",), "instructions"),
    ("rhashtable", ("rhashtable",), ("smp", "up"), "ns"),
    ("XArray, hashtable.h and the red-black tree", TREES, ("stock",), "instructions"),
    ("XArray, hashtable.h and the red-black tree", TREES, ("smp", "up"), "ns"),
    ("BPF's hash maps", SYSCALL[1:], ("stock-syscall",), "instructions"),
    ("BPF's hash maps", SYSCALL[1:], ("syscall",), "ns"),
    ("Go's two maps", HOST[:2], ("host",), "ns"),
    ("papaya, dashmap and scc", HOST[2:], ("host",), "ns"),
    ("All of them", ("rhashtable", *TREES, *HOST), ("up", "host"), "bytes"),
)
MEANT = {"instructions": "executed instructions", "ns": "time",
         "bytes": "memory for an entry"}


@dataclass
class Loss:
    """How many times the figure of a peer ours is."""

    subject: str  # the workload; of memory, the peer
    detail: str
    times: float
    aside: bool  # one of Go's workloads, and not against Go

    def __str__(self):
        detail = f" ({self.detail})" if self.detail else ""
        return f"`{self.subject}` {number(self.times)} times{detail}"


def place_of(cell):
    """Where ours is measured that is compared with CELL: see the page about `up`."""
    if cell.where not in ("host", "smp", "up"):
        return cell.where
    return "smp" if cell.workload in LOOKUPS or cell.threads > 1 else "up"


def ours(measured, cell):
    """Ours that does the same: of the C API on the stock kernel, if there is one."""
    first = "syncmap-c" if cell.where == "stock" else "syncmap"
    for name in (first, "syncmap", "syncmap-counted"):
        same = cell._replace(where=place_of(cell), contender=name)
        if same in measured.cells:
            return same
    return None


def loss_of(cell, times, peers, figure):
    detail = [cell.contender] if len(peers) > 1 and figure != "bytes" else []
    if cell.size:
        detail.append(f"{size_name(cell.size)} keys"
                      + (f" of {cell.key} bytes" if cell.key != 8 else ""))
    if cell.threads > 1:
        detail.append(plural(cell.threads))
    workload = cell.workload.removeprefix("go/").removeprefix("sys-")
    return Loss(cell.contender if figure == "bytes" else workload, ", ".join(detail), times,
                cell.workload.startswith("go/") and cell.where != "host")


def losses(measured, peers, places, figure):
    """The worst of each workload, or peer; None if there is nothing to compare."""
    worst, compared = {}, False
    for cell in sorted(measured.cells):
        if cell.contender not in peers or cell.where not in places:
            continue
        # How long Go's way of making dirty takes is no operation.
        if cell.workload == "copy-all":
            continue
        # With two processors, a single thread's updates leave work to the other one.
        if cell.where in ("smp", "up") and cell.where != place_of(cell):
            continue
        # What is left of the memory is no figure of its own.
        if figure == "bytes" and cell.workload != "memory":
            continue
        own = ours(measured, cell)
        if own is None:
            continue
        ratio = measured.ratio(own, cell, figure)
        if ratio is None:
            continue
        compared = True
        found = loss_of(cell, ratio.median, peers, figure)
        if found.times >= worst.get(found.subject, found).times:
            worst[found.subject] = found
    if not compared:
        return None
    return sorted((loss for loss in worst.values() if loss.times >= LEAST),
                  key=lambda loss: (loss.aside, -loss.times))


def by_kind(measured):
    """Kinds of peer that were measured, in words, and what they are better at."""
    for title, peers, places, figure in KINDS:
        found = losses(measured, peers, places, figure)
        if found is not None:
            yield f"{title}, {MEANT[figure]}", found


def sentences(measured):
    """A line of Markdown for each kind of peer: the worst."""
    for title, found in by_kind(measured):
        told = [str(loss) for loss in found[:MOST]]
        if len(found) > MOST:
            told.append(f"and {len(found) - MOST} more")
        yield textwrap.fill(f"* **{title}**: {'; '.join(told) or 'nothing'}.", 80,
                            subsequent_indent="  ", break_on_hyphens=False)


def tables(measured):
    """All of it."""
    for title, found in by_kind(measured):
        if found:
            yield f"Against {title}: how many times ours is", table(
                ["what", "where", "times"],
                [[loss.subject, loss.detail, number(loss.times)] for loss in found])

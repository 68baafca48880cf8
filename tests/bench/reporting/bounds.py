# SPDX-License-Identifier: GPL-2.0
"""Bounds that the executed instructions must keep to: one test each, in TAP.

A line of the file has a place, an operation, a number of keys, bytes of a key, the
one that is measured, the one that it is compared with, and at most how many times
the instructions of the latter it may take; with a dash for the latter, at most how
many instructions.
"""

from .data import BadResults, Cell


def parse(text):
    """Pairs of cells, the second of which may be None, and bounds."""
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.partition("#")[0].split()
        if not fields:
            continue
        try:
            where, workload, size, key, one, other, most = fields
            cell = Cell(where, one, workload, int(size), int(key))
            peer = None if other == "-" else cell._replace(contender=other)
            yield cell, peer, float(most)
        except ValueError as error:
            raise BadResults(f"line {number} of the bounds is not understood: "
                             f"{line!r}.") from error


def check(measured, text):
    """Prints the tests; whether all bounds are kept to."""
    bounds = list(parse(text))
    print(f"TAP version 13\n1..{len(bounds)}")
    kept = True
    for number, (cell, peer, most) in enumerate(bounds, 1):
        name = f"{cell.contender}: {cell.workload}, {cell.size} keys of {cell.key} bytes"
        found = (measured.ratio(cell, peer, "instructions") if peer
                 else measured.summary(cell, "instructions"))
        good = found is not None and found.median <= most
        kept = kept and good
        of = f" of {peer.contender}" if peer else ""
        reached = f"{found.median:.4g}" if found else "not measured"
        print(f"{'ok' if good else 'not ok'} {number} - {name} "
              f"# {reached}{of}, at most {most:g}")
    return kept

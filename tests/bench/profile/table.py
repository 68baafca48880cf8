#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tables of a profile: instructions for an operation, by function."""

import argparse
import bisect
import json
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SHOWN = 16
# By what takes them; the segment's, where the map's is not held already.
LOCKS = {
    "syncmap_helper_raw_spin_lock": "map's lock",
    "syncmap_helper_raw_spin_trylock": "map's lock",
    "syncmap_helper_segment_lock": "segment's lock",
}


def results(console):
    """What was measured, each with the number of its last pass."""
    for line in console.splitlines():
        if match := re.search(r"bench: (\{.*\})", line):
            yield json.loads(match.group(1))


class Symbols:
    """Of /proc/kallsyms, in the guest's words."""

    def __init__(self, output):
        found = {}
        for line in output.splitlines():
            if match := re.match(r"([0-9a-f]{16}) \w (\S+)(?:\s+\[(\w+)\])?\s*$", line):
                address, name, module = match.groups()
                found[int(address, 16)] = f"{name} [{module}]" if module else name
        self.starts = sorted(found)
        self.names = [found[start] for start in self.starts]

    def of(self, address):
        place = bisect.bisect_right(self.starts, address) - 1
        return self.names[place] if place >= 0 else "?"


@dataclass
class Holds:
    """How often a lock was taken, and how many instructions it was held for."""

    times: int = 0
    total: int = 0
    longest: int = 0


class Pass:
    """What was executed in a pass, by function, and the locks of the map until its end."""

    def __init__(self):
        self.functions = Counter()
        self.locks = {}

    def add_hold(self, functions, times, total, longest):
        # Interrupts are switched off in a function of the kernel, or in the map's own.
        for function in functions:
            if lock := LOCKS.get(function.split()[0]):
                holds = self.locks.setdefault(lock, Holds())
                holds.times += times
                holds.total += total
                holds.longest = max(holds.longest, longest)
                return


def passes(text, symbols):
    """All passes, in their order."""
    found = []
    for line in text.splitlines():
        match line.split():
            case ["pass"]:
                found.append(Pass())
            case ["off", place, before, *numbers]:
                functions = [symbols.of(int(at, 16)) for at in (place, before)]
                found[-1].add_hold(functions, *map(int, numbers))
            case [address, count]:
                found[-1].functions[symbols.of(int(address, 16))] += int(count)
    return found


def readable(names):
    """Rust's names without their mangling (by binutils), modules and arguments."""
    names = list(names)
    filtered = subprocess.run(["c++filt"], input="\n".join(names), text=True,
                              capture_output=True, check=True).stdout.splitlines()

    def short(text):
        text = re.sub(r"\[[0-9a-f]{8,16}\]", "", text)
        text = re.sub(r"(>::\w+)::<.*>( \[|$)", r"\1\2", text)
        return re.sub(r"(?<!>::)\b[a-z_0-9]+::(?=[A-Za-z<])", "", text)

    return {name: short(text) for name, text in zip(names, filtered, strict=True)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("console", "output", "profile"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--width", type=int, default=80, help="columns (80)")
    options = parser.parse_args()
    symbols = Symbols(options.output.read_text(errors="replace"))
    counted = passes(options.profile.read_text(), symbols)
    for result in results(options.console.read_text(errors="replace")):
        functions = counted[result["pass"] - 1].functions
        total = sum(functions.values())
        # Of a workload that needs several passes, the last one.
        ops = total / result["instructions"]
        print(f"{result['contender']}, {result['workload']}, {result['size']} keys of "
              f"{result['key']} bytes: {total / ops:.0f} instructions")
        names = readable(functions)
        for name, count in functions.most_common(SHOWN):
            text = f"{count / ops:9.1f} {100 * count / total:5.1f} % {names[name]}"
            print(text[:options.width])
        rest = sum(count for _, count in functions.most_common()[SHOWN:])
        print(f"{rest / ops:9.1f} {100 * rest / total:5.1f} % "
              f"({max(len(functions) - SHOWN, 0)} others)")
        for lock, holds in sorted(counted[result["pass"] - 1].locks.items()):
            print(f"{holds.times:9} times the {lock}, for {holds.total / holds.times:.0f} "
                  f"instructions, at most {holds.longest}")
        print()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0
"""Results: reading and keeping them, and medians and ratios with their spread."""

import json
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

FIGURES = ("ns", "p50", "p99", "p999", "max", "bytes", "peak", "instructions", "calls")
WHERES = ("stock", "stock-syscall", "smp", "up", "host", "syscall", "code")

KEPT = "results.json"


class BadResults(Exception):
    """A sentence about what is wrong with the input."""


class Cell(NamedTuple):
    """What was measured, round by round."""

    where: str
    contender: str
    workload: str
    size: int
    key: int = 8
    threads: int = 1


@dataclass(frozen=True)
class Summary:
    """A median with its quartiles, of so many rounds."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values):
        """None if there are no values."""
        values = list(values)
        if not values:
            return None
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))


@dataclass
class Measured:
    """All results of a run."""

    # cells[cell][figure][round]
    cells: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(dict)))
    environment: dict = field(default_factory=dict)
    # Of cells that come from a file of kept results: summaries, if it has no rounds.
    kept: dict = field(default_factory=dict)

    def add(self, result):
        cell = self.cell_of(result)
        if cell in self.kept:  # it has been measured again
            del self.cells[cell], self.kept[cell]
        for name in FIGURES:
            if name in result:
                self.cells[cell][name].setdefault(result["round"], []).append(
                    result[name])

    def cell_of(self, result):
        cell = Cell(*(result[name] for name in Cell._fields))
        if cell.where not in WHERES:
            raise BadResults(f"{cell.where!r} is no place; known are {', '.join(WHERES)}.")
        if cell.workload.startswith("go/"):  # these have sizes of their own
            cell = cell._replace(size=0, key=8)
        return cell

    def add_kept(self, document):
        """Adds what `as_json` has written, now or before it kept the rounds.

        A list is a median and its quartiles: then the median counts as one round, and
        ratios are those of medians.
        """
        self.environment.update(document["environment"])
        for result in document["results"]:
            cell = self.cell_of(result)
            self.kept[cell] = {}
            for name in FIGURES:
                figure = result.get(name, {})
                if isinstance(figure, list):
                    median, low, high = figure
                    self.kept[cell][name] = Summary(median, low, high,
                                                    document["rounds"])
                    figure = {0: median}
                for number, value in figure.items():
                    self.cells[cell][name][int(number)] = [value]

    def as_json(self):
        """A document of all that was measured, one line for each cell."""
        results = []
        for cell in sorted(self.cells):
            line = cell._asdict()
            for name in FIGURES:
                old = self.kept.get(cell, {}).get(name)
                rounds = {number: rounded(value) for number, value
                          in sorted(self.values(cell, name).items())}
                if old or rounds:
                    line[name] = [old.median, old.low, old.high] if old else rounds
            results.append(json.dumps(line, separators=(",", ":")))
        return ('{"environment":%s,\n"rounds":%d,\n"results":[\n%s\n]}\n' % (
            json.dumps(self.environment), self.rounds(), ",\n".join(results)))

    def values(self, cell, figure):
        """The figure of each round; several of one round are averaged."""
        rounds = self.cells[cell][figure] if cell in self.cells else {}
        return {number: statistics.fmean(each) for number, each in rounds.items()}

    def summary(self, cell, figure):
        return (self.kept.get(cell, {}).get(figure)
                or Summary.of(self.values(cell, figure).values()))

    def combined(self, function, *figures):
        """Summary of a function of figures of the same round.

        Each figure is a pair of a cell and a name; a round counts if it has
        them all.
        """
        values = [self.values(*figure) for figure in figures]
        rounds = set.intersection(*(set(each) for each in values))
        of_rounds = (tuple(each[number] for each in values)
                     for number in sorted(rounds))
        return Summary.of(function(*of_round) for of_round in of_rounds
                          if all(value > 0 for value in of_round))

    def ratio(self, one, other, figure="ns", other_figure=None):
        """How many times the other's figure one's is."""
        return self.combined(lambda a, b: a / b, (one, figure),
                             (other, other_figure or figure))

    def speed(self, one, other):
        """How many times as fast as the other one is."""
        return self.ratio(other, one)

    def any(self, name, **wanted):
        """The different values of a field of cells that are as wanted."""
        return sorted({getattr(cell, name) for cell in self.cells
                       if all(getattr(cell, field) in
                              (value if isinstance(value, (list, tuple)) else [value])
                              for field, value in wanted.items())})

    def all(self, name, known, **wanted):
        """KNOWN, and then all others that were measured; not the loop without a map."""
        others = set(self.any(name, **wanted)) - {*known, "loop"}
        return [*known, *sorted(others)]

    def rounds(self):
        return max([old.rounds for figures in self.kept.values()
                    for old in figures.values()] +
                   [len(rounds) for figures in self.cells.values()
                    for rounds in figures.values()], default=0)


def rounded(value):
    """Enough digits for everybody, and files that can be compared."""
    return float(f"{value:.6g}")


def load(paths):
    """Reads kept results, and files of JSON lines; consoles of guests are welcome too.

    What was measured again replaces what was kept: name the kept results first.
    """
    measured = Measured()
    for path in paths:
        try:
            whole = path.read_text(errors="replace")
        except OSError as error:
            raise BadResults(f"{path} cannot be read: {error.strerror}.") from error
        if path.name == KEPT:
            try:
                measured.add_kept(json.loads(whole))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise BadResults(f"{path} is no file of kept results "
                                 f"({error!r}).") from error
            continue
        for number, text in enumerate(whole.splitlines(), 1):
            text = text.strip().removeprefix("bench: ")
            if not text.startswith("{"):
                continue
            try:
                result = json.loads(text)
                if "environment" in result:
                    measured.environment.update(result["environment"])
                else:
                    measured.add(result)
            except (ValueError, KeyError, TypeError) as error:
                raise BadResults(f"line {number} of {path} is no result ({error!r}). "
                                 "Was the run interrupted?") from error
    if not measured.cells:
        raise BadResults("there is not one result; run the bench first.")
    return measured

# SPDX-License-Identifier: GPL-2.0
"""Tests of the report, with made-up results whose verdicts are known."""

import importlib.util
import json
import tempfile
import unittest
from pathlib import Path

from . import data, page, slower, tables, targets
from .data import Cell, Measured, Summary

ROUNDS = range(1, 8)
# Nobody reads a longer page.
LINES = 300
DOCS = Path(__file__).resolve().parents[3] / "docs"


def result(where, contender, workload, size=65536, threads=1, number=1, **figures):
    return {"where": where, "contender": contender, "workload": workload, "size": size,
            "key": 8, "threads": threads, "round": number} | figures


def whole_page(measured, notes=""):
    return page.markdown(measured, {}, notes)["benchmarks.md"]


def go_name(number):
    """As long as the longest that there is."""
    return f"go/CompareAndDeleteMostlyMiss{number:02}"


def good_results():
    """A run in which every target is reached."""
    def rounds(*names, **figures):
        for number in ROUNDS:
            # The machine gets slower with every round: ratios stay the same.
            slower = 1 + number / 10
            yield result(*names[:3], *names[3:], number=number, **{
                name: value if name in ("bytes", "peak") else value * slower
                for name, value in figures.items()})

    for size in targets.SIZES:
        for threads in (1, 2):
            for workload, ns in (("lookup-hit", 20), ("lookup-miss", 21),
                                 ("lookup-dirty", 22), ("lookup-read", 21)):
                yield from rounds("smp", "syncmap", workload, size, threads, ns=ns,
                                  p50=30, p99=50, p999=90, max=1000)
            yield from rounds("smp", "rhashtable", "lookup-hit", size, threads, ns=25)
            yield from rounds("host", "go-classic", "lookup-hit", size, threads, ns=50)
            for workload in ("overwrite", "insert", "churn"):
                yield from rounds("smp", "syncmap", workload, size, threads, ns=30)
            yield from rounds("smp", "rhashtable", "churn", size, threads, ns=35)
            yield from rounds("smp", "loop", "lookup-hit", size, threads, ns=1)
            yield from rounds("smp", "limit", "lookup-hit", size, threads, ns=18)
        for workload in ("overwrite", "insert", "churn", "read-heavy-zipf"):
            yield from rounds("up", "syncmap", workload, size, ns=40)
            yield from rounds("up", "syncmap-counted", workload, size, ns=80)
            yield from rounds("up", "rhashtable", workload, size, ns=45)
        yield from rounds("up", "syncmap", "fill-worst", size, max=5000)
        yield from rounds("up", "syncmap", "start-dirty-worst", size, p50=10, max=2000)
        yield from rounds("up", "syncmap", "copy-all", size, ns=size * 50)
        yield from rounds("up", "syncmap", "memory", size, bytes=60, peak=70)
        yield from rounds("up", "syncmap", "memory-objects", size, bytes=60)
        yield from rounds("up", "syncmap", "memory-tenth-objects", size, bytes=62)
        yield from rounds("up", "syncmap", "memory-cleared-objects", size, bytes=0)
        yield from rounds("up", "rhashtable", "memory", size, bytes=50)
    for workload in (*targets.WANTED, "overwrite"):
        for contender, instructions in (("syncmap-c", 70), ("rhashtable", 100)):
            yield result("stock", contender, workload, instructions=instructions)
    for i in range(targets.GO_WORKLOADS):
        name = go_name(i)
        yield from rounds("up", "syncmap", name, ns=10)
        yield from rounds("smp", "syncmap", name, 0, 2, ns=10)
        for threads in (1, 2):
            yield from rounds("host", "go-classic", name, 0, threads, ns=30)
            # Three are a little slower than the tree, which is allowed.
            yield from rounds("host", "go-hashtriemap", name, 0, threads,
                              ns=9.5 if i < 3 else 12)
    for workload in ("sys-lookup", "sys-update-batch-256"):
        yield from rounds("syscall", "syncmap", workload, ns=100)
        yield from rounds("syscall", "bpf-hash", workload, ns=110)


def measured_of(results):
    measured = Measured()
    for each in results:
        measured.add(each)
    return measured


def changed(where, contender, workload, **factors):
    """The good run, with some figures of one contender multiplied."""
    for each in good_results():
        if (each["where"], each["contender"], each["workload"]) == (
                where, contender, workload):
            each |= {name: each[name] * factor for name, factor in factors.items()}
        yield each


def verdicts(results):
    return {target.title: target.verdict
            for target in targets.all_targets(measured_of(results))}


class Data(unittest.TestCase):
    def test_quartiles(self):
        summary = Summary.of([5, 1, 4, 2, 3])
        self.assertEqual((2, 3, 4), (summary.low, summary.median, summary.high))
        self.assertIsNone(Summary.of([]))

    def test_ratios_are_those_of_rounds(self):
        measured = Measured()
        for number, (ours, theirs) in enumerate([(1, 2), (10, 30), (100, 100)]):
            measured.add(result("up", "a", "w", number=number, ns=ours))
            measured.add(result("up", "b", "w", number=number, ns=theirs))
        speed = measured.speed(Cell("up", "a", "w", 65536), Cell("up", "b", "w", 65536))
        self.assertEqual(2, speed.median)  # and 30 / 10 of the medians
        self.assertEqual(3, speed.rounds)

    def test_only_common_rounds_count(self):
        measured = Measured()
        measured.add(result("up", "a", "w", number=1, ns=1))
        measured.add(result("up", "b", "w", number=2, ns=1))
        self.assertIsNone(measured.speed(Cell("up", "a", "w", 65536),
                                         Cell("up", "b", "w", 65536)))

    def test_reading(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "console")
            good = json.dumps(result("up", "a", "w", ns=3))
            file.write_text(f'noise\nbench: {good}\n{{"environment":{{"A":"b"}}}}\n')
            measured = data.load([file])
            self.assertEqual({"A": "b"}, measured.environment)
            self.assertEqual(3, measured.summary(Cell("up", "a", "w", 65536),
                                                 "ns").median)
            for bad in ("", good[:-5], good.replace('"up"', '"moon"'),
                        good.replace('"size"', '"weight"')):
                file.write_text(bad)
                with self.assertRaises(data.BadResults):
                    data.load([file])


class Kept(unittest.TestCase):
    """Results that are kept, and the page that is made of them."""

    CELL = Cell("up", "a", "w", 65536)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name, data.KEPT)
        self.new = Path(folder.name, "new")

    def load(self, text, *more):
        self.file.write_text(text)
        self.new.write_text("\n".join(map(json.dumps, more)))
        return data.load([self.file, self.new])

    def test_nothing_is_lost(self):
        measured = measured_of(good_results())
        measured.environment["A"] = "b"
        again = self.load(measured.as_json())
        self.assertEqual(measured.rounds(), again.rounds())
        self.assertEqual(measured.as_json(), again.as_json())
        self.assertEqual(page.markdown(measured, {}, ""), page.markdown(again, {}, ""))

    def test_one_without_rounds(self):
        text = json.dumps({"environment": {}, "rounds": 7, "results": [
            result("up", "a", "w", ns=[3, 2, 5]), result("up", "b", "w", ns=[6, 5, 7])]})
        measured = self.load(text)
        self.assertEqual(Summary(3, 2, 5, 7), measured.summary(self.CELL, "ns"))
        self.assertEqual(Summary(2, 2, 2, 1), measured.speed(
            self.CELL, self.CELL._replace(contender="b")))
        self.assertEqual(7, measured.rounds())
        self.assertEqual(measured.as_json(), self.load(measured.as_json()).as_json())

    def test_what_is_measured_again_replaces(self):
        before = [result("up", name, "w", ns=1, number=number) for name in "ab"
                  for number in ROUNDS]
        measured = self.load(measured_of(before).as_json(), result("up", "a", "w", ns=9))
        self.assertEqual(9, measured.summary(self.CELL, "ns").median)
        self.assertEqual(1, measured.summary(self.CELL._replace(contender="b"),
                                             "ns").median)

    def test_nonsense(self):
        for text in ("", "[]", "{}", '{"environment":{},"rounds":1,"results":[{}]}'):
            with self.assertRaises(data.BadResults):
                self.load(text)

    def test_the_page_of_this_tree(self):
        measured = data.load([DOCS / "benchmarks" / data.KEPT])
        notes = (DOCS / "benchmarks" / "notes.md").read_text()
        self.assertLess(whole_page(measured, notes).count("\n"), LINES)


class Slower(unittest.TestCase):
    def test_nothing(self):
        text = "\n".join(slower.sentences(measured_of(
            result(where, "syncmap", "lookup-hit", ns=1) | {"contender": contender}
            for where, contender in (("smp", "syncmap"), ("smp", "rhashtable")))))
        self.assertEqual("* **rhashtable, time**: nothing.", text)

    def test_the_worst_of_each(self):
        results = [result("up", name, workload, size, ns=ns)
                   for name, workload, size, ns in (
                       ("syncmap", "churn", 1024, 30), ("rhashtable", "churn", 1024, 10),
                       ("syncmap", "churn", 65536, 20), ("rhashtable", "churn", 65536, 10),
                       ("syncmap", "insert", 1024, 10), ("rhashtable", "insert", 1024, 20),
                       ("xarray", "churn", 65536, 5))]
        # By one thread that leaves work to another processor: that does not count.
        results += [result("smp", name, "insert", ns=ns)
                    for name, ns in (("syncmap", 9), ("rhashtable", 1))]
        text = "\n".join(slower.sentences(measured_of(results)))
        self.assertIn("* **rhashtable, time**: `churn` 3.00 times (1 K keys).", text)
        self.assertIn("`churn` 4.00 times\n  (xarray, 64 K keys).", text)

    def test_the_c_api_counts(self):
        results = [result("stock", name, "walk", instructions=count)
                   for name, count in (("syncmap", 1), ("syncmap-c", 4),
                                       ("rhashtable", 2))]
        self.assertIn("instructions**: `walk` 2.00 times",
                      "\n".join(slower.sentences(measured_of(results))))


class Targets(unittest.TestCase):
    def test_all_reached(self):
        for title, verdict in verdicts(good_results()).items():
            self.assertEqual("shown" if "counted" in title else "pass", verdict, title)

    def test_nothing_run(self):
        lone = [result("host", "papaya", "lookup-hit", ns=1)]
        self.assertEqual({"not run"}, set(verdicts(lone).values()))

    def test_each_can_be_missed(self):
        for title, change in {
            "lookup-hit against rhashtable":
                changed("smp", "rhashtable", "lookup-hit", ns=0.7),
            "lookup-hit against Go's classic map":
                changed("host", "go-classic", "lookup-hit", ns=0.7),
            "lookup-miss against our lookup-hit":
                changed("smp", "syncmap", "lookup-miss", ns=1.2),
            "lookup-dirty against our lookup-read":
                changed("smp", "syncmap", "lookup-dirty", ns=1.2),
            "lookup-hit against its two loads alone":
                changed("smp", "limit", "lookup-hit", ns=0.9),
            "overwrite against rhashtable": changed("up", "syncmap", "overwrite", ns=1.2),
            "insert against rhashtable": changed("up", "syncmap", "insert", ns=1.5),
            "churn against rhashtable": changed("up", "syncmap", "churn", ns=1.5),
            "copy-all against start-dirty-worst":
                changed("up", "syncmap", "copy-all", ns=0.001),
            "bytes per entry against rhashtable":
                changed("up", "syncmap", "memory", bytes=2),
            "bytes per entry, 90 % deleted, to full":
                changed("up", "syncmap", "memory-tenth-objects", bytes=2),
            "delete: instructions (rhashtable 1)":
                changed("stock", "syncmap-c", "delete", instructions=1.2),
            "overwrite: instructions":
                changed("stock", "syncmap-c", "overwrite", instructions=3),
            "system calls against bpf-hash":
                changed("syscall", "syncmap", "sys-lookup", ns=2),
        }.items():
            with self.subTest(title):
                self.assertIn("MISS", verdicts(change)[title])

    def test_growth_can_be_missed(self):
        for workload in ("fill-worst", "start-dirty-worst"):
            results = list(good_results())
            for each in results:
                if each["workload"] == workload and each["size"] == targets.LARGE:
                    each["max"] *= 4
            self.assertIn("MISS", verdicts(results)[
                f"{workload}: 1 M keys against 64 K"])

    def test_scaling_is_relative(self):
        def slow(title, contenders):
            results = list(good_results())
            for each in results:
                if (each["contender"] in contenders and each["threads"] == 2
                        and each["where"] == "smp"):
                    each["ns"] *= 1.5
            return verdicts(results)[title]

        for title, standard in (("lookup-hit: 2 threads against 1", "loop"),
                                ("overwrite: 2 threads against 1", "loop"),
                                ("insert: 2 threads against 1", "loop"),
                                ("churn: gain of 2 threads to rhashtable's",
                                 "rhashtable")):
            with self.subTest(title):
                self.assertIn("MISS", slow(title, ["syncmap"]))
                self.assertEqual("pass", slow(title, ["syncmap", standard]))

    def test_memory_left_after_clear(self):
        results = list(good_results())
        for each in results:
            if each["workload"] == "memory-cleared-objects":
                each["bytes"] = 7
        self.assertIn("MISS", verdicts(results)["bytes left after Clear, to full"])

    def test_four_slower_than_the_tree(self):
        results = changed("host", "go-hashtriemap", go_name(3), ns=0.8)
        found = verdicts(results)
        self.assertIn("MISS", found["Go's workloads slower than HashTrieMap"])
        self.assertEqual("pass", found["Go's workloads against its HashTrieMap"])

    def test_one_much_slower_than_the_tree(self):
        results = changed("host", "go-hashtriemap", go_name(0), ns=0.9)
        found = verdicts(results)
        self.assertEqual("pass", found["Go's workloads slower than HashTrieMap"])
        self.assertIn("MISS", found["Go's workloads against its HashTrieMap"])

    def test_as_fast_as_the_classic_map_is_not_faster(self):
        results = changed("host", "go-classic", go_name(5), ns=1 / 3)
        self.assertIn("MISS", verdicts(results)[
            "Go's workloads against its classic map"])

    def test_not_all_of_go(self):
        results = [each for each in good_results() if each["workload"] != go_name(9)]
        self.assertIn("MISS", verdicts(results)["Go's workloads run by one thread"])


class Page(unittest.TestCase):
    def test_numbers(self):
        for value, text in ((0, "0"), (0.1234, "0.12"), (9.996, "10.0"),
                            (99.96, "100"), (9994, "9994"), (9995, "10.0k"),
                            (1234567, "1235k"), (12345678, "12.3M")):
            self.assertEqual(text, tables.number(value))

    def test_tables_are_narrow(self):
        # As it is, and with a miss in every case.
        for slower in 1, 100:
            results = list(good_results())
            for each in results:
                if each["contender"] == "syncmap" and "ns" in each:
                    each["ns"] *= slower
            measured = measured_of(results)
            measured.environment["Something"] = "long " * 40
            for text in (page.terminal(measured),
                         *page.markdown(measured, {}, "").values()):
                for line in text.splitlines():
                    self.assertLessEqual(len(line), 80, line)

    def test_it_is_short(self):
        # With a miss in every case, all contenders, and 50 lines of remarks.
        results = list(good_results())
        for name in tables.KERNEL + tables.HOST:
            where = "host" if name in tables.HOST else "up"
            results += [result(where, name, workload, ns=1) for workload in tables.MIXES]
            results.append(result(where, name, "memory", bytes=1))
        for name in tables.SYSCALL:
            results += [result("stock-syscall", name, f"sys-{i}", instructions=1)
                        for i in range(10)]
        for each in results:
            if each["contender"].startswith("syncmap"):
                each |= {name: each[name] * 100 for name in ("ns", "instructions")
                         if name in each}
        text = whole_page(measured_of(results), "remark\n" * 50)
        self.assertIn("70.0 times", text)
        self.assertLess(text.count("\n"), LINES)

    def test_all_else_is_linked(self):
        pages = page.markdown(measured_of(good_results()), {"go": "go.svg"}, "")
        self.assertEqual({"benchmarks.md", *page.NAMES}, set(pages) | {
            "benchmarks/slower.md"})  # nothing is, in this run
        for name in set(pages) - {"benchmarks.md"}:
            self.assertIn(f"({name})", pages["benchmarks.md"])
        self.assertIn("(go.svg)", pages["benchmarks/go.md"])

    def test_instructions_come_first(self):
        text = whole_page(measured_of(good_results()))
        table = text[text.index("| operation"):].splitlines()[2]
        self.assertEqual(["lookup-hit", "70.0", "100", "0.70"],
                         [cell.strip() for cell in table.strip("|").split("|")])

    def test_without_instructions(self):
        text = whole_page(measured_of(each for each in good_results()
                                      if each["where"] != "stock"))
        self.assertIn("make bench ONLY=instructions", text)

    def test_unknown_ones_are_shown(self):
        more = [result("stock", "limit", "lookup-hit", instructions=47),
                result("stock-syscall", "a-map", "sys-lookup", instructions=48),
                result("stock", "syncmap-c", "juggle", instructions=49),
                result("smp", "syncmap", "juggle", threads=2, ns=51)]
        pages = page.markdown(measured_of([*good_results(), *more]), {}, "")
        for name, words in (("benchmarks.md", ("limit", "47", "a-map", "juggle")),
                            ("benchmarks/instructions.md", ("limit", "a-map", "49")),
                            ("benchmarks/updates.md", ("juggle, 2 threads", "51.0"))):
            for word in words:
                self.assertIn(word, pages[name])

    def test_notes_are_verbatim(self):
        self.assertIn("\nSome *remark*.\n", whole_page(measured_of(good_results()),
                                                       "Some *remark*.\n"))

    def test_what_is_missing_is_said(self):
        measured = measured_of([result("host", "papaya", "lookup-hit", ns=1)])
        text = "\n".join(page.missing(measured))
        for word in ("Updates", "1 K, 1 M", "rhashtable", "dashmap", "bpf-hash"):
            self.assertIn(word, text)
        self.assertIn("papaya", whole_page(measured))

    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "no plotter here")
    def test_plots_do_not_change_by_themselves(self):
        from . import plots
        with tempfile.TemporaryDirectory() as folder:
            written = []
            for name in ("one", "two"):
                to = Path(folder, name)
                to.mkdir()
                drawn = plots.draw_all(measured_of(good_results()), to)
                self.assertEqual(set(plots.PLOTS), set(drawn))
                written.append([(to / file).read_bytes() for file in drawn.values()])
            self.assertEqual(*written)


def run():
    """0 if all is well."""
    suite = unittest.defaultTestLoader.loadTestsFromName(__name__)
    return 0 if unittest.TextTestRunner().run(suite).wasSuccessful() else 1

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes tables, plots and a page of what the bench has measured.

The input is JSON lines, one per result; lines of the form
{"environment": {NAME: VALUE}} say what was measured on.  It may begin with a file
that --docs has written, results.json: then what was not measured again is taken
from there.  Without --docs the tables go to the terminal.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is never written to
sys.path.insert(0, str(Path(__file__).resolve().parent))

from reporting import bounds, data, page, selftest, targets  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="*", type=Path, metavar="RESULTS",
                        help="files of JSON lines")
    parser.add_argument("--docs", type=Path, metavar="FOLDER",
                        help="write benchmarks.md and benchmarks/ there, and "
                        "include benchmarks/notes.md")
    parser.add_argument("--environment", action="append", default=[],
                        metavar="NAME=VALUE",
                        help="something else that the page should mention")
    parser.add_argument("--bounds", type=Path, metavar="FILE",
                        help="test, in TAP, whether instructions keep to these bounds")
    parser.add_argument("--self-test", action="store_true",
                        help="test the report itself with made-up results")
    return parser


def draw(measured, folder):
    """Draws the plots; without a plotter, those that there are stay."""
    if not importlib.util.find_spec("matplotlib"):
        print("There is no matplotlib here: the plots stay as they are.")
        return {file.stem: file.name for file in folder.glob("*.svg")}
    from reporting import plots  # the terminal needs no plotter

    return plots.draw_all(measured, folder)


def write(docs, measured):
    folder = docs / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    notes = folder / "notes.md"
    text = notes.read_text() if notes.exists() else ""
    (folder / data.KEPT).write_text(measured.as_json())
    pages = page.markdown(measured, draw(measured, folder), text)
    for name in page.NAMES:
        (docs / name).unlink(missing_ok=True)  # of an earlier run
    for name, content in pages.items():
        (docs / name).write_text(content)


def main():
    parser = arguments()
    options = parser.parse_args()
    if options.self_test:
        return selftest.run()
    if not options.results:
        parser.error("Name at least one file of results.")
    try:
        measured = data.load(options.results)
    except data.BadResults as error:
        sys.exit(f"report: {error}")
    for pair in options.environment:
        name, equals, value = pair.partition("=")
        if not equals:
            parser.error(f"{pair!r} is not NAME=VALUE.")
        measured.environment[name] = value
    if options.bounds:
        return 0 if bounds.check(measured, options.bounds.read_text()) else 1
    if options.docs:
        write(options.docs, measured)
        print(page.targets_table(targets.all_targets(measured)))
        print(f"Written: {options.docs}/benchmarks.md, {options.docs}/benchmarks/")
    else:
        print(page.terminal(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())

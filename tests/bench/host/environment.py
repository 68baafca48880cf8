#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints, as one JSON line, what the contenders run on and are made of."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

CRATES = ("papaya", "dashmap", "scc")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout.strip()


def processor():
    found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.M)
    name = found[1] if found else "unknown"
    return f"{name}, {len(os.sched_getaffinity(0))} processors"


def crates(lock):
    return {package["name"]: package["version"]
            for package in tomllib.loads(lock.read_text())["package"]
            if package["name"] in CRATES}


def main():
    lock = Path(sys.argv[1])
    environment = {
        "Processor": processor(),
        "Host kernel": os.uname().release,
        "Go": output("go", "version").removeprefix("go version "),
        "Rust of the userspace maps": output("rustc", "--version").split(" (")[0],
    }
    print(json.dumps({"environment": environment | crates(lock)}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Counts the instructions that calls of malloc and free execute, from their entry through their return with all that they
call, as callgrind sees them. The same today and tomorrow, on a busy machine and on a quiet one.

Each figure is the difference between a longer and a shorter run of calls.c, so what is done once does not count.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROWS = [("pair", 16), ("pair", 64), ("pair", 1000), ("pair", 2000), ("pair", 20000), ("pair", 50000), ("pair", 500000), ("tagged", 64), ("tagged", 2000), ("tagged", 50000),
        ("batch", 64), ("batch", 1000), ("batch", 2000), ("batch", 20000), ("batch", 50000),
        ("calloc", 64), ("calloc", 2000), ("grow", 4096), ("grow", 1000000)]
CALLS = {"pair": 1, "tagged": 1, "calloc": 1, "batch": 32, "grow": 100}  # of each function in one step
ALLOCATE = {"pair": "malloc", "tagged": "malloc", "batch": "malloc", "calloc": "calloc", "grow": "realloc"}


def counted(options, library, function, kind, size, count):
    """Instructions and branches inside `function`, in a whole run."""
    command = ["valgrind", "--tool=callgrind", "--branch-sim=yes", "--callgrind-out-file=/dev/null",
               f"--toggle-collect={function}", str(options.calls), kind, str(size), str(count)]
    environment = {**os.environ, "LD_PRELOAD": str(library or "")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    found = re.search(r"Collected : ([\d ]+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{' '.join(command)} under {library} failed:\n{done.stderr}")
    events = [int(field) for field in found[1].split()] + [0] * 5  # instructions, branches, mispredicted, indirect ones
    return events[0], events[1] + events[3]


def per_call(options, library, function, kind, size):
    short, long = 100, 300
    few = counted(options, library, function, kind, size, short)
    many = counted(options, library, function, kind, size, long)
    return [(b - a) / (long - short) / CALLS[kind] for a, b in zip(few, many)]


def main():
    parser = argparse.ArgumentParser(
        prog="bench/instructions.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Count the instructions of malloc and free, for allot, the system's malloc and others.",
        epilog="""rows: pair = malloc and free of one block; tagged = the same in a tag, where there are tags; batch = 32 mallocs, then 32 frees; calloc = as pair; grow = one step of 100
in which realloc takes a block up to the size.

examples:
  bench/instructions.py                              allot and the system
  bench/instructions.py --library /usr/lib/x86_64-linux-gnu/libjemalloc.so.2
""")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build", metavar="DIR", help="allot's build (build)")
    parser.add_argument("--library", action="append", default=[], type=pathlib.Path, metavar="PATH", help="another malloc")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.calls = (options.build / "bin/calls").resolve()
    sides = {"allot": (options.build / "lib/liballot-malloc.so").resolve(), "system": None}
    sides.update((path.name, path.resolve()) for path in options.library)
    for path in [options.calls, *filter(None, sides.values())]:
        if not path.exists():
            parser.error(f"{path} does not exist; make builds it")
    if not shutil.which("valgrind"):
        parser.error("valgrind is not installed")
    report = []
    if not options.json:
        print("| instructions of | " + " | ".join(f"{side}: allocate | free" for side in sides) + " |")
        print("|---|" + "---:|" * (2 * len(sides)), flush=True)
    for kind, size in ROWS:
        row = {"kind": kind, "size": size}
        for side, library in sides.items():
            row[side] = [per_call(options, library, function, kind, size)[0] for function in (ALLOCATE[kind], "free")]
        report.append(row)
        if not options.json:
            print(f"| {kind} {size} | " + " | ".join(f"{figure:.0f}" for side in sides for figure in row[side]) + " |", flush=True)
    if options.json:
        json.dump(report, sys.stdout, indent=2)
        print()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Measures allot beside the system's malloc and every other malloc that is to be had, and prints one page of tables.

What is measured stands in rows.py, on which mallocs in peers.py, what a run is in measuring.py, what the runs amount to in
figures.py. A run of every row on the system's malloc comes first, uncounted, for its outcome and a warm file cache. Then in
every round the rows come in an order shuffled anew, in each of them the mallocs in an order shuffled anew, and before each
run a process that brings the machine's free memory into one and the same state (measure/warm.c).
"""
import argparse
import os
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile

import measuring
import peers
import programs
from figures import FEWEST, Figures
from report import KINDS, Report
from rows import LESS, ROWS, given
from terminal import Progress

HERE = pathlib.Path(__file__).resolve().parent


def arguments():
    parser = argparse.ArgumentParser(
        prog="bench/bench.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure allot beside the system's malloc, the distribution's others, and any that PEERS names.",
        epilog="rows:\n" + "".join(f"  {row.name:16} {row.about}\n" for row in ROWS) + f"""
examples:
  bench/bench.py                                     everything, five rounds: half an hour or more
  bench/bench.py --rows churn-one,large --rounds 9   two rows, more rounds
  bench/bench.py --rows bound --peers system         one kind of rows, one peer
  bench/bench.py --rows footprint --rounds 1         what is held when little lives: runs only when it is named
  bench/bench.py --markdown > table.md
  bench/bench.py --rows bound --levels guard,harden=1 --pair allot:hardened --pair mimalloc2:mimalloc2-secure
                                                     what safety costs, here and elsewhere; the last three are of PEERS
  PEERS=mimalloc3=/opt/mimalloc/libmimalloc.so bench/bench.py
  PEERS=google=/opt/libtcmalloc.so+GLIBC_TUNABLES=glibc.pthread.rseq=0 bench/bench.py
  bench/bench.py --command cfrac='/opt/bench/cfrac 17545186520507317056371138836327483792789528' --rows given

kinds, to give in place of rows: {", ".join([*KINDS, "latency", "footprint"])}

exit status: 0 when every row ran on every malloc as on the system's, 1 when one failed or nothing ran, 2 for bad usage.
""")
    parser.add_argument("--rows", metavar="NAME,...", help="only these, or those of a kind")
    parser.add_argument("--peers", metavar="NAME,...", help="only these beside allot: system, mimalloc, ..., or one of PEERS")
    parser.add_argument("--levels", default="", metavar="OPTIONS,...",
                        help="allot once more with each of these ALLOT_OPTIONS: guard, harden=1, harden=2+guard, ...")
    parser.add_argument("--pair", action="append", default=[], metavar="BASE:MALLOC",
                        help="what this malloc costs over that one, and how much of it each level costs over allot")
    parser.add_argument("--rounds", type=int, metavar="N", help="measured runs of each row on each malloc (5)")
    parser.add_argument("--quick", action="store_true", help=f"one round of a {LESS}th of the work: whether all works, no figures")
    parser.add_argument("--command", action="append", default=[], metavar="NAME=COMMAND",
                        help="one more row; what it prints may differ from run to run")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build", metavar="DIR",
                        help="where the drop-in and the rows were built (build)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything as JSON, every run included")
    form.add_argument("--markdown", action="store_true", help="print the tables for a document")
    options = parser.parse_args()

    options.rounds = options.rounds if options.rounds is not None else 1 if options.quick else FEWEST
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    options.build = options.build.resolve()
    options.measure = options.build / "lib/libmeasure.so"
    for path in (options.build / "lib/liballot-malloc.so", options.measure, options.build / "bin/warm"):
        if not path.exists():
            parser.error(f"{path} does not exist; `make bench` builds it")
    try:
        options.mallocs = peers.all_of(options.build, os.environ.get("PEERS", ""))
        commands = [command.partition("=") for command in options.command]
        options.rows = chosen(options.rows, ROWS + [given(name, shlex.split(line)) for name, _, line in commands],
                              lambda row: {row.name, row.kind}, "row")
        options.mallocs[1:] = chosen(options.peers, options.mallocs[1:], lambda malloc: {malloc.name}, "peer")
        options.levels = list(peers.levels(options.mallocs[0], options.levels))
        options.mallocs[1:1] = options.levels
        options.pairs = [pair_of(text, {malloc.name for malloc in options.mallocs}) for text in options.pair]
    except (ValueError, programs.Absent) as why:
        parser.error(str(why))
    return options


def chosen(text, things, names_of, what):
    """Those of the things that the text, names with commas between, picks; all but those of footprint when there is none."""
    if text is None:
        return [thing for thing in things if "footprint" not in names_of(thing)]
    wanted = set(filter(None, text.split(",")))
    known = set().union(*map(names_of, things))
    if wanted - known:
        raise ValueError(f"no {what} {', '.join(sorted(wanted - known))}; there are {', '.join(sorted(known))}")
    return [thing for thing in things if wanted & names_of(thing)]


def pair_of(text, names):
    """BASE:MALLOC as (MALLOC, BASE)."""
    base, _, malloc = text.partition(":")
    if not {base, malloc} <= names:
        raise ValueError(f"--pair {text}: BASE:MALLOC is wanted, of {', '.join(sorted(names))}")
    return malloc, base


def prepare(options, folder, progress):
    """The rows that can run here, each with its Program, and a line for each that cannot."""
    ready, skipped = [], []
    for row in options.rows:
        progress.say(f"making work for {row.name}")
        (folder / row.name).mkdir()
        try:
            ready.append((row, row.prepare(folder / row.name, options.build, LESS if options.quick else 1)))
        except programs.Absent as why:
            skipped.append(f"{row.name}: {why}")
    return ready, skipped


def measure(ready, options, folder, progress):
    figures, outcomes = Figures(), {}
    dice = random.Random(0)

    def one(row, program, malloc, what):
        """A run, or None and a fault. After a fault the row is not run on that malloc again."""
        if (row.name, malloc.name) in figures.faults:
            return None
        progress.say(f"{what}: {row.name} on {malloc.name}")
        subprocess.run([options.build / "bin/warm"], check=True)
        try:
            run = measuring.run(program, malloc, options.measure, folder / row.name)
        except measuring.Failure as why:
            figures.faults[row.name, malloc.name] = str(why)
            return None
        status, wanted = run.outcome[0], outcomes.setdefault(row.name, run.outcome)[0]
        if status != 0:
            figures.faults[row.name, malloc.name] = f"exit status {status}" + ("" if wanted == status else f", not {wanted}")
        elif run.outcome != outcomes[row.name]:
            figures.faults[row.name, malloc.name] = "its output differed from the first run's"
        return run

    system = peers.Malloc("system", peers.libc())
    for row, program in ready:
        one(row, program, system, "warm-up")
    for number in range(options.rounds):
        dice.shuffle(ready)
        for row, program in ready:
            mallocs = options.mallocs[:]
            dice.shuffle(mallocs)
            for malloc in mallocs:
                run = one(row, program, malloc, f"round {number + 1} of {options.rounds}")
                if run:
                    figures.runs.setdefault((row.name, malloc.name), []).append(run)
    return figures


def main():
    options = arguments()
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="allot-bench-") as folder:
        ready, skipped = prepare(options, pathlib.Path(folder), progress)
        figures = measure(ready[:], options, pathlib.Path(folder), progress)
    progress.clear()

    report = Report(figures, [row for row, _ in ready], options.mallocs, options.levels, options.pairs)
    if options.json:
        print(report.json({"mallocs": {malloc.name: malloc.path for malloc in options.mallocs}, "rounds": options.rounds,
                           "quick": options.quick, "skipped": skipped}))
    else:
        report.print(options.markdown)
        alone = {row.name for row, _ in ready if row.alone}
        print(f"medians of rounds: {options.rounds}; CPU time is user + system; took {progress.seconds():.0f} s on"
              f" {os.cpu_count()} cores")
        if measuring.waited([run for (row, _), runs in figures.runs.items() if row in alone for run in runs]):
            print("other work ran on this machine meanwhile: trust the times less")
        print("mallocs: " + "; ".join(f"{malloc.name} = {malloc.path}" for malloc in options.mallocs))
        if skipped:
            print("skipped: " + "; ".join(skipped))
    sys.stdout.flush()
    for (row, malloc), why in sorted(figures.faults.items()):
        print(f"failed: {row} on {malloc}: {why}", file=sys.stderr)
    if not figures.runs:
        print("failed: nothing ran", file=sys.stderr)
    return 1 if figures.faults or not figures.runs else 0


if __name__ == "__main__":
    sys.exit(main())

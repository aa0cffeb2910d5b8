#!/usr/bin/env python3
"""Runs real programs on the system's malloc and on allot's, and prints what each cost; then what the command says of one of them,
recorded, and of one that loses memory.

The programs and their work are in programs.py, what a run is in measuring.py. After a warm-up run of every program the
rounds follow: each runs every program on both sides, in an order shuffled anew. The figures are medians. A program whose
output or exit status differs from one run to another, or that did not run on the malloc it was given, fails the whole.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

import measuring
import programs
from terminal import Progress, colour

HERE = pathlib.Path(__file__).resolve().parent
COSTS = [("cpu", "time s", 2), ("peak", "peak RSS MiB", 1), ("at_exit", "RSS at exit MiB", 1)]


def arguments():
    names = ", ".join(function.__name__ for function in programs.PROGRAMS)
    parser = argparse.ArgumentParser(
        prog="bench/try.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run real programs on the system's malloc and on allot's, side by side.",
        epilog=f"""programs: {names}

time is user + system; wall seconds are in --json. Ratios are to the system's malloc: below 1 is better than it.

examples:
  bench/try.py                                  everything that is installed, three rounds
  bench/try.py --rounds 7 sqlite3 cc1           two programs, more rounds
  bench/try.py --library /usr/lib/x86_64-linux-gnu/libjemalloc.so.2
  bench/try.py --markdown > table.md

exit status: 0 when all went as on the system's malloc, 1 when an output or status differed, a program did not run on
the library, or no program ran, 2 for bad usage.
""")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="run only these")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="measured runs of each program and side (3)")
    parser.add_argument("--limit", type=float, default=100, metavar="S",
                        help="begin no round that would not end within S seconds from the start (100)")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build", metavar="DIR",
                        help="where the drop-in and the measuring preload were built (build)")
    parser.add_argument("--library", dest="malloc", type=pathlib.Path, metavar="PATH", help="the malloc to compare (allot's drop-in)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print every run as JSON")
    form.add_argument("--markdown", action="store_true", help="print the table for a document")
    options = parser.parse_args()
    unknown = set(options.programs) - {function.__name__ for function in programs.PROGRAMS}
    if unknown:
        parser.error(f"no program {', '.join(sorted(unknown))}; there are {names}")
    options.malloc = options.malloc or options.build / "lib/liballot-malloc.so"
    options.measure = (options.build / "lib/libmeasure.so").resolve()
    for path in (options.malloc, options.measure):
        if not path.exists():
            parser.error(f"{path} does not exist; `make try` builds it")
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def prepare(wanted, folder, progress):
    """The programs that are here, with their folders, and a line for each that is not."""
    ready, skipped = [], []
    for function in programs.PROGRAMS:
        name = function.__name__
        if wanted and name not in wanted:
            continue
        progress.say(f"making work for {name}")
        (folder / name).mkdir()
        try:
            ready.append(function(folder / name))
        except programs.Absent as why:
            skipped.append(f"{name}: {why}")
    return ready, skipped


class Results:
    """Every measured run, the first outcome of each program, and what went wrong."""

    def __init__(self):
        self.runs = {}  # (program, side) -> [Run]
        self.outcomes = {}  # program -> outcome
        self.faults = {}  # program -> what was wrong with it first

    def add(self, name, side, run, counted):
        if run.outcome != self.outcomes.setdefault(name, run.outcome):
            status, wanted = run.outcome[0], self.outcomes[name][0]
            self.faults.setdefault(name, f"on {side} its " + (f"exit status was {status}, not {wanted}"
                                                              if status != wanted else "output differed"))
        elif run.outcome[0] != 0:
            self.faults.setdefault(name, f"exit status {run.outcome[0]} on {side}")
        if counted:
            self.runs.setdefault((name, side), []).append(run)

    def median(self, name, side, cost):
        return statistics.median(getattr(run, cost) for run in self.runs[name, side])


def measure(ready, sides, options, folder, progress):
    """Warm-up and rounds. Returns the Results and how many rounds there was time for."""
    results = Results()
    dice = random.Random(0)

    def one(program, side, counted, what):
        if program.name in results.faults:
            return
        progress.say(f"{what}: {program.name} on {side.name}")
        try:
            run = measuring.run(program, side, options.measure, folder / program.name)
        except measuring.Failure as why:
            results.faults.setdefault(program.name, str(why))
            return
        results.add(program.name, side.name, run, counted)

    for program in ready:
        one(program, sides[0], False, "warm-up")
    done = 0
    while done < options.rounds:
        began = progress.seconds()
        turns = [(program, side) for program in ready for side in sides]
        dice.shuffle(turns)
        for program, side in turns:
            one(program, side, True, f"round {done + 1} of {options.rounds}")
        done += 1
        if 2 * progress.seconds() - began > options.limit:
            break
    return results, done


def rows_of(results, ready, sides):
    """For each program that ran on both sides: its name and, for each cost, (system, other, ratio)."""
    rows = []
    for program in ready:
        if program.name in results.faults:
            continue
        pairs = [[results.median(program.name, side.name, cost) for side in sides] for cost, _, _ in COSTS]
        rows.append((program.name, [(a, b, b / a) for a, b in pairs]))
    return rows


def geometric_means(rows):
    return [statistics.geometric_mean(costs[i][2] for _, costs in rows) for i in range(len(COSTS))]


def coloured_ratio(ratio):
    text = f"{ratio:6.2f}"
    return colour(32, text) if ratio < 0.97 else colour(31, text) if ratio > 1.03 else text


def print_table(rows, faults, sides):
    names = [side.name[:6] for side in sides]
    print(colour(1, f"{'':9}" + "".join(f"{title:^21}" for _, title, _ in COSTS)).rstrip())
    print(f"{'program':9}" + f"{names[0]:>8}{names[1]:>7} ratio" * len(COSTS) + "  output")
    for name, costs in rows:
        cells = [f"{a:8.{digits}f}{b:7.{digits}f}{coloured_ratio(ratio)}"
                 for (a, b, ratio), (_, _, digits) in zip(costs, COSTS)]
        print(f"{name:9}" + "".join(cells) + "  same")
    for name in faults:
        print(f"{name:9}" + " " * 63 + colour(31, "  failed"))
    if rows:
        print(f"{'geo. mean':9}" + "".join(" " * 15 + coloured_ratio(mean) for mean in geometric_means(rows)))


def print_markdown(rows, faults, sides):
    print("| program | " + " | ".join(f"{title}, {sides[0].name} | {sides[1].name} | ratio" for _, title, _ in COSTS)
          + " | output |")
    print("|---|" + "---:|" * (3 * len(COSTS)) + "---|")
    for name, costs in rows:
        cells = [f"{a:.{digits}f} | {b:.{digits}f} | {ratio:.2f}"
                 for (a, b, ratio), (_, _, digits) in zip(costs, COSTS)]
        print(f"| {name} | " + " | ".join(cells) + " | same |")
    for name in faults:
        print(f"| {name} | " + " | " * (3 * len(COSTS)) + "failed |")
    if rows:
        print("| geometric mean | " + " | ".join(f"| | **{mean:.2f}**" for mean in geometric_means(rows)) + " | |")


def print_json(results, sides, skipped, rounds):
    runs = [{"program": name, "malloc": side, **{field: value for field, value in vars(run).items() if field != "outcome"},
             "status": run.outcome[0], "sha256": run.outcome[1]}
            for (name, side), runs in results.runs.items() for run in runs]
    print(json.dumps({"sides": {side.name: side.path for side in sides}, "rounds": rounds, "runs": runs,
                      "failed": results.faults, "skipped": skipped}, indent=1))


def first_words(text, until):
    """What a command says, up to the first line that begins so."""
    lines = text.splitlines()
    return "\n".join(lines[: next((i for i, line in enumerate(lines) if line.startswith(until)), len(lines))]).rstrip()


def look_into(ready, options, folder, progress):
    """What allot's command says of a real program, and of one that loses memory: (what was done, what was said)."""
    allot, leaky = ((options.build / name).resolve() for name in ("bin/allot", "bin/examples/sessions"))
    program = next((program for program in ready if program.name in ("sqlite3", "perl", "cc1") and not program.converse), None)
    if not program or not allot.exists() or not leaky.exists():
        return []

    def run(*command, **how):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, check=False, **how)
        return done.stdout + done.stderr if done.returncode else done.stdout

    progress.say(f"recording {program.name}")
    trace, lost = folder / f"{program.name}.allot", folder / "sessions.allot"
    with open(folder / program.name / program.stdin) as stdin:
        run(allot, "record", "-q", "-o", trace, "--", *program.command, cwd=folder / program.name,
            env=os.environ | program.env, stdin=stdin)
    run(allot, "record", "-q", "--leaks", "-o", lost, "--", leaky)
    return [(f"allot record -- {program.name} ..., allot report {trace.name}", first_words(run(allot, "report", trace), "Over time")),
            ("allot record --leaks -- examples/sessions, allot leaks sessions.allot", first_words(run(allot, "leaks", lost), "possible"))]


def main():
    options = arguments()
    other = options.malloc.name.removeprefix("lib").split(".so")[0].removesuffix("-malloc")
    sides = [measuring.Malloc("system"), measuring.Malloc(other, options.malloc)]
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="allot-try-") as folder:
        folder = pathlib.Path(folder)
        ready, skipped = prepare(options.programs, folder, progress)
        results, rounds = measure(ready, sides, options, folder, progress)
        looks = [] if options.json or options.markdown else look_into(ready, options, folder, progress)
    progress.clear()

    rows = rows_of(results, ready, sides)
    if options.json:
        print_json(results, sides, skipped, rounds)
    else:
        (print_markdown if options.markdown else print_table)(rows, results.faults, sides)
        short = f" ({options.rounds} would have passed --limit)" if rounds < options.rounds else ""
        print(f"\nmedians of rounds: {rounds}{short}; time is user + system; took {progress.seconds():.0f} s"
              f" on {os.cpu_count()} cores")
        alone = {program.name for program in ready if not program.converse}
        if measuring.waited([run for (name, _), runs in results.runs.items() if name in alone for run in runs]):
            print("other work ran on this machine meanwhile: trust the times less")
        for name, _ in rows:
            own = pathlib.Path(results.runs[name, "system"][0].malloc_from).name
            if not own.startswith("libc."):
                print(f"{name} brings its own malloc, {own}: that is its system side")
        if skipped:
            print("skipped: " + "; ".join(skipped))
        for what, said in looks:
            print(f"\n{colour(1, what)}\n{said}")
    sys.stdout.flush()
    for name, why in results.faults.items():
        print(f"failed: {name}: {why}", file=sys.stderr)
    if not rows:
        print("failed: no program ran", file=sys.stderr)
    return 1 if results.faults or not rows else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Others' programs that commit crimes against memory, on allot at every level of safety and on other mallocs.

A suite is a tree that the user has; suites.py knows its programs. They are compiled in a folder of ours, with the options of
the suite's own build files, and run with LD_PRELOAD naming each malloc. Printed is a table a suite, in Markdown. A cell is
  word         caught: it ended by a signal, and its malloc said on standard error what was wrong
  SEGV, ABRT ...  caught by this signal, without a word
  exit 1       it was refused the means for its crime, and ended so
  -            not caught
  late         ended by a signal, but after it had found itself not caught
  hung         no end within the limit
  passes, fails   where it is no crime, but a question whether the malloc behaves
  2 of 3       caught, or passes, in so many of the runs
  (empty)      calls a function that this malloc does not have
and for a program that is built for several sizes a / b / c, unless all end alike.
Exit status: 0 when all ran; 1 when something could not be compiled or preloaded, when nothing ran, or when the last level
misses what a malloc named with --least catches; 2 for bad usage.
"""

import argparse
import concurrent.futures
import fnmatch
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "foreign"), str(HERE.parents[1] / "bench")]

import peers  # noqa: E402
import side  # noqa: E402
import suites  # noqa: E402
import witness  # noqa: E402
from measuring import Malloc  # noqa: E402
from terminal import Progress  # noqa: E402

EXAMPLES = """examples:
  run.py --suite mimalloc-bench=~/mimalloc-bench --suite hardened_malloc=~/hardened_malloc
  PEERS=hardened=/opt/lib/libhardened_malloc.so run.py --suite hardened_malloc=~/hardened_malloc --least hardened
  run.py --suite mimalloc-bench=~/mimalloc-bench --only 'double_free*' --levels harden=3 --runs 10 --json -
"""


class Failure(Exception):
    """What keeps the whole from being run."""


def environment(malloc, room="/nonexistent"):
    env = {"PATH": side.SEARCH, "LC_ALL": "C.UTF-8", "HOME": room, "TMPDIR": room} | malloc.env
    return env | ({"LD_PRELOAD": malloc.path} if malloc.path else {})


class Runner:
    def __init__(self, options, folder, progress):
        self.options, self.folder, self.progress = options, Path(folder), progress

    def compile(self, program):
        compiler = self.options.cxx if program.source.suffix == ".cc" else self.options.cc
        made = self.folder / f"{program.suite}-{program.name}-{program.size}"
        # What only some mallocs have is looked for when it is called: -E keeps it a symbol.
        argv = [compiler, *program.flags, "-o", made, program.source, "-Wl,-E,-z,lazy,--unresolved-symbols=ignore-all", "-lpthread"]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"{program.source}: does not compile: {done.stderr.strip()}")
        return made

    def row(self, program):
        """How a program ended on each malloc, run by run."""
        row = {"suite": program.suite, "program": program.name, "size": program.size, "crime": program.crime}
        if program.apart:
            return row | {"apart": program.apart, "ends": {}}
        made, ends = self.compile(program), {}
        for malloc in self.options.mallocs:
            self.progress.say(f"{program.suite}: {program.name} {program.size} on {malloc.name}")
            ends[malloc.name] = [self.end(program, made, malloc) for _ in range(self.options.runs)]
        made.unlink()
        return row | {"apart": "", "ends": ends}

    def end(self, program, made, malloc):
        with tempfile.TemporaryDirectory(dir=self.folder) as room, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            status = side.end_of([made], environment(malloc, room), room, self.options.limit, out, err)
            out, err = map(text_of, (out, err))
        said = next((line.strip() for line in err.splitlines() if line.strip()), "")
        if status == 127 and "symbol lookup error" in said:
            return {"how": "", "good": None, "status": status, "said": said}
        good = status is not None and program.good(status, out)
        return {"how": how_ended(program, status, good, said), "good": good, "status": status, "said": said}


def text_of(file):
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def how_ended(program, status, good, said):
    if status is None:
        return "hung"
    if good and status < 0:
        return "word" if said else signal.Signals(-status).name.removeprefix("SIG")
    if not program.crime:
        return "passes" if good else "fails"
    if good:
        return f"exit {status}"
    return "late" if status < 0 else "-"


def good(ends):
    return all(end["good"] for end in ends)


def has(ends):
    return ends[0]["good"] is not None


def merged(ends):
    """The runs of a program as one word."""
    hows = sorted({end["how"] for end in ends})
    if len(hows) == 1:
        return hows[0]
    caught = sum(bool(end["good"]) for end in ends)
    return " or ".join(hows) if caught in (0, len(ends)) else f"{caught} of {len(ends)}"


class Page:
    """The rows of a suite in Markdown."""

    def __init__(self, suite, rows, options):
        self.suite = suite
        self.apart = {row["program"]: row["apart"] for row in rows if row["apart"]}
        self.rows = [row for row in rows if not row["apart"]]
        self.names = [malloc.name for malloc in options.mallocs]
        self.last, self.others = options.mallocs[len(options.levels)].name, self.names[len(options.levels) + 1:]

    def gaps(self, other):
        """What the last level misses and another malloc catches."""
        return [label(row) for row in self.rows if good(row["ends"][other]) and not good(row["ends"][self.last])]

    def cells(self, program):
        rows = [row for row in self.rows if row["program"] == program]
        for name in self.names:
            hows = [merged(row["ends"][name]) for row in rows]
            yield hows[0] if len(set(hows)) == 1 else " / ".join(hows)

    def sums(self, crime):
        for name in self.names:
            ends = [row["ends"][name] for row in self.rows if row["crime"] == crime and has(row["ends"][name])]
            yield f"**{sum(map(good, ends))} of {len(ends)}**"

    def markdown(self):
        lines = [f"### {self.suite}", "", line_of(["program", *self.names]), "|---" * (len(self.names) + 1) + "|"]
        lines += [line_of([program, *self.cells(program)]) for program in dict.fromkeys(row["program"] for row in self.rows)]
        for crime, title in ((True, "crimes caught"), (False, "questions passed")):
            if any(row["crime"] == crime for row in self.rows):
                lines.append(line_of([f"**{title}**", *self.sums(crime)]))
        lines.append("")
        for why in dict.fromkeys(self.apart.values()):
            lines.append(f"- Apart: {', '.join(name for name in self.apart if self.apart[name] == why)}: {why}.")
        lines += [f"- Caught by {other}, not by {self.last}: {', '.join(self.gaps(other)) or 'nothing'}." for other in self.others]
        said = Counter(re.sub(r"0x[0-9a-f]+", "0x…", end["said"])
                       for row in self.rows for end in row["ends"][self.last][:1] if end["how"] == "word")
        lines += ["", f"The first lines of {self.last}:", ""] if said else []
        lines += [f"- `{words}` ({count})" for words, count in sorted(said.items())]
        return "\n".join([*lines, ""])


def label(row):
    return f"{row['program']} {row['size']}".strip()


def line_of(cells):
    return f"| {' | '.join(cells)} |"


def parse(argv):
    text, _, rest = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=text, epilog=rest + "\n" + EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = HERE.parents[1] / "build/lib/liballot-malloc.so"
    parser.add_argument("--library", type=Path, default=default, help="allot's (build/lib/liballot-malloc.so)")
    parser.add_argument("--suite", action="append", default=[], metavar="NAME=PATH", help="a suite and where it is; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the suites and what PATH is to each, then exit")
    parser.add_argument("--only", action="append", metavar="PROGRAM", help="these programs, a pattern; may be repeated")
    parser.add_argument("--levels", default="harden=1,harden=2,harden=3", metavar="OPTIONS,...",
                        help="ALLOT_OPTIONS to run allot with, the strongest last (harden=1,harden=2,harden=3)")
    parser.add_argument("--least", action="append", default=[], metavar="MALLOC", help="fail where the last level misses what this one catches")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="runs of each program on each malloc (1)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="programs at a time (1)")
    parser.add_argument("--limit", type=float, default=60, metavar="SECONDS", help="after which a run is taken for hung (60)")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--cxx", default="c++")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run there ('-': standard output, in place of the tables)")
    options = parser.parse_args(argv)
    if not options.list and not options.suite:
        parser.error("no --suite NAME=PATH; --list names them")
    if not options.library.is_file():
        parser.error(f"{options.library}: no such library; build it or name one with --library")
    options.programs = []
    for words in options.suite:
        name, _, path = words.partition("=")
        if name not in suites.SUITES:
            parser.error(f"no suite {name}; --list names them")
        try:
            found = list(suites.SUITES[name].programs(Path(path).expanduser().absolute()))
        except OSError as why:
            parser.error(f"{name}: {why}")
        if not found:
            parser.error(f"{name}: none of its programs is in {path}")
        options.programs += [one for one in found if not options.only or any(fnmatch.fnmatchcase(one.name, p) for p in options.only)]
    try:
        allot, named = Malloc("allot", options.library), list(peers.named(os.environ.get("PEERS", "")))
    except ValueError as why:
        parser.error(str(why))
    options.levels = list(peers.levels(allot, options.levels))
    options.mallocs = [allot, *options.levels, Malloc("system"), *named]
    if unknown := set(options.least) - {malloc.name for malloc in options.mallocs}:
        parser.error(f"--least {', '.join(sorted(unknown))}: there is no such malloc; PEERS names them")
    return options


def preflight(mallocs):
    """A malloc that is not there catches nothing, and one on which nothing runs catches all."""
    for malloc in mallocs:
        if malloc.path and (objection := witness.objection("ls", malloc.path, environment(malloc), side.which)):
            raise Failure(f"{malloc.name} cannot be preloaded: {objection}")
        tried = subprocess.run([side.which("ls"), "/"], env=environment(malloc), capture_output=True, text=True)
        if tried.returncode or tried.stderr:
            raise Failure(f"{malloc.name}: ls: {side.status_words(tried.returncode)} {tried.stderr.strip()}")


def main(argv=None):
    options = parse(argv)
    if options.list:
        for name, suite in suites.SUITES.items():
            print(f"{name:16} {suite.path}")
        return 0
    signal.signal(signal.SIGINT, side.end_all)
    signal.signal(signal.SIGTERM, side.end_all)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # of the many that end by a signal
    progress = Progress()
    try:
        preflight(options.mallocs)
        with tempfile.TemporaryDirectory(prefix="as-", dir="/tmp", ignore_cleanup_errors=True) as folder:
            with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
                rows = list(pool.map(Runner(options, folder, progress).row, options.programs))
    except KeyboardInterrupt:
        print("run.py: interrupted", file=sys.stderr)
        return 130
    except Failure as why:
        print(f"run.py: {why}", file=sys.stderr)
        return 1
    progress.clear()

    pages = [Page(name, [row for row in rows if row["suite"] == name], options) for name in dict.fromkeys(row["suite"] for row in rows)]
    text = json.dumps(rows, indent=1) + "\n"
    if options.json != Path("-"):
        print("\n".join(page.markdown() for page in pages))
    if options.json:
        sys.stdout.write(text) if options.json == Path("-") else options.json.write_text(text)
    if not any(page.rows for page in pages):
        print("run.py: nothing ran", file=sys.stderr)
        return 1
    missed = [(page, other, gaps) for page in pages for other in options.least if (gaps := page.gaps(other))]
    for page, other, gaps in missed:
        print(f"run.py: {page.suite}: {page.last} misses what {other} catches: {', '.join(gaps)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

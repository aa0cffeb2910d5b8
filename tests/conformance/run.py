#!/usr/bin/env python3
"""Others' test suites on the library, beside the system's malloc.

Every case of a suite runs twice: with LD_PRELOAD=<library>, and on the system's malloc as control. A suite is a tree that
the user has and has built; suites.py knows where its cases lie, reasons.py why some cannot be asked of another malloc. A
verdict is one of
  passed     on both
  better     on the library; not on the system's malloc
  skipped    the case itself says, on both, that it cannot run here
  same       it ends the same way on the system's malloc: not the library's doing
  explained  it fails on the library, for the reason given
  apart      not run, for the reason given
  failed     on the library alone, and no reason is known
  hung       likewise: no end within its limit
  missing    the suite has the case, but no program of it was built
  not-mapped a program of the case does not take its malloc from the library
Exit status: 0 when there is none of the last four; 1 when there is, or nothing ran; 2 bad usage.
"""

import argparse
import concurrent.futures
import fnmatch
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "foreign")]

import reasons  # noqa: E402
import side  # noqa: E402
import suites  # noqa: E402
import tables  # noqa: E402
import witness  # noqa: E402

EXAMPLES = """examples:
  run.py --suite glibc=~/glibc/malloc --suite ltp=~/ltp     trees of their test files, built
  run.py --suite stress-ng=/usr/bin/stress-ng               a program with cases of its own
  run.py --suite cpython=/usr/bin/python3.11 --only 'test_[a-d]*' --jobs 2
  run.py --suite redis=~/redis --json redis.json --keep logs
"""

BAD = ("failed", "hung", "missing", "not-mapped")


class Runner:
    def __init__(self, library, scratch, keep, limit):
        self.library, self.scratch, self.keep, self.limit = library, scratch, keep, limit

    def run(self, case):
        """Runs one case on both sides; returns its row of the report."""
        row = {"suite": case.suite, "case": case.name, "allot": "", "system": "", "verdict": "", "reason": "", "seconds": {}}
        if reason := reasons.apart(case):
            return row | {"verdict": "apart", "reason": reason}
        if not case.argv:
            return row | {"verdict": "missing", "reason": "no program of it was built"}
        row["system"], _ = self.play(case, "system", row)
        row["allot"], last = self.play(case, "allot", row)
        row["verdict"], row["reason"] = self.judge(case, row["allot"], row["system"], last)
        return row

    def play(self, case, name, row):
        """One side: how it ended in a word or two, and the last line that it printed."""
        env = side_environment(case, self.library if name == "allot" else None)
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(dir=self.scratch) as room, tempfile.TemporaryFile() as out:
            env |= {"HOME": room, "TMPDIR": room}
            status = side.end_of(case.argv, env, case.cwd or room, case.limit * self.limit, out)
            out.seek(0)
            said = out.read().decode("utf-8", "replace")
        row["seconds"][name] = round(time.monotonic() - begin, 2)
        if self.keep:
            log = self.keep / case.suite / f"{case.name.replace('/', '-')}.{name}.txt"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(said)
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        return outcome(case, status, said), (lines or [""])[-1]

    def judge(self, case, allot, system, last):
        env = side_environment(case, self.library)
        objections = (witness.objection(str(p), self.library, env, side.which) for p in case.programs)
        if objection := next(filter(None, objections), None):
            known = reasons.explained(case)
            return ("explained", known) if known else ("not-mapped", objection)
        if allot == system:
            return (allot, "") if allot in ("passed", "skipped") else ("same", reasons.explained(case) or last[:200])
        if allot == "passed":
            return "better", reasons.explained(case) or ""
        if known := reasons.explained(case):
            return "explained", known
        return ("hung" if allot == "hung" else "failed"), last[:200]


def side_environment(case, library):
    preload = [str(case.names)] if case.names else []
    preload += [str(library)] if library else case.system
    env = {"PATH": side.SEARCH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "USER": "root"} | case.env
    return env | ({"LD_PRELOAD": " ".join(preload)} if preload else {})


def outcome(case, status, said):
    if status is None:
        return "hung"
    if status in case.skips or (status == 0 and any(words in said for words in case.skip_words)):
        return "skipped"
    return "passed" if status == 0 else f"failed: {side.status_words(status)}"


def parse(argv):
    text, _, verdicts = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=text, epilog=verdicts + "\n" + EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = HERE.parents[1] / "build/lib/liballot-malloc.so"
    parser.add_argument("--library", type=Path, default=default, help="what to preload (build/lib/liballot-malloc.so)")
    parser.add_argument("--suite", action="append", default=[], metavar="NAME=PATH", help="a suite and where it is; may be repeated")
    parser.add_argument("--only", action="append", metavar="CASE", help="these cases, a pattern; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the suites and what PATH is to each, then exit")
    parser.add_argument("--jobs", type=int, default=1, help="cases at a time (1)")
    parser.add_argument("--limit", type=float, default=1, metavar="N", help="N times the time that each case is given (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too ('-': standard output)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write it there as tables ('-': standard output)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave what both sides of each case printed there")
    args = parser.parse_args(argv)
    if not args.list and not args.suite:
        parser.error("no --suite NAME=PATH; --list names them")
    args.chosen = []
    for words in args.suite:
        name, _, path = words.partition("=")
        if name not in suites.SUITES:
            parser.error(f"no suite {name}; --list names them")
        path = Path(path).expanduser().absolute()
        if not path.exists():
            parser.error(f"{name}: {path} is not there")
        args.chosen.append((name, path))
    return args


def cases_of(args):
    for name, path in args.chosen:
        shim = args.library.parent / f"libnames-{name}.so"
        for case in suites.cases(name, path, shim if shim.exists() else None):
            if not args.only or any(fnmatch.fnmatchcase(case.name, pattern) for pattern in args.only):
                yield case


def main(argv=None):
    args = parse(argv)
    if args.list:
        for name, suite in suites.SUITES.items():
            print(f"{name:10} {suite.path}")
        return 0
    args.library = args.library.resolve()
    if not args.library.is_file():
        print(f"run.py: {args.library}: no such library, build it or name one with --library", file=sys.stderr)
        return 2
    if refusal := side.preflight(args.library):
        print(f"run.py: {args.library} cannot be preloaded: {refusal}", file=sys.stderr)
        return 1

    signal.signal(signal.SIGINT, side.end_all)
    signal.signal(signal.SIGTERM, side.end_all)
    out = sys.stderr if Path("-") in (args.json, args.markdown) else sys.stdout
    rows = []
    try:
        with tempfile.TemporaryDirectory(prefix="ac-", dir="/tmp", ignore_cleanup_errors=True) as scratch:
            runner = Runner(args.library, scratch, args.keep, args.limit)
            with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
                for row in pool.map(runner.run, cases_of(args)):
                    rows.append(row)
                    print(tables.line(row), file=out, flush=True)
    except KeyboardInterrupt:
        print("run.py: interrupted", file=sys.stderr)
        return 130

    print(tables.counts(rows), file=out)
    ran = [r for r in rows if r["seconds"]]
    if not ran:
        print("run.py: nothing ran", file=sys.stderr)
    for path, text in ((args.json, json.dumps(rows, indent=1) + "\n"), (args.markdown, tables.markdown(rows))):
        if path:
            sys.stdout.write(text) if path == Path("-") else path.write_text(text)
    return 1 if not ran or any(r["verdict"] in BAD for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

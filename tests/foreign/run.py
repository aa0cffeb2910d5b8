#!/usr/bin/env python3
"""Real programs on the library, beside the system's malloc: same output, same status, or it is a failure.

Every case of cases/ runs twice in directories of one path: once on the system's malloc and once with
LD_PRELOAD=<library>. The verdict is one of
  passed     both sides showed the same, and every program started had the library mapped and took its malloc from it
  differs    output, status, files or a crash of the preloaded side
  not-mapped a program did not run on the library, or the loader complained about it
  broken     the system's side itself did not do what the case says it does
  unsteady   the sides differ, and so do two runs on the system's malloc: the case must be made deterministic
  skipped    a program or file it needs is missing; it is named
Exit status: 0 all passed; 1 something did not, or nothing ran; 2 bad usage.
"""

import argparse
import concurrent.futures
import difflib
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from glob import glob
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import side  # noqa: E402
import witness  # noqa: E402
from table import TABLE  # noqa: E402

EXAMPLES = """examples:
  run.py --quick                            what ctest runs (label foreign)
  run.py --soak --json foreign.json         everything
  run.py --only git-history --only gcc      by name
  run.py --library /usr/lib/x86_64-linux-gnu/libjemalloc.so.2 --quick
"""


def load_table():
    for path in sorted((HERE / "cases").glob("*.py")):
        importlib.import_module(f"cases.{path.stem}")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def missing(case):
    lacking = [p for p in case.programs if side.which(p) is None] + [f for f in case.files if not any(os.access(p, os.W_OK if f.endswith("/") else os.F_OK) for p in glob(f))]
    return f"no {', '.join(lacking)}" if lacking else None


class Runner:
    def __init__(self, library, scratch, keep):
        self.library, self.scratch, self.keep = library, scratch, keep

    def run(self, case):
        """Runs one case on both sides; returns its row of the report."""
        row = {"name": case.name, "verdict": "skipped", "detail": missing(case), "seconds": {}}
        if row["detail"]:
            return row
        room = self.scratch / case.name
        made, ports = room / "in", free_ports(3)
        made.mkdir(parents=True)
        if case.prepare:
            try:
                case.prepare(made)
            except (OSError, subprocess.SubprocessError, AssertionError) as error:
                return row | {"verdict": "broken", "detail": f"preparing its input: {error}"}

        def play(name, library):
            one = side.Side(name, library, case, room / "d", made, ports)
            begin = time.monotonic()
            one.play()
            row["seconds"].setdefault(name, round(time.monotonic() - begin, 2))
            one.objections = self.objections(one) if library else []
            remove(room / "d")
            return one

        system, ours = play("system", None), play("preload", self.library)
        row["verdict"], row["detail"] = self.judge(system, ours, lambda: play("again", None))
        if self.keep:
            for one in (system, ours):
                self.write_transcript(one, self.keep / case.name)
        remove(room)
        return row

    def judge(self, system, ours, again):
        if system.failed:
            return "broken", f"on the system's malloc: {system.failed}"
        if ours.complaint:
            return "not-mapped", ours.complaint
        if ours.objections:
            return "not-mapped", "; ".join(ours.objections)
        if system.compared() == ours.compared():
            return "passed", f"{len(system.steps)} observations"
        difference = describe(system.compared(), ours.compared())
        if not ours.failed and system.compared() != (other := again()).compared():
            return "unsteady", describe(system.compared(), other.compared())
        return "differs", difference

    def objections(self, one):
        env = one.environment()
        found = (witness.objection(p, self.library, env, side.which) for p in sorted(one.programs))
        return [line for line in found if line]

    @staticmethod
    def write_transcript(one, directory):
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / f"{one.name}.txt").open("wb") as out:
            for what, seen in one.compared():
                out.write(f"== {what}\n".encode() + seen + b"\n")


def describe(left, right):
    """The first steps that differ, as a short unified diff."""
    lines = []
    for i in range(max(len(left), len(right))):
        a, b = (s[i] if i < len(s) else ("nothing more", b"") for s in (left, right))
        if a == b:
            continue
        if a[0] != b[0]:  # one side did something else from here on
            lines.append(f"{a[0]} | {b[0]} {b[1].decode('utf-8', 'replace')[:500]}")
            break
        lines.append(a[0])
        old, new = (x[1].decode("utf-8", "replace").splitlines() for x in (a, b))
        if len(old) + len(new) > 20000:  # difflib is quadratic: start where they part
            apart = next((k for k, (x, y) in enumerate(zip(old, new)) if x != y), min(len(old), len(new)))
            old, new = old[apart : apart + 50], new[apart : apart + 50]
        diff = [d[:300] for d in difflib.unified_diff(old, new, "system", "preload", n=1, lineterm="")]
        lines += diff[2:40]
        if len(lines) > 60:
            break
    return "\n".join(lines)


def remove(path):
    """Removes a tree, also when a case made a part of it unwritable or gave it to another user."""
    if path.exists():
        subprocess.run(["chmod", "-R", "u+rwX", path], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(path, ignore_errors=True)


def parse(argv):
    text, _, verdicts = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=text, epilog=verdicts + "\n" + EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = HERE.parents[1] / "build/lib/liballot-malloc.so"
    parser.add_argument("--library", type=Path, default=default, help="what to preload (build/lib/liballot-malloc.so)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="the cases of a few seconds each (default)")
    which.add_argument("--soak", action="store_true", help="all cases")
    which.add_argument("--only", action="append", metavar="NAME", help="this case; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the cases and what each does, then exit")
    parser.add_argument("--jobs", type=int, default=1, help="cases at a time (1)")
    parser.add_argument("--repeat", type=int, default=1, help="run the chosen cases this many times (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too ('-': standard output)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave what both sides of each case showed there")
    args = parser.parse_args(argv)
    unknown = set(args.only or ()) - {c.name for c in TABLE}
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}; --list names them")
    return args


def main(argv=None):
    load_table()
    args = parse(argv)
    chosen = [c for c in TABLE if (c.name in args.only if args.only else args.soak or c.quick)]
    if args.list:
        shown = TABLE if not (args.only or args.quick or args.soak) else chosen
        for c in shown:
            print(f"{c.name:24} {'quick' if c.quick else 'soak ':5} {c.about}")
        return 0
    library = args.library.resolve()
    if not library.is_file():
        print(f"run.py: {library}: no such library, build it or name one with --library", file=sys.stderr)
        return 2
    refusal = side.preflight(library)
    if refusal:
        print(f"run.py: {library} cannot be preloaded: {refusal}", file=sys.stderr)
        return 1

    signal.signal(signal.SIGINT, side.end_all)
    signal.signal(signal.SIGTERM, side.end_all)
    out = sys.stderr if args.json == Path("-") else sys.stdout
    rows = []
    scratch = Path(tempfile.mkdtemp(prefix="af-", dir="/tmp"))  # short: sockets in it must fit 108 bytes
    scratch.chmod(0o755)
    try:
        for _ in range(args.repeat):
            with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
                runner = Runner(library, scratch, args.keep)
                for row in pool.map(runner.run, chosen):
                    rows.append(row)
                    show(row, out)
    except KeyboardInterrupt:
        print("run.py: interrupted", file=sys.stderr)
        return 130
    finally:
        remove(scratch)

    count = {v: sum(r["verdict"] == v for r in rows) for v in ("passed", "skipped")}
    failed = len(rows) - sum(count.values())
    for row in rows:
        if row["verdict"] not in count:
            print(f"failed: {row['name']}: {row['verdict']}", file=out)
    print(f"{count['passed']} passed, {failed} failed, {count['skipped']} skipped", file=out)
    if not count["passed"] + failed:
        print("run.py: nothing ran", file=sys.stderr)
    if args.json:
        report = {"library": str(library), **count, "failed": failed, "cases": rows}
        text = json.dumps(report, indent=1) + "\n"
        sys.stdout.write(text) if args.json == Path("-") else args.json.write_text(text)
    return 1 if failed or not count["passed"] else 0


def show(row, out):
    times = row["seconds"]
    clock = f"{times['system']:8.2f} {times['preload']:8.2f}" if len(times) > 1 else " " * 17
    first, *rest = (row["detail"] or "").split("\n")
    print(f"{row['verdict']:10} {row['name']:24} {clock}  {first}", file=out, flush=True)
    for line in rest:
        print(f"    {line}", file=out, flush=True)


if __name__ == "__main__":
    sys.exit(main())

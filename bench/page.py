#!/usr/bin/env python3
"""What a page costs beside a report: time and memory of `allot report -o` and `allot report` over the same trace, a table in Markdown.

page.py [--build FOLDER] [--events 10000000] [--rounds 5]

Runs are interleaved and single: the ratio is the median of those of each round. Pages are without replays, whose time is that of allot
compare.
"""
import argparse
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

DEMAND = 2.5      # times a report's
MEMORY = 512 << 20


def look(command):
    """Wall time, processor time, and the most that was resident."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        sys.exit(f"page.py: {command[0]} {command[1]} failed")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def programs(build, events):
    yield "2,000 stacks", [build / "bin" / "sites", str(events)]
    if shutil.which("python3"):
        script = "import json\nfor i in range(%d): json.loads(json.dumps({str(k): [k] * 9 for k in range(2000)}))" % max(1, events // 100000)
        yield "python3, JSON", ["env", "PYTHONMALLOC=malloc", "python3", "-c", script]
    if shutil.which("sqlite3"):
        script = ("create table t(a, b); with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) "
                  "insert into t select i, hex(randomblob(20)) from n; create index x on t(b); select count(*) from t group by substr(b, 1, 3);"
                  % max(1000, events // 20))
        yield "sqlite3", ["sqlite3", ":memory:", script]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default="build")
    parser.add_argument("--events", type=int, default=10000000)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    allot = wanted.build.resolve() / "bin" / "allot"
    print("| program | events | report, s | page, s | page over report | report, MiB | page, MiB | page's file, MiB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    missed = 0
    with tempfile.TemporaryDirectory(prefix="allot-bench-") as folder:
        trace, page = pathlib.Path(folder) / "trace.allot", pathlib.Path(folder) / "page.html"
        for name, command in programs(wanted.build.resolve(), wanted.events):
            said = subprocess.run([allot, "record", "-o", trace, "--", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
            events = next(word for word in said.stderr.split() if word[0].isdigit())
            rounds = []
            for _ in range(wanted.rounds):
                rounds.append((*look([allot, "report", "--advice=no", trace]), *look([allot, "report", "--no-strategies", "-o", page, trace])))
            ratio = statistics.median(r[4] / r[1] for r in rounds)
            wall, _, memory, of_page, _, its_memory = (statistics.median(column) for column in zip(*rounds))
            missed += ratio > DEMAND or its_memory > MEMORY
            print(f"| {name} | {events} | {wall:.2f} | {of_page:.2f} | {ratio:.2f} | {memory / (1 << 20):.0f} | {its_memory / (1 << 20):.0f} | "
                  f"{page.stat().st_size / (1 << 20):.1f} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

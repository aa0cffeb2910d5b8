#!/usr/bin/env python3
"""Others' programs for garbage collectors, from a tree that the user has, on allot's collectors.

Suites:
  bdwgc=PATH    the portable part of its tests: each is compiled with its own headers, once over examples/boehm and allot, once over the
                system's libgc as control, and run on both
  whippet=PATH  its benchmarks over allot's mark and copy, by an adapter of ours (whippet.c), beside its own collectors and libgc: time,
                peak RSS and collections, in interleaved rounds

What needs a collector's inner parts is left out: of bdwgc's tests gctest and disclaim.

Exit status: 0 when all that ran was right, 1 when something was not, 2 bad usage.
"""
import argparse
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]

TESTS = ["realloc", "weakmap", "huge", "middle", "smash", "leak", "trace"]
THREAD_TESTS = ["initfromthread", "subthreadcreate", "threadkey", "threadleak"]

# name -> what it takes, and what it says when it is right
BENCHMARKS = {
    "mt-gcbench": (["{multiplier}", "1"], "Completed"),
    "quads": (["10", "3.0"], "Completed"),
    "ephemerons": (["{bytes}", "{multiplier}", "1"], "Completed"),
    "finalizers": (["{bytes}", "{multiplier}", "1"], "Completed"),
}
PEERS = ["bdw", "semi", "pcc", "generational-pcc", "mmc", "generational-mmc"]
KINDS = {"allot-mark": "ALLOT_GC_MARK", "allot-copy": "ALLOT_GC_COPY"}


def built(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    return (done.stdout + done.stderr).strip() if done.returncode else None


def ended(command, limit):
    """How it ended in words, what it printed, CPU seconds and peak MiB."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=subprocess.STDOUT,
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
        until = time.monotonic() + limit
        pid = 0
        while not pid and time.monotonic() < until:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            time.sleep(0 if pid else 0.01)
        if not pid:
            process.kill()
            os.wait4(process.pid, 0)
            return "hung", "", 0, 0
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        word = "passed" if process.returncode == 0 else f"status {process.returncode}"
        return word, out.read(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def bdwgc(tree, options, scratch):
    """A line for each test: on allot, on libgc."""
    wrong = 0
    print(f"{'test':16} {'allot':>10} {'s':>6} {'libgc':>10} {'s':>6}")
    for name in TESTS + THREAD_TESTS:
        row = []
        for side, libraries in (("allot", [HERE / "bdwgc.c", options.library]), ("libgc", ["-lgc"])):
            program = scratch / f"{name}-{side}"
            objects = []
            for source in [tree / "tests" / f"{name}.c"] + [file for file in libraries if str(file).endswith(".c")]:
                objects.append(scratch / f"{name}-{side}-{source.stem}.o")
                include = tree / "include" if source.parent == tree / "tests" else ROOT / "examples/boehm"
                threads = ["-DGC_THREADS", "-DGC_BUILTIN_ATOMIC"] if name in THREAD_TESTS else []
                why = built([options.cc, "-O2", "-g", "-w", *threads, "-c", "-I", include, "-I", ROOT / "include", source, "-o",
                             objects[-1]])
                if why:
                    break
            why = why or built([options.cc, *objects, *(file for file in libraries if not str(file).endswith(".c")), "-lpthread", "-o",
                                program])
            word, _, seconds, _ = ("not built", "", 0, 0) if why else ended([program], options.limit)
            if side == "allot" and word != "passed":
                wrong += 1
                print(f"{name}: {why or word}", file=sys.stderr)
            row += [f"{word:>10}", f"{seconds:6.2f}"]
        print(f"{name:16} {' '.join(row)}")
    return wrong


def build_whippet(tree, name, collector, options, scratch):
    """(program, why it is not there)"""
    program = scratch / f"{name}.{collector}"
    if collector not in KINDS:
        why = built(["make", "-C", tree, f"CC={options.cc}", "USE_LTTNG=0", f"bin/{name}.{collector}"])
        return tree / "bin" / f"{name}.{collector}", why
    flags = ["-O2", "-g", "-w", "-fno-strict-aliasing", "-DNDEBUG", "-DGC_PRECISE_ROOTS=1", "-I", tree / "api", "-I", tree / "benchmarks",
             "-I", tree / "src", "-I", ROOT / "include", "-I", HERE, '-DGC_ATTRS="whippet-attrs.h"',
             f'-DGC_EMBEDDER="{name}-embedder.h"', f"-DKIND={KINDS[collector]}"]
    sources = [tree / "benchmarks" / f"{name}.c", HERE / "whippet.c", tree / "src/gc-options.c", tree / "src/gc-stack.c",
               tree / "src/gc-platform-gnu-linux.c"]
    return program, built([options.cc, *flags, *sources, options.library, "-lpthread", "-lm", "-o", program])


def whippet(tree, options, scratch):
    wrong = 0
    for name in options.only or BENCHMARKS:
        arguments, wanted = BENCHMARKS[name]
        programs, runs = {}, {}
        for collector in [*KINDS, *(PEERS if options.peers is None else filter(None, options.peers.split(",")))]:
            program, why = build_whippet(tree, name, collector, options, scratch)
            if why:
                print(f"{name}.{collector}: not built: {why.splitlines()[-1]}", file=sys.stderr)
                wrong += collector in KINDS
            else:
                programs[collector] = program
        values = {"multiplier": options.multiplier, "bytes": options.bytes}
        for _ in range(options.rounds):
            for collector, program in programs.items():
                word, said, seconds, peak = ended([program, *(text.format(**values) for text in arguments)], options.limit)
                if word != "passed" or wanted not in said:
                    if collector in KINDS or options.verbose:
                        print(f"{name}.{collector}: {word}: {said[-300:]}", file=sys.stderr)
                    wrong += collector in KINDS
                    runs.setdefault(collector, []).append(None)
                    continue
                collections = re.search(r"Completed (\d+) major collections \((\d+) minor\)", said)
                pause = re.search(r"ms median pause time, [\d.]+ p95, ([\d.]+) max", said)
                if ours := re.search(r"allot: (\d+) collections, (\d+) of the young, ([\d.]+) ms at most", said):
                    collections, pause = ours, re.search(r"([\d.]+) ms at most", said)
                runs.setdefault(collector, []).append((seconds * 1000, peak, collections, pause))
        print(f"\n{name} {' '.join(text.format(**values) for text in arguments)}: medians of {options.rounds}")
        print(f"| {'collector':18} | CPU ms | peak MiB | collections | longest ms |\n|---|---:|---:|---:|---:|")
        for collector, found in runs.items():
            found = [run for run in found if run]
            if not found:
                print(f"| {collector:18} | failed | | | |")
                continue
            ms, peak = (statistics.median(run[i] for run in found) for i in (0, 1))
            _, _, collections, pause = found[-1]
            counts = f"{collections[1]} + {collections[2]}" if collections else "-"
            print(f"| {collector:18} | {ms:6.0f} | {peak:8.1f} | {counts:>11} | {pause[1] if pause else '-':>10} |")
    return wrong


SUITES = {"bdwgc": bdwgc, "whippet": whippet}


def main():
    parser = argparse.ArgumentParser(prog="collectors/run.py", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--suite", action="append", required=True, metavar="NAME=PATH", help=", ".join(SUITES))
    parser.add_argument("--library", type=pathlib.Path, default=ROOT / "build/lib/liballot.a", help="liballot.a (build/lib)")
    parser.add_argument("--cc", default="cc", help="the compiler (%(default)s)")
    parser.add_argument("--limit", type=float, default=300, metavar="SECONDS", help="after which a program is taken for hung (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each benchmark (%(default)s)")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="of whippet's benchmarks")
    parser.add_argument("--peers", metavar="NAME,...", help="of whippet's collectors (%s)" % ",".join(PEERS))
    parser.add_argument("--multiplier", default="2.0", help="heap over live, of whippet's benchmarks (%(default)s)")
    parser.add_argument("--bytes", default="50000000", help="of the heap, where a benchmark wants that (%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="say what other collectors fail at, too")
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="collectors-") as scratch:
        for suite in options.suite:
            name, _, path = suite.partition("=")
            tree = pathlib.Path(path).expanduser().resolve()
            if name not in SUITES or not tree.is_dir():
                parser.error(f"--suite {suite}: {', '.join(SUITES)}, and a folder")
            wrong += SUITES[name](tree, options, pathlib.Path(scratch))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""How long allot core takes for the verdicts of a large heap's core, and how much memory: a table in Markdown.

core.py [--build FOLDER] [--mib 4096] [--folder FOLDER] [--rounds 3]

The program (bench/dead.c) dies in FOLDER, which needs room for a core at a time. Time is that of the whole command, on files that
are in the page cache as far as it holds them; memory is the command's own, without the mapped core, which the system takes back
when it needs it.
"""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

SIZES = (1000, 100)
DEMAND = 60  # seconds, for 4 GiB


def die(program, mib, longest, folder, environment):
    def unlimited():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    done = subprocess.run([program, str(mib), str(longest)], cwd=folder, preexec_fn=unlimited, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, **environment}, check=False)
    cores = list(folder.glob("core*"))
    if not cores or not done.stdout:
        sys.exit("core.py: the system leaves no core where a program runs: see /proc/sys/kernel/core_pattern")
    return cores[0], int(done.stdout)


def own_memory(pid):
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


def look(allot, core):
    began, most = time.monotonic(), 0
    with subprocess.Popen([allot, "core", "--json", core], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, own_memory(process.pid))
            time.sleep(0.02)
        if process.returncode:
            sys.exit("core.py: allot core failed")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, used.ru_utime + used.ru_stime, most


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default="build")
    parser.add_argument("--mib", type=int, default=4096)
    parser.add_argument("--folder", type=pathlib.Path, default=None)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    build = wanted.build.resolve()
    print(f"| malloc | heap, MiB | blocks | wall, s | CPU, s | own memory, MiB | at most {DEMAND} s for 4096 MiB |")
    print("|---|---:|---:|---:|---:|---:|---|")
    missed = 0
    for malloc, environment in (("glibc", {}), ("allot", {"LD_PRELOAD": str(build / "lib" / "liballot-malloc.so")})):
        for longest in SIZES:
            with tempfile.TemporaryDirectory(dir=wanted.folder, prefix="allot-bench-") as folder:
                core, blocks = die(build / "bin" / "dead", wanted.mib, longest, pathlib.Path(folder), environment)
                rounds, cpu_before = [], 0
                for _ in range(wanted.rounds):
                    before = resource.getrusage(resource.RUSAGE_CHILDREN)
                    cpu_before = before.ru_utime + before.ru_stime
                    wall, cpu, memory = look(build / "bin" / "allot", core)
                    rounds.append((wall, cpu - cpu_before, memory))
            wall, cpu, memory = (statistics.median(column) for column in zip(*rounds))
            met = wall <= DEMAND * wanted.mib / 4096
            missed += not met
            print(f"| {malloc}, 16 to {longest} bytes | {wanted.mib} | {blocks:,} | {wall:.1f} | {cpu:.1f} | {memory / (1 << 20):.0f} | "
                  f"{'met' if met else 'missed'} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

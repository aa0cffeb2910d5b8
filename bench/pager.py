#!/usr/bin/env python3
"""Random reads of a file of four times the memory there is for them: allot_pager beside mmap, in a memory cgroup.

Each side runs in a cgroup of its own, with the same limit for all that it takes: pages of the file in the system's cache, frames, program.
The file's pages are asked for as YCSB asks (Zipf, 0.99). Sides take turns; a figure is the median of the rounds, a ratio that of two
medians. The file is made where --folder says, on a disk: in memory there is nothing to compare.

Without a cgroup to write to (version 1 with the memory controller, or 2; root mostly) it says so, and exits 77.

examples:
  bench/pager.py                                64 MiB, 256 MiB of data, 5 rounds of 6 s a side
  bench/pager.py --budget 32 --rounds 3 --sides mmap gradual lru
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PAGE = 4096
SPARE = 6  # MiB of the budget that are the program's, its tables' and the kernel's
DEMAND = 2.0


class Cgroup:
    """A memory cgroup of so many bytes, of either version."""

    def __init__(self, name, limit):
        own = dict(line.split(":")[1:3] for line in pathlib.Path("/proc/self/cgroup").read_text().split("\n") if line)
        if "memory" in own:
            root, limits = pathlib.Path("/sys/fs/cgroup/memory"), ["memory.limit_in_bytes"]
        else:
            root, limits = pathlib.Path("/sys/fs/cgroup"), ["memory.max"]
        self.path = root / name
        self.path.mkdir()
        try:
            for file in limits:
                (self.path / file).write_text(str(limit))
        except OSError:
            self.path.rmdir()
            raise
        swap = self.path / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for file in ("memory.force_empty",):  # what is in the cache goes with it
            try:
                (self.path / file).write_text("0")
            except OSError:
                pass
        self.path.rmdir()

    def join(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))


def make(path, pages):
    with open(path, "wb") as file:
        for page in range(pages):
            file.write(page.to_bytes(8, "little") + bytes(PAGE - 8))
        file.flush()
        os.fsync(file.fileno())
        forget(file.fileno())


def forget(fd):
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def run(options, side, path, pages):
    budget = options.budget << 20
    frames = (budget - (SPARE << 20)) // PAGE
    with open(path, "rb") as file:
        forget(file.fileno())
    with Cgroup(f"allot-bench-{os.getpid()}", budget) as group:
        command = [str(options.build / "bin/zipf"), side, str(path), str(pages), str(frames), str(options.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=group.join)
    if done.returncode:
        sys.exit(f"bench/pager.py: {side}: {done.stderr or done.returncode}")
    return [float(word) for word in done.stdout.split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build")
    parser.add_argument("--folder", default=os.environ.get("TMPDIR", "/var/tmp"))
    parser.add_argument("--budget", type=int, default=64, help="MiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--sides", nargs="+", default=["mmap", "mmap-random", "pread", "gradual", "sieve", "clock", "lru"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        with Cgroup(f"allot-bench-{os.getpid()}", options.budget << 20):
            pass
    except OSError as why:
        print(f"no memory cgroup can be made here: {why}")
        return 77
    pages = 4 * (options.budget << 20) // PAGE
    runs = {side: [] for side in options.sides}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = pathlib.Path(folder, "pages")
        make(path, pages)
        for _ in range(options.rounds):
            for side in options.sides:
                runs[side].append(run(options, side, path, pages))
    medians = {side: [statistics.median(column) for column in zip(*found)] for side, found in runs.items()}
    if options.json:
        print(json.dumps({"budget": options.budget, "pages": pages, "runs": runs}))
        return 0
    base = medians.get("mmap", next(iter(medians.values())))[0]
    print(f"{4 * options.budget} MiB of data, {options.budget} MiB of memory, medians of {options.rounds}\n")
    print(f"| | reads a second | over mmap | anonymous, MiB | resident at most, MiB |\n|---|---:|---:|---:|---:|")
    for side, (reads, anonymous, peak) in medians.items():
        print(f"| {side} | {reads:.0f} | {reads / base:.2f} | {anonymous:.1f} | {peak:.1f} |")
    if {"mmap", "gradual"} <= medians.keys():
        found = medians["gradual"][0] / base
        print(f"\ngradual over mmap: {found:.2f}, wanted {DEMAND:g}: {'met' if found >= DEMAND else 'missed'}")
    return 0


sys.exit(main())

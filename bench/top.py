#!/usr/bin/env python3
"""What `allot top` costs the process that it looks at: processor time of equal pieces of a program's work, while it is looked at and while
another one is, which does next to nothing, in turns, in one process; and what it was asked for meanwhile, with what that takes.

  time      the median ratio of turns, of each its quicker pieces, and the standard error: what noise leaves
  samples   a second of the program's processor time; times what one takes, measured with many (sample=8192 against none)
  tables    a second likewise; times what the process says that filling them took
  sum       of these two, in percent of its processor time

--instructions: the same under callgrind, which counts instead of measuring, and so shows whether anything is paid beside samples and tables.
Instructions of a piece while nobody looks and while somebody does, and how many more that is for each sample that was taken.
"""
import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TARGETS = {  # threads, operations of a piece, steps of work between, MiB that stay
    "allocates only": (1, 4_000_000, 0, 0),
    "two threads that do": (2, 2_000_000, 0, 0),
    "some 10 M a second": (1, 1_000_000, 40, 0),
    "the same, 1 GiB live": (1, 1_000_000, 40, 1024),
}


QUIET = (1, 1000, 0, 0, 20)  # the other one


class Target:
    def __init__(self, build, what, options=""):
        env = dict(os.environ, ALLOT_OPTIONS=options)
        self.process = subprocess.Popen([str(build / "bin/allot"), "run", "--", str(build / "bin/watched"), *map(str, what)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.piece()

    @property
    def pid(self):
        return self.process.pid

    def piece(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("watched has ended")
        return int(line)

    def pieces(self, seconds):
        """Those of so much time; the first, in which something has changed, is counted like the others."""
        until, found = time.monotonic() + seconds, []
        while time.monotonic() < until:
            found.append(self.piece())
        return found

    def end(self):
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.wait()


def quick(pieces):
    """What a piece takes where nobody is in its way: a tenth are quicker. Samples fall into every piece."""
    return statistics.quantiles(pieces, n=10)[0] if len(pieces) > 1 else pieces[0]


def sample_cost(build, name, seconds, rounds):
    """Seconds that one sample takes, with its free: by the difference that many make."""
    many, none = Target(build, TARGETS[name], "share=on,sample=8192"), Target(build, TARGETS[name], "share=on")
    with_, without, samples, began = [], [], 0, []
    for _ in range(rounds):
        before = figures(build, many.pid)["samples"]
        with_ += (pieces := many.pieces(seconds))
        samples += figures(build, many.pid)["samples"] - before
        without += none.pieces(seconds)
        began.append(len(pieces))
    per_piece = quick(with_) - quick(without)
    many.end()
    none.end()
    return max(per_piece, 0) / 1e9 / (samples / sum(began))


def figures(build, pid):
    page = subprocess.run([str(build / "bin/allot"), "top", "--once", "--json", "-p", str(pid)], capture_output=True, text=True, check=True)
    return json.loads(page.stdout)


class Looker:
    """allot top on a process, until it is told to leave; what it says is read all the time."""

    def __init__(self, build, pid):
        self.process = subprocess.Popen([str(build / "bin/allot"), "top", "--json", "-n", "20", "-p", str(pid)], stdout=subprocess.PIPE,
                                        text=True)
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(map(json.loads, self.process.stdout)))
        self.reader.start()

    def leave(self):
        """What it has said."""
        self.process.send_signal(signal.SIGINT)
        self.reader.join()
        self.process.wait()
        if len(self.lines) < 2:
            sys.exit("allot top has said nothing: a longer turn (--seconds)")
        return self.lines


def turns(build, name, seconds, rounds):
    target, other = Target(build, TARGETS[name]), Target(build, QUIET)
    threading.Thread(target=other.process.stdout.read, daemon=True).start()
    target.pieces(seconds / 2)
    ratios, looked_at, seen, samples, tables, answers = [], 0, 0, 0, 0, []
    for round_ in range(rounds):
        found = {}
        for on in (True, False) if round_ % 2 else (False, True):
            top = Looker(build, target.pid if on else other.pid)
            target.pieces(1)  # it comes: names are looked up
            began = time.monotonic()
            pieces = target.pieces(seconds)
            busy = sum(pieces) / 1e9 / (time.monotonic() - began)
            lines = top.leave()
            target.pieces(0.3)  # it leaves
            found[on] = quick(pieces)
            if on:
                looked_at += (lines[-1]["time_ms"] - lines[0]["time_ms"]) / 1e3 * busy
                samples += lines[-1]["samples"] - lines[0]["samples"]
                tables += lines[-1]["answers"] - lines[0]["answers"]
                answers += [line["answer_ns"] for line in lines]
        ratios.append(found[True] / found[False])
    target.end()
    other.process.kill()
    error = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else 0
    return {"ratio": statistics.median(ratios), "error": error, "samples_s": samples / looked_at, "tables_s": tables / looked_at,
            "answer_us": statistics.median(answers) / 1e3}


def counted(build, what, looked_at, seconds):
    """Instructions of a piece, how many pieces, and what was said last."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        env = dict(os.environ, LD_PRELOAD=str(build / "lib/liballot-malloc.so"))
        target = subprocess.Popen(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", str(build / "bin/watched"),
                                   *map(str, what)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                  env=env)
        target.stdout.readline()
        lines, pieces = [{}], 1
        top = Looker(build, target.pid) if looked_at else None
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            target.stdout.readline()
            pieces += 1
        if top:
            lines = top.leave()
        target.stdin.close()
        pieces += len(target.stdout.read().splitlines())
        target.wait()
        return int(re.search(r"(?m)^(?:summary|totals): (\d+)", out.read_text())[1]) / pieces, pieces, lines[-1]


def instructions(build, seconds, rounds):
    print("| program | instructions of a piece | looked at | ratio | samples | more for each |\n|---|---:|---:|---:|---:|---:|")
    for name, (threads, _, work, _) in TARGETS.items():
        if threads > 1 or "GiB" in name:  # it runs one thread at a time, and slowly
            continue
        what, found = (threads, 100_000, work, 0), {True: [], False: []}
        more, samples = 0, 0
        for _ in range(rounds):
            without, _, _ = counted(build, what, False, seconds)
            with_, pieces, said = counted(build, what, True, seconds)
            found[False].append(without)
            found[True].append(with_)
            more += (with_ - without) * pieces
            samples += said["samples"]
        without, with_ = statistics.mean(found[False]), statistics.mean(found[True])
        print(f"| {name} | {without:.0f} | {with_:.0f} | {with_ / without:.5f} | {samples} | {more / samples:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=6, help="of a turn")
    parser.add_argument("--only", help="programs whose name has this")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--instructions", action="store_true", help="count them, under callgrind")
    options = parser.parse_args()
    if options.instructions:
        instructions(options.build, options.seconds, max(options.rounds // 4, 1))
        return
    if not options.json:
        print("| program | time looked at / not | samples a s | us each | tables a s | us each | sum |\n|---|---:|---:|---:|---:|---:|---:|")
    for name in TARGETS:
        if options.only and options.only not in name:
            continue
        row = turns(options.build, name, options.seconds, options.rounds)
        row["sample_us"] = sample_cost(options.build, name, 1, max(options.rounds // 2, 2)) * 1e6
        row["percent"] = 100e-6 * (row["samples_s"] * row["sample_us"] + row["tables_s"] * row["answer_us"])
        if options.json:
            print(json.dumps({"program": name, **row}), flush=True)
        else:
            print(f"| {name} | {row['ratio']:.4f} ± {row['error']:.4f} | {row['samples_s']:.0f} | {row['sample_us']:.2f} | "
                  f"{row['tables_s']:.2f} | {row['answer_us']:.0f} | {row['percent']:.3f} % |", flush=True)


if __name__ == "__main__":
    main()

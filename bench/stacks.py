#!/usr/bin/env python3
"""What the stack of every allocation costs: real programs with a preload that takes it (stacks/preload.c), and without.

The programs are those of programs.py, z3, and `busy`, which does hardly anything but allocate. Each round runs every program on all
sides, in an order shuffled anew; figures are medians. Counts come from a run of their own with a preload that counts.

  stacks     how many were taken: one an allocation
  branches   of these, those that were found whole beside the last one (src/probe/calls.c), in per cent
  words      looked at on the stack, a stack
  walked     frames whose rule was looked up, a stack
  nodes      of the tree of stacks in the end
  ns         of the allocating thread's time, a stack: the difference to the preload that takes none
  factor     wall time with stacks of every allocation to that without

With --verify every stack is compared with libunwind's, frame by frame, instead.
"""
import argparse
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import programs

HERE = pathlib.Path(__file__).resolve().parent


def z3(folder):
    """Linear arithmetic with a few multiplications, of a fixed random problem."""
    path = programs.find("z3")
    dice = random.Random(5)
    names = [f"x{i}" for i in range(60)]
    text = [f"(declare-const {name} Int)" for name in names]
    text += [f"(assert (and (<= 0 {name}) (<= {name} 40)))" for name in names]
    for _ in range(160):
        a, b, c = dice.sample(names, 3)
        text.append(f"(assert (or (< (+ {a} {dice.randrange(20)}) {b}) (> (- {b} {c}) {dice.randrange(9)}) (= {a} (* 2 {c}))))")
    for _ in range(8):
        a, b, c = dice.sample(names, 3)
        text.append(f"(assert (= (mod (+ {a} (* 3 {b})) 7) (mod {c} 7)))")
    (folder / "work.smt2").write_text("\n".join(text) + "\n(check-sat)\n(push)\n" + "\n".join(
        f"(push)\n(assert (> (+ {names[i]} {names[i + 1]}) 70))\n(check-sat)\n(pop)" for i in range(0, 8)) + "\n(pop)\n")
    return programs.Program("z3", [path, "work.smt2"])


def busy(build):
    def program(folder):
        return programs.Program("busy", [str(build / "bin/busy"), "5000000"])
    return program


def run(program, folder, preload, mode, malloc=None):
    """CPU and wall seconds of a run, and what the preload counted."""
    record = folder / "record"
    record.unlink(missing_ok=True)
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"} | program.env
    env |= {"LD_PRELOAD": f"{preload} {malloc or ''}".strip(), "STACKS": mode, "STACKS_RECORD": str(record)}
    stdin = program.stdin if program.stdin == os.devnull else folder / program.stdin
    with open(stdin) as given, open(folder / "stderr", "w") as err:
        begin = time.monotonic()
        child = subprocess.Popen(program.command, cwd=folder, env=env, stdin=given, stdout=subprocess.DEVNULL, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begin
    if status != 0:
        sys.stderr.write((folder / "stderr").read_text()[-4000:])
        raise SystemExit(f"bench/stacks.py: {program.name}, {mode}: status {status}")
    fields = dict(field.split("=") for line in record.read_text().splitlines()[-1:] for field in line.split())
    return usage.ru_utime + usage.ru_stime, wall, {key: int(value) for key, value in fields.items()}


def main():
    parser = argparse.ArgumentParser(prog="bench/stacks.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="run only these")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build", metavar="DIR")
    parser.add_argument("--malloc", type=pathlib.Path, metavar="PATH", help="what lies beneath (the system's)")
    parser.add_argument("--modes", default="here", metavar="MODE,...", help="here, take, unwind (here)")
    parser.add_argument("--verify", action="store_true", help="compare every stack with libunwind's")
    options = parser.parse_args()
    build = options.build.resolve()
    known = {"python3": programs.python3, "sqlite3": programs.sqlite3, "cc1plus": programs.cc1plus, "z3": z3,
             "busy": busy(build)}
    unknown = set(options.programs) - set(known)
    if unknown:
        parser.error(f"no program {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    plain, counting = build / "lib/libstacks.so", build / "lib/libstacks-counting.so"
    with tempfile.TemporaryDirectory() as scratch:
        ready = []
        for name in options.programs or known:
            folder = pathlib.Path(scratch) / name
            folder.mkdir()
            try:
                ready.append((known[name](folder), folder))
            except programs.Absent as absent:
                print(f"without {name}: {absent}")
        if options.verify:
            failed = False
            for program, folder in ready:
                _, wall, counts = run(program, folder, counting, "verify", options.malloc)
                print(f"{program.name:8} {counts['stacks']:10} stacks {counts['nodes']:8} nodes "
                      f"{counts['differing']:6} differ from libunwind's {counts['without']:6} unknown  {wall:.0f} s", flush=True)
                if counts["differing"] or not counts["stacks"]:
                    print((folder / "stderr").read_text()[:20000])
                    failed = True
            sys.exit(failed)
        modes = ["none"] + options.modes.split(",")
        runs = {(program.name, mode): [] for program, _ in ready for mode in modes}
        for _ in range(options.rounds):
            order = [(program, folder, mode) for program, folder in ready for mode in modes]
            random.shuffle(order)
            for program, folder, mode in order:
                runs[program.name, mode].append(run(program, folder, counting if mode == "unwind" else plain, mode, options.malloc))
        print(f"{'program':8} {'mode':7} {'stacks':>10} {'branches':>8} {'words':>6} {'walked':>6} {'nodes':>8} {'ns':>6} {'factor':>6}")
        for program, folder in ready:
            counts = run(program, folder, counting, "here", options.malloc)[2]
            stacks = max(counts["stacks"], 1)
            cpu = {mode: statistics.median(run[0] for run in runs[program.name, mode]) for mode in modes}
            wall = {mode: statistics.median(run[1] for run in runs[program.name, mode]) for mode in modes}
            for mode in modes[1:]:
                print(f"{program.name:8} {mode:7} {stacks:10} {100 * counts['branches'] / stacks:8.1f} {counts['same'] / stacks:6.1f} "
                      f"{counts['walked'] / stacks:6.2f} {counts['nodes']:8} {(cpu[mode] - cpu['none']) / stacks * 1e9:6.0f} "
                      f"{wall[mode] / wall['none']:6.2f}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What recording costs: real programs and a program that only allocates, each as it is on allot's malloc, recorded, and recorded
without stacks, in interleaved runs; beside them heaptrack's cost where it is installed. And whether a trace survives."""
import argparse
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import programs

HERE = pathlib.Path(__file__).resolve().parent
WAYS = ["plain", "record", "no-stacks", "heaptrack"]
NAMES = ["python3", "sqlite3", "cc1plus", "z3", "60 M events a second", "churn", "churn of two threads"]
PROBLEM = """
(declare-const a (_ BitVec 32)) (declare-const b (_ BitVec 32)) (declare-const c (_ BitVec 32))
(assert (= (bvmul a b) #x0012d687)) (assert (bvugt a #x00000001)) (assert (bvugt b #x00000001))
(assert (bvult a #x00010000)) (assert (bvult b #x00010000)) (assert (= c (bvurem a b)))
(check-sat)
"""


def work_for(build, rate):
    """How much work between two allocations makes a program of so many events a second."""
    for work in range(4, 200):
        done = subprocess.run([build / "bin/allot", "run", "--", build / "bin/recorded", "1", "4000000", str(work)], capture_output=True,
                              text=True, check=True)
        if float(re.search(r"cpu_ns ([\d.]+)", done.stdout)[1]) >= 1e9 / rate:
            break
    return work


def work_of(name, build, folder):
    """Command, environment and input of a program, prepared in `folder`."""
    if name.startswith("60 M"):
        return [build / "bin/recorded", "1", "60000000", str(work_for(build, 60e6))], {}, os.devnull
    if name.startswith("churn"):
        return [build / "bin/recorded", "2" if "two" in name else "1", "20000000"], {}, os.devnull
    if name == "z3":
        (folder / "problem.smt2").write_text(PROBLEM)
        return [programs.find("z3"), folder / "problem.smt2"], {}, os.devnull
    program = getattr(programs, name)(folder)
    command = program.command
    if name == "python3":  # the interpreter itself: a wrapper would be recorded too
        command = [os.path.realpath(command[0]), *command[1:]]
    return command, program.env, program.stdin


def commanded(way, command, build, folder):
    allot = build / "bin/allot"
    if way == "plain":
        return [allot, "run", "--", *command]
    if way == "heaptrack":
        return ["heaptrack", "-o", folder / "heaptrack", *command]
    return [allot, "record", "--json", "-o", folder / f"{way}.allot", *(["--no-stacks"] if way == "no-stacks" else []), "--", *command]


def run(way, command, env, stdin, build, folder):
    began = time.monotonic()
    done = subprocess.run([str(word) for word in commanded(way, command, build, folder)], cwd=folder, env=os.environ | env,
                          stdin=open(folder / stdin), capture_output=True, text=True)
    wall = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}, {way}: status {done.returncode}\n{done.stderr[-2000:]}")
    said = re.search(r"(?m)^cpu_ns ([\d.]+)", done.stdout)
    figures = {"wall": wall, "cpu": float(said[1]) if said else None}
    if way in ("record", "no-stacks"):
        figures |= json.loads(done.stderr.splitlines()[-1])
    return figures


def measured(name, options, folder):
    command, env, stdin = work_of(name, options.build, folder)
    ways = [way for way in WAYS if way != "heaptrack" or (shutil.which("heaptrack") and not options.alone)]
    runs = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way in ways:
            runs[way].append(run(way, command, env, stdin, options.build, folder))
    return runs


def middle(runs, figure):
    return statistics.median(one[figure] for one in runs)


def row(name, runs):
    plain = middle(runs["plain"], "wall")
    ratios = [f"{middle(runs[way], 'wall') / plain:.2f}" if way in runs else "-" for way in WAYS[1:]]
    figures = [f"{middle(runs[way], 'bytes') / middle(runs[way], 'events'):.2f}" for way in ("record", "no-stacks")]
    of = runs["record"]
    cpu = " / ".join(f"{middle(runs[way], 'cpu'):.1f}" for way in WAYS[:3]) if of[0]["cpu"] else "-"
    collector = middle(of, "collector_cpu_ns") / middle(of, "events")
    lost = sum(one["lost"] for way in WAYS[1:3] for one in runs[way])
    return [name, f"{plain:.2f}", *ratios, *figures, f"{middle(of, 'events') / 1e6:.2f}", cpu, f"{collector:.0f}",
            f"{middle(of, 'waited_ns') / 1e9:.2f}", str(lost)]


def paired(options, folder):
    """What an event costs each of two threads, over what it costs one: both in turn, as the machine changes from one minute to the next."""
    print("| churn | one thread, CPU ns an event | two threads | two over one, median [least most] |\n|---|---:|---:|---:|")
    for way in WAYS[:3]:
        cost = {name: [] for name in NAMES[-2:]}
        for _ in range(options.threads):
            for name in cost:
                cost[name].append(run(way, *work_of(name, options.build, folder), options.build, folder)["cpu"])
        one, two = cost.values()
        over = sorted(b / a for a, b in zip(one, two))
        print(f"| {way} | {statistics.median(one):.1f} | {statistics.median(two):.1f} | "
              f"{statistics.median(over):.2f} [{over[0]:.2f} {over[-1]:.2f}] |", flush=True)


def killed(options, folder):
    """Killed at a random moment, again and again: how many milliseconds before the end of what is recorded each trace ends. In turn the
    whole group is killed, the program alone, the recorder alone (which takes the program with it), and the collector alone."""
    lags = {"group": [], "program": [], "recorder": [], "collector": []}
    dice = random.Random(options.seed)
    for i in range(options.kill):
        whom = list(lags)[i % len(lags)]
        clock, trace = folder / "clock", folder / "killed.allot"
        clock.unlink(missing_ok=True)
        process = subprocess.Popen([options.build / "bin/allot", "record", "-q", "-o", trace, "--", options.build / "bin/recorded",
                                    "--clock", clock], start_new_session=True, stderr=subprocess.DEVNULL)
        while not said(clock):  # it has not begun
            time.sleep(0.001)
        time.sleep(dice.random() * 0.5)
        pids = [int(pid) for pid in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        collector = next(pid for pid in pids if pathlib.Path(f"/proc/{pid}/comm").read_text() == "allot collector\n")
        ends, until = os.pidfd_open(collector), None
        if whom == "group":
            os.killpg(process.pid, signal.SIGKILL)
        elif whom == "collector":
            os.kill(collector, signal.SIGKILL)
            until = said(clock)
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid if whom == "recorder" else next(pid for pid in pids if pid != collector), signal.SIGKILL)
        process.wait()
        select.select([ends], [], [])  # the collector has written what there was
        os.close(ends)
        until = said(clock) if until is None else until
        done = subprocess.run([options.build / "bin/survived", trace], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"cannot be read: {done.stderr}")
        lags[whom].append(max(until - int(re.search(r"last (\d+)", done.stdout)[1]), 0))
    return lags


def said(clock):
    """The milliseconds that the program has come to; 0 before it has begun."""
    return int.from_bytes(clock.read_bytes()[:8], sys.byteorder) if clock.exists() else 0


def main():
    parser = argparse.ArgumentParser(
        prog="bench/record.py", description="Measure what allot record costs, or whether traces survive.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"""programs: {', '.join(NAMES)}

examples:
  bench/record.py                          the table, markdown
  bench/record.py --rounds 1 --only z3
  bench/record.py --threads 15             what an event costs each of two threads, over what it costs one
  bench/record.py --kill 400               kill -9, a hundred times each, of the group, the program, the recorder, the
                                           collector: how early each trace ends
""")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build", metavar="DIR", help="allot's build (build)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--only", action="append", metavar="NAME", help="this program; again for more")
    parser.add_argument("--alone", action="store_true", help="without heaptrack")
    parser.add_argument("--threads", type=int, metavar="N", help="N pairs of one thread and two instead")
    parser.add_argument("--kill", type=int, metavar="N", help="kill N times instead")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the moments at which it is killed")
    options = parser.parse_args()
    options.build = options.build.resolve()
    with tempfile.TemporaryDirectory(prefix="allot-record-") as folder:
        if options.kill:
            for whom, lags in killed(options, pathlib.Path(folder)).items():
                if lags:
                    print(f"{whom} killed {len(lags)} times: every trace was read; they end early by "
                          f"{statistics.median(lags):.0f} ms (median), at most {max(lags)} ms")
            return 0
        if options.threads:
            paired(options, pathlib.Path(folder))
            return 0
        print("| program | plain, s | record | no stacks | heaptrack | bytes an event | without stacks | events, M | "
              "CPU ns an event, plain / record / no stacks | collector, ns an event | threads waited, s | lost |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
        sizes = {}
        for name in options.only or NAMES:
            own = pathlib.Path(folder) / name.replace(" ", "-")
            own.mkdir()
            try:
                runs = measured(name, options, own)
            except programs.Absent as why:
                print(f"| {name} | {why} |")
                continue
            sizes[name] = middle(runs["record"], "bytes") / middle(runs["record"], "events")
            print("| " + " | ".join(row(name, runs)) + " |", flush=True)
        real = [size for name, size in sizes.items() if not name.startswith(("churn", "60 M"))]
        if len(real) > 1:
            print(f"\nBytes an event, mean over the programs that are no churn: {statistics.mean(real):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Real programs recorded, and replayed on every strategy and every malloc by `allot compare`: the tables of docs/compare.md."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import programs
from terminal import Progress

FEW = 10000  # calls
HERE = pathlib.Path(__file__).resolve().parent


def record(program, folder, allot):
    """Its trace, without stacks: a replay needs none."""
    trace = folder / "trace.allot"
    command = [allot, "record", "--quiet", "--no-stacks", "--lossless", "-o", trace, "--", *program.command]
    with open(folder / program.stdin, "rb") as stdin, open(folder / "stdout", "wb") as stdout:
        process = subprocess.Popen([str(word) for word in command], cwd=folder, env=os.environ | program.env, stdin=stdin, stdout=stdout,
                                   stderr=subprocess.DEVNULL)
        if program.converse:
            program.converse(folder, stdout)
        process.wait(program.longest)
    return trace


def compared(trace, options):
    command = [options.build / "bin/allot", "compare", "--json", "--no-advice"]
    command += [f"--rounds={options.rounds}"] if options.rounds else []
    command += [f"--with={peer}" for peer in options.peers.split(",") if peer]
    began = time.monotonic()
    done = subprocess.run([str(word) for word in [*command, trace]], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{trace}: {done.stderr}")
    return json.loads(done.stdout) | {"seconds": time.monotonic() - began}


def measure(options, progress):
    results = {}
    for make in programs.PROGRAMS:
        name = make.__name__
        if options.only and name not in options.only:
            continue
        with tempfile.TemporaryDirectory(prefix="allot-compare-") as folder:
            folder = pathlib.Path(folder)
            progress.say(name)
            try:
                program = make(folder)
            except programs.Absent as why:
                print(f"{name}: {why}", file=sys.stderr)
                continue
            results[name] = compared(record(program, folder, options.build / "bin/allot"), options)
    return results


# -- tables: a list of rows, the first of them the heading --

def mib(value):
    return f"{value / (1 << 20):.1f}" if value >= 10 << 20 else f"{value / (1 << 20):.2f}"


def million(value):
    return f"{value / 1e6:.2f}"


def best_of(result, aspect):
    best = result["best"].get(aspect)
    if not best:
        return "-"
    change = f" (-{100 * best['saved']:.0f} %)" if best["noticeable"] else ""
    return f"{best['name'] if best['noticeable'] else best['against'] or best['name']}{change}"


def summary(results):
    table = [["program", "M calls", "threads", "live MiB", "strategy, over allot's", "malloc by memory, over glibc", "by time, over glibc", "s"]]
    for name, result in results.items():
        table.append([name, million(result["calls"]), str(result["threads"]), mib(result["peak_live"]),
                      *(best_of(result, aspect) for aspect in ("peak", "resident", "time")), f"{result['seconds']:.0f}"])
    return table


def matrix(results, kind, cell, lead):
    """A row for each strategy or malloc, a column for each program; the least of a column is strong."""
    names = list(dict.fromkeys(one["name"] for result in results.values() for one in result[kind]))
    columns = [{one["name"]: cell(one | {"few": result["calls"] < FEW}) for one in result[kind]} for result in results.values()]
    table = [[lead, *results]]
    for name in names:
        row = [name]
        for column in columns:
            figure, text = column.get(name) or (None, "-")
            least = min(found[0] for found in column.values() if found) if figure is not None else None
            row.append(f"**{text}**" if figure is not None and figure == least else text)
        table.append(row)
    return table


def footprint(one):
    return None if one["failed"] or one["refused"] else (one["footprint_over_live"], f"{one['footprint_over_live']:.2f}")


def mean(one):
    return None if one["failed"] or one["refused"] else (one["mean_held_over_live"], f"{one['mean_held_over_live']:.2f}")


def held(one):
    """Without what is kept beside the blocks."""
    value = one["footprint_over_live"] * one["peak_held"] / one["footprint"] if not one["failed"] and not one["refused"] else None
    return None if value is None else (value, f"{value:.2f}")


def ns(one):
    """Not of a program that calls malloc a few hundred times: that is the first touch of what it got."""
    if one["failed"] or one["refused"] or "ns_op" not in one or one["few"]:
        return None
    return one["ns_op"], f"{one['ns_op']:.1f} [{one['ns_op_least']:.1f} {one['ns_op_most']:.1f}]"


def tables(results):
    return [("Programs", summary(results)),
            ("Strategies: at peak, with metadata, for each byte live then", matrix(results, "strategies", footprint, "strategy")),
            ("Strategies: the same without metadata", matrix(results, "strategies", held, "strategy")),
            ("Strategies: held over live, on average", matrix(results, "strategies", mean, "strategy")),
            ("Mallocs: resident at peak for each byte live then", matrix(results, "mallocs", footprint, "malloc")),
            ("Mallocs: resident over live, on average", matrix(results, "mallocs", mean, "malloc")),
            ("Mallocs: ns a call, median [least most]", matrix(results, "mallocs", ns, "malloc"))]


def print_markdown(title, table):
    print(f"\n{title}:\n")
    print("| " + " | ".join(table[0]) + " |")
    print("|---|" + "---:|" * (len(table[0]) - 1))
    for row in table[1:]:
        print("| " + " | ".join(row) + " |")


def print_text(title, table):
    table = [[cell.replace("**", "") for cell in row] for row in table]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    print(f"\n{title}")
    for row in table:
        print("  " + row[0].ljust(widths[0]) + "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:])))


def main():
    parser = argparse.ArgumentParser(prog="bench/compare.py", description="Compare strategies and mallocs on real programs.",
                                     epilog="Examples: bench/compare.py --markdown; bench/compare.py --only redis,git --rounds 3")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build", help="where allot was built")
    parser.add_argument("--only", type=lambda text: text.split(","), help="these programs")
    parser.add_argument("--rounds", type=int, help="timed replays of each malloc")
    parser.add_argument("--peers", default="", help="mallocs more: name=path.so,...")
    parser.add_argument("--markdown", action="store_true", help="tables for docs/compare.md")
    parser.add_argument("--json", action="store_true", help="what allot compare said of each program")
    parser.add_argument("--of", type=pathlib.Path, nargs="+", metavar="FILE", help="measure nothing: the tables of what --json printed")
    options = parser.parse_args()
    options.build = options.build.resolve()
    progress = Progress()
    results = {}
    for file in options.of or []:
        results |= json.loads(file.read_text())
    if not options.of:
        results = measure(options, progress)
    progress.clear()
    if options.json:
        print(json.dumps(results))
        return
    for title, table in tables(results):
        (print_markdown if options.markdown else print_text)(title, table)
    print()
    for name, result in results.items():
        for sentence in (result["sentence"], result["sentence_real"]):
            print(f"{'- ' if options.markdown else '  '}{name}: {sentence}")


main()

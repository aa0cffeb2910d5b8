#!/usr/bin/env python3
"""Measures allot's parts beside bare loops that do the same without a library, and beside the libraries that people have.

A part has one program, build/bin/parts/NAME (bench/parts). `NAME --list` prints, a line each:

    VARIANT what it is          what can be run; the first is the reference, a bare loop; allot's own begin with "allot"
    -VARIANT what is missing    left out of this build
    *VARIANT what it is         rests on malloc: is run on every malloc that there is, as VARIANT@system, VARIANT@mimalloc, ...
    demand: FIGURE VARIANT <= 1.4 BASE
    demand: FIGURE VARIANT >= 97

`NAME VARIANT` runs that one once and prints lines `FIGURE VALUE UNIT`. It fails by its exit status.

Each run is a process of its own. In every round the parts come in an order shuffled anew, in each of them the variants in an
order shuffled anew, and before each run a process that brings the machine's free memory into one and the same state
(measure/warm.c). What the runs amount to is in figures.py.
"""
import argparse
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
from collections import namedtuple

import peers
from figures import FEWEST, Figures
from report import FAILED, Cell, as_markdown, as_text, ratio_cell
from terminal import Progress

HERE = pathlib.Path(__file__).resolve().parent

Variant = namedtuple("Variant", "name about argument env")
Demand = namedtuple("Demand", "figure variant less bound base")  # less: at most; base: None, or over whom
Value = namedtuple("Value", "value")  # a run, as Figures wants it


class Part:
    """What a program's list says."""

    def __init__(self, name, program, listed, mallocs):
        self.name, self.program = name, program
        self.variants, self.missing, self.demands = [], {}, []
        for line in listed.splitlines():
            word, _, about = line.partition(" ")
            about = about.strip()
            if word == "demand:":
                self.demands.append(demand(about))
            elif word.startswith("-"):
                self.missing[word[1:]] = about
            elif word.startswith("*"):
                self.variants.extend(Variant(f"{word[1:]}@{malloc.name}", f"{about}, on {malloc.name}", word[1:],
                                             {"LD_PRELOAD": malloc.path, **malloc.env}) for malloc in mallocs)
            elif word:
                self.variants.append(Variant(word, about, word, {}))
        if not self.variants:
            raise ValueError(f"{program} --list names no variant")
        self.reference = self.variants[0].name
        self.own = next((variant.name for variant in self.variants if variant.name.startswith("allot")), None)


def demand(text):
    found = re.fullmatch(r"(\S+) (\S+) (<=|>=) ([\d.]+)(?: (\S+))?", text)
    if not found:
        raise ValueError(f"demand: {text}: FIGURE VARIANT <= NUMBER [BASE] is wanted")
    figure, variant, sign, bound, base = found.groups()
    return Demand(figure, variant, sign == "<=", float(bound), base)


def parsed(text):
    """{figure: (value, unit)} of what a variant printed."""
    found = {}
    for line in text.splitlines():
        figure, value, unit = (line.split(None, 2) + ["", ""])[:3]
        found[figure] = float(value), unit
    if not found:
        raise ValueError("it printed no figure")
    return found


class Results:
    """What some parts' variants printed. In Figures a row is PART/FIGURE, and a malloc a variant."""

    def __init__(self, parts, rounds):
        self.parts, self.rounds = parts, rounds
        self.figures = Figures()
        self.units = {part.name: {} for part in parts}  # part -> figure -> unit, in the order printed
        self.faults = {}  # (part, variant) -> what was wrong first

    def add(self, part, variant, printed):
        for figure, (value, unit) in printed.items():
            self.units[part][figure] = unit
            self.figures.runs.setdefault((f"{part}/{figure}", variant), []).append(Value(value))

    def fail(self, part, variant, why):
        self.faults[part, variant] = why

    def settle(self):
        """Once all has run: who failed, or printed a figure in some rounds only, has none."""
        for (row, variant), runs in list(self.figures.runs.items()):
            part = row.partition("/")[0]
            if len(runs) != self.rounds:
                self.faults.setdefault((part, variant), f"it printed {row} in {len(runs)} rounds of {self.rounds}")
        for row, variant in list(self.figures.runs):
            if (row.partition("/")[0], variant) in self.faults:
                del self.figures.runs[row, variant]

    def median(self, part, figure, variant):
        row = f"{part}/{figure}"
        return self.figures.median(row, variant, "value") if self.figures.works(row, variant) else None

    def ratio(self, part, figure, variant, base):
        """None where one of them has no such figure, or the base has a 0 in it."""
        row = f"{part}/{figure}"
        if not self.figures.works(row, variant, base) or 0 in self.figures.values(row, base, "value"):
            return None
        return self.figures.ratio(row, variant, base, "value")

    def verdict(self, part, wanted):
        """(what was found, whether it is met); (None, None) where it was not measured."""
        if wanted.base:
            found = self.ratio(part, wanted.figure, wanted.variant, wanted.base)
            value = found and found.value
            text = found and ratio_cell(found).text
        else:
            value = self.median(part, wanted.figure, wanted.variant)
            text = value is not None and number(value)
        if value is None:
            return None, None
        return text, value <= wanted.bound if wanted.less else value >= wanted.bound


def number(value):
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


class Tables:
    def __init__(self, results):
        self.results = results

    def table(self, part, cell_of, skip=()):
        """A variant in a row, a figure in a column; columns of nothing are left out."""
        units = self.results.units[part.name]
        cells = {figure: [FAILED if (part.name, variant.name) in self.results.faults else cell_of(figure, variant.name)
                          for variant in part.variants] for figure in units}
        cells = {figure: column for figure, column in cells.items() if any(cell.text not in ("-", "failed") for cell in column)}
        if not cells and skip:
            return None
        head = ["", *cells]
        return [head, *([Cell(variant.name), *(column[at] for column in cells.values())] for at, variant in enumerate(part.variants))]

    def medians(self, part):
        def cell(figure, variant):
            value = self.results.median(part.name, figure, variant)
            return Cell("-" if value is None else number(value))

        head, *body = self.table(part, cell)
        units = self.results.units[part.name]
        return part.name, [[title(figure, units) for figure in head], *body]

    def ratios(self, part, base):
        table = self.table(part, lambda figure, variant: ratio_cell(self.results.ratio(part.name, figure, variant, base)), skip=True)
        if table:
            head, *body = table
            yield f"{part.name}: each over {base}", [[title(figure, {}) for figure in head], *body]

    def demands(self, part):
        table = [["", "figure", "wanted", "found", ""]]
        for wanted in part.demands:
            found, met = self.results.verdict(part.name, wanted)
            table.append([Cell(wanted.variant), Cell(title(wanted.figure, {})),
                          Cell(f"{'at most' if wanted.less else 'at least'} {wanted.bound:g}"
                               + (f" of {wanted.base}" if wanted.base else "")),
                          Cell(found or "-"), Cell("not measured") if met is None else Cell("met", "good") if met else Cell("missed", "bad")])
        return f"{part.name}: what it has to reach", table

    def all(self, over):
        for part in self.results.parts:
            yield self.medians(part)
            for base in dict.fromkeys([part.reference, *(over or [part.own])]):
                if base in {variant.name for variant in part.variants}:
                    yield from self.ratios(part, base)
            if part.demands:
                yield self.demands(part)


def title(figure, units):
    unit = units.get(figure)
    return figure.replace("_", " ") + (f", {unit}" if unit else "")


def as_json(results, options):
    told = {}
    for part in results.parts:
        bases = [base for base in dict.fromkeys([part.reference, *(options.over or [part.own])]) if base]
        told[part.name] = {
            "reference": part.reference, "missing": part.missing,
            "variants": {variant.name: variant.about for variant in part.variants},
            "figures": {figure: {"unit": unit, "variants": {
                variant.name: {"median": results.median(part.name, figure, variant.name),
                               "runs": results.figures.values(f"{part.name}/{figure}", variant.name, "value"),
                               "over": {base: results.ratio(part.name, figure, variant.name, base) for base in bases}}
                for variant in part.variants if results.figures.works(f"{part.name}/{figure}", variant.name)}}
                for figure, unit in results.units[part.name].items()},
            "demands": [{**wanted._asdict(), **dict(zip(("found", "met"), results.verdict(part.name, wanted)))}
                        for wanted in part.demands]}
    return json.dumps({"rounds": results.rounds, "parts": told,
                       "failed": {f"{part} {variant}": why for (part, variant), why in results.faults.items()}}, indent=1)


def run(part, variant):
    """What the variant printed, parsed. ValueError says what was wrong."""
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **variant.env}
    done = subprocess.run([part.program, variant.argument], capture_output=True, text=True, env=env)
    if done.returncode:
        status = f"exit status {done.returncode}" if done.returncode > 0 else signal.Signals(-done.returncode).name
        raise ValueError(": ".join([status, *done.stderr.strip().splitlines()[-1:]]))
    return parsed(done.stdout)


def measure(parts, options, progress):
    results = Results(parts, options.rounds)
    dice = random.Random(0)
    parts = parts[:]
    for at in range(options.rounds):
        dice.shuffle(parts)
        for part in parts:
            for variant in dice.sample(part.variants, len(part.variants)):
                if (part.name, variant.name) in results.faults:
                    continue
                progress.say(f"round {at + 1} of {options.rounds}: {part.name} {variant.name}")
                subprocess.run([options.build / "bin/warm"], check=True)
                try:
                    results.add(part.name, variant.name, run(part, variant))
                except ValueError as why:
                    results.fail(part.name, variant.name, str(why))
    results.settle()
    return results


def arguments():
    parser = argparse.ArgumentParser(
        prog="bench/parts.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure allot's parts beside bare loops and beside the libraries that people have.",
        epilog="""
examples:
  bench/parts.py                                       every part, five rounds
  bench/parts.py region --rounds 9                     one part, more rounds
  bench/parts.py region --variants bare,allot-best,vma-min-memory --over vma-min-memory
  bench/parts.py --markdown > table.md
  PEERS=vma=/src/VulkanMemoryAllocator make parts ARGS=region
                                                       peers that no package has are compiled from the trees named
  PEERS=mesh=/src/libmesh.so bench/parts.py movable    a malloc that no package has

exit status: 0 when every variant ran, 1 when one failed, 2 for bad usage. A demand that is missed is printed, and no failure.
""")
    parser.add_argument("parts", nargs="*", metavar="PART", help="only these")
    parser.add_argument("--variants", metavar="NAME,...", help="only these")
    parser.add_argument("--over", metavar="NAME,...", help="print ratios to these, too, in place of allot's first")
    parser.add_argument("--rounds", type=int, default=FEWEST, metavar="N", help="runs of each variant (%(default)s)")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build", metavar="DIR",
                        help="where the parts' programs were built (build)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--list", action="store_true", help="print what there is to measure, and what is missing")
    form.add_argument("--json", action="store_true", help="print everything as JSON, every run included")
    form.add_argument("--markdown", action="store_true", help="print the tables for a document")
    options = parser.parse_args()

    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    options.build = options.build.resolve()
    if not (options.build / "bin/warm").exists():
        parser.error(f"{options.build}/bin/warm does not exist; `make parts` builds it")
    options.over = split(options.over)
    try:
        options.parts = listed(options)
    except (ValueError, OSError, subprocess.CalledProcessError) as why:
        parser.error(str(why))
    return options


def split(text):
    return list(filter(None, (text or "").split(",")))


def listed(options):
    """The parts that were asked for, of the variants that were asked for."""
    programs = {path.name: path for path in sorted((options.build / "bin/parts").glob("*")) if path.is_file()}
    unknown = [name for name in options.parts if name not in programs]
    if unknown or not programs:
        raise ValueError(f"no part {', '.join(unknown)}; there are {', '.join(programs) or 'none'}: `make parts` builds them")
    # Trees, which PEERS names as well, were for whoever built the programs.
    libraries = [entry for entry in os.environ.get("PEERS", "").split(",") if ".so" in entry]
    mallocs = peers.all_of(options.build, ",".join(libraries))
    parts = [Part(name, programs[name], subprocess.run([programs[name], "--list"], check=True, text=True,
                                                       stdout=subprocess.PIPE).stdout, mallocs)
             for name in options.parts or programs]
    wanted = set(split(options.variants))
    known = {variant.name for part in parts for variant in part.variants}
    strange = (wanted | set(options.over)) - known
    if strange:
        raise ValueError(f"no variant {', '.join(sorted(strange))}; there are {', '.join(sorted(known))}")
    if wanted:
        for part in parts:
            part.variants = [variant for variant in part.variants if variant.name in wanted]
        parts = [part for part in parts if part.variants]
    return parts


def main():
    options = arguments()
    if options.list:
        for part in options.parts:
            for variant in part.variants:
                print(f"{part.name:10} {variant.name:24} {variant.about}")
            for name, why in part.missing.items():
                print(f"{part.name:10} {name:24} missing: {why}")
        return 0
    progress = Progress()
    results = measure(options.parts, options, progress)
    progress.clear()

    if options.json:
        print(as_json(results, options))
    else:
        render = as_markdown if options.markdown else as_text
        for heading, table in Tables(results).all(options.over):
            print(render(heading, table))
        print(f"medians of rounds: {options.rounds}; took {progress.seconds():.0f} s on {os.cpu_count()} cores")
        for part in options.parts:
            if part.missing:
                print(f"missing in {part.name}: " + "; ".join(f"{name}: {why}" for name, why in part.missing.items()))
    sys.stdout.flush()
    for (part, variant), why in sorted(results.faults.items()):
        print(f"failed: {part} {variant}: {why}", file=sys.stderr)
    return 1 if results.faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""Where the programs of each suite lie in its tree, how its own build files compile them, and when one went well.

A program commits a crime against memory, which a malloc can catch, or it asks whether its malloc behaves: zeroes what is
freed, does not give the same block at once. The suites themselves say how each should end, where they say it.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable


@dataclass(frozen=True)
class Program:
    suite: str
    name: str
    source: Path
    flags: tuple
    crime: bool
    good: Callable  # (status, stdout): the crime was caught, or the malloc behaves
    size: str = ""  # of the block that it is about, where it is built for several
    apart: str = ""  # why it is not run


@dataclass(frozen=True)
class Suite:
    path: str  # what the user names
    programs: Callable  # (path) -> programs


# mimalloc-bench: its CMakeLists.txt, with CMake's flags of a Release, which is its default.
SIZES = {"8": "8", "4096": "4096", "256K": "256*1024"}
BENCH = ("-w", "-Wno-implicit-function-declaration", "-O3", "-DNDEBUG")
BENCH_C = ("-fno-inline", "-fno-builtin-inline", "-fno-inline-small-functions", "-fno-ipa-pure-const")
BENCH_CXX = ("-std=c++17", "-fsized-deallocation", "-DALLOCATION_SIZE=4096")
BEHAVIOUR = ("executable_heap", "impossibly_large_malloc", "malloc_reuse", "malloc_reuse_downsize", "zero_after_free", "zero_on_malloc")
BENCH_APART = {"realloc_reuse": "compares a pointer with a copy of it, not with what realloc returned: on every malloc the same"}


def uncaught_says_so(status, out):
    return "NOT_CAUGHT" not in out


def mimalloc_bench(path):
    folder = path / "bench/security"
    for source in sorted([*folder.glob("*.c"), *folder.glob("*.cc")]):
        sizes = SIZES.items() if source.suffix == ".c" else [("", None)]
        for size, value in sizes:
            flags = (*BENCH, *BENCH_C, f"-DALLOCATION_SIZE={value}") if value else (*BENCH, *BENCH_CXX)
            crime, apart = source.stem not in BEHAVIOUR, BENCH_APART.get(source.stem, "")
            yield Program("mimalloc-bench", source.stem, source, flags, crime, uncaught_says_so, size, apart)


# hardened_malloc: test/Makefile, and test/test_smc.py for what is wanted. A crime's words are its own malloc's there; here any
# signal catches it.
HARDENED = ("-w", "-D_GNU_SOURCE", "-DSLAB_CANARY=true", "-DCONFIG_EXTENDED_SIZE_CLASSES=true", "-O3")
HARDENED_STD = {".c": "-std=c2x", ".cc": "-std=c++17 -fsized-deallocation"}  # c2x: gcc 12's name of c23
WANTED = re.compile(r'run_test\(\s*"(\w+)"\)(.*?)(?=\n    def |\Z)', re.S)


def hardened_malloc(path):
    wanted = dict(WANTED.findall((path / "test/test_smc.py").read_text()))
    for source in sorted([*path.glob("test/*.c"), *path.glob("test/*.cc")]):
        text = wanted.get(source.stem, "")
        status = int(found[1]) if (found := re.search(r"assertEqual\(returncode, (-?\d+)\)", text)) else 0
        out = re.search(r'assertEqual\(stdout\.decode\(\s*"utf-8"\),\s*("(?:[^"\\]|\\.)*")', text)
        good = ended_by_signal if status < 0 else ended_well(ast.literal_eval(out[1]) if out else None)
        apart = "prints figures, of which nothing is asserted" if not text else ""
        if "malloc_object_size" in source.stem:
            apart = "malloc_object_size, of hardened_malloc's own interface"
        flags = (*HARDENED_STD[source.suffix].split(), *HARDENED)
        yield Program("hardened_malloc", source.stem, source, flags, status < 0, good, apart=apart)


def ended_by_signal(status, out):
    return status < 0


def ended_well(wanted):
    return lambda status, out: status == 0 and wanted in (None, out)


SUITES = {
    "mimalloc-bench": Suite("the tree of mimalloc-bench", mimalloc_bench),
    "hardened_malloc": Suite("the tree of hardened_malloc", hardened_malloc),
}

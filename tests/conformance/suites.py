"""Where the cases of each suite lie in its tree, and how one of them is run.

A suite that is a folder of test files gives a case for each file; its program is the executable of that name, wherever in
the tree the suite's own build put it. A case with no program is no case less: it is reported as missing. A suite that has a
runner of its own gives that runner's units.
"""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable


@dataclass(frozen=True)
class Case:
    suite: str
    name: str
    argv: tuple = ()  # empty: there is no program of it
    programs: tuple = ()  # what must take its malloc from the library
    cwd: Path | None = None  # None: an empty folder
    env: dict = field(default_factory=dict)
    limit: int = 120  # seconds after which it is taken for hung
    skips: tuple = ()  # statuses by which it says that it cannot run here
    skip_words: tuple = ()  # likewise, words in what it prints while its status is 0
    names: Path | None = None  # gives another malloc's names by the standard ones; preloaded on both sides
    system: tuple = ()  # what the system's side preloads: a program linked to a malloc of its own would run on that


@dataclass(frozen=True)
class Suite:
    path: str  # what the user names
    cases: Callable  # (path) -> cases


# The system's malloc and new, ahead of a malloc that the program is linked to.
SYSTEM = ("libc.so.6", "libstdc++.so.6")


def programs_in(path):
    """Executables of a tree by name, less .exe; of two with one name the one in the shorter path."""
    found = {}
    for folder, _, files in os.walk(path):
        for name in files:
            file = Path(folder, name)
            if os.access(file, os.X_OK) and file.is_file() and file.open("rb").read(4) == b"\x7fELF":
                stem = name.removesuffix(".exe")
                if stem not in found or len(str(file)) < len(str(found[stem])):
                    found[stem] = file
    return found


def from_files(suite, path, patterns, program=lambda stem: stem, cwd=None, skips=(), **rest):
    """A case for each file of the patterns."""
    built = programs_in(path)
    for file in sorted(file for pattern in patterns for file in path.rglob(pattern)):
        made = built.get(program(file.stem))
        yield Case(suite, file.stem, (made,) if made else (), (made,) if made else (), cwd, skips=skips, **rest)


def glibc(path):
    environment = {"tst-mxfast": {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"}}
    for case in from_files("glibc", path, ("malloc/tst-*.c", "malloc/mallocbug.c"), skips=(77,)):
        yield Case(**vars(case) | {"env": environment.get(case.name, {})})


def libc_test(path):
    built = programs_in(path)
    for file in sorted([*path.glob("src/functional/*.c"), *path.glob("src/regression/*.c")]):
        if file.stem.endswith("_dso"):  # a part of another case
            continue
        made = built.get(file.stem)
        made = (made,) if made else ()
        yield Case("libc-test", f"{file.parent.name}/{file.stem}", made, made, path, limit=60)  # some open files from there


def ltp(path):
    files = ("mallocstress.c", "mallinfo0[12].c", "mallinfo2_01.c", "mallopt01.c", "brk0*.c", "sbrk0*.c", "mtest01.c")
    return from_files("ltp", path, files, skips=(32,), limit=300)


def jemalloc(path):
    files = ("test/integration/*.c", "test/integration/cpp/*.cpp")  # its programs find its library from the tree's root
    return from_files("jemalloc", path, files, cwd=path, skips=(1,), limit=300, system=SYSTEM)


def mimalloc(path):
    files = ("test/test-api.c", "test/test-api-fill.c", "test/test-stress.c")
    return from_files("mimalloc", path, files, lambda stem: f"mimalloc-{stem}", limit=300, system=SYSTEM)


def rpmalloc(path):
    programs = {"main": "rpmalloc-test", "stress": "rpmalloc-stress"}
    env = {"RPMALLOC_STRESS_SECONDS": "20"}
    return from_files("rpmalloc", path, ("test/main.c", "test/stress.c"), programs.get, env=env, limit=600, system=SYSTEM)


def snmalloc(path):
    built = programs_in(path)
    for folder in sorted((path / "src/test/func").iterdir()):
        made = built.get(f"func-{folder.name}-fast")
        yield Case("snmalloc", folder.name, (made,) if made else (), (made,) if made else (), limit=300, system=SYSTEM)


STRESSORS = """malloc; malloc --malloc-touch; malloc --malloc-pthreads 4; malloc --malloc-thresh 4096; malloc --malloc-trim;
    malloc --malloc-zerofree; malloc --malloc-bytes 64M --malloc-max 1024; malloc --malloc-mlock;
    bigheap; bigheap --bigheap-growth 1M; brk; bsearch; hsearch; tsearch; lsearch; qsort; mergesort; heapsort; shellsort;
    radixsort; list; tree; skiplist; hash; judy; str; wcs; zlib; vecshuf; matrix; mcontend; memrate; memcpy; stream;
    getrandom; env; dynlib; exec; fork; vfork; pthread; clone; zombie; resources"""


def stress_ng(path):
    for words in " ".join(STRESSORS.split()).split("; "):
        stressor, *options = words.split()
        argv = (path, f"--{stressor}", "2", *options, "--timeout", "5", "--verify", "--oomable")
        yield Case("stress-ng", words, argv, (path,), skips=(3, 4), skip_words=("skipped: 2:",), limit=60)


def cpython(path):
    listed = subprocess.run([path, "-m", "test", "--list-tests"], capture_output=True, text=True, check=True).stdout
    for name in re.findall(r"^test_\w+$", listed, re.M):
        # A virtual machine's socket to itself waits for ever where the host does not loop it back, on any malloc.
        options = ("--ignore", "*VSOCK*") if name == "test_socket" else ()
        words = (f"{name} skipped", "NO TESTS RAN", "NO TEST RUN")
        env = {"PYTHONMALLOC": "malloc"}
        yield Case("cpython", name, (path, "-m", "test", *options, name), (path,), env=env, limit=900, skips=(4,), skip_words=words)


# Two runs in one tree would clear each other's tests/tmp: each has a folder of links with a tests/tmp of its own.
IN_LINKS = 'mkdir -p tests/tmp; ln -s "$1"/* . 2>/dev/null; ln -s "$1"/tests/* tests 2>/dev/null; shift; exec ./runtest "$@"'


def redis(path):
    server, units = path / "src/redis-server", path / "tests/test_helper.tcl"
    block = re.search(r"set ::all_tests \{(.*?)\}", units.read_text(), re.S)[1]
    for index, unit in enumerate(block.split()):
        # Below the ports that the kernel gives out for connections, or a server may find its own taken.
        ports = ("--baseport", str(11100 + 200 * index), "--portcount", "200")
        argv = ("sh", "-c", IN_LINKS, "sh", path, "--single", unit, "--clients", "1", *ports) if server.exists() else ()
        yield Case("redis", unit, argv, (server, "tclsh8.6"), limit=900)


# Files that only run other files, and those that take many minutes each.
SQLITE_APART = r"""all|full|quick|veryquick|soak|permutations|testrunner|extraquick|memleak|async_tester|.*_common|.*-common|
    mallocAll|speed.*|.*soak.*|tester|rtree|fts[1-5]|session"""


def sqlite(path):
    fixture = programs_in(path).get("testfixture")
    apart = re.compile("".join(SQLITE_APART.split()))
    for file in sorted(path.glob("test/*.test")):
        if not apart.fullmatch(file.stem):
            yield Case("sqlite", file.stem, (fixture, file) if fixture else (), (fixture,) if fixture else (), limit=300)


SUITES = {
    "glibc": Suite("a tree that holds malloc/tst-*.c and, anywhere in it, the programs made of them", glibc),
    "libc-test": Suite("the built tree of musl's libc-test", libc_test),
    "ltp": Suite("the tree of the Linux Test Project, its malloc cases built", ltp),
    "jemalloc": Suite("the tree of jemalloc, its integration tests built (make tests_integration)", jemalloc),
    "mimalloc": Suite("the tree of mimalloc, its tests built and linked to its shared library", mimalloc),
    "rpmalloc": Suite("the tree of rpmalloc, its tests built and linked to its shared library", rpmalloc),
    "snmalloc": Suite("the tree of snmalloc, its functional tests built and linked to its test library as a shared one", snmalloc),
    "stress-ng": Suite("the program stress-ng", stress_ng),
    "cpython": Suite("the interpreter, its test package installed", cpython),
    "redis": Suite("the built tree of redis; its suite listens on the loopback", redis),
    "sqlite": Suite("the tree of sqlite, with testfixture built anywhere in it", sqlite),
}


def cases(name, path, names):
    """The cases of a suite, with the library that gives its names by the standard ones where there is one."""
    for case in SUITES[name].cases(path):
        yield Case(**vars(case) | {"names": names})

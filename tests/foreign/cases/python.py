"""CPython's own test suite, every object from malloc (PYTHONMALLOC=malloc), test by test."""

import xml.etree.ElementTree as xml
from glob import glob
from pathlib import Path

from table import case

PYTHON = "/usr/bin/python3.11"
MALLOC = {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}

QUICK = "dict list set json re ctypes zlib gc deque struct array bytes memoryview mmap marshal decimal"

SOAK = """
    threading multiprocessing_fork multiprocessing_spawn multiprocessing_forkserver subprocess ssl tarfile zipfile
    thread threading_local threadedtempfile queue concurrent_futures asyncio selectors socket socketserver httpservers
    urllib2_localnet xmlrpc ftplib smtplib signal fork1 wait4 posix os pty eintr faulthandler atexit
    pickle copy shelve dbm bz2 lzma gzip zipimport io fileio bufio buffer file tempfile shutil codecs unicode
    hashlib random xml_etree pyexpat sax minidom csv email logging weakref weakset tracemalloc descr super
    generators coroutines asyncgen contextlib exceptions traceback itertools functools collections ordered_dict heapq
    bisect sort tuple slice range int long float complex fractions statistics string format fstring enum dataclasses
    typing ast compile compileall tokenize symtable import importlib runpy sys sysconfig userdict unittest
    multibytecodec iter scope peepholer dis inspect pydoc doctest difflib textwrap pprint datetime zoneinfo calendar
"""


def outcomes(report):
    """'test: outcome' for each test of a JUnit report, sorted."""
    lines = []
    for test in xml.parse(report).iter("testcase"):
        kinds = [child.tag for child in test if child.tag in ("error", "failure", "skipped")]
        lines.append(f"{test.get('name')}: {' '.join(kinds) or 'ok'}")
    return sorted(lines)


OPTIONS = {
    # A virtual machine's socket to itself waits for ever where the host does not loop it back.
    "test_socket": ("--ignore", "*VSOCK*"),
    # The network that it wants is the loopback.
    "test_socketserver": ("-u", "network"),
}


def run_suite(t, python, module):
    t.run(python, "-m", "test", *OPTIONS.get(module, ()), "--junit-xml", "report.xml", module, env=MALLOC, want=None, show="none")
    seen = outcomes(t.dir / "report.xml")
    if not any(line.endswith(": ok") for line in seen):
        raise AssertionError("not one test passed")
    t.note("outcome of each test", "\n".join(seen))


def enter(module, quick):
    def body(t):
        run_suite(t, PYTHON, f"test_{module}")

    body.__doc__ = f"CPython's test_{module}"
    name = f"python-{module.replace('_', '-')}"
    suite = f"/usr/lib/python3.11/test/test_{module}"
    case(name, files=(PYTHON, f"{suite}*"), quick=quick, timeout=1800)(body)


for word in QUICK.split():
    enter(word, True)
for word in SOAK.split():
    enter(word, False)

# Debian does not package test_sqlite3: any CPython that a user built has it.
BUILT = sorted(
    found
    for root in ("/usr/local/lib", f"{Path.home()}/.pyenv/versions/*/lib")
    for found in glob(f"{root}/python3.*/test/test_sqlite3")
)


@case("python-sqlite3", files=BUILT or ("a CPython with test_sqlite3",), quick=True)
def _(t):
    """CPython's test_sqlite3, by an interpreter that has it (Debian's has not)"""
    home = Path(BUILT[0])
    run_suite(t, home.parents[3] / "bin" / home.parents[1].name, "test_sqlite3")
